"""Windows of a picture as columns of a matrix, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...builder import ValueLike, append, one, pair
from ...ir import Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, dsl, register, same_as, spec_of
from ..common import SAME_LOWER, SAME_UPPER, functional, need, need_rank, same_windows, shape_id

_WINDOW = (
    Param("kernel_w", 1, "int", "window width"),
    Param("dilation_w", 2, "int", "horizontal dilation", 1),
    Param("stride_w", 3, "int", "horizontal stride", 1),
    Param("pad_left", 4, "int", "columns before"),
    Param("kernel_h", 11, "int", "window height", same_as("kernel_w")),
    Param("dilation_h", 12, "int", "vertical dilation", same_as("dilation_w")),
    Param("stride_h", 13, "int", "vertical stride", same_as("stride_w")),
    Param("pad_top", 14, "int", "rows above", same_as("pad_left")),
    Param("pad_right", 15, "int", "columns after", same_as("pad_left")),
    Param("pad_bottom", 16, "int", "rows below", same_as("pad_top")),
)


def _places(h: int, w: int, p: Any) -> tuple[int, int]:
    """How many windows there are along each axis of a picture."""
    high = (h + p["pad_top"] + p["pad_bottom"] - p["dilation_h"] * (p["kernel_h"] - 1) - 1) // p["stride_h"] + 1
    wide = (w + p["pad_left"] + p["pad_right"] - p["dilation_w"] * (p["kernel_w"] - 1) - 1) // p["stride_w"] + 1
    need(high > 0 and wide > 0, "the window is larger than the picture", argument="kernel_size", got=(h, w))
    return high, wide


def _torch_window(p: Any) -> tuple[Any, ...]:
    """kernel, dilation, padding, stride as torch's fold and unfold take them."""
    sizes = [(p[f"{name}_h"], p[f"{name}_w"]) for name in ("kernel", "dilation", "stride")]
    return (*sizes[:2], (p["pad_top"], p["pad_left"]), sizes[2])


_POSITIVE = tuple(f"1 <= {name}_w <= 65536 and 1 <= {name}_h <= 65536" for name in ("kernel", "dilation", "stride"))
_PADS = "pad_left, pad_right, pad_top, pad_bottom"


