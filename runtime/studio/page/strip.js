// The strip: a cell for each style, painted with the seeds that give it.

import { box, button, make, range } from "./dom.js";
import { LETTERS, noShares } from "./state.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./engine.js").Model} Model */

let brush = 1;

/** @param {Store} store */
export function setUpStrip(store) {
  setUpBrushes();
  const strip = box("strip");
  /** @type {HTMLButtonElement[]} */
  let cells = [];
  let painted = "";

  const paint = (/** @type {number} */ i, /** @type {number} */ seed, /** @type {boolean} */ settled) => {
    const share = Number(range("share").value) / 100;
    const shares = [0, 0, 0];
    if (seed) shares[seed - 1] = share;
    store.set({ shares: store.state.shares.with(i, shares) }, settled);
  };

  const build = () => {
    cells = Array.from({ length: store.model.styles }, (_, i) => cell(store.model, i));
    strip.replaceChildren(...cells);
    strip.style.setProperty("--cells", String(cells.length));
    cells[0]?.setAttribute("tabindex", "0");
  };

  store.listen(() => {
    if (cells.length !== store.model.styles || painted !== store.model.digest) build();
    painted = store.model.digest;
    cells.forEach((element, i) => fill(element, i, store));
  });

  /** @param {PointerEvent} event */
  const under = (event) => {
    const x = event.clientX;
    return cells.findIndex((element) => {
      const { left, right } = element.getBoundingClientRect();
      return x >= left && x <= right;
    });
  };
  let last = -1;
  let from = 0;
  strip.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    last = under(event);
    if (last < 0) return;
    const shares = store.state.shares[last] ?? [];
    const same = brush > 0 && shares[brush - 1] === Number(range("share").value) / 100;
    from = same ? 0 : brush; // what is painted so already is wiped
    strip.setPointerCapture(event.pointerId);
    paint(last, from, false);
    cells[last]?.focus();
    event.preventDefault();
  });
  strip.addEventListener("pointermove", (event) => {
    if (!strip.hasPointerCapture(event.pointerId)) return;
    const here = under(event);
    if (here < 0 || here === last) return;
    const step = Math.sign(here - last);
    for (let i = last + step; i !== here + step; i += step) paint(i, from, false); // a fast hand leaves none out
    last = here;
  });
  strip.addEventListener("pointerup", () => store.set({}));

  strip.addEventListener("keydown", (event) => {
    const i = cells.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const seed = LETTERS.indexOf(event.key.toUpperCase());
    if (i < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const next = cells[(i + (event.key === "ArrowRight" ? 1 : -1) + cells.length) % cells.length];
      cells.forEach((element) => element.setAttribute("tabindex", element === next ? "0" : "-1"));
      next?.focus();
    } else if (seed >= 0) paint(i, seed, true);
    else if (event.key === "Enter" || event.key === " ") paint(i, brush, true);
    else return;
    event.preventDefault();
  });
  button("clear").addEventListener("click", () => store.set({ shares: noShares(store.model) }));
}

function setUpBrushes() {
  LETTERS.forEach((letter, i) => {
    const input = make("input", { type: "radio", name: "brush", value: String(i), id: `brush-${letter}` });
    input.checked = i === brush;
    input.addEventListener("change", () => (brush = i));
    box("brushes").append(make("label", { class: `brush ${letter.toLowerCase()}` }, input, letter));
  });
  const share = range("share");
  const say = () => (box("share-out").textContent = `${share.value} %`);
  share.addEventListener("input", say);
  say();
}

/** @param {Model} model @param {number} i */
function cell(model, i) {
  const bars = LETTERS.map((letter) => make("span", { class: `fill ${letter.toLowerCase()}` }));
  const label = make("span", { class: "where" }, place(model, i));
  const letter = make("span", { class: "who" });
  return make("button", { type: "button", class: "cell", tabindex: "-1" }, make("span", { class: "bars" }, ...bars, letter), label);
}

/** @param {HTMLElement} element @param {number} i @param {Store} store */
function fill(element, i, { state, model }) {
  const given = state.shares[i] ?? [0, 0, 0];
  const shares = [1 - given.reduce((sum, share) => sum + share, 0), ...given];
  const most = shares.reduce((best, share, k) => (share > (shares[best] ?? 0) ? k : best), 0);
  element.querySelectorAll(".fill").forEach((bar, k) => {
    if (bar instanceof HTMLElement) bar.style.height = `${Math.min(100, Math.max(0, (shares[k] ?? 0) * 100))}%`;
  });
  const who = element.querySelector(".who");
  if (who) who.textContent = LETTERS[most] ?? "";
  const said = LETTERS.flatMap((letter, k) => (shares[k] ? [`${Math.round((shares[k] ?? 0) * 100)} % ${letter}`] : [])).join(", ");
  element.setAttribute("aria-label", `Style ${i}, ${place(model, i)}: ${said}`);
  element.title = `Style ${i}: ${said}`;
}

/** Where a style acts: the resolution of its layers, or their number. @param {Model} model @param {number} i */
function place(model, i) {
  if (model.family === "v2ada") return String(Math.min(model.resolution, 4 * 2 ** Math.ceil(i / 2)));
  return i === 0 ? "in" : i === model.styles - 1 ? "rgb" : `L${i - 1}`;
}
