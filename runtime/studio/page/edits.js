// Directions of files, for edit=: sliders for those of each file that was given to the page.

import { box, button, make, range } from "./dom.js";
import { entriesOf } from "./numpy.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./engine.js").DirectionsFile} DirectionsFile */

const MOST = 8; // how far
const FIRST = 16; // directions of a file that have sliders; of those behind them, the ones that are moved
const LARGEST = 1 << 24; // bytes
const LAYERS = /^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*$/;

/** Whether it is a .npz with the entry directions; what else may be such, somebody has to say. @param {File} file */
export async function holdsDirections(file) {
  if (!/\.npz$/i.test(file.name) || file.size > LARGEST) return false;
  try {
    return entriesOf(new Uint8Array(await file.arrayBuffer())).has("directions.npy");
  } catch {
    return false; // no zip file: what reads it as a seed says so
  }
}

/**
 * @param {Store} store
 * @param {Engine} engine
 * @param {(error: unknown) => void} complain
 * @returns {(file: File) => Promise<void>}  takes a file
 */
export function setUpEdits(store, engine, complain) {
  /** What is known of files of this model. @type {Map<string, DirectionsFile>} */
  let known = new Map();
  let model = "";
  let drawn = "";
  /** @type {(() => void)[]} */
  let follow = [];

  /** @param {string} file @param {number} k @param {number} far @param {boolean} settled */
  const move = (file, k, far, settled) => store.set({ edits: store.state.edits.map((edits) => (edits.file === file ? { file, far: { ...edits.far, [k]: far } } : edits)) }, settled);

  /** @param {string} file @param {number} k */
  function row(file, k) {
    const input = make("input", { type: "range", min: String(-MOST), max: String(MOST), step: "0.1", value: "0", "aria-label": `${file}: direction ${k}` });
    const output = make("output", {});
    input.addEventListener("input", () => move(file, k, Number(input.value), false));
    input.addEventListener("change", () => move(file, k, Number(input.value), true));
    input.addEventListener("dblclick", () => move(file, k, 0, true));
    follow.push(() => {
      const far = store.state.edits.find((edits) => edits.file === file)?.far[k] ?? 0;
      if (document.activeElement !== input || Number(input.value) !== far) input.value = String(far);
      output.textContent = far.toFixed(1);
    });
    return make("label", { class: "slider" }, `Direction ${k}`, input, output);
  }

  /** The directions that have sliders. @param {string} file @param {Record<number, number>} far */
  const numbers = (file, far) => [...new Set([...Array(Math.min(FIRST, known.get(file)?.count ?? 0)).keys(), ...Object.keys(far).map(Number)])].sort((a, b) => a - b);

  function draw() {
    follow = [];
    box("edits").replaceChildren(...store.state.edits.map(({ file, far }) => {
      const count = known.get(file)?.count ?? 0;
      const remove = make("button", { type: "button", class: "icon", "aria-label": `Remove ${file}`, title: "Remove" }, "\u00d7");
      remove.addEventListener("click", () => store.set({ edits: store.state.edits.filter((edits) => edits.file !== file) }));
      return make("section", { class: "edits", "aria-label": `Directions of ${file}` },
        make("div", { class: "row head" }, make("h3", {}, file), make("span", { class: "hint" }, count > FIRST ? `the first of ${count}` : ""), remove),
        ...numbers(file, far).map((k) => row(file, k)));
    }));
  }

  /** Draws where other sliders are needed than there are, and sets them all. */
  function update() {
    const now = JSON.stringify([model, store.state.edits.map(({ file, far }) => [file, numbers(file, far)])]);
    if (now !== drawn) {
      drawn = now;
      draw();
    }
    for (const step of follow) step();
  }

  /** Files that a picture named. */
  async function learn() {
    const name = store.model.name;
    for (const { file } of store.state.edits.filter(({ file }) => !known.has(file))) {
      known.set(file, { name: file, count: 0, styles: null });
      const about = await engine.directions(name, file).catch(() => undefined); // the picture says what is wrong with it
      if (!about || name !== store.model.name) continue;
      known.set(file, about);
      update();
    }
  }

  /** @param {File} file */
  async function take(file) {
    const about = await engine.directions(store.model.name, file);
    known.set(about.name, about);
    const { edits } = store.state;
    store.set({ edits: edits.some(({ file }) => file === about.name) ? edits : [...edits, { file: about.name, far: {} }] });
    const details = box("directions-box");
    if (details instanceof HTMLDetailsElement) details.open = true;
    box("edits").lastElementChild?.scrollIntoView({ block: "nearest" });
  }

  const layers = range("layers");
  layers.addEventListener("change", () => {
    const value = layers.value.replace(/\s/g, "");
    const last = Math.max(...value.split(/[-,]/).map(Number));
    const fits = !value || (LAYERS.test(value) && last < store.model.styles);
    layers.setCustomValidity(fits ? "" : `Styles 0 to ${store.model.styles - 1}, such as 0-2,5`);
    if (fits) store.set({ layers: value });
    else layers.reportValidity();
  });
  layers.addEventListener("input", () => layers.setCustomValidity(""));
  const file = range("directions-file");
  button("more-directions").addEventListener("click", () => file.click());
  file.addEventListener("change", async () => {
    const [given] = file.files ?? [];
    try {
      if (given) await take(given);
    } catch (error) {
      complain(error);
    }
    file.value = "";
  });
  store.listen(() => {
    const { state } = store;
    if (model !== store.model.name + store.model.digest) {
      model = store.model.name + store.model.digest;
      known = new Map();
    }
    update();
    if (state.edits.some(({ file }) => !known.has(file))) void learn();
    box("layers-row").hidden = !state.edits.length;
    if (document.activeElement !== layers) layers.value = state.layers;
  });
  return take;
}
