// Nets on the page that stands alone: those of its models, and those dropped on it. For the worker.

import { macsOf, peakOf, weightsOf } from "./cost.js";
import { InputError } from "./generator.js";
import { pictureOf } from "./blob_picture.js";
import { differenceOf } from "./net_diff.js";
import { entriesOf, readArray } from "./numpy.js";
import { anyShape, declared, readParam, said } from "./param_file.js";

/** @typedef {import("./engine.js").BlobPicture} BlobPicture */
/** @typedef {import("./engine.js").Compared} Compared */
/** @typedef {import("./engine.js").Feed} Feed */
/** @typedef {import("./engine.js").Shown} Shown */
/** @typedef {import("./generator.js").Generator} Generator */
/** @typedef {import("./param_file.js").Line} Line */
/** @typedef {import("./wasm_nets.js").Net} Net */
/** @typedef {import("./wasm_nets.js").Nets} Nets */
/** @typedef {import("./wasm_nets.js").Tensor} Tensor */
/** @typedef {Record<string, Tensor>} Given */

/**
 * A net: its two files; of a model: its generator, and which of its nets it is.
 * @typedef {{text: () => Promise<string>, bin: () => Promise<Uint8Array>, owner?: {generator: () => Promise<Generator>, part: "mapping" | "synthesis"}}} Known
 */

const KEPT = 2; // nets in memory
const OPEN = 64; // what an open size is tried with
const RUNS = [3, 200]; // that times are taken of
const QUICK = 0.25; // the share of them that counts: what else runs only makes them longer
const ENOUGH = 2000; // milliseconds of runs
const MOST_NUMBERS = 1 << 26; // of all inputs together
const AT_ONCE = 1 << 24; // numbers of blobs that are compared in one run
const TOLERANCE = 1e-4;
const INDEXED = ["Embed", "Dequantize", "Requantize"]; // read whole numbers

export class NetRoom {
  /** Nets that were dropped, and files of inputs. @type {Map<string, Known>} */
  #dropped = new Map();
  /** @type {Map<string, File>} */
  #files = new Map();
  /** @type {Map<string, Net>} */
  #open = new Map();

  /**
   * @param {() => Promise<Nets>} nets
   * @param {() => Promise<Map<string, Known>>} bundled  those of the models
   */
  constructor(nets, bundled) {
    this.nets = nets;
    this.bundled = bundled;
  }

