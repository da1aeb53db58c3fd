// The worker of WasmEngine: holds the models, and makes one picture after another.

import { digestOf, noiseChoices, readFile, readManifest, BundleError } from "./bundle.js";
import { readDirections } from "./direction_files.js";
import { encode } from "./encode.js";
import { Generator } from "./generator.js";
import { Journey } from "./journey.js";
import { NetRoom } from "./net_room.js";
import { Nets } from "./wasm_nets.js";
import { paint, texts } from "./painter.js";
import { Previews, levelsOf } from "./previews.js";
import { readSeedFile } from "./seed_files.js";

/** @typedef {import("./bundle.js").Manifest} Manifest */
/** @typedef {import("./bundle.js").Read} Read */
/** @typedef {import("./engine.js").Model} Model */
/** @typedef {import("./engine.js").Recipe} Recipe */
/** @typedef {{manifest: Manifest, digest: string, read: Read, shipped: boolean}} Known */

/** Models in memory: a browser gives a page less than a program. */
const KEPT = 2;

/** @type {Map<string, Known | {error: string}>} */
const known = new Map();
/** @type {Map<string, Generator>} */
const loaded = new Map();
/** What was given as files. @type {import("./painter.js").Files} */
const given = { seeds: new Map(), directions: new Map() };
let first = "";
/** @type {Promise<Nets> | undefined} */
let nets;

