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

/** Return a text for each required field that is empty. */
export function missing(form) {
  const empty = [...form.elements].filter((input) => input.required && !input.value.trim());
  return Object.fromEntries(empty.map((input) => [input.name, "Este campo es obligatorio."]));
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
