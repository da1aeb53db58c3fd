// Pictures of recipes in the browser, as runtime/studio/painter.py and runtime/renderer.py make them, and what they say of
// themselves, as runtime/recipe.py.

import { noiseChoices } from "./bundle.js";
import { InputError } from "./generator.js";
import { quoted } from "./quoted.js";

/** @typedef {import("./engine.js").Recipe} Recipe */
/** @typedef {import("./generator.js").Generator} Generator */
/** @typedef {import("./generator.js").Style} Style */
/** @typedef {import("./seed_files.js").SeedFile} SeedFile */
/** @typedef {import("./direction_files.js").Directions} Directions */
/** What was given as files, by name. @typedef {{seeds: Map<string, SeedFile>, directions: Map<string, Directions>}} Files */
/** @typedef {import("./wasm_nets.js").Tensor} Tensor */

/** What a recipe may say, in the order in which its command says it. */
const KEYS = [
  "mode", "seeds", "styles", "weight", "blend", "trunc", "cutoff", "noise", "noise_seed", "noise_strength", "rotate",
  "translate", "zoom", "move", "move_styles", "edit", "layers", "class",
]; // prettier-ignore
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const LARGEST_SEED = 2 ** 32 - 1;
const LARGEST = 3.4028234663852886e38;
const PREFIX = "ncnn-builder ";
const { fround } = Math;

/**
 * The image of a recipe, [C, H, W], about -1..1. Throws Errors with words for the user.
 * @param {Generator} generator
 * @param {Recipe} recipe
 * @param {Files} files
 * @param {string} [blob]  of a smaller picture, see Generator.synthesis
 * @returns {Tensor}
 */
export function paint(generator, recipe, files, blob) {
  const { manifest } = generator;
  const { styles, controls } = prepare(generator, recipe, files);
  const none = new Float32Array(manifest.num_ws);
  const [first, second] = styles;
  if (recipe.mode === "image" && first && !second) return generator.synthesis(first, first, none, controls, blob);
  if (recipe.mode !== "mix" || !first || !second) throw new InputError("the page shows single pictures: expected mode=image with a seed, or mode=mix with more");
  if (recipe.blend) {
    const w = blended(generator, styles, recipe.blend);
    return generator.synthesis(w, w, none, controls, blob);
  }
  if (styles.length !== 2) throw new InputError("mode=mix has a wrong number of seeds: expected 2 seeds");
  const [a, b] = first.sizes.length === second.sizes.length ? [first, second] : [generator.rows(first), generator.rows(second)];
  const weight = number(recipe, "weight", 1);
  if (!(weight >= 0 && weight <= 1)) throw new InputError(`weight= is out of range: expected 0 to 1, got ${recipe.weight}`);
  for (const i of chosen(recipe.styles, manifest.num_ws)) none[i] = weight;
  return generator.synthesis(a, b, none, controls, blob);
}

/**
 * The styles of a recipe's seeds, and what holds for all its pictures. Throws Errors with words for the user.
 * @param {Generator} generator
 * @param {Recipe} recipe
 * @param {Files} files
 */
export function prepare(generator, recipe, files) {
  const { manifest } = generator;
  for (const key of Object.keys(recipe)) if (!KEYS.includes(key)) throw new InputError(`unknown key ${key}=`);
  const seeds = (recipe.seeds ?? "").split(",");
  const label = labelOf(recipe, manifest.c_dim);
  const psi = number(recipe, "trunc", 1);
  const cutoff = "cutoff" in recipe ? whole(recipe, "cutoff", manifest.num_ws) : null;
  const movement = recipe.move || recipe.edit ? movementOf(generator, recipe, files) : null;
  const styles = seeds.map((seed) => {
    const style = styleOf(generator, seed, psi, cutoff, label, files.seeds.get(seed));
    if (!movement) return style;
    const rows = generator.rows(style);
    rows.values.forEach((value, i) => (rows.values[i] = fround(value + (movement[i] ?? 0))));
    return rows;
  });
  const controls = {
    transform: transformOf(recipe),
    noise: noiseOf(generator, recipe),
    noiseSeed: noiseSeedOf(generator, recipe) ?? 0,
    strength: number(recipe, "noise_strength", 1),
  };
  return { styles, controls };
}

