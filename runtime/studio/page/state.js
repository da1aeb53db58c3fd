// What is steered, and the recipe that says it: the key=value of `python -m runtime.run`.

/** @typedef {import("./engine.js").Model} Model */
/** @typedef {import("./engine.js").Recipe} Recipe */

/**
 * seeds: four, A to D. shares: of each style what B, C and D give it; A gives the rest. cutoff: the first styles that are
 * truncated, null for all. moves: how far along each direction, of the styles from moved[0] to moved[1]. edits: how far
 * along directions of files, by their numbers; layers: the styles that these move, "" as the files say. x, y: in widths of the picture, to the right and downwards.
 * @typedef {{model: string, seeds: string[], shares: number[][], trunc: number, cutoff: number | null, noise: string,
 *   noiseSeed: number, strength: number, label: number, rotate: number, x: number, y: number, zoom: number,
 *   moves: number[], moved: [number, number], edits: Edits[], layers: string}} State
 * @typedef {{file: string, far: Record<number, number>}} Edits
 */

export const LETTERS = ["A", "B", "C", "D"];
export const DIRECTIONS = 16;
export const LARGEST_SEED = 2 ** 32 - 1;

/** @returns {string} */
export const randomSeed = () => String(Math.floor(Math.random() * 10000));

/** @param {Model} model @returns {number[][]} */
export const noShares = (model) => Array.from({ length: model.styles }, () => [0, 0, 0]);

/**
 * @param {Model} model
 * @returns {State}
 */
export function firstState(model) {
  return {
    model: model.name, seeds: ["85", "100", "458", "1789"], shares: noShares(model), trunc: 1, cutoff: null,
    noise: model.noise[0] ?? "const", noiseSeed: 0, strength: 1, label: 0, rotate: 0, x: 0, y: 0, zoom: 1,
    moves: Array(DIRECTIONS).fill(0), moved: [0, model.styles - 1],
    edits: [], layers: "",
  }; // prettier-ignore
}

/** The same settings for another model, as far as it has them. @param {State} state @param {Model} model @returns {State} */
export function adapted(state, model) {
  const first = firstState(model);
  const noise = model.noise.includes(state.noise) ? state.noise : first.noise;
  const cutoff = state.cutoff === null || state.cutoff >= model.styles ? null : state.cutoff;
  const label = Math.min(state.label, Math.max(0, model.classes - 1));
  const shares = first.shares.map((none, i) => state.shares[i] ?? none);
  return { ...state, model: model.name, shares, noise, cutoff, label, moves: first.moves, moved: first.moved, edits: [], layers: "" };
}

/** At most four decimals. @param {number} value */
export const text = (value) => String(Number(value.toFixed(4)));

/**
 * @param {State} state
 * @param {Model} model
 * @returns {Recipe}
 */
export function recipeOf(state, model) {
  return { ...sourceOf(state), ...settingsOf(state, model) };
}

/**
 * What a recipe says beside its seeds.
 * @param {State} state
 * @param {Model} model
 * @returns {Recipe}
 */
export function settingsOf(state, model) {
  /** @type {Recipe} */
  const recipe = {};
  if (model.truncation && state.trunc !== 1) {
    recipe.trunc = text(state.trunc);
    if (state.cutoff !== null) recipe.cutoff = String(state.cutoff);
  }
  if (state.noise !== model.noise[0]) recipe.noise = state.noise;
  if (state.noise === "random") recipe.noise_seed = String(state.noiseSeed);
  if (model.strength && state.strength !== 1) recipe.noise_strength = text(state.strength);
  if (model.transform) {
    if (state.rotate) recipe.rotate = text(state.rotate);
    if (state.x || state.y) recipe.translate = `${text(state.x)},${text(state.y)}`;
    if (state.zoom !== 1) recipe.zoom = text(state.zoom);
  }
  if (state.moves.some(Boolean)) {
    recipe.move = state.moves.flatMap((far, k) => (far ? [`${k}:${text(far)}`] : [])).join(",");
    const [from, to] = state.moved;
    if (from > 0 || to < model.styles - 1) recipe.move_styles = from === to ? String(from) : `${from}-${to}`;
  }
  const edits = state.edits.flatMap(({ file, far }) => Object.entries(far).flatMap(([k, value]) => (value ? [`${file}:${k}:${value > 0 ? "+" : ""}${text(value)}`] : [])));
  if (edits.length) {
    recipe.edit = edits.join(",");
    if (state.layers) recipe.layers = state.layers;
  }
  if (model.classes) recipe.class = String(state.label);
  return recipe;
}

/** Seeds and what the styles take of them. @param {State} state @returns {Recipe} */
function sourceOf(state) {
  const used = [0, 1, 2].filter((k) => state.shares.some((shares) => shares[k]));
  const first = state.seeds[0] ?? "";
  if (!used.length) return { mode: "image", seeds: first };
  const seeds = [first, ...used.map((k) => state.seeds[k + 1])].join(",");
  const given = new Set(state.shares.flatMap((shares) => shares.filter(Boolean)));
  const [weight = 0] = given;
  if (used.length === 1 && given.size === 1 && weight > 0 && weight <= 1) {
    const styles = ranges(state.shares.flatMap((shares, i) => (shares.some(Boolean) ? [i] : [])));
    return { mode: "mix", seeds, styles, ...(weight === 1 ? {} : { weight: text(weight) }) };
  }
  return { mode: "mix", seeds, blend: blendOf(state.shares.map((shares) => used.map((k) => shares[k] ?? 0))) };
}

