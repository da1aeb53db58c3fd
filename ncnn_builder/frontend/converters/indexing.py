"""Numbers at places that are known when the net is made: slices, or a product with a matrix where these are many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ...ir import Graph
from ...ops.common import need
from ...sizes import Size
from ..axes import turned_back
from ..blobs import as_tensor, view
from ..broadcast import arithmetic, expanded
from ..layout import Tensor, broadcast, permuted
from ..registry import Call, on_tensors
from .embedding import looked_up
from .matrix import by_matrix, product
from .parts import every, joined, part, reversed_along
from .truth import compared

MOST_RUNS = 16
"""More slices than this, and a product with a matrix takes their place."""
LARGEST = 1 << 24
"""Numbers in such a matrix."""


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
    _need_small(len(places), x.shape[dim])
    matrix = torch.zeros(len(places), x.shape[dim])
    matrix[range(len(places)), list(places)] = 1
    return by_matrix(g, x, dim, matrix)


def _need_small(rows: int, columns: int) -> None:
    fix = "Numbers in an order that slices do not say cost a product with a matrix: choose fewer, or whole runs"
    few = rows * columns <= LARGEST
    need(few, "too many places", argument="index", expected=f"{LARGEST} zeros and ones", got=(rows, columns), fix=fix)


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
    need_known(index)
    return taken(g, as_tensor(g, x), dim % len(node.shape), _places(index, x.shape[dim]))


def _places(index: torch.Tensor, size: int) -> list[int]:
    return [int(i) % size for i in index.flatten().tolist()]


def need_known(*indices: Any) -> None:
    for index in indices:
        fix = "ncnn has no layer that takes numbers at places which are computed: give them as a constant or buffer"
        known = not isinstance(index, Tensor)
        need(known, "an index that is computed", argument="index", expected="a constant", fix=fix)


class _Indexed:
    """x with the axes that are indexed as one, of which the places are known.

    joint, at  the tensor, and which of its axes that is
    places     along it
    found      shape of what stands there, with the axes of the indices
    """

    def __init__(self, g: Graph, x: Tensor, indices: Sequence[Any]) -> None:
        need_known(*indices)
        known = {i: index for i, index in enumerate(indices) if index is not None}
        masks = any(index.dtype is torch.bool for index in known.values())
        need(not masks, "an index of truth values", argument="indices", expected="whole numbers", got="a mask")
        dims = list(known)
        shape = broadcast(*(index.shape for index in known.values()))
        # Indices of axes that are not neighbours: what they give comes in front.
        self.at = dims[0] if dims == list(range(dims[0], dims[-1] + 1)) else 0
        rest = [i for i in range(x.rank) if i not in known]
        self.order = [*rest[: self.at], *dims, *rest[self.at :]]
        self.turned = permuted(x, self.order)
        outer, inner = self.turned.shape[: self.at], self.turned.shape[self.at + len(dims) :]
        places = torch.zeros(shape, dtype=torch.int64)
        for dim, index in known.items():
            places = places * x.shape[dim] + index % x.shape[dim]
        self.joint = view(g, self.turned, (*outer, math.prod(x.shape[d] for d in dims), *inner))
        self.places: list[int] = places.flatten().tolist()
        self.found = (*outer, *shape, *inner)

    def back(self, g: Graph, joint: Tensor) -> Tensor:
        """A tensor like `joint` with x's own axes."""
        return turned_back(view(g, joint, self.turned.shape), tuple(self.order))


def _rows_at(g: Graph, x: Any, dim: int, index: Tensor) -> Tensor:
    """Rows of a matrix, x with axes of 1 in front of `dim`, at places that are computed and may count from the end."""
    size, rest = x.shape[dim], math.prod(x.shape[dim + 1 :])
    places = torch.arange(float(size))
    column, shape = view(g, index, (math.prod(index.shape), 1)), (math.prod(index.shape), size)
    first, last = (compared(g, "eq", column, p, shape) for p in (places, places - size))
    matrix = arithmetic(g, first, last, "Add", shape, x.dtype)
    return product(g, matrix, view(g, as_tensor(g, x), (size, rest)), x.dtype)


@on_tensors("aten.index.Tensor", "aten._unsafe_index.Tensor")
def _index(g: Graph, node: Call, x: Any, indices: Sequence[Any]) -> Tensor:
    if isinstance(x, torch.Tensor) and len(indices) == 1 and isinstance(indices[0], Tensor):
        table, index = x.reshape(len(x), -1), indices[0]
        index = arithmetic(g, index, len(x), "Add", index.shape, index.dtype)  # it may count from the end
        return view(g, looked_up(g, torch.cat((table, table)), index, node.dtype), node.shape)
    computed = [d for d, index in enumerate(indices) if isinstance(index, Tensor)]
    if len(computed) == 1 and all(x.shape[d] == 1 for d in range(len(indices)) if d != computed[0]):
        rows = _rows_at(g, x, computed[0], indices[computed[0]])
        need(math.prod(rows.shape) == math.prod(node.shape), "indices that are repeated", argument="index")
        return view(g, rows, node.shape)
    i = _Indexed(g, as_tensor(g, x), indices)
    return view(g, taken(g, i.joint, i.at, i.places), node.shape)