  async names() {
    return { first: [], nets: [...this.#dropped.keys(), ...(await this.bundled()).keys()] };
  }

  /** Nets and inputs of files that somebody gave; returns the names of both. @param {File[]} files */
  add(files) {
    /** @type {string[]} */
    const nets = [], inputs = [];
    for (const file of files) {
      if (file.name.endsWith(".param.bin")) throw new InputError(`${file.name}: a binary .param, which the page does not read: expected the text`);
      if (/\.(npz|npy|png|jpe?g|webp|bmp)$/i.test(file.name)) {
        this.#files.set(file.name, file);
        inputs.push(file.name);
      }
      if (!file.name.endsWith(".param")) continue;
      const beside = file.name.replace(/\.param$/, ".bin");
      const bin = files.find(({ name }) => name === beside);
      if (!bin) throw new InputError(`${beside} is missing: drop NAME.param and NAME.bin together`);
      for (const key of this.#open.keys()) if (key.endsWith(`\n${file.name}`)) this.#close(key);
      this.#dropped.set(file.name, { text: () => file.text(), bin: async () => new Uint8Array(await bin.arrayBuffer()) });
      nets.push(file.name);
    }
    if (!nets.length && !inputs.length) throw new InputError("no net is among the files: expected NAME.param and NAME.bin, dropped together");
    return { nets, inputs };
  }

  /** @param {string} name */
  async #find(name) {
    const known = this.#dropped.get(name) ?? (await this.bundled()).get(name);
    if (!known) throw new InputError(`no such net here: ${name.slice(0, 100)}; drop NAME.param and NAME.bin on the page`);
    const text = await known.text();
    return { known, text, lines: readParam(name, text) };
  }

  /** @param {string} key */
  #close(key) {
    this.#open.get(key)?.close();
    this.#open.delete(key);
  }

  /** @param {string} name @param {Known} known @param {string} text @param {boolean} any  inputs of any shape */
  async #load(name, known, text, any) {
    if (known.owner && !any) {
      const generator = await known.owner.generator();
      return known.owner.part === "mapping" ? generator.mappingNet : generator.synthesisNet;
    }
    const key = `${any}\n${name}`;
    let net = this.#open.get(key);
    if (!net) {
      for (const old of [...this.#open.keys()].slice(0, 1 - KEPT || undefined)) this.#close(old);
      const nets = await this.nets();
      const weights = await known.bin();
      net = this.#made(nets, name.replace(/\.param$/, "").replace(/[^\w.-]/g, "_"), any ? anyShape(text) : text, weights);
    }
    this.#open.delete(key); // it becomes the newest
    this.#open.set(key, net);
    return net;
  }

  /** @param {Nets} nets @param {string} name @param {string} text @param {Uint8Array} weights */
  #made(nets, name, text, weights) {
    try {
      return nets.net(name, new TextEncoder().encode(text), weights);
    } catch (error) {
      const [, what = ""] = /^(.*: unknown layer type)/.exec(error instanceof Error ? error.message : "") ?? [];
      if (what) throw new InputError(`${what}: the page was built without it, for generators alone; python -m runtime.studio shows nets of any layers`);
      throw error;
    }
  }

  /** The net, its lines, and what it is given. @param {string} name @param {Feed} feed @returns {Promise<{net: Net, lines: Line[], given: Given}>} */
  async #fed(name, feed) {
    const { known, text, lines } = await this.#find(name);
    const net = await this.#load(name, known, text, Object.keys(feed.shapes).length > 0);
    return { net, lines, given: feed.of ? await this.#fromOther(feed.of, lines, feed) : await this.#given(known, lines, feed) };
  }

  /** What another net is given: one style for all layers is one for each, where this one wants it so. @param {string} of @param {Line[]} lines @param {Feed} feed */
  async #fromOther(of, lines, feed) {
    const { given } = await this.#fed(of, { ...feed, of: "" });
    return Object.fromEntries(inputsOf(lines).flatMap((line) => {
      const [blob = ""] = line.writes;
      const tensor = given[blob], wanted = declared(line);
      if (!tensor) return [];
      if (wanted.length !== tensor.sizes.length + 1 || String(wanted.slice(1)) !== String(tensor.sizes)) return [[blob, tensor]];
      const values = new Float32Array((wanted[0] ?? 1) * tensor.values.length);
      for (let at = 0; at < values.length; at += tensor.values.length) values.set(tensor.values, at);
      return [[blob, { sizes: wanted, values }]];
    }));
  }

