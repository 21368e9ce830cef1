// Results as files. The service keeps nothing: what the page does not hold is asked for again.

import {byId, button} from "./elements.js";
import {Ended} from "./requests.js";
import {saved} from "./saved.js";
import {segment} from "./service.js";

/** [what the button says, form, end of the file's name, whether the source must be DICOM]. */
export const KINDS = [
  ["JSON", "json", ".json", false],
  ["Mask PNG", "mask", "-mask.png", false],
  ["Overlay PNG", "overlay", "-overlay.png", false],
  ["SEG", "seg", "-seg.dcm", true],
  ["SR", "sr", "-sr.dcm", true],
];
const OVERLAY_SIDE = 4096;

/** What parts paths, or turns the rest of a name around (Unicode Standard Annex 9, 2). */
const NOT_IN_NAMES = /[\\/:*?"<>|\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The name of a reading's file, as names of what is made of it begin. */
export const stem = (reading) => reading.name.replace(/\.(dcm|png|jpe?g|tiff?)$/i, "")
  .replace(NOT_IN_NAMES, "_").replace(/^\.+/, "_");

export const isDicom = (reading) => reading.result.image.sop_instance_uid !== null;

export const jsonBytes = (value) => new TextEncoder().encode(JSON.stringify(value, null, 1));

/** The answer that the buttons are of: they stay as they are while it does. */
let shown = null;

/** Lay out the buttons of one reading; without one, none. */
export function showDownloads(reading) {
  const result = reading?.result ?? null;
  if (result === shown) return;
  shown = result;
  byId("downloads").replaceChildren(...(result === null ? [] : KINDS.map((kind) => {
    const [name, , , dicom] = kind;
    return button(name, () => told(reading.leave.signal, () => download(reading, kind)), {
      disabled: dicom && !isDicom(reading),
      title: dicom && !isDicom(reading) ? "Only of a DICOM image" : null,
    });
  })));
}

async function download(reading, kind) {
  const {leave: {signal}, result} = reading;
  const [, form, ending] = kind;
  const bytes = form === "json" ? jsonBytes(result) : (await formsOf(reading, [kind], signal))[form];
  signal.throwIfAborted();
  saved.save([bytes], stem(reading) + ending);
}

/** Ask for forms of a reading as it was read: {form: Uint8Array}. */
export function formsOf({file, options, result}, kinds, signal) {
  const forms = kinds.map(([, form]) => form);
  return segment(file, {...options, output: forms.join(","),
    max_side: forms.includes("overlay") ? OVERLAY_SIDE : ""}, {
    signal,
    sha256: result.model.sha256,
    onProgress: (state) => state === "waiting" && tell("The service is busy, waiting …"),
  });
}

export function tell(text) {
  byId("download-state").textContent = text;
}

/** Tell how a download went: in the words that `work` returns, as saved, or why it was ended. */
export async function told(signal, work) {
  tell("Asking the service …");
  try {
    tell((await work()) ?? "Saved.");
  } catch (error) {
    tell((signal.reason instanceof Ended ? signal.reason : error).message);
  }
}