@on_tensors("aten.index_put", "aten._unsafe_index_put")
def _index_put(g: Graph, node: Call, x: Any, indices: Sequence[Any], values: Any, accumulate: bool) -> Tensor:
    i = _Indexed(g, as_tensor(g, x), indices)
    shape = list(i.joint.shape)
    shape[i.at] = len(i.places)
    values = expanded(g, values, i.found) if isinstance(values, Tensor) else values.expand(i.found)
    values = view(g, as_tensor(g, values), shape)
    return i.back(g, put(g, i.joint, values, i.at, i.places, add=accumulate))


def put(g: Graph, x: Tensor, values: Tensor, dim: int, places: Sequence[int], *, add: bool) -> Tensor:
    """x with values at these places along an axis; the last one counts. add: added to what is there."""
    size = x.shape[dim]
    if add:
        _need_small(size, len(places))
        matrix = torch.zeros(size, len(places))
        matrix[list(places), range(len(places))] = 1
        return arithmetic(g, x, by_matrix(g, values, dim, matrix), "Add", x.shape, x.dtype)
    new = {place: size + i for i, place in enumerate(places)}
    return taken(g, joined(g, [x, values], dim), dim, [new.get(i, i) for i in range(size)])


def _line(x: Tensor, dim: int, index: torch.Tensor) -> tuple[bool, list[int]]:
    """Whether an index says the same for all other axes, whole ones; and the places: along the axis, else flat."""
    line = index.movedim(dim, 0).flatten(1)
    whole = all(m == n for i, (m, n) in enumerate(zip(index.shape, x.shape, strict=True)) if i != dim)
    if whole and bool((line == line[:, :1]).all()):
        return True, _places(line[:, 0], x.shape[dim])
    grid = torch.meshgrid(*(torch.arange(n) for n in index.shape), indexing="ij")
    flat = torch.zeros_like(index)
    for i, size in enumerate(x.shape):
        flat = flat * size + (index % size if i == dim else grid[i])
    return False, flat.flatten().tolist()


@on_tensors("aten.gather")
def _gather(g: Graph, node: Call, x: Any, dim: int, index: Any) -> Any:
    if isinstance(x, torch.Tensor):
        return _from_table(g, node, x, dim, index)
    need_known(index)
    dim, x = dim % len(node.shape), as_tensor(g, x)
    along, places = _line(x, dim, index)
    if along:
        return taken(g, x, dim, places)
    return view(g, taken(g, view(g, x, (math.prod(x.shape),)), 0, places), node.shape)


def _from_table(g: Graph, node: Call, x: torch.Tensor, dim: int, index: Tensor) -> Any:
    """Numbers of a constant at places that are computed: of one row of numbers, or of one number everywhere."""
    if bool((x == x.flatten()[0]).all()):
        return torch.full(node.shape, x.flatten()[0].item(), dtype=node.dtype)
    if x.numel() > x.shape[dim]:
        need_known(index)
    return view(g, looked_up(g, x.reshape(-1, 1), index, node.dtype), node.shape)


@on_tensors("aten.scatter.src", "aten.scatter.value", "aten.scatter_add")
def _scatter(g: Graph, node: Call, x: Any, dim: int, index: Any, source: Any) -> Tensor:
    if isinstance(index, Tensor) and (ones := _one_hot(g, node, x, dim, index, source)) is not None:
        return ones
    need_known(index)
    dim, x = dim % len(node.shape), as_tensor(g, x)
    add = node.operator.startswith("aten.scatter_add")
    if isinstance(source, Tensor):
        for i, n in enumerate(index.shape):
            source = part(g, source, i, 0, n)
    elif isinstance(source, torch.Tensor):
        source = as_tensor(g, source[tuple(slice(n) for n in index.shape)])
    else:
        source = as_tensor(g, torch.full(index.shape, float(source)))
    along, places = _line(x, dim, index)
    if along:
        return put(g, x, source, dim, places, add=add)
    flat, values = (view(g, t, (math.prod(t.shape),)) for t in (x, source))
    return view(g, put(g, flat, values, 0, places, add=add), node.shape)


def _one_hot(g: Graph, node: Call, x: Any, dim: int, index: Tensor, value: Any) -> Tensor | None:
    """One number put into each row, mostly of zeros: codes of a codebook. None: no such."""
    shape, dtype = node.shape, node.dtype
    dim %= len(shape)
    rows = tuple(1 if i == dim else n for i, n in enumerate(shape))
    if node.operator.startswith("aten.scatter_add") or index.shape != rows or isinstance(shape[dim], Size):
        return None
    if isinstance(value, (Tensor, torch.Tensor)):
        return None
    places = torch.arange(float(shape[dim])).reshape([n if i == dim else 1 for i, n in enumerate(shape)])
    ones = compared(g, "eq", index, places, shape)
    if isinstance(x, torch.Tensor) and bool((x == x.flatten()[0]).all()):
        rest = float(x.flatten()[0])
        if (rest, float(value)) == (0.0, 1.0):
            return ones
        return arithmetic(g, arithmetic(g, ones, float(value) - rest, "Mul", shape, dtype), rest, "Add", shape, dtype)
    kept = arithmetic(g, as_tensor(g, x), compared(g, "ne", index, places, shape), "Mul", shape, dtype)
    put_in = ones if value == 1 else arithmetic(g, ones, float(value), "Mul", shape, dtype)
    return arithmetic(g, kept, put_in, "Add", shape, dtype)
