// Results as files. The service keeps nothing: what the page does not hold is asked for again.

import {byId, button} from "./elements.js";
import {segment} from "./service.js";
import {zip} from "./zip.js";

/** [what the button says, form, end of the file's name, whether the source must be DICOM]. */
const KINDS = [
  ["JSON", "json", ".json", false],
  ["Mask PNG", "mask", "-mask.png", false],
  ["Overlay PNG", "overlay", "-overlay.png", false],
  ["SEG", "seg", "-seg.dcm", true],
  ["SR", "sr", "-sr.dcm", true],
];
const OVERLAY_SIDE = 4096;

const stem = (reading) => reading.name.replace(/\.(dcm|png|jpe?g|tiff?)$/i, "");
const isDicom = (reading) => reading.result.image.sop_instance_uid !== null;

/** Lay out the buttons of one reading. */
export function showDownloads(reading) {
  byId("downloads").replaceChildren(...KINDS.map(([name, form, ending, dicom]) =>
    button(name, () => told(() => download(reading, form, ending)), {
      disabled: dicom && !isDicom(reading),
      title: dicom && !isDicom(reading) ? "Only of a DICOM image" : null,
    })));
}

async function download(reading, form, ending) {
  save(await fileOf(reading, form), stem(reading) + ending);
}

async function fileOf(reading, form) {
  if (form === "json") return jsonOf(reading.result);
  return (await segment(reading.file, {...reading.options, output: form,
    max_side: form === "overlay" ? OVERLAY_SIDE : ""}))[form];
}

/** Save all results of a group as one ZIP, and the study's scores if they were asked for. */
export function downloadZip(group, scores) {
  return told(async () => {
    const readings = group.filter((reading) => reading.state === "done");
    const entries = [];
    const used = new Set();
    for (const [index, reading] of readings.entries()) {
      byId("download-state").textContent = `Asking for image ${index + 1} of ${readings.length} …`;
      const kinds = KINDS.filter(([, , , dicom]) => !dicom || isDicom(reading));
      const forms = await segment(reading.file, {...reading.options, max_side: OVERLAY_SIDE,
        output: kinds.map(([, form]) => form).join(",")});
      const name = used.has(stem(reading)) ? `${stem(reading)}-${index + 1}` : stem(reading);
      used.add(name);
      for (const [, form, ending] of kinds) entries.push([name + ending, forms[form]]);
    }
    if (scores) entries.push(["study.json", jsonOf(scores)]);
    const folder = group[0].group.name.split("/").pop();
    save(await zip(entries), `${folder || "mammoseg"}-results.zip`);
  });
}

const jsonOf = (value) => new Blob([JSON.stringify(value, null, 1)], {type: "application/json"});

/** Tell how a download went. */
async function told(work) {
  const state = byId("download-state");
  state.textContent = "Asking the service …";
  try {
    await work();
    state.textContent = "Saved.";
  } catch (error) {
    state.textContent = error.message;
  }
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
