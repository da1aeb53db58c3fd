// What two nets differ in: layers matched by name and type, those that are left by their place among them.

import { said } from "./param_file.js";

/** @typedef {import("./param_file.js").Line} Line */

/**
 * @param {Line[]} a
 * @param {Line[]} b
 * @returns {{structure: string[], pairs: [number, number][], changed: number[]}}
 */
export function differenceOf(a, b) {
  const keyOf = (/** @type {Line} */ line) => `${line.type} ${line.name}`;
  const places = (/** @type {Line[]} */ lines) => lines.flatMap(({ type }, i) => (type === "Split" ? [] : [i]));
  const named = new Map(places(b).map((i) => [keyOf(/** @type {Line} */ (b[i])), i]));
  /** @type {Map<number, number>} */
  const pairs = new Map();
  for (const i of places(a)) {
    const other = named.get(keyOf(/** @type {Line} */ (a[i])));
    if (other !== undefined) pairs.set(i, other);
  }
  const taken = new Set(pairs.values());
  let free = places(b).filter((i) => !taken.has(i));
  for (const i of places(a).filter((i) => !pairs.has(i))) {
    const at = free.findIndex((k) => b[k]?.type === a[i]?.type);
    if (at < 0) continue;
    pairs.set(i, free[at] ?? 0);
    free = free.slice(at + 1); // in the order of both files
  }
  const structure = [], changed = [];
  for (const [i, k] of [...pairs].sort(([x], [y]) => x - y)) {
    const [one, other] = [/** @type {Line} */ (a[i]), /** @type {Line} */ (b[k])];
    const differing = [...new Set([...Object.keys(one.params), ...Object.keys(other.params)])].filter((name) => String(one.params[name]) !== String(other.params[name]));
    if (!differing.length) continue;
    changed.push(i);
    structure.push(`${one.type} ${one.name}: ${differing.map((name) => `${name} ${one.params[name] ?? "none"} -> ${other.params[name] ?? "none"}`).join(", ")}`);
  }
  const found = new Set(pairs.values());
  for (const i of places(a)) if (!pairs.has(i)) structure.push(`only in the first: ${a[i]?.type} ${a[i]?.name} ${said(/** @type {Line} */ (a[i]))}`.trim());
  for (const k of places(b)) if (!found.has(k)) structure.push(`only in the second: ${b[k]?.type} ${b[k]?.name} ${said(/** @type {Line} */ (b[k]))}`.trim());
  return { structure, pairs: [...pairs], changed };
}