  /** @param {Known} known @param {Line[]} lines @param {Feed} feed @returns {Promise<Given>} */
  async #given({ owner }, lines, feed) {
    const inputs = inputsOf(lines);
    const names = inputs.map(({ writes }) => writes[0] ?? "");
    for (const name of Object.keys(feed.shapes)) if (!names.includes(name)) throw new InputError(`the net has no input ${name}: expected ${names.join(", ")}`);
    if (feed.file) return this.#ofFile(feed, inputs);
    const nets = await this.nets();
    if (owner && !Object.keys(feed.shapes).length) {
      const generator = await owner.generator();
      const { z_dim, c_dim } = generator.manifest;
      const z = nets.normal(feed.seed, z_dim), c = new Float32Array(c_dim);
      if (c_dim) c[0] = 1;
      return owner.part === "mapping" ? generator.mappingInputs(z, 1, c) : generator.synthesisInputs(generator.mapping(z, 1, c_dim ? 0 : null, null));
    }
    const shapes = inputs.map((line) => shapeOf(line, feed));
    const counts = shapes.map((sizes) => sizes.reduce((product, n) => product * n, 1));
    const many = total(counts);
    if (many > MOST_NUMBERS) throw new InputError(`the inputs are too large: expected at most ${MOST_NUMBERS} numbers, got ${many}`);
    const all = nets.normal(feed.seed, many), whole = indexed(lines);
    let at = 0;
    return Object.fromEntries(shapes.map((sizes, i) => {
      const values = all.slice(at, (at += counts[i] ?? 0));
      // whole numbers are given as their bits
      return [names[i] ?? "", { sizes, values: whole.has(names[i] ?? "") ? new Float32Array(Int32Array.from(values, (value) => (value > 0 ? 1 : 0)).buffer) : values }];
    }));
  }

  /** @param {Feed} feed @param {Line[]} inputs @returns {Promise<Given>} */
  async #ofFile(feed, inputs) {
    const file = this.#files.get(feed.file);
    const names = inputs.map(({ writes }) => writes[0] ?? "");
    if (!file) throw new InputError(`no such file of inputs here: ${feed.file.slice(0, 100)}; drop it on the page`);
    const bad = (/** @type {string} */ what) => new InputError(`${file.name}: ${what}`);
    const [only] = inputs;
    if (/\.(png|jpe?g|webp|bmp)$/i.test(file.name)) {
      if (!only || inputs.length !== 1) throw bad(`a picture is for a net of one input: expected ${names.join(", ")}`);
      const sizes = feed.shapes[names[0] ?? ""] ?? declared(only);
      return { [names[0] ?? ""]: await pixelsOf(file, sizes.length ? sizes : null, bad) };
    }
    const bytes = new Uint8Array(await file.arrayBuffer());
    /** @type {Map<string, Tensor>} */
    const found = new Map();
    try {
      const entries = /\.npy$/i.test(file.name) ? new Map([["", async () => bytes]]) : entriesOf(bytes);
      for (const [name, read] of entries) {
        const array = readArray(await read(), true);
        if (!array) throw new Error(`${name || "the array"} is not of little-endian floats or whole numbers in C order`);
        found.set(name.replace(/\.npy$/, ""), array);
      }
    } catch (error) {
      throw bad(`the file of inputs cannot be read: ${error instanceof Error ? error.message : error}`);
    }
    if (found.size !== inputs.length) throw bad(`the file has other inputs: expected ${names.join(", ")}, got ${[...found.keys()].join(", ")}`);
    const known = names.every((name) => found.has(name));
    const arrays = known ? names.map((name) => found.get(name)) : [...found.values()];
    return Object.fromEntries(inputs.map((line, i) => {
      const { sizes, values } = /** @type {Tensor} */ (arrays[i]);
      const wanted = declared(line);
      const drop = sizes[0] === 1 && (sizes.length === 5 || (wanted.length > 0 && sizes.length === wanted.length + 1)); // a batch of one
      return [names[i] ?? "", { sizes: drop ? sizes.slice(1) : sizes, values }];
    }));
  }

  /**
   * Layers with what they read and write, and what they cost, by shapes that a run tells; problem: why it told not all.
   * @param {string} name @param {Record<string, number[]>} shapes @returns {Promise<Shown>}
   */
  async graph(name, shapes) {
    const { lines } = await this.#find(name);
    /** @type {Map<string, number[]>} */
    const known = new Map();
    let problem = "";
    try {
      const { net, given } = await this.#fed(name, { seed: 0, file: "", shapes });
      const blobs = lines.flatMap(({ writes }) => writes);
      const walked = net.walk(given, lines.length, blobs);
      problem = walked.problem;
      walked.shapes.forEach((sizes, i) => sizes.length && known.set(blobs[i] ?? "", sizes));
      for (const [blob, { sizes }] of Object.entries(given)) known.set(blob, sizes);
    } catch (error) {
      problem = error instanceof Error ? error.message : String(error);
    }
    const of = (/** @type {string[]} */ blobs) => blobs.map((blob) => known.get(blob) ?? null);
    const layers = lines.map((line) => {
      const { type, name, module, reads, writes } = line;
      return { type, name, module, reads, writes, said: said(line), outputs: of(writes), macs: macsOf(line, of(reads), of(writes)), parameters: weightsOf(line) };
    });
    return {
      file: name, layers, problem, macs: layers.reduce((sum, { macs }) => sum + (macs ?? 0), 0), parameters: layers.reduce((sum, { parameters }) => sum + parameters, 0),
      unknown_layers: layers.filter(({ macs }) => macs === null).length, peak_bytes: peakOf(lines, known),
    }; // prettier-ignore
  }

  /**
   * @param {string} name @param {string} blob @param {Feed} feed
   * @param {{first: number, each: boolean, other?: string, other_blob?: string}} options
   * @returns {Promise<BlobPicture>}
   */
  async blob(name, blob, feed, { first, each, other, other_blob }) {
    const { net, given } = await this.#fed(name, feed);
    const [found] = net.run(given, [blob]);
    if (!found?.values.length) throw new InputError(`blob ${blob} is empty`);
    if (!other || !other_blob) return pictureOf(found, first, each);
    const beside = await this.#fed(other, { ...feed, of: name });
    const [theirs] = beside.net.run(beside.given, [other_blob]);
    if (String(theirs?.sizes) !== String(found.sizes)) throw new InputError(`the blob has another shape in the other net: ${found.sizes.join(", ")} and ${theirs?.sizes.join(", ")}`);
    return pictureOf({ sizes: found.sizes, values: found.values.map((value, i) => value - (theirs?.values[i] ?? 0)) }, first, each);
  }

  /** Seconds of each layer: the mean of the quicker runs behind a first one, as a browser's clock has steps of up to 0.1 ms. @param {string} name @param {Feed} feed */
  async times(name, feed) {
    const { net, lines, given } = await this.#fed(name, feed);
    const run = () => {
      const { seconds, problem } = net.walk(given, lines.length, []);
      if (problem) throw new InputError(problem);
      return seconds;
    };
    run();
    const begun = performance.now();
    /** @type {number[][]} */
    const runs = [];
    while (runs.length < (RUNS[0] ?? 3) || (runs.length < (RUNS[1] ?? 3) && performance.now() - begun < ENOUGH)) runs.push(run());
    const quick = runs.sort((x, y) => total(x) - total(y)).slice(0, Math.ceil(QUICK * runs.length));
    return lines.map((_, i) => total(quick.map((seconds) => seconds[i] ?? 0)) / quick.length);
  }

  /**
   * Structure by the files; numbers of all layers that have a counterpart, on the inputs of the first.
   * @param {string} name @param {string} other @param {Feed} feed @returns {Promise<Compared>}
   */
  async compare(name, other, feed) {
    const [a, b] = [await this.#find(name), await this.#find(other)];
    const { structure, pairs, changed } = differenceOf(a.lines, b.lines);
    const diff = { structure, weights: [], pairs, changed };
    try {
      return { diff, doctor: await this.#errors(name, other, feed, pairs), problems: [] };
    } catch (error) {
      return { diff, doctor: null, problems: [error instanceof Error ? error.message : String(error)] };
    }
  }

  /** @param {string} name @param {string} other @param {Feed} feed @param {[number, number][]} pairs */
  async #errors(name, other, feed, pairs) {
    const a = await this.#fed(name, feed), b = await this.#fed(other, { ...feed, of: name });
    const sizes = a.net.walk(a.given, a.lines.length, a.lines.flatMap(({ writes }) => writes)).shapes;
    const known = new Map(a.lines.flatMap(({ writes }) => writes).map((blob, i) => [blob, (sizes[i] ?? []).reduce((product, n) => product * n, 1)]));
    const wanted = pairs.flatMap(([i, k]) => {
      const [one, two] = [a.lines[i], b.lines[k]];
      return one && two && one.type !== "Input" ? [{ name: two.name, blobs: /** @type {[string, string]} */ ([one.writes[0] ?? "", two.writes[0] ?? ""]), place: k }] : [];
    }).sort((x, y) => x.place - y.place);
    const layers = [];
    for (let from = 0; from < wanted.length; ) {
      let numbers = 0, to = from;
      do numbers += known.get(wanted[to]?.blobs[0] ?? "") ?? 0;
      while (++to < wanted.length && numbers < AT_ONCE);
      const part = wanted.slice(from, to);
      const ours = a.net.run(a.given, part.map(({ blobs }) => blobs[0])), theirs = b.net.run(b.given, part.map(({ blobs }) => blobs[1]));
      for (const [i, { name }] of part.entries()) {
        const in_net = errorsOf(ours[i], theirs[i]);
        if (in_net) layers.push({ name, in_net, alone: null });
      }
      from = to;
    }
    const [last] = outputsOf(a.lines), [its] = outputsOf(b.lines);
    const outputs = errorsOf(a.net.run(a.given, [last ?? ""])[0], b.net.run(b.given, [its ?? ""])[0]);
    if (!outputs) throw new InputError(`the outputs ${last} and ${its} have other shapes`);
    const equal = outputs.finite && (outputs.relative ?? Infinity) <= TOLERANCE;
    return { equal, tolerance: TOLERANCE, culprit: null, outputs, causes: [], notes: [], layers };
  }
}

