"""StyleGAN3's filtered leaky ReLU out of ncnn's own layers, without the picture at the higher rate as a whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ...builder import append
from ...ir import Graph, Node, Shape, Value
from ...ops.activations.piecewise import clip
from ...ops.generators.fir import paddings
from ...ops.shapes.crop import crop
from ...ops.stock import scale
from ...opspec import spec_of
from .channels import FEW, first, padded, widened
from .elementwise import add, mul
from .filters import Taps, resample, size_of, taps_of, weight_of

_ONE = np.ones(1)


def filtered_lrelu(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """Bias, upsampling, leaky ReLU, clamp, downsampling; up to a multiple of 8 channels where there are filters.

    With G = gcd(up, down) the upsampled picture is never there as a whole: its pixels (G y + r, G x + s) are G * G
    pictures of their own. Each is x upsampled by up / G with every G-th tap of fu, and passes the activation; the
    result is the sum of what every G-th tap of fd makes of them at stride down / G.
    """
    p, x, b = node.params, inputs[0], node.weights.get("b")
    channels = x.shape[0]
    flip, up, down, gain = bool(p["flip_filter"]), p["up"], p["down"], p["gain"]
    early = gain if gain > 0 else 1.0  # the leaky ReLU lets a positive factor through
    fu = taps_of(weight_of(node, "fu"), early * up**2, flip)
    fd = taps_of(weight_of(node, "fd"), 1.0, flip)
    if channels >= FEW and max(*size_of(fu), *size_of(fd), up, down) > 1:
        x = widened(g, x)
    if b is not None:
        b = padded(b, 0, x.shape[0])
        x = scale(g, x, np.ones(b.size, np.float32), b)

    def act(t: Value) -> Value:
        if p["slope"] != 1:
            t = append(g, spec_of("ReLU"), t, {"slope": p["slope"]})[0]
        t = mul(g, t, gain / early)
        return t if p["clamp"] < 0 else clip(g, t, -p["clamp"], p["clamp"])

    groups = int(np.gcd(up, down))
    fits = not x.open and min(*size_of(fu), *size_of(fd)) >= groups > 1
    classes = _classes(node, x.shape, fu, fd) if fits else None
    if classes is None:
        t = act(resample(g, x, fu, (up, up), (1, 1), paddings(node.params)))
        y = resample(g, t, fd, (1, 1), (down, down), (0, 0, 0, 0))
    else:
        y = _by_classes(g, x, fu, fd, up, down, classes, act)
        size = node.outputs[0].shape[1:]
        y = y if y.shape[1:] == size else crop(g, y, [0, 0], list(size), [1, 2])[0]
    return [first(g, y, channels)]


class Class(NamedTuple):
    """The upsampled rows (or columns) G q + c: the first tap of fu that meets pixels, and the padding they need."""

    first: int
    before: int
    after: int


def _classes(node: Node, x: Shape, fu: Taps, fd: Taps) -> list[list[Class]] | None:
    """Of rows, and of columns; None where one of them sees only the border.

    Row G q + c is the sum over k of fu[k] * z[G q + c - before + k] with z zero except at multiples of up. Only taps
    k = first + G j matter, and z[G (q + j + offset)] is the picture upsampled by up / G, moved by offset.
    """
    up, down, padding, out = node.params["up"], node.params["down"], paddings(node.params), node.outputs[0].shape
    groups = int(np.gcd(up, down))
    result = []
    for axis in (0, 1):
        before, classes = padding[2 * axis], []
        down_taps = [len(range(c, size_of(fd)[axis], groups)) for c in range(groups)]
        # A few rows more than the result has, to be cropped of it, where then no class has to be cropped: see
        # filters, which makes whole groups of up / G rows.
        rows = [[down // groups * (out[1 + axis] - 1 + more) + n for n in down_taps] for more in range(up // groups)]
        needed = next((r for r in rows if all(n % (up // groups) == 0 for n in r)), rows[0])
        for c in range(groups):
            tap = (before - c) % groups
            offset = (c - before + tap) // groups
            taps = len(range(tap, size_of(fu)[axis], groups))
            classes.append(Class(tap, -offset, needed[c] + taps - 1 - x[1 + axis] * (up // groups) + offset))
            if max(offset, 0) + max(-classes[-1].after, 0) >= x[1 + axis] * (up // groups):
                return None
        result.append(classes)
    return result


def _by_classes(
    g: Graph,
    x: Value,
    fu: Taps,
    fd: Taps,
    up: int,
    down: int,
    classes: list[list[Class]],
    act: Callable[[Value], Value],
) -> Value:
    groups = len(classes[0])
    fine, coarse = up // groups, down // groups
    parts = []
    for r, row in enumerate(classes[0]):
        above = x
        if isinstance(fu, tuple):  # the rows' filter is common to all columns
            f = (fu[0][row.first :: groups], _ONE)
            above = resample(g, x, f, (fine, 1), (1, 1), (row.before, row.after, 0, 0))
        of_row = []
        for s, column in enumerate(classes[1]):
            if isinstance(fu, tuple):
                f = (_ONE, fu[1][column.first :: groups])
                t = resample(g, above, f, (1, fine), (1, 1), (0, 0, column.before, column.after))
            else:
                taps = fu[row.first :: groups, column.first :: groups]
                border = (row.before, row.after, column.before, column.after)
                t = resample(g, x, taps, (fine, fine), (1, 1), border)
            if isinstance(fd, tuple):
                t = resample(g, act(t), (_ONE, fd[1][s::groups]), (1, 1), (1, coarse), (0, 0, 0, 0))
            else:
                t = resample(g, act(t), fd[r::groups, s::groups], (1, 1), (coarse, coarse), (0, 0, 0, 0))
            of_row.append(t)
        total = _sum(g, of_row)
        if isinstance(fd, tuple):
            total = resample(g, total, (fd[0][r::groups], _ONE), (1, 1), (coarse, 1), (0, 0, 0, 0))
        parts.append(total)
    return _sum(g, parts)


def _sum(g: Graph, values: list[Value]) -> Value:
    total = values[0]
    for value in values[1:]:
        total = add(g, total, value)
    return total
