// A net as what is drawn of it: layers, the modules that they are folded into, and the edges between what is visible.

/** @typedef {import("./engine.js").Layer} Layer */
/** @typedef {import("./engine.js").Shown} Shown */

/**
 * A layer, or a module that is folded; key: "layer 3" or "module a.b". layers: places of those in it.
 * @typedef {{key: string, module: string | null, layers: number[]}} Item
 */

const FEW = 120; // items that are drawn at first

export class Graph {
  /** Paths of modules that are drawn as one. @type {Set<string>} */
  folded = new Set();
  /** Whether layers that only hold weights are drawn. */
  constants = false;

  /** @param {Shown} shown */
  constructor(shown) {
    this.layers = shown.layers;
    this.shown = shown;
    /** Blob -> place of the layer that writes it. @type {Map<string, number>} */
    this.writer = new Map();
    this.layers.forEach((layer, i) => layer.writes.forEach((blob) => this.writer.set(blob, i)));
    /** Of each layer the places of those that it reads of, Splits looked through. @type {number[][]} */
    this.sources = this.layers.map((layer) => [...new Set(layer.reads.flatMap((blob) => this.#source(blob)))]);
    /** @type {number[][]} */
    this.readers = this.layers.map(() => []);
    this.sources.forEach((places, i) => {
      if (this.layers[i]?.type !== "Split") places.forEach((place) => this.readers[place]?.push(i));
    });
    /** Module -> places of all layers in it. @type {Map<string, number[]>} */
    this.modules = new Map();
    this.layers.forEach((layer, i) => {
      for (const path of pathsOf(layer.module)) {
        const inside = this.modules.get(path);
        if (inside) inside.push(i);
        else this.modules.set(path, [i]);
      }
    });
    this.#foldAtFirst();
  }

  /** @param {string} blob @returns {number[]} */
  #source(blob) {
    for (let left = this.layers.length; left > 0; left--) {
      const place = this.writer.get(blob);
      const layer = place === undefined ? undefined : this.layers[place];
      if (place === undefined || !layer) return [];
      if (layer.type !== "Split" || layer.reads[0] === undefined) return [place];
      blob = layer.reads[0];
    }
    return [];
  }

  /** As few modules as leave few items. */
  #foldAtFirst() {
    const deepest = Math.max(0, ...[...this.modules.keys()].map((path) => path.split(".").length));
    for (let depth = deepest; depth > 0 && this.visible().items.length > FEW; depth--) {
      this.folded = new Set([...this.modules.keys()].filter((path) => path.split(".").length === depth));
    }
  }

  /** @param {number} place */
  hidden(place) {
    const layer = this.layers[place];
    if (!layer || layer.type === "Split") return true;
    return !this.constants && !layer.reads.length && layer.type !== "Input" && (this.readers[place]?.length ?? 0) > 0;
  }

  /** The key of what stands for a layer. @param {number} place */
  keyOf(place) {
    const module = pathsOf(this.layers[place]?.module ?? "").find((path) => this.folded.has(path));
    return module === undefined ? `layer ${place}` : `module ${module}`;
  }

  /** Items in the order of the file, and edges between them, as places among the items. */
  visible() {
    /** @type {Map<string, number>} */
    const places = new Map();
    /** @type {Item[]} */
    const items = [];
    const itemOf = this.layers.map((_, i) => {
      if (this.hidden(i)) return -1;
      const key = this.keyOf(i);
      let at = places.get(key);
      if (at === undefined) {
        at = items.length;
        places.set(key, at);
        items.push({ key, module: key.startsWith("module ") ? key.slice(7) : null, layers: [] });
      }
      items[at]?.layers.push(i);
      return at;
    });
    const seen = new Set();
    /** @type {[number, number][]} */
    const edges = [];
    this.sources.forEach((sources, i) => {
      const to = itemOf[i] ?? -1;
      for (const source of sources) {
        const from = itemOf[source] ?? -1;
        const key = from * items.length + to;
        if (from < 0 || to < 0 || from === to || seen.has(key)) continue;
        seen.add(key);
        edges.push([from, to]);
      }
    });
    return { items, edges };
  }

  /** Unfolds all that a layer stands in. @param {number} place */
  reveal(place) {
    for (const path of pathsOf(this.layers[place]?.module ?? "")) this.folded.delete(path);
  }
}

/** a, a.b and a.b.c of a.b.c, from the outside. @param {string} module */
export function pathsOf(module) {
  const parts = module ? module.split(".") : [];
  return parts.map((_, i) => parts.slice(0, i + 1).join("."));
}

/** 1234567 -> 1.23 M. @param {number | null} number */
export function count(number) {
  if (number === null) return "?";
  for (const [unit, letter] of /** @type {[number, string][]} */ ([[1e9, "G"], [1e6, "M"], [1e3, "k"]])) {
    if (number >= unit) return `${(number / unit).toPrecision(3)} ${letter}`;
  }
  return String(number);
}

/** @param {number | undefined} seconds */
export function time(seconds) {
  if (seconds === undefined) return "";
  return seconds < 1e-3 ? `${(seconds * 1e6).toFixed(0)} µs` : `${(seconds * 1e3).toPrecision(3)} ms`;
}

/** @param {(number[] | null)[]} shapes */
export const shapeText = (shapes) => [...new Set(shapes.map((shape) => (shape ? shape.join("×") : "?")))].join(", ");
