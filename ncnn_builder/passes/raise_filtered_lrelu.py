"""Say filtered_lrelu where upsampling, leaky ReLU and downsampling stand one behind the other.

before:  y = BiasAct(x, b, act=linear); u = upfirdn2d(y, f, up=2, padding, gain=4)
         a = BiasAct(u, act=lrelu, alpha=0.2, gain=g, clamp=c); z = upfirdn2d(a, h, down=2)
after:   z = filtered_lrelu(x, fu=f, fd=h, b=b, up=2, down=2, padding, gain=g, slope=0.2, clamp=c)

before:  y = bias_act(x, b), or BinaryOp(x, constant [C, 1, 1], add); u = upfirdn2d(y, f, up=2, padding, gain=4)
         a = Clamp(BinaryOp(ReLU(u, slope=0.2), g, mul), -c, c); z = upfirdn2d(a, h, down=2)
after:   the same

The bias may be missing; the activation may be linear or relu; of the last three layers some may be missing. Exact up to
rounding: it is the definition of the composite op, whose gain up^2 the filter takes where it is another. Then code
written for the predecessor, and a captured forward(), have the fast forms of StyleGAN3's activation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ir import Array, Node, Value
from ..ops import layers as ops
from ..ops.enums import Act
from ..ops.generators.fir import PADDINGS, paddings
from .affine import added_per_channel, scale_of
from .match import Matcher, NoMatch, expect, is_a, need
from .rules import Made, Rules

raise_filtered_lrelu = Rules("raise_filtered_lrelu")


@raise_filtered_lrelu.on(ops.Upfirdn2d)
def _between_filters(m: Matcher, lower: Node) -> Made:
    q = lower.params
    expect(q["up_y"] == q["up_x"] == 1)
    act = _activation(m, lower.inputs[0])
    upper = m.maker(act.x, ops.Upfirdn2d)
    p = upper.params
    need(not any(paddings(q)), "a border of the second filter")
    need(p["up_y"] == p["up_x"] and q["down_y"] == q["down_x"], "factors that differ along height and width")
    need(p["down_y"] == p["down_x"] == 1, "a first filter that keeps fewer pixels")
    need(p["flip_filter"] == q["flip_filter"], "filters of which only one is turned")
    need(min(p["gain"], q["gain"]) > 0, "a gain of a filter that is not positive")
    x, bias = _bias(m, upper.inputs[0])
    weights = {
        "fu": _scaled(upper.weights.get("f"), p["gain"] / p["up_y"] ** 2),
        "fd": _scaled(lower.weights.get("f"), q["gain"]),
        "b": bias,
    }
    return m.make(
        ops.FilteredLreluComposite,
        x,
        weights,
        up=p["up_y"],
        down=q["down_y"],
        **{name: p[name] for name in PADDINGS},
        gain=act.gain,
        slope=act.slope,
        clamp=act.clamp,
        flip_filter=p["flip_filter"],
    )


@dataclass(frozen=True)
class _Activation:
    """clamp(max(x, 0) + slope * min(x, 0)) * gain, with the limit behind the gain; below 0: none."""

    x: Value
    slope: float
    gain: float
    clamp: float


def _activation(m: Matcher, value: Value) -> _Activation:
    """By one layer, or by ncnn's ReLU, a factor and limits one behind the other."""
    node = m.maybe(value, ops.BiasActSpec, ops.BiasActComposite)
    if node is not None:
        a = node.params
        slopes = {Act.LINEAR: 1.0, Act.RELU: 0.0, Act.LRELU: a["alpha"]}
        need(a["act"] in slopes, "an activation that is none of linear, relu and lrelu")
        need(len(node.inputs) == 1 and "b" not in node.weights, "an activation with a bias")
        return _Activation(node.inputs[0], slopes[a["act"]], a["gain"], a["clamp"])
    x, slope, gain, clamp = value, 1.0, 1.0, -1.0
    limits = m.maybe(x, ops.Clamp, ops.Clip)
    if limits is not None:
        x, clamp = limits.inputs[0], limits.params["max"]
    scaled = m.maybe(x, ops.MulConstantSpec, ops.BinaryOp)
    scale = scale_of(scaled)
    if scaled is not None and scale is not None:
        x, gain = scaled.inputs[0], scale
    relu = m.maybe(x, ops.ReLU)
    if relu is not None:
        x, slope = relu.inputs[0], relu.params["slope"]
    expect(x is not value)
    m.maker(x, ops.Upfirdn2d)
    need(limits is None or (limits.params["min"] == -clamp and clamp > 0), "limits that are not -c and c")
    return _Activation(x, slope, gain, clamp)


def _bias(m: Matcher, value: Value) -> tuple[Value, Array | None]:
    """What a layer that only adds a known bias adds it to, and the bias."""
    try:
        node = m.maker(value, ops.BiasActSpec, ops.BiasActComposite, ops.BinaryOp)
        if is_a(node, ops.BinaryOp):
            return added_per_channel(node) or (value, None)
        b = node.weights.get("b") if is_a(node, ops.BiasActComposite) else [*node.inputs, node.inputs[0]][1].data
        p = node.params
        expect(b is not None and p["act"] == Act.LINEAR and p["gain"] == 1 and p["clamp"] < 0)
        return node.inputs[0], None if b is None else b.reshape(-1)
    except NoMatch:
        return value, None


def _scaled(f: Array | None, factor: float) -> Array | None:
    """A filter times a factor; one of one dimension is applied twice."""
    if factor == 1:
        return f
    f = np.ones((1, 1), np.float32) if f is None else f
    scaled: Array = f * np.float32(factor if f.ndim == 2 else factor**0.5)
    return scaled
