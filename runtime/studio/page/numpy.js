// Files of numpy: .npy, and entries of .npz, which are zip files.

/** @typedef {import("./wasm_nets.js").Tensor} Tensor */

const KINDS = { f4: "getFloat32", f8: "getFloat64", i4: "getInt32", i2: "getInt16", u1: "getUint8", i1: "getInt8" };

/**
 * Numbers of a .npy, as float32; nothing for what is none, or has others than float32 and float64 (whole: also whole ones).
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {boolean} [whole]
 * @returns {Tensor | undefined}
 */
export function readArray(bytes, whole = false) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < 12 || view.getUint32(0) !== 0x934e554d || view.getUint16(4) !== 0x5059) return undefined;
  const wide = bytes[6] === 2;
  const start = wide ? 12 : 10;
  const end = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const head = new TextDecoder("latin1").decode(bytes.subarray(start, end));
  const [, kind = ""] = /'descr': '[<|](f[48]|i[1248]|u1)'/.exec(head) ?? [];
  const [, shape] = /'shape': \(([\d, ]*)\)/.exec(head) ?? [];
  if (!kind || shape === undefined || !head.includes("'fortran_order': False") || (!whole && kind[0] !== "f")) return undefined;
  const sizes = shape.split(",").flatMap((size) => (size.trim() ? [Number(size)] : []));
  const count = sizes.reduce((product, size) => product * size, 1);
  const step = Number(kind[1]);
  if (end + count * step > bytes.length) return undefined;
  if (kind === "i8") return { sizes, values: Float32Array.from({ length: count }, (_, i) => Number(view.getBigInt64(end + 8 * i, true))) };
  const get = /** @type {"getFloat32"} */ (KINDS[/** @type {keyof typeof KINDS} */ (kind)]);
  return { sizes, values: Float32Array.from({ length: count }, (_, i) => view[get](end + step * i, true)) };
}

/**
 * The entries of a zip file, whose directory stands at its end (APPNOTE of PKWARE, 4.3): name -> a promise of its bytes.
 * Throws RangeError for what is none.
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
export function entriesOf(bytes) {
  /** @type {Map<string, () => Promise<Uint8Array<ArrayBuffer>>>} */
  const found = new Map();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let end = bytes.length - 22;
  while (end > 0 && view.getUint32(end, true) !== 0x06054b50) end--;
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left--) {
    if (view.getUint32(at, true) !== 0x02014b50) break;
    const [method, packed] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true)];
    const [nameLength, more, comment] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)];
    const local = view.getUint32(at + 42, true);
    found.set(new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength)), async () => {
      const from = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
      const body = bytes.slice(from, from + packed);
      if (method === 0) return body;
      const stream = new Blob([body]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
      return new Uint8Array(await new Response(stream).arrayBuffer());
    });
    at += 46 + nameLength + more + comment;
  }
  return found;
}

/** An array of a .npz. Throws an Error where there is none of that name. @param {Uint8Array<ArrayBuffer>} bytes @param {string} name */
export async function entryOf(bytes, name) {
  const read = entriesOf(bytes).get(`${name}.npy`);
  if (!read) throw new Error(`no entry ${name}`);
  return read();
}
