// What makes pictures of recipes: the types by which the page knows an engine. Which one it is, chosen.js says.

/**
 * A recipe: key -> text, as `python -m runtime.run` takes them.
 * @typedef {Record<string, string>} Recipe
 *
 * What the page has to know of a model. styles: how many its pictures have; noise: the kinds, the default first;
 * strength: whether its noise can be made stronger; previews: whether smaller pictures of it can be there first; classes: 0 where it has no labels. error: why it cannot be chosen.
 * @typedef {{name: string, error?: string, family: string, config: string | null, target: string, digest: string,
 *   resolution: number, channels: number, styles: number, classes: number, truncation: boolean, noise: string[],
 *   strength: boolean, transform: boolean, previews?: boolean, random: boolean, shipped: boolean}} Model
 *
 * Pixels are uint8 [height, width, channels]; milliseconds: of the networks.
 * @typedef {{width: number, height: number, channels: number, pixels: Uint8Array, milliseconds: number,
 *   command: string, digest: string}} Picture
 *
 * thumbnail: no side is longer, and it may wait; now: what is being made for this page is given up; early: a smaller
 * picture, where it is there sooner.
 * @typedef {{signal?: AbortSignal, now?: boolean, thumbnail?: number, early?: boolean}} Options
 *
 * models(): those that may be chosen, and the one to begin with. picture(): rejects with EngineError, Superseded where a
 * newer wish took its place, AbortError after its signal. png(): the file that the recipe's command writes.
 * seed(): keeps a file .npz, .npy or .bin, and says the seed that it now is; an engine may not be able to. directions():
 * of a file of directions, which it then keeps, or of the name of one, for edit=.
 * add(): takes the files of models that somebody gives to the page, and says their names; an engine may take none.
 * @typedef {{models(): Promise<{first: string, models: Model[]}>,
 *   picture(model: string, recipe: Recipe, options: Options): Promise<Picture>,
 *   png(model: string, recipe: Recipe): Promise<Blob>, seed?(model: string, file: File): Promise<string>,
 *   directions(model: string, file: File | string): Promise<DirectionsFile>, films?: Films, nets?: Nets, add?(files: File[]): Promise<string[]>}} Engine
 *
 * A file of directions: how many; styles: those that are moved where layers= says nothing, null for all.
 * @typedef {{name: string, count: number, styles: number[] | null}} DirectionsFile
 *
 * A video: state is none, running, done, stopped or failed, with said for why; done of total frames. folder: where the
 * file lies, "" where the page alone has it.
 * @typedef {{state: string, name: string, folder: string, done: number, total: number, said: string}} Film
 *
 * Videos of recipes of mode=a2b, one at a time; an engine may have none. suffixes: the kinds of files.
 * address(): where the file is fetched.
 * @typedef {{suffixes: string[], begin(model: string, recipe: Recipe, suffix: string): Promise<Film>, about(): Promise<Film>,
 *   stop(): Promise<Film>, address(name: string): string}} Films
 *
 * A layer of a net: module: what its name begins with; reads, writes: blobs; said: its parameters; outputs: shapes, null
 * where not known; macs likewise.
 * @typedef {{type: string, name: string, module: string, reads: string[], writes: string[], said: string,
 *   outputs: (number[] | null)[], macs: number | null, parameters: number}} Layer
 * problem: why shapes are not known.
 * @typedef {{file: string, layers: Layer[], macs: number, parameters: number, unknown_layers: number,
 *   peak_bytes: number | null, problem?: string}} Shown
 *
 * What a net is given. seed: of random numbers, or of the model that it is of; file: of arrays, or a picture; of: the net
 * whose inputs these are.
 * @typedef {{seed: number, file: string, shapes: Record<string, number[]>, of?: string}} Feed
 *
 * A picture of a blob. kind "curve": float32, with pairs the least and the largest of neighbours; kind "grid": channels
 * from first on, so many columns of tiles, [height, width, 3].
 * @typedef {{kind: "curve" | "grid", shape: number[], least: number | null, largest: number | null, mean: number | null,
 *   deviation: number | null, zeros: number, not_finite: number, channels: number, pairs: boolean, numbers: number,
 *   first: number, shown: number, columns: number, width: number, height: number, data: Uint8Array<ArrayBuffer>}} BlobPicture
 *
 * What two nets differ in: as `ncnn_builder diff` and `doctor` say it.
 * @typedef {{relative: number | null, max: number | null, finite: boolean}} Errors
 * @typedef {{diff: {structure: string[], weights: {layer: string, weight: string,
 *   numbers: number, relative: number}[], pairs: [number, number][], changed: number[]} | null,
 *   doctor: {equal: boolean, tolerance: number, culprit: string | null, outputs: Errors, causes: {what: string}[],
 *   notes: string[], layers: {name: string, in_net: Errors, alone: Errors | null}[]} | null,
 *   problems: string[]}} Compared
 *
 * Nets as files, which may be looked into; an engine may not be able to. add(): takes files of nets and of inputs that
 * somebody gives to the page, and says their names; an engine may take none.
 * @typedef {{names(): Promise<{first: string[], nets: string[]}>,
 *   add?(files: File[]): Promise<{nets: string[], inputs: string[]}>,
 *   graph(net: string, shapes: Record<string, number[]>, signal?: AbortSignal): Promise<Shown>,
 *   blob(net: string, blob: string, feed: Feed, options: {first: number, each: boolean, other?: string,
 *     other_blob?: string}, signal?: AbortSignal): Promise<BlobPicture>,
 *   times(net: string, feed: Feed): Promise<number[]>,
 *   compare(net: string, other: string, feed: Feed, signal?: AbortSignal): Promise<Compared>}} Nets
 */

/** What is wrong, in words for the user. */
export class EngineError extends Error {}

/** A newer wish took the place of this one. */
export class Superseded extends Error {}
