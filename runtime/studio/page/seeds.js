// The four seeds: a number, w_avg or a file each, with their thumbnails.

import { box, button, icon, make } from "./dom.js";
import { draw } from "./stage.js";
import { LARGEST_SEED, LETTERS, randomSeed, recipeOf } from "./state.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./engine.js").Engine} Engine */

const SIZE = 96;
const FORM = /^(\d{1,10}|w_avg|[^,=]+\.(bin|npz|npy))$/;

/**
 * @param {Store} store
 * @param {Engine} engine
 */
export function setUpSeeds(store, engine) {
  const rows = LETTERS.map((letter, place) => row(store, letter, place));
  box("seeds").append(...rows.map(({ element }) => element));
  button("dice").addEventListener("click", () => store.set({ seeds: LETTERS.map(randomSeed) }));
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || (target instanceof Element && target.closest("input, select, [role=toolbar], summary"))) return;
    if (event.key === "ArrowLeft") step(store, 0, -1);
    else if (event.key === "ArrowRight") step(store, 0, 1);
    else if (event.key === "r") change(store, 0, randomSeed());
    else return;
    event.preventDefault();
  });

  /** @type {AbortController | undefined} */
  let asking;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let soon;
  /** @type {string[]} */
  let shown = [];
  store.listen(() => {
    rows.forEach(({ field }, i) => {
      if (document.activeElement !== field || !field.matches(":invalid")) field.value = store.state.seeds[i] ?? "";
    });
    clearTimeout(soon);
    soon = setTimeout(thumbnails, 200); // not of what is passed by
  });

  async function thumbnails() {
    asking?.abort();
    const { signal } = (asking = new AbortController());
    for (const [i, { canvas }] of rows.entries()) {
      const { state, model } = store;
      const alone = { ...state, seeds: [state.seeds[i] ?? ""], shares: [], rotate: 0, x: 0, y: 0, zoom: 1, moves: [], edits: [] };
      const recipe = recipeOf(alone, model);
      const key = JSON.stringify([model.digest, recipe]);
      if (shown[i] === key) continue;
      try {
        const picture = await engine.picture(model.name, recipe, { thumbnail: SIZE, signal, early: Boolean(model.previews) });
        if (signal.aborted) return;
        draw(canvas, picture);
        for (const corner of document.querySelectorAll(`canvas.corner.${LETTERS[i]?.toLowerCase()}`)) {
          if (corner instanceof HTMLCanvasElement) draw(corner, picture);
        }
        shown[i] = key;
      } catch {
        if (signal.aborted) return; // what is wrong with a seed the picture says, when it is asked for
      }
    }
  }
}

/** @param {Store} store @param {string} letter @param {number} place */
function row(store, letter, place) {
  const canvas = make("canvas", { width: "96", height: "96", "aria-hidden": "true" });
  const field = make("input", { type: "text", inputmode: "numeric", autocomplete: "off", spellcheck: "false", "aria-label": `Seed ${letter}`, id: `seed-${letter}` });
  field.addEventListener("change", () => {
    const value = field.value.trim();
    const known = FORM.test(value) && !(Number(value) > LARGEST_SEED);
    field.setCustomValidity(known ? "" : `A number up to ${LARGEST_SEED}, w_avg, or a file .bin, .npz or .npy`);
    if (known) change(store, place, value);
    else field.reportValidity();
  });
  field.addEventListener("input", () => field.setCustomValidity(""));
  const tool = (/** @type {string} */ name, /** @type {string} */ label, /** @type {() => void} */ act) => {
    const element = make("button", { type: "button", class: "icon", "aria-label": label, title: label }, icon(name));
    element.addEventListener("click", act);
    return element;
  };
  const element = make("div", { class: `seed ${letter.toLowerCase()}`, role: "group", "aria-label": `Seed ${letter}` },
    make("span", { class: "letter", "aria-hidden": "true" }, letter), canvas, field,
    tool("left", `Seed ${letter}: the one before`, () => step(store, place, -1)),
    tool("right", `Seed ${letter}: the next`, () => step(store, place, 1)),
    tool("dice", `Seed ${letter}: a random one`, () => change(store, place, randomSeed())));
  return { element, canvas, field };
}

/** @param {Store} store @param {number} place @param {string} seed */
function change(store, place, seed) {
  store.set({ seeds: store.state.seeds.with(place, seed) });
}

/** @param {Store} store @param {number} place @param {number} by */
function step(store, place, by) {
  const seed = Number(store.state.seeds[place]);
  change(store, place, String(Number.isInteger(seed) ? (seed + by + LARGEST_SEED + 1) % (LARGEST_SEED + 1) : 0));
}
