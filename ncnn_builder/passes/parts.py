"""Which part of what a value is."""

from __future__ import annotations

from dataclasses import dataclass

from ..ir import Value
from ..ops.layers import Crop, Slice
from .match import is_a


@dataclass(frozen=True, eq=False)
class Part:
    """x[begin:end] along an axis, outer first."""

    x: Value
    axis: int
    begin: int
    end: int


def part_of(value: Value) -> Part | None:
    """What a Crop of one axis, or a Slice, made; None for what is no such part."""
    node = value.producer
    if node is None or len(node.inputs) != 1:
        return None
    x = node.inputs[0]
    if is_a(node, Slice):
        axis = node.params["axis"] % len(x.shape)
        dict(node.params)  # how the sizes are said does not matter: they are those of the results
        before = sum(v.shape[axis] for v in list(node.outputs)[: list(node.outputs).index(value)])
        return Part(x, axis, before, before + value.shape[axis])
    if not is_a(node, Crop):
        return None
    assert isinstance(node.spec, Crop)
    ranges = node.spec.ranges(x.shape, node.params)
    cut = [i for i, n in enumerate(x.shape) if ranges[i] != (0, n)]
    return Part(x, cut[0], *ranges[cut[0]]) if len(cut) == 1 else None
