// A generator in the browser, number by number as runtime/model.py: every sum and product is rounded to float32.

import { BundleError, filesOf, noiseChoices, readFile } from "./bundle.js";
import { directionsOf } from "./sefa.js";

/** @typedef {import("./bundle.js").Manifest} Manifest */
/** @typedef {import("./bundle.js").Read} Read */
/** @typedef {import("./wasm_nets.js").Nets} Nets */
/** @typedef {import("./wasm_nets.js").Net} Net */
/** @typedef {import("./wasm_nets.js").Tensor} Tensor */

/**
 * A style: [w_dim], or [num_ws, w_dim] where its layers have styles of their own.
 * @typedef {Tensor} Style
 *
 * @typedef {{transform: Float32Array | null, noise: string, noiseSeed: number, strength: number}} Controls
 */

/** What the model does not have, in words for the user. */
export class InputError extends Error {}

const { fround } = Math;

/** a + part * (b - a), as numpy rounds it. @param {number} a @param {number} b @param {number} part */
const between = (a, b, part) => fround(a + fround(part * fround(b - a)));

export class Generator {
  /** @type {Tensor | undefined} */
  #average;
  /** @type {Float32Array[] | undefined} */
  #weights;

  /**
   * @param {Nets} nets
   * @param {Manifest} manifest
   * @param {Net} mapping
   * @param {Net} synthesis
   * @param {Float32Array} planes  the network's own noise, one after another
   */
  constructor(nets, manifest, mapping, synthesis, planes) {
    this.nets = nets;
    this.manifest = manifest;
    this.mappingNet = mapping;
    this.synthesisNet = synthesis;
    this.planes = planes;
  }

  /**
   * Throws BundleError, NetError.
   * @param {Nets} nets
   * @param {Manifest} manifest
   * @param {Read} read
   */
  static async load(nets, manifest, read) {
    /** @type {Net[]} */
    const loaded = [];
    try {
      for (const part of /** @type {const} */ (["mapping", "synthesis"])) {
        const { param, bin, inputs, outputs } = manifest.graphs[part];
        const texts = await readFile(manifest, param, read);
        const net = nets.net(`${manifest.name}_${part}`.replace(/[^\w.-]/g, "_"), texts, await readFile(manifest, bin, read));
        loaded.push(net);
        for (const [name, shape] of Object.entries(inputs)) {
          const found = net.input(name);
          if (found.length && String(found) !== String(shape)) throw new BundleError(`${param}: the input ${name} has not the shape of the manifest: expected ${shape}, got ${found}`);
        }
        const missing = Object.keys(outputs).filter((name) => !net.has(name));
        if (missing.length) throw new BundleError(`${param}: the net has not the outputs of the manifest: no ${missing.join(", ")}`);
      }
      const [mapping, synthesis] = loaded;
      if (!mapping || !synthesis) throw new BundleError(`${manifest.name} has no nets`);
      const own = filesOf(manifest)[4];
      const bytes = own ? await readFile(manifest, own, read) : new Uint8Array();
      const count = Object.values(manifest.noise.layers).reduce((sum, { shape }) => sum + size(shape), 0);
      if (own && bytes.length !== 4 * count) throw new BundleError(`${own}: the noise planes have the wrong length: expected ${4 * count} bytes, got ${bytes.length}`);
      return new Generator(nets, manifest, mapping, synthesis, new Float32Array(bytes.slice().buffer));
    } catch (error) {
      for (const net of loaded) net.close();
      throw error;
    }
  }

  close() {
    this.mappingNet.close();
    this.synthesisNet.close();
  }

  /**
   * The style of a latent; as Model.mapping.
   * @param {Float32Array} z
   * @param {number} psi
   * @param {number | null} label
   * @param {number | null} cutoff
   * @returns {Style}
   */
  mapping(z, psi, label, cutoff) {
    this.#checkPsi(psi);
    const c = new Float32Array(this.manifest.c_dim);
    if (label !== null) c[label] = 1;
    return cutoff === null ? this.#map(z, psi, c) : this.truncate(this.#map(z, 1, c), psi, cutoff);
  }

