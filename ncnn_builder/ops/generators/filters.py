"""Resampling of pictures by FIR filters as layers of their own: what the composite ops of the same kind become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array
from ...ir import Array, Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, Weight, dsl, register, spec_of
from ..common import need, need_rank, need_shape, shape_id
from .fir import (
    PADDINGS,
    filtered_lrelu_params,
    filtered_lrelu_reference,
    filtered_lrelu_weights,
    fir_macs,
    out_shape,
    taps,
    upfirdn2d_params,
    upfirdn2d_reference,
)


def _size(name: str, f: Array | None) -> dict[str, int]:
    """The parameters that say the shape of a filter: [n] is (0, n), none is (0, 0)."""
    taps(name, f)
    h, w = (0, 0) if f is None else (0, *f.shape) if f.ndim == 1 else f.shape
    return {f"{name}_h": h, f"{name}_w": w}


def _count(name: str, params: Params) -> int:
    return int((params[f"{name}_h"] or 1) * params[f"{name}_w"])


def _taps(name: str, params: Params) -> tuple[int, int]:
    """Rows and columns of a filter."""
    return params[f"{name}_h"] or params[f"{name}_w"] or 1, params[f"{name}_w"] or 1


def _check(name: str, params: Params, weights: Mapping[str, Array]) -> None:
    need(not params[f"{name}_h"] or params[f"{name}_w"] > 0, "a filter without columns", argument=f"{name}_w", got=0)
    size = weights[name].size if name in weights else 0
    need(size == _count(name, params), "a filter of the wrong size", argument=name, expected=_count(name, params))


def _shape(name: str, params: Params) -> dict[str, Shape]:
    """The shape of a filter, by its name, where there is one."""
    h, w = params[f"{name}_h"], params[f"{name}_w"]
    return {} if not w else {name: (h, w) if h else (w,)}


def _shaped(name: str, params: Params, weights: Mapping[str, Any]) -> Any:
    """A filter in the shape that the parameters say: a reader gives it flat."""
    return None if name not in weights else weights[name].reshape(_shape(name, params)[name])


@register
class FilteredLreluSpec(OpSpec):
    """StyleGAN3's filtered_lrelu: the leaky ReLU of a picture at a higher rate, so that it makes no aliases.

    x (C, H, W) + b [C] -> every pixel followed by up - 1 zeros -> padded (negative: cropped) -> convolved with
    fu * up^2 -> clamp(lrelu * gain) -> convolved with fd -> every down-th pixel. Filters: [n] along both axes,
    [fh, fw], or none; correlation if flip_filter. y (C, OH, OW), OH = (H * up + top + bottom - (fu_h - 1) - fd_h) //
    down + 1. Source: Karras et al. 2021, "Alias-Free Generative Adversarial Networks", section 3.2 and its op
    filtered_lrelu.
    """

    type = "FilteredLrelu"
    custom = True
    params = (
        Param("up", 0, "int", "factor of the zeros", 1),
        Param("down", 1, "int", "factor of the pixels kept", 1),
        Param("pad_top", 2, "int", "rows above, after the zeros"),
        Param("pad_bottom", 3, "int", "rows below"),
        Param("pad_left", 4, "int", "columns before"),
        Param("pad_right", 5, "int", "columns after"),
        Param("fu_h", 6, "int", "rows of the up filter; 0: 1-D"),
        Param("fu_w", 7, "int", "its columns; 0: no filter"),
        Param("fd_h", 8, "int", "rows of the down filter; 0: 1-D"),
        Param("fd_w", 9, "int", "its columns; 0: no filter"),
        Param("bias_data_size", 10, "int", "number of elements of b; 0: none"),
        Param("gain", 12, "float", "factor after the activation", 1.0),
        Param("slope", 13, "float", "of the activation's negative side", 0.2),
        Param("clamp", 14, "float", "limit of the magnitude; below 0: none", -1.0),
        Param("flip_filter", 15, "int", "1: correlation"),
    )
    weights = (
        Weight("fu", False, "[fu_h, fu_w] or [fu_w]"),
        Weight("fd", False, "[fd_h, fd_w] or [fd_w]"),
        Weight("b", False, "[C]"),
    )
    tolerance = Tolerance(1e-5)

    def weight_sizes(self, params: Params) -> dict[str, int]:
        sizes = {"fu": _count("fu", params), "fd": _count("fd", params), "b": params["bias_data_size"]}
        return {name: n for name, n in sizes.items() if n}

    def weight_shapes(self, params: Params) -> dict[str, Shape]:
        return {**_shape("fu", params), **_shape("fd", params)}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x, p = inputs[0], params
        need_rank(x, (3,), "x")
        for name in ("fu", "fd"):
            _check(name, p, weights)
        if p["bias_data_size"] or "b" in weights:
            need_shape(weights["b"].shape if "b" in weights else (), (x[0],), "b")
        return [out_shape(x, (p["up"],) * 2, (p["down"],) * 2, p, _taps("fu", p), _taps("fd", p))]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        p = params
        wide = out_shape(inputs[0], (p["up"],) * 2, (1, 1), p, _taps("fu", p), (1, 1))
        return fir_macs(wide, _shape("fu", p).get("fu"), (p["up"],) * 2) + fir_macs(
            outputs[0], _shape("fd", p).get("fd"), (1, 1)
        )

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        fu, fd = (_shaped(name, params, weights) for name in ("fu", "fd"))
        return [filtered_lrelu_reference(inputs[0], fu, fd, weights.get("b"), params)]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(11)
        radius: Any = np.hypot(*np.mgrid[-5.5:6.5, -5.5:6.5])
        filters: dict[str, Array | None] = {
            **{f"{n}": _lowpass(rng, n) for n in (3, 6, 8, 12, 18, 24)},
            "radial": (np.exp(-(radius**2) / 8) / 25).astype(np.float32),
            "3x5": (rng.standard_normal((3, 5)) / 4).astype(np.float32),
            "none": None,
        }

        def sample(
            x: Shape, fu: str, fd: str, up: int, down: int, padding: Any, bias: bool = True, **kw: Any
        ) -> Sample:
            """bias is a switch; kw goes to FilteredLrelu."""
            b = rng.standard_normal(x[0]).astype(np.float32) if bias else None
            options = "-".join(f"{k}{v}" for k, v in kw.items())
            name = f"{shape_id(x)}-up{up}x{fu}-down{down}x{fd}-b{bias:d}-{options}-{padding}"
            return Sample(
                name.replace(" ", ""),
                (x,),
                lambda g, v: FilteredLrelu(g, v, filters[fu], filters[fd], b, up, down, padding, **kw),
            )

        return [
            # config T: 1-D filters, a critically sampled layer, layers of StyleGAN3's sizes
            sample((16, 7, 9), "12", "12", 2, 2, (9, 8, 10, 9), clamp=256),
            sample((20, 14, 7), "24", "12", 4, 2, (-3, -6, 12, 10), clamp=256),
            sample((8, 6, 26), "12", "12", 2, 2, (13, 12, -8, -11), bias=False),
            sample((3, 38, 38), "24", "12", 4, 2, (-7, -8, -7, -8), clamp=0.5),
            sample((5, 6, 8), "24", "24", 4, 4, (22, 23, 22, 21)),
            # config R: a radial filter, and one that has no symmetry
            sample((16, 8, 7), "12", "radial", 2, 2, (9, 8, 9, 8), clamp=256),
            sample((1, 20, 20), "24", "radial", 4, 2, (-5, -8, 1, 0)),
            sample((5, 9, 8), "12", "3x5", 2, 2, 6),
            sample((8, 9, 8), "12", "3x5", 2, 1, 4, flip_filter=True, bias=False),
            # a 2-D up filter, other factors, filters shorter than the factor
            sample((5, 7, 6), "3x5", "12", 2, 2, (8, 7, 8, 9)),
            sample((4, 7, 6), "3x5", "3x5", 4, 3, 5, flip_filter=True),
            sample((8, 9, 7), "18", "12", 3, 2, (10, 9, 11, 9)),
            sample((1, 11, 6), "8", "6", 1, 3, (5, 4, 5, 4), flip_filter=True),
            sample((3, 5, 6), "3", "8", 4, 1, (2, 5, 4, 3)),
            sample((16, 10, 9), "6", "3", 2, 4, 4),
            sample((5, 6, 7), "3", "none", 2, 1, 2, gain=-1.5, slope=0.1),
            sample((20, 6, 7), "none", "6", 1, 2, 3, gain=1.0, slope=1.5),
            sample((3, 6, 7), "none", "none", 1, 1, 0, gain=1.0, slope=1.0, clamp=0.7),
            sample((3, 6, 7), "none", "none", 3, 2, (1, -2, 2, 0)),
            # one row, one column, one pixel
            sample((16, 1, 9), "12", "12", 2, 2, (12, 9, 9, 8)),
            sample((3, 9, 1), "12", "12", 2, 2, (9, 8, 12, 9)),
            sample((1, 1, 1), "24", "12", 4, 2, (17, 14, 16, 15), bias=False),
        ]


def _lowpass(rng: np.random.Generator, n: int) -> Array:
    """A filter of sum 1 that no flip leaves as it is."""
    taps = np.sinc(np.linspace(-2, 2, n)) + rng.random(n) * 0.1
    result: Array = (taps / taps.sum()).astype(np.float32)
    return result


@dsl
def FilteredLrelu(
    g: Graph,
    x: ValueLike,
    fu: Any | None = None,
    fd: Any | None = None,
    b: Any | None = None,
    up: SupportsFloat = 1,
    down: SupportsFloat = 1,
    padding: Any = 0,
    gain: SupportsFloat | None = None,
    slope: SupportsFloat = 0.2,
    clamp: SupportsFloat | None = None,
    flip_filter: bool = False,
) -> Values:
    """x + b upsampled with fu, leaky ReLU, downsampled with fd.

    x (C, H, W), b an array [C] or None. fu, fd: [n] for a separable filter, [fh, fw], or None. padding: one number,
    (vertical, horizontal) or (top, bottom, left, right), at the upsampled rate; negative numbers crop. gain: None is
    sqrt(2); clamp: None or a negative number is none. Raises BuildError where nothing is left.
    """
    weights = filtered_lrelu_weights(fu, fd, b)
    params = {
        **filtered_lrelu_params(up, down, padding, gain, slope, clamp, flip_filter),
        **_size("fu", weights["fu"]),
        **_size("fd", weights["fd"]),
        "bias_data_size": 0 if weights["b"] is None else weights["b"].size,
    }
    return append(g, spec_of("FilteredLrelu"), x, params, weights)


@register
class Upfirdn2dSpec(OpSpec):
    """The composite op upfirdn2d as one layer: zeros inserted, padded or cropped, filtered, pixels dropped.

    x (C, H, W) -> (C, OH, OW), OH = (H * up_y + top + bottom - fh) // down_y + 1. Source: the upfirdn2d op of
    StyleGAN2-ADA.
    """

    type = "Upfirdn2d"
    custom = True
    params = (
        Param("up_y", 0, "int", "vertical factor of the zeros", 1),
        Param("up_x", 1, "int", "horizontal factor", 1),
        Param("down_y", 2, "int", "vertical factor of the pixels kept", 1),
        Param("down_x", 3, "int", "horizontal factor", 1),
        Param("pad_top", 4, "int", "rows above, after the zeros"),
        Param("pad_bottom", 5, "int", "rows below"),
        Param("pad_left", 6, "int", "columns before"),
        Param("pad_right", 7, "int", "columns after"),
        Param("f_h", 8, "int", "rows of the filter; 0: 1-D"),
        Param("f_w", 9, "int", "its columns; 0: no filter"),
        Param("flip_filter", 10, "int", "1: correlation"),
        Param("gain", 11, "float", "factor of the picture", 1.0),
    )
    weights = (Weight("f", False, "[f_h, f_w] or [f_w]"),)
    tolerance = Tolerance(1e-5)

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {"f": _count("f", params)} if params["f_w"] else {}

    def weight_shapes(self, params: Params) -> dict[str, Shape]:
        return _shape("f", params)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        p = params
        need_rank(inputs[0], (3,), "x")
        _check("f", p, weights)
        return [out_shape(inputs[0], (p["up_y"], p["up_x"]), (p["down_y"], p["down_x"]), p, _taps("f", p), (1, 1))]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        return fir_macs(outputs[0], _shape("f", params).get("f"), (params["up_y"], params["up_x"]))

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        p = params
        factors = (p["up_y"], p["up_x"]), (p["down_y"], p["down_x"])
        padding, flip = [p[name] for name in PADDINGS], bool(p["flip_filter"])
        return [upfirdn2d_reference(inputs[0], _shaped("f", p, weights), *factors, padding, p["gain"], flip)]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(12)
        filters: dict[str, Array | None] = {
            "1331": np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / np.float32(64),
            "3x5": rng.standard_normal((3, 5)).astype(np.float32),
            "line": rng.standard_normal(6).astype(np.float32),
            "one": rng.standard_normal(1).astype(np.float32),
            "none": None,
        }

        def sample(x: Shape, f: str, **kw: Any) -> Sample:
            label = "-".join(f"{k}{v}" for k, v in kw.items()).replace(" ", "")
            return Sample(f"{shape_id(x)}-{f}-{label}", (x,), lambda g, v: Upfirdn2d(g, v, filters[f], **kw))

        return [
            sample((3, 8, 8), "1331", up=2, padding=(2, 1, 2, 1), gain=4),
            sample((16, 4, 6), "1331", padding=1),
            sample((20, 9, 70), "1331", down=2, padding=1),
            sample((5, 7, 9), "3x5", up=(1, 2), down=(2, 1), padding=2),
            sample((8, 7, 9), "3x5", up=3, down=2, padding=(4, 3, -1, 5), flip_filter=True),
            sample((8, 7, 9), "3x5", up=(2, 4), padding=2),
            sample((5, 7, 9), "line", up=4, padding=(5, 3, 4, 2)),
            sample((5, 9, 9), "line", up=2, down=2, padding=(-1, 4, 3, -2), gain=-2),
            sample((1, 9, 9), "line", down=3, padding=(-2, 5, 0, 3), flip_filter=True),
            sample((5, 6, 4), "line", up=8, padding=3),
            sample((8, 6, 4), "one", up=2, gain=3),
            sample((4, 5, 6), "none", up=2),
            sample((4, 5, 6), "none", down=2, gain=3),
            sample((16, 5, 6), "none", padding=(1, -1, 2, 0)),
            sample((3, 1, 6), "line", padding=(2, 3, 0, 0)),
        ]


@dsl
def Upfirdn2d(
    g: Graph,
    x: ValueLike,
    f: Any | None,
    up: Any = 1,
    down: Any = 1,
    padding: Any = 0,
    flip_filter: bool = False,
    gain: SupportsFloat = 1.0,
) -> Values:
    """Insert zeros, pad, filter, drop pixels: upfirdn2d() as a layer of our own.

    f: [fh, fw], [n] for a separable filter, or None. up, down: one factor or (vertical, horizontal). padding: one
    number, (vertical, horizontal) or (top, bottom, left, right), of the picture with zeros; negative numbers crop.
    Raises BuildError where nothing is left.
    """
    data = None if f is None else array(f, "f")
    params = {**upfirdn2d_params(up, down, padding, flip_filter, gain), **_size("f", data)}
    return append(g, spec_of("Upfirdn2d"), x, params, {"f": data})
