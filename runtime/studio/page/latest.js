// The newest wish wins: of what is wanted while a picture is made, only the last is asked for.

import { Superseded } from "./engine.js";

/** Milliseconds that a picture may take before a settled wish ends it, where pictures take that long at all. */
const PATIENCE = 150;

/** Milliseconds from which on a smaller picture is asked for first. */
const LONG = 250;

/**
 * @template {{key: string}} Wish  key: two wishes with the same want the same
 * @template Result
 */
export class Latest {
  /** @type {{wish: Wish, settled: boolean} | undefined} */
  #next;
  /** early: something of it is shown already. @type {{wish: Wish, settled: boolean, controller: AbortController, begun: number, early: boolean} | undefined} */
  #running;
  /** @type {{wish: Wish, result: Result} | undefined} */
  #shown;
  /** Milliseconds that the last one took. */
  #usual = 0;

  /**
   * @param {(wish: Wish, now: boolean, signal: AbortSignal) => Promise<Result>} make
   * @param {(result: Result, wish: Wish, settled: boolean) => void} show
   * @param {(error: unknown, wish: Wish) => void} fail
   * @param {(busy: boolean) => void} busy
   * @param {(wish: Wish, now: boolean, signal: AbortSignal) => Promise<Result> | undefined} [early]  a smaller one
   */
  constructor(make, show, fail, busy, early) {
    this.make = make;
    this.show = show;
    this.fail = fail;
    this.busy = busy;
    this.early = early;
  }

  /**
   * settled: what somebody has chosen, not what is passed by on the way; it ends a picture that takes long.
   * @param {Wish} wish
   * @param {boolean} settled
   */
  want(wish, settled) {
    const running = this.#running;
    if (running?.wish.key === wish.key) {
      running.settled ||= settled;
      this.#next = undefined;
      return;
    }
    if (!running && this.#shown?.wish.key === wish.key) {
      if (settled) this.show(this.#shown.result, wish, true);
      return;
    }
    this.#next = { wish, settled };
    if (!running) {
      this.#begin(false);
    } else if (running.early) {
      running.controller.abort(); // of what comes now something is seen at once, too
    } else if (settled && this.#usual > PATIENCE) {
      const left = PATIENCE - (performance.now() - running.begun);
      setTimeout(() => {
        if (this.#running === running && this.#next) running.controller.abort();
      }, Math.max(0, left));
    }
  }

  /** @param {boolean} now */
  async #begin(now) {
    const next = this.#next;
    this.#next = undefined;
    if (!next) return;
    const running = (this.#running = { ...next, controller: new AbortController(), begun: performance.now(), early: false });
    this.busy(true);
    let aborted = false;
    try {
      now = await this.#preview(running, now);
      if (running.early && this.#next) throw new Superseded();
      running.begun = performance.now();
      const result = await this.make(running.wish, now, running.controller.signal);
      this.#usual = performance.now() - running.begun;
      this.#shown = { wish: running.wish, result };
      this.show(result, running.wish, running.settled);
    } catch (error) {
      aborted = running.controller.signal.aborted;
      this.#shown = undefined;
      if (!aborted && !(error instanceof Superseded)) this.fail(error, running.wish);
    }
    this.#running = undefined;
    if (this.#next) this.#begin(aborted);
    else this.busy(false);
  }

  /**
   * A smaller one first, where the whole takes long. What is wrong with it, the whole says.
   * @param {{wish: Wish, controller: AbortController, early: boolean}} running
   * @param {boolean} now
   */
  async #preview(running, now) {
    const early = this.#usual > LONG ? this.early?.(running.wish, now, running.controller.signal) : undefined;
    if (!early) return now;
    try {
      this.show(await early, running.wish, false);
      running.early = true;
    } catch {
      if (running.controller.signal.aborted) throw new Superseded();
    }
    return false;
  }
}
