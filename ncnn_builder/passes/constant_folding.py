"""Compute what follows from constants when compiling.

before:  w = Shell(); v = MulConstant(w, scale=s); u = Reshape(v, [o, i])
after:   u = Shell()

An op is computed by its own reference, so a new one folds by itself. Exact up to rounding: computed in double and
rounded to float32 once.

Refused: results that are larger than the inputs together and than 1024 numbers, which would make the file grow; one
that is not finite, or where ncnn gives no number to rely on; an op whose blobs are no plain numbers of float32, or of
which data decide the size (OpSpec.folds); a parameter off its default that the reference does not read; constants that
do not come out of a Shell or MemoryData (then nothing says which layer this target has for a constant).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..builder import one
from ..errors import NcnnBuilderError
from ..ir import Array, Node, Value, Values
from ..ops.layers import MemoryData, Shell
from ..ops.weights import shell
from ..opspec import OpSpec
from .match import Matcher, is_a, need
from .rules import Made, Rules

SMALL = 1024
"""Numbers that results may have in any case."""
HOLDERS = (Shell, MemoryData)


constant_folding = Rules("constant_folding")


@constant_folding.on(OpSpec)
def _computed(m: Matcher, node: Node) -> Made:
    holder = next((v.producer for v in node.inputs if is_a(v.producer, *HOLDERS)), None)
    if holder is None or any(v.data is None for v in node.inputs):
        return None
    need(node.spec.folds, "a blob that is not of plain numbers, or whose size follows from numbers")
    need(_numbers(node.outputs) <= max(_numbers(node.inputs), SMALL), "a result that is larger than its constants")
    results = evaluate(node)
    need(all(np.isfinite(data).all() for data in results), "a result that is no number")
    return [one(constant_like(m, holder, data)) for data in results]


def _numbers(values: Sequence[Value]) -> int:
    return sum(math.prod(v.shape) for v in values)


def evaluate(node: Node) -> list[Array]:
    """The outputs of a node whose inputs are all known.

    Raises NcnnBuilderError where torch, which references compute with, is not installed: whether it is must not change
    what is emitted.
    """
    try:
        import torch
    except ImportError:
        raise NcnnBuilderError(
            "a constant is computed with torch, which is not installed",
            op=node.spec.type,
            node=node.name,
            source=node.source,
            fix="Install torch, or compile for the target reference, which leaves constants as they are",
        ) from None
    node.spec.infer([v.shape for v in node.inputs], node.params, node.weights)  # reads what only shapes follow from
    given = [torch.tensor(v.data, dtype=torch.float64) for v in node.inputs]
    weights = {name: torch.tensor(data, dtype=torch.float64) for name, data in node.weights.items()}
    with torch.no_grad(), np.errstate(all="ignore"):
        results = node.spec.reference(given, node.params, weights)
        found = [np.ascontiguousarray(y.numpy(), dtype=np.float32) for y in results]
    for data, value in zip(found, node.outputs, strict=True):
        assert data.shape == value.shape, f"the reference of {node.spec.type} makes {data.shape} of {value}"
    return found


def constant_like(m: Matcher, holder: Node, data: Array) -> Values:
    """A constant of 1 to 4 dimensions, held by a layer of the same type as `holder`."""
    if is_a(holder, Shell):
        kept = data.ndim
        full = {1: (1, 1, 1), 2: (1, 1), 3: (data.shape[0], 1), 4: ()}[kept]
        shape = (*full, *data.shape[1:]) if kept == 3 else (*full, *data.shape)
        return shell(m.new, [], data.reshape(shape), None, kept)
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[data.ndim]
    sizes = {**dict.fromkeys("whdc", 0), **dict(zip(names, data.shape, strict=True))}
    return m.again(holder, [], {next(iter(holder.weights)): data}, **sizes)
