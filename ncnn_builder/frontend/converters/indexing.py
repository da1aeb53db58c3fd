"""Numbers at places that are known when the net is made: slices, or a product with a matrix where these are many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ...ir import Graph
from ...ops.common import need
from ..blobs import as_tensor, view
from ..layout import Tensor, broadcast, permuted
from ..registry import Call, on_tensors
from .matrix import by_matrix
from .parts import every, joined, reversed_along

MOST_RUNS = 16
"""More slices than this, and a product with a matrix takes their place."""


def taken(g: Graph, x: Tensor, dim: int, places: Sequence[int]) -> Tensor:
    """x at these places along an axis, which are known: as few slices as can be, or a product with a matrix of ones."""
    runs = runs_of_places(places)
    if len(runs) <= MOST_RUNS:
        found = []
        for begin, count, step in runs:
            if step < 0:
                run = every(g, x, dim, begin + (count - 1) * step, count, -step)
                found.append(reversed_along(g, run, [dim]))
            else:
                found.append(every(g, x, dim, begin, count, step))
        return joined(g, found, dim)
    matrix = torch.zeros(len(places), x.shape[dim])
    matrix[range(len(places)), list(places)] = 1
    return by_matrix(g, x, dim, matrix)


def runs_of_places(places: Sequence[int]) -> list[tuple[int, int, int]]:
    """Places as (first, count, step) of pieces whose numbers have one distance."""
    runs: list[tuple[int, int, int]] = []
    for place in places:
        if runs:
            first, count, step = runs[-1]
            gap = place - (first + (count - 1) * step)
            if gap and (count == 1 or gap == step):
                runs[-1] = first, count + 1, gap
                continue
        runs.append((place, 1, 1))
    return runs


@on_tensors("aten.index_select")
def _index_select(g: Graph, node: Call, x: Any, dim: int, index: Any) -> Tensor:
    _need_known(index)
    return taken(g, as_tensor(g, x), dim % len(node.shape), _places(index, x.shape[dim]))


def _places(index: torch.Tensor, size: int) -> list[int]:
    return [int(i) % size for i in index.flatten().tolist()]


def _need_known(*indices: Any) -> None:
    for index in indices:
        fix = "ncnn has no layer that takes numbers at places which are computed: give them as a constant or buffer"
        known = not isinstance(index, Tensor)
        need(known, "an index that is computed", argument="index", expected="a constant", fix=fix)


@on_tensors("aten.index.Tensor")
def _index(g: Graph, node: Call, x: Any, indices: Sequence[Any]) -> Tensor:
    """Axes that are indexed become one, of which the places are taken."""
    _need_known(*indices)
    known = {i: index for i, index in enumerate(indices) if index is not None}
    masks = any(index.dtype is torch.bool for index in known.values())
    need(not masks, "an index of truth values", argument="indices", expected="whole numbers", got="a mask")
    dims = list(known)
    together = [i.expand(broadcast(*(k.shape for k in known.values()))) for i in known.values()]
    # Indices of axes that are not neighbours: what they give comes in front.
    front = dims[0] if dims == list(range(dims[0], dims[-1] + 1)) else 0
    rest = [i for i in range(x.rank) if i not in known]
    order = [*rest[:front], *dims, *rest[front:]]
    turned = permuted(as_tensor(g, x), order)
    sizes = [x.shape[d] for d in dims]
    flat = torch.zeros_like(together[0])
    for index, size in zip(together, sizes, strict=True):
        flat = flat * size + index % size
    count = flat.numel()
    shape = turned.shape
    joint = view(g, turned, (*shape[:front], math.prod(sizes), *shape[front + len(dims) :]))
    found = taken(g, joint, front, flat.flatten().tolist())
    assert found.shape[front] == count
    return view(g, found, node.shape)


@on_tensors("aten.gather")
def _gather(g: Graph, node: Call, x: Any, dim: int, index: Any) -> Tensor:
    """Places that are the same for all other axes are one index; else those of the flat tensor."""
    _need_known(index)
    dim %= len(node.shape)
    x = as_tensor(g, x)
    line = index.movedim(dim, 0).flatten(1)
    whole = all(m == n for i, (m, n) in enumerate(zip(index.shape, x.shape, strict=True)) if i != dim)
    if whole and bool((line == line[:, :1]).all()):
        return taken(g, x, dim, _places(line[:, 0], x.shape[dim]))
    grid = torch.meshgrid(*(torch.arange(n) for n in index.shape), indexing="ij")
    flat = torch.zeros_like(index)
    for i, size in enumerate(x.shape):
        flat = flat * size + (index % size if i == dim else grid[i])
    return view(g, taken(g, view(g, x, (math.prod(x.shape),)), 0, flat.flatten().tolist()), node.shape)
