// The toolbar: buttons, sliders and choices, which show what keys and mouse have changed, too.

import {byId, checked, choose} from "./elements.js";

const RANGES = ["width", "level", "opacity", "threshold"];
const CHECKS = ["link", "invert", "loupe"];
const CHOICES = ["layout", "drag", "overlay"];
const BUTTONS = ["fit", "one-to-one", "zoom-in", "zoom-out", "reset-window", "model-threshold"];

export class Tools {
  /** @param threshold returns the one that is cut at, which `viewing` may leave to the model */
  constructor(viewing, onChange, onCommand, threshold) {
    this.viewing = viewing;
    this.threshold = threshold;
    for (const id of RANGES) {
      byId(id).addEventListener("input", () => onChange({[id]: byId(id).valueAsNumber}));
    }
    for (const id of CHECKS) {
      byId(id).addEventListener("change", () => onChange({[id]: byId(id).checked}));
    }
    for (const name of CHOICES) {
      for (const radio of document.querySelectorAll(`input[name=${name}]`)) {
        radio.addEventListener("change", () => onChange({[name]: checked(name)}));
      }
    }
    for (const id of BUTTONS) byId(id).addEventListener("click", () => onCommand(id));
    this.show();
  }

  show() {
    for (const id of RANGES) byId(id).value = id === "threshold" ? this.threshold() : this.viewing[id];
    for (const id of CHECKS) byId(id).checked = this.viewing[id];
    for (const name of CHOICES) choose(name, this.viewing[name]);
  }
}