@register
class Unfold(OpSpec):
    """(C, H, W) -> (C * kh * kw, windows): each window as a column. ncnn: unfold.cpp."""

    type = "Unfold"
    params = (*_WINDOW, Param("pad_value", 18, "float", "the border", 0.0))
    limits = (
        *_POSITIVE,
        f"min({_PADS}) >= 0 or (pad_left in (-233, -234) and pad_left == pad_right == pad_top == pad_bottom)",
        f"max({_PADS}) <= 65536",
        "x.rank in (2, 3)",
        "pad_left < 0 or dilation_w * (kernel_w - 1) < x.w + pad_left + pad_right",
        "pad_left < 0 or dilation_h * (kernel_h - 1) < x.h + pad_top + pad_bottom",
        "pad_left >= 0 or stride_w <= dilation_w * (kernel_w - 1) + 1",
        "pad_left >= 0 or stride_h <= dilation_h * (kernel_h - 1) + 1",
        "kernel_w * kernel_h * x.c * (x.w + abs(pad_left) + abs(pad_right) + dilation_w * kernel_w)"
        " * (x.h + abs(pad_top) + abs(pad_bottom) + dilation_h * kernel_h) <= int_max",
    )

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Borders that say how, not how much."""
        borders = {params[f"pad_{side}"] for side in ("top", "bottom", "left", "right")}
        if borders not in ({SAME_UPPER}, {SAME_LOWER}):
            return None
        need_rank(inputs[0], (3,), "x")
        c, h, w = inputs[0]
        places = same_windows(h, params["stride_h"]) * same_windows(w, params["stride_w"])
        return [(c * params["kernel_h"] * params["kernel_w"], places)]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        c, h, w = inputs[0]
        high, wide = _places(h, w, params)
        return [(c * params["kernel_h"] * params["kernel_w"], high * wide)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        kernel, dilation, _, stride = _torch_window(params)
        borders = [params[f"pad_{side}"] for side in ("left", "right", "top", "bottom")]
        x = functional().pad(inputs[0], borders, value=params["pad_value"])
        return [functional().unfold(x[None], kernel, dilation, 0, stride)[0]]

    def samples(self) -> list[Sample]:
        F = functional()

        def sample(x: Shape, kernel: Any, **kw: Any) -> Sample:
            name = "-".join(f"{k}{v}" for k, v in kw.items()).replace(" ", "")
            return Sample(
                f"unfold-{shape_id(x)}-{kernel}-{name}".replace(" ", ""),
                (x,),
                lambda g, v: unfold(g, v, kernel, **kw),
                lambda v: F.unfold(v, kernel, **kw),
            )

        return [
            sample((5, 6, 7), 3),
            sample((5, 6, 7), (2, 3), padding=1),
            sample((8, 7, 5), 3, stride=2, padding=(1, 0)),
            sample((1, 6, 6), 2, dilation=2),
            sample((16, 4, 4), 1),
            sample((3, 4, 9), (1, 4), stride=(1, 2)),
        ]


@register
class Fold(OpSpec):
    """(C * kh * kw, windows) -> (C, H, W): the columns as windows, added where they overlap. ncnn: fold.cpp."""

    type = "Fold"
    params = (
        *_WINDOW,
        Param("output_w", 20, "int", "W"),
        Param("output_h", 21, "int", "H", same_as("output_w")),
    )
    limits = (
        *_POSITIVE,
        f"min({_PADS}) >= 0 and max({_PADS}) <= 65536",
        "output_w >= 1 and output_h >= 1",
        "dilation_w * (kernel_w - 1) < output_w + pad_left + pad_right",
        "dilation_h * (kernel_h - 1) < output_h + pad_top + pad_bottom",
        "x.rank <= 2",
        "x.h % (kernel_w * kernel_h) == 0",
        "x.w == ((output_w + pad_left + pad_right - dilation_w * (kernel_w - 1) - 1) // stride_w + 1)"
        " * ((output_h + pad_top + pad_bottom - dilation_h * (kernel_h - 1) - 1) // stride_h + 1)",
        "x.h // (kernel_w * kernel_h) * (output_w + pad_left + pad_right) * (output_h + pad_top + pad_bottom)"
        " <= int_max",
    )

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (2,), "x")
        rows, columns = inputs[0]
        high, wide = _places(params["output_h"], params["output_w"], params)
        taps = params["kernel_h"] * params["kernel_w"]
        fits = rows % taps == 0 and columns == high * wide
        need(fits, "the columns do not fit", argument="x", expected=f"[C * {taps}, {high * wide}]", got=inputs[0])
        return [(rows // taps, params["output_h"], params["output_w"])]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        p, (kernel, dilation, _, stride) = params, _torch_window(params)
        h, w = p["pad_top"] + p["output_h"] + p["pad_bottom"], p["pad_left"] + p["output_w"] + p["pad_right"]
        y = functional().fold(inputs[0][None], (h, w), kernel, dilation, 0, stride)[0]
        return [y[:, p["pad_top"] : h - p["pad_bottom"], p["pad_left"] : w - p["pad_right"]]]

    def samples(self) -> list[Sample]:
        F = functional()

        def sample(c: int, size: tuple[int, int], kernel: tuple[int, int], windows: int, **kw: Any) -> Sample:
            name = "-".join(f"{k}{v}" for k, v in kw.items()).replace(" ", "")
            return Sample(
                f"fold-{c}-{shape_id(size)}-{shape_id(kernel)}-{name}",
                ((c * kernel[0] * kernel[1], windows),),
                lambda g, v: fold(g, v, size, kernel, **kw),
                lambda v: F.fold(v, size, kernel, **kw),
            )

        return [
            sample(5, (6, 7), (3, 3), 20),
            sample(8, (6, 7), (3, 3), 42, padding=1),
            sample(1, (6, 6), (2, 2), 9, stride=2),
            sample(4, (7, 5), (3, 1), 9, stride=2, padding=(0, 0)),
            sample(3, (6, 6), (2, 2), 16, dilation=2),
        ]


def _window_params(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, int]:
    kernel, spread, step = pair(kernel_size, "kernel_size"), pair(dilation, "dilation"), pair(stride, "stride")
    top, left = pair(padding, "padding", 0)
    sizes = {"kernel": kernel, "dilation": spread, "stride": step}
    params = {f"{name}_{axis}": both[i] for name, both in sizes.items() for i, axis in enumerate("hw")}
    return {**params, "pad_top": top, "pad_bottom": top, "pad_left": left, "pad_right": left}


@dsl
def unfold(
    g: Graph, bottom_names: ValueLike, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Values:
    """torch's unfold: (C, H, W) -> (C * kh * kw, windows)."""
    params = {**_window_params(kernel_size, dilation, padding, stride), "pad_value": 0.0}
    return append(g, spec_of("Unfold"), one(bottom_names), params)


@dsl
def fold(
    g: Graph,
    bottom_names: ValueLike,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Values:
    """torch's fold: (C * kh * kw, windows) -> (C, H, W), windows that overlap are added."""
    h, w = pair(output_size, "output_size")
    params = {**_window_params(kernel_size, dilation, padding, stride), "output_h": h, "output_w": w}
    return append(g, spec_of("Fold"), one(bottom_names), params)
