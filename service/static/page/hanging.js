// Which image hangs in which pane, and panes that move together.

import {Pane} from "./pane.js";
import {aligned, following} from "./placement.js";

/** In the order of hanging: the right breast on the left, so that chest walls face each other. */
const STANDARD = [["R", "CC"], ["L", "CC"], ["R", "MLO"], ["L", "MLO"]];

export class Hanging {
  constructor(host, viewing, on) {
    this.host = host;
    this.viewing = viewing;
    this.panes = STANDARD.map(() => new Pane(viewing, {
      ...on,
      activate: (pane) => this.activate(pane),
      moved: (pane) => this.follow(pane),
      first: () => this.refit(),
    }));
    this.onActive = on.active;
    this.active = this.panes[0];
    this.group = [];
    host.append(...this.panes.map((pane) => pane.element));
    this.arrange();
  }

  get shownPanes() {
    return this.viewing.layout === "four" ? this.panes : [this.panes[0]];
  }

  /** Hang a group of readings, one of them active. */
  hang(group, reading) {
    this.group = group;
    if (this.viewing.layout === "one") {
      this.panes[0].show(reading);
      this.activate(this.panes[0]);
      return;
    }
    const chosen = places(group, reading);
    this.panes.forEach((pane, index) => pane.show(chosen[index] ?? null, STANDARD[index].join(" ")));
    const pane = this.panes.find((one) => one.reading === reading)
      ?? this.panes.find((one) => one.reading !== null) ?? this.panes[0];
    this.activate(pane);
  }

  /** Show nothing, and know of nothing that was shown. */
  clear() {
    this.group = [];
    for (const pane of this.panes) pane.show(null);
    this.activate(this.panes[0]);
  }

  arrange() {
    this.host.dataset.layout = this.viewing.layout;
    this.panes.forEach((pane, index) => {
      pane.element.hidden = this.viewing.layout === "one" && index > 0;
      pane.placement = null;
    });
  }

  activate(pane) {
    if (pane === this.active && pane.reading === this.told) return;
    this.active = pane;
    this.told = pane.reading;
    for (const one of this.panes) one.element.classList.toggle("active", one === pane);
    this.onActive(pane.reading);
  }

  /** Let the other panes show the same place at the same scale. */
  follow(moved) {
    if (this.viewing.layout !== "four" || !this.viewing.link) return;
    for (const pane of this.panes) {
      if (pane === moved || !pane.ready) continue;
      pane.isFitted = false;
      pane.placement = following(moved.placement, moved.reading, pane.reading);
      pane.draw();
    }
  }

  /** Fit all panes at one scale, so that the breasts can be compared. */
  fit() {
    const panes = this.shownPanes.filter((pane) => pane.ready);
    const common = this.viewing.link ? this.scaleOf(panes) : Infinity;
    for (const pane of panes) {
      pane.placement = this.atScale(pane, common);
      pane.isFitted = true;
      pane.draw();
    }
  }

  /** CSS pixels a millimetre at which each of the panes shows its whole breast. */
  scaleOf(panes) {
    return Math.min(...panes.map((pane) => pane.fitting().zoom / pane.reading.mm));
  }

  atScale(pane, scale) {
    const fit = pane.fitting();
    const zoom = Math.min(fit.zoom, scale * pane.reading.mm);
    const side = this.viewing.layout === "four" ? pane.reading.side : null;
    return aligned(pane.size, zoom, [fit.x, fit.y], pane.reading, side);
  }

  /** An image came into sight: let those that are shown whole have one scale. */
  refit() {
    if (this.viewing.layout !== "four" || !this.viewing.link) return;
    if (this.shownPanes.some((pane) => pane.ready && !pane.isFitted)) return;
    queueMicrotask(() => this.fit());
  }

  draw() {
    for (const pane of this.shownPanes) pane.draw();
  }
}

/**
 * Choose the reading for each standard view; those of which too little is known to say fill what is
 * left. What is known is kept to: nothing hangs on the other side, and neither a special view nor
 * one that is none of the four, such as LM or XCCL, hangs in their places.
 */
function places(readings, preferred) {
  const group = readings.filter((reading) => !reading.isSpecial);
  const known = ({result}) => [result?.image.laterality, result?.image.view_position];
  const fits = (reading, view) => known(reading).every((one, at) => one === view[at]);
  const chosen = STANDARD.map((view) => {
    const candidates = group.filter((reading) => fits(reading, view));
    return candidates.includes(preferred) ? preferred : candidates[0];
  });
  let rest = group.filter((reading) => !STANDARD.some((view) => fits(reading, view)));
  // What was chosen is shown, even where others of unknown view came before it; and what fits fewer
  // places goes before what fits all.
  const unknown = (reading) => known(reading).filter((one) => !one).length;
  rest.sort((one, other) => (other === preferred) - (one === preferred)
    || unknown(one) - unknown(other));
  return STANDARD.map((view, index) => {
    const reading = chosen[index]
      ?? rest.find((one) => known(one).every((told, at) => !told || told === view[at]));
    rest = rest.filter((one) => one !== reading);
    return reading;
  });
}
