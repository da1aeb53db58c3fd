// The picture: shown, compared with one that is held, and moved where the model can.

import { box, byId, range } from "./dom.js";

/** @typedef {import("./engine.js").Picture} Picture */
/** @typedef {import("./store.js").Store} Store */

const now = byId("picture", HTMLCanvasElement);
const held = byId("held", HTMLCanvasElement);
const divider = range("divider");

/** @param {HTMLCanvasElement} canvas @param {Picture} picture */
export function draw(canvas, { width, height, channels, pixels }) {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(width, height);
  const out = new Uint32Array(image.data.buffer);
  const gray = channels === 1;
  for (let i = 0, at = 0; i < out.length; i++, at += channels) {
    const r = pixels[at] ?? 0, g = gray ? r : (pixels[at + 1] ?? 0), b = gray ? r : (pixels[at + 2] ?? 0);
    const a = channels === 4 ? (pixels[at + 3] ?? 0) : 255;
    out[i] = (a << 24) | (b << 16) | (g << 8) | r; // little-endian, as every machine that runs a browser
  }
  context.putImageData(image, 0, 0);
}

/** @param {Picture} picture */
export function show(picture) {
  draw(now, picture);
  box("frame").style.setProperty("--aspect", String(picture.width / picture.height));
}

/** @param {Picture} picture */
export function hold(picture) {
  draw(held, picture);
  compare(true);
}

/** Holds what is shown. */
export function holdThis() {
  held.width = now.width;
  held.height = now.height;
  held.getContext("2d")?.drawImage(now, 0, 0);
  compare(true);
}

/** @param {boolean} on */
export function compare(on) {
  for (const element of [held, divider, box("tag-held"), box("tag-now")]) element.hidden = !on;
  box("hold").setAttribute("aria-pressed", String(on));
  box("hold").textContent = on ? "Stop comparing" : "Compare";
  divide();
}

function divide() {
  box("frame").style.setProperty("--part", String(Number(divider.value) / 100));
}

/** @param {Store} store */
export function setUpStage(store) {
  divider.addEventListener("input", divide);
  range("crisp").addEventListener("change", () => box("stage").classList.toggle("crisp", range("crisp").checked));
  const frame = box("frame");
  store.listen(() => frame.classList.toggle("movable", store.model.transform));

  /** @type {{id: number, left: number, top: number, turn: boolean, x: number, y: number, rotate: number} | undefined} */
  let grip;
  now.addEventListener("pointerdown", (event) => {
    if (!store.model.transform || event.button) return;
    const { x, y, rotate } = store.state;
    grip = { id: event.pointerId, left: event.clientX, top: event.clientY, turn: event.shiftKey, x, y, rotate };
    now.setPointerCapture(event.pointerId);
  });
  now.addEventListener("pointermove", (event) => {
    if (grip?.id !== event.pointerId) return;
    const width = now.getBoundingClientRect().width;
    const right = (event.clientX - grip.left) / width, down = (event.clientY - grip.top) / width;
    if (grip.turn) store.set({ rotate: wrapped(grip.rotate - right * 180) }, false);
    else store.set({ x: within(grip.x + right, 1), y: within(grip.y + down, 1) }, false);
  });
  const release = () => {
    if (grip) store.set({});
    grip = undefined;
  };
  now.addEventListener("pointerup", release);
  now.addEventListener("pointercancel", release);

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let settling;
  now.addEventListener("wheel", (event) => {
    if (!store.model.transform) return;
    event.preventDefault();
    store.set({ zoom: Math.min(4, Math.max(0.25, store.state.zoom * Math.exp(-event.deltaY / 500))) }, false);
    clearTimeout(settling);
    settling = setTimeout(() => store.set({}), 250);
  }, { passive: false });
}

/** @param {number} degrees */
const wrapped = (degrees) => Math.round(((((degrees + 180) % 360) + 360) % 360) - 180);
/** @param {number} value @param {number} most */
const within = (value, most) => Math.min(most, Math.max(-most, value));
