// The scores of a study. They stand only beside the images that they are of: another image, or one
// that is read anew, and they are gone.

import {byId, make} from "./elements.js";
import {study} from "./service.js";
import {studyText} from "./study-scores.js";

/** More than rounding, less than what the page tells of a score. */
const SAME = 5e-4;

/** Which images, and which attempt at each. */
const stateOf = (readings) => readings.map(({id, attempt}) => `${id}.${attempt}`).join();

export class StudyPanel {
  constructor() {
    this.said = new WeakMap();
    this.readings = [];
    this.told = null;
    byId("study").addEventListener("click", () => this.score());
  }

  /** Tell of a group of readings what is known of just them. */
  show(readings) {
    this.readings = readings;
    const said = this.of(readings);
    const told = said?.result ?? said?.problem ?? said;
    if (told === this.told) return;
    this.told = told;
    byId("study-result").replaceChildren(...nodesOf(said));
  }

  /** Return what the service said of a group as it is now; undefined where it was not asked. */
  scoresOf(readings) {
    return this.of(readings)?.result;
  }

  of(readings) {
    const said = this.said.get(readings[0]?.group);
    return said?.of === stateOf(readings) ? said : null;
  }

  async score() {
    const {readings} = this;
    if (readings.length === 0) return;
    const said = {of: stateOf(readings)};
    this.said.set(readings[0].group, said);
    this.show(readings);
    // What is closed or read anew meanwhile needs no score.
    const signal = AbortSignal.any(readings.map(({leave}) => leave.signal));
    try {
      said.result = await scored(readings, signal);
    } catch (error) {
      said.problem = error.message;
    }
    // By now others may be shown, or these were read anew.
    this.show(this.readings);
  }
}

function nodesOf(said) {
  if (said === null) return [];
  if (said.problem) {
    return [make("p", {class: "problem"}, `No score of the study: ${said.problem}`)];
  }
  return said.result ? studyText(said.result)
    : [make("p", {class: "dim"}, "Asking the service …")];
}

/** Let the service score readings as they were read. */
async function scored(readings, signal) {
  if (!readings.every((reading) => reading.isEnded)) throw new Error("Not all images are read yet.");
  const {pixel_spacing_mm, frame} = readings[0].options;
  if (frame && readings.some((reading) => reading.isWarned("frame-of-several"))) {
    throw new Error("Its images are frames that were chosen, and the service scores no frames.");
  }
  const files = readings.map((reading) => reading.file);
  const answer = await study(files, {pixel_spacing_mm}, signal);
  if (!answer.images.every(({result}, index) => isOf(result, readings[index]))) {
    throw new Error("The service judged the images otherwise than they are shown here. Read all "
      + "again.");
  }
  return answer;
}

/** Whether a study's score counts an image as the page shows it. */
function isOf(result, reading) {
  const shown = reading.result;
  if (result === null || shown === null) return result === shown;
  return result.model.sha256 === shown.model.sha256
    && Math.abs(result.has_mask.score - shown.has_mask.score) < SAME;
}
