// Requests, and what can come instead of an answer of the service.

import {abortable} from "./abortable.js";

const MAX_WAIT_S = 20;

/** The service's own 4xx that speak of the way to it. */
const OF_THE_WAY = ["upload-timeout", "client-left", "content-length", "body-length",
  "encoding-broken"];

/** Told of "unauthenticated": the service wants a key, or no longer takes the one it was given. */
export const access = new EventTarget();

let key = "";

/** Bring an API key along from now on; it lives in the memory of this page alone. */
export function useKey(given) {
  key = given;
}

const credentials = () => (key === "" ? {} : {Authorization: `Bearer ${key}`});

/** What came of the moment, or of the service, and not of the image: sent again, it may be read. */
export class Passing extends Error {
  isRefusal = false;
}

/** Another model answers now than the one that read an image: what the two say is not to be mixed. */
export class Replaced extends Passing {
  constructor() {
    super("The model was replaced since this image was read. Read all again.");
  }
}

/** Nobody waits for it any more; the message says why, and is empty where that need not be told. */
export class Ended extends Error {}

/** What the service said instead of a result; `code` is stable, `message` is for people. */
export class Problem extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? problem?.title ?? strangers(status));
    this.title = problem?.title ?? "";
    this.status = status;
    this.code = problem?.code ?? "";
    // Of the image itself, and in the service's own words: a proxy's are none. Without a key nobody
    // looked at it, and 5xx speak of the service.
    this.isRefusal = this.code !== "" && !OF_THE_WAY.includes(this.code) && status < 500
      && ![401, 403, 408, 429].includes(status);
    if (status === 401) access.dispatchEvent(new Event("unauthenticated"));
  }
}

const strangers = (status) => "No answer of the service came: something between it and this page "
  + `answered ${status}.${status < 500 ? " A proxy may want you to sign in." : ""}`;

/** An answer that the service cannot have given, though it calls itself a good one. */
export const strange = ({status}) => new Passing(strangers(status));

export async function getJson(url) {
  const answer = await fetch(url, {headers: credentials()});
  const said = await answer.json().catch(() => null);
  if (!answer.ok) throw new Problem(answer.status, said);
  if (said === null) throw strange(answer);
  return said;
}

/** Ask again while the service, or our share of it, is full, after as long as it says (Retry-After). */
export async function patiently(ask, onProgress = () => {}, signal = null) {
  for (let tries = 0; ; tries++) {
    const answer = await ask();
    if (answer.status >= 200 && answer.status < 300) return answer;
    if (![429, 503].includes(answer.status)) throw new Problem(answer.status, jsonOf(answer.bytes));
    onProgress("waiting", 0);
    const told = Number(answer.header("Retry-After"));
    await pause(Math.min(MAX_WAIT_S, told > 0 ? told : 2 ** tries), signal);
  }
}

/** Wait, or until nobody does any more. */
function pause(seconds, signal) {
  return abortable(signal, (resolve) => {
    const timer = setTimeout(resolve, 1000 * seconds);
    return () => clearTimeout(timer);
  });
}

/** Return what bytes say as JSON; null for what is none. */
export function jsonOf(bytes) {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}

/**
 * POST with the progress of sending, which `fetch` does not tell.
 *
 * @returns {status, header(name), bytes}: bytes in memory, not a Blob, which the browser lays on the
 *   disk where it is large
 */
export function send(url, body, type, onProgress, signal = null) {
  return abortable(signal, (resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.responseType = "arraybuffer";
    if (type !== null) request.setRequestHeader("Content-Type", type);
    request.setRequestHeader("Accept", "application/json, */*");
    for (const [name, value] of Object.entries(credentials())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({loaded, total}) =>
      onProgress("sending", total > 0 ? loaded / total : 0));
    request.upload.addEventListener("load", () => onProgress("reading", 1));
    request.addEventListener("error", async () => reject(await whyNot(body)));
    request.addEventListener("load", () => resolve({
      status: request.status,
      header: (name) => request.getResponseHeader(name) ?? "",
      bytes: new Uint8Array(request.response ?? new ArrayBuffer(0)),
    }));
    request.send(body);
    return () => request.abort();
  });
}

/** Why a body was not sent: a file that changed on the disk is told by the browser as no answer, too. */
async function whyNot(body) {
  for (const file of body instanceof FormData ? body.values() : [body]) {
    try {
      await file.slice(0, 1).arrayBuffer();
    } catch {
      return new Error(`${file.name} was changed or removed since it was chosen. Choose it again.`);
    }
  }
  return new Passing("The service did not answer.");
}
