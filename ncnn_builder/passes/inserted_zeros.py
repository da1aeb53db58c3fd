"""Zeros between the pixels of a picture, as torch code inserts them.

What reshape - F.pad - reshape is captured as:

    a = Reshape(x, [C * H, 1, W]); b = Padding(a, bottom=1)             a row of zeros behind each row
    c = Reshape(b, [C * H * 2 * W, 1]); d = Padding(c, right=1)         and a column behind each column
    y = Reshape(d, [C, H * 2, W * 2])

and what z = zeros(...); z[:, ::2, ::2] = x is, where a CopyTo onto zeros is a border behind, too. A border behind a
dimension that makes it u times as large puts an axis of u in front of those that it holds: what was there is the first
of u, and the others are 0. Where the axes of the result are C, H, u, W, u, every pixel is followed by u - 1 zeros in
both directions.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Node, Shape, Value
from .blob_axes import Axes, names_of, one_each, regrouped
from .match import Matcher, constant

_BEHIND = ("right", "bottom", "behind")
_BEFORE = ("left", "top", "front")


def inserted_zeros(value: Value, matcher: Matcher) -> tuple[Value, int] | None:
    """(x, u) where the value [C, H * u, W * u] is x [C, H, W] with zeros inserted; None where it is something else."""
    chain: list[tuple[Node, Value]] = []  # the layers, from the last one back, and which of its inputs is looked at
    x = value
    while (node := matcher.interior(x, "Reshape", "Padding", "CopyTo")) is not None:
        if node.spec.type != "CopyTo" and len(node.inputs) != 1:
            break
        x = node.inputs[-1]
        chain.append((node, x))
    if len(value.shape) != 3:
        return None
    for i in range(len(chain), 0, -1):  # layers in front may belong to something else
        up = _factor(chain[:i])
        if up is not None:
            return chain[i - 1][1], up
    return None


def _factor(chain: Sequence[tuple[Node, Value]]) -> int | None:
    """By how much these layers enlarge both sides of a picture, zeros behind every pixel; None for something else."""
    x, y = chain[-1][1].shape, chain[0][0].outputs[0].shape
    if len(x) != 3:
        return None
    axes, factors = one_each("chw", x), list[int]()
    for node, before in reversed(chain):
        shape = node.outputs[0].shape
        after = None
        if node.spec.type == "Reshape":
            after = regrouped(axes, shape)
        elif _only_behind(node):
            after = _widened(axes, before.shape, shape, factors)
        if after is None:
            return None
        axes = after
    if len(factors) != 2 or factors[0] != factors[1]:
        return None
    up = factors[0]
    sizes = [("c", x[0]), ("h", x[1]), ("z", up), ("w", x[2]), ("z", up)]
    same = names_of(axes) == "".join(name for name, n in sizes if n != 1)
    return up if same and y == (x[0], x[1] * up, x[2] * up) else None


def _only_behind(node: Node) -> bool:
    """Whether a layer puts zeros behind what it is given, and does nothing else."""
    p = node.params
    if node.spec.type == "CopyTo":
        data = constant(node.inputs[0])
        return data is not None and not data.any() and not any(p["starts"]) and p["axes"] is not None
    plain = not p["mode"] and not p["value"] and not p["per_channel_pad_data_size"]
    return plain and not any(p[side] for side in _BEFORE) and all(p[side] >= 0 for side in _BEHIND)


def _widened(axes: Axes, before: Shape, after: Shape, factors: list[int]) -> Axes | None:
    """The axes where one dimension has become u times as large, by zeros behind; None for anything else."""
    changed = [i for i, (n, m) in enumerate(zip(before, after, strict=True)) if n != m]
    if len(changed) != 1 or after[changed[0]] % before[changed[0]]:
        return None
    dim = changed[0]
    factors.append(after[dim] // before[dim])
    return (*axes[:dim], (("z", factors[-1]), *axes[dim]), *axes[dim + 1 :])
