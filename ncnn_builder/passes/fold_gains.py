"""Fold factors into the gain of the op beside them.

before:  y = BiasAct(x, b, gain=g, clamp=c); z = MulConstant(y, scale=s, bias=0)
after:   z = BiasAct(x, b, gain=g * s, clamp=c * |s|)
before:  t = MulConstant(styles, scale=s, bias=0); y = modulated_conv2d(x, t, demodulate=0, gain=g)
after:   y = modulated_conv2d(x, styles, demodulate=0, gain=g * s)

Exact up to the rounding of a product. Behind the op: clamp(a g, c) s = clamp(a g s, c |s|), and filters are linear; a
constant noise is scaled with the rest. In front of it: filters and convolutions are linear in x, a modulated
convolution without demodulation is linear in its styles, and an activation that is linear, relu or lrelu has
f(s x) = s f(x) for s > 0, where no bias comes between.

Refused: a value between the two that somebody else reads; an addend; styles with demodulation, which would cancel the
factor but for its epsilon; noise that is an input, behind the op; a gain that is no normal float32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..ir import Array, Node, Value
from ..ops import layers as ops
from ..ops.enums import Act
from .affine import representable, scale_of
from .match import Matcher, is_a, need
from .rules import Made, Rules

BIASED, BOTH, FILTERS = (
    (ops.BiasActComposite, ops.BiasActSpec),
    (ops.FilteredLreluComposite, ops.FilteredLreluSpec),
    (ops.Upfirdn2d, ops.Upfirdn2dSpec),
)
_HOMOGENEOUS = (Act.LINEAR, Act.RELU, Act.LRELU)

fold_gains = Rules("fold_gains")


@fold_gains.on(ops.MulConstantSpec, ops.BinaryOp)
def _behind(m: Matcher, node: Node) -> Made:
    scale = scale_of(node)
    if scale is None:
        return None
    op = m.maker(node.inputs[0], *BIASED, *BOTH, ops.FullyConnected, *FILTERS, ops.ModulatedConv2d)
    need(not is_a(op, ops.ModulatedConv2d) or len(op.inputs) < 3, "noise that is an input")
    weights = dict(op.weights)
    if "noise" in weights:
        weights["noise"] = weights["noise"] * np.float32(scale)
    clamp = op.params.get("clamp", -1.0)
    return _scaled(m, op, op.inputs, scale, clamp * abs(scale) if clamp > 0 else clamp, weights)


@fold_gains.on(*BIASED, *BOTH, *FILTERS, ops.ModulatedConv2d)
def _in_front(m: Matcher, op: Node) -> Made:
    for position, value in enumerate(op.inputs[:2]):
        before = m.maybe(value, ops.MulConstantSpec, ops.BinaryOp)
        scale = scale_of(before)
        if before is not None and scale is not None and _linear_in(op, position, scale):
            inputs = [before.inputs[0] if i == position else v for i, v in enumerate(op.inputs)]
            return _scaled(m, op, inputs, scale, op.params.get("clamp", -1.0), op.weights)
    return None


def _linear_in(op: Node, position: int, scale: float) -> bool:
    p = op.params
    if is_a(op, ops.ModulatedConv2d):
        return position == 0 or not p["demodulate"]
    if is_a(op, *FILTERS):
        return True
    if position or scale < 0 or len(op.inputs) > 1 or "b" in op.weights:
        return False
    return is_a(op, *BOTH) or (is_a(op, *BIASED) and p["act"] in _HOMOGENEOUS)


def _scaled(
    m: Matcher, op: Node, inputs: Sequence[Value], scale: float, clamp: float, weights: Mapping[str, Array]
) -> Made:
    gain = op.params["gain"] * scale
    need(representable(gain) and (clamp <= 0 or representable(clamp)), "a gain that is no normal float32")
    need(all(np.isfinite(w).all() for w in weights.values()), "noise that is no float32")
    changed = {"gain": gain, "clamp": clamp} if "clamp" in op.params else {"gain": gain}
    return m.again(op, inputs, weights, **changed)
