import { Refused } from "./api.js";

/** Have `send` get what the form holds when it is submitted, and say why it was refused. */
export function whenSubmitted(form, busyText, send) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const button = form.querySelector("[type=submit]");
    if (button.ariaDisabled === "true") return;
    clearRefusal(form);
    whileBusy(button, busyText, async () => send(filled(form))).catch((error) => {
      if (!(error instanceof Refused)) throw error;
      showRefusal(form, error);
    });
  });
}

/** Let the form's box show the passwords in it. */
export function letShowPasswords(form) {
  form.querySelector("[data-show-passwords]").addEventListener("change", ({ target }) => {
    for (const input of form.querySelectorAll("[name^=password]")) input.type = target.checked ? "text" : "password";
  });
}

/** Show beside each field, and above the button, why it was refused; the first wrong field gets the focus. */
export function showRefusal(form, { message, fields }) {
  clearRefusal(form);
  let first;
  for (const [name, text] of Object.entries(fields)) {
    const input = form.elements[name];
    const place = document.getElementById(`${name}-wrong`);
    if (!input || !place) continue;
    input.setAttribute("aria-invalid", "true");
    place.textContent = text;
    first ??= input;
  }
  // A sentence that stands beside its field need not be said twice
  if (!Object.values(fields).includes(message)) form.querySelector("[role=alert]").textContent = message;
  (first ?? form.querySelector("[type=submit]")).focus();
}

export function clearRefusal(form) {
  form.querySelector("[role=alert]").textContent = "";
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    document.getElementById(`${input.name}-wrong`).textContent = "";
  }
}

/** Return what the form holds by name; refused while a required field is empty. */
export function filled(form) {
  const empty = [...form.elements].filter((input) => input.required && !input.value.trim());
  const fields = Object.fromEntries(empty.map((input) => [input.name, "Este campo es obligatorio."]));
  if (empty.length) throw new Refused(400, { message: "Completa los campos marcados.", fields });
  return Object.fromEntries(new FormData(form));
}

/** Keep a button from being pressed twice while `work` is under way, and say so on it. */
export async function whileBusy(button, text, work) {
  const label = button.textContent;
  button.setAttribute("aria-disabled", "true");
  button.textContent = text;
  try {
    return await work();
  } finally {
    button.removeAttribute("aria-disabled");
    button.textContent = label;
  }
}
