// The drawing of a graph on a canvas: only what is in view is drawn, so that nets of thousands of layers move at once.

import { HEIGHT, WIDTH, layOut } from "./layout.js";

/** @typedef {import("./graph.js").Graph} Graph */
/** @typedef {import("./graph.js").Item} Item */
/** @typedef {import("./layout.js").Layout} Layout */

/**
 * What is drawn of an item: two lines, how warm it is from 0 to 1, a figure, a mark for what differs, whether it is dimmed.
 * @typedef {{title: string, below: string, heat: number, figure: string, mark: "" | "first" | "other", dim: boolean}} Face
 */

const LEAST = 0.02, MOST = 3; // of the scale
const LEGIBLE = 0.3;

export class GraphView {
  /** @type {Item[]} */
  items = [];
  /** @type {Layout} */
  layout = { x: [], y: [], rows: [], paths: [], width: 0, height: 0 };
  /** Key of the item that is selected. */
  selected = "";
  #scale = 1;
  #left = 0;
  #top = 0;
  #asked = 0;
  /** @type {Map<number, {x: number, y: number}>} */
  #fingers = new Map();

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(item: Item) => Face} face
   * @param {(item: Item) => void} select
   * @param {(item: Item) => void} open  folds or unfolds
   */
  constructor(canvas, face, select, open) {
    this.canvas = canvas;
    this.face = face;
    this.select = select;
    this.open = open;
    this.#listen();
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  }

  /** Lays out anew; what is selected stays where it is in view. @param {Graph} graph @param {boolean} whole  shows all of it */
  show(graph, whole) {
    const before = this.#at(this.selected);
    const { items, edges } = graph.visible();
    this.items = items;
    this.layout = layOut(items.length, edges);
    const after = this.#at(this.selected);
    if (whole) this.fit();
    else if (before && after) {
      this.#left += after.x - before.x;
      this.#top += after.y - before.y;
    }
    this.draw();
  }

  /** @param {string} key */
  #at(key) {
    const i = this.items.findIndex((item) => item.key === key);
    return i < 0 ? undefined : { x: this.layout.x[i] ?? 0, y: this.layout.y[i] ?? 0 };
  }

  /** Its whole width, from the top; of a long net as much as can be read. */
  fit() {
    const { clientWidth, clientHeight } = this.canvas;
    const all = Math.min(clientWidth / this.layout.width, clientHeight / this.layout.height);
    this.#scale = Math.min(1, Math.max(all, Math.min(0.5, clientWidth / this.layout.width), LEAST));
    this.#left = (this.layout.width - clientWidth / this.#scale) / 2;
    this.#top = Math.min(0, (this.layout.height - clientHeight / this.#scale) / 2);
    this.draw();
  }

  /** Brings an item into the middle, legibly. @param {string} key */
  center(key) {
    const at = this.#at(key);
    if (!at) return;
    this.#scale = Math.max(this.#scale, 0.6);
    this.#left = at.x - this.canvas.clientWidth / 2 / this.#scale;
    this.#top = at.y - this.canvas.clientHeight / 2 / this.#scale;
    this.draw();
  }

  /** @param {number} factor @param {number} [x] @param {number} [y]  in pixels of the canvas, which stay where they are */
  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const scale = Math.min(MOST, Math.max(LEAST, this.#scale * factor));
    this.#left += x / this.#scale - x / scale;
    this.#top += y / this.#scale - y / scale;
    this.#scale = scale;
    this.draw();
  }

  draw() {
    if (!this.#asked) this.#asked = requestAnimationFrame(() => {
      this.#asked = 0;
      this.#paint();
    });
  }

  #paint() {
    const { canvas } = this;
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    if (!context) return;
    const style = getComputedStyle(canvas);
    const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    const colours = { panel: colour("--panel"), line: colour("--line"), text: colour("--text"), dim: colour("--dim"), heat: colour("--a"), warn: colour("--warn") };
    const scale = this.#scale;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.setTransform(ratio * scale, 0, 0, ratio * scale, -this.#left * scale * ratio, -this.#top * scale * ratio);
    const bottom = this.#top + height / scale, right = this.#left + width / scale;
    this.#edges(context, colours, bottom);
    for (const row of this.layout.rows) {
      const y = this.layout.y[row[0] ?? 0] ?? 0;
      if (y + HEIGHT < this.#top || y - HEIGHT > bottom) continue;
      for (const i of row) {
        const x = this.layout.x[i] ?? 0, item = this.items[i];
        if (item && x + WIDTH > this.#left && x - WIDTH < right) this.#item(context, colours, item, x, y);
      }
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {Record<string, string>} colours @param {number} bottom */
  #edges(context, colours, bottom) {
    const chosen = this.items.findIndex((item) => item.key === this.selected);
    for (const strong of [false, true]) {
      context.strokeStyle = (strong ? colours.text : colours.dim) ?? "";
      context.globalAlpha = strong ? 1 : 0.55;
      context.lineWidth = (strong ? 2 : 1.2) / Math.min(1, this.#scale * 1.5);
      context.beginPath();
      for (const { from, to, points } of this.layout.paths) {
        if ((from === chosen || to === chosen) !== strong) continue;
        const first = points[0], last = points.at(-1);
        if (!first || !last || Math.max(first[1], last[1]) < this.#top || Math.min(first[1], last[1]) > bottom) continue;
        let [x, y] = first;
        context.moveTo(x, y + HEIGHT / 2);
        points.slice(1).forEach(([toX, toY], i) => {
          const a = y + (i === 0 ? HEIGHT / 2 : 0), b = toY - (i === points.length - 2 ? HEIGHT / 2 : 0);
          if (x === toX) context.lineTo(toX, b);
          else context.bezierCurveTo(x, (a + b) / 2, toX, (a + b) / 2, toX, b);
          [x, y] = [toX, toY];
        });
      }
      context.stroke();
    }
    context.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} context @param {Record<string, string>} colours @param {Item} item @param {number} x @param {number} y */
  #item(context, colours, item, x, y) {
    const { title, below, heat, figure, mark, dim } = this.face(item);
    const left = x - WIDTH / 2, top = y - HEIGHT / 2, selected = item.key === this.selected;
    context.globalAlpha = dim ? 0.25 : 1;
    if (item.module !== null) { // several behind each other
      context.fillStyle = context.strokeStyle = colours.line ?? "";
      context.beginPath();
      context.roundRect(left + 5, top + 5, WIDTH, HEIGHT, 6);
      context.fill();
    }
    context.beginPath();
    context.roundRect(left, top, WIDTH, HEIGHT, 6);
    context.fillStyle = colours.panel ?? "";
    context.fill();
    if (heat > 0) {
      context.globalAlpha *= 0.12 + 0.6 * heat;
      context.fillStyle = colours.heat ?? "";
      context.fill();
      context.globalAlpha = dim ? 0.25 : 1;
    }
    context.lineWidth = selected ? 3 : mark ? 2.5 : 1;
    context.strokeStyle = (mark ? colours.warn : selected ? colours.text : colours.line) ?? "";
    context.setLineDash(mark === "other" ? [5, 3] : []);
    context.stroke();
    context.setLineDash([]);
    if (selected && mark) {
      context.strokeStyle = colours.text ?? "";
      context.strokeRect(left - 4, top - 4, WIDTH + 8, HEIGHT + 8);
    }
    if (this.#scale > LEGIBLE) {
      context.textBaseline = "middle";
      context.fillStyle = colours.text ?? "";
      context.font = '600 12px system-ui, "DejaVu Sans", sans-serif';
      context.fillText(cut(context, title, WIDTH - 16), left + 8, top + 14);
      context.font = '11px system-ui, "DejaVu Sans", sans-serif';
      const wide = figure ? context.measureText(figure).width + 8 : 0;
      if (figure) context.fillText(figure, left + WIDTH - wide, top + 31);
      context.fillStyle = (heat > 0.5 ? colours.text : colours.dim) ?? "";
      context.fillText(cut(context, below, WIDTH - 16 - wide), left + 8, top + 31);
    }
    context.globalAlpha = 1;
  }

  #listen() {
    const { canvas } = this;
    let moved = 0;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      this.#fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
      if (this.#fingers.size === 1) moved = 0;
    });
    canvas.addEventListener("pointermove", (event) => {
      const finger = this.#fingers.get(event.pointerId);
      if (!finger) return;
      const right = event.offsetX - finger.x, down = event.offsetY - finger.y;
      moved += Math.abs(right) + Math.abs(down);
      const other = [...this.#fingers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const before = Math.hypot(finger.x - other.x, finger.y - other.y), after = Math.hypot(event.offsetX - other.x, event.offsetY - other.y);
        if (before > 0) this.zoom(after / before, other.x, other.y);
      } else if (moved > 4) {
        this.#left -= right / this.#scale;
        this.#top -= down / this.#scale;
        this.draw();
      }
      this.#fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    });
    const release = (/** @type {PointerEvent} */ event) => {
      if (!this.#fingers.delete(event.pointerId) || event.type !== "pointerup" || moved > 4) return;
      const item = this.#hit(event.offsetX, event.offsetY);
      if (item) this.select(item);
    };
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("dblclick", (event) => {
      const item = this.#hit(event.offsetX, event.offsetY);
      if (item) this.open(item);
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Where an item is on the canvas, for what looks at it from outside. @param {string} key */
  where(key) {
    const at = this.#at(key);
    return at && { x: (at.x - this.#left) * this.#scale, y: (at.y - this.#top) * this.#scale };
  }

  /** @param {number} x @param {number} y */
  #hit(x, y) {
    const at = [this.#left + x / this.#scale, this.#top + y / this.#scale];
    return this.items.find((_, i) => Math.abs((this.layout.x[i] ?? 0) - (at[0] ?? 0)) < WIDTH / 2 && Math.abs((this.layout.y[i] ?? 0) - (at[1] ?? 0)) < HEIGHT / 2);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const i = this.items.findIndex((item) => item.key === this.selected);
    const row = this.layout.rows.find((places) => places.includes(i)) ?? [];
    const beside = (/** @type {number} */ by) => {
      const sorted = [...row].sort((a, b) => (this.layout.x[a] ?? 0) - (this.layout.x[b] ?? 0));
      return sorted[sorted.indexOf(i) + by];
    };
    /** @type {Record<string, () => number | undefined>} */
    const steps = {
      ArrowDown: () => this.layout.paths.find(({ from }) => from === i)?.to,
      ArrowUp: () => this.layout.paths.find(({ to }) => to === i)?.from,
      ArrowLeft: () => beside(-1),
      ArrowRight: () => beside(1),
      Home: () => 0,
      End: () => this.items.length - 1,
    };
    const step = steps[event.key];
    if (step) {
      const item = this.items[i < 0 ? 0 : (step() ?? i)];
      if (item) {
        this.select(item);
        this.center(item.key);
      }
    } else if (event.key === "Enter" && this.items[i]) this.open(/** @type {Item} */ (this.items[i]));
    else if (event.key === "+" || event.key === "=") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }
}

/** @param {CanvasRenderingContext2D} context @param {string} text @param {number} width */
function cut(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let [least, most] = [0, text.length];
  while (least < most) {
    const middle = Math.ceil((least + most) / 2);
    if (context.measureText(`${text.slice(0, middle)}…`).width <= width) least = middle;
    else most = middle - 1;
  }
  return `${text.slice(0, least)}…`;
}