  /** As Model.truncate. @param {Style} w @param {number} psi @param {number | null} cutoff @returns {Style} */
  truncate(w, psi, cutoff) {
    this.#checkPsi(psi);
    if (psi === 1 && cutoff === null) return w;
    const { num_ws, w_dim } = this.manifest;
    const part = fround(psi);
    const style = cutoff === null ? { sizes: w.sizes, values: w.values.slice() } : this.rows(w);
    if (psi === 1) return style;
    const average = this.average().values;
    const most = (cutoff ?? num_ws) * w_dim;
    style.values.forEach((value, i) => {
      if (i < most) style.values[i] = between(average[i % w_dim] ?? 0, value, part);
    });
    return style;
  }

  /** The mean style, [w_dim]. */
  average() {
    this.#checkPsi(0);
    return (this.#average ??= this.#map(new Float32Array(this.manifest.z_dim), 0, new Float32Array(this.manifest.c_dim)));
  }

  /** The style of each layer, [num_ws, w_dim], to be written to. @param {Style} w @returns {Style} */
  rows({ values }) {
    const { num_ws, w_dim } = this.manifest;
    const all = new Float32Array(num_ws * w_dim);
    for (let at = 0; at < all.length; at += values.length) all.set(values, at);
    return { sizes: [num_ws, w_dim], values: all };
  }

  /**
   * The network's image, [C, H, W]; as Model.synthesis.
   * @param {Style} w0
   * @param {Style} w1
   * @param {Float32Array} mixing
   * @param {Controls} controls
   * @param {string} [blob]  another one that is a picture, behind which no layer runs
   * @returns {Tensor}
   */
  synthesis(w0, w1, mixing, controls, blob = "output") {
    const [image] = this.synthesisNet.run(this.#synthesisInputs(w0, w1, mixing, controls), [blob]);
    if (image?.sizes.length !== 3) throw new InputError("the net's output is no image");
    return image;
  }

  /** What the synthesis net gets for the picture of a style, as the model does by default. @param {Style} w */
  synthesisInputs(w) {
    const controls = { transform: null, noise: noiseChoices(this.manifest)[0] ?? "none", noiseSeed: 0, strength: 1 };
    return this.#synthesisInputs(w, w, new Float32Array(this.manifest.num_ws), controls);
  }

  /** @param {Style} w0 @param {Style} w1 @param {Float32Array} mixing @param {Controls} controls */
  #synthesisInputs(w0, w1, mixing, { transform, noise, noiseSeed, strength }) {
    const { manifest } = this;
    /** @type {Record<string, Tensor>} */
    const inputs = { ws0: this.#input("ws0", w0), ws1: this.#input("ws1", w1), mixing: { sizes: [mixing.length], values: mixing } };
    if (transform && !manifest.transform) throw new InputError("the model takes no transform");
    if (manifest.transform) inputs.transform = { sizes: [3, 3], values: transform ?? Float32Array.from(manifest.transform.flat()) };
    return Object.assign(inputs, this.#noise(noise, noiseSeed, strength));
  }

  /**
   * Directions of these styles, [at most 16][w_dim]; as runtime.directions.
   * @param {number[]} styles
   */
  directions(styles) {
    this.#weights ??= this.#styleWeights();
    const rows = styles.map((i) => this.#weights?.[i] ?? new Float32Array());
    if (!rows.some((row) => row.length)) throw new InputError("no layer reads these styles, so they have no directions");
    return directionsOf(rows, this.manifest.w_dim);
  }

  /** @param {number} psi */
  #checkPsi(psi) {
    if (psi !== 1 && !this.manifest.truncation) throw new InputError("this network keeps no w_avg, so there is no truncation: expected trunc=1");
  }

  /** What the mapping net gets. @param {Float32Array} z @param {number} psi @param {Float32Array} c */
  mappingInputs(z, psi, c) {
    /** @type {Record<string, Tensor>} */
    const inputs = { coeff: { sizes: [1], values: Float32Array.of(psi) } };
    if (z.length) inputs.z = { sizes: [z.length], values: z };
    if (c.length) inputs.c = { sizes: [c.length], values: c };
    return inputs;
  }

  /** @param {Float32Array} z @param {number} psi @param {Float32Array} c @returns {Style} */
  #map(z, psi, c) {
    const [w] = this.mappingNet.run(this.mappingInputs(z, psi, c), ["output"]);
    if (w?.values.length !== this.manifest.w_dim) throw new InputError("the mapping net makes no style of this model");
    if (!w.values.every(Number.isFinite)) throw new InputError("the style is not finite: the seed or trunc= lies far outside what the network knows");
    return w;
  }

  /** The style as the net's input takes it. @param {string} name @param {Style} w */
  #input(name, w) {
    return this.manifest.graphs.synthesis.inputs[name]?.length === 2 && w.sizes.length === 1 ? this.rows(w) : w;
  }

  /** @param {string} noise @param {number} seed @param {number} strength */
  #noise(noise, seed, strength) {
    const layers = Object.values(this.manifest.noise.layers);
    if (!noiseChoices(this.manifest).includes(noise)) throw new InputError(`noise=${noise} is not in this model: expected ${noiseChoices(this.manifest).join(" or ")}`);
    const count = layers.reduce((sum, { shape }) => sum + size(shape), 0);
    const all = noise === "random" ? this.nets.normal(seed, count) : noise === "const" ? this.planes : new Float32Array(count);
    const scale = fround(strength);
    let at = 0;
    return Object.fromEntries(layers.map(({ input, shape }) => [input, { sizes: shape, values: all.slice(at, (at += size(shape))).map((value) => fround(value * scale)) }]));
  }