/**
 * What the picture says of itself: keyword -> text; and the command that makes it.
 * @param {Generator} generator
 * @param {string} model
 * @param {string} digest
 * @param {Recipe} recipe
 * @param {Files} files
 */
export function texts(generator, model, digest, recipe, files) {
  const { mode = "", seeds = "" } = recipe;
  const noiseSeed = noiseSeedOf(generator, recipe);
  /** @type {Recipe} */
  const given = Object.fromEntries(KEYS.filter((key) => key in recipe && !["mode", "seeds", "noise_seed"].includes(key)).map((key) => [key, recipe[key] ?? ""]));
  if (noiseSeed !== null) given.noise_seed = String(noiseSeed);
  const plain = seeds.split(",").map((seed) => (/^\d+$/.test(seed) ? String(Number(seed)) : seed));
  const words = ["python", "-m", "runtime.run", `mode=${mode}`, `model=${model}`, `seeds=${plain.join(",")}`];
  const command = [...words, ...Object.entries(given).map(([key, value]) => `${key}=${value}`)].map(quoted).join(" ");
  /** @type {Recipe} */
  const values = { mode, model, model_sha256: digest, seeds: plain.join(", "), ...given, noise: noiseOf(generator, recipe), command };
  values.trunc = general(number(recipe, "trunc", 1));
  if (mode === "mix" && !recipe.styles && !recipe.blend) values.styles = chosen(undefined, generator.manifest.num_ws).join(",");
  if (recipe.edit) values.edit_sha256 = [...new Set(editsOf(recipe, files).map(({ found }) => found.sha256))].join(", ");
  const order = ["mode", "model", "model_sha256", "seeds", "styles", "weight", "blend", "trunc", "cutoff", "class", "noise", "noise_seed", "noise_strength", "rotate", "translate", "zoom", "move", "move_styles", "edit", "edit_sha256", "layers", "command"]; // prettier-ignore
  const fields = order.flatMap((key) => (values[key] ? [[PREFIX + key, values[key]]] : []));
  return { command, texts: Object.fromEntries([["Software", "ncnn-builder"], ...fields]) };
}

/** @param {Generator} generator @param {string} seed @param {number} psi @param {number | null} cutoff @param {number | null} label @param {SeedFile} [file] */
function styleOf(generator, seed, psi, cutoff, label, file) {
  const { z_dim, w_dim, num_ws, c_dim } = generator.manifest;
  const fitting = file?.kind === "z" ? [[z_dim]] : [[w_dim], [num_ws, w_dim]];
  if (file && !fitting.map(String).includes(String(file.tensor.sizes))) throw new InputError(`${seed} is a seed of another model`);
  if (file?.kind === "w") return generator.truncate(file.tensor, psi, cutoff);
  if (seed === "w_avg") return generator.truncate(generator.average(), psi, cutoff);
  if (!file && (!/^\d{1,10}$/.test(seed) || Number(seed) > LARGEST_SEED)) {
    throw new InputError(`no such seed here: expected a number up to ${LARGEST_SEED}, w_avg, or a file that was dropped on the page, got ${seed.slice(0, 100)}`);
  }
  if (c_dim && label === null) throw new InputError(`the model has labels: expected class=0 to class=${c_dim - 1}, got no class=`);
  return generator.mapping(file?.tensor.values ?? generator.nets.normal(Number(seed), z_dim), psi, label, cutoff);
}

/** @param {Recipe} recipe @param {number} classes */
function labelOf(recipe, classes) {
  if (!("class" in recipe)) return null;
  if (!classes) throw new InputError("class= is given, but the model has no labels");
  return whole(recipe, "class", classes - 1);
}

/** @param {Generator} generator @param {Recipe} recipe */
const noiseOf = (generator, recipe) => recipe.noise ?? noiseChoices(generator.manifest)[0] ?? "none";

/** @param {Generator} generator @param {Recipe} recipe */
function noiseSeedOf(generator, recipe) {
  const random = noiseOf(generator, recipe) === "random";
  if (!random && "noise_seed" in recipe) throw new InputError("noise_seed= is for random noise: expected noise=random");
  if (recipe.noise_strength && number(recipe, "noise_strength", 1) !== 1 && !Object.keys(generator.manifest.noise.layers).length) {
    throw new InputError("noise_strength= cannot change this model's noise: it is built in");
  }
  return random ? ("noise_seed" in recipe ? whole(recipe, "noise_seed", LARGEST_SEED) : 0) : null;
}

