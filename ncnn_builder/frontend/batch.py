"""ncnn's own batch: a Mat holds n samples, and a layer that knows nothing of it is run for each of them.

Shapes in a graph are those of a sample. How many of them there are, a blob does not say: layout.Tensor does. Two forms
of ncnn's Reshape bring samples together and take them apart; they are kept word for word, so that no pass touches them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..builder import append
from ..emit.foreign import Foreign
from ..ir import Array, Graph, Params, Shape, Value
from ..ops.common import need
from ..opspec import spec_of
from ..sizes import Size

MOST_SAMPLE_DIMS = 3
"""Of a sample that Reshape makes: it counts the batch among its four numbers."""
_NONE = 233
_ABSENT = -233


class _Batching(Foreign):
    def infer(self, inputs: Sequence[Shape], params: Params, weights: Mapping[str, Array]) -> list[Shape]:
        return list(self.shapes)


def into_batch(g: Graph, value: Value, n: int, dims: Sequence[int]) -> Value:
    """n samples of these dimensions, of a blob that holds them one behind the other."""
    need(math.prod(value.shape) == n * math.prod(dims), "not so many numbers", expected=(n, *dims), got=value.shape)
    return _reshape(g, value, (n, *dims), tuple(dims), {12: _NONE, 13: 0})


def out_of_batch(g: Graph, value: Value, n: int, dims: Sequence[int]) -> Value:
    """One blob of these dimensions, of n samples: one behind the other."""
    need(math.prod(value.shape) * n == math.prod(dims), "not so many numbers", expected=dims, got=(n, *value.shape))
    return _reshape(g, value, tuple(dims), tuple(dims), {12: 0, 13: _NONE})


def _reshape(g: Graph, value: Value, written: Shape, shape: Shape, axes: dict[int, int]) -> Value:
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(written)]
    rest = sum(isinstance(n, Size) for n in written)
    need(rest < 2, "more than one size of a batch is open, and ncnn computes one", expected="one", got=list(written))
    numbers = [-1 if isinstance(n, Size) else n for n in written]
    given = {**dict.fromkeys("whcd", _ABSENT), **dict(zip(names, numbers, strict=True))}
    ids = {p.name: p.id for p in spec_of("Reshape").params}
    words = [f"{ids[name]}={given[name]}" for name in "whcd"] + [f"{i}={axis}" for i, axis in axes.items()]
    fields: dict[str, Any] = {
        "__doc__": "ncnn's Reshape from or to a batch.",
        "type": "Reshape/batch",
        "written": "Reshape",
        "base": spec_of("Reshape"),
        "given": given,
        "extra": axes,
        "verbatim": tuple(words),
        "shapes": [shape],
    }
    spec: Foreign = type("Batching", (_Batching,), fields)()
    return append(g, spec, value)[0]
