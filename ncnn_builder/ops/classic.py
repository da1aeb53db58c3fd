"""Layers that ncnn has and does not build: a program that wants them needs an ncnn with -DWITH_LAYER_NAME=ON.

Files with them can be written; the ncnn wheel and our runtime refuse to load these. So they are compared with torch and
numpy as references, and not run.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, SupportsFloat

from ..builder import ValueLike, append, filled, integer, one
from ..errors import BuildError
from ..ir import Graph, Shape, Values
from ..opspec import OpSpec, Param, Sample, dsl, register, spec_of
from .common import FEW, elements, functional, need, need_rank, shape_id
from .shapes.dims import flatten
from .shapes.pad import pad
from .shapes.shape import concat

_OFF = "ncnn's list of layers has it OFF: neither the wheel nor our runtime knows the type"


@register
class ArgMax(OpSpec):
    """Where the `topk` greatest numbers of all are, as floats: [1, topk]; with their values [2, topk], values first.

    ncnn: argmax.cpp, which is not built unless WITH_LAYER_argmax is ON. It takes x as one row of numbers, which holds
    for a vector or matrix; channels may have gaps between them.
    """

    type = "ArgMax"
    off = _OFF
    params = (
        Param("out_max_val", 0, "int", "1: the values as well"),
        Param("topk", 1, "int", "how many", 1),
    )
    limits = ("1 <= topk <= x.total",)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (1, 2), "x")
        n, k = elements(inputs[0]), params["topk"]
        need(1 <= k <= n, "bad number", argument="topk", expected=f"1 to {n}", got=k)
        return [(2 if params["out_max_val"] else 1, k)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        values, places = inputs[0].flatten().topk(params["topk"])
        rows = [values, places.to(values.dtype)] if params["out_max_val"] else [places.to(values.dtype)]
        return [torch.stack(rows)]

    def samples(self) -> list[Sample]:
        import torch

        def expected(x: Any, k: int, both: bool) -> Any:
            values, places = x.flatten().sort(descending=True)
            return torch.stack([values[:k], places[:k].float()] if both else [places[:k].float()])[None]

        return [
            Sample(
                f"argmax-{shape_id(x)}-{k}-{both}",
                (x,),
                lambda g, v, k=k, both=both: argmax(g, v, k, both),
                lambda v, k=k, both=both: expected(v, k, both),
            )
            for x in FEW[:2]
            for k in (1, 4)
            for both in (False, True)
        ]


@dsl
def argmax(g: Graph, bottom_names: ValueLike, topk: SupportsFloat = 1, out_max_val: bool = False) -> Values:
    """The places of the topk greatest numbers of a vector or matrix, as floats [1, topk]; with values [2, topk].

    It needs an ncnn that was built with WITH_LAYER_argmax: neither the wheel nor our runtime is one.
    """
    return append(
        g, spec_of("ArgMax"), one(bottom_names), {"out_max_val": int(out_max_val), "topk": integer(topk, "topk")}
    )


@register
class SPP(OpSpec):
    """Spatial pyramid pooling of (C, H, W): at level p 2^p x 2^p windows, all levels behind each other, [C * bins].

    Windows are ceil(size / 2^p) wide; the border is zeros, also for a maximum, the larger half of it before.
    ncnn: spp.cpp, which is not built unless WITH_LAYER_spp is ON, and is wrong: its result is [2, 1, bins] whatever C
    is, and for C above 2 it writes beyond that. So no graph holds it: spp() makes the same of other layers.
    Source: He et al. 2014, "Spatial Pyramid Pooling in Deep Convolutional Networks".
    """

    type = "SPP"
    off = f"{_OFF}; its code has a fault"
    params = (
        Param("pooling_type", 0, "int", "0 max, 1 average"),
        Param("pyramid_height", 1, "int", "levels", 1),
    )
    limits = (
        "pooling_type in (0, 1)",
        "1 <= pyramid_height <= 12",
        "x.rank == 3",
    )

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        raise BuildError("ncnn's SPP gives a result of the wrong size", got="SPP", fix="spp() makes it of other layers")

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        x = inputs[0]
        levels = [_level_reference(x[None], p, params["pooling_type"]) for p in range(params["pyramid_height"])]
        return [torch.cat(levels, 1)[0]]

    def samples(self) -> list[Sample]:
        import torch

        def sample(x: Shape, levels: int, op: str) -> Sample:
            return Sample(
                f"spp-{shape_id(x)}-{levels}-{op}",
                (x,),
                lambda g, v: spp(g, v, levels, op),
                lambda v: torch.cat([_level_reference(v, p, int(op == "AveragePool")) for p in range(levels)], 1),
            )

        cases: tuple[tuple[Shape, int], ...] = (((1, 8, 8), 3), ((5, 7, 6), 2), ((8, 5, 9), 3), ((3, 3, 1), 1))
        return [sample(x, levels, op) for x, levels in cases for op in ("MaxPool", "AveragePool")]


def _windows(n: int, level: int) -> tuple[int, int, int]:
    """Size of a window, border before and behind, along an axis of n."""
    bins = 2**level
    kernel = math.ceil(n / bins)
    missing = kernel * bins - n
    return kernel, (missing + 1) // 2, missing // 2


def _level_reference(x: Any, level: int, kind: int) -> Any:
    F = functional()
    (kh, top, bottom), (kw, left, right) = (_windows(n, level) for n in x.shape[2:])
    pool = F.avg_pool2d if kind else F.max_pool2d
    return pool(F.pad(x, (left, right, top, bottom)), (kh, kw)).flatten(1)


@dsl
def spp(g: Graph, bottom_names: ValueLike, pyramid_height: SupportsFloat, op: str = "MaxPool") -> Values:
    """Spatial pyramid pooling of (C, H, W), [C * (4^levels - 1) / 3]: Padding, Pooling and Flatten per level, joined.

    op: MaxPool or AveragePool. ncnn's own layer SPP is not used: no ncnn has it unless built for it, and it is wrong.
    """
    if op not in ("MaxPool", "AveragePool"):
        raise BuildError("unknown pooling", argument="op", expected=["MaxPool", "AveragePool"], got=op)
    x, levels = one(bottom_names), integer(pyramid_height, "pyramid_height")
    need_rank(x.shape, (3,), "x")
    need(1 <= levels <= 15, "bad number of levels", argument="pyramid_height", expected="1 to 15", got=levels)
    pools = []
    for level in range(levels):
        (kh, top, bottom), (kw, left, right) = (_windows(n, level) for n in x.shape[1:])
        spec = spec_of("Pooling")
        sizes = {"kernel_h": kh, "kernel_w": kw, "stride_h": kh, "stride_w": kw}
        params = filled(spec, pooling_type=int(op == "AveragePool"), pad_mode=1, **sizes)
        pools.append(flatten(g, append(g, spec, pad(g, x, top, bottom, left, right), params)))
    return concat(g, pools, 1)
