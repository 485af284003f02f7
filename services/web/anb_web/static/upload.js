// Choosing and sending a video: straight to the object store, or through our server where that way is closed.
import { OFFLINE, Refused, answer, call } from "./api.js";
import { clearRefusal, missing, showRefusal } from "./forms.js";
import { askToLogIn, secondsLeft, token } from "./session.js";
import { toastAfterLeaving } from "./toast.js";

const ENOUGH_SECONDS = 300; // of the session, to begin an upload that ends with a signed request
const MEGABYTE = 1024 * 1024;

const form = document.getElementById("upload");
const input = form.elements.video_file;
const preview = form.querySelector(".preview");
const sending = form.querySelector(".sending");
const submit = form.querySelector("[type=submit]");
const limits = Object.fromEntries(Object.entries(form.dataset).map(([name, value]) => [name, Number(value)]));

let chosen; // the promise of the sentence that says what is wrong with the file, if anything
let attemptKey; // the same for each attempt with this file and title, so that none makes a second video
let transfer;

input.addEventListener("change", () => {
  attemptKey = undefined;
  clearRefusal(form);
  chosen = inspect(input.files[0]);
});
form.elements.title.addEventListener("input", () => { attemptKey = undefined; });
form.addEventListener("submit", (event) => {
  event.preventDefault();
  send();
});
form.querySelector("[data-cancel]").addEventListener("click", () => transfer?.abort());

// --- the file ------------------------------------------------------------------------------------------------

/** Look at the file before it costs anybody's data plan; what this browser cannot read, the server will judge. */
async function inspect(file) {
  const facts = document.getElementById("video_file-facts");
  URL.revokeObjectURL(preview.src);
  preview.removeAttribute("src");
  preview.hidden = true;
  facts.textContent = "";
  form.querySelector("[data-chosen]").textContent = file ? file.name : "Elige un archivo";
  if (!file) return undefined;
  const wrong = wrongSize(file) ?? (await lookInside(file, facts));
  if (wrong) showRefusal(form, { message: wrong, fields: { video_file: wrong } });
  return wrong;
}

function wrongSize(file) {
  if (file.size === 0) return "El archivo está vacío.";
  if (file.size > limits.largestBytes) return `El archivo supera el máximo de ${limits.largestBytes / MEGABYTE} MB.`;
  return undefined;
}

async function lookInside(file, facts) {
  const found = await readMetadata(file);
  if (!found) {
    facts.textContent = megabytes(file.size);
    return undefined;
  }
  preview.hidden = false;
  const { duration, videoWidth: width, videoHeight: height } = found;
  facts.textContent = `${decimal(duration)} s · ${width}x${height} · ${megabytes(file.size)}`;
  const { shortestSeconds, longestSeconds, secondsTolerance, smallestSide } = limits;
  if (duration < shortestSeconds - secondsTolerance || duration > longestSeconds + secondsTolerance) {
    return `El video dura ${decimal(duration)} segundos; debe durar entre ${shortestSeconds} y ${longestSeconds}.`;
  }
  if (Math.min(width, height) < smallestSide) {
    return `El video mide ${width}x${height} píxeles; se requiere una resolución de ${smallestSide}p o superior.`;
  }
  return undefined;
}

function readMetadata(file) {
  return new Promise((resolve) => {
    preview.onloadedmetadata = () => resolve(preview.videoWidth && Number.isFinite(preview.duration) ? preview : null);
    preview.onerror = () => resolve(null);
    preview.src = URL.createObjectURL(file);
  });
}

// --- the upload ----------------------------------------------------------------------------------------------

async function send() {
  if (transfer) return;
  clearRefusal(form);
  try {
    const fields = missing(form);
    if (Object.keys(fields).length) throw new Refused(400, { message: "Completa los campos marcados.", fields });
    const wrong = await chosen;
    if (wrong) throw new Refused(400, { message: wrong, fields: { video_file: wrong } });
    if (secondsLeft() < ENOUGH_SECONDS) await askToLogIn("vencida");
    await sendFile(input.files[0], form.elements.title.value);
    toastAfterLeaving("Video subido correctamente. Procesamiento en curso.");
    location.assign("/mis-videos");
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    showRefusal(form, error);
  }
}