/** Such as 0-6:b,7:b0.3+c; nothing where all is A's. @param {number[][]} shares  of each style: of b, c ... */
export function blendOf(shares) {
  const said = shares.map((given) => given.flatMap((share, k) => (share ? [letter(k + 1) + (share === 1 ? "" : text(share))] : [])).join("+"));
  return runs(said).map(([from, to, parts]) => `${from === to ? from : `${from}-${to}`}:${parts}`).join(",");
}

/** @param {number} place */
export const letter = (place) => String.fromCharCode("a".charCodeAt(0) + place);

/** Equal neighbours together; the empty ones are left out. @param {string[]} items @returns {[number, number, string][]} */
function runs(items) {
  /** @type {[number, number, string][]} */
  const found = [];
  items.forEach((item, i) => {
    const last = found.at(-1);
    if (last && last[2] === item) last[1] = i;
    else found.push([i, i, item]);
  });
  return found.filter(([, , item]) => item);
}

/** 0-2,5 of 0, 1, 2, 5. @param {number[]} numbers */
function ranges(numbers) {
  const all = Array.from({ length: Math.max(...numbers) + 1 }, (_, i) => (numbers.includes(i) ? "x" : ""));
  return runs(all).map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(",");
}

/**
 * What a command says; throws an Error with words for the user where the page cannot show it.
 * @param {string} command
 * @returns {{keys: Recipe, seeds: string[]}}
 */
export function readCommand(command) {
  /** @type {Recipe} */
  const keys = {};
  const seeds = [];
  for (const word of words(command).slice(3)) {
    const [, key, value] = /^([a-z_]+)=(.*)$/s.exec(word) ?? [];
    if (key === undefined || value === undefined) seeds.push(word);
    else keys[key] = value;
  }
  if (keys.seeds) seeds.push(...keys.seeds.split(","));
  if (keys.mode === "w_avg") return { keys: { ...keys, mode: "image" }, seeds: ["w_avg"] };
  if (keys.mode !== "image" && keys.mode !== "mix") throw new Error(`A picture of mode=${keys.mode} is not one that the studio shows.`);
  if (seeds.length > 4 || (keys.mode === "image" && seeds.length !== 1)) throw new Error("The picture has more seeds than the studio shows.");
  return { keys, seeds };
}

/**
 * The state that a command says.
 * @param {{keys: Recipe, seeds: string[]}} said
 * @param {Model} model
 * @param {State} before  whose seeds stay where the command has fewer
 * @returns {State}
 */
export function stateOf({ keys, seeds }, model, before) {
  const state = { ...firstState(model), seeds: [...seeds, ...before.seeds.slice(seeds.length)] };
  const number = (/** @type {string} */ key, /** @type {number} */ otherwise) => (key in keys ? Number(keys[key]) : otherwise);
  if (keys.mode === "mix") {
    const weight = number("weight", 1);
    const blend = keys.blend ?? (keys.styles ?? `0-${Math.min(6, model.styles - 1)}`).split(",").map((part) => `${part}:b${weight}`).join(",");
    for (const piece of blend.split(",")) {
      const [, from = "", to = from, parts = ""] = /^(\d+)(?:-(\d+))?:(.*)$/.exec(piece) ?? [];
      for (let i = Number(from); i <= Math.min(Number(to), model.styles - 1); i++) state.shares[i] = sharesOf(parts);
    }
  }
  state.trunc = number("trunc", 1);
  state.cutoff = "cutoff" in keys ? Number(keys.cutoff) : null;
  state.noise = keys.noise ?? state.noise;
  state.noiseSeed = number("noise_seed", 0);
  state.strength = number("noise_strength", 1);
  state.label = number("class", 0);
  state.rotate = number("rotate", 0);
  for (const piece of keys.move?.split(",") ?? []) {
    const [k, far] = piece.split(":").map(Number);
    if (k !== undefined && far !== undefined && k < DIRECTIONS) state.moves[k] = far;
  }
  if (keys.move_styles) {
    const ends = /^(\d+)(?:-(\d+))?$/.exec(keys.move_styles);
    if (!ends) throw new Error("The picture moves styles that do not stand in a row, which the studio does not show.");
    state.moved = [Number(ends[1]), Number(ends[2] ?? ends[1])];
  }
  for (const [, file = "", k = "", far = ""] of keys.edit?.matchAll(/(.+?):(\d+):([^:,]+)(?:,(?!$)|$)/g) ?? []) {
    const known = state.edits.find((edits) => edits.file === file);
    if (known) known.far[Number(k)] = (known.far[Number(k)] ?? 0) + Number(far);
    else state.edits.push({ file, far: { [Number(k)]: Number(far) } });
  }
  state.layers = keys.layers ?? "";
  [state.x = 0, state.y = 0] = (keys.translate ?? "0,0").split(",").map(Number);
  state.zoom = number("zoom", 1);
  return state;
}

/** @param {string} parts  such as b0.3+c */
function sharesOf(parts) {
  const shares = [0, 0, 0];
  for (const part of parts.split("+")) {
    const place = "bcd".indexOf(part[0] ?? "");
    if (place >= 0) shares[place] = part.length > 1 ? Number(part.slice(1)) : 1;
  }
  return shares;
}

/** A command of a POSIX shell, as Python's shlex.join writes it. @param {string} command */
function words(command) {
  return Array.from(command.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g), ([word]) => word.replace(/'([^']*)'|"([^"]*)"/g, (_, a, b) => a ?? b));
}
