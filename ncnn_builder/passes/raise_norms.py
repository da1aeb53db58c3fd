"""Make one layer of a normalisation that is written as arithmetic, as torch's own functions are.

LRN, which is torch's local_response_norm() of x [C, ...]:

    before:  p = Padding(Reshape(x * x, [1, C, ...]), n // 2 and (n - 1) // 2 channels of zeros)
             m = Pooling3D(p, average, n along the channels)     Pooling for x [C, W]
             y = x / Reshape(clamp(m * alpha + k) ** beta, x.shape)     with a clamp or without
    after:   y = LRN(x, n, alpha, beta, k), x as [C, H, W]

ncnn's LRN is x * (k + alpha * mean of the squares of n neighbours) ** -beta: exact up to rounding. A clamp from below
does nothing where the least number, k, is above it; so k > 0 and alpha >= 0 are asked for.

Normalize, torch's F.normalize() of the channels, or of the places of each:

    before:  y = x / max(Reduction(x, L2, the first axis, or all others), eps)
    after:   y = Normalize(x, eps)

Refused: values in between that somebody else reads, another border or window, any other step, and Normalize where x is
no picture or volume.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..builder import append
from ..ir import Graph, Node, Shape, Value
from ..ops.shapes.shape import really_reshape
from ..opspec import spec_of
from .match import Matcher, rewrite_all
from .sum_of_squares import is_square

ADD, MUL, DIV, MAX, POW = 0, 2, 3, 4, 6
L2 = 8
LARGEST = 3e38


def raise_norms(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "raise_norms")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type != "BinaryOp" or node.params["op"] != DIV or len(node.inputs) != 2:
        return None
    made = _response(new, node, matcher)
    return _length(new, node, matcher) if made is None else made


def _response(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    x, below = node.inputs
    reshape = matcher.interior(below, "Reshape")
    power = _with_number(matcher, below if reshape is None else reshape.inputs[0], POW)
    if power is None:
        return None
    base, least, most = power[0], -np.inf, np.inf
    while (clamp := matcher.interior(base, "Clamp", "Clip")) is not None:
        base = clamp.inputs[0]
        least, most = max(least, clamp.params["min"]), min(most, clamp.params["max"])
    added = _with_number(matcher, base, ADD)
    scaled = None if added is None else _with_number(matcher, added[0], MUL)
    if added is None or scaled is None or added[1] <= 0 or scaled[1] < 0 or least > added[1] or most < LARGEST:
        return None
    pool = matcher.interior(scaled[0], "Pooling", "Pooling3D")
    border = None if pool is None else matcher.interior(pool.inputs[0], "Padding")
    of = None if border is None else matcher.interior(border.inputs[0], "Reshape")
    if pool is None or border is None or of is None:
        return None
    square = matcher.interior(of.inputs[0], "Square", "UnaryOp", "BinaryOp")
    if square is None or not is_square(square) or square.inputs[0] is not x or x.others:
        return None
    size = _window(pool, border, of.outputs[0].shape, x.shape)
    if size is None:
        return None
    params = {"region_type": 0, "local_size": size, "alpha": scaled[1], "beta": power[1], "bias": added[1]}
    picture = _picture(x.shape)
    y = append(new, spec_of("LRN"), really_reshape(new, x, picture) if picture != x.shape else x, params)
    return y if picture == x.shape else really_reshape(new, y, x.shape)


def _with_number(matcher: Matcher, value: Value, op: int) -> tuple[Value, float] | None:
    """(a, b) where the value is a op b, of a number b."""
    node = matcher.interior(value, "BinaryOp")
    if node is None or node.params["op"] != op or not node.params["with_scalar"]:
        return None
    return node.inputs[0], float(node.params["b"])


def _window(pool: Node, border: Node, squares: Shape, x: Shape) -> int | None:
    """Of how many channels the mean is taken, each number in the middle; None where it is another mean."""
    p, dims = pool.params, len(squares) - 1
    letters = "dhw"[3 - dims :]
    counted = p["count_include_pad" if dims == 2 else "avgpool_count_include_pad"]
    plain = p["pooling_type"] == 1 and not p["global_pooling"] and not p["adaptive_pooling"] and counted
    if squares[:2] != (1, x[0]) or dims not in (2, 3) or (dims == 2) != (pool.spec.type == "Pooling") or not plain:
        return None
    size = int(p[f"kernel_{letters[0]}"])
    along = all(p[f"kernel_{a}"] == 1 for a in letters[1:]) and all(p[f"stride_{a}"] == 1 for a in letters)
    bare = p["pad_mode"] == 1 and not any(n for name, n in p.items() if name.startswith("pad_") and name != "pad_mode")
    q = border.params
    ends = ("top", "bottom") if dims == 2 else ("front", "behind")
    sides = {side: q[side] for side in ("top", "bottom", "left", "right", "front", "behind") if q[side]}
    wanted = {side: n for side, n in zip(ends, (size // 2, (size - 1) // 2), strict=True) if n}
    zeros = q["mode"] == 0 and q["value"] == 0 and not q["per_channel_pad_data_size"]
    return size if along and bare and zeros and sides == wanted else None


def _picture(x: Shape) -> Shape:
    """x as [C, H, W]."""
    return {2: (x[0], 1, x[-1]), 3: x, 4: (*x[:2], x[-1] * x[-2])}[len(x)]


def _length(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    x, below = node.inputs
    least = _with_number(matcher, below, MAX)
    total = None if least is None else matcher.interior(least[0], "Reduction")
    if least is None or total is None or total.inputs[0] is not x or len(x.shape) not in (3, 4):
        return None
    p, rank = total.params, len(x.shape)
    axes = tuple(sorted(a + rank if a < 0 else a for a in p["axes"]))
    if p["operation"] != L2 or p["reduce_all"] or not p["keepdims"] or p["coeff"] != 1 or least[1] <= 0:
        return None
    if axes not in ((0,), tuple(range(1, rank))):
        return None
    params = {
        "across_spatial": int(axes != (0,)),
        "across_channel": int(axes == (0,)),
        "channel_shared": 1,
        "eps": least[1],
        "scale_data_size": 1,
        "eps_mode": 1,
    }
    return append(new, spec_of("Normalize"), x, params, {"scale": np.ones(1, np.float32)})
