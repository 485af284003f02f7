// Sign-up and login.
import { call } from "./api.js";
import { letShowPasswords, whenSubmitted } from "./forms.js";
import { begin } from "./session.js";
import { toastAfterLeaving } from "./toast.js";

const REASONS = new Map([
  ["cuenta", "Para continuar, ingresa con tu cuenta."],
  ["votar", "Para votar, ingresa con tu cuenta. Es gratis."],
  ["vencida", "Tu sesión terminó. Ingresa de nuevo para continuar."],
]);

const asked = new URLSearchParams(location.search);
const form = document.querySelector("#sign-up, #log-in");
const signsUp = form.id === "sign-up";

form.querySelector("[data-reason]").textContent = REASONS.get(asked.get("motivo")) ?? "";
for (const link of document.querySelectorAll("main a")) link.search = location.search;

letShowPasswords(form);
whenSubmitted(form, signsUp ? "Creando tu cuenta…" : "Ingresando…", enter);

async function enter(sent) {
  if (signsUp) await call("POST", "/api/auth/signup", { json: sent });
  const password = sent.password ?? sent.password1;
  begin(await call("POST", "/api/auth/login", { json: { email: sent.email, password } }), sent.email.trim());
  if (signsUp) toastAfterLeaving(`¡Te damos la bienvenida, \u2068${sent.first_name.trim()}\u2069!`);
  location.assign(destination());
}

/** Where the visitor wanted to go, if that is a page of ours. */
function destination() {
  try {
    const wanted = new URL(asked.get("volver") ?? "/", location.origin);
    return wanted.origin === location.origin ? wanted.href : "/";
  } catch {
    return "/";
  }
}
