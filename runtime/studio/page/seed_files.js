// Seeds that are files, read on the page: latents (.bin) and styles (.npy, .npz), as runtime/seeds.py reads them.

import { InputError } from "./generator.js";
import { entryOf, readArray } from "./numpy.js";

/** @typedef {import("./bundle.js").Manifest} Manifest */
/** @typedef {import("./wasm_nets.js").Tensor} Tensor */

/**
 * A latent z [z_dim], or a style w [w_dim] or [num_ws, w_dim].
 * @typedef {{kind: "z" | "w", tensor: Tensor}} SeedFile
 */

const LARGEST = 1 << 28; // bytes

/**
 * Throws InputError for what is no seed of this model.
 * @param {File} file
 * @param {Manifest} manifest
 * @returns {Promise<SeedFile>}
 */
export async function readSeedFile(file, manifest) {
  const bad = (/** @type {string} */ what) => new InputError(`${file.name}: ${what}`);
  if (file.size > LARGEST) throw bad("too large for a seed");
  const bytes = new Uint8Array(await file.arrayBuffer());
  const suffix = /\.(\w+)$/.exec(file.name)?.[1]?.toLowerCase();
  const view = new DataView(bytes.buffer);
  if (suffix === "bin") {
    const { z_dim } = manifest;
    if (bytes.length !== 4 + 4 * z_dim) throw bad(`the seed file has the wrong length: expected ${4 + 4 * z_dim} bytes (an int32 zero and ${z_dim} float32), got ${bytes.length}`);
    if (view.getInt32(0, true) !== 0) throw bad("not a seed file: expected an int32 zero at its start");
    const values = Float32Array.from({ length: z_dim }, (_, i) => view.getFloat32(4 + 4 * i, true));
    if (!values.every(Number.isFinite)) throw bad("the seed file holds NaN or infinity");
    return { kind: "z", tensor: { sizes: [z_dim], values } };
  }
  const array = suffix === "npz" ? await entryOf(bytes, "w").catch(() => undefined) : bytes;
  if (!array) throw bad("not a whole .npz file with the entry w");
  const found = readArray(array);
  if (!found) throw bad("not a whole .npy file of little-endian floats in C order");
  const { num_ws, w_dim } = manifest;
  const sizes = found.sizes.length > 1 && found.sizes[0] === 1 && num_ws > 1 ? found.sizes.slice(1) : found.sizes;
  if (![String([w_dim]), String([num_ws, w_dim])].includes(String(sizes))) {
    throw bad(`not a style of this model: expected floats of [${num_ws}, ${w_dim}] or [${w_dim}], got [${found.sizes.join(", ")}]`);
  }
  if (!found.values.every(Number.isFinite)) throw bad("the style holds numbers that are NaN, infinite or too large");
  return { kind: "w", tensor: { sizes, values: found.values } };
}
