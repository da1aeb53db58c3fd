"""Picture filters out of ncnn's own layers: polyphase, so that nothing is multiplied with inserted zeros."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ...builder import append
from ...ir import Array, Graph, Node, Value
from ...ops.conv import static_conv
from ...ops.deconv import deconv
from ...ops.pad import pad
from ...ops.stock import clip, scale
from ...opspec import spec_of
from .elementwise import add, mul

Pair: TypeAlias = "tuple[int, int]"
Border: TypeAlias = "tuple[int, int, int, int]"  # top, bottom, left, right; negative numbers crop
Taps: TypeAlias = "tuple[Array, Array] | Array"
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
    top, bottom, left, right = padding
    # Upsampling goes along the rows last, and downsampling first: the other axis is then still, or already, short.
    for axis in (0, 1) if up[1] > down[1] else (1, 0):
        if axis == 0:
            x = _filter(g, x, f[0][:, None], (up[0], 1), (down[0], 1), (top, bottom, 0, 0))
        else:
            x = _filter(g, x, f[1][None], (1, up[1]), (1, down[1]), (0, 0, left, right))
    return x


def _filter(g: Graph, x: Value, f: Array, up: Pair, down: Pair, padding: Border) -> Value:
    if f.size == 1 and up == (1, 1):
        x = pad(g, x, *padding)[0]
        return mul(g, depthwise(g, x, np.ones((1, 1)), down, (0, 0, 0, 0)), float(f.reshape(())))
    if up == (1, 1):
        return depthwise(g, x, f, down, padding)
    return depthwise(g, _upsample(g, x, f, up, padding), np.ones((1, 1)), down, (0, 0, 0, 0))


def depthwise(g: Graph, x: Value, f: Array, stride: Pair, padding: Border) -> Value:
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


def _upsample(g: Graph, x: Value, f: Array, up: Pair, padding: Border) -> Value:
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


def upfirdn2d(g: Graph, node: Node, inputs: list[Value]) -> list[Value]:
    p = node.params
    f = taps_of(_filter_weight(node, "f"), p["gain"], bool(p["flip_filter"]))
    up, down = (p["up_y"], p["up_x"]), (p["down_y"], p["down_x"])
    return [resample(g, inputs[0], f, up, down, _padding(node))]


def _padding(node: Node) -> Border:
    p = node.params
    return p["pad_top"], p["pad_bottom"], p["pad_left"], p["pad_right"]


def _filter_weight(node: Node, name: str) -> Array | None:
    """The filter of a composite op, or of a layer, which says its shape by parameters (a reader gives it flat)."""
    f, h = node.weights.get(name), node.params.get(f"{name}_h")
    if f is None or (h is not None and node.params[f"{name}_w"] == 0):
        return None
    return f.reshape(h, -1) if h else f


# -- filtered_lrelu -------------------------------------------------------------------------------------------------


def filtered_lrelu(g: Graph, node: Node, inputs: list[Value]) -> list[Value]:
    """Bias, upsampling, leaky ReLU, clamp, downsampling.

    With G = gcd(up, down) the upsampled picture is never there as a whole: its pixels (G y + r, G x + s) are G * G
    pictures of their own. Each is x upsampled by up / G with every G-th tap of fu, and passes the activation; the
    result is the sum of what every G-th tap of fd makes of them at stride down / G.
    """
    p, x, b = node.params, inputs[0], node.weights.get("b")
    if len(inputs) == 2:
        x = scale(g, x, inputs[1])
    if b is not None:
        x = scale(g, x, np.ones(b.size, np.float32), b)
    flip, up, down, gain = bool(p["flip_filter"]), p["up"], p["down"], p["gain"]
    early = gain if gain > 0 else 1.0  # the leaky ReLU lets a positive factor through
    fu = taps_of(_filter_weight(node, "fu"), early * up**2, flip)
    fd = taps_of(_filter_weight(node, "fd"), 1.0, flip)

    def act(t: Value) -> Value:
        if p["slope"] != 1:
            t = append(g, spec_of("ReLU"), t, {"slope": p["slope"]})[0]
        t = mul(g, t, gain / early)
        return t if p["clamp"] < 0 else clip(g, t, -p["clamp"], p["clamp"])

    groups = int(np.gcd(up, down))
    if groups == 1 or min(*size_of(fu), *size_of(fd)) < groups:
        t = act(resample(g, x, fu, (up, up), (1, 1), _padding(node)))
        return [resample(g, t, fd, (1, 1), (down, down), (0, 0, 0, 0))]
    return [_by_classes(g, x, fu, fd, up, down, _padding(node), node.outputs[0].shape[1:], act)]


def _by_classes(g, x, fu, fd, up, down, padding, out, act):  # type: ignore[no-untyped-def]
    groups = int(np.gcd(up, down))
    rows, columns = (
        [
            _class(c, groups, up, down, padding[2 * axis], size_of(fu)[axis], size_of(fd)[axis], n, m)
            for c in range(groups)
        ]
        for axis, (n, m) in enumerate(zip(x.shape[1:], out, strict=True))
    )
    fine, coarse = (up // groups,) * 2, (down // groups,) * 2
    total = None
    for r, (first_row, top, bottom) in enumerate(rows):
        part = None
        above = x
        if isinstance(fu, tuple):  # the rows are common to all columns
            above = resample(g, x, (fu[0][first_row::groups], np.ones(1)), (fine[0], 1), (1, 1), (top, bottom, 0, 0))
        for s, (first_column, left, right) in enumerate(columns):
            if isinstance(fu, tuple):
                f = (np.ones(1), fu[1][first_column::groups])
                t = resample(g, above, f, (1, fine[1]), (1, 1), (0, 0, left, right))
            else:
                t = resample(
                    g, x, fu[first_row::groups, first_column::groups], fine, (1, 1), (top, bottom, left, right)
                )
            t = act(t)
            if isinstance(fd, tuple):
                t = resample(g, t, (np.ones(1), fd[1][s::groups]), (1, 1), (1, coarse[1]), (0, 0, 0, 0))
            else:
                t = resample(g, t, fd[r::groups, s::groups], (1, 1), coarse, (0, 0, 0, 0))
            part = t if part is None else add(g, part, t)
        if isinstance(fd, tuple):
            part = resample(g, part, (fd[0][r::groups], np.ones(1)), (1, 1), (coarse[0], 1), (0, 0, 0, 0))
        total = part if total is None else add(g, total, part)
    return total


def _class(
    c: int, groups: int, up: int, down: int, before: int, up_taps: int, down_taps: int, size: int, out: int
) -> tuple[int, int, int]:
    """Of the upsampled rows G q + c: the first tap of fu that meets pixels, and the padding that makes these rows.

    Row G q + c is the sum over k of fu[k] * z[G q + c - before + k] with z zero except at multiples of up. Only taps
    k = first + G j matter, and z[G (q + j + offset)] is the picture upsampled by up / G, moved by offset.
    """
    first = (before - c) % groups
    offset = (c - before + first) // groups
    needed = down // groups * (out - 1) + len(range(c, down_taps, groups))
    taps = len(range(first, up_taps, groups))
    return first, -offset, needed + taps - 1 - size * (up // groups) + offset
