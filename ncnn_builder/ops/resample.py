"""Pooling, interpolation, and the zero-inserting and pixel-dropping layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ..builder import ValueLike, append, integer, number, one, padding4, pair
from ..errors import BuildError
from ..ir import Graph, Shape, Value
from ..opspec import OpSpec, Param, Sample, Tolerance, dsl, functions, register, same_as, spec_of
from .common import FEATURE_MAPS, functional, need, need_rank, over_shapes, shape_id


@register
class Pooling(OpSpec):
    """Maximum or average over windows of (C, H, W), or adaptive average. ncnn: pooling.cpp.

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
        Param("out_w", 8, "int", "output width of an adaptive pooling"),
        Param("kernel_h", 11, "int", "window height", same_as("kernel_w")),
        Param("stride_h", 12, "int", "vertical stride", same_as("stride_w")),
        Param("pad_top", 13, "int", "rows above", same_as("pad_left")),
        Param("pad_right", 14, "int", "columns after", same_as("pad_left")),
        Param("pad_bottom", 15, "int", "rows below", same_as("pad_top")),
        Param("out_h", 18, "int", "output height of an adaptive pooling", same_as("out_w")),
    )

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        c, h, w = inputs[0]
        if params["global_pooling"]:
            return [(c,)]
        if params["adaptive_pooling"]:
            return [(c, params["out_h"], params["out_w"])]
        p = params
        out = [
            _pooled(n, p[f"kernel_{a}"], p[f"stride_{a}"], p[before] + p[after], p["pad_mode"] == 0)
            for n, a, before, after in ((h, "h", "pad_top", "pad_bottom"), (w, "w", "pad_left", "pad_right"))
        ]
        need(min(out) > 0, "the window is larger than the input", got=list(inputs[0]))
        return [(c, out[0], out[1])]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        F, p, x = functional(), params, inputs[0][None]
        if p["global_pooling"]:
            return [(x.mean((2, 3)) if p["pooling_type"] else x.amax((2, 3)))[0]]
        if p["adaptive_pooling"]:
            return [F.adaptive_avg_pool2d(x, (p["out_h"], p["out_w"]))[0]]
        kernel, stride = (p["kernel_h"], p["kernel_w"]), (p["stride_h"], p["stride_w"])
        padding = (p["pad_top"], p["pad_left"])
        if p["pooling_type"] == 0:
            return [F.max_pool2d(x, kernel, stride, padding, ceil_mode=p["pad_mode"] == 0)[0]]
        return [F.avg_pool2d(x, kernel, stride, padding, p["pad_mode"] == 0, bool(p["count_include_pad"]))[0]]

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
                    f"adaptive-{size}-{shape_id(s)}",
                    (s,),
                    lambda g, x, n=size: adaptive_avg_pool2d(g, x, n),
                    nn.AdaptiveAvgPool2d(size),
                )
                for size in (1, (2, 3), (None, 2), 5)
                for s in FEATURE_MAPS
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


def _pooled(n: int, kernel: int, stride: int, pad: int, ceil: bool) -> int:
    return (math.ceil if ceil else math.floor)((n + pad - kernel) / stride) + 1


@dsl
def pooling(g: Graph, bottom_names: ValueLike, op: str, pool: Any) -> list[Value]:
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
        _pooled(n, k, s, 2 * p, False) for n, k, s, p in zip(x.shape[1:], kernel, stride, (top, left), strict=True)
    ]
    full = [_pooled(n, k, s, 2 * p, ceil) for n, k, s, p in zip(x.shape[1:], kernel, stride, (top, left), strict=True)]
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


@dsl
def adaptive_avg_pool2d(g: Graph, bottom_names: ValueLike, output_size: Any = None) -> list[Value]:
    """torch's adaptive_avg_pool2d of (C, H, W): output_size is one number or (h, w); None keeps that dimension."""
    x = one(bottom_names)
    need_rank(x.shape, (3,), "x")
    sizes = output_size if isinstance(output_size, (list, tuple)) else (output_size, output_size)
    need(len(sizes) == 2, "bad size", argument="output_size", expected="one number or two", got=output_size)
    out_h, out_w = (n if s is None else integer(s, "output_size") for s, n in zip(sizes, x.shape[1:], strict=True))
    need(
        min(out_h, out_w) > 0,
        "bad size",
        argument="output_size",
        expected="positive numbers",
        got=output_size,
    )
    params = dict.fromkeys((p.name for p in Pooling.params), 0)
    params.update(
        pooling_type=1,
        kernel_w=1,
        kernel_h=1,
        stride_w=1,
        stride_h=1,
        pad_mode=1,
        adaptive_pooling=1,
        out_w=out_w,
        out_h=out_h,
    )
    return append(g, spec_of("Pooling"), x, params)


_INTERP = {"nearest": 1, "bilinear": 2, "bicubic": 3}


