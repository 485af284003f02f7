// Sharing a page's address: by what the phone offers, or as a copy.
import { toast } from "./toast.js";

for (const button of document.querySelectorAll("[data-share]")) {
  button.hidden = false;
  button.addEventListener("click", () => share(button.dataset.share, button.dataset.shareTitle));
}

async function share(url, title) {
  try {
    if (navigator.share) {
      await navigator.share({ title, url });
      return;
    }
    // On https only; the lab's load balancer has no certificate
    await navigator.clipboard.writeText(url);
    toast("Copiamos el enlace. Pégalo donde quieras.");
  } catch (error) {
    if (error.name !== "AbortError") toast(`Copia este enlace: ${url}`);
  }
}
