// Smaller pictures that are there first: the sum that a StyleGAN2 has made of its colours in a lower block. As
// runtime/studio/previews.py, of one model.

/** @typedef {import("./bundle.js").Manifest} Manifest */
/** @typedef {{width: number, height: number, channels: number, pixels: Uint8Array<ArrayBuffer>}} Pixels */
/** @typedef {{size: number, blob: string}} Level */

const TAP = /^synthesis\.b([0-9]+):1$/;
const LEAST = 16; // pixels that say anything
const STEPS = 16; // how much smaller a preview is at first
const TRIALS = 3; // times that are needed to judge a preview by
const LAST = 20; // times that are kept
const KEPT = 0.8; // what the pictures before count beside the last one
const DOUBT = 300; // levels squared, for each pixel, by which colours are held where they are as long as little is known
const SHARE = 0.1; // of a picture's time, that its preview may take

/** Blocks at most a 16th in size, the largest first; none of StyleGAN3. @param {Manifest} manifest @returns {Level[]} */
export function levelsOf({ graphs, img_resolution }) {
  const found = Object.entries(graphs.synthesis.taps).flatMap(([tap, blob]) => {
    const size = Number(TAP.exec(tap)?.[1]);
    return size >= LEAST && size <= img_resolution / STEPS ? [{ size, blob }] : [];
  });
  return found.sort((a, b) => b.size - a.size);
}

export class Previews {
  /** Milliseconds by size; 0: the whole. @type {Map<number, number[]>} */
  #taken = new Map();
  /** Sums of least squares by size, [C + 1][2 C + 1]: of products of colours, and of these with the picture's. @type {Map<number, number[][]>} */
  #sums = new Map();
  /** What was shown early last, as it is. @type {{recipe: string, picture: Pixels} | undefined} */
  #last;

  /** @param {Manifest} manifest */
  constructor(manifest) {
    this.levels = levelsOf(manifest);
  }

  /** The largest that is worth its time, by what those before took; nothing where the network allows none. */
  choose() {
    const whole = Math.min(...(this.#taken.get(0) ?? []));
    return this.levels.find(({ size }) => {
      const taken = this.#taken.get(size) ?? [];
      return whole === Infinity || taken.length < TRIALS || Math.min(...taken) <= SHARE * whole;
    });
  }

  /** @param {number} size  0: of the whole picture @param {number} milliseconds */
  took(size, milliseconds) {
    this.#taken.set(size, [...(this.#taken.get(size) ?? []), milliseconds].slice(-LAST));
  }

  /** What is shown of a preview. @param {string} recipe @param {Pixels} picture @returns {Pixels} */
  early(recipe, picture) {
    this.#last = { recipe, picture };
    const sums = this.#sums.get(picture.height);
    if (!sums) return picture;
    const { channels: c } = picture;
    const map = solved(sums, c);
    const pixels = new Uint8Array(picture.pixels.length);
    for (let at = 0; at < pixels.length; at += c) {
      for (let k = 0; k < c; k++) {
        let value = map[c]?.[k] ?? 0;
        for (let j = 0; j < c; j++) value += (picture.pixels[at + j] ?? 0) * (map[j]?.[k] ?? 0);
        pixels[at + k] = Math.min(255, Math.max(0, value));
      }
    }
    return { ...picture, pixels };
  }

  /** What became of the last preview, where it was of this recipe. @param {string} recipe @param {Pixels} picture */
  whole(recipe, picture) {
    if (this.#last?.recipe !== recipe) return;
    const { picture: early } = this.#last;
    this.#last = undefined;
    const { channels: c, height: size } = early;
    const step = Math.floor(picture.height / size);
    /** @type {number[][]} */
    const found = Array.from({ length: c + 1 }, () => Array(2 * c + 1).fill(0));
    for (let i = 0; i < size * size; i++) {
      const [x, y] = [i % size, Math.floor(i / size)];
      const row = [...early.pixels.subarray(i * c, (i + 1) * c), 1];
      for (let k = 0; k < c; k++) {
        let sum = 0;
        for (let dy = 0; dy < step; dy++) for (let dx = 0; dx < step; dx++) sum += picture.pixels[((y * step + dy) * picture.width + x * step + dx) * c + k] ?? 0;
        row.push(sum / step / step);
      }
      found.forEach((into, j) => row.forEach((value, k) => (into[k] = (into[k] ?? 0) + (row[j] ?? 0) * value)));
    }
    const before = this.#sums.get(size) ?? found.map((into, j) => into.map((_, k) => (k === j || k === c + 1 + j ? DOUBT * size * size : 0)));
    this.#sums.set(size, found.map((into, j) => into.map((value, k) => KEPT * (before[j]?.[k] ?? 0) + value)));
  }
}

/** The affine map of colours, [C + 1][C], by elimination; the matrix is positive. @param {number[][]} sums @param {number} channels */
function solved(sums, channels) {
  const rows = sums.map((row) => row.slice());
  rows.forEach((pivot, i) => {
    const by = pivot[i] || 1;
    pivot.forEach((value, k) => (pivot[k] = value / by));
    rows.forEach((row, j) => {
      const times = row[i] ?? 0;
      if (j !== i) row.forEach((value, k) => (row[k] = value - times * (pivot[k] ?? 0)));
    });
  });
  return rows.map((row) => row.slice(channels + 1));
}
