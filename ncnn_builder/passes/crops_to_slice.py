"""Make one Slice of the Crops that cut a value into all its parts.

before:  a = Crop(x, [0], [4], axes=[1]); b = Crop(x, [4], [8], axes=[1])
after:   a, b = Slice(x, slices=[4, 4], axis=1)

The parts may be asked for in any order. Exact: both layers copy numbers. One pass over x instead of several, and what
chunk() and split() make, so that patterns have one form less.

Refused: parts that overlap or leave something out, and features that are switched off for one of the Crops.
"""

from __future__ import annotations

from ..ir import Node
from ..ops.layers import Crop, Slice
from .match import Matcher, expect, is_a, need
from .parts import Part, part_of
from .rules import Made, Rules

crops_to_slice = Rules("crops_to_slice")


@crops_to_slice.on(Crop)
def _all_parts(m: Matcher, node: Node) -> Made:
    own = part_of(node.outputs[0])
    expect(own is not None and not own.x.open)
    assert own is not None
    parts = [(part, crop) for crop, _ in own.x.uses if (part := _along(own.axis, crop)) is not None]
    expect(len(parts) > 1 and parts[0][1] is node)  # the first in order: the Slice stands before all that read a part
    parts.sort(key=lambda each: each[0].begin)
    begins, ends = [p.begin for p, _ in parts], [p.end for p, _ in parts]
    whole = begins[0] == 0 and ends[-1] == own.x.shape[own.axis] and begins[1:] == ends[:-1]
    need(whole, "parts that overlap, or that leave something out")
    need(not any(crop.mask for _, crop in parts), "features that are switched off for a part")
    made = m.make(Slice, own.x, slices=[p.end - p.begin for p, _ in parts], axis=own.axis)
    for value, (_, crop) in zip(made, parts, strict=True):
        if crop is not node:
            m.move(crop.outputs[0], value)
    return [made[[crop for _, crop in parts].index(node)]]


def _along(axis: int, node: Node) -> Part | None:
    part = part_of(node.outputs[0]) if is_a(node, Crop) else None
    return part if part is not None and part.axis == axis else None
