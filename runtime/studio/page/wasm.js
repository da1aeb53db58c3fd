// The engine of the page that stands alone: ncnn and our layers as WebAssembly, in a worker.

import { BrowserFilms } from "./browser_films.js";
import { EngineError, Superseded } from "./engine.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./engine.js").Recipe} Recipe */
/** @typedef {import("./engine.js").Options} Options */
/** @typedef {import("./engine.js").Picture} Picture */
/** @typedef {import("./engine.js").Model} Model */
/** @typedef {{what: string, given: unknown[], rank: number, signal: AbortSignal | undefined,
 *   resolve: (result: any) => void, reject: (error: unknown) => void}} Job */

/** What is asked for while a picture is made waits here: what the page shows first, thumbnails last. */
const VIEW = 0;
const OTHER = 1;
const THUMBNAIL = 2;

/** @implements {Engine} */
export class WasmEngine {
  /** @type {Worker} */
  #worker;
  /** @type {Job[]} */
  #waiting = [];
  /** @type {Job | undefined} */
  #running;
  #count = 0;

  /** @param {string} [form]  of what was built, for tests; else the one that this browser is fastest with */
  constructor(form) {
    this.#worker = new Worker(new URL("worker.js", import.meta.url), { type: "module", name: form ?? "" });
    this.#worker.addEventListener("message", ({ data: { id, result, error } }) => {
      const job = this.#running;
      if (!job || id !== this.#count) return;
      this.#running = undefined;
      if (error === undefined) job.resolve(result);
      else job.reject(new EngineError(error));
      this.#next();
    });
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      const error = new EngineError(`What computes the pictures has ended: ${event.message || "its files are not there"}. Load the page again.`);
      for (const job of [this.#running, ...this.#waiting.splice(0)]) job?.reject(error);
      this.#running = undefined;
    });
  }

  /** @returns {Promise<{first: string, models: Model[]}>} */
  models() {
    return this.#ask("models", OTHER);
  }

  /**
   * @param {string} model
   * @param {Recipe} recipe
   * @param {Options} options
   * @returns {Promise<Picture>}
   */
  picture(model, recipe, { signal, thumbnail = 0, early = false }) {
    return this.#ask("picture", thumbnail ? THUMBNAIL : VIEW, signal, model, recipe, thumbnail, early);
  }

  /** @param {string} model @param {Recipe} recipe @returns {Promise<Blob>} */
  png(model, recipe) {
    return this.#ask("png", OTHER, undefined, model, recipe);
  }

  /** @param {string} model @param {File} file @returns {Promise<string>} */
  seed(model, file) {
    return this.#ask("seed", OTHER, undefined, model, file);
  }

  /** @param {string} model @param {File | string} file @returns {Promise<import("./engine.js").DirectionsFile>} */
  directions(model, file) {
    return this.#ask("directions", OTHER, undefined, model, file);
  }

  /** @param {File[]} files @returns {Promise<string[]>} */
  add(files) {
    return this.#ask("add", OTHER, undefined, files);
  }

  films = new BrowserFilms((model, recipe, number) => this.#ask("frame", OTHER, undefined, model, recipe, number));

  /** @type {import("./engine.js").Nets} */
  nets = {
    names: () => this.#ask("netNames", OTHER),
    add: (files) => this.#ask("netAdd", OTHER, undefined, files),
    graph: (net, shapes, signal) => this.#ask("netGraph", OTHER, signal, net, shapes),
    blob: (net, blob, feed, options, signal) => this.#ask("netBlob", VIEW, signal, net, blob, feed, options),
    times: (net, feed) => this.#ask("netTimes", OTHER, undefined, net, feed),
    compare: (net, other, feed, signal) => this.#ask("netCompare", OTHER, signal, net, other, feed),
  };

  /** What the picture was made of, for tests. @param {string} model @param {Recipe} recipe @returns {Promise<{sizes: number[], values: Float32Array}>} */
  numbers(model, recipe) {
    return this.#ask("numbers", OTHER, undefined, model, recipe);
  }

  /** z of a seed, for tests. @param {number} seed @param {number} count @returns {Promise<Float32Array>} */
  latent(seed, count) {
    return this.#ask("latent", OTHER, undefined, seed, count);
  }

  /**
   * @param {string} what
   * @param {number} rank
   * @param {AbortSignal} [signal]
   * @param {...unknown} given
   * @returns {Promise<any>}
   */
  #ask(what, rank, signal, ...given) {
    return new Promise((resolve, reject) => {
      const job = { what, given, rank, signal, resolve, reject };
      if (signal?.aborted) return reject(signal.reason);
      signal?.addEventListener("abort", () => {
        this.#waiting = this.#waiting.filter((other) => other !== job);
        reject(signal.reason); // what is being computed goes on to its end, for nobody
      });
      if (rank === VIEW) {
        for (const old of this.#waiting.filter((other) => other.rank === VIEW)) old.reject(new Superseded());
        this.#waiting = this.#waiting.filter((other) => other.rank !== VIEW);
      }
      this.#waiting.push(job);
      this.#next();
    });
  }

  #next() {
    if (this.#running || !this.#waiting.length) return;
    const rank = Math.min(...this.#waiting.map((job) => job.rank));
    const [job] = this.#waiting.splice(this.#waiting.findIndex((each) => each.rank === rank), 1);
    if (!job) return;
    this.#running = job;
    this.#worker.postMessage({ id: ++this.#count, what: job.what, asked: job.given });
  }
}
