// The page: puts its parts together around one state.

import { chosen } from "./chosen.js";
import { box, button, byId, copy, make, range, toast } from "./dom.js";
import { setUpDirections } from "./directions.js";
import { holdsDirections, setUpEdits } from "./edits.js";
import { EngineError } from "./engine.js";
import { setUpHistory } from "./history.js";
import { Latest } from "./latest.js";
import { readRecipe } from "./png.js";
import { setUpSeeds } from "./seeds.js";
import { setUpSettings } from "./settings.js";
import { compare, hold, holdThis, setUpStage, show } from "./stage.js";
import { adapted, firstState, readCommand, recipeOf, stateOf } from "./state.js";
import { Store } from "./store.js";
import { setUpStrip } from "./strip.js";
import { setUpTheme } from "./theme.js";
import { setUpTimeline } from "./timeline.js";
import { setUpWalk } from "./walk.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./engine.js").Model} Model */
/** @typedef {import("./engine.js").Picture} Picture */
/** @typedef {import("./engine.js").Recipe} Recipe */
/** @typedef {import("./state.js").State} State */

/** @param {unknown} error */
function complain(error) {
  const element = box("problem");
  element.textContent = error instanceof Error ? error.message : String(error);
  element.hidden = false;
}

/** @param {Engine} engine */
async function start(engine) {
  let { first, models } = await engine.models();
  const usable = models.filter((model) => !model.error);
  const model = usable.find(({ name }) => name === first) ?? usable[0];
  if (!model) throw new EngineError(models[0]?.error ?? "There is no model.");
  const store = new Store(firstState(model), model);

  const remember = setUpHistory(restore, async (state) => {
    const other = models.find(({ name }) => name === state.model);
    if (other) await engine.picture(other.name, recipeOf(state, other), { thumbnail: 4096 }).then(hold).catch(complain);
  });
  const rate = meter();
  const latest = new Latest(
    (/** @type {{state: State, recipe: Recipe, key: string}} */ { state, recipe }, now, signal) => engine.picture(state.model, recipe, { signal, now }),
    (picture, { state }, settled) => {
      show(picture);
      rate(picture);
      box("problem").hidden = true;
      box("command").textContent = picture.command;
      if (settled) remember(state, picture.command);
      if (picture.digest !== store.model.digest && state.model === store.model.name) void reload();
    },
    complain,
    busy,
    ({ state, recipe }, now, signal) => (store.model.previews ? engine.picture(state.model, recipe, { signal, now, early: true }) : undefined),
  );

  async function reload() {
    ({ models } = await engine.models());
    const found = models.find(({ name, error }) => name === store.state.model && !error);
    if (!found) return;
    toast(`${found.name} has changed, and is loaded anew`);
    store.replace(adapted(store.state, found), found);
  }

  /** @param {State} state */
  function restore(state) {
    const found = models.find(({ name }) => name === state.model);
    if (found) store.replace(state, found);
  }

  const choice = byId("model", HTMLSelectElement);
  function offer() {
    choice.replaceChildren(...models.map(({ name, error }) => {
      const option = make("option", { value: name }, name);
      option.disabled = Boolean(error);
      if (error) option.title = error;
      return option;
    }));
  }
  offer();
  /** Models that were given to the page, of which it shows the first. @param {File[]} files */
  async function take(files) {
    const names = (await engine.add?.(files)) ?? [];
    ({ models } = await engine.models());
    offer();
    const found = models.find(({ name }) => name === names[0]);
    if (found) store.replace(adapted(store.state, found), found);
  }
  choice.addEventListener("change", () => {
    const found = models.find(({ name }) => name === choice.value);
    if (found) store.replace(adapted(store.state, found), found);
  });

  box("views").hidden = !engine.nets;
  setUpStage(store);
  setUpSeeds(store, engine);
  setUpStrip(store);
  setUpWalk(store);
  setUpSettings(store);
  setUpDirections(store);
  const takeDirections = setUpEdits(store, engine, complain);
  /** @param {Recipe} recipe @param {boolean} settled */
  const want = (recipe, settled) => latest.want({ state: store.state, recipe, key: JSON.stringify([store.model.name, store.model.digest, recipe]) }, settled);
  setUpTimeline(store, engine, (recipe) => want(recipe ?? recipeOf(store.state, store.model), false), complain);
  setUpFiles(engine, store, take, takeDirections, (said, fields) => {
    const found = models.find(({ digest }) => digest === fields.model_sha256) ?? models.find(({ name, error }) => name === fields.model && !error);
    if (!found) throw new EngineError(`The picture is of the model ${fields.model}, which is not here.`);
    store.replace(stateOf(said, found, store.state), found);
    toast(found.digest === fields.model_sha256 ? "Everything is as in the picture" : `${found.name} here is another model than the picture's`);
  });
  button("hold").addEventListener("click", () => {
    if (button("hold").getAttribute("aria-pressed") === "true") compare(false);
    else holdThis();
  });
  store.listen((settled) => {
    choice.value = store.state.model;
    const { family, resolution, random } = store.model;
    box("about").textContent = `${family === "v2ada" ? "StyleGAN2-ADA" : "StyleGAN3"}, ${resolution} px${random ? ", random weights" : ""}`;
    want(recipeOf(store.state, store.model), settled);
  });
}

