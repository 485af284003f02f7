// What every page has.
import { end } from "./session.js";
import { toast, toastAfterLeaving } from "./toast.js";

document.querySelector("[data-log-out]").addEventListener("click", () => {
  end();
  toastAfterLeaving("Cerraste tu sesión.");
  location.assign("/");
});

const kept = sessionStorage.getItem("anb.toast");
if (kept) {
  sessionStorage.removeItem("anb.toast");
  toast(kept);
}
