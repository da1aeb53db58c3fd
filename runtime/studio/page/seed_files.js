// Seeds that are files, read on the page: latents (.bin) and styles (.npy, .npz), as runtime/seeds.py reads them.

import { InputError } from "./generator.js";

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
  const array = suffix === "npz" ? await entryOf(bytes, "w.npy").catch(() => undefined) : bytes;
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

/** A file of numpy's format; nothing for what is none. @param {Uint8Array<ArrayBuffer>} bytes @returns {Tensor | undefined} */
function readArray(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 12 || view.getUint32(0) !== 0x934e554d || view.getUint16(4) !== 0x5059) return undefined;
  const wide = bytes[6] === 2;
  const start = wide ? 12 : 10;
  const end = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const head = new TextDecoder("latin1").decode(bytes.subarray(start, end));
  const [, kind] = /'descr': '<f([48])'/.exec(head) ?? [];
  const [, shape] = /'shape': \(([\d, ]*)\)/.exec(head) ?? [];
  if (!kind || shape === undefined || !head.includes("'fortran_order': False")) return undefined;
  const sizes = shape.split(",").flatMap((size) => (size.trim() ? [Number(size)] : []));
  const count = sizes.reduce((product, size) => product * size, 1);
  const step = Number(kind);
  if (end + count * step > bytes.length) return undefined;
  const at = (/** @type {number} */ i) => (step === 4 ? view.getFloat32(end + 4 * i, true) : view.getFloat64(end + 8 * i, true));
  return { sizes, values: Float32Array.from({ length: count }, (_, i) => at(i)) };
}

/**
 * An entry of a zip file, whose directory stands at its end (APPNOTE of PKWARE, 4.3). Throws an Error where there is none.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {string} name
 */
async function entryOf(bytes, name) {
  const view = new DataView(bytes.buffer);
  let end = bytes.length - 22;
  while (end > 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(at, true) !== 0x02014b50) break;
    const [method, packed] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true)];
    const [nameLength, more, comment] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)];
    if (new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength)) === name) {
      const local = view.getUint32(at + 42, true);
      const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      const body = bytes.slice(from, from + packed);
      if (method === 0) return body;
      const stream = new Blob([body]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
      return new Uint8Array(await new Response(stream).arrayBuffer());
    }
    at += 46 + nameLength + more + comment;
  }
  throw new Error(`no entry ${name}`);
}
