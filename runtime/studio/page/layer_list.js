// The layers as a list, in the modules that they stand in: only the rows in view are elements.

import { count, pathsOf, shapeText, time } from "./graph.js";
import { make } from "./dom.js";

/** @typedef {import("./graph.js").Graph} Graph */

/**
 * A row: a module, or a layer of that place.
 * @typedef {{key: string, depth: number, module: string | null, place: number}} Row
 */

const TALL = 26;

export class LayerList {
  /** @type {Row[]} */
  rows = [];
  selected = "";
  #inside = make("div", { class: "rows" });
  /** @type {Graph | undefined} */
  #graph;

  /**
   * @param {HTMLElement} element
   * @param {(key: string) => void} select
   * @param {(module: string) => void} fold
   * @param {(place: number) => {seconds: number | undefined, error: string, marked: boolean}} figures
   */
  constructor(element, select, fold, figures) {
    this.element = element;
    this.select = select;
    this.fold = fold;
    this.figures = figures;
    element.replaceChildren(this.#inside);
    element.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(element);
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("click", (event) => {
      const target = event.target instanceof Element ? event.target : null;
      const row = this.rows[Number(target?.closest(".line")?.getAttribute("data-row") ?? -1)];
      if (!row) return;
      if (row.module !== null && target?.closest(".fold")) this.fold(row.module);
      else this.select(row.key);
    });
  }

  /** Those that are found alone, where something is looked for. @param {Graph} graph @param {Set<number> | null} found */
  show(graph, found) {
    this.#graph = graph;
    /** @type {Row[]} */
    const rows = [];
    /** @type {Set<string>} */
    const said = new Set();
    graph.layers.forEach((layer, place) => {
      if (graph.hidden(place) || (found && !found.has(place))) return;
      if (found) return rows.push({ key: `layer ${place}`, depth: 0, module: null, place });
      for (const [depth, path] of pathsOf(layer.module).entries()) {
        if (!said.has(path)) {
          said.add(path);
          rows.push({ key: `module ${path}`, depth, module: path, place });
        }
        if (graph.folded.has(path)) return;
      }
      return rows.push({ key: `layer ${place}`, depth: pathsOf(layer.module).length, module: null, place });
    });
    this.rows = rows;
    this.draw();
  }

  /** @param {string} key */
  mark(key) {
    this.selected = key;
    const i = this.rows.findIndex((row) => row.key === key);
    const { scrollTop, clientHeight } = this.element;
    if (i >= 0 && (i * TALL < scrollTop || (i + 1) * TALL > scrollTop + clientHeight)) this.element.scrollTop = i * TALL - clientHeight / 2;
    this.draw();
  }

  draw() {
    const graph = this.#graph;
    if (!graph) return;
    const from = Math.max(0, Math.floor(this.element.scrollTop / TALL) - 4);
    const to = Math.min(this.rows.length, from + Math.ceil(this.element.clientHeight / TALL) + 8);
    this.#inside.style.height = `${this.rows.length * TALL}px`;
    this.#inside.replaceChildren(...this.rows.slice(from, to).map((row, i) => this.#line(graph, row, from + i)));
    const active = this.rows.findIndex((row) => row.key === this.selected);
    if (active >= from && active < to) this.element.setAttribute("aria-activedescendant", `${this.element.id}-${active}`);
    else this.element.removeAttribute("aria-activedescendant");
  }

  /** @param {Graph} graph @param {Row} row @param {number} i */
  #line(graph, row, i) {
    const line = make("div", { class: "line", role: "treeitem", "data-row": String(i), id: `${this.element.id}-${i}`, "aria-level": String(row.depth + 1), "aria-selected": String(row.key === this.selected) });
    line.style.top = `${i * TALL}px`;
    line.style.setProperty("--depth", String(row.depth));
    const places = row.module === null ? [row.place] : (graph.modules.get(row.module) ?? []);
    const macs = places.reduce((sum, place) => sum + (graph.layers[place]?.macs ?? 0), 0);
    const figures = places.map(this.figures);
    const seconds = figures.some((one) => one.seconds !== undefined) ? figures.reduce((sum, one) => sum + (one.seconds ?? 0), 0) : undefined;
    const marked = figures.some((one) => one.marked);
    if (row.module === null) {
      const layer = graph.layers[row.place];
      const name = layer?.name.slice(layer.module ? layer.module.length + 1 : 0) ?? "";
      line.append(make("span", { class: "name" }, make("b", {}, layer?.type ?? ""), ` ${name}`), make("span", { class: "figure" }, shapeText(layer?.outputs ?? [])));
    } else {
      const folded = graph.folded.has(row.module);
      line.setAttribute("aria-expanded", String(!folded));
      line.append(make("span", { class: "name" }, make("span", { class: "fold" }, folded ? "▸" : "▾"), row.module.split(".").at(-1) ?? ""), make("span", { class: "figure" }, `${places.length} ${places.length === 1 ? "layer" : "layers"}`));
    }
    line.append(make("span", { class: "figure" }, macs ? count(macs) : ""), make("span", { class: "figure" }, time(seconds)),
      make("span", { class: "figure" }, row.module === null ? (figures[0]?.error ?? "") : ""));
    line.classList.toggle("marked", marked);
    return line;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const i = this.rows.findIndex((row) => row.key === this.selected);
    const page = Math.max(1, Math.floor(this.element.clientHeight / TALL) - 1);
    /** @type {Record<string, number>} */
    const steps = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: this.rows.length - 1, PageDown: i + page, PageUp: i - page };
    const to = steps[event.key];
    const row = this.rows[i], module = row?.module;
    if (to !== undefined) {
      const next = this.rows[Math.min(this.rows.length - 1, Math.max(0, to))];
      if (next) this.select(next.key);
    } else if (module && (event.key === "Enter" || event.key === " " || event.key === (this.#graph?.folded.has(module) ? "ArrowRight" : "ArrowLeft"))) this.fold(module);
    else return;
    event.preventDefault();
  }
}
