// The list of images, by the folder and the choice that they came with, with the progress of each.

import {make} from "./elements.js";

const WORDS = {
  waiting: () => "waiting",
  queued: () => "the service is busy, waiting",
  sending: (reading) => `sending, ${Math.round(100 * reading.sent)} %`,
  reading: () => "looking for lesions",
  done: (reading) => `score ${reading.result.has_mask.score.toFixed(3)}`,
  failed: ({problem}) => (problem.status === 401 ? "not read: sign in above" : problem.message),
};

export class Worklist {
  constructor(host, progress, onChoose) {
    this.host = host;
    this.progress = progress;
    this.onChoose = onChoose;
    this.items = new Map();
  }

  /** Lay the whole list out. */
  show(readings, active) {
    const groups = Map.groupBy(readings, (reading) => reading.group);
    this.items.clear();
    const titles = titlesOf([...groups.keys()]);
    this.host.replaceChildren(...[...groups].map(([group, own]) => this.section(titles.get(group), own)));
    this.mark(active);
    this.tell(readings);
  }

  section(title, readings) {
    const list = make("ul", {}, ...readings.map((reading) => this.item(reading)));
    if (!title) return list;
    return make("section", {"aria-label": title}, make("h2", {title}, title), list);
  }

  item(reading) {
    const state = make("span", {class: "item-state"});
    const bar = make("progress", {max: "1", "aria-label": `Progress of ${reading.name}`});
    const name = make("span", {class: "item-name", title: reading.name}, reading.name);
    const view = make("span", {class: "item-view"});
    const choose = make("button", {type: "button", class: "item"}, view, name, state);
    choose.addEventListener("click", () => this.onChoose(reading));
    const item = make("li", {}, choose, bar);
    this.items.set(reading, {item, choose, state, bar, view});
    this.update(reading);
    return item;
  }

  /** Tell the state of one reading. */
  update(reading) {
    const found = this.items.get(reading);
    if (found === undefined) return;
    const {item, state, bar, view} = found;
    item.dataset.state = reading.state;
    state.textContent = WORDS[reading.state](reading);
    view.textContent = reading.state === "done" ? reading.view : "";
    bar.hidden = ["done", "failed"].includes(reading.state);
    if (reading.state === "reading") bar.removeAttribute("value");
    else bar.value = reading.state === "sending" ? reading.sent : 0;
  }

  mark(active) {
    for (const [reading, {choose}] of this.items) {
      if (reading === active) choose.setAttribute("aria-current", "true");
      else choose.removeAttribute("aria-current");
    }
  }

  tell(readings) {
    const count = (state) => readings.filter((reading) => reading.state === state).length;
    const unanswered = readings.filter((reading) => reading.isUnanswered).length;
    const [done, refused] = [count("done"), count("failed") - unanswered];
    const parts = [`${done} of ${readings.length} ${readings.length === 1 ? "image" : "images"} read`];
    if (refused > 0) parts.push(`${refused} refused`);
    if (unanswered > 0) parts.push(`${unanswered} not answered`);
    const text = readings.length === 0 ? "" : parts.join(", ");
    if (this.progress.textContent !== text) this.progress.textContent = text;
  }
}

/** What groups are called: those of equal names are numbered; one alone needs no name. */
function titlesOf(groups) {
  const counts = new Map();
  return new Map(groups.map((group) => {
    const name = group.name || (groups.length > 1 ? "Files" : "");
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return [group, count > 1 ? `${name} (${count})` : name];
  }));
}
