// The page of nets: opens one or two, and puts graphs, lists and pictures together.

import { setUpBlob } from "./blob_view.js";
import { chosen } from "./chosen.js";
import { box, button, byId, make, range, toast } from "./dom.js";
import { EngineError, Superseded } from "./engine.js";
import { count, shapeText, time } from "./graph.js";
import { Pane } from "./pane.js";
import { errorOf, errorText, readReport } from "./report.js";
import { setUpTheme } from "./theme.js";

/** @typedef {import("./engine.js").Nets} Nets */
/** @typedef {import("./engine.js").Shown} Shown */
/** @typedef {import("./engine.js").Feed} Feed */
/** @typedef {import("./engine.js").Compared} Compared */

/** @param {unknown} error */
function complain(error) {
  if (error instanceof Superseded || (error instanceof DOMException && error.name === "AbortError")) return;
  box("problem").textContent = error instanceof Error ? error.message : String(error);
  box("problem").hidden = false;
}

/** Of the field, such as x=3,64,64; y=10. Throws an Error with words for the user. @returns {Record<string, number[]>} */
function shapes() {
  const words = range("shapes").value.split(";").map((word) => word.trim()).filter(Boolean);
  return Object.fromEntries(words.map((word) => {
    const [, name, said] = /^(.+)=(\d+(?:\s*[,x×]\s*\d+){0,3})$/.exec(word) ?? [];
    if (!name || !said) throw new Error(`${word} is no shape of an input, as in x=3,64,64`);
    return [name.trim(), said.split(/[,x×]/).map(Number)];
  }));
}

/**
 * Of inputs that a net leaves open, as another one has them.
 * @param {Shown} net @param {Shown} other @returns {Record<string, number[]>}
 */
function shapesFor(net, other) {
  const known = new Map(other.layers.filter(({ type }) => type === "Input").map(({ name, outputs }) => [name, outputs[0]]));
  return Object.fromEntries(net.layers.flatMap(({ type, name, outputs }) => {
    const shape = known.get(name);
    return type === "Input" && !outputs[0] && shape ? [[name, shape]] : [];
  }));
}

/** @returns {Feed} */
const feed = () => ({ seed: Math.min(2 ** 32 - 1, Math.max(0, Math.floor(Number(range("seed").value)) || 0)), file: range("file").value.trim(), shapes: shapes() });

