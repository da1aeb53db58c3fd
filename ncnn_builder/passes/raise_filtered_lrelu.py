"""Say filtered_lrelu where upsampling, leaky ReLU and downsampling stand one behind the other.

before:  y = BiasAct(x, b, act=linear); u = upfirdn2d(y, f, up=2, padding, gain=4)
         a = BiasAct(u, act=lrelu, alpha=0.2, gain=g, clamp=c); z = upfirdn2d(a, h, down=2)
after:   z = filtered_lrelu(x, fu=f, fd=h, b=b, up=2, down=2, padding, gain=g, slope=0.2, clamp=c)

The bias may be missing; the activation may be linear or relu. Exact up to rounding: it is the definition of the
composite op, whose gain up^2 the filter takes where it is another. Then code written for the predecessor has the fast
forms of StyleGAN3's activation.

Refused: a value between them that somebody else reads; factors that differ along height and width; a border of the
second filter, which the composite op has not; filters of which only one is turned; another activation, or one with a
bias of its own; a gain of a filter that is not positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..builder import append
from ..ir import Array, Graph, Node, Value
from ..ops.generators.fir import PADDINGS, paddings
from ..ops.generators.stylegan import ACTIVATIONS
from ..opspec import spec_of
from .match import Matcher, constant, rewrite_all

LINEAR, RELU, LRELU = (ACTIVATIONS[name].id for name in ("linear", "relu", "lrelu"))


def raise_filtered_lrelu(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "raise_filtered_lrelu")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    q = node.params
    if node.spec.type != "upfirdn2d" or any(paddings(q)) or q["up_y"] != 1 or q["up_x"] != 1:
        return None
    act = matcher.interior(node.inputs[0], "BiasAct")
    upper = None if act is None else matcher.interior(act.inputs[0], "upfirdn2d")
    if act is None or upper is None or len(act.inputs) != 1:
        return None
    p, a = upper.params, act.params
    square = p["up_y"] == p["up_x"] and p["down_y"] == p["down_x"] == 1 and q["down_y"] == q["down_x"]
    slopes = {LINEAR: 1.0, RELU: 0.0, LRELU: a["alpha"]}
    if not square or p["flip_filter"] != q["flip_filter"] or a["act"] not in slopes or min(p["gain"], q["gain"]) <= 0:
        return None
    x, bias = _bias(upper.inputs[0], matcher)
    params: dict[str, Any] = {
        "up": p["up_y"],
        "down": q["down_y"],
        **{name: p[name] for name in PADDINGS},
        "gain": a["gain"],
        "slope": slopes[a["act"]],
        "clamp": a["clamp"],
        "flip_filter": p["flip_filter"],
    }
    weights = {
        "fu": _scaled(upper.weights.get("f"), p["gain"] / p["up_y"] ** 2),
        "fd": _scaled(node.weights.get("f"), q["gain"]),
        "b": bias,
    }
    return append(new, spec_of("filtered_lrelu"), x, params, weights)


def _bias(value: Value, matcher: Matcher) -> tuple[Value, Array | None]:
    """What a BiasAct that only adds a known bias adds it to, and the bias."""
    node = matcher.interior(value, "BiasAct")
    if node is None or len(node.inputs) != 2:
        return value, None
    p, data = node.params, constant(node.inputs[1])
    if data is None or p["act"] != LINEAR or p["gain"] != 1 or p["clamp"] >= 0:
        return value, None
    return node.inputs[0], data.reshape(-1)


def _scaled(f: Array | None, factor: float) -> Array | None:
    """A filter times a factor; one of one dimension is applied twice."""
    if factor == 1:
        return f
    f = np.ones((1, 1), np.float32) if f is None else f
    scaled: Array = f * np.float32(factor if f.ndim == 2 else factor**0.5)
    return scaled
