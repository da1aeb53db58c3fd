// One net of the page: its graph and its list, what is chosen in it, and the figures of its layers.

import { Graph, count, pathsOf, shapeText, time } from "./graph.js";
import { GraphView } from "./graph_view.js";
import { LayerList } from "./layer_list.js";
import { errorText } from "./report.js";
import { box, byId } from "./dom.js";

/** @typedef {import("./engine.js").Shown} Shown */
/** @typedef {import("./graph.js").Item} Item */

export class Pane {
  name = "";
  /** @type {Graph | undefined} */
  graph;
  selected = "";
  /** Seconds of each layer. @type {number[]} */
  times = [];
  /** Names of layers, and paths of modules. @type {Map<string, number>} */
  errors = new Map();
  /** Places of layers that differ from the other net, and of the first of them. @type {Set<number>} */
  marked = new Set();
  first = -1;
  /** What is looked for. @type {Set<number> | null} */
  found = null;
  /** Which figure warms the items. */
  heat = "macs";
  /** @type {Map<string, number>} */
  #heats = new Map();

  /**
   * @param {"a" | "b"} side
   * @param {(pane: Pane) => void} chosen
   */
  constructor(side, chosen) {
    this.side = side;
    this.chosen = chosen;
    this.view = new GraphView(byId(`graph-${side}`, HTMLCanvasElement), (item) => this.#face(item), (item) => this.choose(item.key), (item) => this.#open(item));
    this.list = new LayerList(box(`list-${side}`), (key) => {
      this.choose(key);
      this.view.center(this.#drawn(key));
    }, (module) => this.fold(module), (place) => ({ seconds: this.times[place], error: errorText(this.errorOf(place)), marked: this.marked.has(place) }));
  }

  /** @param {string} name @param {Shown} shown */
  open(name, shown) {
    const again = name === this.name && this.graph;
    const folded = this.graph?.folded, constants = this.graph?.constants ?? false;
    this.name = name;
    this.graph = new Graph(shown);
    this.graph.constants = constants;
    if (again && folded) this.graph.folded = folded;
    else this.selected = "";
    this.forget();
    this.found = null;
    this.redraw(true);
    if (!this.selected) this.choose(this.view.items.at(-1)?.key ?? "");
  }

  /** What was measured and compared. */
  forget() {
    this.times = [];
    this.errors = new Map();
    this.marked = new Set();
    this.first = -1;
  }

  redraw(whole = false) {
    if (!this.graph) return;
    this.view.show(this.graph, whole);
    this.list.show(this.graph, this.found);
    this.list.mark(this.selected);
    this.repaint();
  }

  /** Where figures have changed alone. */
  repaint() {
    this.#heats = this.#warmth();
    this.list.element.classList.toggle("timed", this.times.length > 0);
    this.list.element.classList.toggle("erring", this.errors.size > 0);
    this.view.draw();
    this.list.draw();
  }

  /** @param {string} key */
  choose(key) {
    this.selected = key;
    this.view.selected = this.#drawn(key);
    this.list.mark(key);
    this.view.draw();
    this.chosen(this);
  }

  /** A layer, unfolded and in the middle. @param {number} place */
  reveal(place) {
    const graph = this.graph;
    if (!graph?.layers[place]) return;
    graph.reveal(place);
    if (graph.hidden(place) && graph.layers[place]?.type !== "Split") graph.constants = true;
    this.redraw();
    this.choose(`layer ${place}`);
    this.view.center(`layer ${place}`);
  }

  /** Folds a module, or unfolds it. @param {string} module */
  fold(module) {
    if (!this.graph) return;
    if (!this.graph.folded.delete(module)) this.graph.folded.add(module);
    this.redraw();
    this.choose(this.selected || `module ${module}`);
    this.view.center(this.#drawn(this.selected));
  }

  /** All modules of the outermost depth, or none. @param {boolean} folded */
  foldAll(folded) {
    if (!this.graph) return;
    this.graph.folded = new Set(folded ? this.graph.modules.keys() : []);
    this.redraw(true);
  }

  /** @param {Item} item */
  #open(item) {
    if (item.module !== null) return this.fold(item.module);
    const outer = pathsOf(this.graph?.layers[item.layers[0] ?? 0]?.module ?? "").at(-1);
    if (outer) this.fold(outer);
  }

  /** The key of the item that stands for a layer or module which may be folded. @param {string} key */
  #drawn(key) {
    const places = this.places(key);
    if (!this.graph || !places.length) return key;
    const keys = new Set(this.view.items.map((item) => item.key));
    if (keys.has(key)) return key;
    return places.map((place) => this.graph?.keyOf(place) ?? "").find((one) => keys.has(one)) ?? key;
  }

  /** Of the layers that a key stands for. @param {string} key @returns {number[]} */
  places(key) {
    if (key.startsWith("module ")) return this.graph?.modules.get(key.slice(7)) ?? [];
    const place = Number(key.replace("layer ", ""));
    return key && this.graph?.layers[place] ? [place] : [];
  }

  /** @param {number} place */
  errorOf(place) {
    const layer = this.graph?.layers[place];
    return layer && this.errors.get(layer.name);
  }

  /** The largest of the layers' errors, or what a report says of the module. @param {string | null} module @param {number[]} places */
  errorOfAll(module, places) {
    const said = module === null ? undefined : this.errors.get(module);
    if (said !== undefined) return said;
    return places.reduce((/** @type {number | undefined} */ most, place) => {
      const error = this.errorOf(place);
      return error === undefined ? most : Math.max(most ?? 0, error);
    }, undefined);
  }

  /** @param {Item} item @returns {number | undefined} */
  #amount(item) {
    if (this.heat === "macs") return item.layers.reduce((sum, place) => sum + (this.graph?.layers[place]?.macs ?? 0), 0);
    if (this.heat === "time") return this.times.length ? item.layers.reduce((sum, place) => sum + (this.times[place] ?? 0), 0) : undefined;
    return this.errorOfAll(item.module, item.layers);
  }

