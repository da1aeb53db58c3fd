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

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..builder import append
from ..ir import Graph, Node, Value
from .affine import representable, scale_of
from .match import Matcher, rewrite_all

ACTIVATIONS = ("bias_act", "BiasAct", "fully_connected", "filtered_lrelu", "FilteredLrelu")
FILTERS = ("upfirdn2d", "Upfirdn2d")
MODULATED = "modulated_conv2d"
_HOMOGENEOUS = (0, 1, 2)  # linear, relu, lrelu


def fold_gains(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "fold_gains")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    scale = scale_of(node)
    if scale is not None:
        before = matcher.interior(node.inputs[0], *ACTIVATIONS, *FILTERS, MODULATED)
        return None if before is None else _behind(new, before, scale, matcher)
    for position in range(min(2, len(node.inputs))):
        before = matcher.interior(node.inputs[position], "MulConstant", "BinaryOp")
        scale = scale_of(before)
        if before is not None and scale is not None and _linear_in(node, position, scale):
            inputs = [before.inputs[0] if i == position else v for i, v in enumerate(node.inputs)]
            return _scaled(new, node, inputs, scale, node.params.get("clamp", -1.0), node.weights)
    return None


def _behind(new: Graph, op: Node, scale: float, matcher: Matcher) -> Sequence[Value] | None:
    if op.spec.type == MODULATED and len(op.inputs) == 3:
        return None
    weights = op.weights
    if "noise" in weights:
        weights = {**weights, "noise": weights["noise"] * np.float32(scale)}
    clamp = op.params.get("clamp", -1.0)
    return _scaled(new, op, op.inputs, scale, clamp * abs(scale) if clamp > 0 else clamp, weights)


def _linear_in(op: Node, position: int, scale: float) -> bool:
    kind, p = op.spec.type, op.params
    if kind == MODULATED:
        return position == 0 or (position == 1 and not p["demodulate"])
    if kind in FILTERS:
        return True
    if position or scale < 0 or len(op.inputs) > 1 or "b" in op.weights:
        return False
    return kind in ("filtered_lrelu", "FilteredLrelu") or (kind in ("bias_act", "BiasAct") and p["act"] in _HOMOGENEOUS)


def _scaled(
    new: Graph, op: Node, inputs: Sequence[Value], scale: float, clamp: float, weights: Any
) -> Sequence[Value] | None:
    gain = op.params["gain"] * scale
    if not representable(gain) or (clamp > 0 and not representable(clamp)):
        return None
    params = {**op.params, "gain": gain}
    if "clamp" in params:
        params["clamp"] = clamp
    if not all(np.isfinite(w).all() for w in weights.values()):
        return None
    return append(new, op.spec, inputs, params, weights)
