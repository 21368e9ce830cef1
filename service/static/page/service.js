// What the page asks of the service: the same API as everybody's, see openapi.yaml.

import {partsOf} from "./multipart.js";
import {Replaced, getJson, jsonOf, patiently, send, strange} from "./requests.js";

const TYPES = {dcm: "application/dicom", png: "image/png", jpg: "image/jpeg", jpeg: "image/jpeg",
  tif: "image/tiff", tiff: "image/tiff"};

/** As many as POST /v1/studies takes (service/api/studies.py). */
export const MAX_STUDY_IMAGES = 32;

export const model = () => getJson("v1/model");

/**
 * Send one file; return the forms of its findings: {form: Uint8Array}.
 *
 * @param options {output, pixel_spacing_mm, frame, ...}: the query; empty ones are left out
 * @param onProgress called with "sending" and the share that is sent, "reading", "waiting"
 * @param signal of an AbortController, to ask no more
 * @param sha256 digest of the model that is to answer, and no other; null for any
 */
export async function segment(file, options,
  {onProgress = () => {}, signal = null, sha256 = null} = {}) {
  const type = TYPES[file.name.split(".").pop().toLowerCase()] ?? "application/octet-stream";
  const answer = await patiently(
    () => send(`v1/segment?${queryOf(options)}`, file, type, onProgress, signal), onProgress, signal);
  const answered = answer.header("Mammoseg-Model-Sha256");
  if (answered === "") throw strange(answer);
  if (sha256 !== null && answered !== sha256) throw new Replaced();
  const forms = options.output.split(",");
  const parts = forms.length === 1 ? {[forms[0]]: answer.bytes}
    : partsOf(answer.bytes, answer.header("Content-Type"));
  if (!forms.every((form) => parts[form]?.length > 0)) throw strange(answer);
  return parts;
}

/** Score several files as one study. */
export async function study(files, options, signal) {
  if (files.length > MAX_STUDY_IMAGES) {
    throw new Error(`The service scores up to ${MAX_STUDY_IMAGES} images as one study, and these are `
      + `${files.length}.`);
  }
  const form = new FormData();
  for (const file of files) form.append("file", file, file.name);
  const answer = await patiently(
    () => send(`v1/studies?${queryOf(options)}`, form, null, () => {}, signal), () => {}, signal);
  const said = jsonOf(answer.bytes);
  if (!said?.study) throw strange(answer);
  return said;
}

const queryOf = (options) =>
  new URLSearchParams(Object.entries(options).filter(([, value]) => value));
