// Signing in again in a dialog, so that what a page holds is not lost with the session.
import { Refused, call } from "./api.js";
import { clearRefusal, filled, showRefusal, whileBusy } from "./forms.js";
import { begin, who } from "./session.js";

const dialog = document.getElementById("again");
const form = dialog.querySelector("form");
let pending; // the one promise of all who wait

/** Resolves when somebody is signed in again; refused when they do not want to. */
export function logInAgain() {
  pending ??= new Promise((resolve, reject) => {
    form.elements.email.value = who();
    form.onsubmit = (event) => {
      event.preventDefault();
      enter().then(
        () => finish(resolve),
        (error) => showRefusal(form, error),
      );
    };
    const text = "Tu sesión terminó. Tu video sigue elegido: ingresa de nuevo para subirlo.";
    const stop = () => finish(() => reject(new Refused(401, { message: text })));
    dialog.querySelector("[data-later]").onclick = stop;
    dialog.oncancel = stop;
    dialog.showModal();
    form.elements[form.elements.email.value ? "password" : "email"].focus();
  });
  return pending;
}

function finish(tell) {
  pending = undefined;
  form.reset();
  clearRefusal(form);
  dialog.close();
  tell();
}

async function enter() {
  const { email, password } = filled(form);
  await whileBusy(form.querySelector("[type=submit]"), "Ingresando…", async () => {
    begin(await call("POST", "/api/auth/login", { json: { email, password } }), email.trim());
  });
}