/**
 * @param {Engine} engine
 * @param {Store} store
 * @param {(files: File[]) => Promise<void>} take
 * @param {(file: File) => Promise<void>} takeDirections
 * @param {(said: ReturnType<typeof readCommand>, fields: Record<string, string>) => void} restore
 */
function setUpFiles(engine, store, take, takeDirections, restore) {
  button("save").addEventListener("click", async () => {
    const { state, model } = store;
    const recipe = recipeOf(state, model);
    try {
      const link = make("a", { href: URL.createObjectURL(await engine.png(model.name, recipe)), download: fileName(recipe) });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    } catch (error) {
      complain(error);
    }
  });
  button("copy").addEventListener("click", () => copy(box("command").textContent ?? "", box("command")));
  /** @param {File[]} files */
  const open = async (files) => {
    const [file] = files;
    if (!file) return;
    try {
      if (engine.add && files.some(({ name }) => /\.(json|param)$/.test(name))) return await take(files);
      if (await holdsDirections(file)) return await takeDirections(file);
      if (/\.(npz|npy|bin)$/i.test(file.name)) {
        if (!engine.seed) throw new EngineError("This page cannot take seeds that are files: python -m runtime.studio can.");
        const seed = await engine.seed(store.model.name, file);
        store.set({ seeds: store.state.seeds.with(0, seed) });
        toast(`${seed} is seed A`);
        return;
      }
      const fields = await readRecipe(file);
      restore(readCommand(fields.command ?? ""), fields);
    } catch (error) {
      complain(error);
    }
  };
  const file = range("file");
  if (engine.add) {
    file.accept += ",.json,.param";
    file.multiple = true;
    button("open").textContent = "Open files";
    box("drop-models").hidden = false;
  }
  button("open").addEventListener("click", () => file.click());
  file.addEventListener("change", async () => {
    await open([...(file.files ?? [])]);
    file.value = "";
  });
  let inside = 0;
  const overlay = (/** @type {number} */ by) => (box("drop").hidden = (inside = Math.max(0, inside + by)) === 0);
  document.addEventListener("dragenter", () => overlay(1));
  document.addEventListener("dragleave", () => overlay(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    overlay(-inside);
    void open([...(event.dataTransfer?.files ?? [])]);
  });
}

/** Such as seed0085.png or mix-85-100.png. @param {Record<string, string>} recipe */
function fileName({ mode, seeds = "" }) {
  if (mode === "image") return /^\d+$/.test(seeds) ? `seed${seeds.padStart(4, "0")}.png` : `${seeds.replace(/^.*\/|\.\w+$/g, "")}.png`;
  return `mix-${seeds.replace(/[^\w.]+/g, "-")}.png`;
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let waiting;

/** Said when it takes long alone. @param {boolean} on */
function busy(on) {
  clearTimeout(waiting);
  if (on) waiting = setTimeout(() => (box("wait").hidden = false), 300);
  else box("wait").hidden = true;
}

/** Milliseconds of the networks, and pictures of the last second where they follow each other. */
function meter() {
  /** @type {number[]} */
  let shown = [];
  /** @param {Picture} picture */
  return ({ milliseconds }) => {
    const now = performance.now();
    shown = [...shown.filter((time) => now - time < 1000), now];
    const often = shown.length > 4 ? `, ${shown.length} a second` : "";
    box("speed").textContent = `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms${often}`;
  };
}

setUpTheme();
chosen().then(start).catch(complain);
