"""Picture filters out of ncnn's own layers: polyphase, so that nothing is multiplied with inserted zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ...ir import Array, Graph, Node, Value
from ...ops.convolutions.conv import static_conv
from ...ops.convolutions.deconv import deconv
from ...ops.generators.fir import paddings
from ...ops.resampling.resample import interpolate
from ...ops.shapes.crop import crop
from ...ops.shapes.pad import pad
from ...ops.shapes.shape import concat
from .elementwise import mul, reshaped

Pair: TypeAlias = "tuple[int, int]"
Border: TypeAlias = "tuple[int, int, int, int]"  # top, bottom, left, right; negative numbers crop
Numbers: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"  # filters are double until they are weights
Taps: TypeAlias = "tuple[Numbers, Numbers] | Numbers"
"""A filter as it is correlated: the taps of rows and of columns where it is their outer product, else [fh, fw]."""


def taps_of(f: Array | None, gain: float, flip: bool) -> Taps:
    """f [fh, fw], [n] or None, times gain; flip: correlation, as the op has it."""
    if f is None:
        return np.full(1, gain), np.ones(1)
    wide = np.asarray(f, np.float64)
    wide = wide if flip else np.flip(wide)
    if wide.ndim == 1:
        return wide * gain, wide
    i, j = np.unravel_index(np.abs(wide).argmax(), wide.shape)
    peak = wide[i, j]
    if peak == 0:
        return np.zeros(wide.shape[0]), np.zeros(wide.shape[1])
    rows, columns = wide[:, j], wide[i] / peak
    if np.abs(np.outer(rows, columns) - wide).max() <= 1e-7 * abs(peak):
        return rows * gain, columns
    return wide * gain


def size_of(f: Taps) -> Pair:
    return (f[0].size, f[1].size) if isinstance(f, tuple) else (f.shape[0], f.shape[1])


def resample(g: Graph, x: Value, f: Taps, up: Pair, down: Pair, padding: Border) -> Value:
    """Zeros between the pixels, padding, correlation with f, every down-th pixel: (C, H, W) -> (C, H', W')."""
    if not isinstance(f, tuple):
        return _filter(g, x, f, up, down, padding)
    if up == (2, 2) and down == (1, 1) and _is_bilinear(f, padding) and not x.open:
        return _bilinear(g, x, padding)
    still = [axis for axis in (0, 1) if f[axis].size == up[axis] == down[axis] == 1]
    if up == (1, 1) and (still or (down == (1, 1) and f[0].size * f[1].size <= 16)):
        halves = [_without_a_mean(taps) for taps in f]
        if x.shape[0] % 4 == 0 and halves[0] is not None and halves[1] is not None:
            # ncnn has a form of its own for 3x3: the 9 and the 4 products take 26 ms of a core at 512x512x64 (Zen 4),
            # the 16 at once 38, those of rows and then of columns 37.
            x = _filter(g, x, np.outer(halves[0], halves[1]), up, down, padding)
            return _filter(g, x, np.ones((2, 2)), up, down, (0, 0, 0, 0))
        # One pass with 16 products a pixel is as fast as two with 4 each, and makes no picture between.
        return _filter(g, x, np.outer(*f), up, down, padding)
    top, bottom, left, right = padding
    # Upsampling goes along the rows last, and downsampling first: the other axis is then still, or already, short. An
    # axis that is only padded comes before both: behind them its border would be taken for that of what follows.
    for axis in sorted((0, 1) if up[1] > down[1] else (1, 0), key=lambda axis: axis not in still):
        if axis == 0:
            x = _filter(g, x, f[0][:, None], (up[0], 1), (down[0], 1), (top, bottom, 0, 0))
        else:
            x = _filter(g, x, f[1][None], (1, up[1]), (1, down[1]), (0, 0, left, right))
    return x


def _without_a_mean(taps: Numbers) -> Numbers | None:
    """The three taps that, followed by (1, 1), are these four; None where there are none."""
    if taps.size != 4:
        return None
    a, b, c, d = (float(t) for t in taps.reshape(-1))
    return np.array([a, b - a, d]) if abs(b - a + d - c) <= 1e-7 * max(map(abs, (a, b, c, d))) else None


_HALVES = np.array([1, 3, 3, 1]) / 4


def _is_bilinear(f: tuple[Numbers, Numbers], padding: Border) -> bool:
    """Whether doubling by these taps is what bilinear interpolation does, within the one pixel of zeros around it."""
    same = f[0].size == f[1].size == 4 and np.abs(np.outer(*f) - np.outer(_HALVES, _HALVES)).max() <= 1e-7
    return bool(same) and max(padding[::2]) <= 4 and max(padding[1::2]) <= 3


def _bilinear(g: Graph, x: Value, padding: Border) -> Value:
    """Upsampling by 2 with (1, 3, 3, 1) / 4: an Interp of x with zeros around it, and of that what is wanted.

    Row t of the Interp is the one with t + 4 rows of padding before. 3x256x256: 1 ms of a core, by phases 13.
    """
    wide = pad(g, x, 1, 1, 1, 1)[0]
    y = interpolate(g, wide, scale_factor=2.0, mode="bilinear")[0]
    starts = [4 - padding[0], 4 - padding[2]]
    ends = [
        start + 2 * n + sum(padding[i : i + 2]) - 3 for start, n, i in zip(starts, x.shape[1:], (0, 2), strict=True)
    ]
    return crop(g, y, starts, ends, [1, 2])[0]


def _filter(g: Graph, x: Value, f: Numbers, up: Pair, down: Pair, padding: Border) -> Value:
    if f.size == 1 and up == (1, 1):
        x = pad(g, x, *padding)[0]
        return mul(g, depthwise(g, x, np.ones((1, 1)), down, (0, 0, 0, 0)), float(f.reshape(())))
    if up == (1, 1):
        return depthwise(g, x, f, down, padding)
    line = f.size >= max(up) and ((f.shape[1] == 1 and up[1] == 1) or (f.shape[0] == 1 and up[0] == 1))
    line = line and not x.open  # rows are interleaved by their number
    x = _interleaved(g, x, f, up, padding) if line else _upsample(g, x, f, up, padding)
    return depthwise(g, x, np.ones((1, 1)), down, (0, 0, 0, 0))


def depthwise(g: Graph, x: Value, f: Numbers, stride: Pair, padding: Border) -> Value:
    """Every channel correlated with f [fh, fw].

    One to three channels go through a dense convolution: ncnn runs a depthwise one over channels that are no
    multiple of 4 channel by channel, each on one thread (convolutiondepthwise_x86.cpp, create_group_ops).
    """
    if f.size == 1 and f.flat[0] == 1 and stride == (1, 1) and not any(padding):
        return x
    channels = x.shape[0]
    taps = f.astype(np.float32)
    if channels < 4:
        dense = np.zeros((channels, channels, *taps.shape), np.float32)
        dense[range(channels), range(channels)] = taps
        return static_conv(g, x, dense, None, stride, padding)[0]
    kernel = np.ascontiguousarray(np.broadcast_to(taps, (channels, 1, *taps.shape)))
    return static_conv(g, x, kernel, None, stride, padding, groups=channels)[0]


def _interleaved(g: Graph, x: Value, f: Numbers, up: Pair, padding: Border) -> Value:
    """Upsampling along one axis: a correlation for each phase r, of the rows up * q + r, and their interleaving.

    Row up * q + r is the sum over k of f[k] * z[up * q + r - before + k], z zero except at multiples of up: only taps
    k = first + up * j matter, and they meet x[q + offset + j]. Interleaved rows are those of the phases side by side,
    read as shorter ones; columns likewise with one pixel a row. ncnn's transposed convolution asks for each tap at
    each pixel whether it meets one (x86/deconvolutiondepthwise_fp32.h) and takes 1.5 to 1.9 times as long.
    """
    c, h, w = x.shape
    axis = 0 if f.shape[1] == 1 else 1
    factor, taps, size = up[axis], f.reshape(-1), x.shape[1 + axis]
    before, after = padding[2 * axis : 2 * axis + 2]
    length = size * factor + before + after - taps.size + 1
    count = -(-length // factor)
    filters, borders = [], []
    for r in range(factor):
        first = (before - r) % factor
        offset = (r - before + first) // factor
        filters.append(taps[first::factor])
        borders.append((-offset, count + filters[-1].size - 1 - size + offset))
    if any(max(-a, 0) + max(-b, 0) >= size for a, b in borders):  # a phase that sees only the border
        return _upsample(g, x, f, up, padding)
    phases = []
    for part, border in zip(filters, borders, strict=True):
        if axis == 0:
            phases.append(depthwise(g, x, part[:, None], (1, 1), (*border, 0, 0)))
        else:
            phase = depthwise(g, x, part[None], (1, 1), (0, 0, *border))
            phases.append(reshaped(g, phase, (c, h * count, 1)))
    y = concat(g, phases, 3)[0]
    y = reshaped(g, y, (c, count * factor, w) if axis == 0 else (c, h, count * factor))
    return y if count * factor == length else crop(g, y, [0], [length], [1 + axis])[0]


def _upsample(g: Graph, x: Value, f: Numbers, up: Pair, padding: Border) -> Value:
    """A transposed convolution of stride `up`, cropped or widened to what the padding says.

    It makes the whole convolution of x, zeros between its pixels, with f mirrored: (h - 1) * up + n rows. The result
    begins with row n - 1 - top of that. Where this is negative, zeros before the kernel move it; where the end lies
    beyond the last row, rows of zeros are added.
    """
    kernel, crop, extra = f[::-1, ::-1], [], []
    for axis in (0, 1):
        before, after = padding[2 * axis : 2 * axis + 2]
        n, size = kernel.shape[axis], x.shape[1 + axis]
        start, rows = n - 1 - before, size * up[axis] + before + after - n + 1
        if start < 0:
            widths = [(0, 0), (0, 0)]
            widths[axis] = (-start, 0)
            kernel, n, start = np.pad(kernel, widths), n - start, 0
        behind = (size - 1) * up[axis] + n - start - rows
        crop += [start, max(behind, 0)]
        extra.append(max(-behind, 0))
    weight = np.ascontiguousarray(np.broadcast_to(kernel.astype(np.float32), (x.shape[0], 1, *kernel.shape)))
    return deconv(g, x, weight, None, up, crop, extra, groups=x.shape[0])


def upfirdn2d(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    p = node.params
    f = taps_of(weight_of(node, "f"), p["gain"], bool(p["flip_filter"]))
    up, down = (p["up_y"], p["up_x"]), (p["down_y"], p["down_x"])
    return [resample(g, inputs[0], f, up, down, paddings(p))]


def weight_of(node: Node, name: str) -> Array | None:
    """The filter of a composite op, or of a layer, which says its shape by parameters (a reader gives it flat)."""
    f, h = node.weights.get(name), node.params.get(f"{name}_h")
    if f is None or (h is not None and node.params[f"{name}_w"] == 0):
        return None
    return f.reshape(h, -1) if h else f