/** Relative to the largest of the first; null for other shapes. @param {Tensor | undefined} a @param {Tensor | undefined} b */
function errorsOf(a, b) {
  if (!a || !b || String(a.sizes) !== String(b.sizes)) return null;
  let max = 0, largest = 0, finite = true;
  a.values.forEach((value, i) => {
    const off = Math.abs(value - (b.values[i] ?? 0));
    if (!Number.isFinite(off)) finite = false;
    else max = Math.max(max, off);
    largest = Math.max(largest, Math.abs(value));
  });
  return { max: finite ? max : null, relative: finite ? (max === 0 ? 0 : max / largest) : null, finite };
}

/** @param {number[]} numbers */
const total = (numbers) => numbers.reduce((sum, n) => sum + n, 0);

/** @param {Line[]} lines */
const inputsOf = (lines) => lines.filter(({ type }) => type === "Input");

/** @param {Line[]} lines */
function outputsOf(lines) {
  const read = new Set(lines.flatMap(({ reads }) => reads));
  return lines.flatMap(({ writes }) => writes.filter((blob) => !read.has(blob)));
}

/** Inputs that are whole numbers, behind Splits too. @param {Line[]} lines */
function indexed(lines) {
  const whole = new Set(lines.flatMap(({ type, reads }) => (INDEXED.includes(type) ? reads : [])));
  for (const { type, reads, writes } of lines.toReversed()) if (type === "Split" && writes.some((blob) => whole.has(blob))) whole.add(reads[0] ?? "");
  return whole;
}

