"""The greatest numbers, one after the other: ncnn sorts nothing."""

from __future__ import annotations

from typing import Any

import torch

from ...ir import Graph
from ...ops.common import need
from ..blobs import view
from ..layout import Tensor, axis_of
from ..registry import Call, on_tensors
from .parts import joined
from .reduce import negated, place_of_greatest, reduced
from .truth import chosen, compared

MOST = 16
"""So many numbers are looked for at most: each costs ten layers."""
GONE = -3e38


def greatest(g: Graph, x: Tensor, dim: int, count: int, *, largest: bool) -> tuple[Tensor, Tensor]:
    """The first `count` numbers along an axis by size, and where they are."""
    need(count <= MOST, "too many numbers", argument="k", expected=f"at most {MOST}", got=count)
    places = torch.arange(float(x.shape[dim])).reshape([-1 if i == dim else 1 for i in range(x.rank)])
    rest = x if largest else negated(g, x)
    values: list[Tensor] = []
    found: list[Tensor] = []
    for i in range(count):
        if i:  # without the one that was found
            there = compared(g, "eq", places, found[-1], x.shape)
            rest = chosen(g, there, GONE, rest, x.shape, x.dtype)
        values.append(reduced(g, rest, "ReduceMax", [dim]))
        found.append(place_of_greatest(g, rest, values[-1], dim))
    ranked = joined(g, values, dim)
    return ranked if largest else negated(g, ranked), joined(g, found, dim)


@on_tensors("aten.topk")
def _topk(g: Graph, node: Call, x: Tensor, k: int, dim: int, largest: bool, order: bool) -> tuple[Tensor, ...]:
    """Sorted, which torch leaves open where it is not asked for."""
    return _shaped(g, node, greatest(g, x, axis_of(x, dim), k, largest=largest))


@on_tensors("aten.sort.default")
def _sort(g: Graph, node: Call, x: Tensor, dim: int, descending: bool) -> tuple[Tensor, ...]:
    dim = axis_of(x, dim)
    return _shaped(g, node, greatest(g, x, dim, x.shape[dim], largest=descending))


@on_tensors("aten.argsort.default")
def _argsort(g: Graph, node: Call, x: Tensor, dim: int, descending: bool) -> Any:
    dim = axis_of(x, dim)
    places = greatest(g, x, dim, x.shape[dim], largest=descending)[1]
    return view(g, places, node.shape)


def _shaped(g: Graph, node: Call, results: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(view(g, t, shape) for t, shape in zip(results, node.shapes, strict=True))
