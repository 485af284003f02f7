// Who is signed in. The token lies in sessionStorage and travels in the Authorization header, not in a cookie:
// no other site can make this browser vote (CSRF), and the token ends with the last tab, for those that are open share
// it by a BroadcastChannel. A script could read it, which is why the Content-Security-Policy runs none but ours, and
// why no script here writes HTML.
const KEY = "anb.session";
const VOTES = "anb.votes";
const root = document.documentElement;
const channel = new BroadcastChannel(KEY);

/** Resolves when it is known whether somebody is signed in: early.js asks the other tabs. */
export const ready = window.anbSession;

let atItsEnd; // what a page does instead of leaving for the login page

channel.onmessage = ({ data }) => {
  if (data.asks && secondsLeft()) channel.postMessage({ begun: read(KEY) });
  if (data.begun) keep(data.begun);
  if (data.ended) forget();
};

export function token() {
  return read(KEY)?.token;
}

/** The e-mail address that this session was begun with. */
export function who() {
  return read(KEY)?.who ?? "";
}

export function begin({ access_token, expires_in }, email) {
  const session = { token: access_token, ends: Date.now() + expires_in * 1000, who: email };
  keep(session);
  channel.postMessage({ begun: session });
}

export function secondsLeft() {
  return Math.max(0, ((read(KEY)?.ends ?? 0) - Date.now()) / 1000);
}

export function end() {
  forget();
  channel.postMessage({ ended: true });
}

/** Have `ask` called when the session ends, rather than leave; it resolves when there is another. */
export function whenItEnds(ask) {
  atItsEnd = ask;
}

/** Have the visitor sign in: on this page where it can, else on the login page, and then it never resolves. */
export function askToLogIn(reason) {
  if (atItsEnd) return atItsEnd(reason);
  end();
  const here = location.pathname + location.search;
  location.assign(`/ingresar?motivo=${reason}&volver=${encodeURIComponent(here)}`);
  return new Promise(() => {});
}

// Which videos got this session's vote: the API does not list them, and the button should remember
export function votes() {
  return read(VOTES) ?? [];
}

export function rememberVote(videoId) {
  sessionStorage.setItem(VOTES, JSON.stringify([...new Set([...votes(), videoId])]));
}

function keep(session) {
  if (session.token === token()) return;
  sessionStorage.removeItem(VOTES);
  sessionStorage.setItem(KEY, JSON.stringify(session));
  show("in");
}

function forget() {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(VOTES);
  show("out");
}

function show(state) {
  root.dataset.session = state;
  document.dispatchEvent(new Event("anb.session"));
}

function read(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}
