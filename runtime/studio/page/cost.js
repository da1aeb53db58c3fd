// What a net costs, layer by layer, as ncnn_builder/tools/cost.py and the declarations in ncnn_builder/ops count it.

/** @typedef {import("./param_file.js").Line} Line */
/** @typedef {Record<string, number>} Params */
/** @typedef {(p: Params, x: number[][], y: number[][]) => number} Macs */

/** @param {number[] | undefined} shape */
const size = (shape) => (shape ?? []).reduce((product, n) => product * n, 1);

/** @param {Params} p @param {string} name */
const of = (p, name) => p[name] ?? 0;

/** Taps of a filter for each number of the result. @param {number} h  0: along one axis after the other @param {number} w @param {number} upY @param {number} upX */
function taps(h, w, upY, upX) {
  if (!w) return 0;
  return h ? Math.ceil(h / upY) * Math.ceil(w / upX) : Math.ceil(w / upY) + Math.ceil(w / upX);
}

/** Of a kernel of one to three axes. @param {Params} p */
const kernel = (p) => of(p, "kernel_w") * (p.kernel_h ?? 1) * (p.kernel_d ?? 1);

/** @type {Macs} */
const convolution = (p, [x = []], [y]) => Math.floor((size(y) * kernel(p) * (x[0] ?? 0)) / (p.group ?? 1));
/** @type {Macs} */
const transposed = (p, [x]) => Math.floor((size(x) * kernel(p) * of(p, "num_output")) / (p.group ?? 1));
/** Numbers in the matrices of a recurrent layer, and in its biases, of so many gates. @param {Params} p @param {number} gates @param {number} biases */
function matrices(p, gates, biases) {
  const ways = p.direction === 2 ? 2 : 1, out = of(p, "num_output"), hidden = p.hidden_size ?? out;
  const inner = gates * hidden * out + (hidden === out ? 0 : out * hidden);
  return { products: of(p, "weight_data_size") + ways * inner, bias: ways * biases * hidden };
}
/** Each matrix once for each row. @type {(gates: number) => Macs} */
const recurrent = (gates) => (p, [x = []]) => (x[0] ?? 0) * matrices(p, gates, 0).products;
/** @type {(gates: number, biases: number) => (p: Params) => number} */
const gated = (gates, biases) => (p) => matrices(p, gates, biases).products + matrices(p, gates, biases).bias;

