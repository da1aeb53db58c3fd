// Pictures of blobs: their channels as a grid, in grey, or a vector as its numbers; as runtime/studio/blobs.py.

import { InputError } from "./generator.js";

/** @typedef {import("./engine.js").BlobPicture} BlobPicture */
/** @typedef {import("./wasm_nets.js").Tensor} Tensor */

const CHANNELS = 64;
const WIDEST = 1536;
const TILE = 512;
const CURVE = 4096;
const WRONG = [255, 0, 255];

/**
 * Throws InputError for a first channel that there is not.
 * @param {Tensor} blob
 * @param {number} first
 * @param {boolean} each
 * @returns {BlobPicture}
 */
export function pictureOf({ sizes, values }, first, each) {
  const [h = 1, w = 1] = sizes.length > 1 ? sizes.slice(-2) : [1, values.length];
  const count = values.length / (h * w || 1);
  if (first < 0 || first >= Math.max(count, 1)) throw new InputError(`there is no such channel: expected 0 to ${count - 1}, got ${first}`);
  const head = {
    ...figures(sizes, values), channels: count, pairs: false, numbers: 0, first, shown: 0, columns: 1, width: 0, height: 0,
  }; // prettier-ignore
  if (count === 1 && h === 1) {
    const [numbers, pairs] = curveOf(values);
    return { ...head, kind: "curve", pairs, numbers: numbers.length, data: new Uint8Array(numbers.buffer) };
  }
  const shown = Math.min(CHANNELS, count - first);
  const colour = count === 3 && !each;
  const columns = colour ? 1 : Math.min(shown, Math.max(1, rounded(Math.sqrt((shown * h) / Math.max(w, 1)))));
  const tiles = Array.from({ length: shown }, (_, k) => tileOf(values.subarray((first + k) * h * w, (first + k + 1) * h * w), h, w, Math.min(TILE, Math.floor(WIDEST / columns))));
  const levels = greys(tiles.map(({ values }) => values), each);
  const [tile] = tiles;
  const [high, wide] = [tile?.height ?? 0, tile?.width ?? 0];
  const rows = colour ? 1 : Math.ceil(shown / columns);
  const [height, width] = [rows * high, columns * wide];
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < (colour ? 1 : shown); i++) {
    for (let y = 0, from = 0; y < high; y++) {
      for (let x = 0, to = 3 * ((Math.floor(i / columns) * high + y) * width + (i % columns) * wide); x < wide; x++, from++, to += 3) {
        const three = colour ? [0, 1, 2].map((c) => levels[c]?.[from] ?? -1) : [levels[i]?.[from] ?? -1];
        const wrong = three.includes(-1);
        for (let c = 0; c < 3; c++) data[to + c] = wrong ? (WRONG[c] ?? 0) : (three[colour ? c : 0] ?? 0);
      }
    }
  }
  return { ...head, kind: "grid", shown, columns, height, width, data };
}

/** As Python rounds: halves to the even number. @param {number} value */
const rounded = (value) => (value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

/** @param {number[]} shape @param {Float32Array} values */
function figures(shape, values) {
  let least = Infinity, largest = -Infinity, sum = 0, zeros = 0, finite = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    finite++;
    least = Math.min(least, value);
    largest = Math.max(largest, value);
    sum += value;
    if (value === 0) zeros++;
  }
  const mean = sum / finite;
  let squares = 0;
  for (const value of values) if (Number.isFinite(value)) squares += (value - mean) ** 2;
  const not_finite = values.length - finite;
  if (!finite) return { shape, least: null, largest: null, mean: null, deviation: null, zeros, not_finite };
  return { shape, least, largest, mean, deviation: Math.sqrt(squares / finite), zeros, not_finite };
}

/** @param {Float32Array} values @returns {[Float32Array<ArrayBuffer>, boolean]} */
function curveOf(values) {
  if (values.length <= CURVE) return [values.slice(), false];
  const step = Math.ceil(values.length / (CURVE / 2));
  const pairs = new Float32Array(2 * Math.ceil(values.length / step));
  for (let i = 0; 2 * i < pairs.length; i++) {
    const part = values.subarray(i * step, (i + 1) * step);
    const wrong = part.some(Number.isNaN);
    pairs[2 * i] = wrong ? NaN : part.reduce((a, b) => Math.min(a, b), Infinity);
    pairs[2 * i + 1] = wrong ? NaN : part.reduce((a, b) => Math.max(a, b), -Infinity);
  }
  return [pairs, true];
}

/** No side longer than `most`: means of neighbours. @param {Float32Array} values @param {number} h @param {number} w @param {number} most */
function tileOf(values, h, w, most) {
  const step = Math.ceil(Math.max(h, w) / most);
  if (step <= 1) return { values, height: h, width: w };
  const [height, width] = [Math.ceil(h / step), Math.ceil(w / step)];
  const small = new Float32Array(height * width);
  for (let i = 0; i < small.length; i++) {
    const [x, y] = [(i % width) * step, Math.floor(i / width) * step];
    let sum = 0;
    for (let dy = 0; dy < step; dy++) for (let dx = 0; dx < step; dx++) sum += values[Math.min(y + dy, h - 1) * w + Math.min(x + dx, w - 1)] ?? 0;
    small[i] = sum / step / step;
  }
  return { values: small, height, width };
}

/** Levels from 0 to 255, -1 for what is not finite. @param {Float32Array[]} tiles @param {boolean} each */
function greys(tiles, each) {
  /** @param {Float32Array[]} all */
  const ends = (all) => {
    let low = Infinity, high = -Infinity;
    for (const values of all) {
      for (const value of values) {
        if (!Number.isFinite(value)) continue;
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    }
    return [low, high > low ? high - low : 1];
  };
  const whole = ends(tiles);
  return tiles.map((values) => {
    const [low = 0, span = 1] = each ? ends([values]) : whole;
    return Int16Array.from(values, (value) => (Number.isFinite(value) ? Math.min(255, Math.max(0, Math.trunc(((value - low) / span) * 255))) : -1));
  });
}
