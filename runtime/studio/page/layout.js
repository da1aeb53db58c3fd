// Where items are drawn: in ranks from the top, each below all that it reads of, with few crossings (Sugiyama's method).

export const WIDTH = 178, HEIGHT = 44;
const GAP = 26, THREAD = 14, RANK = 84;
const MOST_THREADS = 30_000; // places of edges that pass ranks by
const SWEEPS = 6;

/**
 * x, y: the middle of each item. paths: of each edge the points that it goes through.
 * @typedef {{x: number[], y: number[], rows: number[][], paths: {from: number, to: number, points: [number, number][]}[],
 *   width: number, height: number}} Layout
 */

/**
 * @param {number} count  of items
 * @param {[number, number][]} edges
 * @returns {Layout}
 */
export function layOut(count, edges) {
  const forward = edges.filter(([from, to]) => from < to);
  const rank = ranksOf(count, forward);
  // A thread for each rank that an edge passes by: a node of its own, that is narrow.
  const nodes = Array.from({ length: count }, (_, i) => ({ rank: rank[i] ?? 0, wide: true }));
  /** @type {number[][]} */
  const chains = [];
  let threads = forward.reduce((sum, [from, to]) => sum + Math.max(0, (rank[to] ?? 0) - (rank[from] ?? 0) - 1), 0);
  if (threads > MOST_THREADS) threads = -1;
  for (const [from, to] of edges) {
    const chain = [from];
    if (threads >= 0 && from < to) {
      for (let at = (rank[from] ?? 0) + 1; at < (rank[to] ?? 0); at++) chain.push(nodes.push({ rank: at, wide: false }) - 1);
    }
    chains.push([...chain, to]);
  }
  /** @type {number[][]} */
  const up = nodes.map(() => []);
  /** @type {number[][]} */
  const down = nodes.map(() => []);
  for (const chain of chains) {
    chain.slice(1).forEach((to, i) => {
      const from = chain[i] ?? 0;
      if ((nodes[from]?.rank ?? 0) >= (nodes[to]?.rank ?? 0)) return; // upwards
      up[to]?.push(from);
      down[from]?.push(to);
    });
  }
  /** @type {number[][]} */
  const rows = [];
  nodes.forEach((node, i) => (rows[node.rank] ??= /** @type {number[]} */ ([])).push(i));
  order(rows, up, down);
  const x = place(rows, nodes.map(({ wide }) => (wide ? WIDTH + GAP : THREAD)), up, down);
  const [left, right] = x.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [0, 0]);
  const at = (/** @type {number} */ i) => /** @type {[number, number]} */ ([(x[i] ?? 0) - left + WIDTH, (nodes[i]?.rank ?? 0) * RANK + HEIGHT]);
  return {
    x: nodes.slice(0, count).map((_, i) => at(i)[0]),
    y: nodes.slice(0, count).map((_, i) => at(i)[1]),
    rows: rows.map((row) => row.filter((i) => i < count)),
    paths: chains.map((chain) => ({ from: chain[0] ?? 0, to: chain.at(-1) ?? 0, points: chain.map(at) })),
    width: right - left + 2 * WIDTH,
    height: rows.length * RANK + HEIGHT,
  };
}

/** Below all that it reads of, and as near above its readers as they let it. @param {number} count @param {[number, number][]} forward */
function ranksOf(count, forward) {
  /** @type {number[]} */
  const rank = Array(count).fill(0);
  const sorted = [...forward].sort(([, a], [, b]) => a - b);
  for (const [from, to] of sorted) rank[to] = Math.max(rank[to] ?? 0, (rank[from] ?? 0) + 1);
  /** @type {number[]} */
  const least = Array(count).fill(Infinity);
  for (const [from, to] of [...forward].sort(([a], [b]) => b - a)) {
    const below = least[to] === Infinity ? rank[to] : least[to]; // of what nobody reads its own
    least[from] = Math.min(least[from] ?? Infinity, (below ?? 0) - 1);
  }
  return rank.map((own, i) => (least[i] === Infinity ? own : (least[i] ?? own)));
}

/** Each row by the middle of its neighbours. @param {number[][]} rows @param {number[][]} up @param {number[][]} down */
function order(rows, up, down) {
  /** @type {number[]} */
  const at = [];
  const number = (/** @type {number[]} */ row) => row.forEach((node, i) => { at[node] = i - (row.length - 1) / 2; });
  rows.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const [list, near] = sweep % 2 ? [[...rows].reverse(), down] : [rows, up];
    for (const row of list) {
      if (row.length < 2) continue;
      const middle = new Map(row.map((node) => [node, mean(near[node] ?? [], at) ?? at[node] ?? 0]));
      row.sort((a, b) => (middle.get(a) ?? 0) - (middle.get(b) ?? 0));
      number(row);
    }
  }
}

/** @param {number[]} nodes @param {number[]} at */
function mean(nodes, at) {
  return nodes.length ? nodes.reduce((sum, node) => sum + (at[node] ?? 0), 0) / nodes.length : undefined;
}

/** As near to the neighbours as their widths allow. @param {number[][]} rows @param {number[]} widths @param {number[][]} up @param {number[][]} down */
function place(rows, widths, up, down) {
  /** @type {number[]} */
  const x = [];
  for (const row of rows) spread(row, row.map(() => 0), widths, x);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const [list, near] = sweep % 2 ? [[...rows].reverse(), down] : [rows, up];
    for (const row of list) spread(row, row.map((node) => mean(near[node] ?? [], x) ?? x[node] ?? 0), widths, x);
  }
  return x;
}

/**
 * The places with the least sum of squared distances from those that are wished, in order and without overlap: the
 * isotonic regression, by joining neighbours that are out of order.
 * @param {number[]} row @param {number[]} wished @param {number[]} widths @param {number[]} x
 */
function spread(row, wished, widths, x) {
  let offset = 0;
  const offsets = row.map((node, i) => {
    if (i > 0) offset += ((widths[row[i - 1] ?? 0] ?? 0) + (widths[node] ?? 0)) / 2;
    return offset;
  });
  /** @type {{sum: number, size: number}[]} */
  const blocks = [];
  row.forEach((_, i) => {
    let block = { sum: (wished[i] ?? 0) - (offsets[i] ?? 0), size: 1 };
    for (let last = blocks.at(-1); last && last.sum / last.size > block.sum / block.size; last = blocks.at(-1)) {
      blocks.pop();
      block = { sum: block.sum + last.sum, size: block.size + last.size };
    }
    blocks.push(block);
  });
  let i = 0;
  for (const { sum, size } of blocks) {
    for (let k = 0; k < size; k++, i++) x[row[i] ?? 0] = sum / size + (offsets[i] ?? 0);
  }
}