  /** Of each style the weights of the layers that read it, [outputs, w_dim]. */
  #styleWeights() {
    const { num_ws, w_dim, graphs: { synthesis } } = this.manifest;
    const taps = Object.entries(synthesis.taps).flatMap(([tap, blob]) => (tap.endsWith(".affine") ? [blob] : []));
    const blobs = [...new Set(taps)].sort().filter((blob) => this.synthesisNet.has(blob));
    if (!blobs.length) throw new InputError("the bundle does not say which blobs its affine layers make");
    const rest = Object.fromEntries(Object.entries(synthesis.inputs).map(([name, shape]) => [name, { sizes: shape, values: new Float32Array(size(shape)) }]));
    const outputs = (/** @type {Float32Array} */ values) => {
      const ws = { sizes: [num_ws, w_dim], values };
      return this.synthesisNet.run({ ...rest, ws0: ws, ws1: ws }, blobs).map((blob) => blob.values);
    };
    const zero = outputs(new Float32Array(num_ws * w_dim));
    const readers = Array.from({ length: num_ws }, (_, i) => {
      const ws = new Float32Array(num_ws * w_dim);
      for (let k = 0; k < w_dim; k++) ws[i * w_dim + k] = 1 + (w_dim > 1 ? k / (w_dim - 1) : 0);
      return outputs(ws).map((made, b) => made.some((value, j) => value !== zero[b]?.[j]));
    });
    const weights = zero.map((made) => new Float32Array(made.length * w_dim));
    for (let k = 0; k < w_dim; k++) {
      const unit = new Float32Array(num_ws * w_dim);
      for (let i = 0; i < num_ws; i++) unit[i * w_dim + k] = 1;
      outputs(unit).forEach((made, b) => made.forEach((value, j) => {
        const to = weights[b];
        if (to) to[j * w_dim + k] = fround(value - (zero[b]?.[j] ?? 0));
      }));
    }
    return readers.map((read) => {
      const found = weights.filter((_, b) => read[b]);
      const all = new Float32Array(found.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const part of found) {
        all.set(part, at);
        at += part.length;
      }
      return all;
    });
  }
}

/** @param {number[]} shape */
const size = (shape) => shape.reduce((product, length) => product * length, 1);
