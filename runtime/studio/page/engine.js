// What makes pictures of recipes: the types by which the page knows an engine. Which one it is, chosen.js says.

/**
 * A recipe: key -> text, as `python -m runtime.run` takes them.
 * @typedef {Record<string, string>} Recipe
 *
 * What the page has to know of a model. styles: how many its pictures have; noise: the kinds, the default first;
 * strength: whether its noise can be made stronger; classes: 0 where it has no labels. error: why it cannot be chosen.
 * @typedef {{name: string, error?: string, family: string, config: string | null, target: string, digest: string,
 *   resolution: number, channels: number, styles: number, classes: number, truncation: boolean, noise: string[],
 *   strength: boolean, transform: boolean, random: boolean, shipped: boolean}} Model
 *
 * Pixels are uint8 [height, width, channels]; milliseconds: of the networks.
 * @typedef {{width: number, height: number, channels: number, pixels: Uint8Array, milliseconds: number,
 *   command: string, digest: string}} Picture
 *
 * thumbnail: no side is longer, and it may wait; now: what is being made for this page is given up.
 * @typedef {{signal?: AbortSignal, now?: boolean, thumbnail?: number}} Options
 *
 * models(): those that may be chosen, and the one to begin with. picture(): rejects with EngineError, Superseded where a
 * newer wish took its place, AbortError after its signal. png(): the file that the recipe's command writes.
 * @typedef {{models(): Promise<{first: string, models: Model[]}>,
 *   picture(model: string, recipe: Recipe, options: Options): Promise<Picture>,
 *   png(model: string, recipe: Recipe): Promise<Blob>, films?: Films}} Engine
 *
 * A video: state is none, running, done, stopped or failed, with said for why; done of total frames.
 * @typedef {{state: string, name: string, folder: string, done: number, total: number, said: string}} Film
 *
 * Videos of recipes of mode=a2b, one at a time; an engine may have none. address(): where the file is fetched.
 * @typedef {{begin(model: string, recipe: Recipe, suffix: string): Promise<Film>, about(): Promise<Film>,
 *   stop(): Promise<Film>, address(name: string): string}} Films
 */

/** What is wrong, in words for the user. */
export class EngineError extends Error {}

/** A newer wish took the place of this one. */
export class Superseded extends Error {}
