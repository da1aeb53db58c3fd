"""Pixels from places that are computed: GridSample and DeformableConv2D."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...builder import ValueLike, append, array, filled, inputs_of, pair
from ...errors import BuildError
from ...ir import Array, Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, dsl, register, spec_of
from ..activations.fused_activation import fused_activation_reference
from ..common import functional, need, need_rank, need_shape, shape_id
from ..convolutions.conv import GEOMETRY, WEIGHTS, geometry

_SAMPLE = {"bilinear": 1, "nearest": 2, "bicubic": 3}
_BORDER = {"zeros": 1, "border": 2, "reflection": 3}


@register
class GridSample(OpSpec):
    """x (C, H, W) at the places of grid (H', W', 2), or x (C, D, H, W) at grid (D', H', W', 3). ncnn: gridsample.cpp.

    A place is (x, y) or (x, y, z) from -1 to 1. sample_type: 1 bilinear, 2 nearest, 3 bicubic (3-D x only);
    padding_mode: 1 zeros, 2 border, 3 reflection. permute_fusion 1: the grid is (2, H', W') or (3, D', H', W').
    """

    type = "GridSample"
    departs = (
        'a place in the middle between two pixels is rounded up by "nearest", where torch rounds to even; "reflection"'
        " reflects once, torch as often as a place below -5 or above 3 needs it, where with align_corner some of ncnn's"
        " code takes the border, and some zero"
    )
    inputs = ("x", "grid")
    params = (
        Param("sample_type", 0, "int", "1 bilinear, 2 nearest, 3 bicubic", 1),
        Param("padding_mode", 1, "int", "1 zeros, 2 border, 3 reflection", 1),
        Param("align_corner", 2, "int", "1: -1 and 1 are the middles of the outer pixels"),
        Param("permute_fusion", 3, "int", "1: the coordinates are the outermost axis of the grid"),
    )
    limits = (
        "sample_type in (1, 2, 3)",
        "padding_mode in (1, 2, 3)",
        "x.rank in (3, 4)",
        "x.w * x.h * x.d <= 16777216",  # offsets are computed in float32
        "grid.rank == x.rank",
        "(grid.w if permute_fusion == 0 else grid.c) == x.rank - 1",
        "x.c * (grid.total // (x.rank - 1)) <= int_max",
    )
    tolerance = Tolerance(3e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, grid = inputs
        need_rank(x, (3, 4), "x")
        need(params["sample_type"] in (1, 2, 3), "unknown mode", argument="mode", got=params["sample_type"])
        need(params["padding_mode"] in (1, 2, 3), "unknown mode", argument="padding_mode", got=params["padding_mode"])
        need(len(x) == 3 or params["sample_type"] != 3, "bicubic is for (C, H, W)", argument="mode", got=list(x))
        place = grid[0] if params["permute_fusion"] else grid[-1]
        fits = len(grid) == len(x) and place == len(x) - 1
        need(fits, "the grid does not fit", argument="grid", expected=f"{len(x)}-D, {len(x) - 1} coordinates", got=grid)
        return [(x[0], *(grid[1:] if params["permute_fusion"] else grid[:-1]))]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, grid = inputs
        if params["permute_fusion"]:
            grid = grid.movedim(0, -1)
        modes, borders = ({i: name for name, i in table.items()} for table in (_SAMPLE, _BORDER))
        mode, border, align = (
            modes[params["sample_type"]],
            borders[params["padding_mode"]],
            bool(params["align_corner"]),
        )
        # The places as ncnn has them, in pixels; then torch looks there, without a border of its own.
        sizes = grid.new_tensor(x.shape[:0:-1])
        at = (grid + 1) / 2 * (sizes - 1) if align else ((grid + 1) * sizes - 1) / 2
        if mode == "bicubic":  # each of 16 pixels has a border of its own, which is torch's unless it reflects again
            y = functional().grid_sample(x[None], grid[None], mode, border, align)[0]
            shift, high = (0, sizes - 1) if align else (0.5, sizes)
            first, last = at.floor() - 1 + shift, at.floor() + 2 + shift
            once = ((first >= -2 * high) & (last <= 2 * high)).all(-1)
            return [y.where(once, float("nan")) if border == "reflection" else y]
        if border == "reflection":
            at = _reflected(at, sizes - 1) if align else _reflected(at + 0.5, sizes) - 0.5
            if align:  # still outside: some of ncnn's code takes the border, some nothing
                at = at.where(at >= 0, float("nan"))
        if border == "border" or (border == "reflection" and not align):
            at = at.clamp(min=0).minimum(sizes - 1)
        at = (at + 0.5).floor() if mode == "nearest" else at
        y = functional().grid_sample(x[None], ((2 * at + 1) / sizes - 1)[None], mode, "zeros", False)[0]
        return [y.where(~at.isnan().any(-1), float("nan"))]

    def samples(self) -> list[Sample]:
        F = functional()

        def sample(x: Shape, out: Shape, mode: str, border: str, align: bool) -> Sample:
            return Sample(
                f"{mode}-{border}-{align}-{shape_id(x)}-{shape_id(out)}",
                (x, (*out, len(x) - 1)),
                lambda g, *v: grid_sample(g, v, mode, border, align),
                lambda v, grid: F.grid_sample(v, grid, mode, border, align),
            )

        maps: list[tuple[Shape, Shape]] = [((5, 6, 7), (4, 3)), ((8, 4, 4), (2, 9)), ((1, 3, 5), (5, 5))]
        fused = [
            Sample(
                f"channels-first-{shape_id(x)}",
                (x, grid),
                lambda g, *v: append(g, self, v, filled(self, permute_fusion=1)),
            )
            for x, grid in (((5, 6, 7), (2, 4, 3)), ((8, 4, 4), (2, 3, 3)), ((3, 4, 5, 6), (3, 2, 3, 4)))
        ]
        return [
            *(sample(*maps[0], m, b, align) for m in _SAMPLE for b in _BORDER for align in (False, True)),
            *(sample(*shapes, m, "zeros", False) for shapes in maps[1:] for m in _SAMPLE),
            *(
                sample((3, 4, 5, 6), (2, 3, 4), m, b, align)
                for m in ("bilinear", "nearest")
                for b in _BORDER
                for align in (False, True)
            ),
            sample((8, 3, 3, 3), (2, 2, 2), "bilinear", "zeros", False),
            *fused,
        ]


def _reflected(at: Any, high: Any) -> Any:
    return high - (at.abs() - high).abs()


@dsl
def grid_sample(
    g: Graph,
    bottom_names: ValueLike,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = False,
) -> Values:
    """torch's grid_sample, inputs [x, grid]: x (C, H, W) with grid (H', W', 2), or (C, D, H, W) with (D', H', W', 3).

    mode: bilinear, nearest, bicubic (3-D x only). padding_mode: zeros, border, reflection.
    """
    for table, argument, got in ((_SAMPLE, "mode", mode), (_BORDER, "padding_mode", padding_mode)):
        if got not in table:
            raise BuildError("unknown mode", op="GridSample", argument=argument, expected=list(table), got=got)
    params = {
        "sample_type": _SAMPLE[mode],
        "padding_mode": _BORDER[padding_mode],
        "align_corner": int(bool(align_corners)),
        "permute_fusion": 0,
    }
    return append(g, spec_of("GridSample"), bottom_names, params)


@register
class DeformableConv2D(OpSpec):
    """A convolution whose taps are moved: by offset, and weighted by mask, at each place. ncnn: deformableconv2d.cpp.

    x (C, H, W), offset (2 * kh * kw, H', W') as (dy, dx) per tap, mask (kh * kw, H', W'); weights [out, C, kh, kw].
    Source: Dai et al. 2017, "Deformable Convolutional Networks"; Zhu et al. 2018 for the mask. torchvision's
    deform_conv2d with one group of offsets.
    """

    type = "DeformableConv2D"
    inputs = ("x", "offset", "mask?")
    params = GEOMETRY
    weights = WEIGHTS
    checked_in_cpp = True

    def weight_sizes(self, params: Params) -> dict[str, int]:
        bias = {"bias": params["num_output"]} if params["bias_term"] else {}
        return {"weight": params["weight_data_size"], **bias}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x, offset, p = inputs[0], inputs[1], params
        need_rank(x, (3,), "x")
        taps = p["kernel_h"] * p["kernel_w"]
        need_shape(weights["weight"].shape, (p["num_output"], x[0], p["kernel_h"], p["kernel_w"]), "weight")
        if p["bias_term"]:
            need_shape(weights["bias"].shape, (p["num_output"],), "bias")
        size = tuple(
            (n + p[before] + p[after] - p[f"dilation_{a}"] * (p[f"kernel_{a}"] - 1) - 1) // p[f"stride_{a}"] + 1
            for n, a, before, after in ((x[1], "h", "pad_top", "pad_bottom"), (x[2], "w", "pad_left", "pad_right"))
        )
        need(all(n > 0 for n in size), "nothing is left", argument="x", expected="a larger input", got=list(x))
        need_shape(offset, (2 * taps, *size), "offset")
        if len(inputs) == 3:
            need_shape(inputs[2], (taps, *size), "mask")
        return [(p["num_output"], *size)]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        """Of the convolution, without the interpolation."""
        return int(math.prod(outputs[0]) * inputs[0][0] * params["kernel_h"] * params["kernel_w"])

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        F, p, x, offset = functional(), params, inputs[0], inputs[1]
        (c, h, w), (_, oh, ow) = x.shape, offset.shape
        columns = []
        ys = torch.arange(oh, dtype=x.dtype)[:, None] * p["stride_h"] - p["pad_top"]
        xs = torch.arange(ow, dtype=x.dtype)[None, :] * p["stride_w"] - p["pad_left"]
        for tap in range(p["kernel_h"] * p["kernel_w"]):
            i, j = divmod(tap, p["kernel_w"])
            y_at = ys + i * p["dilation_h"] + offset[2 * tap]
            x_at = xs + j * p["dilation_w"] + offset[2 * tap + 1]
            grid = torch.stack([(2 * x_at + 1) / w - 1, (2 * y_at + 1) / h - 1], -1)
            moved = F.grid_sample(x[None], grid[None], "bilinear", "zeros", False)[0]
            columns.append(moved * inputs[2][tap] if len(inputs) == 3 else moved)
        stacked = torch.stack(columns, 1).reshape(c * len(columns), oh * ow)
        y = (weights["weight"].reshape(p["num_output"], -1) @ stacked).reshape(-1, oh, ow)
        if p["bias_term"]:
            y = y + weights["bias"][:, None, None]
        return [fused_activation_reference(y, p)]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(31)

        def sample(x: Shape, out: int, k: tuple[int, int], size: Shape, mask: bool, bias: bool, **kw: Any) -> Sample:
            w, b = (rng.standard_normal(s).astype(np.float32) for s in ((out, x[0], *k), (out,)))
            taps = k[0] * k[1]
            name = "-".join(f"{k}{v}" for k, v in kw.items()).replace(" ", "")
            return Sample(
                f"deform-{shape_id(x)}-{out}-{shape_id(k)}-{mask}-{bias}-{name}",
                (x, (2 * taps, *size), *([(taps, *size)] if mask else [])),
                lambda g, *v: deform_conv2d(g, v, w, b if bias else None, **kw),
            )

        return [
            sample((5, 6, 7), 4, (3, 3), (6, 7), True, True, padding=1),
            sample((5, 6, 7), 4, (3, 3), (4, 5), False, False),
            sample((8, 7, 5), 8, (3, 2), (3, 4), True, False, stride=(2, 1)),
            sample((1, 4, 4), 1, (1, 1), (4, 4), False, True),
            sample((4, 8, 8), 16, (3, 3), (6, 6), True, True, padding=1, dilation=2),
            sample((16, 5, 5), 4, (2, 2), (4, 4), True, True),
        ]


@dsl
def deform_conv2d(
    g: Graph,
    bottom_names: ValueLike,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
) -> Values:
    """torchvision's deform_conv2d, inputs [x, offset] or [x, offset, mask]: one group, one group of offsets.

    weight [out, C, kh, kw], bias [out]; offset (2 * kh * kw, H', W') as (dy, dx) per tap, mask (kh * kw, H', W').
    """
    values, held = inputs_of(bottom_names), array(weight, "weight", 4)
    b = None if bias is None else array(bias, "bias", 1)
    top, left = pair(padding, "padding", 0)
    kernel = (held.shape[2], held.shape[3])
    params = geometry(held.shape[0], kernel, stride, (top, top, left, left), dilation, b is not None, held.size)
    return append(g, spec_of("DeformableConv2D"), values, params, {"weight": held, "bias": b})
