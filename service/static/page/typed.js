// Spacing and frame, as they were typed: they hold for the images that are opened next, and are told
// where their fields lie hidden, too.

import {byId} from "./elements.js";

const FIELDS = ["spacing", "frame"];

const valueOf = (id) => byId(id).value.trim();

/** Return them as the service is asked with them. */
export const typed = () => ({pixel_spacing_mm: valueOf("spacing"), frame: valueOf("frame")});

export function watchTyped() {
  for (const id of FIELDS) byId(id).addEventListener("input", tellTyped);
  tellTyped();
}

/** They were of images that are closed: the next may be another patient's. */
export function forgetTyped() {
  for (const id of FIELDS) byId(id).value = "";
  tellTyped();
}

function tellTyped() {
  const {pixel_spacing_mm: spacing, frame} = typed();
  const parts = [spacing && `${spacing} mm`, frame && `frame ${frame}`].filter(Boolean);
  byId("typed").textContent = parts.length > 0 ? `typed: ${parts.join(", ")}` : "";
}
