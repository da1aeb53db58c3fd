"""Upsampling and pixel shuffling of torch.nn."""

from __future__ import annotations

from typing import Any

from ..builder import integers, one
from ..ir import Graph, Shape, Value, Values
from ..ops.arithmetic.channelwise import pixel_shuffle
from ..ops.common import elements, need, need_rank
from ..ops.resampling.resample import interpolate
from ..ops.shapes.dims import pixel_unshuffle
from ..ops.shapes.orders import channel_shuffle
from ..ops.shapes.shape import really_reshape
from .walk import exports

_MODES = {"nearest": "nearest", "linear": "bilinear", "bilinear": "bilinear", "bicubic": "bicubic"}
_RANKS = {"linear": (2,), "bilinear": (3,), "bicubic": (3,), "trilinear": (4,), "nearest": (2, 3, 4)}


@exports("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d")
def _upsample(g: Graph, module: Any, inputs: Values) -> Values:
    """(C, W), (C, H, W) or (C, D, H, W). ncnn resizes pictures only, so the others are made of pictures."""
    x, mode = one(inputs), module.mode
    need(mode in _RANKS, "unknown mode", argument="mode", expected=list(_RANKS), got=mode)
    need_rank(x.shape, _RANKS[mode], "x")
    axes = len(x.shape) - 1
    size = None if module.size is None else _each(integers(module.size, "size"), axes)
    scale = module.scale_factor
    scale = None if scale is None else _each(tuple(scale) if isinstance(scale, (tuple, list)) else (scale,), axes)
    if scale is not None and module.recompute_scale_factor:
        size, scale = tuple(int(n * s) for n, s in zip(x.shape[1:], scale, strict=True)), None

    def resize(picture: Value, first: int, last: int) -> Value:
        """The axes first to last of x, which are the picture's last ones; others in front of them stay."""
        kept = picture.shape[1 : 3 - (last - first)]
        to = None if size is None else (*kept, *size[first:last])
        by = None if scale is None else (*(1.0 for _ in kept), *scale[first:last])
        name = "bilinear" if mode == "trilinear" else _MODES[mode]
        return interpolate(g, picture, to, by, name, module.align_corners)[0]

    if axes == 2:
        return Values([resize(x, 0, 2)])
    if axes == 1:
        y = resize(_reshaped(g, x, (x.shape[0], 1, x.shape[1])), 0, 1)
        return Values([_reshaped(g, y, (y.shape[0], y.shape[2]))])
    c, d, h, w = x.shape
    slices = resize(_reshaped(g, x, (c * d, h, w)), 1, 3)
    (h, w), rows = slices.shape[1:], _reshaped(g, slices, (c, d, elements(slices.shape[1:])))
    to = None if size is None else (size[0], h * w)
    by = None if scale is None else (scale[0], 1.0)
    name = "bilinear" if mode == "trilinear" else mode
    y = interpolate(g, rows, to, by, name, module.align_corners)[0]
    return Values([_reshaped(g, y, (c, y.shape[1], h, w))])


def _each(numbers: tuple[Any, ...], axes: int) -> tuple[Any, ...]:
    numbers = numbers * axes if len(numbers) == 1 else numbers
    need(len(numbers) == axes, "bad size", argument="size, scale_factor", expected=f"1 or {axes} numbers", got=numbers)
    return numbers


def _reshaped(g: Graph, x: Value, shape: Shape) -> Value:
    return really_reshape(g, x, shape)[0]


@exports("PixelShuffle")
def _pixel_shuffle(g: Graph, module: Any, inputs: Values) -> Values:
    return pixel_shuffle(g, inputs, module.upscale_factor)


@exports("PixelUnshuffle")
def _pixel_unshuffle(g: Graph, module: Any, inputs: Values) -> Values:
    r, x = module.downscale_factor, one(inputs)
    fits = len(x.shape) == 3 and x.shape[1] % r == 0 and x.shape[2] % r == 0
    need(fits, "the picture does not divide", argument="x", expected=f"a multiple of {r} x {r}", got=list(x.shape))
    return pixel_unshuffle(g, x, r)


@exports("ChannelShuffle")
def _channel_shuffle(g: Graph, module: Any, inputs: Values) -> Values:
    return channel_shuffle(g, inputs, module.groups)
