// The timeline: pictures that a video goes through. What is between two of them is a sum of all their seeds.

import { box, button, byId, copy, make, range } from "./dom.js";
import { quoted } from "./quoted.js";
import { blendOf, letter, settingsOf } from "./state.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./state.js").State} State */
/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./engine.js").Recipe} Recipe */
/** @typedef {import("./engine.js").Films} Films */
/** @typedef {import("./engine.js").Film} Film */
/** @typedef {{frames: number, fps: number, ease: string, loop: boolean}} Pace */

const SIZE = 72;
const MOST_SEEDS = 26;

/**
 * @param {Store} store
 * @param {Engine} engine
 * @param {(recipe: Recipe | null) => void} show  a picture on the way; null: what is steered again
 * @param {(error: unknown) => void} complain
 */
export function setUpTimeline(store, engine, show, complain) {
  const keys = setUpKeys(store);
  setUpPreview(store, keys, show, complain);
  button("film").hidden = byId("suffix", HTMLSelectElement).hidden = !engine.films;
  if (engine.films) setUpFilms(store, keys, engine.films, complain);
}

/** The key pictures, in order. @param {Store} store @returns {() => State[]} */
function setUpKeys(store) {
  const list = byId("keys", HTMLOListElement);
  /** @type {{state: State, element: HTMLElement}[]} */
  let keys = [];
  const set = (/** @type {typeof keys} */ now) => {
    keys = now;
    list.replaceChildren(...keys.map(({ element }) => element));
    box("keys-empty").hidden = keys.length > 0;
    button("preview").disabled = button("film").disabled = keys.length < 2;
  };
  /** @param {HTMLElement} element @param {number} by */
  const move = (element, by) => {
    const from = keys.findIndex((key) => key.element === element);
    const key = keys[from];
    if (key && keys[from + by]) set(keys.toSpliced(from, 1).toSpliced(from + by, 0, key));
  };
  button("key").addEventListener("click", () => {
    const state = store.state;
    const thumbnail = make("canvas", { width: String(SIZE), height: String(SIZE), "aria-hidden": "true" });
    thumbnail.getContext("2d")?.drawImage(byId("picture", HTMLCanvasElement), 0, 0, SIZE, SIZE);
    const tool = (/** @type {string} */ text, /** @type {string} */ label, /** @type {() => void} */ act) => {
      const element = make("button", { type: "button", "aria-label": label, title: label }, text);
      element.addEventListener("click", act);
      return element;
    };
    const back = make("button", { type: "button", class: "back", "aria-label": "Back to this key picture" }, thumbnail);
    back.addEventListener("click", () => store.set({ seeds: state.seeds, shares: state.shares }));
    const element = make("li", {}, back, make("span", { class: "move" },
      tool("\u2190", "Earlier", () => move(element, -1)),
      tool("\u00d7", "Remove", () => set(keys.filter((key) => key.element !== element))),
      tool("\u2192", "Later", () => move(element, 1))));
    set([...keys, { state, element }]);
  });
  button("forget").addEventListener("click", () => {
    if (!box("box-timeline").hidden) set([]);
  });
  store.listen(() => {
    if (keys.some(({ state }) => state.model !== store.model.name)) set([]);
  });
  set([]);
  return () => keys.map(({ state }) => state);
}

/** @returns {Pace} */
const pace = () => ({ frames: count("frames"), fps: count("fps"), ease: byId("ease", HTMLSelectElement).value, loop: range("loop").checked });

/**
 * As many pictures as the engine makes in time.
 * @param {Store} store
 * @param {() => State[]} keys
 * @param {(recipe: Recipe | null) => void} show
 * @param {(error: unknown) => void} complain
 */
function setUpPreview(store, keys, show, complain) {
  /** @type {number | undefined} */
  let next;
  const set = (/** @type {boolean} */ on) => {
    button("preview").setAttribute("aria-pressed", String(on));
    button("preview").textContent = on ? "Stop preview" : "Preview";
    if (next !== undefined) cancelAnimationFrame(next);
    next = undefined;
    if (on) run();
    else show(null);
  };
  const run = () => {
    const { seeds, weights } = sumsOf(keys());
    const { frames, fps, ease, loop } = pace();
    const steps = loop ? weights.length : weights.length - 1;
    const begun = performance.now();
    const step = () => {
      const at = ((performance.now() - begun) / 1000) * (fps / frames);
      if (at >= steps && !loop) return set(false);
      const [a = [], b = []] = [weights[Math.floor(at) % weights.length], weights[(Math.floor(at) + 1) % weights.length]];
      const t = ease === "cubic" ? (at % 1) ** 2 * (3 - 2 * (at % 1)) : at % 1;
      const between = a.map((row, i) => row.map((w, k) => Number((w + t * ((b[i]?.[k] ?? w) - w)).toFixed(4))));
      const blend = blendOf(between.map(([, ...rest]) => rest));
      /** @type {Recipe} */
      const source = blend ? { mode: "mix", seeds: seeds.join(","), blend } : { mode: "image", seeds: seeds[0] ?? "" };
      show({ ...source, ...settingsOf(store.state, store.model) });
      next = requestAnimationFrame(step);
    };
    step();
  };
  button("preview").addEventListener("click", () => {
    try {
      set(button("preview").getAttribute("aria-pressed") !== "true");
    } catch (error) {
      complain(error);
    }
  });
}

