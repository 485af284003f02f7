// A player's videos, whose states keep themselves up to date.
import { Refused, call } from "./api.js";
import { toast } from "./toast.js";

const FIRST_WAIT_SECONDS = 2;
const MAX_WAIT_SECONDS = 15;
const STATES = {
  uploaded: { name: "En proceso", text: "Lo estamos preparando. Esta página se actualiza sola." },
  processed: { name: "Procesado", text: "Ya está publicado y recibe votos, así que no se puede eliminar." },
  failed: { name: "No se pudo procesar", text: "" },
};

const list = document.getElementById("own");
const none = document.getElementById("none");
const news = document.getElementById("news");
const problem = document.getElementById("problem");
const ask = document.getElementById("ask");
const template = document.getElementById("own-video");
const rows = new Map();
let wait = FIRST_WAIT_SECONDS;
let timer;

refresh();
// A hidden page asks for nothing; seen again, it asks at once
document.addEventListener("visibilitychange", () => {
  clearTimeout(timer);
  if (!document.hidden) refresh();
});

async function refresh() {
  clearTimeout(timer);
  try {
    const videos = await call("GET", "/api/videos");
    problem.textContent = "";
    show(videos);
    wait = Math.min(wait * 1.3, MAX_WAIT_SECONDS);
    if (videos.some((video) => video.status === "uploaded")) again();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    problem.textContent = error.message;
    wait = MAX_WAIT_SECONDS;
    again();
  }
}

function again() {
  if (!document.hidden) timer = setTimeout(refresh, wait * 1000);
}

function show(videos) {
  if (list.ariaBusy === "true") {
    list.replaceChildren();
    list.ariaBusy = "false";
  }
  const ids = new Set(videos.map((video) => video.video_id));
  for (const id of [...rows.keys()].filter((each) => !ids.has(each))) drop(id);
  // The API tells oldest first; what was uploaded last is what its player looks for
  for (const video of videos) {
    if (!rows.has(video.video_id)) list.prepend(add(video));
    update(rows.get(video.video_id), video);
  }
  none.hidden = videos.length > 0;
}

function add(video) {
  const row = template.content.firstElementChild.cloneNode(true);
  for (const place of row.querySelectorAll("[data-title]")) place.textContent = video.title;
  row.querySelector("[data-when]").textContent = `Subido el ${day(video.uploaded_at)}`;
  row.querySelector("[data-retry]").href = `/subir?titulo=${encodeURIComponent(video.title)}`;
  row.querySelector("[data-page]").href = `/videos/${video.video_id}`;
  row.querySelector("[data-delete]").addEventListener("click", () => askToDelete(video));
  rows.set(video.video_id, row);
  return row;
}

function update(row, video) {
  const before = row.dataset.status;
  if (before === video.status) return;
  const state = STATES[video.status];
  row.dataset.status = video.status;
  row.querySelector(".chip").textContent = state.name;
  row.querySelector(".own-explained").textContent = video.error ?? state.text;
  row.querySelector("[data-delete]").hidden = video.status === "processed";
  row.querySelector("[data-retry]").hidden = video.status !== "failed";
  row.querySelector("[data-page]").hidden = video.status !== "processed";
  if (video.status === "processed") showResult(row, video);
  if (before) news.textContent = `«${video.title}»: ${state.name}.`;
}

async function showResult(row, video) {
  const screen = document.createElement("video");
  const poster = `/videos/${video.video_id}/picture.jpg`; // its first picture is the bumper's
  Object.assign(screen, { controls: true, playsInline: true, preload: "none", poster, src: video.processed_url });
  screen.setAttribute("aria-label", video.title);
  row.querySelector(".own-screen").replaceChildren(screen);
  try {
    const { votes } = await call("GET", `/api/videos/${video.video_id}`);
    row.querySelector("[data-votes]").textContent =
      `${votes.toLocaleString("es-CO")} ${votes === 1 ? "voto" : "votos"}`;
  } catch (error) {
    if (!(error instanceof Refused)) throw error; // without its votes the video is still worth showing
  }
}

function askToDelete(video) {
  ask.querySelector("[data-title]").textContent = video.title;
  ask.returnValue = "no";
  ask.onclose = () => {
    if (ask.returnValue === "yes") remove(video);
  };
  ask.showModal();
}

async function remove(video) {
  try {
    const { message } = await call("DELETE", `/api/videos/${video.video_id}`);
    drop(video.video_id);
    none.hidden = rows.size > 0;
    document.getElementById("contenido").focus();
    toast(message);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    toast(error.message);
    refresh();
  }
}

function drop(videoId) {
  rows.get(videoId)?.remove();
  rows.delete(videoId);
}

function day(time) {
  return new Date(time).toLocaleDateString("es-CO", { day: "numeric", month: "long" });
}