/** Products of layers; what is not here has none. @type {Record<string, Macs>} */
const MACS = {
  Convolution: convolution, ConvolutionDepthWise: convolution, Convolution1D: convolution, ConvolutionDepthWise1D: convolution,
  Convolution3D: convolution, ConvolutionDepthWise3D: convolution,
  Deconvolution: transposed, DeconvolutionDepthWise: transposed, Deconvolution1D: transposed, DeconvolutionDepthWise1D: transposed,
  Deconvolution3D: transposed, DeconvolutionDepthWise3D: transposed, FconvTranspose2d: transposed,
  DeformableConv2D: (p, [x = []], [y]) => size(y) * (x[0] ?? 0) * kernel(p),
  FusedConv2d: (p, _, [y]) => size(y) * of(p, "num_input") * kernel(p),
  InnerProduct: (p, _, [y = []]) => (y.length === 2 ? (y[0] ?? 1) : 1) * of(p, "weight_data_size"),
  MatMul: (_, [x = []], [y]) => size(y) * (x.at(-1) ?? 0),
  Fmatmul: (_, [x = []], [y]) => size(y) * (x.at(-1) ?? 0),
  Gemm: (p, [x = []], [y]) => size(y) * (p.constant_a || p.constant_b ? of(p, "constant_k") : (x.at(p.trans_a ? 0 : -1) ?? 0)),
  MultiHeadAttention: (p, x) => {
    const rest = p.attn_mask ? x.slice(0, -1) : x;
    const [q = [], k = q, v = q] = rest;
    return of(p, "embed_dim") * (2 * size(q) + size(k) + size(v) + 2 * (q[0] ?? 0) * (k[0] ?? 0));
  },
  SDPA: (_, [q = [], k = [], v = []]) => (q[0] ?? 0) * (q[1] ?? 0) * (k[1] ?? 0) * ((q[2] ?? 0) + (v[2] ?? 0)),
  RNN: recurrent(1), LSTM: recurrent(4), GRU: recurrent(3),
  Einsum: (p, x) => {
    const [said = ""] = String.fromCharCode(.../** @type {number[]} */ (/** @type {unknown} */ (p.equation ?? []))).split("->");
    const sizes = new Map(said.split(",").flatMap((letters, i) => [...letters].map((letter, k) => /** @type {const} */ ([letter, x[i]?.[k] ?? 1]))));
    return size([...sizes.values()]) * (x.length - 1);
  },
  ModulatedConv2d: (p, [x = []], [y = []]) => {
    const pairs = of(p, "num_output") * of(p, "num_input");
    const pixels = size((p.up === 1 ? y : x).slice(1));
    return pairs * kernel(p) * pixels + size(y) * taps(0, of(p, "filter_size"), 1, 1) + (p.demodulate ? pairs : 0);
  },
  ToRGB: (p, _, [y]) => size(y) * (of(p, "num_input") + taps(0, of(p, "filter_size"), 2, 2)),
  Upfirdn2d: (p, _, [y]) => size(y) * taps(of(p, "f_h"), of(p, "f_w"), p.up_y ?? 1, p.up_x ?? 1),
  FilteredLrelu: (p, [x = []], [y]) => {
    const up = p.up ?? 1;
    const wide = (/** @type {number} */ n, /** @type {string} */ a, /** @type {string} */ b, /** @type {number} */ rows) => n * up + of(p, a) + of(p, b) - (rows - 1);
    const h = wide(x[1] ?? 0, "pad_top", "pad_bottom", p.fu_h || p.fu_w || 1), w = wide(x[2] ?? 0, "pad_left", "pad_right", p.fu_w || 1);
    return (x[0] ?? 0) * h * w * taps(of(p, "fu_h"), of(p, "fu_w"), up, up) + size(y) * taps(of(p, "fd_h"), of(p, "fd_w"), 1, 1);
  },
}; // prettier-ignore

/** With the scales of 8 bits: of weights, of the input, and above 100 of the output. @param {Params} p */
function weighed(p) {
  const term = p.int8_scale_term ?? 0;
  const scales = term ? (p.group === undefined ? of(p, "num_output") : term % 100 === 1 ? p.group : 1) + 1 + (term > 100 ? 1 : 0) : 0;
  return p.dynamic_weight ? 0 : of(p, "weight_data_size") + (p.bias_term ? of(p, "num_output") : 0) + scales;
}
/** @param {Params} p */
const affine = (p) => (p.affine ? 2 * (p.affine_size ?? p.channels ?? 0) : 0);

