// The results of a group of images as a ZIP, or as several where they are many.

import {KINDS, formsOf, isDicom, jsonBytes, stem, tell, told} from "./downloads.js";
import {byId} from "./elements.js";
import {Ended} from "./requests.js";
import {saved} from "./saved.js";
import {Zip} from "./zip.js";

const MISSING = "missing.txt";

/** A ZIP is whole in memory before it is saved; it may hold no more than 4 GiB or 65,535 files. */
const MAX_BYTES = 2 ** 29;
const MAX_ENTRIES = 60_000;

let stop = null;

/**
 * Save all results of a group, and the study's scores if they were asked for. What cannot be made is
 * named, and does not hold up the rest. Ended by `stopZip`, and by what closes or reads anew one of
 * the images.
 */
export async function saveZip(group, scores) {
  if (stop !== null || group.length === 0) return;
  stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ...group.map(({leave}) => leave.signal)]);
  byId("zip-stop").hidden = false;
  await told(signal, () => made(group, scores, signal));
  stop = null;
  if (document.activeElement === byId("zip-stop")) byId("zip").focus();
  byId("zip-stop").hidden = true;
}

export function stopZip() {
  stop?.abort(new Ended("Stopped: the ZIP was not saved."));
}

async function made(group, scores, signal) {
  const folder = (group[0].group.name ?? "").split("/").pop() || "mammoseg";
  const missing = [];
  const nameOf = namer(["study", "missing"]);
  const zips = new Zips(`${folder}-results`);
  for (const [index, reading] of group.entries()) {
    tell(`Asking for image ${index + 1} of ${group.length} …`);
    const name = nameOf(stem(reading));
    const {forms, lacking} = await resultsOf(reading, signal);
    signal.throwIfAborted();
    for (const [, form, ending] of KINDS) if (form in forms) zips.add(name + ending, forms[form]);
    missing.push(...lacking.map((line) => `${reading.name}: ${line}`));
  }
  if (zips.isEmpty) throw new Error(missing.join(" "));
  if (scores) zips.add("study.json", jsonBytes(scores));
  if (missing.length > 0) zips.add(MISSING, new TextEncoder().encode(`${missing.join("\n")}\n`));
  const count = zips.end();
  const said = count === 1 ? "Saved" : `Saved as ${count} ZIPs`;
  return missing.length === 0 ? `${said}.` : `${said}, but for: ${missing.join(" ")}`;
}

/** ZIPs of a bounded size: the first is saved when the next is begun. */
class Zips {
  constructor(name) {
    this.name = name;
    this.count = 0;
    this.zip = new Zip();
  }

  get isEmpty() {
    return this.count === 0 && this.zip.count === 0;
  }

  add(name, bytes) {
    const {zip} = this;
    const isFull = zip.size + bytes.length > MAX_BYTES || zip.count === MAX_ENTRIES;
    if (isFull && zip.count > 0) {
      this.save(`-${this.count + 1}`);
      this.zip = new Zip();
    }
    this.zip.add(name, bytes);
  }

  /** Save what is left; return how many ZIPs there were. */
  end() {
    this.save(this.count === 0 ? "" : `-${this.count + 1}`);
    return this.count;
  }

  save(number) {
    saved.save(this.zip.parts(), `${this.name}${number}.zip`);
    this.count++;
  }
}

/** Return what can be made of a reading, {form: Uint8Array}, and in words what cannot. */
async function resultsOf(reading, signal) {
  if (reading.state !== "done") {
    return {forms: {}, lacking: [reading.problem?.message ?? "not read yet."]};
  }
  // What was found is here, whatever becomes of the rest.
  const forms = {json: jsonBytes(reading.result)};
  const kinds = KINDS.filter(([, form, , dicom]) => form !== "json" && (!dicom || isDicom(reading)));
  const problem = await askFor(reading, kinds, signal, forms);
  if (problem === null) return {forms, lacking: []};
  // Ask for the pictures, and for each DICOM object: one that is refused had refused them all.
  const parts = problem.isRefusal ? [kinds.filter(([, , , dicom]) => !dicom),
    ...kinds.filter(([, , , dicom]) => dicom).map((kind) => [kind])] : [];
  const lacking = problem.isRefusal ? [] : [lackOf(kinds, problem)];
  for (const part of parts) {
    const refusal = await askFor(reading, part, signal, forms);
    if (refusal !== null) lacking.push(lackOf(part, refusal));
  }
  return {forms, lacking};
}

/** Add what is asked for to `forms`; return why there is none of it, or null. */
async function askFor(reading, kinds, signal, forms) {
  try {
    Object.assign(forms, await formsOf(reading, kinds, signal));
    return null;
  } catch (problem) {
    signal.throwIfAborted();
    return problem;
  }
}

const lackOf = (kinds, {message}) => `${kinds.map(([name]) => name).join(", ")}: ${message}`;

/** Tell equal names apart, by a number that no other has; what is reserved is nobody's. */
function namer(reserved) {
  // Where a ZIP is unpacked, A and a may be one.
  const used = new Set(reserved);
  return (wanted) => {
    let name = wanted;
    for (let number = 2; used.has(name.toLowerCase()); number++) name = `${wanted}-${number}`;
    used.add(name.toLowerCase());
    return name;
  };
}
