// Playing and voting, and further pages without leaving this one.
import { Refused, call } from "./api.js";
import { askToLogIn, ready, rememberVote, token, votes } from "./session.js";
import { toast } from "./toast.js";

const list = document.getElementById("videos");
const pages = [listed(document)]; // where the API lists what is shown, page by page

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

ready.then(learnAllVotes);
document.addEventListener("anb.session", learnAllVotes);
comeBack();

function playIn(link) {
  const video = document.createElement("video");
  Object.assign(video, { controls: true, autoplay: true, playsInline: true, poster: link.querySelector("img").src });
  video.setAttribute("aria-label", link.getAttribute("aria-label").replace("Reproducir ", ""));
  video.addEventListener("play", () => {
    for (const other of document.querySelectorAll("video")) if (other !== video) other.pause();
  });
  // Links work for minutes, pages stay open for hours
  const videoId = link.closest(".card").dataset.video;
  video.addEventListener("error", () => renewLink(video, videoId), { once: true });
  video.src = link.href;
  link.replaceWith(video);
  video.focus();
}

/** Lead to the clip once more, by an address that lasts. */
function renewLink(video, videoId) {
  video.addEventListener(
    "error",
    () => toast("No pudimos reproducir el video. Recarga la página e inténtalo de nuevo."),
    { once: true },
  );
  video.src = `/videos/${videoId}/clip.mp4`;
  video.play().catch(() => {}); // the error has its own listener
}

async function voteFor(card, button) {
  await ready;
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
    const isMine = mine.has(card.dataset.video);
    card.querySelector("[data-vote]").classList.toggle("voted", isMine);
    card.querySelector("[data-label]").textContent = isMine ? "Votado" : "Votar";
  }
}

function listed(page) {
  return page.querySelector("[data-listed]")?.dataset.listed;
}

function learnAllVotes() {
  markVotes();
  pages.forEach(learnVotes);
}

/** Ask for which of a page's videos this account has voted, in an earlier session, too. */
async function learnVotes(address) {
  if (!token() || !address) return;
  try {
    for (const { video_id, voted } of await call("GET", address)) if (voted) rememberVote(video_id);
    markVotes();
  } catch (error) {
    if (!(error instanceof Refused)) throw error; // the buttons tell when they are pressed
  }
}

/** Load again what was loaded when the visitor left, and go to where they were. */
async function comeBack() {
  const left = history.state;
  addEventListener("pagehide", () => history.replaceState({ pages: pages.length - 1, y: scrollY }, ""));
  if (!left?.pages) return;
  history.scrollRestoration = "manual";
  for (let page = 0; page < left.pages; page += 1) {
    const link = document.getElementById("more");
    if (link) await loadMore(link, { isQuiet: true });
  }
  scrollTo(0, left.y);
}

function found(count) {
  if (count === 0) return "Aquí no apareció ninguno más.";
  return count === 1 ? "1 video más" : `${count} videos más`;
}

async function loadMore(link, { isQuiet = false } = {}) {
  if (link.ariaDisabled === "true") return;
  const label = link.textContent;
  link.ariaDisabled = "true";
  link.textContent = "Cargando…";
  try {
    const response = await fetch(link.href);
    if (!response.ok) throw new Error(response.status);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    const cards = [...page.querySelectorAll("#videos > li")];
    list.append(...cards);
    pages.push(listed(page));
    markVotes();
    learnVotes(pages.at(-1));
    const next = page.getElementById("more");
    if (next) link.replaceWith(next);
    else link.parentElement.remove();
    if (isQuiet) return;
    cards[0]?.querySelector(".play").focus();
    toast(found(cards.length));
  } catch {
    link.ariaDisabled = null;
    link.textContent = label;
    toast("No pudimos cargar más videos. Inténtalo de nuevo.");
  }
}