/** @param {Nets} nets */
async function start(nets) {
  const showBlob = setUpBlob(nets, complain);
  /** @type {Pane} */
  let active;
  /** Places of layers of the first net -> of the second. @type {Map<number, number>} */
  let pairs = new Map();
  let following = false;
  const a = new Pane("a", chose), b = new Pane("b", chose);
  active = a;
  const two = () => !box("pane-b").hidden;

  /** Both get what the first one gets. @param {Pane} pane @returns {Feed} */
  const feedOf = (pane) => (pane === b ? { ...feed(), of: a.name } : feed());

  /** The place in the other net. @param {Pane} pane @param {number} place */
  const partner = (pane, place) => (pane === a ? pairs.get(place) : [...pairs].find(([, other]) => other === place)?.[0]);

  /** @param {Pane} pane */
  function chose(pane) {
    active = pane;
    describe(pane);
    const [place, more] = pane.places(pane.selected);
    if (!two() || following || place === undefined) return;
    const other = partner(pane, place), beside = pane === a ? b : a;
    following = true;
    if (more === undefined && other !== undefined) beside.reveal(other);
    following = false;
    active = pane;
    describe(pane);
  }

  /** @param {Pane} pane */
  function describe(pane) {
    const graph = pane.graph, places = pane.places(pane.selected);
    const layer = graph?.layers[places[0] ?? -1];
    if (!graph || !layer) {
      box("chosen").replaceChildren();
      return showBlob(null);
    }
    const module = pane.selected.startsWith("module ") ? pane.selected.slice(7) : null;
    const macs = places.reduce((sum, place) => sum + (graph.layers[place]?.macs ?? 0), 0);
    const numbers = places.reduce((sum, place) => sum + (graph.layers[place]?.parameters ?? 0), 0);
    const error = pane.errorOfAll(module, places);
    const share = (/** @type {number} */ part, /** @type {number} */ all) => (all > 0 ? `, ${((100 * part) / all).toFixed(1)} %` : "");
    const all = pane.times.reduce((sum, seconds) => sum + seconds, 0), own = places.reduce((sum, place) => sum + (pane.times[place] ?? 0), 0);
    /** @type {[string, string][]} */
    const rows = [
      ...(module === null ? /** @type {[string, string][]} */ ([["module", layer.module], ["output", shapeText(layer.outputs)], ["parameters", layer.said]]) : /** @type {[string, string][]} */ ([["layers", String(places.length)]])),
      ["MACs", macs ? `${count(macs)}${share(macs, graph.shown.macs)}` : ""],
      ["numbers in weights", numbers ? count(numbers) : ""],
      ["time", pane.times.length ? `${time(own)}${share(own, all)}` : ""],
      ["error", errorText(error)],
      ["differs", module === null && pane.marked.has(places[0] ?? -1) ? (pane.first === places[0] ? "the first that does" : "yes") : ""],
    ];
    const links = (/** @type {string} */ name, /** @type {number[]} */ list) => !list.length ? [] : [make("p", { class: "links" }, `${name} `, ...list.slice(0, 12).map((place) => {
      const link = make("button", { type: "button", class: "quiet" }, graph.layers[place]?.name ?? "");
      link.addEventListener("click", () => pane.reveal(place));
      return link;
    }), list.length > 12 ? ` and ${list.length - 12} more` : "")];
    const place = places[0] ?? 0;
    box("chosen").replaceChildren(
      make("h2", {}, module ?? `${layer.type} `, module === null ? make("span", {}, layer.name) : ""),
      make("dl", {}, ...rows.filter(([, value]) => value).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])),
      ...(module === null ? [...links("reads", graph.sources[place] ?? []), ...links("read by", graph.readers[place] ?? [])] : []));
    const blobs = module === null ? layer.writes : (graph.layers[places.at(-1) ?? 0]?.writes ?? []);
    byId("blobs", HTMLSelectElement).replaceChildren(...blobs.map((blob) => make("option", { value: blob }, blob)));
    picture();
  }

  function picture() {
    const blob = byId("blobs", HTMLSelectElement).value, place = active.graph?.writer.get(blob);
    if (!blob || place === undefined) return showBlob(null);
    const other = two() ? partner(active, place) : undefined;
    const beside = active === a ? b : a;
    const other_blob = other === undefined ? undefined : beside.graph?.layers[other]?.writes[active.graph?.layers[place]?.writes.indexOf(blob) ?? 0];
    box("which-row").hidden = !other_blob;
    try {
      const difference = other_blob && byId("which", HTMLSelectElement).value === "difference";
      showBlob({ net: active.name, blob, feed: feedOf(active), ...(difference ? { other: beside.name, other_blob } : {}) });
    } catch (error) {
      complain(error);
    }
  }

  /** @type {AbortController | undefined} */
  let opening;
  async function open() {
    opening?.abort();
    const { signal } = (opening = new AbortController());
    const names = [range("net").value.trim(), range("other").value.trim()].filter(Boolean);
    if (!names[0]) return;
    box("problem").hidden = true;
    box("wait").hidden = false;
    try {
      let [one, other] = await Promise.all(names.map((name) => nets.graph(name, shapes(), signal)));
      if (!one || signal.aborted) return;
      if (other?.unknown_layers && names[1]) other = await nets.graph(names[1], { ...shapesFor(other, one), ...shapes() }, signal);
      if (signal.aborted) return;
      pairs = new Map();
      box("compared").hidden = true;
      for (const id of ["pane-b", "list-b", "compare"]) box(id).hidden = !other;
      const inputs = one.layers.filter(({ type }) => type === "Input").map(({ name, outputs }) => `${name} ${shapeText(outputs)}`);
      box("inputs").textContent = inputs.length ? `Takes ${inputs.join("; ")}.` : "";
      const open = one.layers.some(({ type, outputs }) => type === "Input" && !outputs[0]);
      const unknown = one.unknown_layers ? `; the cost of ${one.unknown_layers} layers is not known${open ? ": say the shapes of the inputs" : ""}` : "";
      box("totals").textContent = `${one.layers.length} layers; blobs of ${one.peak_bytes === null ? "unknown size" : `${count(one.peak_bytes)}B`} at most at a time${unknown}`;
      a.open(names[0], one);
      if (other && names[1]) b.open(names[1], other);
      const caption = (/** @type {string} */ id, /** @type {Pane} */ pane) => (box(id).textContent = `${pane.name}: ${pane.graph?.layers.length} layers, ${count(pane.graph?.shown.macs ?? 0)} MACs, ${count(pane.graph?.shown.parameters ?? 0)} numbers in weights`);
      caption("caption-a", a);
      if (other) caption("caption-b", b);
      const problem = one.problem || other?.problem;
      if (problem) complain(new EngineError(problem));
      history.replaceState(null, "", `?${new URLSearchParams(names[1] ? { net: names[0], other: names[1] } : { net: names[0] })}`);
      active = a;
      describe(a); // of a net that is opened again with other shapes, too
      if (other && names[1]) await structure(signal);
    } catch (error) {
      if (!signal.aborted) complain(error);
    } finally {
      if (!signal.aborted) box("wait").hidden = true;
    }
  }

  /** Where they differ, and from which layer on their numbers do. @param {AbortSignal} signal */
  async function structure(signal) {
    button("compare").disabled = true;
    box("compared").hidden = false;
    box("compared").textContent = "Comparing";
    try {
      tell(await nets.compare(a.name, b.name, feed(), signal));
    } catch (error) {
      if (!signal.aborted) {
        box("compared").hidden = true;
        complain(error);
      }
    } finally {
      button("compare").disabled = false;
    }
  }

  /** @param {Compared} found */
  function tell({ diff, doctor, problems }) {
    pairs = new Map(diff?.pairs ?? []);
    const changed = new Set(diff?.changed ?? []);
    const backwards = new Map([...pairs].map(([one, other]) => [other, one]));
    const compare = (/** @type {Pane} */ pane, /** @type {Map<number, number>} */ known) => (pane.graph?.layers ?? []).flatMap(({ type }, i) => (type !== "Split" && diff && !known.has(i) ? [i] : []));
    a.marked = new Set([...changed, ...compare(a, pairs)]);
    b.marked = new Set([...[...changed].map((place) => pairs.get(place) ?? -1), ...compare(b, backwards)]);
    b.errors = new Map((doctor?.layers ?? []).flatMap(({ name, in_net }) => { const error = errorOf(in_net); return error === undefined ? [] : [[name, error]]; }));
    const placeOf = new Map((b.graph?.layers ?? []).map(({ name }, i) => [name, i]));
    for (const [name, error] of b.errors) {
      const place = backwards.get(placeOf.get(name) ?? -1), layer = a.graph?.layers[place ?? -1];
      if (layer) a.errors.set(layer.name, error);
    }
    const wrong = doctor?.culprit ? placeOf.get(doctor.culprit) : undefined;
    const off = doctor?.layers.find(({ in_net }) => (errorOf(in_net) ?? 0) > 0)?.name;
    b.first = wrong ?? (off === undefined ? undefined : placeOf.get(off)) ?? Math.min(...b.marked, Infinity);
    if (!Number.isFinite(b.first)) b.first = -1;
    a.first = b.first >= 0 ? (backwards.get(b.first) ?? -1) : Math.min(...a.marked, Infinity);
    if (!Number.isFinite(a.first)) a.first = -1;
    const lines = [];
    if (doctor) lines.push(doctor.equal && !Number(doctor.outputs.relative) ? "The outputs are the same number by number." : `The outputs differ by ${errorText(errorOf(doctor.outputs))} of the largest number; ${doctor.equal ? "that is within" : "more than"} ${errorText(doctor.tolerance)}.`);
    if (diff) lines.push(diff.structure.length || diff.weights.length ? `${diff.structure.length} differences of structure, ${diff.weights.length} of weights.` : "The files say the same.");
    lines.push(...(doctor?.causes ?? []).map(({ what }) => `Cause: ${what}`), ...problems);
    const all = [...(diff?.structure ?? []), ...(diff?.weights ?? []).map(({ layer, weight, numbers, relative }) => `${layer} ${weight}: ${numbers} numbers differ, by ${errorText(relative)} of the largest`)];
    if (all.length) box("compared").append(make("details", {}, make("summary", {}, "What differs"), ...all.slice(0, 200).map((line) => make("p", { class: "hint" }, line)), all.length > 200 ? `and ${all.length - 200} more` : ""));
    const places = b.first >= 0 ? [b, b.first] : a.first >= 0 ? [a, a.first] : null;
    box("compared").replaceChildren(...lines.map((line) => make("p", {}, line)));
    if (places) {
      const [pane, place] = /** @type {[Pane, number]} */ (places);
      const go = make("button", { type: "button", id: "first" }, `First difference: ${pane.graph?.layers[place]?.name}`);
      go.addEventListener("click", () => pane.reveal(place));
      box("compared").append(go);
    }
    if (doctor) byId("heat", HTMLSelectElement).value = a.heat = b.heat = "error";
    a.repaint();
    b.repaint();
    describe(active);
  }

  setUpTools(() => (two() ? [a, b] : [a]), () => active);
  byId("open", HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    void open();
  });
  for (const id of ["seed", "file"]) range(id).addEventListener("change", () => {
    for (const pane of [a, b]) pane.times = [];
    picture();
  });
  range("shapes").addEventListener("change", () => void open());
  byId("blobs", HTMLSelectElement).addEventListener("change", picture);
  byId("which", HTMLSelectElement).addEventListener("change", picture);
  button("measure").addEventListener("click", async () => {
    button("measure").disabled = true;
    box("problem").hidden = true;
    try {
      for (const pane of two() ? [a, b] : [a]) pane.times = await nets.times(pane.name, feedOf(pane));
      byId("heat", HTMLSelectElement).value = a.heat = b.heat = "time";
      a.repaint();
      b.repaint();
      describe(active);
      const total = (/** @type {Pane} */ pane) => time(pane.times.reduce((sum, seconds) => sum + seconds, 0));
      toast(two() ? `All layers: ${total(a)} and ${total(b)}` : `All layers: ${total(a)}`);
    } catch (error) {
      complain(error);
    } finally {
      button("measure").disabled = false;
    }
  });
  button("compare").addEventListener("click", () => {
    opening = new AbortController();
    void structure(opening.signal);
  });
  const offer = async () => {
    const names = await nets.names();
    byId("nets", HTMLDataListElement).replaceChildren(...names.nets.map((name) => make("option", { value: name })));
    return names;
  };

  /** Files of nets, and of inputs, that somebody gave to the page. @param {File[]} files */
  async function take(files) {
    const added = await nets.add?.(files);
    if (!added) return;
    await offer();
    if (added.inputs[0]) range("file").value = added.inputs[0];
    if (!added.nets[0]) return picture();
    range("net").value = added.nets[0];
    range("other").value = added.nets.length === 2 && !files.some(({ name }) => name.endsWith(".json")) ? (added.nets[1] ?? "") : "";
    if (!added.inputs[0]) range("file").value = "";
    await open();
  }

  setUpFiles(nets, take, (report) => {
    for (const pane of two() ? [a, b] : [a]) {
      pane.errors = report.errors;
      pane.first = pane.graph?.layers.findIndex(({ name }) => name === report.first) ?? -1;
      if (pane.first < 0 && report.first) pane.first = pane.graph?.modules.get(report.first)?.at(-1) ?? -1;
      pane.marked = new Set(pane.first >= 0 ? [pane.first] : []);
      pane.heat = byId("heat", HTMLSelectElement).value = "error";
      pane.repaint();
    }
    describe(active);
    toast(`Errors of ${report.errors.size} layers or modules`);
  });

  const { first, nets: names } = await offer();
  const said = new URLSearchParams(location.search);
  range("net").value = said.get("net") ?? first[0] ?? names[0] ?? "";
  range("other").value = said.get("other") ?? (said.has("net") ? "" : (first[1] ?? ""));
  await open();
}

