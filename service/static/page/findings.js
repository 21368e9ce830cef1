// The panel beside the image: score, threshold, regions, warnings, facts, in plain words.

import {byId, button, make} from "./elements.js";

const NUMBER = new Intl.NumberFormat("en", {maximumFractionDigits: 1});

/** Warnings whose own words speak to programs. */
const HERE = {
  "spacing-assumed": "The image states no pixel spacing. Its long side was taken to be as long as a "
    + "standard detector's, and areas are told in pixels, not in mm². If you know the spacing, "
    + "enter it under Spacing and frame.",
};

/** Where the page tells of an image. */
const TOLD = ["score", "meaning", "threshold-value", "cut", "no-regions", "warnings", "files-note",
  "facts"];

export class FindingsPanel {
  constructor(onRegion) {
    this.onRegion = onRegion;
    this.told = {};
  }

  /** Tell what was found; `viewing` are the page's viewing settings, see main.js. */
  show(reading, viewing) {
    const shown = reading?.state === "done";
    byId("findings").classList.toggle("empty", !shown);
    byId("view-name").textContent = shown ? `${reading.view} · ${reading.name}` : "Findings";
    if (!shown) return this.blank();
    // What is told already stays: a button keeps the focus, and a text that is being chosen, too.
    const {result} = reading;
    const threshold = reading.thresholdBy(viewing);
    const {told} = this;
    // What is told of the cut: one of its pixels, why there are none, or nothing yet.
    const cut = reading.isReady || reading.pictureProblem;
    this.told = {result, threshold, cut};
    if (told.result !== result) this.tellImage(reading);
    if (told.result === result && told.threshold === threshold && told.cut === cut) return;
    this.tellThreshold(reading, viewing);
    if (reading.isReady) this.tellCut(reading, viewing);
    else this.tellOwn(reading);
  }

  /** Keep nothing of an image that is not shown. */
  blank() {
    this.told = {};
    for (const id of TOLD) byId(id).replaceChildren();
    byId("regions").tBodies[0].replaceChildren();
    byId("score-bar").removeAttribute("aria-label");
    byId("score-fill").style.width = byId("score-tick").style.left = "0";
  }

  tellImage(reading) {
    this.tellScore(reading);
    const warnings = reading.result.warnings.map(({code, detail}) =>
      make("li", {}, HERE[code] ?? detail));
    byId("warnings").replaceChildren(...(warnings.length > 0 ? warnings
      : [make("li", {class: "dim"}, "Nothing had to be assumed.")]));
    byId("facts").replaceChildren(...factsOf(reading));
  }

  tellScore({result, contract}) {
    const {score, threshold, decision, chosen_for_sensitivity: sensitivity} = result.has_mask;
    const relation = decision ? "at or above" : "below";
    byId("score").replaceChildren(make("strong", {}, score.toFixed(3)),
      make("span", {}, `${relation} the threshold ${threshold.toFixed(3)}`));
    byId("score-fill").style.width = `${100 * score}%`;
    byId("score-tick").style.left = `${100 * threshold}%`;
    byId("score-bar").setAttribute("aria-label",
      `Score ${score.toFixed(3)} on a scale from 0 to 1; threshold ${threshold.toFixed(3)}`);
    byId("meaning").textContent = meaningOf(decision, sensitivity,
      contract.operating_point);
  }

  tellThreshold(reading, viewing) {
    byId("threshold-value").textContent = reading.thresholdBy(viewing).toFixed(3);
    byId("no-regions").textContent = noteOn(reading.result);
    byId("files-note").textContent = filesNote(reading, viewing);
  }

  tellCut(reading, viewing) {
    const {regions, area} = reading.cutBy(viewing);
    const names = reading.namesBy(viewing);
    const count = `${regions.length} ${regions.length === 1 ? "region" : "regions"}`;
    byId("cut").textContent = regions.length === 0 ? "No region reaches this probability."
      : `${areaText(reading, area)} in ${count}.`;
    byId("area-unit").textContent = reading.areaOf(1) === null ? "Pixels" : "mm²";
    tellRegions(regions.map((region, index) => [
      button(String(index + 1), () => this.onRegion(index),
        {"aria-label": `Centre on region ${index + 1}`}),
      NUMBER.format(reading.areaOf(region.area) ?? region.area),
      region.maximum.toFixed(2),
      names[index],
    ]));
  }

