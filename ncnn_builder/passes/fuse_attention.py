"""Make one layer of attention and the four products with weights around it.

before:  q, k, v = Permute(Reshape(InnerProduct(x), [rows, heads, size]))     each by a product of its own,
         y = InnerProduct(Reshape(Permute(SDPA(q, k, v, mask)), [rows, heads * size]))      or parts of one product
after:   y = MultiHeadAttention(x, mask), or of query, key and value where these are different

ncnn's layer does the same products, without the copies that put heads in front and back: exact up to rounding. What a
product lacks, a bias, is one of zeros.

Refused: values in between that somebody else reads; columns of a common product that something else takes; groups of
heads that share keys; an activation; as many results as the query has not; sizes that follow an input of any shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..builder import append
from ..ir import Array, Graph, Node, Value
from ..ops.shapes.crop import Crop
from ..ops.shapes.permute import permutation
from ..opspec import spec_of
from .match import Matcher, rewrite_all
from .raise_attention import HEADS_IN_FRONT


def fuse_attention(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "fuse_attention")


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


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if not _plain(node):
        return None
    joined = matcher.interior(node.inputs[0], "Reshape")
    back = None if joined is None else matcher.interior(joined.inputs[0], "Permute")
    attention = None if back is None else matcher.interior(back.inputs[0], "SDPA")
    if back is None or attention is None or permutation(3, back.params["order_type"]) != HEADS_IN_FRONT:
        return None
    heads, rows, size = attention.outputs[0].shape
    if node.inputs[0].shape != (rows, heads * size):
        return None
    found = [_projected(value, heads, size, matcher) for value in attention.inputs[:3]]
    parts = [part for part in found if part is not None]
    if len(parts) != 3 or not _nobody_else(parts, matcher) or len(node.weights["weight"]) != parts[0].weight.shape[1]:
        return None
    inputs = [part.layer.inputs[0] for part in parts]
    inputs = inputs[:1] if len(set(inputs)) == 1 else inputs
    params = {
        "embed_dim": heads * size,
        "num_heads": heads,
        "weight_data_size": parts[0].weight.size,
        "kdim": parts[1].weight.shape[1],
        "vdim": parts[2].weight.shape[1],
        "attn_mask": attention.params["attn_mask"],
        "scale": attention.params["scale"] or 1 / math.sqrt(size),
    }
    weights: dict[str, Array | None] = {}
    for name, part in zip("qkv", parts, strict=True):
        weights |= {f"{name}_weight": part.weight, f"{name}_bias": part.bias}
    weights |= {"out_weight": node.weights["weight"], "out_bias": _bias(node)}
    return append(new, spec_of("MultiHeadAttention"), [*inputs, *attention.inputs[3:]], params, weights)


def _plain(layer: Node | None) -> bool:
    """Whether it multiplies rows by a weight, and nothing else."""
    if layer is None or layer.spec.type != "InnerProduct" or layer.stored:
        return False
    x = layer.inputs[0]
    return len(x.shape) == 2 and not x.open and layer.params["activation_type"] == 0


def _projected(value: Value, heads: int, size: int, matcher: Matcher) -> _Projected | None:
    """What is [heads, rows, size] of the columns of a product."""
    turned = matcher.interior(value, "Permute")
    split = None if turned is None else matcher.interior(turned.inputs[0], "Reshape")
    if turned is None or split is None or permutation(3, turned.params["order_type"]) != HEADS_IN_FRONT:
        return None
    flat = split.inputs[0]
    reader = flat.producer
    if split.outputs[0].shape[1:] != (heads, size) or flat.shape != (value.shape[1], heads * size) or reader is None:
        return None
    if not matcher.private(flat):
        return None
    if _plain(reader):
        return _Projected(reader, 0, heads * size, reader)
    layer = reader.inputs[0].producer if len(reader.inputs) == 1 else None
    if layer is None or not _plain(layer):
        return None
    if reader.spec.type == "Slice" and reader.params["axis"] in (1, -1):
        sizes = [v.shape[1] for v in reader.outputs]
        at = list(reader.outputs).index(flat)
        whole = dict(reader.params)  # how the sizes are said does not matter: they are those of the results
        return _Projected(layer, sum(sizes[:at]), sum(sizes[: at + 1]), reader) if whole else None
    if isinstance(reader.spec, Crop):
        lines, columns = reader.spec.ranges(layer.outputs[0].shape, reader.params)
        return _Projected(layer, *columns, reader) if lines == (0, flat.shape[0]) else None
    return None


def _nobody_else(parts: Sequence[_Projected], matcher: Matcher) -> bool:
    """Whether all that the products make goes into this attention, each column once."""
    readers = {part.reader for part in parts}
    for layer in {part.layer for part in parts}:
        taken = sorted((part.begin, part.end) for part in parts if part.layer is layer)
        borders = [n for pair in taken for n in pair]
        if borders[0] != 0 or borders[-1] != len(layer.weights["weight"]) or borders[1:-1:2] != borders[2::2]:
            return False
        made = layer.outputs[0]
        if layer not in readers and (made in matcher.pinned or any(user not in readers for user, _ in made.uses)):
            return False
    return True
