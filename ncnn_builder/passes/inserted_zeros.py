"""Zeros between the pixels of a picture, as torch code inserts them.

What reshape - F.pad - reshape is captured as:

    a = Reshape(x, [C * H, 1, W]); b = Padding(a, bottom=1)             a row of zeros behind each row
    c = Reshape(b, [C * H * 2 * W, 1]); d = Padding(c, right=1)         and a column behind each column
    y = Reshape(d, [C, H * 2, W * 2])

and what z = zeros(...); z[:, ::2, ::2] = x is, where a CopyTo onto zeros is a border behind, too. A border behind a
dimension that makes it u times as large puts an axis of u in front of those that it holds: what was there is the first
of u, and the others are 0. Where the axes of the result are C, H, u, W, u, every pixel is followed by u - 1 zeros in
both directions; one of the two may be missing, or differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from ..ir import Node, Shape, Value
from ..ops.enums import Border
from ..ops.layers import CopyTo, Padding, Reshape
from .blob_axes import Axes, one_each, regrouped
from .match import Matcher, is_a

_BEHIND = ("right", "bottom", "behind")
_BEFORE = ("left", "top", "front")


def inserted_zeros(value: Value, matcher: Matcher) -> tuple[Value, tuple[int, int]] | None:
    """(x, (u, v)) where the value [C, H * u, W * v] is x [C, H, W] with zeros inserted; None for something else."""
    layers: list[tuple[Node, Value]] = []  # the layers, from the last one back, and which of its inputs is looked at
    x = value
    while (node := matcher.maybe(x, Reshape, Padding, CopyTo)) is not None:
        if not is_a(node, CopyTo) and len(node.inputs) != 1:
            break
        x = node.inputs[-1]
        layers.append((node, x))
    if len(value.shape) != 3:
        return None
    for i in range(len(layers), 0, -1):  # layers in front may belong to something else
        up = _factors(layers[:i])
        if up is not None:
            return layers[i - 1][1], up
    return None


def _factors(layers: Sequence[tuple[Node, Value]]) -> tuple[int, int] | None:
    """By how much these layers enlarge the sides of a picture, zeros behind every pixel; None for something else."""
    x, y = layers[-1][1].shape, layers[0][0].outputs[0].shape
    if len(x) != 3:
        return None
    axes, count = one_each("chw", x), 0
    for node, before in reversed(layers):
        shape = node.outputs[0].shape
        after = None
        if is_a(node, Reshape):
            after = regrouped(axes, shape)
        elif _only_behind(node):
            after, count = _widened(axes, before.shape, shape), count + 1
        if after is None:
            return None
        axes = after
    if not count or y[0] != x[0] or y[1] % x[1] or y[2] % x[2]:
        return None
    up = y[1] // x[1], y[2] // x[2]
    wanted = [("c", x[0]), ("h", x[1]), ("z", up[0]), ("w", x[2]), ("z", up[1])]
    return up if list(chain.from_iterable(axes)) == [axis for axis in wanted if axis[1] != 1] else None


def _only_behind(node: Node) -> bool:
    """Whether a layer puts zeros behind what it is given, and does nothing else."""
    p = node.params
    if is_a(node, CopyTo):
        data = node.inputs[0].data
        return data is not None and not data.any() and not any(p["starts"]) and p["axes"] is not None
    plain = p["mode"] == Border.CONSTANT and not p["value"] and not p["per_channel_pad_data_size"]
    return plain and not any(p[side] for side in _BEFORE) and all(p[side] >= 0 for side in _BEHIND)


def _widened(axes: Axes, before: Shape, after: Shape) -> Axes | None:
    """The axes where one dimension has become u times as large, by zeros behind; None for anything else."""
    changed = [i for i, (n, m) in enumerate(zip(before, after, strict=True)) if n != m]
    if len(changed) != 1 or after[changed[0]] % before[changed[0]]:
        return None
    dim = changed[0]
    return (*axes[:dim], (("z", after[dim] // before[dim]), *axes[dim]), *axes[dim + 1 :])
