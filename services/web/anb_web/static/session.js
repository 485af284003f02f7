// Who is signed in. The token lies in sessionStorage and travels in the Authorization header, not in a cookie:
// no other site can make this browser vote (CSRF), and the token ends with the tab. A script could read it, which
// is why the Content-Security-Policy runs none but ours, and why no script here writes HTML.
const KEY = "anb.session";
const VOTES = "anb.votes";

export function token() {
  return read(KEY)?.token;
}

export function begin({ access_token, expires_in }) {
  sessionStorage.setItem(KEY, JSON.stringify({ token: access_token, ends: Date.now() + expires_in * 1000 }));
}

export function secondsLeft() {
  return Math.max(0, ((read(KEY)?.ends ?? 0) - Date.now()) / 1000);
}

export function end() {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(VOTES);
}

/** Leave for the login page, which leads back here. Never resolves, so that callers need not go on. */
export function askToLogIn(reason) {
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

function read(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}
