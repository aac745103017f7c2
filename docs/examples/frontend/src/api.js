/** How long the control plane may take, in milliseconds: a person looking at a page gives up about then. */
export const PATIENCE_MS = 8000;

/**
 * The control plane did not answer, or not with what its contract promises.
 * `message` says what happened; `advice` says what to do next.
 */
export class Unavailable extends Error {
  /** @param {string} message @param {string} advice */
  constructor(message, advice) {
    super(message);
    this.name = "Unavailable";
    this.advice = advice;
  }
}

/**
 * Where the control plane is, decided when the page runs, so that one build serves every host.
 *
 * @param {{api?: string}} config the run-time configuration; its `api` wins where it is set
 * @param {{protocol: string, host: string}} location the page's own address
 * @returns {string} an origin without a trailing slash; empty for the page's own origin
 */
export function apiBase(config, location) {
  if (config.api) return config.api.replace(/\/+$/, "");
  if (location.host.startsWith("app.")) {
    return `${location.protocol}//api.${location.host.slice("app.".length)}`;
  }
  return "";
}

/**
 * A JSON document of the page's own server.
 *
 * @param {string} path
 * @param {typeof globalThis.fetch} [fetch]
 * @returns {Promise<Record<string, string>>} empty where there is none: the page works without it
 */
export async function ownDocument(path, fetch = globalThis.fetch) {
  try {
    const answer = await fetch(path, { cache: "no-store" });
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

/**
 * The control plane's word on its own health.
 *
 * @param {string} base what `apiBase` gave
 * @param {typeof globalThis.fetch} [fetch]
 * @returns {Promise<Record<string, unknown>>} the `data` of `GET /api/v1/health`
 * @throws {Unavailable} on no answer, a slow one, an error, or one of another shape
 */
export async function health(base, fetch = globalThis.fetch) {
  const url = `${base}/api/v1/health`;
  let answer;
  try {
    answer = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (error) {
    throw error.name === "TimeoutError"
      ? new Unavailable(`No answer within ${PATIENCE_MS / 1000} seconds.`, "It may be starting. Ask again in a minute.")
      : new Unavailable("It could not be reached.", "It may be down, or this page may not be among the origins it allows.");
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) {
    const told = body?.error?.message ?? `It answered with status ${answer.status}.`;
    throw new Unavailable(told, "Its log says why: look for the request's X-Request-ID.");
  }
  if (!body?.success || typeof body.data !== "object") {
    throw new Unavailable(`${url} is answered by something else.`, "Check `api` in /config.json.");
  }
  return body.data;
}