/** @param {string} address */
async function fetched(address) {
  const response = await fetch(address).catch(() => undefined);
  if (!response?.ok) throw new BundleError(`${address} is not there${response ? `: the server answered ${response.status}` : ""}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** The models beside the page; models.json says which. */
const offered = (async () => {
  const list = JSON.parse(new TextDecoder().decode(await fetched("models/models.json")));
  first = String(list.first);
  for (const name of list.models) {
    await learn(String(name), (file) => fetched(`models/${file}`), true).catch((error) => known.set(name, { error: String(error?.message ?? error) }));
  }
})();
offered.catch(() => undefined); // who asks for models hears of it

/** @param {string} name @param {Read} read @param {boolean} shipped */
async function learn(name, read, shipped) {
  const file = `${name}.json`;
  const manifest = readManifest(file, new TextDecoder().decode(await read(file)));
  loaded.get(name)?.close();
  loaded.delete(name);
  known.set(name, { manifest, digest: await digestOf(manifest), read, shipped });
}

/** @param {string} name */
function find(name) {
  const found = known.get(name);
  if (!found) throw new BundleError(`no such model here: expected ${[...known.keys()].join(", ")}, got ${name.slice(0, 100)}`);
  if ("error" in found) throw new BundleError(found.error);
  return found;
}

/** @param {string} name */
async function generatorOf(name) {
  await offered;
  const { manifest, read } = find(name);
  const generator = loaded.get(name) ?? (await Generator.load(await (nets ??= Nets.load()), manifest, read));
  loaded.delete(name); // it becomes the newest
  loaded.set(name, generator);
  for (const [other, old] of [...loaded].slice(0, -KEPT)) {
    old.close();
    loaded.delete(other);
  }
  return generator;
}

/** The video of which frames are asked for. @type {{key: string, generator: Generator, journey: Journey} | undefined} */
let journey;

/** @param {string} name @param {Recipe} recipe @param {number} number */
async function frame(name, recipe, number) {
  const generator = await generatorOf(name);
  const key = JSON.stringify([name, recipe]);
  if (journey?.key !== key || journey.generator !== generator) journey = { key, generator, journey: new Journey(generator, recipe, given) };
  const image = journey.journey.frame(number);
  const [channels = 1, height = 1, width = 1] = image.sizes;
  return { width, height, channels, pixels: generator.nets.levels(image), total: journey.journey.total };
}

/** By models, whose manifests are read anew where they change. @type {WeakMap<Manifest, Previews>} */
const previews = new WeakMap();

/** @param {string} name @param {Recipe} recipe @param {boolean} early  a smaller one, where there is one sooner */
async function picture(name, recipe, early) {
  const generator = await generatorOf(name);
  const { digest, manifest } = find(name);
  const before = previews.get(manifest) ?? new Previews(manifest);
  previews.set(manifest, before);
  const level = early ? before.choose() : undefined;
  const begun = performance.now();
  const image = paint(generator, recipe, given, level?.blob);
  const made = generator.nets.levels(image);
  const milliseconds = performance.now() - begun;
  const [channels = 1, height = 1, width = 1] = image.sizes;
  before.took(level?.size ?? 0, milliseconds);
  const key = JSON.stringify(recipe), whole = { width, height, channels, pixels: made };
  if (!level) before.whole(key, whole);
  const { pixels } = level ? before.early(key, whole) : whole;
  return { width, height, channels, pixels, milliseconds, digest, ...texts(generator, name, digest, recipe, given) };
}

/** The nets of all models that may be chosen, by the names of their files. */
async function bundled() {
  await offered;
  /** @type {Map<string, import("./net_room.js").Known>} */
  const found = new Map();
  for (const [name, about] of known) {
    if ("error" in about) continue;
    const { manifest, read } = about;
    for (const part of /** @type {const} */ (["synthesis", "mapping"])) {
      const { param, bin } = manifest.graphs[part];
      found.set(param, {
        text: async () => new TextDecoder().decode(await readFile(manifest, param, read)),
        bin: () => readFile(manifest, bin, read),
        owner: { generator: () => generatorOf(name), part },
      });
    }
  }
  return found;
}

const room = new NetRoom(() => (nets ??= Nets.load()), bundled);

const answers = {
  models: async () => {
    await offered;
    return { first, models: [...known].map(([name, about]) => ("error" in about ? { name, error: about.error } : modelOf(name, about))) };
  },
  /** @param {string} name @param {Recipe} recipe @param {number} size @param {boolean} early */
  picture: async (name, recipe, size, early) => {
    const { texts: _, ...made } = await picture(name, recipe, early);
    return size ? reduced(made, size) : made;
  },
  /** @param {string} name @param {Recipe} recipe */
  png: async (name, recipe) => {
    const made = await picture(name, recipe, false);
    return encode(made, made.texts);
  },
  frame,
  netNames: () => room.names(),
  /** Nets, inputs of nets, and the nets of models; see NetRoom.add. @param {File[]} files */
  netAdd: async (files) => {
    const model = files.some(({ name }) => name.endsWith(".json"));
    if (!model) return room.add(files);
    const names = await answers.add(files);
    return { nets: names.flatMap((name) => ["synthesis", "mapping"].map((part) => partOf(name, part))), inputs: [] };
  },
  /** @param {Parameters<NetRoom["graph"]>} given */
  netGraph: (...given) => room.graph(...given),
  /** @param {Parameters<NetRoom["blob"]>} given */
  netBlob: (...given) => room.blob(...given),
  /** @param {Parameters<NetRoom["times"]>} given */
  netTimes: (...given) => room.times(...given),
  /** @param {Parameters<NetRoom["compare"]>} given */
  netCompare: (...given) => room.compare(...given),
  /** The network's numbers, [C, H, W], for those who compare. @param {string} name @param {Recipe} recipe */
  numbers: async (name, recipe) => paint(await generatorOf(name), recipe, given),
  /** A latent, likewise. @param {number} seed @param {number} count */
  latent: async (seed, count) => (await (nets ??= Nets.load())).normal(seed, count),
  /** The seed that a file is from now on: its number, where that is all that is in it, or its name. @param {string} name @param {File} file */
  seed: async (name, file) => {
    const generator = await generatorOf(name);
    const found = await readSeedFile(file, generator.manifest);
    const number = /^(\d{1,10})\.bin$/i.exec(file.name)?.[1];
    const { values } = found.tensor;
    if (number && Number(number) < 2 ** 32 && generator.nets.normal(Number(number), values.length).every((value, i) => value === values[i])) return String(Number(number));
    const seed = file.name.replace(/[,=\s]/g, "_"); // which a list of seeds may hold
    given.seeds.set(seed, found);
    journey = undefined; // it may be of a file of that name
    return seed;
  },
  /** A file of directions, or what is known of it by its name. @param {string} name @param {File | string} file */
  directions: async (name, file) => {
    if (typeof file !== "string") {
      given.directions.set(file.name, await readDirections(file, (await generatorOf(name)).manifest));
      journey = undefined;
    }
    const known = typeof file === "string" ? file : file.name;
    const found = given.directions.get(known);
    if (!found) throw new BundleError(`${known} is not here: drop it on the page`);
    return { name: known, count: found.count, styles: found.styles };
  },
  /** Models of files that somebody gave; returns their names. @param {File[]} files */
  add: async (files) => {
    await offered;
    const manifests = files.filter(({ name }) => name.endsWith(".json"));
    if (!manifests.length) throw new BundleError("a model is NAME.json and the files that it lists, dropped together; a net alone is for the page Nets");
    /** @type {Read} */
    const read = async (name) => {
      const file = files.find((each) => each.name === name);
      if (!file) throw new BundleError(`${name} is missing: drop all files of the model together`);
      return new Uint8Array(await file.arrayBuffer());
    };
    const names = manifests.map(({ name }) => name.slice(0, -5));
    for (const name of names) await learn(name, read, false);
    return names;
  },
};

/** The name of a model's net. @param {string} name @param {string} part */
const partOf = (name, part) => find(name).manifest.graphs[/** @type {"mapping" | "synthesis"} */ (part)].param;

/** @param {string} name @param {Known} known @returns {Model} */
function modelOf(name, { manifest: m, digest, shipped }) {
  return {
    name, family: m.family, config: m.config ?? null, target: m.target, digest, resolution: m.img_resolution,
    channels: m.img_channels, styles: m.num_ws, classes: m.c_dim, truncation: m.truncation, noise: noiseChoices(m),
    strength: Object.keys(m.noise.layers).length > 0, transform: m.transform !== null, previews: levelsOf(m).length > 0, random: m.weights.random, shipped,
  }; // prettier-ignore
}

/**
 * No side longer than `size`: the mean of the pixels that meet in each.
 * @template {{width: number, height: number, channels: number, pixels: Uint8Array<ArrayBuffer>}} P
 * @param {P} picture
 * @param {number} size
 * @returns {P}
 */
function reduced(picture, size) {
  const { width, height, channels, pixels } = picture;
  const step = Math.ceil(Math.max(width, height) / size);
  if (step <= 1) return picture;
  const [w, h] = [Math.max(1, Math.floor(width / step)), Math.max(1, Math.floor(height / step))];
  const small = new Uint8Array(w * h * channels);
  for (let i = 0; i < small.length; i++) {
    const [c, x, y] = [i % channels, Math.floor(i / channels) % w, Math.floor(i / channels / w)];
    let sum = 0;
    for (let dy = 0; dy < step; dy++) for (let dx = 0; dx < step; dx++) sum += pixels[((y * step + dy) * width + x * step + dx) * channels + c] ?? 0;
    small[i] = Math.round(sum / step / step);
  }
  return { ...picture, width: w, height: h, pixels: small };
}

/** One at a time, in the order in which they came. @type {Promise<unknown>} */
let before = Promise.resolve();
self.addEventListener("message", ({ data: { id, what, asked } }) => {
  before = before.then(async () => {
    try {
      const ask = /** @type {(...asked: unknown[]) => Promise<unknown>} */ (answers[/** @type {keyof typeof answers} */ (what)]);
      self.postMessage({ id, result: await ask(...asked) });
    } catch (error) {
      self.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
    }
  });
});