/** @param {() => Pane[]} panes @param {() => Pane} active */
function setUpTools(panes, active) {
  byId("heat", HTMLSelectElement).addEventListener("change", () => panes().forEach((pane) => {
    pane.heat = byId("heat", HTMLSelectElement).value;
    pane.repaint();
  }));
  range("constants").addEventListener("change", () => panes().forEach((pane) => {
    if (pane.graph) pane.graph.constants = range("constants").checked;
    pane.redraw(true);
  }));
  button("fold").addEventListener("click", () => panes().forEach((pane) => pane.foldAll(true)));
  button("unfold").addEventListener("click", () => panes().forEach((pane) => pane.foldAll(false)));
  button("nearer").addEventListener("click", () => panes().forEach(({ view }) => view.zoom(1.4)));
  button("farther").addEventListener("click", () => panes().forEach(({ view }) => view.zoom(1 / 1.4)));
  button("fit").addEventListener("click", () => panes().forEach(({ view }) => view.fit()));

  let at = -1;
  const find = () => {
    at = -1;
    const words = range("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    let some = 0, all = 0;
    for (const pane of panes()) {
      const layers = pane.graph?.layers ?? [];
      const fits = layers.flatMap((layer, i) => {
        const text = `${layer.type} ${layer.name} ${layer.writes.join(" ")}`.toLowerCase();
        return layer.type !== "Split" && words.every((word) => text.includes(word)) ? [i] : [];
      });
      pane.found = words.length ? new Set(fits) : null;
      some += fits.length;
      all += layers.length;
      pane.redraw();
    }
    box("found").textContent = words.length ? `${some} of ${all}` : "";
  };
  range("find").addEventListener("input", find);
  range("find").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    const pane = active().found?.size ? active() : panes().find(({ found }) => found?.size);
    const places = [...(pane?.found ?? [])];
    if (!pane || !places.length) return;
    at = (at + (event.shiftKey ? places.length - 1 : 1)) % places.length;
    pane.reveal(places[at] ?? 0);
  });
}

