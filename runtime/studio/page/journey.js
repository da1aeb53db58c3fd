// Videos of recipes of mode=a2b, frame by frame, as runtime/journey.py and runtime/modes.py make them.

import { InputError } from "./generator.js";
import { blended, prepare, whole } from "./painter.js";

/** @typedef {import("./engine.js").Recipe} Recipe */
/** @typedef {import("./generator.js").Generator} Generator */

const { fround } = Math;
const MOST = 100_000;

export class Journey {
  /**
   * Throws Errors with words for the user.
   * @param {Generator} generator
   * @param {Recipe} recipe
   * @param {import("./painter.js").Files} files
   */
  constructor(generator, recipe, files) {
    const { stops, frames: _, fps: __, loop, ease = "linear", ...rest } = recipe;
    if (recipe.mode !== "a2b") throw new InputError(`the timeline is a video: expected mode=a2b, got mode=${recipe.mode}`);
    if (!["linear", "cubic"].includes(ease)) throw new InputError(`ease= is unknown: expected linear or cubic, got ${ease}`);
    const { styles, controls } = prepare(generator, rest, files);
    const [first] = styles;
    const one = styles.every(({ sizes }) => sizes.length === first?.sizes.length);
    const rows = one && !stops ? styles : styles.map((style) => generator.rows(style));
    this.stops = stops ? stops.split("/").map((stop) => stopOf(generator, rows, stop)) : rows;
    if (this.stops.length < 2) throw new InputError(`a video goes through 2 pictures or more, got ${this.stops.length}`);
    this.steps = whole(recipe, "frames", MOST);
    this.total = loop === "true" ? this.stops.length * this.steps : (this.stops.length - 1) * this.steps + 1;
    if (this.steps < 1 || this.total > MOST) throw new InputError(`the video is too long: expected at most ${MOST} frames, got ${this.total}`);
    this.generator = generator;
    this.ease = ease;
    this.controls = controls;
  }

  /** The network's image, [C, H, W]. @param {number} number */
  frame(number) {
    const w = this.#style(number);
    const noiseSeed = (this.controls.noiseSeed + number) % 2 ** 32;
    return this.generator.synthesis(w, w, new Float32Array(this.generator.manifest.num_ws), { ...this.controls, noiseSeed });
  }

  /** @param {number} number */
  #style(number) {
    const [stop, step] = [Math.floor(number / this.steps), number % this.steps];
    let part = step / this.steps;
    if (this.ease === "cubic") part = part * part * (3 - 2 * part);
    const before = this.stops[stop % this.stops.length], after = this.stops[(stop + 1) % this.stops.length];
    if (!before || !after) throw new InputError("there is no such frame");
    if (!step) return before;
    const values = before.values.map((value, i) => fround(value + fround(fround(part) * fround((after.values[i] ?? 0) - value))));
    return { sizes: before.sizes, values };
  }
}

/** @param {Generator} generator @param {import("./generator.js").Style[]} rows @param {string} stop  a letter, or as blend= */
function stopOf(generator, rows, stop) {
  if (!/^[a-z]$/.test(stop)) return blended(generator, rows, stop);
  const whole = rows[stop.charCodeAt(0) - 97];
  if (!whole) throw new InputError(`stops= asks for seed ${stop}, which is not there`);
  return whole;
}
