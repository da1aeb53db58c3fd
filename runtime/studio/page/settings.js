// Truncation, noise, class and transform: what a model has of them.

import { box, button, byId, make, range } from "./dom.js";
import { LARGEST_SEED } from "./state.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./state.js").State} State */

/**
 * Control -> how it changes the state, what it shows of it, and its words.
 * @type {Record<string, {change: (value: number, store: Store) => Partial<State>, shown: (state: State, store: Store) => number,
 *   words?: (state: State, store: Store) => string}>}
 */
const CONTROLS = {
  trunc: { change: (trunc) => ({ trunc }), shown: ({ trunc }) => trunc, words: ({ trunc }) => trunc.toFixed(2) },
  cutoff: {
    change: (cutoff, { model }) => ({ cutoff: cutoff === model.styles ? null : cutoff }),
    shown: ({ cutoff }, { model }) => cutoff ?? model.styles,
    words: ({ cutoff }) => (cutoff === null ? "all" : String(cutoff)),
  },
  "noise-seed": { change: (value) => ({ noiseSeed: Math.min(LARGEST_SEED, Math.max(0, Math.floor(value) || 0)) }), shown: ({ noiseSeed }) => noiseSeed },
  strength: { change: (strength) => ({ strength }), shown: ({ strength }) => strength, words: ({ strength }) => strength.toFixed(2) },
  label: {
    change: (label, { model }) => ({ label: Math.min(model.classes - 1, Math.max(0, Math.floor(label) || 0)) }),
    shown: ({ label }) => label,
  },
  rotate: { change: (rotate) => ({ rotate }), shown: ({ rotate }) => rotate, words: ({ rotate }) => `${rotate}°` },
  x: { change: (x) => ({ x }), shown: ({ x }) => x, words: ({ x }) => x.toFixed(2) },
  y: { change: (y) => ({ y }), shown: ({ y }) => y, words: ({ y }) => y.toFixed(2) },
  zoom: { change: (value) => ({ zoom: Number((2 ** value).toFixed(4)) }), shown: ({ zoom }) => Math.log2(zoom), words: ({ zoom }) => `${zoom.toFixed(2)}×` },
};

/** @param {Store} store */
export function setUpSettings(store) {
  for (const [id, { change, shown, words }] of Object.entries(CONTROLS)) {
    const input = range(id);
    input.addEventListener("input", () => store.set(change(Number(input.value), store), false));
    input.addEventListener("change", () => store.set(change(Number(input.value), store)));
    if (input.type === "range") input.addEventListener("dblclick", () => store.set(change(Number(input.defaultValue), store)));
    store.listen((settled) => {
      if (settled || document.activeElement !== input) input.value = String(shown(store.state, store));
      if (words) {
        const said = words(store.state, store);
        box(`${id}-out`).textContent = said;
        input.setAttribute("aria-valuetext", said);
      }
    });
  }
  const noise = byId("noise", HTMLSelectElement);
  noise.addEventListener("change", () => store.set({ noise: noise.value }));
  button("still").addEventListener("click", () => store.set({ rotate: 0, x: 0, y: 0, zoom: 1 }));

  let built = "";
  store.listen(() => {
    const { model, state } = store;
    if (built !== model.name + model.digest) {
      built = model.name + model.digest;
      range("cutoff").max = range("cutoff").defaultValue = String(model.styles);
      range("label").max = String(model.classes - 1);
      noise.replaceChildren(...model.noise.map((kind) => make("option", { value: kind }, kind)));
      box("truncation").hidden = !model.truncation;
      box("noise-box").hidden = model.noise.length < 2 && !model.strength;
      box("class-box").hidden = !model.classes;
      box("transform-box").hidden = !model.transform;
      box("strength-row").hidden = !model.strength;
    }
    noise.value = state.noise;
    box("noise-seed-row").hidden = state.noise !== "random";
  });
}