/** Numbers in the weights; what is not here has none. @type {Record<string, (p: Params) => number>} */
const WEIGHTS = {
  ...Object.fromEntries(["Convolution", "ConvolutionDepthWise", "Convolution1D", "ConvolutionDepthWise1D", "Convolution3D", "ConvolutionDepthWise3D", "Deconvolution",
    "DeconvolutionDepthWise", "Deconvolution1D", "DeconvolutionDepthWise1D", "Deconvolution3D", "DeconvolutionDepthWise3D", "DeformableConv2D", "InnerProduct", "Embed"].map((type) => [type, weighed])),
  RNN: gated(1, 1), LSTM: gated(4, 4), GRU: gated(3, 4),
  BatchNorm: (p) => 4 * of(p, "channels"),
  Bias: (p) => of(p, "bias_data_size"),
  Scale: (p) => (of(p, "size") < 0 ? 0 : of(p, "size") * (p.bias_term ? 2 : 1)),
  LayerNorm: affine, GroupNorm: affine, InstanceNorm: affine,
  RMSNorm: (p) => affine(p) / 2,
  PReLU: (p) => of(p, "num_slope"),
  Normalize: (p) => of(p, "scale_data_size"),
  Quantize: (p) => of(p, "scale_data_size"),
  Dequantize: (p) => of(p, "scale_data_size") + of(p, "bias_data_size"),
  Requantize: (p) => of(p, "scale_in_data_size") + of(p, "scale_out_data_size") + of(p, "bias_data_size"),
  Padding: (p) => of(p, "per_channel_pad_data_size"),
  Shell: (p) => of(p, "weight_data_size") + (p.bias_term ? of(p, "c") : 0),
  MemoryData: (p) => size([p.w, p.h, p.d, p.c].map((n) => n || 1)),
  Gemm: (p) => {
    const [m, n, k] = [of(p, "constant_m"), of(p, "constant_n"), of(p, "constant_k")];
    return (p.constant_a ? m * k : 0) + (p.constant_b ? k * n : 0) + (p.constant_c ? ([1, m, m, m * n, n][of(p, "constant_broadcast_type_c")] ?? 0) : 0);
  },
  MultiHeadAttention: (p) => {
    const embed = of(p, "embed_dim"), q = of(p, "weight_data_size") / embed;
    return embed * (2 * q + (p.kdim ?? embed) + (p.vdim ?? embed)) + 3 * embed + q;
  },
  ModulatedConv2d: (p) => {
    const side = (/** @type {string} */ of_, /** @type {string} */ k) => of(p, of_) * (p.up ?? 1) + 2 * of(p, "padding") - of(p, k) + 1;
    return of(p, "num_output") * of(p, "num_input") * kernel(p) + (p.noise === 1 ? side("height", "kernel_h") * side("width", "kernel_w") : 0) + of(p, "bias_data_size") + of(p, "filter_size");
  },
  ToRGB: (p) => of(p, "num_output") * of(p, "num_input") + of(p, "bias_data_size") + of(p, "filter_size"),
  FusedConv2d: (p) => of(p, "num_output") * of(p, "num_input") * kernel(p) + of(p, "bias_data_size") + of(p, "slope_data_size"),
  FilteredLrelu: (p) => (p.fu_h || 1) * of(p, "fu_w") + (p.fd_h || 1) * of(p, "fd_w") + of(p, "bias_data_size"),
  Upfirdn2d: (p) => (p.f_h || 1) * of(p, "f_w"),
}; // prettier-ignore

/** @param {Line} line */
export const weightsOf = ({ type, params }) => Math.max(0, WEIGHTS[type]?.(/** @type {Params} */ (params)) ?? 0);

/** Products; null where they are not known. @param {Line} line @param {(number[] | null)[]} reads @param {(number[] | null)[]} writes */
export function macsOf({ type, params }, reads, writes) {
  const [x, y] = [reads, writes].map((shapes) => shapes.flatMap((shape) => (shape ? [shape] : [])));
  if (x?.length !== reads.length || y?.length !== writes.length) return null;
  return MACS[type]?.(/** @type {Params} */ (params), x, y) ?? 0;
}

/** Bytes of blobs in float32 that are there at a time in light mode; null where shapes are not known. @param {Line[]} lines @param {Map<string, number[]>} shapes */
export function peakOf(lines, shapes) {
  if (lines.some(({ writes }) => writes.some((blob) => !shapes.has(blob)))) return null;
  /** What a Split hands on is its input. @type {Map<string, string>} */
  const owner = new Map();
  /** @type {Map<string, number>} */
  const last = new Map();
  const root = (/** @type {string} */ blob) => owner.get(blob) ?? blob;
  lines.forEach(({ type, reads, writes }) => writes.forEach((blob) => owner.set(blob, type === "Split" && reads[0] ? root(reads[0]) : blob)));
  lines.forEach(({ reads }, i) => reads.forEach((blob) => last.set(root(blob), i)));
  const read = new Set(lines.flatMap(({ reads }) => reads));
  for (const { writes } of lines) for (const blob of writes) if (!read.has(blob)) last.set(root(blob), lines.length);
  let alive = 0, peak = 0;
  /** @type {Map<number, number>} Place of a layer -> bytes that are free behind it. */
  const freed = new Map();
  lines.forEach(({ writes }, i) => {
    for (const blob of writes) {
      if (root(blob) !== blob) continue;
      const bytes = 4 * size(shapes.get(blob)), until = last.get(blob) ?? i;
      alive += bytes;
      freed.set(until, (freed.get(until) ?? 0) + bytes);
    }
    peak = Math.max(peak, alive);
    alive -= freed.get(i) ?? 0;
  });
  return peak;
}