/**
 * Files that are chosen, or dropped on the page: reports, which are read on the page alone, nets and inputs.
 * @param {Nets} nets
 * @param {(files: File[]) => Promise<void>} take
 * @param {(report: import("./report.js").Report) => void} show
 */
function setUpFiles(nets, take, show) {
  const read = async (/** @type {File[]} */ files) => {
    const [file] = files;
    if (!file) return;
    try {
      box("problem").hidden = true;
      const report = files.length === 1 && file.name.endsWith(".json");
      if (!report && !nets.add) throw new EngineError(`${file.name}: nets and inputs are opened by their names, beneath the directory that the studio was started in; what is dropped is a report of doctor, a JSON file`);
      if (!report) await take(files);
      else show(await readReport(file));
    } catch (error) {
      complain(error);
    }
  };
  box("give").hidden = box("give-hint").hidden = !nets.add;
  for (const [name, input] of /** @type {const} */ ([["report", range("report-file")], ["give", range("give-file")]])) {
    button(name).addEventListener("click", () => input.click());
    input.addEventListener("change", async () => {
      await read([...(input.files ?? [])]);
      input.value = "";
    });
  }
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    void read([...(event.dataTransfer?.files ?? [])]);
  });
}

setUpTheme();
chosen().then(({ nets }) => {
  if (!nets) throw new EngineError("This page cannot look into nets: python -m runtime.studio can.");
  return start(nets);
}).catch(complain);
