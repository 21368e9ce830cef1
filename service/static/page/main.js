// The page: what it holds, and who tells whom. Start reading here.

import {tellStyles} from "./colours.js";
import {showDownloads, tell} from "./downloads.js";
import {byId, choose} from "./elements.js";
import {ofChoice, ofDrop, passedOverText} from "./files.js";
import {FindingsPanel} from "./findings.js";
import {Hanging} from "./hanging.js";
import {keyList} from "./keys.js";
import {Models} from "./models.js";
import {Readings} from "./readings.js";
import {saveZip, stopZip} from "./results-zip.js";
import {saved} from "./saved.js";
import {signIn} from "./sign-in.js";
import {StudyPanel} from "./study-panel.js";
import {Tools} from "./tools.js";
import {forgetTyped, typed, watchTyped} from "./typed.js";
import {Worklist} from "./worklist.js";

/**
 * How images are shown; one for all of them. Window and level in percent of the display's range;
 * a threshold of null is that of the model which read an image, whichever that was.
 */
const viewing = {layout: "one", link: true, drag: "window", width: 100, level: 50, invert: false,
  loupe: false, overlay: "outline", opacity: 80, threshold: null};

const WHOLE_WINDOW = {width: 100, level: 50, invert: false};

let active = null;

/** The region of the active image that was looked at last; -1 for none yet. */
let centred = -1;

const models = new Models();
const readings = new Readings(models);
const worklist = new Worklist(byId("list"), byId("progress"), (reading) => present(reading));
const panel = new FindingsPanel((index) => centreOn(index));
const studyPanel = new StudyPanel();
const hanging = new Hanging(byId("panes"), viewing, {
  active: (reading) => activate(reading),
  viewing: (changes) => change(changes),
  command: (name) => COMMANDS[name](),
  again: (reading) => again(reading),
});
const tools = new Tools(viewing, change, (name) => COMMANDS[name](), () => threshold());

const groupOf = (reading) => readings.all.filter((one) => one.group === reading?.group);

function activate(reading) {
  if (reading !== active) centred = -1;
  active = reading;
  worklist.mark(reading);
  panel.show(reading, viewing);
  tools.show();
  tellModel();
  showDownloads(reading?.state === "done" ? reading : null);
  studyPanel.show(groupOf(reading));
}

/** Show a reading; its pixels come back if they were let go. */
async function show(reading) {
  hanging.hang(groupOf(reading), reading);
  // None of a group of special views has a place among the four.
  if (reading && hanging.active.reading === null) return present(reading);
  // All of them, the decoded too: what is looked at is not to be let go.
  const shown = hanging.shownPanes.map((pane) => pane.reading);
  await Promise.all(shown.filter((one) => one?.state === "done").map((one) => readings.decode(one)));
  hanging.draw();
  return activate(hanging.active.reading);
}

/** Show a reading that was asked for, alone where the four views have no place for it. */
async function present(reading) {
  hanging.hang(groupOf(reading), reading);
  if (hanging.active.reading !== reading) change({layout: "one"});
  await show(reading);
}

/** Ask again for the picture of a reading; where its model is gone, for all that is found in it. */
function again(reading) {
  if (reading.isOutdated) {
    readings.start([reading], reading.options);
    worklist.update(reading);
  }
  show(reading);
}

function change(changes) {
  const rearranged = (changes.layout ?? viewing.layout) !== viewing.layout;
  Object.assign(viewing, changes);
  tools.show();
  if (rearranged) {
    const focused = byId("panes").contains(document.activeElement);
    hanging.arrange();
    if (active) show(active);
    if (focused) hanging.active.element.focus();
  }
  if ("threshold" in changes) {
    // Regions of another threshold are others, and counted anew.
    centred = -1;
    panel.show(active, viewing);
  }
  hanging.draw();
}

function centreOn(index) {
  const region = active.cutBy(viewing).regions[index];
  const pane = hanging.active;
  const [, , width, height] = region.bbox;
  // Large enough to be seen, small enough for what lies around it.
  const near = Math.min(pane.size.width / width, pane.size.height / height) / 3;
  pane.centre(region.centroid, Math.min(1.5, Math.max(near, pane.fitting().zoom)));
  centred = index;
}

function step(by) {
  const group = groupOf(active);
  const next = group[(group.indexOf(active) + by + group.length) % group.length];
  if (next) present(next);
}

