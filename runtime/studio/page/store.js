// The state of the page, and who wants to know of it.

/** @typedef {import("./state.js").State} State */
/** @typedef {import("./engine.js").Model} Model */

export class Store {
  /** @type {((settled: boolean) => void)[]} */
  #listeners = [];

  /**
   * @param {State} state
   * @param {Model} model
   */
  constructor(state, model) {
    this.state = state;
    this.model = model;
  }

  /** @param {(settled: boolean) => void} listener  is called at once, too */
  listen(listener) {
    this.#listeners.push(listener);
    listener(true);
  }

  /**
   * settled: somebody has chosen it; else it is passed by, as while a slider is dragged.
   * @param {Partial<State>} change
   * @param {boolean} settled
   */
  set(change, settled = true) {
    this.state = { ...this.state, ...change };
    for (const listener of this.#listeners) listener(settled);
  }

  /** @param {State} state @param {Model} model */
  replace(state, model) {
    this.model = model;
    this.set(state);
  }
}
