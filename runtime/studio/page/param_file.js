// The text of a .param as ncnn reads it: layers with names of parameters, as `python -m ncnn_builder show` says them.

import { InputError } from "./generator.js";
import { general } from "./painter.js";
import { PARAMS } from "./param_names.js";

/**
 * params: by name where the op declarations know it, else by id.
 * @typedef {{type: string, name: string, module: string, reads: string[], writes: string[],
 *   params: Record<string, Value>}} Line
 * @typedef {number | number[] | string} Value
 */

const MAGIC = "7767517";
const ARRAY = -23300; // and less: an array of the parameter's id taken off
const INT8 = 8; // of convolutions, which the declarations leave to forms that only files have
const SHAPES = 30; // of outputs, as tools of ncnn note them down
const MOST = 100_000;

/**
 * Throws InputError with the line where the text is none of a net.
 * @param {string} file  in messages
 * @param {string} text
 * @returns {Line[]}
 */
export function readParam(file, text) {
  const lines = text.split(/\r?\n/).map((line, i) => ({ words: line.match(/(?:"[^"]*"|\S)+/g) ?? [], place: i + 1 })).filter(({ words }) => words.length);
  const [magic, counts, ...rest] = lines;
  if (magic?.words[0] !== MAGIC) throw new InputError(`${file}: not a .param as text: expected ${MAGIC} at its begin`);
  const count = Number(counts?.words[0]);
  if (!Number.isInteger(count) || count < 1 || count > MOST || rest.length < count) throw new InputError(`${file}: the file ends early, or its number of layers is wrong: expected ${counts?.words[0]} layers, got ${rest.length}`);
  return rest.slice(0, count).map(({ words, place }) => {
    const bad = (/** @type {string} */ what) => new InputError(`${file}: line ${place}: ${what}`);
    const [type = "", name = "", ins = "", outs = "", ...more] = words;
    const [reads, writes] = [Number(ins), Number(outs)];
    if (!/^\d{1,5}$/.test(ins) || !/^\d{1,5}$/.test(outs) || more.length < reads + writes) throw bad("a layer is TYPE NAME, how many blobs it reads and writes, and their names");
    const module = name.includes("/") ? (name.replace(/\/split$/, "").match(/^(.*?)\//)?.[1] ?? "") : "";
    return {
      type, name, module, reads: more.slice(0, reads), writes: more.slice(reads, reads + writes),
      params: paramsOf(type, more.slice(reads + writes), bad),
    }; // prettier-ignore
  });
}

/** @param {string} type @param {string[]} words @param {(what: string) => Error} bad */
function paramsOf(type, words, bad) {
  /** @type {Map<number, Value>} */
  const given = new Map();
  for (const word of words) {
    const [, key = "", value = ""] = /^(-?\d{1,6})=(.+)$/.exec(word) ?? [];
    if (!key) throw bad(`${word.slice(0, 40)} is no parameter, such as 0=64`);
    const numbers = value.split(",").map(parseFloat), id = Number(key);
    if (numbers.some(Number.isNaN)) given.set(id <= ARRAY ? ARRAY - id : id, value); // a text, of the newest layers
    else if (id <= ARRAY) given.set(ARRAY - id, numbers.slice(1));
    else given.set(id, numbers.length > 1 ? numbers : (numbers[0] ?? 0));
  }
  given.delete(SHAPES);
  /** @type {Record<string, Value>} */
  const params = {};
  const known = PARAMS[type] ?? [];
  for (const [id, name, otherwise] of known) {
    const value = given.get(id) ?? (typeof otherwise === "string" ? params[otherwise] : otherwise);
    if (value !== null && value !== undefined) params[name] = value;
    given.delete(id);
  }
  const weighed = known.some(([, name]) => name === "weight_data_size");
  for (const [id, value] of given) params[weighed && id === INT8 ? "int8_scale_term" : `param_${id}`] = value;
  return params;
}

/** The parameters as a line of text. @param {Line} line */
export const said = ({ params }) => Object.entries(params).map(([name, value]) => `${name}=${shown(value)}`).join(" ");

/** @param {Value} value @returns {string} */
function shown(value) {
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(shown).join(", ")}${value.length > 8 ? ", ..." : ""}]`;
  return typeof value === "string" || Number.isSafeInteger(value) ? String(value) : general(value);
}

/** What the file says of an input's shape, [] for nothing. @param {Line} line */
export function declared({ params }) {
  const { w = 0, h = 0, c = 0, d = 0 } = /** @type {Record<string, number>} */ (params);
  return (d ? [c, d, h, w] : c ? [c, h, w] : h ? [h, w] : w ? [w] : []).map(Number);
}

/** The text of a net whose inputs may have any shape. @param {string} text */
export const anyShape = (text) => text.replace(/^(\s*Input\s+\S+\s+0\s+1\s+\S+)[^\n]*$/gm, "$1");
