"""Modules inside of a captured one that have export_ncnn(): their author's word is taken, and compared."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any

import torch

from ..builder import results_of
from ..errors import BuildError
from ..ir import Graph, Values
from .blobs import as_tensor, sample
from .layout import Tensor, tensor
from .marks import Leaf


def exported_leaf(g: Graph, leaf: Leaf, inputs: Sequence[Any]) -> list[Tensor]:
    """What its export_ncnn() makes of these tensors, each with a batch in front.

    export_ncnn(g, inputs) gets them as one list, export_ncnn(g, x, y, ...) one by one; a list of one is also that one.
    """
    tensors = [as_tensor(g, x) for x in inputs]
    values = [sample(g, t, None) for t in tensors]
    module: Any = leaf.module
    named = [p for p in inspect.signature(module.export_ncnn).parameters.values() if p.default is p.empty]
    several = (len(values) > 1 and len(named) == len(values) + 1) or any(p.kind is p.VAR_POSITIONAL for p in named)
    source, g.source = g.source, None  # its own lines count
    try:
        returned = results_of(module.export_ncnn(g, *values) if several else module.export_ncnn(g, Values(values)))
    finally:
        g.source = source
    results = [value for value in returned if value is not None]
    n = max((t.shape[0] for t in tensors if t.rank > 1), default=1)
    if len(results) != len(leaf.results):
        raise _unlike(leaf, f"{len(leaf.results)} tensors", f"{len(results)}")
    made = []
    for value, want in zip(results, leaf.results, strict=True):
        if math.prod(value.shape) * n != want.numel():
            raise _unlike(leaf, list(want.shape), value)
        made.append(tensor(value, tuple(want.shape), torch.float32, n))
    return made


def _unlike(leaf: Leaf, expected: object, got: object) -> BuildError:
    what = "export_ncnn() returns something else than forward()"
    return BuildError(what, op=type(leaf.module).__name__, scope=leaf.path, expected=expected, got=got)