/**
 * @param {Store} store
 * @param {() => State[]} keys
 * @param {Films} films
 * @param {(error: unknown) => void} complain
 */
function setUpFilms(store, keys, films, complain) {
  const names = { ".mp4": "MP4", ".webm": "WebM", ".gif": "GIF" };
  byId("suffix", HTMLSelectElement).replaceChildren(...Object.entries(names).flatMap(([value, name]) => (films.suffixes.includes(value) ? [make("option", { value }, name)] : [])));
  const tell = (/** @type {Film} */ film) => {
    const running = film.state === "running";
    const bar = byId("film-done", HTMLProgressElement);
    bar.value = film.total ? film.done / film.total : 0;
    bar.hidden = button("film-stop").hidden = !running;
    box("film-row").hidden = film.state === "none";
    /** @type {Record<string, string>} */
    const words = {
      running: `${film.done} of ${film.total} frames`,
      done: film.folder ? `${film.name} is in ${film.folder}` : `${film.name} is made`,
      stopped: `Stopped after ${film.done} of ${film.total} frames; made again, it goes on there`,
      failed: film.said,
    };
    box("film-says").textContent = words[film.state] ?? "";
    const link = byId("film-link", HTMLAnchorElement);
    link.hidden = film.state !== "done";
    link.href = films.address(film.name);
    link.download = film.name;
  };
  let command = "";
  button("film-copy").addEventListener("click", () => copy(command));
  button("film").addEventListener("click", async () => {
    try {
      const recipe = { ...filmOf(keys(), pace()), ...settingsOf(store.state, store.model) };
      command = ["python", "-m", "runtime.run", `mode=${recipe.mode}`, `model=${store.model.name}`, ...Object.entries(recipe).flatMap(([key, value]) => (key === "mode" ? [] : [`${key}=${value}`]))].map(quoted).join(" ");
      let film = await films.begin(store.model.name, recipe, byId("suffix", HTMLSelectElement).value);
      for (tell(film); film.state === "running"; tell(film)) {
        await new Promise((resolve) => setTimeout(resolve, 300));
        film = await films.about();
      }
    } catch (error) {
      complain(error);
    }
  });
  button("film-stop").addEventListener("click", () => films.stop().then(tell).catch(complain));
}

/**
 * The recipe of a video, without what holds for all its frames.
 * @param {State[]} keys
 * @param {Pace} pace
 * @returns {Recipe}
 */
export function filmOf(keys, { frames, fps, ease, loop }) {
  const more = { frames: String(frames), fps: String(fps), ...(loop ? { loop: "true" } : {}), ...(ease === "linear" ? {} : { ease }) };
  const plain = keys.every(({ shares }) => !shares.flat().some(Boolean));
  if (plain) return { mode: "a2b", seeds: keys.map(({ seeds }) => seeds[0] ?? "").join(","), ...more };
  const { seeds, weights } = sumsOf(keys);
  const stops = weights.map((rows) => {
    const whole = rows[0]?.indexOf(1) ?? -1;
    if (whole >= 0 && rows.every((row) => row[whole] === 1)) return letter(whole);
    return blendOf(rows.map(([, ...rest]) => rest));
  });
  return { mode: "a2b", seeds: seeds.join(","), stops: stops.join("/"), ...more };
}

/**
 * All seeds of some pictures, and of each picture, of each style, how much of each of them it is.
 * @param {State[]} states
 */
function sumsOf(states) {
  const used = states.flatMap(({ seeds, shares }) => seeds.filter((_, k) => k === 0 || shares.some((given) => given[k - 1])));
  const seeds = [...new Set(used)];
  if (seeds.length > MOST_SEEDS) throw new Error(`The timeline has ${seeds.length} seeds; at most ${MOST_SEEDS} are possible.`);
  const weights = states.map((state) => state.shares.map((given) => {
    const row = seeds.map(() => 0);
    [1 - given.reduce((sum, share) => sum + share, 0), ...given].forEach((share, k) => {
      const place = seeds.indexOf(state.seeds[k] ?? "");
      if (share && place >= 0) row[place] = Number(((row[place] ?? 0) + share).toFixed(6));
    });
    return row;
  }));
  return { seeds, weights };
}

/** @param {string} id */
const count = (id) => Math.min(Number(range(id).max), Math.max(1, Math.floor(Number(range(id).value)) || 1));