  /** Shares of the largest; of errors by their magnitude. */
  #warmth() {
    const amounts = this.view.items.map((item) => this.#amount(item) ?? 0);
    const most = amounts.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, b) : a), 0);
    return new Map(this.view.items.map((item, i) => {
      const amount = amounts[i] ?? 0;
      if (!amount || !most) return [item.key, amount ? 1 : 0];
      const share = this.heat === "error" ? Math.max(0, 1 + Math.log10(Math.min(amount, most) / most) / 6) : Math.sqrt(amount / most);
      return [item.key, Number.isFinite(amount) ? share : 1];
    }));
  }

  /** @param {Item} item @returns {import("./graph_view.js").Face} */
  #face(item) {
    const layer = this.graph?.layers[item.layers[0] ?? 0];
    const last = this.graph?.layers[item.layers.at(-1) ?? 0];
    const amount = this.#amount(item);
    const figure = amount === undefined || (!amount && this.heat !== "error") ? "" : this.heat === "macs" ? count(amount) : this.heat === "time" ? time(amount) : errorText(amount);
    const inside = item.module === null ? 1 : (this.graph?.modules.get(item.module)?.length ?? 0);
    return {
      title: item.module === null ? (layer?.type === "Input" ? layer.name : `${layer?.type}`) : item.module,
      below: item.module === null ? shapeText(layer?.outputs ?? []) : `${inside} ${inside === 1 ? "layer" : "layers"}, ${shapeText(last?.outputs.slice(0, 1) ?? [])}`,
      heat: this.#heats.get(item.key) ?? 0,
      figure,
      mark: item.layers.includes(this.first) ? "first" : item.layers.some((place) => this.marked.has(place)) ? "other" : "",
      dim: this.found !== null && !item.layers.some((place) => this.found?.has(place)),
    };
  }
}
