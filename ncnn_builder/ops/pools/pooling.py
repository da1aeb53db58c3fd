"""Pooling of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...builder import ValueLike, append, one, padding4, pair
from ...errors import BuildError
from ...ir import Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, dsl, functions, register, same_as, spec_of
from ..common import FEATURE_MAPS, functional, need, need_rank, same_windows, shape_id, windows
from .pool_reference import FULL, pooled

KEEP = -233
SAME_MODES = (2, 3)
"""Values of pad_mode: the odd pixel of border behind, or before."""


@register
class Pooling(OpSpec):
    """Maximum or average over windows of (C, H, W), of everything, or of so many parts (adaptive). ncnn: pooling.cpp.

    The DSL folds ceil_mode into pad_mode 0 ("full") where that is the same thing.
    """

    type = "Pooling"
    params = (
        Param("pooling_type", 0, "int", "0 max, 1 average"),
        Param("kernel_w", 1, "int", "window width"),
        Param("stride_w", 2, "int", "horizontal stride", 1),
        Param("pad_left", 3, "int", "columns before"),
        Param("global_pooling", 4, "int", "1: one window"),
        Param("pad_mode", 5, "int", "0 full (ceil), 1 valid (floor)"),
        Param("count_include_pad", 6, "int", "1: the border counts in the average"),
        Param("adaptive_pooling", 7, "int", "1: out_w x out_h windows"),
        Param("out_w", 8, "int", "output width of an adaptive pooling; -233: as it is"),
        Param("kernel_h", 11, "int", "window height", same_as("kernel_w")),
        Param("stride_h", 12, "int", "vertical stride", same_as("stride_w")),
        Param("pad_top", 13, "int", "rows above", same_as("pad_left")),
        Param("pad_right", 14, "int", "columns after", same_as("pad_left")),
        Param("pad_bottom", 15, "int", "rows below", same_as("pad_top")),
        Param("out_h", 18, "int", "output height of an adaptive pooling; -233: as it is", same_as("out_w")),
    )
    limits = ("pooling_type in (0, 1)",)
    checked_in_cpp = True

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """SAME padding."""
        p = params
        if p["global_pooling"] or p["adaptive_pooling"] or p["pad_mode"] not in SAME_MODES:
            return None
        need_rank(inputs[0], (3,), "x")
        sides = zip(inputs[0][1:], "hw", strict=True)
        return [(inputs[0][0], *(same_windows(n, p[f"stride_{a}"]) for n, a in sides))]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        c, h, w = inputs[0]
        if params["global_pooling"]:
            return [(c,)]
        if params["adaptive_pooling"]:
            return [(c, *(n if params[f"out_{a}"] == KEEP else params[f"out_{a}"] for n, a in ((h, "h"), (w, "w"))))]
        p = params
        sizes = [
            (n, p[f"kernel_{a}"], p[f"stride_{a}"], p[before] + p[after])
            for n, a, before, after in ((h, "h", "pad_top", "pad_bottom"), (w, "w", "pad_left", "pad_right"))
        ]
        out = [windows(*size, p["pad_mode"] == FULL) for size in sizes]
        # ncnn counts what hangs over by a remainder, which is negative where not even one window fits.
        fits = all(windows(*size, False) > 0 for size in sizes)
        need(fits, "the window is larger than its padded input", got=list(inputs[0]))
        return [(c, out[0], out[1])]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        F, p, x = functional(), params, inputs[0][None]
        if p["global_pooling"]:
            return [(x.mean((2, 3)) if p["pooling_type"] else x.amax((2, 3)))[0]]
        if p["adaptive_pooling"]:
            pool = F.adaptive_avg_pool2d if p["pooling_type"] else F.adaptive_max_pool2d
            return [pool(x, tuple(None if p[f"out_{a}"] == KEEP else p[f"out_{a}"] for a in "hw"))[0]]
        return [
            pooled(
                x[0],
                (p["kernel_h"], p["kernel_w"]),
                (p["stride_h"], p["stride_w"]),
                ((p["pad_top"], p["pad_bottom"]), (p["pad_left"], p["pad_right"])),
                average=p["pooling_type"] == 1,
                full=p["pad_mode"] == FULL,
                border_counts=bool(p["count_include_pad"]),
            )
        ]

    def samples(self) -> list[Sample]:
        from torch import nn

        pools = (
            ("MaxPool", nn.MaxPool2d(2)),
            ("MaxPool", nn.MaxPool2d(3, 2, 1)),
            ("MaxPool", nn.MaxPool2d((3, 2), (1, 2), (1, 0))),
            ("MaxPool", nn.MaxPool2d(2, 2, ceil_mode=True)),
            ("AveragePool", nn.AvgPool2d(2)),
            ("AveragePool", nn.AvgPool2d(3, 2, 1)),
            ("AveragePool", nn.AvgPool2d(3, 1, 1, count_include_pad=False)),
            ("AveragePool", nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False)),
        )
        return [
            *(
                Sample(f"{op}-{i}-{shape_id(s)}", (s,), lambda g, x, op=op, p=p: pooling(g, x, op, p), p)
                for i, (op, p) in enumerate(pools)
                for s in ((1, 5, 6), (5, 7, 4), (16, 8, 8))
            ),
            *(
                Sample(
                    f"adaptive-{kind}-{size}-{shape_id(s)}",
                    (s,),
                    lambda g, x, kind=kind, n=size: functions[f"adaptive_{kind.lower()}_pool2d"](g, x, n),
                    getattr(nn, f"Adaptive{kind}Pool2d")(size),
                )
                for kind in ("Avg", "Max")
                for size in (1, (2, 3), (None, 2), 5)
                for s in FEATURE_MAPS
            ),
            Sample(
                "adaptive-text",
                ((5, 3, 7),),
                lambda g, x: functions["adaptive_avg_pool2d"](g, x, output_size="(2, 3)"),
                nn.AdaptiveAvgPool2d((2, 3)),
            ),
            *(
                Sample(
                    f"global-{op}-{shape_id(s)}",
                    (s,),
                    lambda g, x, op=op: functions["global_pool"](g, x, op),
                    lambda x, op=op: x.amax((2, 3)) if op == "MaxPool" else x.mean((2, 3)),
                )
                for op in ("MaxPool", "AveragePool")
                for s in FEATURE_MAPS
            ),
        ]


@dsl
def pooling(g: Graph, bottom_names: ValueLike, op: str, pool: Any) -> Values:
    """A torch pooling module: op "MaxPool" with nn.MaxPool2d, or "AveragePool" with nn.AvgPool2d.

    Raises BuildError for what ncnn's layer does not have: dilation, divisor_override, and ceil_mode where it
    rounds up in one direction only, or where an average counts the border.
    """
    if op not in ("MaxPool", "AveragePool"):
        raise BuildError("unknown pooling", op="Pooling", argument="op", expected=["MaxPool", "AveragePool"], got=op)
    need(
        pair(getattr(pool, "dilation", 1), "dilation") == (1, 1),
        "ncnn's Pooling has no dilation",
        argument="pool",
        expected=1,
        got=getattr(pool, "dilation", 1),
    )
    need(
        getattr(pool, "divisor_override", None) is None,
        "ncnn's Pooling has no divisor_override",
        argument="pool",
        got=getattr(pool, "divisor_override", None),
        fix="Multiply by a constant with MulConstant()",
    )
    kinds = {"MaxPool": "MaxPool2d", "AveragePool": "AvgPool2d"}
    need(
        type(pool).__name__ == kinds[op] and not getattr(pool, "return_indices", False),
        "the module does not fit",
        argument="pool",
        expected=f"an nn.{kinds[op]} without return_indices",
        got=pool,
    )
    x = one(bottom_names)
    need_rank(x.shape, (3,), "x")
    kernel, stride = pair(pool.kernel_size, "kernel_size"), pair(pool.stride, "stride")
    top, bottom, left, right = padding4(pool.padding)
    include, ceil = bool(getattr(pool, "count_include_pad", False)), bool(pool.ceil_mode)
    floor = [
        windows(n, k, s, 2 * p, False) for n, k, s, p in zip(x.shape[1:], kernel, stride, (top, left), strict=True)
    ]
    full = [windows(n, k, s, 2 * p, ceil) for n, k, s, p in zip(x.shape[1:], kernel, stride, (top, left), strict=True)]
    # torch leaves out a window that would start beyond the input and its border before
    out = [m - ((m - 1) * s >= n + p) for m, n, s, p in zip(full, x.shape[1:], stride, (top, left), strict=True)]
    need(
        out in (floor, full),
        "ncnn rounds up in both directions or in none, torch here in one",
        argument="pool",
        expected=f"{out} windows",
        got="ceil_mode=True",
        fix="Pad with pad() and use ceil_mode=False",
    )
    need(
        out == floor or op == "MaxPool" or not include,
        "ncnn and torch average an overhanging window differently",
        argument="pool",
        got="ceil_mode=True and count_include_pad=True",
        fix="Use count_include_pad=False",
    )
    params = {
        "pooling_type": int(op == "AveragePool"),
        "kernel_w": kernel[1],
        "kernel_h": kernel[0],
        "stride_w": stride[1],
        "stride_h": stride[0],
        "pad_left": left,
        "pad_right": right,
        "pad_top": top,
        "pad_bottom": bottom,
        "global_pooling": 0,
        "pad_mode": 1 if out == floor else 0,
        "count_include_pad": int(include),
        "adaptive_pooling": 0,
        "out_w": 0,
        "out_h": 0,
    }
    return append(g, spec_of("Pooling"), x, params)