/** As Renderer.blended. @param {Generator} generator @param {Style[]} styles @param {string} blend @returns {Style} */
export function blended(generator, styles, blend) {
  const { num_ws, w_dim } = generator.manifest;
  const rows = styles.map((style) => generator.rows(style).values);
  const base = rows[0] ?? new Float32Array();
  const w = base.slice();
  const bad = (/** @type {string} */ piece) => new InputError(`blend= is not a list of styles and what they take: expected such as blend=0-6:b,7:b0.3+c0.2, got ${piece}`);
  for (const piece of blend.split(",")) {
    const [, from, to = from, said = ""] = /^(\d{1,5})(?:-(\d{1,5}))?:(.+)$/.exec(piece) ?? [];
    const [first, last] = [Number(from), Number(to)];
    if (!(first <= last)) throw bad(piece);
    if (last >= num_ws) throw new InputError(`blend= is out of range: expected styles 0 to ${num_ws - 1}, got ${last}`);
    const shares = said.split("+").map((part) => {
      const [, letter = "", much = "1"] = /^([b-z])(-?(?:\d{1,4}\.?\d{0,9}|\.\d{1,9}))?$/.exec(part) ?? [];
      const other = rows[letter.charCodeAt(0) - 97];
      if (!other || Math.abs(Number(much)) > 4) throw bad(piece);
      return { other, share: Number(much) };
    });
    const whole = shares.length === 1 && shares[0]?.share === 1;
    for (const { other, share } of shares) {
      for (let i = first * w_dim; i < (last + 1) * w_dim; i++) {
        const [value, base_i] = [other[i] ?? 0, base[i] ?? 0];
        w[i] = whole ? value : fround((w[i] ?? 0) + fround(fround(share) * fround(value - base_i)));
      }
    }
  }
  return { sizes: [num_ws, w_dim], values: w };
}

/** How far move= and edit= take each style, [num_ws, w_dim]. @param {Generator} generator @param {Recipe} recipe @param {Files} files */
function movementOf(generator, recipe, files) {
  const moved = recipe.move ? moveOf(generator, recipe) : null;
  if (!recipe.edit) return moved ?? new Float32Array();
  const { num_ws, w_dim } = generator.manifest;
  const edited = new Float32Array(num_ws * w_dim);
  for (const { file, found, number, far } of editsOf(recipe, files)) {
    const { vectors, rows, count, styles } = found;
    if (rows * w_dim * count !== vectors.length || ![1, num_ws].includes(rows)) throw new InputError(`${file} holds directions of another model`);
    const layers = recipe.layers ? chosen(recipe.layers, num_ws, "layers") : (styles ?? Array.from({ length: num_ws }, (_, i) => i));
    if (number >= count) throw new InputError(`${file}: edit= asks for a direction that there is not: expected 0 to ${count - 1}, got ${number}`);
    for (const i of layers) {
      const from = (number * rows + (rows > 1 ? i : 0)) * w_dim;
      for (let k = 0; k < w_dim; k++) edited[i * w_dim + k] = fround((edited[i * w_dim + k] ?? 0) + fround(fround(far) * (vectors[from + k] ?? 0)));
    }
  }
  return moved ? edited.map((value, i) => fround((moved[i] ?? 0) + value)) : edited;
}

/** @param {Recipe} recipe @param {Files} files */
function editsOf({ edit = "" }, files) {
  const pieces = [...edit.matchAll(/(.+?):(\d{1,6}):([^:,]+)(?:,(?!$)|$)/g)];
  if (pieces.map(([all]) => all).join("") !== edit) throw new InputError(`edit= is not a list of directions in files: expected such as edit=faces_pca.npz:3:+2.5, got ${edit}`);
  return pieces.map(([, file = "", number, far = ""]) => {
    const found = files.directions.get(file);
    if (!found) throw new InputError(`no such directions here: expected a file that was dropped on the page, got ${file.slice(0, 100)}`);
    if (!NUMBER.test(far) || Math.abs(Number(far)) > LARGEST) throw new InputError(`edit= is not a number: got ${far}`);
    return { file, found, number: Number(number), far: Number(far) };
  });
}

