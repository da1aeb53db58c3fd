// Videos that are made on the page: frames by its engine, the file by the browser's encoder. They stay in this browser.

import { EngineError } from "./engine.js";
import { GifWriter } from "./gif.js";
import { WebmWriter, encodes } from "./webm.js";

/** @typedef {import("./engine.js").Film} Film */
/** @typedef {import("./engine.js").Films} Films */
/** @typedef {import("./engine.js").Recipe} Recipe */
/** @typedef {import("./webm.js").Frame & {total: number}} Made */
/** @typedef {{key: string, writer: WebmWriter | GifWriter | undefined}} Work */

/** @implements {Films} */
export class BrowserFilms {
  /** @type {Film} */
  #film = { state: "none", name: "", folder: "", done: 0, total: 0, said: "" };
  /** What is made, or was stopped and may go on. @type {Work | undefined} */
  #work;
  #address = "";

  /** @param {(model: string, recipe: Recipe, number: number) => Promise<Made>} frame */
  constructor(frame) {
    this.frame = frame;
    this.suffixes = encodes() ? [".webm", ".gif"] : [".gif"];
  }

  /** @param {string} model @param {Recipe} recipe @param {string} suffix @returns {Promise<Film>} */
  async begin(model, recipe, suffix) {
    if (this.#film.state === "running") throw new EngineError("A video is being made: one at a time.");
    const key = JSON.stringify([model, recipe, suffix]);
    if (this.#work?.key !== key) {
      this.#work?.writer?.close();
      const work = (this.#work = /** @type {Work} */ ({ key, writer: undefined }));
      this.#film = { state: "none", name: "", folder: "", done: 0, total: 0, said: "" };
      const first = await this.frame(model, recipe, 0); // what is wrong with the recipe, it says
      if (this.#work !== work) throw new EngineError("A video is being made: one at a time.");
      this.#film = { ...this.#film, name: nameOf(model, recipe, suffix), total: first.total };
    }
    this.#film = { ...this.#film, state: "running", said: "" };
    void this.#make(this.#work, model, recipe, suffix);
    return this.about();
  }

  /** @param {Work} work @param {string} model @param {Recipe} recipe @param {string} suffix */
  async #make(work, model, recipe, suffix) {
    const fps = Number(recipe.fps ?? 30);
    try {
      while (this.#film.done < this.#film.total) {
        const frame = await this.frame(model, recipe, this.#film.done);
        if (this.#film.state !== "running") return; // this frame is made again where it goes on
        work.writer ??= suffix === ".gif" ? new GifWriter(frame.width, frame.height, fps) : await WebmWriter.open(frame.width, frame.height, fps);
        await work.writer.add(frame);
        this.#film = { ...this.#film, done: this.#film.done + 1 };
        if (this.#film.state !== "running") return;
      }
      const file = await work.writer?.finish();
      URL.revokeObjectURL(this.#address);
      if (file) this.#address = URL.createObjectURL(file);
      this.#film = { ...this.#film, state: "done" };
    } catch (error) {
      work.writer?.close();
      this.#film = { ...this.#film, state: "failed", said: error instanceof Error ? error.message : String(error) };
    }
    this.#work = undefined;
  }

  async about() {
    return { ...this.#film };
  }

  async stop() {
    if (this.#film.state === "running") this.#film = { ...this.#film, state: "stopped" };
    return this.about();
  }

  address() {
    return this.#address;
  }
}

/** Such as faces-85-100.webm. @param {string} model @param {Recipe} recipe @param {string} suffix */
const nameOf = (model, { seeds = "" }, suffix) => `${model}-${seeds}`.replace(/[^\w.-]+/g, "-").slice(0, 80) + suffix;
