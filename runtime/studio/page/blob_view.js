// A blob as a picture: channels as a grid, a vector as a curve; with its figures.

import { box, button, byId, make, range } from "./dom.js";
import { Latest } from "./latest.js";

/** @typedef {import("./engine.js").Nets} Nets */
/** @typedef {import("./engine.js").Feed} Feed */
/** @typedef {import("./engine.js").BlobPicture} BlobPicture */
/** @typedef {{net: string, blob: string, feed: Feed, other?: string, other_blob?: string}} Wanted */

/**
 * @param {Nets} nets
 * @param {(error: unknown) => void} complain
 * @returns {(wanted: Wanted | null) => void}  null: nothing is chosen
 */
export function setUpBlob(nets, complain) {
  const canvas = byId("blob", HTMLCanvasElement);
  /** @type {Wanted | null} */
  let wanted = null;
  let first = 0;
  const latest = new Latest(
    (/** @type {{key: string, asked: Wanted, first: number, each: boolean}} */ { asked, first, each }, _now, signal) => {
      const { net, blob, feed, ...other } = asked;
      return nets.blob(net, blob, feed, { first, each, ...other }, signal);
    },
    (picture) => {
      box("problem").hidden = true;
      tell(picture);
      if (picture.kind === "grid") grid(canvas, picture);
      else curve(canvas, picture);
      canvas.hidden = false;
    },
    (error) => {
      canvas.hidden = true;
      box("blob-figures").textContent = "";
      complain(error);
    },
    (busy) => box("blob-wait").hidden = !busy,
  );
  const ask = () => {
    if (!wanted) return;
    const each = range("each").checked;
    latest.want({ key: JSON.stringify([wanted, first, each]), asked: wanted, first, each }, true);
  };
  /** @param {BlobPicture} picture */
  const tell = (picture) => {
    const number = (/** @type {number | null} */ n) => (n === null ? "none" : Number(n.toPrecision(4)).toString());
    const said = [["shape", picture.shape.join(" × ")], ["least", number(picture.least)], ["largest", number(picture.largest)],
      ["mean", number(picture.mean)], ["deviation", number(picture.deviation)], ["zeros", String(picture.zeros)]];
    if (picture.not_finite) said.push(["not finite", String(picture.not_finite)]);
    box("blob-figures").replaceChildren(...said.map(([name, value]) => make("span", {}, `${name} `, make("b", {}, value ?? ""))));
    box("channels").hidden = picture.kind !== "grid" || picture.channels <= picture.shown;
    box("channels-said").textContent = `channels ${picture.first} to ${picture.first + picture.shown - 1} of ${picture.channels}`;
    button("channels-before").disabled = picture.first === 0;
    button("channels-next").disabled = picture.first + picture.shown >= picture.channels;
    button("channels-next").dataset.step = String(picture.shown);
    canvas.setAttribute("aria-label", `${wanted?.blob}: ${said.map((pair) => pair.join(" ")).join(", ")}`);
  };
  const turn = (/** @type {number} */ by) => {
    first = Math.max(0, first + by);
    ask();
  };
  const step = () => Number(button("channels-next").dataset.step) || 64;
  button("channels-before").addEventListener("click", () => turn(-64));
  button("channels-next").addEventListener("click", () => turn(step()));
  range("each").addEventListener("change", ask);
  return (now) => {
    if (now?.blob !== wanted?.blob || now?.net !== wanted?.net) first = 0;
    wanted = now;
    box("blob-box").hidden = !now;
    if (!now) canvas.hidden = true;
    else ask();
  };
}

/** @param {HTMLCanvasElement} canvas @param {BlobPicture} picture */
function grid(canvas, { width, height, columns, shown, data }) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(width, height);
  for (let i = 0, at = 0; at < data.length; i += 4, at += 3) {
    image.data[i] = data[at] ?? 0;
    image.data[i + 1] = data[at + 1] ?? 0;
    image.data[i + 2] = data[at + 2] ?? 0;
    image.data[i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  canvas.classList.toggle("crisp", width < 512);
  canvas.style.setProperty("--aspect", String(width / height));
  canvas.dataset.columns = String(columns);
  canvas.dataset.shown = String(shown);
}

/** @param {HTMLCanvasElement} canvas @param {BlobPicture} picture */
function curve(canvas, { data, numbers, pairs, least, largest }) {
  const values = new Float32Array(data.slice().buffer, 0, numbers);
  const width = (canvas.width = 640), height = (canvas.height = 200);
  canvas.classList.remove("crisp");
  canvas.style.setProperty("--aspect", String(width / height));
  const context = canvas.getContext("2d");
  if (!context) return;
  const style = getComputedStyle(canvas);
  const low = Math.min(0, least ?? 0), span = Math.max(0, largest ?? 0) - low || 1;
  const y = (/** @type {number} */ value) => height - 8 - ((value - low) / span) * (height - 16);
  context.strokeStyle = style.getPropertyValue("--line");
  context.beginPath();
  context.moveTo(0, y(0));
  context.lineTo(width, y(0));
  context.stroke();
  context.strokeStyle = context.fillStyle = style.getPropertyValue("--text");
  const count = pairs ? numbers / 2 : numbers, wide = width / count;
  for (let i = 0; i < count; i++) {
    const [a, b] = pairs ? [values[2 * i] ?? 0, values[2 * i + 1] ?? 0] : [0, values[i] ?? 0];
    if (!Number.isFinite(a) || !Number.isFinite(b)) continue;
    const top = Math.min(y(a), y(b));
    context.fillRect(i * wide, top, Math.max(0.6, wide * 0.8), Math.max(1, Math.abs(y(a) - y(b))));
  }
}