/** How far move= takes each style, [num_ws, w_dim]. @param {Generator} generator @param {Recipe} recipe */
function moveOf(generator, recipe) {
  const { num_ws, w_dim } = generator.manifest;
  const styles = chosen(recipe.move_styles ?? `0-${num_ws - 1}`, num_ws, "move_styles");
  const found = generator.directions(styles);
  const movement = new Float32Array(num_ws * w_dim);
  for (const piece of (recipe.move ?? "").split(",")) {
    const [, place, far = ""] = /^(\d{1,2}):(.+)$/.exec(piece) ?? [];
    const direction = found[Number(place)];
    if (!NUMBER.test(far) || !direction) throw new InputError(`move= is not a list of directions: expected such as move=0:2.5,3:-1 with directions 0 to ${found.length - 1}, got ${piece}`);
    for (const i of styles) {
      direction.forEach((value, k) => {
        const at = i * w_dim + k;
        movement[at] = fround((movement[at] ?? 0) + fround(fround(Number(far)) * value));
      });
    }
  }
  return movement;
}

/** As transform_matrix(). @param {Recipe} recipe */
function transformOf(recipe) {
  if (!recipe.rotate && !recipe.translate && !recipe.zoom) return null;
  const degrees = number(recipe, "rotate", 0);
  const [x = NaN, y = NaN, ...more] = (recipe.translate ?? "0,0").split(",").map((part) => (NUMBER.test(part) ? Number(part) : NaN));
  const zoom = number(recipe, "zoom", 1);
  if (!(Math.abs(x) <= 1e3 && Math.abs(y) <= 1e3) || more.length) throw new InputError(`translate= is not two numbers from -1000 to 1000: got ${recipe.translate}`);
  if (!(zoom >= 1e-2 && zoom <= 1e2)) throw new InputError(`zoom is out of range: expected 0.01 to 100, got ${zoom}`);
  if (Math.abs(degrees) > 1e6) throw new InputError(`rotate is out of range: expected -1000000 to 1000000, got ${degrees}`);
  const angle = (degrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle) / zoom, Math.sin(angle) / zoom];
  return Float32Array.of(cos, -sin, sin * y - cos * x, sin, cos, -sin * x - cos * y, 0, 0, 1);
}

/** As style_ranges(). @param {string | undefined} text @param {number} count @param {string} key */
function chosen(text, count, key = "styles") {
  if (text === undefined) return Array.from({ length: Math.min(7, count) }, (_, i) => i);
  /** @type {Set<number>} */
  const found = new Set();
  for (const piece of text.split(",")) {
    const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(piece) ?? [];
    if (!(Number(from) <= Number(to))) throw new InputError(`${key}= is not a list of styles: expected such as 0-6 or 0,2,8-11, got ${text}`);
    if (Number(to) >= count) throw new InputError(`${key}= is out of range: expected 0 to ${count - 1}, got ${to}`);
    for (let i = Number(from); i <= Number(to); i++) found.add(i);
  }
  return [...found].sort((a, b) => a - b);
}

/** @param {Recipe} recipe @param {string} key @param {number} otherwise */
function number(recipe, key, otherwise) {
  const text = recipe[key];
  if (text === undefined) return otherwise;
  if (!NUMBER.test(text) || Math.abs(Number(text)) > LARGEST) throw new InputError(`${key}= is not a number: got ${text}`);
  return Number(text);
}

/** @param {Recipe} recipe @param {string} key @param {number} most */
export function whole(recipe, key, most) {
  const text = recipe[key] ?? "";
  if (!/^\d{1,11}$/.test(text) || Number(text) > most) throw new InputError(`${key}= is not a fitting number: expected a whole number, 0 to ${most}, got ${text}`);
  return Number(text);
}

/** As Python's format(value, "g"). @param {number} value */
export function general(value) {
  const [, exponent = "0"] = value.toExponential(5).split("e");
  const power = Number(exponent);
  if (value !== 0 && (power < -4 || power > 5)) {
    return value.toExponential(5).replace(/\.?0*e/, "e").replace(/e([+-])(\d)$/, "e$10$2");
  }
  return String(Number(value.toPrecision(6)));
}
