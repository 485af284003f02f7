// A new password, for who came by a link. Its token stands behind the #, which no server and no log ever sees.
import { Refused, call } from "./api.js";
import { clearRefusal, missing, showRefusal, whileBusy } from "./forms.js";
import { toastAfterLeaving } from "./toast.js";

const form = document.querySelector("#reset-password");
const token = location.hash.slice(1);

// Nor is it left in the address that others see, or in the browser's history
history.replaceState(null, "", location.pathname);
if (!token) form.querySelector("[data-reason]").textContent = "Falta el enlace: abre esta página desde el que recibiste.";

form.querySelector("[data-show-passwords]").addEventListener("change", ({ target }) => {
  for (const input of form.querySelectorAll("[name^=password]")) input.type = target.checked ? "text" : "password";
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const button = form.querySelector("[type=submit]");
  if (button.ariaDisabled === "true") return;
  clearRefusal(form);
  whileBusy(button, "Guardando…", save).catch((error) => {
    if (!(error instanceof Refused)) throw error;
    showRefusal(form, error);
  });
});

async function save() {
  const fields = missing(form);
  if (Object.keys(fields).length) throw new Refused(400, { message: "Completa los campos marcados.", fields });
  await call("POST", "/api/auth/password-reset", { json: { token, ...Object.fromEntries(new FormData(form)) } });
  toastAfterLeaving("Tu contraseña nueva está lista. Ingresa con ella.");
  location.assign("/ingresar");
}
