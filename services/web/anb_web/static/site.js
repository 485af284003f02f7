// What every page has.
import { end, ready, who } from "./session.js";
import { toast, toastAfterLeaving } from "./toast.js";

document.querySelector("[data-log-out]").addEventListener("click", () => {
  end();
  toastAfterLeaving("Cerraste tu sesión.");
  location.assign("/");
});

// Another tab may sign somebody in or out
document.addEventListener("anb.session", showWho);
ready.then(showWho);

function showWho() {
  document.querySelector("[data-who]").textContent = who();
}

const kept = sessionStorage.getItem("anb.toast");
if (kept) {
  sessionStorage.removeItem("anb.toast");
  toast(kept);
}
