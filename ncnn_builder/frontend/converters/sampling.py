"""Pixels from computed places, pixels that change places with channels, windows as columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ...builder import append, filled
from ...ir import Graph, Value
from ...ops.arithmetic.binary import binaryOp
from ...ops.arithmetic.channelwise import matmul, pixel_shuffle
from ...ops.common import need
from ...ops.convolutions.columns import fold, unfold
from ...ops.resampling.sampling import deform_conv2d
from ...ops.shapes.crop import crop
from ...ops.shapes.dims import pixel_unshuffle
from ...ops.shapes.orders import channel_shuffle
from ...ops.shapes.permute import order_of
from ...ops.shapes.shape import concat
from ...opspec import spec_of
from ..blobs import constant, reshaped
from ..registry import Call, converts


@converts("aten.grid_sampler", "aten.grid_sampler_2d", "aten.grid_sampler_3d")
def _grid_sample(g: Graph, node: Call, x: Any, grid: Any, mode: int, border: int, align: bool) -> Value:
    picture, places = _one_for_all(g, x, "input"), _one_for_all(g, grid, "grid")
    channels = _of_channels(places)
    spec = spec_of("GridSample")
    how = {"sample_type": mode + 1, "padding_mode": border + 1, "align_corner": int(align)}
    params = filled(spec, **how, permute_fusion=int(channels is not None))
    return append(g, spec, [picture, places if channels is None else channels], params)[0]


def _of_channels(grid: Value) -> Value | None:
    """The grid with its coordinates as channels, where it was made of that: ncnn's layer takes it as well."""
    node, rank = grid.producer, len(grid.shape)
    if node is None or node.spec.type != "Permute" or node.params["order_type"] != order_of((*range(1, rank), 0)):
        return None
    return node.inputs[0]


def _one_for_all(g: Graph, v: Any, argument: str) -> Value:
    """A sample: the Value, or a constant that is the same for all samples."""
    if isinstance(v, Value):
        return v
    same = bool((v == v[:1]).all())
    need(same, "a constant that differs from sample to sample", argument=argument, expected="the same for all of them")
    return constant(g, v[0], v.shape[1:])


@converts("aten.affine_grid_generator", rank=2)
def _affine_grid(g: Graph, node: Call, theta: Value, size: Sequence[int], align: bool) -> Value:
    """Each place of the plain grid, and 1 behind it, times theta."""
    dims = len(size) - 2
    plain = torch.ops.aten.affine_grid_generator(torch.eye(dims, dims + 1)[None], [1, 1, *size[2:]], align)[0]
    places = torch.cat([plain.reshape(-1, dims), torch.ones(math.prod(size[2:]), 1)], 1)
    return matmul(g, [constant(g, places), theta], transpose_b=True)[0]


@converts("aten.pixel_shuffle", rank=3)
def _pixel_shuffle(g: Graph, node: Call, x: Value, factor: int) -> Value:
    return pixel_shuffle(g, x, factor)[0]


@converts("aten.pixel_unshuffle", rank=3)
def _pixel_unshuffle(g: Graph, node: Call, x: Value, factor: int) -> Value:
    return pixel_unshuffle(g, x, factor)[0]


@converts("aten.channel_shuffle", "aten.native_channel_shuffle")
def _channel_shuffle(g: Graph, node: Call, x: Value, groups: int) -> Value:
    c, *rest = x.shape
    flat = x if len(x.shape) == 3 else reshaped(g, x, (c, *([1] * (3 - len(x.shape))), *_two(rest)))
    return reshaped(g, channel_shuffle(g, flat, groups)[0], x.shape)


def _two(sizes: Sequence[int]) -> Sequence[int]:
    return sizes if len(sizes) <= 2 else (sizes[0], math.prod(sizes[1:]))


@converts("aten.im2col", rank=3)
def _unfold(g: Graph, node: Call, x: Value, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Value:
    return unfold(g, x, kernel, dilation, padding, stride)[0]


@converts("aten.col2im", rank=2)
def _fold(g: Graph, node: Call, x: Value, size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Value:
    return fold(g, x, size, kernel, dilation, padding, stride)[0]


@converts("torchvision.deform_conv2d", rank=3, whole=("weight", "bias"))
def _deform_conv2d(
    g: Graph,
    node: Call,
    x: Value,
    weight: Any,
    offset: Any,
    mask: Any,
    bias: Any,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> Value:
    """One layer where there is one group; else one for each part of the channels that has a group and offsets of its
    own, the results of a group added."""
    fits = isinstance(weight, torch.Tensor) and (bias is None or isinstance(bias, torch.Tensor))
    need(fits, "a weight that is computed", argument="weight", expected="a constant", got=weight)
    offset = _one_for_all(g, offset, "offset")
    mask = _one_for_all(g, mask, "mask") if use_mask else None
    sizes = {"stride": (stride_h, stride_w), "padding": (pad_h, pad_w), "dilation": (dilation_h, dilation_w)}
    c, out, taps = x.shape[0], weight.shape[0] // groups, weight.shape[2] * weight.shape[3]
    made = []
    for group in range(groups):
        total, held = None, weight[group * out : (group + 1) * out]
        added = None if bias is None else bias[group * out : (group + 1) * out]
        for begin, end, k in _pieces(c, groups, offset_groups, group):
            first = begin - group * (c // groups)
            inputs = [_channels(g, x, begin, end), _channels(g, offset, 2 * taps * k, 2 * taps * (k + 1))]
            if mask is not None:
                inputs.append(_channels(g, mask, taps * k, taps * (k + 1)))
            y = deform_conv2d(g, inputs, held[:, first : first + end - begin], added, **sizes)[0]
            total, added = y if total is None else binaryOp(g, [total, y], "Add")[0], None
        assert total is not None
        made.append(total)
    return made[0] if groups == 1 else concat(g, made, 1)[0]


def _pieces(c: int, groups: int, offset_groups: int, group: int) -> list[tuple[int, int, int]]:
    """(first channel, end, which offsets) of the parts of a group that share offsets."""
    begin, end = group * c // groups, (group + 1) * c // groups
    each = c // offset_groups
    return [
        (max(begin, k * each), min(end, (k + 1) * each), k)
        for k in range(offset_groups)
        if max(begin, k * each) < min(end, (k + 1) * each)
    ]


def _channels(g: Graph, x: Value, begin: int, end: int) -> Value:
    return x if (begin, end) == (0, x.shape[0]) else crop(g, x, (begin,), (end,), (0,))[0]