@register
class Interp(OpSpec):
    """Resizes (C, H, W) to a size or by a scale. ncnn: interp.cpp."""

    type = "Interp"
    left_out = {9: "size_expr: an output size computed from the sizes of other blobs; here shapes are known"}
    params = (
        Param("resize_type", 0, "int", "1 nearest, 2 bilinear, 3 bicubic"),
        Param("height_scale", 1, "float", "used where output_height is 0", 1.0),
        Param("width_scale", 2, "float", "used where output_width is 0", 1.0),
        Param("output_height", 3, "int", "height, or 0"),
        Param("output_width", 4, "int", "width, or 0"),
        Param("dynamic_target_size", 5, "int", "0; 1 would take the size of a second input"),
        Param("align_corner", 6, "int", "1: corners fall on corners"),
    )
    tolerance = Tolerance(2e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        c, h, w = inputs[0]
        size = (
            c,
            params["output_height"] or int(h * params["height_scale"]),
            params["output_width"] or int(w * params["width_scale"]),
        )
        need(min(size) > 0, "nothing is left", argument="size, scale_factor", got=list(size))
        return [size]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        mode = {i: name for name, i in _INTERP.items()}[params["resize_type"]]
        kwargs: dict[str, Any] = {} if mode == "nearest" else {"align_corners": bool(params["align_corner"])}
        if params["output_height"]:
            kwargs["size"] = (params["output_height"], params["output_width"])
        else:
            kwargs["scale_factor"] = (params["height_scale"], params["width_scale"])
        return [functional().interpolate(inputs[0][None], mode=mode, **kwargs)[0]]

    def samples(self) -> list[Sample]:
        F = functional()

        def sample(shape: Shape, mode: str, **kwargs: Any) -> Sample:
            name = "-".join(f"{k}{v}" for k, v in kwargs.items()).replace(" ", "")
            return Sample(
                f"{mode}-{shape_id(shape)}-{name}",
                (shape,),
                lambda g, x: interpolate(g, x, mode=mode, **kwargs),
                lambda x: F.interpolate(x, mode=mode, **kwargs),
            )

        return [
            *(
                sample(s, m, scale_factor=f)
                for s in ((1, 4, 6), (5, 3, 7), (16, 8, 8))
                for m in _INTERP
                for f in (2, 1.5)
            ),
            *(sample((5, 6, 7), m, size=s) for m in _INTERP for s in ((3, 4), (12, 9), 5)),
            *(sample((5, 6, 7), m, scale_factor=2.0, align_corners=True) for m in ("bilinear", "bicubic")),
            sample((5, 6, 8), "bilinear", scale_factor=(0.5, 2.0), recompute_scale_factor=True),
            sample((5, 6, 8), "bilinear", size=(11, 3), align_corners=True),
        ]


@dsl
def interpolate(
    g: Graph,
    bottom_names: ValueLike,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> list[Value]:
    """torch's interpolate of (C, H, W): mode nearest, bilinear or bicubic; size or scale_factor, one number or two.

    Raises BuildError for another mode, or unless exactly one of size and scale_factor is given.
    """
    if mode not in _INTERP:
        raise BuildError("unknown mode", op="Interp", argument="mode", expected=list(_INTERP), got=mode)
    x = one(bottom_names)
    need_rank(x.shape, (3,), "x")
    need(
        (size is None) != (scale_factor is None),
        "give either size or scale_factor",
        argument="size, scale_factor",
        got=(size, scale_factor),
    )
    need(
        mode != "nearest" or align_corners is None,
        "align_corners has no meaning for nearest",
        argument="align_corners",
        expected=None,
        got=align_corners,
    )
    scales, sizes = (1.0, 1.0), (0, 0)
    if size is not None:
        sizes = pair(size, "size")
    else:
        both = scale_factor if isinstance(scale_factor, (list, tuple)) else (scale_factor, scale_factor)
        need(len(both) == 2, "bad scale", argument="scale_factor", expected="one number or two", got=scale_factor)
        scales = (number(both[0], "scale_factor"), number(both[1], "scale_factor"))
        if recompute_scale_factor:
            sizes, scales = (int(x.shape[1] * scales[0]), int(x.shape[2] * scales[1])), (1.0, 1.0)
    params = {
        "resize_type": _INTERP[mode],
        "height_scale": scales[0],
        "width_scale": scales[1],
        "output_height": sizes[0],
        "output_width": sizes[1],
        "dynamic_target_size": 0,
        "align_corner": int(bool(align_corners)),
    }
    return append(g, spec_of("Interp"), x, params)


@register
class Down2(OpSpec):
    """Keeps every second pixel of (C, H, W): 0, 2, 4, ..."""

    type = "Down2"
    custom = True

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        c, h, w = inputs[0]
        return [(c, (h + 1) // 2, (w + 1) // 2)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0][:, ::2, ::2]]

    def samples(self) -> list[Sample]:
        return over_shapes("down2", down2, lambda x: x[:, :, ::2, ::2], FEATURE_MAPS)


class _Up(OpSpec):
    custom = True
    factor: ClassVar[int]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        c, h, w = inputs[0]
        return [(c, h * self.factor, w * self.factor)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        y = x.new_zeros(self.infer([tuple(x.shape)], {}, {})[0])
        y[:, :: self.factor, :: self.factor] = x
        return [y]


@register
class Up2(_Up):
    """Inserts zeros: x at (2i, 2j) of (C, 2H, 2W)."""

    type = "Up2"
    factor = 2

    def samples(self) -> list[Sample]:
        return over_shapes("up2", up2, shapes=FEATURE_MAPS)


@register
class Up4(_Up):
    """Inserts zeros: x at (4i, 4j) of (C, 4H, 4W)."""

    type = "Up4"
    factor = 4

    def samples(self) -> list[Sample]:
        return over_shapes("up4", up4, shapes=FEATURE_MAPS)


@dsl
def down2(g: Graph, bottom_names: ValueLike) -> list[Value]:
    """Every second pixel of (C, H, W)."""
    return append(g, spec_of("Down2"), bottom_names)


@dsl
def up2(g: Graph, bottom_names: ValueLike) -> list[Value]:
    """(C, H, W) with zeros inserted: (C, 2H, 2W)."""
    return append(g, spec_of("Up2"), bottom_names)


@dsl
def up4(g: Graph, bottom_names: ValueLike) -> list[Value]:
    """(C, H, W) with zeros inserted: (C, 4H, 4W)."""
    return append(g, spec_of("Up4"), bottom_names)
