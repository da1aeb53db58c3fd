// The walk: a field between the four seeds; where the handle stands, all styles are their sum.

import { box, button, range } from "./dom.js";
import { noShares } from "./state.js";

/** @typedef {import("./store.js").Store} Store */

const SECONDS = 16; // for once around

/** @param {Store} store */
export function setUpWalk(store) {
  const pad = box("walk");
  const [right, down] = [range("walk-x"), range("walk-y")];

  const go = (/** @type {number} */ x, /** @type {number} */ y, /** @type {boolean} */ settled) => {
    const [u, v] = [clamp(x), clamp(y)];
    const shares = [u * (1 - v), (1 - u) * v, u * v].map((share) => Number(share.toFixed(3)));
    store.set({ shares: noShares(store.model).map(() => shares) }, settled);
  };
  /** @param {PointerEvent} event @param {boolean} settled */
  const follow = (event, settled) => {
    const { left, top, width, height } = pad.getBoundingClientRect();
    go((event.clientX - left) / width, (event.clientY - top) / height, settled);
  };
  pad.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    wander(false);
    pad.setPointerCapture(event.pointerId);
    follow(event, false);
    right.focus({ preventScroll: true });
    event.preventDefault();
  });
  pad.addEventListener("pointermove", (event) => {
    if (pad.hasPointerCapture(event.pointerId)) follow(event, false);
  });
  pad.addEventListener("pointerup", (event) => follow(event, true));
  for (const input of [right, down]) {
    input.addEventListener("input", () => go(Number(right.value) / 100, Number(down.value) / 100, true));
    input.addEventListener("keydown", (event) => {
      const other = event.key === "ArrowUp" || event.key === "ArrowDown" ? down : event.key === "ArrowLeft" || event.key === "ArrowRight" ? right : input;
      if (!event.key.startsWith("Arrow")) return;
      const by = (event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : -1) * (event.shiftKey ? 10 : 2);
      other.value = String(Number(other.value) + by);
      go(Number(right.value) / 100, Number(down.value) / 100, true);
      event.preventDefault();
    });
  }

  store.listen(() => {
    const all = store.state.shares;
    const first = all[0] ?? [0, 0, 0];
    const even = all.every((shares) => shares.every((share, k) => share === first[k]));
    const [b = 0, c = 0, d = 0] = first;
    const [x, y] = [clamp(b + d), clamp(c + d)];
    pad.classList.toggle("off", !even);
    pad.style.setProperty("--x", `${x * 100}%`);
    pad.style.setProperty("--y", `${y * 100}%`);
    right.value = String(Math.round(x * 100));
    down.value = String(Math.round(y * 100));
  });

  let walking = false;
  /** @param {boolean} on */
  function wander(on) {
    if (on === walking) return;
    walking = on;
    const element = button("wander");
    element.setAttribute("aria-pressed", String(on));
    element.querySelector("span")?.replaceChildren(on ? "Stop" : "Wander");
    if (!on) return store.set({});
    const begun = performance.now();
    const step = () => {
      if (!walking) return;
      const t = ((performance.now() - begun) / 1000 / SECONDS) * 2 * Math.PI;
      go(0.5 - 0.5 * Math.cos(t), 0.5 - 0.5 * Math.cos(t * 1.618), false);
      requestAnimationFrame(step);
    };
    step();
  }
  button("wander").addEventListener("click", () => wander(!walking));
}

/** @param {number} value */
const clamp = (value) => Math.min(1, Math.max(0, value));
