// Choosing and sending a video: straight to the object store, or through our server where that way is closed.
import { OFFLINE, Refused, answer, call } from "./api.js";
import { clearRefusal, filled, showRefusal } from "./forms.js";
import { logInAgain } from "./log_in_again.js";
import { asMp4, isQuickTime } from "./quicktime.js";
import { token, whenItEnds } from "./session.js";
import { toastAfterLeaving } from "./toast.js";

const RETRY_SECONDS = 2; // between two looks whether our server answers again
const MOST_FAILURES = 2; // of the object store while our server answers: then that way is closed
const MEGABYTE = 1024 * 1024;
const SOUND_BYTES = 4 * MEGABYTE; // of a QuickTime file's size, at most, which is not sent

const form = document.getElementById("upload");
const input = form.elements.video_file;
const preview = form.querySelector(".preview");
const sending = form.querySelector(".sending");
const submit = form.querySelector("[type=submit]");
const limits = Object.fromEntries(Object.entries(form.dataset).map(([name, value]) => [name, Number(value)]));

let chosen; // the promise of the sentence that says what is wrong with the file, if anything
let fit; // what is sent: the file, or what was made of it
let attemptKey; // the same for each attempt with this file and title, so that none makes a second video
let transfer;
let isCancelled;

form.elements.title.value = new URLSearchParams(location.search).get("titulo") ?? "";
whenItEnds(logInAgain); // what was chosen and typed would not survive another page
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
form.querySelector("[data-cancel]").addEventListener("click", () => {
  isCancelled = true;
  transfer?.abort();
});

// --- the file ------------------------------------------------------------------------------------------------

/** Look at the file before it costs anybody's data plan; what this browser cannot read, the server will judge. */
async function inspect(file) {
  const facts = document.getElementById("video_file-facts");
  URL.revokeObjectURL(preview.src);
  preview.removeAttribute("src");
  preview.hidden = true;
  facts.textContent = "";
  fit = undefined;
  form.querySelector("[data-chosen]").textContent = file ? file.name : "Elige un archivo";
  if (!file) return undefined;
  const wrong = wrongSize(file, SOUND_BYTES) ?? (await prepare(file, facts)) ?? (await lookInside(fit, facts));
  if (file !== input.files[0]) return undefined; // another was chosen meanwhile
  if (wrong) showRefusal(form, { message: wrong, fields: { video_file: wrong } });
  return wrong;
}

/** Make of the file what the API takes; return what keeps that from being done. */
async function prepare(file, facts) {
  fit = file;
  if (!(await isQuickTime(file))) return wrongSize(file);
  facts.textContent = "Preparando tu video…";
  try {
    const made = await asMp4(file);
    if (file === input.files[0]) fit = made;
    return wrongSize(made);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    facts.textContent = "";
    return error.message;
  }
}

function wrongSize(file, tolerance = 0) {
  if (file.size === 0) return "El archivo está vacío.";
  if (file.size > limits.largestBytes + tolerance) return `El archivo supera el máximo de ${limits.largestBytes / MEGABYTE} MB.`;
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
    filled(form);
    const wrong = await chosen;
    if (wrong) throw new Refused(400, { message: wrong, fields: { video_file: wrong } });
    await sendFile(fit, form.elements.title.value);
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
  try {
    const videoId = await putIntoStore(file, title);
    if (videoId === undefined) return false;
    if (videoId) await complete(videoId);
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    // A player who has begun too much may not do so by another way either
    if (error.isPassing && error.status !== 429 && !error.isFinal) return false;
    // The place was for this file; the next attempt gets a place of its own. A session that ended keeps it
    if (!error.isPassing && error.status !== 401) attemptKey = undefined;
    throw error;
  }
}

/**
 * Post the file, again on the same reservation whenever the connection comes back. The result is the reservation, null
 * when it is filled already, undefined when the store refuses or cannot be reached.
 */
async function putIntoStore(file, title) {
  let place;
  let failures = 0;
  for (;;) {
    try {
      // The same key leads to the same reservation, with a fresh form
      const json = { title, size: file.size };
      place = await call("POST", "/api/videos/uploads", { json, headers: { "Idempotency-Key": attemptKey } });
      if (!place.url) return null;
      const { status } = await post(place.url, formFor(place, file));
      return status >= 200 && status < 300 ? place.video_id : undefined;
    } catch (error) {
      if (!place || !isLostConnection(error)) throw error;
      failures = (await answers()) ? failures + 1 : 0;
      if (failures >= MOST_FAILURES) return undefined;
      await untilItAnswers();
    }
  }
}

/** Say that the file has arrived, again when the connection was lost before the answer came. */
async function complete(videoId) {
  for (;;) {
    try {
      step("Revisando tu video");
      return await call("POST", `/api/videos/uploads/${videoId}/complete`);
    } catch (error) {
      if (!isLostConnection(error)) throw error;
      await untilItAnswers();
    }
  }
}

function isLostConnection(error) {
  return error instanceof Refused && error.status === 0 && !error.isFinal;
}

function formFor(place, file) {
  const body = new FormData();
  for (const [name, value] of Object.entries(place.fields)) body.append(name, value);
  body.append("file", file); // S3 ignores what comes after it
  return body;
}

async function sendThroughServer(file, title) {
  const body = new FormData();
  body.append("title", title);
  body.append("video_file", file);
  const { status, text } = await post("/api/videos/upload", body, {
    Authorization: `Bearer ${token()}`,
    "Idempotency-Key": attemptKey,
  });
  if (status !== 401) return answer(status, parsed(text));
  await logInAgain();
  return sendThroughServer(file, title);
}

/** Whether our server can be reached at this moment. */
async function answers() {
  try {
    return (await fetch("/healthz", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

async function untilItAnswers() {
  while (!(await answers())) {
    step("Se perdió la conexión; seguimos en cuanto vuelva");
    await new Promise((resolve) => {
      setTimeout(resolve, RETRY_SECONDS * 1000);
      window.addEventListener("online", resolve, { once: true });
    });
    if (isCancelled) throw cancelled();
  }
  step("Subiendo tu video");
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
    transfer.onabort = () => reject(cancelled());
    transfer.send(body);
  });
}

function cancelled() {
  return Object.assign(new Refused(0, { message: "Cancelaste la subida." }), { isFinal: true });
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
  isCancelled = false;
  transfer = new XMLHttpRequest(); // holds the place until the first real one, so that nothing is sent twice
  sending.hidden = false;
  submit.hidden = true;
  step("Subiendo tu video");
  progress(0, fit.size);
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
