// The scores of a study, in plain words.

import {make} from "./elements.js";

/** Return nodes that tell what POST /v1/studies answered. */
export function studyText({study, warnings}) {
  const side = {R: "Right breast", L: "Left breast"};
  const rows = study.breasts.map(({laterality, score, views}) => row(side[laterality], score,
    views.map(({view_position: view}) => view ?? "view unknown").join(", ")));
  if (study.score !== null) rows.push(row("Study", study.score, "mean of all views"));
  const table = make("table", {}, make("thead", {}, make("tr", {},
    ...["Of", "Score", "From"].map((name) => make("th", {scope: "col"}, name)))),
  make("tbody", {}, ...rows));
  const missing = study.missing_views.length === 0 ? "All four standard views are there."
    : `Missing of the four standard views: ${study.missing_views.join(", ")}.`;
  return [table, make("p", {}, `${missing} No threshold applies to these scores: thresholds were `
    + "chosen for single images."),
  make("ul", {}, ...warnings.map(({detail}) => make("li", {}, detail)))];
}

const row = (name, score, from) => make("tr", {}, make("td", {}, name),
  make("td", {}, score.toFixed(3)), make("td", {}, from));
