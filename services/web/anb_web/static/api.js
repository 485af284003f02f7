import { askToLogIn, ready, token } from "./session.js";

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

/** Ask the API; when the session has ended, the visitor signs in and the same is asked once more. */
export async function call(method, path, { json, headers = {} } = {}) {
  await ready;
  // Whoever is logging in is nobody yet, whatever a former session left behind
  const isAboutAccounts = path.startsWith("/api/auth/");
  const sent = isAboutAccounts ? undefined : token();
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
  if (response.status === 401 && !isAboutAccounts) {
    await askToLogIn("vencida");
    return call(method, path, { json, headers });
  }
  return answer(response.status, await response.json().catch(() => undefined));
}

export function answer(status, body) {
  if (status >= 200 && status < 300) return body;
  throw new Refused(status, body);
}
