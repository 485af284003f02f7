// A new password, for who came by a link. Its token stands behind the #, which no server and no log ever sees.
import { call } from "./api.js";
import { letShowPasswords, whenSubmitted } from "./forms.js";
import { toastAfterLeaving } from "./toast.js";

const form = document.querySelector("#reset-password");
const token = location.hash.slice(1);

// Nor is it left in the address that others see, or in the browser's history
history.replaceState(null, "", location.pathname);
if (!token) form.querySelector("[data-reason]").textContent = "Falta el enlace: abre esta página desde el que recibiste.";

letShowPasswords(form);
whenSubmitted(form, "Guardando…", save);

async function save(passwords) {
  await call("POST", "/api/auth/password-reset", { json: { token, ...passwords } });
  toastAfterLeaving("Tu contraseña nueva está lista. Ingresa con ella.");
  location.assign("/ingresar");
}
