import { askToLogIn, token } from "./session.js";

export const OFFLINE = "No hay conexión con el servidor. Revisa tu internet e inténtalo de nuevo.";
const UNKNOWN = "Algo salió mal. Inténtalo de nuevo en unos segundos.";

/** What the API says no to: `message` is a sentence for people, `fields` one for each input. */
export class Refused extends Error {
  constructor(status, { message = UNKNOWN, fields = {} } = {}) {
    super(message);
    this.status = status;
    this.fields = fields;
  }

  /** Whether the same request may succeed by another way or at another time. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export async function call(method, path, { json, headers = {} } = {}) {
  // Whoever is logging in is nobody yet, whatever a former session left behind
  const sent = path.startsWith("/api/auth/") ? undefined : token();
  const request = { method, headers: { ...headers, Accept: "application/json" } };
  if (sent) request.headers.Authorization = `Bearer ${sent}`;
  if (json !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(json);
  }
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Refused(0, { message: OFFLINE });
  }
  return answer(response.status, await response.json().catch(() => undefined), sent);
}

export function answer(status, body, sentToken) {
  if (status >= 200 && status < 300) return body;
  if (status === 401 && sentToken) return askToLogIn("vencida");
  throw new Refused(status, body);
}