/** @param {Line} line @param {Feed} feed */
function shapeOf(line, feed) {
  const [name = ""] = line.writes;
  const sizes = feed.shapes[name] ?? declared(line);
  if (!sizes.length) throw new InputError(`the file does not say the shape of input '${name}': give it, as in ${name}=3,${OPEN},${OPEN}`);
  return sizes;
}

/** [C, H, W] from 0 to 1, resized to what the net states. @param {File} file @param {number[] | null} sizes @param {(what: string) => Error} bad @returns {Promise<Tensor>} */
async function pixelsOf(file, sizes, bad) {
  if (sizes && (sizes.length !== 3 || ![1, 3].includes(sizes[0] ?? 0))) throw bad(`the net takes no pictures: expected an input of ${sizes.join(", ")}`);
  const image = await createImageBitmap(file).catch(() => undefined);
  if (!image) throw bad("the picture cannot be read");
  const [c = 3, h = image.height, w = image.width] = sizes ?? [];
  const context = new OffscreenCanvas(w, h).getContext("2d");
  context?.drawImage(image, 0, 0, w, h);
  const pixels = context?.getImageData(0, 0, w, h).data ?? [];
  const grey = [0.299, 0.587, 0.114];
  const values = Float32Array.from({ length: c * h * w }, (_, i) => {
    const at = 4 * (i % (h * w));
    if (c === 3) return (pixels[at + Math.floor(i / (h * w))] ?? 0) / 255;
    return grey.reduce((sum, share, k) => sum + share * (pixels[at + k] ?? 0), 0) / 255;
  });
  return { sizes: [c, h, w], values };
}
