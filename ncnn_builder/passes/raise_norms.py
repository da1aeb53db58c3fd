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
"""

from __future__ import annotations

import numpy as np

from ..ir import Node, Shape
from ..ops.enums import Binary, Border, Least, Pool, Reduce, Region, Windows
from ..ops.layers import LRN, BinaryOp, Clamp, Clip, Normalize, Padding, Pooling, Pooling3D, Reduction, Reshape
from ..ops.shapes.shape import really_reshape
from .affine import with_number
from .match import Matcher, expect, is_a, need
from .rules import Made, Rules
from .sum_of_squares import SQUARES, is_square

LARGEST = 3e38

raise_norms = Rules("raise_norms")


@raise_norms.on(BinaryOp)
def _response(m: Matcher, node: Node) -> Made:
    expect(node.params["op"] == Binary.Div and len(node.inputs) == 2)
    x, below = node.inputs
    reshape = m.maybe(below, Reshape)
    base, beta = with_number(m, below if reshape is None else reshape.inputs[0], Binary.Pow)
    least, most = -np.inf, np.inf
    while (clamp := m.maybe(base, Clamp, Clip)) is not None:
        base = clamp.inputs[0]
        least, most = max(least, clamp.params["min"]), min(most, clamp.params["max"])
    scaled, k = with_number(m, base, Binary.Add)
    mean, alpha = with_number(m, scaled, Binary.Mul)
    pool = m.maker(mean, Pooling, Pooling3D)
    border = m.maker(pool.inputs[0], Padding)
    of = m.maker(border.inputs[0], Reshape)
    square = m.maker(of.inputs[0], *SQUARES)
    expect(is_square(square) and square.inputs[0] is x)
    need(k > 0 and alpha >= 0 and least <= k and most >= LARGEST, "limits, or numbers, that are no LRN's")
    need(not x.others, "sizes that follow an input of any shape")
    size = _window(pool, border, of.outputs[0].shape, x.shape)
    picture = {2: (x.shape[0], 1, x.shape[-1]), 3: x.shape, 4: (*x.shape[:2], x.shape[-1] * x.shape[-2])}[len(x.shape)]
    shaped = x if picture == x.shape else really_reshape(m.new, x, picture)
    y = m.make(LRN, shaped, region_type=Region.CHANNELS, local_size=size, alpha=alpha, beta=beta, bias=k)
    return y if picture == x.shape else really_reshape(m.new, y, x.shape)


def _window(pool: Node, border: Node, squares: Shape, x: Shape) -> int:
    """Of how many channels the mean is taken, each number in the middle."""
    p, q, dims = pool.params, border.params, len(squares) - 1
    expect(squares[:2] == (1, x[0]) and dims == (2 if is_a(pool, Pooling) else 3))
    letters = "dhw"[3 - dims :]
    counted = p["count_include_pad" if dims == 2 else "avgpool_count_include_pad"]
    need(p["pooling_type"] == Pool.AVERAGE and counted, "another mean than of as many neighbours everywhere")
    need(not p["global_pooling"] and not p["adaptive_pooling"], "a mean of the whole")
    size = int(p[f"kernel_{letters[0]}"])
    along = all(p[f"kernel_{a}"] == 1 for a in letters[1:]) and all(p[f"stride_{a}"] == 1 for a in letters)
    bare = not any(n for name, n in p.items() if name.startswith("pad_") and name != "pad_mode")
    need(along and bare and p["pad_mode"] == Windows.VALID, "another window than along the channels")
    ends = ("top", "bottom") if dims == 2 else ("front", "behind")
    sides = {side: q[side] for side in ("top", "bottom", "left", "right", "front", "behind") if q[side]}
    wanted = {side: n for side, n in zip(ends, (size // 2, (size - 1) // 2), strict=True) if n}
    zeros = q["mode"] == Border.CONSTANT and q["value"] == 0 and not q["per_channel_pad_data_size"]
    need(zeros and sides == wanted, "another border than the window's, of zeros")
    return size


@raise_norms.on(BinaryOp)
def _length(m: Matcher, node: Node) -> Made:
    expect(node.params["op"] == Binary.Div and len(node.inputs) == 2)
    x, below = node.inputs
    length, least = with_number(m, below, Binary.Max)
    total = m.maker(length, Reduction)
    p, rank = total.params, len(x.shape)
    expect(total.inputs[0] is x and p["operation"] == Reduce.L2)
    need(rank in (3, 4), "neither picture nor volume")
    need(not p["reduce_all"] and p["keepdims"] and p["coeff"] == 1 and least > 0, "another length")
    axes = tuple(sorted(a + rank if a < 0 else a for a in p["axes"]))
    need(axes in ((0,), tuple(range(1, rank))), "a length along other axes")
    return m.make(
        Normalize,
        x,
        {"scale": np.ones(1, np.float32)},
        across_spatial=axes != (0,),
        across_channel=axes == (0,),
        channel_shared=1,
        eps=least,
        scale_data_size=1,
        eps_mode=Least.LENGTH,
    )
