// Bundles in the browser: a manifest as runtime/manifest.py reads it, and its files with their sizes and SHA-256 sums.

/**
 * @typedef {{param: string, bin: string, inputs: Record<string, number[]>, outputs: Record<string, number[]>,
 *   taps: Record<string, string>}} Graph
 *
 * @typedef {{name: string, family: string, config: string | null, target: string, z_dim: number, c_dim: number,
 *   w_dim: number, num_ws: number, img_resolution: number, img_channels: number, truncation: boolean,
 *   noise: {mode: string, planes: string | null, layers: Record<string, {input: string, shape: number[]}>},
 *   transform: number[][] | null, weights: {random: boolean, source: string}, graphs: {mapping: Graph, synthesis: Graph},
 *   files: Record<string, {bytes: number, sha256: string}>}} Manifest
 *
 * Where the files of a bundle are.
 * @typedef {(file: string) => Promise<Uint8Array<ArrayBuffer>>} Read
 */

/** What is wrong with a bundle, in words for the user. */
export class BundleError extends Error {}

const FORMAT = "ncnn-builder-bundle";
const VERSION = 2;
const LARGEST = 1 << 20;
const MODES = ["const", "none", "random", "input"];

/**
 * Throws BundleError for what is no manifest that this page reads.
 * @param {string} file  in messages
 * @param {string} text
 * @returns {Manifest}
 */
export function readManifest(file, text) {
  const bad = (/** @type {string} */ what) => new BundleError(`${file}: ${what}`);
  let data;
  try {
    data = JSON.parse(text);
  } catch (error) {
    throw bad(`the manifest is not JSON: ${error instanceof Error ? error.message : error}`);
  }
  if (data?.format !== FORMAT) throw bad("not a bundle of ncnn_builder");
  if (data.format_version === 1) {
    data = { truncation: true, transform: null, ...data, noise: { mode: data.noise_mode, planes: null, layers: {} } };
  } else if (data.format_version !== VERSION) {
    throw bad(`the bundle is of another format: expected version ${VERSION}, got version ${data.format_version}`);
  }
  for (const [key, low] of /** @type {[string, number][]} */ ([["z_dim", 0], ["c_dim", 0], ["w_dim", 1], ["num_ws", 1], ["img_resolution", 1], ["img_channels", 1]])) {
    const number = data[key];
    if (!Number.isInteger(number) || number < low || number > LARGEST) throw bad(`a bad ${key}: expected a whole number from ${low}, got ${number}`);
  }
  const isText = (/** @type {unknown} */ value) => typeof value === "string";
  const isFile = (/** @type {unknown} */ value) => isText(value) && /^[^/\\\0]+$/.test(String(value));
  const isTable = (/** @type {unknown} */ value) => typeof value === "object" && value !== null && !Array.isArray(value);
  const isShape = (/** @type {unknown} */ value) => Array.isArray(value) && value.every((size) => Number.isInteger(size) && size > 0);
  if (![data.name, data.family, data.target].every(isText) || typeof data.truncation !== "boolean" || typeof data.weights?.random !== "boolean") {
    throw bad("the manifest lacks keys, or has bad ones");
  }
  if (!MODES.includes(data.noise?.mode) || !isTable(data.noise.layers)) throw bad("the manifest has a bad 'noise'");
  if ((data.noise.mode === "input") !== isFile(data.noise.planes)) throw bad("the manifest's noise has planes exactly where its mode is input");
  const files = isTable(data.files) ? data.files : {};
  for (const graph of [data.graphs?.mapping, data.graphs?.synthesis]) {
    if (!isTable(graph) || !isFile(graph.param) || !isFile(graph.bin) || !isTable(graph.inputs) || !isTable(graph.taps)) throw bad("the manifest has a bad graph");
    if (!Object.values(graph.inputs).every(isShape)) throw bad("the manifest has a bad shape of an input");
    for (const name of [graph.param, graph.bin]) if (!(name in files)) throw bad(`the manifest does not list its file ${name}`);
  }
  if (data.noise.planes && !(data.noise.planes in files)) throw bad(`the manifest does not list its file ${data.noise.planes}`);
  for (const record of Object.values(files)) if (!Number.isInteger(record?.bytes) || !isText(record?.sha256)) throw bad("the manifest has a bad list of files");
  const inputs = data.graphs.synthesis.inputs;
  for (const { input, shape } of Object.values(data.noise.layers)) {
    if (!isShape(shape) || String(inputs[input]) !== String(shape)) throw bad("the manifest's 'noise' and the inputs of its synthesis graph disagree");
  }
  if ((data.transform === null) === ("transform" in inputs)) throw bad("the manifest's 'transform' and the inputs of its synthesis graph disagree");
  return data;
}

/** The files of the nets, in the order of Manifest.digest. @param {Manifest} manifest */
export function filesOf({ graphs, noise }) {
  const nets = [graphs.mapping, graphs.synthesis].flatMap(({ param, bin }) => [param, bin]);
  return noise.planes ? [...nets, noise.planes] : nets;
}

/**
 * What the noise may be, the default first.
 * @param {Manifest} manifest
 */
export function noiseChoices({ noise }) {
  if (noise.mode === "random") return ["random", "none"];
  return noise.mode === "input" ? ["const", "random", "none"] : [noise.mode];
}

/** As Manifest.digest; nothing where the page is not on a secure connection. @param {Manifest} manifest */
export async function digestOf(manifest) {
  const sums = filesOf(manifest).map((name) => manifest.files[name]?.sha256 ?? "");
  const rows = manifest.transform?.map((row) => `[${row.map(pythonFloat).join(", ")}]`);
  return sha256(new TextEncoder().encode([...sums, rows ? `[${rows.join(", ")}]` : "null"].join("\n")));
}

/** As Python's json writes a float. @param {number} value */
function pythonFloat(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  }
  return Number.isInteger(value) ? `${Object.is(value, -0) ? "-0" : value}.0` : String(value);
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
export async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) return "";
  return Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * A file of the bundle, which has to be as the manifest says.
 * @param {Manifest} manifest
 * @param {string} name
 * @param {Read} read
 */
export async function readFile(manifest, name, read) {
  const bytes = await read(name);
  const record = manifest.files[name];
  if (bytes.length !== record?.bytes) throw new BundleError(`${name}: another file than was exported: expected ${record?.bytes} bytes, got ${bytes.length}`);
  const sum = await sha256(bytes);
  if (sum && sum !== record.sha256) throw new BundleError(`${name}: changed since export: its SHA-256 differs`);
  return bytes;
}