  /** Without its pixels nothing is cut anew: tell the service's own regions, where that is all. */
  tellOwn({result, contract, pictureProblem}) {
    const isAll = pictureProblem !== null;
    byId("cut").textContent = isAll ? "Its picture cannot be had now: these are the service's own "
      + `regions, at the model's threshold ${contract.operating_point.mask.toFixed(3)}.` : "";
    byId("area-unit").textContent = "mm²";
    tellRegions(!isAll ? [] : result.regions.map((region, index) => [
      String(index + 1),
      region.area_mm2 === null ? "unknown" : NUMBER.format(region.area_mm2),
      region.max_probability.toFixed(2),
      region.selected ? "mask" : "candidate",
    ]));
  }
}

const MAX_REGIONS = 50;

function tellRegions(rows) {
  byId("regions").hidden = rows.length === 0;
  byId("regions").tBodies[0].replaceChildren(...rows.slice(0, MAX_REGIONS).map((cells) =>
    make("tr", {}, ...cells.map((cell) => make("td", {}, cell)))));
}

/** Files are the service's: of a threshold that was moved here they know nothing. */
function filesNote(reading, viewing) {
  const shown = reading.thresholdBy(viewing).toFixed(3);
  const own = reading.contract.operating_point.mask.toFixed(3);
  return shown === own ? "" : `The files, those of a ZIP too, hold what the model's threshold ${own} `
    + `gives, not what is shown at ${shown}.`;
}

export function areaText(reading, pixels) {
  const mm2 = reading.areaOf(pixels);
  return mm2 === null ? `${NUMBER.format(pixels)} pixels (no pixel spacing: no mm²)`
    : `${NUMBER.format(mm2)} mm²`;
}

function meaningOf(decision, sensitivity, {chosen_by}) {
  const what = "The score ranks images: the higher, the more suspicious to this net. It is no "
    + "probability.";
  const chosen = sensitivity === null
    ? `How the threshold was chosen: ${chosen_by ?? "not stated"}.`
    : `The threshold was chosen so that ${percent(sensitivity)} of validation images with lesions `
      + "reach it.";
  if (decision) return `${what} ${chosen}`;
  const missed = sensitivity === null ? "" : ` ${percent(1 - sensitivity)} of them do not.`;
  return `${what} ${chosen}${missed} A score below it does not say that there is no lesion.`;
}

const percent = (share) => `${NUMBER.format(100 * share)} %`;

function noteOn({mask, regions}) {
  if (mask.gated) {
    return "The score is below its threshold, so the service's own mask is empty. All regions "
      + "here are candidates.";
  }
  return regions.length === 0 ? "The service names no candidate either." : "";
}

function factsOf({result: {image, model, timing_ms: timing}, file, options}) {
  const spacing = image.pixel_spacing_mm;
  const typed = options.pixel_spacing_mm ? ", typed" : "";
  const facts = [
    ["Side, view", `${image.laterality ?? "unknown"}, ${image.view_position ?? "unknown"}`],
    ["Pixels", `${image.rows} rows × ${image.columns} columns`],
    ["Spacing", spacing ? `${spacing.join(" × ")} mm${typed}` : "unknown"],
    ...(image.frame === null ? [] : [["Frame", `${image.frame}${options.frame ? ", typed" : ""}`]]),
    ["Made for", {presentation: "presentation", processing: "processing", film: "film scan",
      unstated: "not stated"}[image.intent]],
    ["File", `${NUMBER.format(file.size / 1e6)} MB`],
    ["Model", `${model.name} ${model.version}`],
    ["Answered in", `${Math.round(timing.total)} ms`],
  ];
  return facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
}
