// What makes pictures of recipes. The page knows an engine by these types alone: here it is the server on this machine,
// which runs the native runtime.

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

/** The server that the page came from. @implements {Engine} */
export class ServerEngine {
  #client = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("");

  async models() {
    return (await this.#ask("api/models", undefined)).json();
  }

  /**
   * @param {string} model
   * @param {Recipe} recipe
   * @param {Options} options
   * @returns {Promise<Picture>}
   */
  async picture(model, recipe, { signal, now = false, thumbnail = 0 }) {
    const wish = { client: this.#client, model, recipe, now, thumbnail };
    const data = await (await this.#ask("api/picture", wish, signal)).arrayBuffer();
    const length = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    return { ...head, pixels: new Uint8Array(data, 4 + length) };
  }

  /**
   * @param {string} model
   * @param {Recipe} recipe
   */
  async png(model, recipe) {
    return (await this.#ask("api/png", { client: this.#client, model, recipe })).blob();
  }

  /** @type {Films} */
  films = {
    begin: async (model, recipe, suffix) => (await this.#ask("api/film", { model, recipe, suffix })).json(),
    about: async () => (await this.#ask("api/film", undefined)).json(),
    stop: async () => (await this.#ask("api/film", undefined, undefined, "DELETE")).json(),
    address: (name) => `api/film/${name}`,
  };

  /**
   * @param {string} address
   * @param {object | undefined} body
   * @param {AbortSignal} [signal]
   * @param {string} method
   */
  async #ask(address, body, signal, method = "GET") {
    /** @type {RequestInit} */
    const options = { signal: signal ?? null, method };
    if (body) Object.assign(options, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
    let response;
    try {
      response = await fetch(address, options);
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new EngineError("The studio does not answer: has it ended? Start python -m runtime.studio again.");
    }
    if (response.status === 204) throw new Superseded();
    if (response.ok) return response;
    const said = await response.json().catch(() => ({}));
    throw new EngineError(said.error?.message ?? `the studio answered ${response.status}`);
  }
}
