"""Compute what follows from constants when compiling.

before:  w = Shell(); v = MulConstant(w, scale=s); u = Reshape(v, [o, i])
after:   u = Shell()

Exact up to rounding: computed in double and rounded to float32 once. Computed in numpy, so that the bytes do not depend
on what else is installed; an op that `numeric` does not cover stays.

Refused: a result that is larger than its inputs together and than 1024 numbers, which would make the file grow; one
that is not finite; one whose constants do not come out of a Shell or MemoryData (then nothing says which layer this
target has for a constant).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..builder import append
from ..ir import Array, Graph, Node, Value
from ..ops.weights import shell
from ..opspec import spec_of
from .match import Matcher, rewrite_all
from .numeric import evaluate

SMALL = 1024
"""Numbers that a result may have in any case."""
HOLDERS = ("Shell", "MemoryData")


def constant_folding(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "constant_folding")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    holder = next((v.producer for v in node.inputs if v.producer and v.producer.spec.type in HOLDERS), None)
    if holder is None or any(v.data is None for v in node.inputs):
        return None
    inputs = sum(v.data.size for v in node.inputs if v.data is not None)
    value = node.outputs[0]
    if len(node.outputs) != 1 or _size(value) > max(inputs, SMALL):
        return None
    data = evaluate(node)
    return None if data is None else constant_like(new, holder, data)


def _size(value: Value) -> int:
    size = 1
    for n in value.shape:
        size *= n
    return size


def constant_like(g: Graph, holder: Node, data: Array) -> Sequence[Value]:
    """A constant of 1 to 4 dimensions, held by a layer of the same type as `holder`."""
    if holder.spec.type == "Shell":
        kept = data.ndim
        full = {1: (1, 1, 1), 2: (1, 1), 3: (data.shape[0], 1), 4: ()}[kept]
        shape = (*full, *data.shape[1:]) if kept == 3 else (*full, *data.shape)
        return shell(g, [], data.reshape(shape), None, kept)
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[data.ndim]
    sizes = {**dict.fromkeys("whdc", 0), **dict(zip(names, data.shape, strict=True))}
    return append(g, spec_of("MemoryData"), [], {**holder.params, **sizes}, {next(iter(holder.weights)): data})
