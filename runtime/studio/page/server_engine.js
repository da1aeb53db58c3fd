// The server on this machine, which runs the native runtime. No other module of the page asks it for anything.

import { EngineError, Superseded } from "./engine.js";

/** @typedef {import("./engine.js").Engine} Engine */
/** @typedef {import("./engine.js").Films} Films */
/** @typedef {import("./engine.js").Options} Options */
/** @typedef {import("./engine.js").Picture} Picture */
/** @typedef {import("./engine.js").Recipe} Recipe */

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
  async picture(model, recipe, { signal, now = false, thumbnail = 0, early = false }) {
    const wish = { client: this.#client, model, recipe, now, thumbnail, early };
    const { head, data } = await this.#askForData("api/picture", wish, signal);
    return { ...head, pixels: data };
  }

  /**
   * What has a head of JSON in front of it.
   * @param {string} address
   * @param {object} wish
   * @param {AbortSignal} [signal]
   */
  async #askForData(address, wish, signal) {
    const data = await (await this.#ask(address, wish, signal)).arrayBuffer();
    const length = new DataView(data).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    return { head, data: new Uint8Array(data, 4 + length) };
  }

  /**
   * @param {string} model
   * @param {Recipe} recipe
   */
  async png(model, recipe) {
    return (await this.#ask("api/png", { client: this.#client, model, recipe })).blob();
  }

  /**
   * @param {string} model
   * @param {File} file
   * @returns {Promise<string>}
   */
  async seed(model, file) {
    const said = await this.#ask(`api/seed?${new URLSearchParams({ model, name: file.name })}`, file);
    return (await said.json()).seed;
  }

  /**
   * @param {string} model
   * @param {File | string} file
   * @returns {Promise<import("./engine.js").DirectionsFile>}
   */
  async directions(model, file) {
    let name = file;
    if (typeof name !== "string") name = (await (await this.#ask(`api/directions?${new URLSearchParams({ model, name: name.name })}`, name)).json()).name;
    return (await this.#ask("api/directions/about", { model, name })).json();
  }

  /** @type {Films} */
  films = {
    suffixes: [".mp4", ".webm", ".gif"],
    begin: async (model, recipe, suffix) => (await this.#ask("api/film", { model, recipe, suffix })).json(),
    about: async () => (await this.#ask("api/film", undefined)).json(),
    stop: async () => (await this.#ask("api/film", undefined, undefined, "DELETE")).json(),
    address: (name) => `api/film/${name}`,
  };

  /** @type {import("./engine.js").Nets} */
  nets = {
    names: async () => (await this.#ask("api/nets", undefined)).json(),
    graph: async (net, shapes, signal) => (await this.#ask("api/net", { net, shapes }, signal)).json(),
    blob: async (net, blob, feed, options, signal) => {
      const { head, data } = await this.#askForData("api/net/blob", { client: this.#client, net, blob, ...feed, ...options }, signal);
      return { ...head, data };
    },
    times: async (net, feed) => (await this.#ask("api/net/times", { client: this.#client, net, ...feed })).json(),
    compare: async (net, other, feed, signal) => (await this.#ask("api/net/compare", { client: this.#client, net, other, ...feed }, signal)).json(),
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
    if (body instanceof Blob) Object.assign(options, { method: "POST", headers: { "content-type": "application/octet-stream" }, body });
    else if (body) Object.assign(options, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
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
