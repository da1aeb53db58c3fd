// Directions: sliders for what the network's weights say changes the picture most.

import { box, button, make, range } from "./dom.js";
import { DIRECTIONS } from "./state.js";

/** @typedef {import("./store.js").Store} Store */

const MOST = 8;

/** @param {Store} store */
export function setUpDirections(store) {
  const rows = Array.from({ length: DIRECTIONS }, (_, k) => {
    const input = make("input", { type: "range", min: String(-MOST), max: String(MOST), step: "0.1", value: "0", id: `move-${k}` });
    const output = make("output", {});
    const move = (/** @type {number} */ far, /** @type {boolean} */ settled) => store.set({ moves: store.state.moves.with(k, far) }, settled);
    input.addEventListener("input", () => move(Number(input.value), false));
    input.addEventListener("change", () => move(Number(input.value), true));
    input.addEventListener("dblclick", () => move(0, true));
    return { input, output, element: make("label", { class: "slider" }, `Direction ${k}`, input, output) };
  });
  box("directions").append(...rows.map(({ element }) => element));
  const [from, to] = [range("moved-from"), range("moved-to")];
  for (const input of [from, to]) {
    input.addEventListener("change", () => {
      const last = store.model.styles - 1;
      const ends = [from, to].map(({ value }) => Math.min(last, Math.max(0, Math.floor(Number(value)) || 0)));
      const [a = 0, b = last] = ends.toSorted((x, y) => x - y);
      store.set({ moved: [a, b] });
    });
  }
  button("unmoved").addEventListener("click", () => store.set({ moves: rows.map(() => 0), moved: [0, store.model.styles - 1] }));
  store.listen((settled) => {
    const { moves, moved } = store.state;
    rows.forEach(({ input, output }, k) => {
      if (settled || document.activeElement !== input) input.value = String(moves[k] ?? 0);
      output.textContent = (moves[k] ?? 0).toFixed(1);
    });
    from.max = to.max = String(store.model.styles - 1);
    [from.value, to.value] = [String(moved[0]), String(moved[1])];
  });
}
