// Directions of styles that are files, read on the page, as runtime/edits.py reads them.

import { sha256 } from "./bundle.js";
import { InputError } from "./generator.js";
import { entriesOf, readArray } from "./numpy.js";

/** @typedef {import("./bundle.js").Manifest} Manifest */
/** @typedef {import("./wasm_nets.js").Tensor} Tensor */

/**
 * vectors: [count, rows, w_dim], rows 1 or num_ws. styles: those that are moved by default, null for all.
 * @typedef {{vectors: Float32Array, rows: number, count: number, styles: number[] | null, sha256: string}} Directions
 */

const MOST_BYTES = 1 << 24;

/**
 * Throws InputError for what holds no directions of this model.
 * @param {File} file
 * @param {Manifest} manifest
 * @returns {Promise<Directions>}
 */
export async function readDirections(file, manifest) {
  const bad = (/** @type {string} */ what) => new InputError(`${file.name}: ${what}`);
  if (!/^[^,:]+\.(npz|npy)$/i.test(file.name)) throw bad("not a file of directions: expected NAME.npz or NAME.npy, without commas and colons");
  if (file.size > MOST_BYTES) throw bad("too large for directions");
  const bytes = new Uint8Array(await file.arrayBuffer());
  /** @type {Tensor | undefined} */
  let array;
  /** @type {Tensor | undefined} */
  let styles;
  try {
    if (/\.npy$/i.test(file.name)) array = readArray(bytes);
    else {
      const entries = entriesOf(bytes);
      const [vectors, moved] = [entries.get("directions.npy"), entries.get("styles.npy")];
      if (!vectors) throw bad(`the file has no entry directions: got ${[...entries.keys()].slice(0, 8).join(", ")}`);
      array = readArray(await vectors());
      if (moved) styles = readArray(await moved(), true) ?? { sizes: [0, 0], values: new Float32Array() };
    }
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw bad("not a whole .npz file");
  }
  if (!array) throw bad("not a whole .npy file of little-endian floats in C order");
  const { num_ws, w_dim } = manifest;
  const [count = 0, ...rest] = array.sizes;
  const sizes = rest.length === 1 ? [1, ...rest] : rest;
  if (!count || ![`1,${w_dim}`, `${num_ws},${w_dim}`].includes(String(sizes))) throw bad(`not directions of this model: expected floats of [K, ${w_dim}] or [K, ${num_ws}, ${w_dim}], got [${array.sizes.join(", ")}]`);
  if (!array.values.every(Number.isFinite)) throw bad("the directions hold numbers that are NaN, infinite or too large");
  const numbers = styles ? [...styles.values] : null;
  if (styles && (styles.sizes.length !== 1 || !numbers?.every((i) => Number.isInteger(i) && i >= 0 && i < num_ws))) throw bad(`the file moves styles that the model has not: expected 0 to ${num_ws - 1}`);
  return { vectors: array.values, rows: sizes[0] ?? 1, count, styles: numbers, sha256: await sha256(bytes) };
}
