"""Elementwise ops, mixing and matrix products out of ncnn's own layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np

from ...builder import append
from ...errors import BuildError
from ...ir import Array, Graph, Node, Params, Shape, Value
from ...ops.activations.activation import activation
from ...ops.activations.piecewise import clip
from ...ops.activations.smooth import ELU, selu
from ...ops.arithmetic.binary import binaryOp
from ...ops.arithmetic.unary import unary
from ...ops.generators.alias_free import pixel_centres
from ...ops.generators.stylegan import ACTIVATIONS
from ...ops.shapes.crop import crop
from ...ops.shapes.shape import concat, really_reshape
from ...ops.stock import inner_product, matmul, memory, scale
from ...opspec import spec_of

_NAMES = {a.id: name for name, a in ACTIVATIONS.items()}


def reshaped(g: Graph, x: Value, shape: Shape) -> Value:
    return x if x.shape == shape else really_reshape(g, x, shape)[0]


def add(g: Graph, a: Value, b: Value | float) -> Value:
    return a if isinstance(b, (int, float)) and b == 0 else binaryOp(g, [a, b], "Add")[0]


def mul(g: Graph, a: Value, b: Value | float) -> Value:
    return a if isinstance(b, (int, float)) and b == 1 else binaryOp(g, [a, b], "Mul")[0]


def blend(g: Graph, a: Value, b: Value, coeff: Value) -> Value:
    """a * (1 - coeff) + b * coeff: exactly a at 0 and b at 1, which a + coeff * (b - a) is not."""
    rest = binaryOp(g, [coeff, 1.0], "RSub")[0]
    return add(g, mul(g, a, rest), mul(g, b, coeff))


# -- activations --------------------------------------------------------------------------------------------------


def act(g: Graph, x: Value, name: str, alpha: float) -> Value:
    """An activation of bias_act, without its gain."""
    if name == "linear" or (name == "lrelu" and alpha == 1):
        return x
    if name in ("relu", "lrelu"):
        return append(g, spec_of("ReLU"), x, {"slope": alpha if name == "lrelu" else 0.0})[0]
    if name in ("sigmoid", "swish"):
        return activation(g, x, name)[0]
    if name == "tanh":
        return unary(g, x, "tanh")
    if name == "elu":
        return append(g, spec_of(ELU.type), x, {"alpha": 1.0})[0]
    if name == "selu":
        return selu(g, x)
    # softplus: log(1 + exp(x)) overflows, max(x, 0) + log1p(exp(-|x|)) does not
    tail = unary(g, unary(g, unary(g, unary(g, x, "abs"), "neg"), "exp"), "log1p")
    return add(g, binaryOp(g, [x, 0.0], "Max")[0], tail)


def _with_bias(g: Graph, x: Value, b: Value | Array, factor: float) -> Value:
    """factor * (x + b), b along the channels of a map and the elements of a vector, the columns of a matrix."""
    if isinstance(b, np.ndarray) and len(x.shape) != 2:
        return scale(g, x, np.full(b.size, factor, np.float32), (b * np.float32(factor)).astype(np.float32))
    value = b if isinstance(b, Value) else memory(g, b)
    along = (1, value.shape[0]) if len(x.shape) == 2 else (value.shape[0], *(1,) * (len(x.shape) - 1))
    return mul(g, add(g, x, reshaped(g, value, along)), factor)


def biased_act(g: Graph, x: Value, b: Value | Array | None, node: Node) -> Value:
    """clamp(act(x + b) * gain).

    relu, lrelu and linear let a positive gain through, so bias and gain are one Scale: gain * x + gain * b.
    """
    p = node.params
    name, gain = _NAMES[p["act"]], float(p["gain"])
    early = gain if gain > 0 and name in ("linear", "relu", "lrelu") else 1.0
    x = mul(g, x, early) if b is None else _with_bias(g, x, b, early)
    x = act(g, x, name, p["alpha"])
    if early != gain:
        x = mul(g, x, gain)
    return x if p["clamp"] < 0 else clip(g, x, -p["clamp"], p["clamp"])


def bias_act(g: Graph, node: Node, inputs: Sequence[Value]) -> Sequence[Value]:
    return [biased_act(g, inputs[0], node.weights.get("b"), node)]


def bias_act_layer(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    b = inputs[1] if len(inputs) == 2 else None
    known = None if b is None else b.data
    return [biased_act(g, inputs[0], b if known is None else known, node)]


def fully_connected(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """InnerProduct, with a positive gain of relu, lrelu and linear in its weights, and the activation."""
    p, weight, bias = node.params, node.weights["weight"], node.weights.get("bias")
    name, gain = _NAMES[p["act"]], float(p["gain"])
    early = np.float32(gain if gain > 0 and name in ("linear", "relu", "lrelu") else 1.0)
    y = inner_product(g, inputs[0], weight * early, None if bias is None else bias * early)
    y = act(g, y, name, p["alpha"])
    y = y if early != 1 else mul(g, y, gain)
    return [y if p["clamp"] < 0 else clip(g, y, -p["clamp"], p["clamp"])]


def fused_activation(g: Graph, y: Value, p: Params) -> Value:
    """The activation that a layer of ours applies itself, as the layer that it is; a pass may fuse it again."""
    kind, a = p["activation_type"], p["activation_params"]
    if kind == 6 and a[0] <= 0:  # the layer and the fused form differ, see fuse_activation
        raise BuildError("no layer of ncnn has this activation", argument="activation_params", got=list(a))
    table: dict[int, tuple[str, dict[str, float]]] = {
        1: ("ReLU", {"slope": 0.0}),
        2: ("ReLU", {"slope": a[0] if a else 0.0}),
        3: ("Clip", dict(zip(("min", "max"), a, strict=False))),
        4: ("Sigmoid", {}),
        5: ("Mish", {}),
        6: ("HardSwish", dict(zip(("alpha", "beta"), a, strict=False))),
    }
    if kind not in table:
        return y
    layer, params = table[kind]
    return append(g, spec_of(layer), y, params)[0]


# -- one layer, or a few --------------------------------------------------------------------------------------------


def abs_(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    return [unary(g, inputs[0], "abs")]


def square(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    return [unary(g, inputs[0], "square")]


def sqrt(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    return [unary(g, add(g, inputs[0], node.params["eps"]), "sqrt")]


def rsqrt(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    x = add(g, mul(g, inputs[0], node.params["scale"]), node.params["eps"])
    return [unary(g, x, "rsqrt")]


def turns(g: Graph, x: Value) -> Value:
    """sin(2 pi x). The whole turns go first: subtracting them is exact, and the sine is best near zero."""
    rest = binaryOp(g, [x, unary(g, x, "round")], "Sub")[0]
    return unary(g, mul(g, rest, 2 * math.pi), "sin")


def sin(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    return [turns(g, mul(g, inputs[0], node.params["scale"] / 2))]


def clamp(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    return [clip(g, inputs[0], node.params["min"], node.params["max"])]


def mul_constant(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    return [add(g, mul(g, inputs[0], node.params["scale"]), node.params["bias"])]


def stylegan_post(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    return [clip(g, add(g, mul(g, inputs[0], 127.5), 128.0), 0.0, 255.0)]


def lerp(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    a, b, coeff = inputs
    return [blend(g, a, b, coeff if coeff.shape == a.shape else reshaped(g, coeff, (1,) * len(a.shape)))]


def add_noise(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    x, noise = inputs
    return [add(g, x, reshaped(g, noise, (1, *x.shape[1:])))]


def f4d_op_1d(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    x, v = inputs
    along = tuple(n if i == node.params["dim"] else 1 for i, n in enumerate(x.shape))
    return binaryOp(g, [x, reshaped(g, v, along)], ("Mul", "Div", "Add", "Sub")[node.params["op"]])


def coord_concat(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    _, h, w = inputs[0].shape
    xs, ys = (np.linspace(-1, 1, n, dtype=np.float64) if n > 1 else np.array([-1.0]) for n in (w, h))
    coordinates = np.stack([np.broadcast_to(xs, (h, w)), np.broadcast_to(ys[:, None], (h, w))])
    return concat(g, [inputs[0], memory(g, coordinates.astype(np.float32))], 1)


def shell(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    arrays = node.spec.constants(node.params, node.weights)
    assert arrays is not None
    return [memory(g, a) for a in arrays]


# -- mixing ---------------------------------------------------------------------------------------------------------

_blends: WeakKeyDictionary[Graph, dict[tuple[Value, ...], Value]] = WeakKeyDictionary()


def style_mixing_switcher(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """Row ws_i of one blend [num_ws, w_dim], which all switchers with the same inputs share."""
    ws0, ws1, mixing = inputs
    made = _blends.setdefault(g, {})
    if (ws0, ws1, mixing) not in made:
        a, b = (v if len(v.shape) == 2 else reshaped(g, v, (1, *v.shape)) for v in (ws0, ws1))
        made[ws0, ws1, mixing] = blend(g, a, b, reshaped(g, mixing, (mixing.shape[0], 1)))
    i, blended = node.params["ws_i"], made[ws0, ws1, mixing]
    return [reshaped(g, crop(g, blended, [i], [i + 1], [0])[0], blended.shape[1:])]


# -- matrix products ------------------------------------------------------------------------------------------------


def fmatmul(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """InnerProduct where the weight is known, else MatMul."""
    (x, w), b = inputs[:2], inputs[2] if len(inputs) == 3 else None
    shape, known, bias = (node.params["num_output"], x.shape[-1]), w.data, None if b is None else b.data
    if known is not None and (b is None or bias is not None):
        return [fused_activation(g, inner_product(g, x, known.reshape(shape), bias), node.params)]
    y = matmul(g, x, reshaped(g, w, shape), transpose_b=True)
    y = y if b is None else add(g, y, reshaped(g, b, (*(1,) * (len(y.shape) - 1), shape[0])))
    return [fused_activation(g, y, node.params)]


def transforms(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    return [rotation_and_translation(g, inputs[0])]


def rotation_and_translation(g: Graph, t: Value) -> Value:
    """t = (c, s, x, y) -> [[c, -s, s y - c x], [s, c, -s x - c y]]: linear in t and in the products sy, cx, sx, cy."""
    first, second = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)
    for i, (a, b) in enumerate(((1, 3), (0, 2), (1, 2), (0, 3))):
        first[i, a] = second[i, b] = 1
    products = mul(g, inner_product(g, t, first), inner_product(g, t, second))
    of_t, of_products = np.zeros((6, 4), np.float32), np.zeros((6, 4), np.float32)
    of_t[0, 0] = of_t[4, 0] = of_t[3, 1] = 1
    of_t[1, 1] = -1
    of_products[2, :2] = 1, -1
    of_products[5, 2:] = -1, -1
    return reshaped(g, add(g, inner_product(g, t, of_t), inner_product(g, products, of_products)), (2, 3))


def synthesis_input(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """Matrix products: freqs @ R @ T @ transform, then its columns times the pixels' coordinates, a constant."""
    p, weights, t = node.params, node.weights, inputs[0]
    channels, outputs = len(weights["freqs"]), len(weights["weight"])
    length = inner_product(g, unary(g, t, "square"), np.array([[1, 1, 0, 0]], np.float32))
    matrix = rotation_and_translation(g, mul(g, t, unary(g, length, "rsqrt")))
    given = weights.get("transform")
    matrix = matmul(g, matrix, inputs[1] if given is None else memory(g, given))  # [2, 3]
    freqs = matmul(g, memory(g, weights["freqs"]), matrix)  # [C, 3]: f_x, f_y and a phase

    lengths = inner_product(g, unary(g, freqs, "square"), np.array([[1, 1, 0]], np.float32))  # [C, 1]
    fall = 1 / (p["sampling_rate"] / 2 - p["bandwidth"])
    amplitudes = add(g, mul(g, unary(g, lengths, "sqrt"), -fall), 1 + p["bandwidth"] * fall)
    amplitudes = reshaped(g, clip(g, amplitudes, 0.0, 1.0), (1, channels))

    grid = memory(g, pixel_centres(p["height"], p["width"], p["sampling_rate"]))  # [H * W, 3]
    angles = add(g, matmul(g, freqs, grid, transpose_b=True), memory(g, weights["phases"][:, None]))  # [C, H * W]
    y = matmul(g, mul(g, memory(g, weights["weight"]), amplitudes), turns(g, angles))  # [O, H * W]
    return [reshaped(g, y, (outputs, p["height"], p["width"]))]
