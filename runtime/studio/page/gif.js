// GIF89a, each frame with 256 colours of its own, as CompuServe's specification of 1990 says.

/** @typedef {import("./webm.js").Frame} Frame */

const BITS = 5; // of each colour, for finding 256 of them
const SIDE = 1 << BITS;
const COLOURS = 256;
const MOST_CODES = 4096;

export class GifWriter {
  /** @type {Uint8Array<ArrayBuffer>[]} */
  #parts = [];
  #count = 0;

  /** @param {number} width @param {number} height @param {number} fps */
  constructor(width, height, fps) {
    this.fps = fps;
    const head = new TextEncoder().encode("GIF89a");
    const repeat = [0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0];
    this.#parts.push(Uint8Array.of(...head, width & 255, width >> 8, height & 255, height >> 8, 0x70, 0, 0, ...repeat));
  }

  /** @param {Frame} frame */
  async add({ width, height, channels, pixels }) {
    const { palette, places } = quantised(pixels, channels);
    const indices = new Uint8Array(width * height);
    for (let i = 0, at = 0; i < indices.length; i++, at += channels) indices[i] = places[cellOf(pixels, at, channels)] ?? 0;
    const until = (/** @type {number} */ n) => Math.round((100 * n) / this.fps);
    const wait = until(this.#count + 1) - until(this.#count); // hundredths of a second
    this.#count++;
    this.#parts.push(Uint8Array.of(0x21, 0xf9, 4, 4, wait & 255, wait >> 8, 0, 0, 0x2c, 0, 0, 0, 0, width & 255, width >> 8, height & 255, height >> 8, 0x87), palette, Uint8Array.of(8), ...blocks(compressed(indices)));
  }

  async finish() {
    return new Blob([...this.#parts, Uint8Array.of(0x3b)], { type: "image/gif" });
  }

  close() {}
}

/** @param {Uint8Array} pixels @param {number} at @param {number} channels */
function cellOf(pixels, at, channels) {
  const [g, b] = channels < 3 ? [0, 0] : [1, 2];
  const part = (/** @type {number} */ c) => (pixels[at + c] ?? 0) >> (8 - BITS);
  return (part(0) * SIDE + part(g)) * SIDE + part(b);
}

/**
 * The colours by median cut (Heckbert 1982), and of each cell of the cube of colours the place of its own.
 * @param {Uint8Array} pixels
 * @param {number} channels
 */
function quantised(pixels, channels) {
  const sums = new Float64Array(4 * SIDE ** 3); // of each cell: how many, and their red, green and blue
  const [g, b] = channels < 3 ? [0, 0] : [1, 2];
  for (let at = 0; at < pixels.length; at += channels) {
    const to = 4 * cellOf(pixels, at, channels);
    [1, pixels[at] ?? 0, pixels[at + g] ?? 0, pixels[at + b] ?? 0].forEach((value, k) => (sums[to + k] = (sums[to + k] ?? 0) + value));
  }
  const cells = Array.from({ length: SIDE ** 3 }, (_, cell) => cell).filter((cell) => sums[4 * cell]);
  const axis = (/** @type {number} */ cell, /** @type {number} */ k) => Math.floor(cell / SIDE ** (2 - k)) % SIDE;
  const about = (/** @type {number[]} */ inside) => {
    const spans = [0, 1, 2].map((k) => {
      const values = inside.map((cell) => axis(cell, k));
      return values.reduce((a, v) => Math.max(a, v), 0) - values.reduce((a, v) => Math.min(a, v), SIDE);
    });
    const many = inside.reduce((sum, cell) => sum + (sums[4 * cell] ?? 0), 0);
    const widest = spans.indexOf(Math.max(...spans));
    return { inside, widest, many, worth: (spans[widest] ?? 0) * Math.sqrt(many) };
  };
  const boxes = [about(cells)];
  while (boxes.length < COLOURS) {
    const place = boxes.reduce((best, box, i) => (box.worth > (boxes[best]?.worth ?? 0) ? i : best), 0);
    const box = boxes[place];
    if (!box || box.worth === 0) break; // all colours are there
    const sorted = box.inside.toSorted((x, y) => axis(x, box.widest) - axis(y, box.widest));
    let cut = 0;
    for (let half = 0; cut < sorted.length - 1 && half < box.many / 2; cut++) half += sums[4 * (sorted[cut] ?? 0)] ?? 0;
    boxes.splice(place, 1, about(sorted.slice(0, cut)), about(sorted.slice(cut)));
  }
  const palette = new Uint8Array(3 * COLOURS);
  const places = new Uint8Array(SIDE ** 3);
  boxes.forEach(({ inside, many }, i) => {
    for (let k = 0; k < 3; k++) palette[3 * i + k] = Math.round(inside.reduce((sum, cell) => sum + (sums[4 * cell + k + 1] ?? 0), 0) / Math.max(1, many));
    for (const cell of inside) places[cell] = i;
  });
  return { palette, places };
}

/** LZW of the specification's appendix F, from codes of 9 bits on. @param {Uint8Array} indices */
function compressed(indices) {
  const CLEAR = COLOURS;
  /** @type {number[]} */
  const out = [];
  let held = 0, bits = 0, wide = 9;
  const write = (/** @type {number} */ code) => {
    held |= code << bits;
    for (bits += wide; bits >= 8; bits -= 8, held >>>= 8) out.push(held & 255);
  };
  /** Code of a row of indices * 256 + what follows -> code of both. @type {Map<number, number>} */
  const known = new Map();
  write(CLEAR);
  let row = indices[0] ?? 0;
  for (let i = 1; i < indices.length; i++) {
    const index = indices[i] ?? 0;
    const longer = known.get(row * COLOURS + index);
    if (longer !== undefined) {
      row = longer;
      continue;
    }
    write(row);
    const code = CLEAR + 2 + known.size;
    if (code === MOST_CODES) {
      write(CLEAR);
      known.clear();
      wide = 9;
    } else {
      known.set(row * COLOURS + index, code);
      if (code === 1 << wide) wide++;
    }
    row = index;
  }
  write(row);
  write(CLEAR + 1); // the end
  if (bits > 0) out.push(held & 255);
  return Uint8Array.from(out);
}

/** In pieces of 255 bytes. @param {Uint8Array} data @returns {Uint8Array<ArrayBuffer>[]} */
function blocks(data) {
  const found = [];
  for (let at = 0; at < data.length; at += 255) {
    const piece = data.subarray(at, at + 255);
    found.push(Uint8Array.of(piece.length, ...piece));
  }
  return [...found, Uint8Array.of(0)];
}