/** The threshold that the active image is cut at. */
function threshold() {
  return viewing.threshold ?? models.of(active)?.contract.operating_point.mask ?? 0.5;
}

function moveThreshold(by) {
  change({threshold: Math.min(0.99, Math.max(0.01, threshold() + by))});
}

function tellModel() {
  const told = models.of(active);
  if (told === null) return;
  byId("model").textContent = `${told.contract.name} ${told.contract.version} on ${told.device}`;
}

const OVERLAYS = ["none", "outline", "fill", "heatmap", "activation"];

const COMMANDS = {
  fit: () => hanging.fit(),
  "one-to-one": () => hanging.active.oneToOne(),
  "zoom-in": () => hanging.active.zoomBy(1.25),
  "zoom-out": () => hanging.active.zoomBy(0.8),
  "reset-window": () => change(WHOLE_WINDOW),
  "toggle-layout": () => change({layout: viewing.layout === "one" ? "four" : "one"}),
  "next-overlay": () => change({
    overlay: OVERLAYS[(OVERLAYS.indexOf(viewing.overlay) + 1) % OVERLAYS.length],
  }),
  "threshold-down": () => moveThreshold(-0.02),
  "threshold-up": () => moveThreshold(0.02),
  "model-threshold": () => change({threshold: null}),
  "next-region": () => {
    const count = active?.isReady ? active.cutBy(viewing).regions.length : 0;
    if (count > 0) centreOn((centred + 1) % count);
  },
  "next-image": () => step(1),
  "previous-image": () => step(-1),
};

function take({found, passedOver}) {
  byId("passed-over").textContent = passedOverText(passedOver);
  if (found.length === 0) return;
  const added = readings.add(found, typed());
  worklist.show(readings.all, active);
  const group = groupOf(added[0]);
  change({layout: group.length > 1 ? "four" : "one"});
  show(added[0]);
}

readings.addEventListener("change", ({detail: reading}) => {
  byId("clear").hidden = readings.all.length === 0;
  byId("resend").hidden = !readings.all.some((one) => one.isUnanswered);
  document.body.classList.toggle("reading", readings.all.length > 0);
  worklist.tell(readings.all);
  if (reading !== null) worklist.update(reading);
  if (reading === null || reading.isEnded) studyPanel.show(groupOf(active));
  if (!reading?.isEnded) return;
  // In a study, what has come so far hangs at once; in one pane, only the image that is awaited.
  if (reading === active || active === null || viewing.layout === "four"
    && hanging.group.includes(reading)) show(active ?? reading);
});

/** Forget the images, and what was set for them: the next may be another patient's. */
function closeAll() {
  readings.clear();
  saved.forget();
  forgetTyped();
  byId("passed-over").textContent = "";
  worklist.show([], null);
  hanging.clear();
  activate(null);
  change({...WHOLE_WINDOW, threshold: null});
  tell("");
  byId("choose-files").focus();
}

byId("zip").addEventListener("click", () => {
  const group = groupOf(active);
  saveZip(group, studyPanel.scoresOf(group));
});
byId("zip-stop").addEventListener("click", stopZip);

byId("choose-files").addEventListener("click", () => byId("files").click());
byId("choose-folder").addEventListener("click", () => byId("folder").click());
for (const id of ["files", "folder"]) {
  byId(id).addEventListener("change", ({target}) => {
    take(ofChoice(target.files));
    target.value = "";
  });
}
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(name, async (event) => {
    event.preventDefault();
    document.body.classList.toggle("over", name === "dragenter" || name === "dragover");
    if (name === "drop") take(await ofDrop(event.dataTransfer));
  });
}
byId("again").addEventListener("click", () => {
  readings.start(readings.all, typed());
  worklist.show(readings.all, active);
  hanging.draw();
});
byId("resend").addEventListener("click", () => readings.resend());
byId("clear").addEventListener("click", closeAll);
byId("key-list").replaceChildren(keyList());
document.addEventListener("keydown", ({key}) => {
  if (key === "Escape") byId("keys").open = false;
});

byId("not-loaded").remove();
byId("model").textContent = "Asking the service which model it serves …";
watchTyped();
signIn(() => models.ask(), () => {
  // With a key its picture may be had, too.
  show(active);
  readings.resend();
}, (error) => {
  byId("model").textContent = `The service does not say which model it serves: ${error.message}`;
});
choose("layout", viewing.layout);
tellStyles();
