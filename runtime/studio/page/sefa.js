// Closed-form factorisation of style weights, as runtime/directions.py: eigenvectors of A^T A.

const MOST = 16;

/**
 * The first 16 eigenvectors of A^T A, the strongest first, of length one, the largest component of each positive. A: all
 * rows of `parts`, [outputs, n] each, brought to length one.
 * @param {Float32Array[]} parts
 * @param {number} n
 * @returns {Float32Array[]}
 */
export function directionsOf(parts, n) {
  const gram = new Float64Array(n * n);
  const row = new Float64Array(n);
  for (const part of parts) {
    for (let at = 0; at < part.length; at += n) {
      let square = 0;
      for (let k = 0; k < n; k++) square += (row[k] = part[at + k] ?? 0) ** 2;
      const scale = 1 / Math.max(Math.sqrt(square), 1e-12);
      for (let k = 0; k < n; k++) row[k] = (row[k] ?? 0) * scale;
      for (let i = 0; i < n; i++) {
        const value = row[i] ?? 0;
        if (value) for (let k = 0; k < n; k++) gram[i * n + k] = (gram[i * n + k] ?? 0) + value * (row[k] ?? 0);
      }
    }
  }
  const { values, vectors } = eigen(gram, n);
  const order = Array.from(values.keys()).sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0)).slice(0, MOST);
  return order.map((k) => {
    const vector = vectors[k] ?? new Float64Array(n);
    const largest = vector.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
    return Float32Array.from(vector, (value) => value * Math.sign(largest));
  });
}

/**
 * Eigenvalues and eigenvectors of a symmetric matrix: Householder's reflections make it tridiagonal, QL with implicit
 * shifts diagonal. Golub and Van Loan, Matrix Computations, 8.3. The matrix is used up; vectors[k] belongs to values[k].
 * @param {Float64Array} a  [n, n]
 * @param {number} n
 */
export function eigen(a, n) {
  const matrix = rowsOf(a, n);
  const q = rowsOf(new Float64Array(n * n), n);
  q.forEach((row, i) => (row[i] = 1));
  for (let k = 0; k + 2 < n; k++) reflect(matrix, q, k);
  const values = Float64Array.from(matrix, (row, i) => row[i] ?? 0);
  const beside = Float64Array.from(matrix, (row, i) => row[i + 1] ?? 0); // e[i]: between i and i + 1
  const vectors = Array.from({ length: n }, (_, k) => Float64Array.from(q, (row) => row[k] ?? 0));
  for (let i = 0; i < n; i++) for (let turn = 0; turn < 100 && step(values, beside, vectors, i); turn++);
  return { values, vectors };
}

/** @param {Float64Array} all @param {number} n */
const rowsOf = (all, n) => Array.from({ length: n }, (_, i) => all.subarray(i * n, (i + 1) * n));

/** @param {Float64Array} a @param {Float64Array} b @param {number} first */
function dot(a, b, first) {
  let sum = 0;
  for (let i = first; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/** to += by * from, from `first` on. @param {Float64Array} to @param {Float64Array} from @param {number} by @param {number} first */
function add(to, from, by, first) {
  for (let i = first; i < to.length; i++) to[i] = (to[i] ?? 0) + by * (from[i] ?? 0);
}

/** Clears row and column k beyond the diagonal's neighbour. @param {Float64Array[]} a @param {Float64Array[]} q @param {number} k */
function reflect(a, q, k) {
  const row = a[k];
  if (!row) return;
  const first = k + 1;
  const v = row.slice();
  const head = v[first] ?? 0;
  const length = Math.sqrt(dot(v, v, first));
  const alpha = head > 0 ? -length : length;
  v[first] = head - alpha;
  const square = dot(v, v, first);
  if (square === 0) return;
  const beta = 2 / square;
  const p = new Float64Array(v.length);
  for (let i = first; i < v.length; i++) p[i] = beta * dot(a[i] ?? v, v, first);
  add(p, v, -0.5 * beta * dot(p, v, first), first);
  for (let i = first; i < v.length; i++) {
    const below = a[i];
    if (!below) continue;
    add(below, p, -(v[i] ?? 0), first);
    add(below, v, -(p[i] ?? 0), first);
    below[k] = 0;
  }
  row.fill(0, first);
  row[first] = alpha;
  for (const line of q) add(line, v, -beta * dot(line, v, first), first);
}

/**
 * One step of QL that brings value `first` closer; false when it is there.
 * @param {Float64Array} d
 * @param {Float64Array} e
 * @param {Float64Array[]} vectors
 * @param {number} first
 */
function step(d, e, vectors, first) {
  const [D, E] = [(/** @type {number} */ i) => d[i] ?? 0, (/** @type {number} */ i) => e[i] ?? 0];
  let last = first;
  while (last + 1 < d.length && Math.abs(E(last)) > 2 ** -53 * (Math.abs(D(last)) + Math.abs(D(last + 1)))) last++;
  if (last === first) return false;
  const half = (D(first + 1) - D(first)) / (2 * E(first));
  let g = D(last) - D(first) + E(first) / (half + (half < 0 ? -1 : 1) * Math.hypot(half, 1));
  let [sine, cosine, shift] = [1, 1, 0];
  for (let i = last - 1; i >= first; i--) {
    const [f, b] = [sine * E(i), cosine * E(i)];
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) { // it falls into two
      d[i + 1] = D(i + 1) - shift;
      e[last] = 0;
      return true;
    }
    [sine, cosine] = [f / r, g / r];
    g = D(i + 1) - shift;
    const more = (D(i) - g) * sine + 2 * cosine * b;
    shift = sine * more;
    d[i + 1] = g + shift;
    g = cosine * more - b;
    const [low, high] = [vectors[i], vectors[i + 1]];
    if (low && high) rotate(low, high, cosine, sine);
  }
  d[first] = D(first) - shift;
  e[first] = g;
  e[last] = 0;
  return true;
}

/** @param {Float64Array} low @param {Float64Array} high @param {number} c @param {number} s */
function rotate(low, high, c, s) {
  for (let k = 0; k < low.length; k++) {
    const [x, y] = [low[k] ?? 0, high[k] ?? 0];
    low[k] = c * x - s * y;
    high[k] = s * x + c * y;
  }
}
