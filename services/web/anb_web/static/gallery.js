// Playing and voting, and further pages without leaving this one.
import { Refused, call } from "./api.js";
import { askToLogIn, rememberVote, token, votes } from "./session.js";
import { toast } from "./toast.js";

const list = document.getElementById("videos");

document.addEventListener("click", (event) => {
  const play = event.target.closest(".play");
  const vote = event.target.closest("[data-vote]");
  const more = event.target.closest("#more");
  if (play && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    playIn(play);
  } else if (vote) {
    voteFor(vote.closest(".card"), vote);
  } else if (more) {
    event.preventDefault();
    loadMore(more);
  }
});

markVotes();

function playIn(link) {
  const video = document.createElement("video");
  Object.assign(video, { controls: true, autoplay: true, playsInline: true, poster: link.querySelector("img").src });
  video.setAttribute("aria-label", link.getAttribute("aria-label").replace("Reproducir ", ""));
  video.addEventListener("play", () => {
    for (const other of document.querySelectorAll("video")) if (other !== video) other.pause();
  });
  // Links work for minutes, pages stay open for hours
  video.addEventListener("error", () => renewLink(video, link.closest(".card").dataset.video), { once: true });
  video.src = link.href;
  link.replaceWith(video);
  video.focus();
}

async function renewLink(video, videoId) {
  try {
    const shown = await call("GET", "/api/public/videos?limit=100");
    const fresh = shown.find((item) => item.video_id === videoId);
    if (!fresh) throw new Refused(404);
    video.src = fresh.processed_url;
    await video.play();
  } catch {
    toast("No pudimos reproducir el video. Recarga la página e inténtalo de nuevo.");
  }
}

async function voteFor(card, button) {
  if (!token()) return askToLogIn("votar");
  if (button.ariaDisabled === "true") return undefined;
  const note = card.querySelector(".note");
  button.ariaDisabled = "true";
  try {
    const { message } = await call("POST", `/api/public/videos/${card.dataset.video}/vote`);
    count(card);
    markVoted(card);
    note.textContent = message;
    note.dataset.kind = "good";
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (error.status === 400) markVoted(card);
    note.textContent = error.message;
    note.dataset.kind = "bad";
  } finally {
    button.ariaDisabled = null;
  }
  return undefined;
}

function count(card) {
  const place = card.querySelector("[data-votes]");
  const number = Number(place.dataset.votes) + 1;
  place.dataset.votes = number;
  place.textContent = `${number.toLocaleString("es-CO")} ${number === 1 ? "voto" : "votos"}`;
}

function markVoted(card) {
  rememberVote(card.dataset.video);
  markVotes();
}

function markVotes() {
  const mine = new Set(token() ? votes() : []);
  for (const card of document.querySelectorAll(".card")) {
    if (!mine.has(card.dataset.video)) continue;
    card.querySelector("[data-vote]").classList.add("voted");
    card.querySelector("[data-label]").textContent = "Votado";
  }
}

async function loadMore(link) {
  if (link.ariaDisabled === "true") return;
  link.ariaDisabled = "true";
  link.textContent = "Cargando…";
  try {
    const response = await fetch(link.href);
    if (!response.ok) throw new Error(response.status);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const cards = [...page.querySelectorAll("#videos > li")];
    list.append(...cards);
    markVotes();
    const next = page.getElementById("more");
    if (next) link.replaceWith(next);
    else link.parentElement.remove();
    cards[0]?.querySelector(".play").focus();
    toast(`${cards.length} videos más`);
  } catch {
    link.ariaDisabled = null;
    link.textContent = "Ver más videos";
    toast("No pudimos cargar más videos. Inténtalo de nuevo.");
  }
}
