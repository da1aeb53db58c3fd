"""Make one layer of attention and the four products with weights around it.

before:  q, k, v = Permute(Reshape(InnerProduct(x), [rows, heads, size]))     each by a product of its own,
         y = InnerProduct(Reshape(Permute(SDPA(q, k, v, mask)), [rows, heads * size]))      or parts of one product
after:   y = MultiHeadAttention(x, mask), or of query, key and value where these are different

ncnn's layer does the same products, without the copies that put heads in front and back: exact up to rounding. What a
product lacks, a bias, is one of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..ir import Array, Node, Value
from ..ops.enums import Fused
from ..ops.layers import SDPA, InnerProduct, MultiHeadAttention, Permute, Reshape, Slice
from ..ops.shapes.crop import Crop
from ..ops.shapes.permute import permutation
from .match import Matcher, NoMatch, expect, is_a, need
from .raise_attention import HEADS_IN_FRONT
from .rules import Made, Rules

fuse_attention = Rules("fuse_attention")


@dataclass(frozen=True)
class _Projected:
    """Columns begin to end of a product: of the layer, read by this node (the layer's own, where it is all of them)."""

    layer: Node
    begin: int
    end: int
    reader: Node

    @property
    def weight(self) -> Array:
        return self.layer.weights["weight"][self.begin : self.end]

    @property
    def bias(self) -> Array:
        return _bias(self.layer)[self.begin : self.end]


def _bias(layer: Node) -> Array:
    return layer.weights.get("bias", np.zeros(len(layer.weights["weight"]), np.float32))


@fuse_attention.on(InnerProduct)
def _with_products(m: Matcher, node: Node) -> Made:
    joined = m.maker(node.inputs[0], Reshape)
    back = m.maker(joined.inputs[0], Permute)
    attention = m.maker(back.inputs[0], SDPA)
    heads, rows, size = attention.outputs[0].shape
    expect(permutation(3, back.params["order_type"]) == HEADS_IN_FRONT)
    expect(node.inputs[0].shape == (rows, heads * size))
    _need_plain(node)
    parts = [_projected(m, value, heads, size) for value in attention.inputs[:3]]
    _need_nobody_else(m, parts)
    need(len(node.weights["weight"]) == parts[0].weight.shape[1], "as many results as the query has not")
    inputs = [part.layer.inputs[0] for part in parts]
    inputs = inputs[:1] if len(set(inputs)) == 1 else inputs
    weights: dict[str, Array | None] = {}
    for name, part in zip("qkv", parts, strict=True):
        weights |= {f"{name}_weight": part.weight, f"{name}_bias": part.bias}
    weights |= {"out_weight": node.weights["weight"], "out_bias": _bias(node)}
    return m.make(
        MultiHeadAttention,
        [*inputs, *attention.inputs[3:]],
        weights,
        embed_dim=heads * size,
        num_heads=heads,
        weight_data_size=parts[0].weight.size,
        kdim=parts[1].weight.shape[1],
        vdim=parts[2].weight.shape[1],
        attn_mask=attention.params["attn_mask"],
        scale=attention.params["scale"] or 1 / math.sqrt(size),
    )


def _need_plain(layer: Node) -> None:
    """That it multiplies rows by a weight, and nothing else."""
    x = layer.inputs[0]
    need(layer.params["activation_type"] == Fused.NONE, "an activation")
    need(not layer.stored, "a weight that is stored in a file's own way")
    need(len(x.shape) == 2 and not x.others, "sizes that follow an input of any shape")


def _projected(m: Matcher, value: Value, heads: int, size: int) -> _Projected:
    """What is [heads, rows, size] of the columns of a product."""
    turned = m.maker(value, Permute)
    split = m.maker(turned.inputs[0], Reshape)
    expect(permutation(3, turned.params["order_type"]) == HEADS_IN_FRONT)
    flat = split.inputs[0]
    reader = flat.producer
    expect(split.outputs[0].shape[1:] == (heads, size) and flat.shape == (value.shape[1], heads * size))
    if reader is None:
        raise NoMatch
    need(m.private(flat), "somebody else reads columns of a product")
    if is_a(reader, InnerProduct):
        _need_plain(reader)
        return _Projected(reader, 0, heads * size, reader)
    layer = reader.inputs[0].producer if len(reader.inputs) == 1 else None
    if layer is None or not is_a(layer, InnerProduct):
        raise NoMatch
    _need_plain(layer)
    if is_a(reader, Slice):
        expect(reader.params["axis"] in (1, -1))
        sizes = [v.shape[1] for v in reader.outputs]
        at = list(reader.outputs).index(flat)
        dict(reader.params)  # how the sizes are said does not matter: they are those of the results
        return _Projected(layer, sum(sizes[:at]), sum(sizes[: at + 1]), reader)
    if not isinstance(reader.spec, Crop):
        raise NoMatch
    lines, columns = reader.spec.ranges(layer.outputs[0].shape, reader.params)
    expect(lines == (0, flat.shape[0]))
    return _Projected(layer, *columns, reader)


def _need_nobody_else(m: Matcher, parts: Sequence[_Projected]) -> None:
    """That all that the products make goes into this attention, each column once."""
    readers = {part.reader for part in parts}
    for layer in {part.layer for part in parts}:
        taken = sorted((part.begin, part.end) for part in parts if part.layer is layer)
        borders = [n for pair in taken for n in pair]
        whole = borders[0] == 0 and borders[-1] == len(layer.weights["weight"]) and borders[1:-1:2] == borders[2::2]
        need(whole, "columns of a common product that nothing takes, or that are taken twice")
        made = layer.outputs[0]
        others = layer not in readers and (made in m.pinned or any(user not in readers for user, _ in made.uses))
        need(not others, "columns of a common product that something else takes")
