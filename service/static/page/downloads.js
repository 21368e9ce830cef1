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
const MISSING = "missing.txt";

const stem = (reading) => reading.name.replace(/\.(dcm|png|jpe?g|tiff?)$/i, "");
const isDicom = (reading) => reading.result.image.sop_instance_uid !== null;

/** Lay out the buttons of one reading. */
export function showDownloads(reading) {
  byId("downloads").replaceChildren(...KINDS.map((kind) => {
    const [name, , , dicom] = kind;
    return button(name, () => told(() => download(reading, kind)), {
      disabled: dicom && !isDicom(reading),
      title: dicom && !isDicom(reading) ? "Only of a DICOM image" : null,
    });
  }));
}

async function download(reading, kind) {
  const [, form, ending] = kind;
  save(form === "json" ? jsonOf(reading.result) : (await formsOf(reading, [kind]))[form],
    stem(reading) + ending);
}

/** Ask for forms of a reading as it was read: {form: Blob}. */
function formsOf({file, options, result}, kinds) {
  const forms = kinds.map(([, form]) => form);
  return segment(file, {...options, output: forms.join(","),
    max_side: forms.includes("overlay") ? OVERLAY_SIDE : ""}, {
    sha256: result.model.sha256,
    onProgress: (state) => state === "waiting" && tell("The service is busy, waiting …"),
  });
}

/**
 * Save all results of a group as one ZIP, and the study's scores if they were asked for. What cannot
 * be made is named, and does not hold up the rest.
 */
export function downloadZip(group, scores) {
  return told(async () => {
    const entries = [];
    const missing = [];
    const nameOf = namer(["study", "missing"]);
    const attempts = group.map(({attempt}) => attempt);
    for (const [index, reading] of group.entries()) {
      tell(`Asking for image ${index + 1} of ${group.length} …`);
      const name = nameOf(stem(reading));
      const {forms, lacking} = await resultsOf(reading);
      for (const [, form, ending] of KINDS) {
        if (form in forms) entries.push([name + ending, forms[form]]);
      }
      missing.push(...lacking.map((line) => `${reading.name}: ${line}`));
    }
    if (group.some(({attempt}, index) => attempt !== attempts[index])) {
      throw new Error("Images were read anew meanwhile. Save them again.");
    }
    if (entries.length === 0) throw new Error(missing.join(" "));
    if (scores) entries.push(["study.json", jsonOf(scores)]);
    if (missing.length > 0) entries.push([MISSING, new Blob([`${missing.join("\n")}\n`])]);
    const folder = group[0].group.name.split("/").pop();
    save(await zip(entries), `${folder || "mammoseg"}-results.zip`);
    return missing.length === 0 ? "Saved." : `Saved, but for: ${missing.join(" ")}`;
  });
}

/** Return what can be made of a reading, {form: Blob}, and in words what cannot. */
async function resultsOf(reading) {
  if (reading.state !== "done") {
    return {forms: {}, lacking: [reading.problem?.message ?? "not read yet."]};
  }
  const kinds = KINDS.filter(([, , , dicom]) => !dicom || isDicom(reading));
  try {
    return {forms: await formsOf(reading, kinds), lacking: []};
  } catch (problem) {
    return problem.isRefusal ? eachOf(reading, kinds) : {forms: {}, lacking: [problem.message]};
  }
}

/** Ask for the pictures, and for each DICOM object: one that is refused had refused them all. */
async function eachOf(reading, kinds) {
  const [forms, lacking] = [{}, []];
  const parts = [kinds.filter(([, , , dicom]) => !dicom),
    ...kinds.filter(([, , , dicom]) => dicom).map((kind) => [kind])];
  for (const part of parts) {
    try {
      Object.assign(forms, await formsOf(reading, part));
    } catch (problem) {
      lacking.push(`${part.map(([name]) => name).join(", ")}: ${problem.message}`);
    }
  }
  return {forms, lacking};
}

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

const jsonOf = (value) => new Blob([JSON.stringify(value, null, 1)], {type: "application/json"});

function tell(text) {
  byId("download-state").textContent = text;
}

/** Tell how a download went: in the words that `work` returns, or as saved. */
async function told(work) {
  tell("Asking the service …");
  try {
    tell((await work()) ?? "Saved.");
  } catch (error) {
    tell(error.message);
  }
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