async function sendFile(file, title) {
  attemptKey ??= randomKey();
  begin();
  try {
    if (!(await sendDirectly(file, title))) {
      step("El envío directo falló; lo intentamos por nuestro servidor");
      await sendThroughServer(file, title);
    }
  } finally {
    finish();
  }
}

/** Send the file to the object store; false when that way is closed, which says nothing about the video. */
async function sendDirectly(file, title) {
  const headers = { "Idempotency-Key": attemptKey };
  try {
    const place = await call("POST", "/api/videos/uploads", { json: { title, size: file.size }, headers });
    if (place.url) {
      const body = new FormData();
      for (const [name, value] of Object.entries(place.fields)) body.append(name, value);
      body.append("file", file); // S3 ignores what comes after it
      const { status } = await post(place.url, body);
      if (status < 200 || status >= 300) return false;
      step("Revisando tu video");
      await call("POST", `/api/videos/uploads/${place.video_id}/complete`);
    }
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    // A player who has begun too much may not do so by another way either
    if (error.isPassing && error.status !== 429 && !error.isFinal) return false;
    // The place was for this file; the next attempt gets a place of its own
    if (!error.isPassing) attemptKey = undefined;
    throw error;
  }
}

async function sendThroughServer(file, title) {
  const body = new FormData();
  body.append("title", title);
  body.append("video_file", file);
  const sent = token();
  const { status, text } = await post("/api/videos/upload", body, {
    Authorization: `Bearer ${sent}`,
    "Idempotency-Key": attemptKey,
  });
  return answer(status, parsed(text), sent);
}

/** POST with a progress bar, which fetch cannot fill. */
function post(url, body, headers = {}) {
  return new Promise((resolve, reject) => {
    transfer = new XMLHttpRequest();
    transfer.open("POST", url);
    for (const [name, value] of Object.entries(headers)) transfer.setRequestHeader(name, value);
    transfer.upload.onprogress = ({ loaded, total }) => progress(loaded, total);
    transfer.onload = ({ target }) => resolve({ status: target.status, text: target.responseText });
    transfer.onerror = () => reject(new Refused(0, { message: `${OFFLINE} Tu video sigue elegido: solo vuelve a enviarlo.` }));
    transfer.onabort = () => reject(Object.assign(new Refused(0, { message: "Cancelaste la subida." }), { isFinal: true }));
    transfer.send(body);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** crypto.randomUUID exists on https only; the lab's load balancer has no certificate. */
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// --- what is shown meanwhile ---------------------------------------------------------------------------------

let spokenQuarter;

function begin() {
  spokenQuarter = 0;
  transfer = new XMLHttpRequest(); // holds the place until the first real one, so that nothing is sent twice
  sending.hidden = false;
  submit.hidden = true;
  step("Subiendo tu video");
  progress(0, input.files[0].size);
  form.querySelector("[data-cancel]").focus();
  window.addEventListener("beforeunload", warn);
}

function finish() {
  transfer = undefined;
  sending.hidden = true;
  submit.hidden = false;
  window.removeEventListener("beforeunload", warn);
}

function warn(event) {
  if (transfer?.readyState === XMLHttpRequest.OPENED) event.preventDefault();
}

function step(text) {
  form.querySelector("[data-step]").textContent = text;
  say(text);
}

function progress(sent, total) {
  const percent = Math.floor((sent / total) * 100);
  form.querySelector("progress").value = percent;
  form.querySelector("[data-percent]").textContent = `${percent} %`;
  form.querySelector("[data-amount]").textContent = `${megabytes(sent)} de ${megabytes(total)}`;
  const quarter = Math.floor(percent / 25);
  if (quarter > spokenQuarter) say(`${percent} % subido`);
  spokenQuarter = Math.max(spokenQuarter, quarter);
}

function say(text) {
  form.querySelector("[data-spoken]").textContent = text;
}

function megabytes(bytes) {
  return `${decimal(bytes / MEGABYTE)} MB`;
}

function decimal(number) {
  return number.toLocaleString("es-CO", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}
