const SECONDS = 6;
let timer;

/** Say something that needs no answer; a screen reader reads it out. */
export function toast(text) {
  const place = document.getElementById("toast");
  place.textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => { place.textContent = ""; }, SECONDS * 1000);
}

/** Say it on the page that comes next. */
export function toastAfterLeaving(text) {
  sessionStorage.setItem("anb.toast", text);
}
