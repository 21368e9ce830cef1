// What the page asks of the service: the same API as everybody's, see openapi.yaml.

const TYPES = {dcm: "application/dicom", png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg",
  tif: "image/tiff", tiff: "image/tiff"};

const MAX_WAIT_S = 20;

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

/** What the service said instead of a result; `code` is stable, `message` is for people. */
export class Problem extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? problem?.title ?? `The service answered ${status}.`);
    this.title = problem?.title ?? "";
    this.status = status;
    this.code = problem?.code ?? "";
    // Of the image itself; without a key nobody looked at it, and 5xx speak of the service.
    this.isRefusal = status < 500 && ![401, 403, 408, 429].includes(status);
    if (status === 401) access.dispatchEvent(new Event("unauthenticated"));
  }
}

export async function model() {
  const answer = await fetch("v1/model", {headers: credentials()});
  if (!answer.ok) throw new Problem(answer.status, await jsonOf(answer));
  return answer.json();
}

/**
 * Send one file; return the forms of its findings: {form: Blob}.
 *
 * @param options {output, pixel_spacing_mm, frame, ...}: the query; empty ones are left out
 * @param onProgress called with "sending" and the share that is sent, "reading", "waiting"
 * @param signal of an AbortController, to ask no more
 * @param sha256 digest of the model that is to answer, and no other; null for any
 */
export async function segment(file, options,
  {onProgress = () => {}, signal = null, sha256 = null} = {}) {
  const query = new URLSearchParams(Object.entries(options).filter(([, value]) => value));
  const type = TYPES[file.name.split(".").pop().toLowerCase()] ?? "application/octet-stream";
  const answer = await patiently(() => send(`v1/segment?${query}`, file, type, onProgress, signal),
    onProgress, signal);
  if (sha256 !== null && answer.headers.get("Mammoseg-Model-Sha256") !== sha256) {
    throw new Passing("The model was replaced since this image was read. Read all again.");
  }
  if (!options.output.includes(",")) return {[options.output]: await answer.blob()};
  return Object.fromEntries(await answer.formData());
}

/** Score several files as one study. */
export async function study(files, options) {
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  const query = new URLSearchParams(Object.entries(options).filter(([, value]) => value));
  const answer = await patiently(() => send(`v1/studies?${query}`, form, null, () => {}));
  return answer.json();
}

/** Ask again while the service, or our share of it, is full, after as long as it says (Retry-After). */
async function patiently(ask, onProgress = () => {}, signal = null) {
  for (let tries = 0; ; tries++) {
    const answer = await ask();
    if (answer.ok) return answer;
    const problem = new Problem(answer.status, await jsonOf(answer));
    if (![429, 503].includes(answer.status)) throw problem;
    onProgress("waiting", 0);
    const told = Number(answer.headers.get("Retry-After"));
    await pause(Math.min(MAX_WAIT_S, told || 2 ** tries), signal);
  }
}

/** Wait, or until nobody does any more. */
function pause(seconds, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, 1000 * seconds);
    signal?.addEventListener("abort", resolve);
  });
}

const jsonOf = (answer) => answer.json().catch(() => null);

/** POST with the progress of sending, which `fetch` does not tell. */
function send(url, body, type, onProgress, signal = null) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    signal?.throwIfAborted();
    signal?.addEventListener("abort", () => request.abort());
    request.addEventListener("abort", () => reject(new Error("Closed.")));
    request.open("POST", url);
    request.responseType = "blob";
    if (type !== null) request.setRequestHeader("Content-Type", type);
    request.setRequestHeader("Accept", "application/json, */*");
    for (const [name, value] of Object.entries(credentials())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", ({loaded, total}) =>
      onProgress("sending", total > 0 ? loaded / total : 0));
    request.upload.addEventListener("load", () => onProgress("reading", 1));
    request.addEventListener("error", async () => reject(await whyNot(body)));
    request.addEventListener("load", () => resolve(new Response(request.response, {
      status: request.status,
      headers: {
        "Content-Type": request.getResponseHeader("Content-Type") ?? "",
        "Retry-After": request.getResponseHeader("Retry-After") ?? "",
        "Mammoseg-Model-Sha256": request.getResponseHeader("Mammoseg-Model-Sha256") ?? "",
      },
    })));
    request.send(body);
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
