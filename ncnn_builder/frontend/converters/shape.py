"""Axes that come, go, and change places: no layer is made here, see layout.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ...ir import Graph
from ...ops.shapes.orders import diag
from ..blobs import stored, view
from ..broadcast import arithmetic, expanded
from ..layout import Tensor, axis_of, permuted, tensor
from ..registry import Call, on_tensors
from ..repeat import repeated
from .indexing import taken
from .matrix import by_matrix
from .parts import every, part


@on_tensors(
    *("aten.view", "aten.reshape", "aten._unsafe_view", "aten._reshape_alias", "aten.flatten", "aten.unflatten"),
    *("aten.squeeze", "aten.unsqueeze", "aten.view_copy", "aten.view_as", "aten.reshape_as", "aten.ravel"),
    *("aten.expand_as", "aten.unsqueeze_copy", "aten.squeeze_copy"),
)
def _view(g: Graph, node: Call, x: Tensor, *sizes: Any) -> Tensor:
    """What torch says of the result is all there is to know."""
    if math.prod(node.shape) != math.prod(x.shape):
        return _expand(g, node, x, node.shape)
    return view(g, x, node.shape)


@on_tensors("aten.expand")
def _expand(g: Graph, node: Call, x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Filled up, or left to the layer that broadcasts it."""
    return x if node.spread else expanded(g, x, node.shape)


@on_tensors("aten.broadcast_to")
def _broadcast_to(g: Graph, node: Call, x: Tensor, sizes: Sequence[int]) -> Tensor:
    return expanded(g, x, node.shape)


@on_tensors("aten.repeat", "aten.tile")
def _repeat(g: Graph, node: Call, x: Tensor, times: Sequence[int]) -> Tensor:
    rank = len(node.shape)
    x = view(g, x, (1,) * (rank - x.rank) + x.shape)
    return repeated(g, x, [*(1,) * (rank - len(times)), *times])


@on_tensors("aten.repeat_interleave.self_int")
def _repeat_interleave(
    g: Graph, node: Call, x: Tensor, repeats: int, dim: int | None, output_size: int | None
) -> Tensor:
    """Each number so often: an axis behind it is repeated. output_size: what torch knows already."""
    if dim is None:
        x, dim = view(g, x, (math.prod(x.shape),)), 0
    dim = axis_of(x, dim)
    wide = (*x.shape[: dim + 1], repeats, *x.shape[dim + 1 :])
    return view(g, expanded(g, view(g, x, (*x.shape[: dim + 1], 1, *x.shape[dim + 1 :])), wide), node.shape)


@on_tensors("aten.permute", "aten.permute_copy")
def _permute(g: Graph, node: Call, x: Tensor, dims: Sequence[int]) -> Tensor:
    return permuted(x, dims)


@on_tensors("aten.transpose.int", "aten.swapaxes", "aten.swapdims")
def _transpose(g: Graph, node: Call, x: Tensor, a: int, b: int) -> Tensor:
    dims = list(range(x.rank))
    if dims:
        a, b = axis_of(x, a), axis_of(x, b)
        dims[a], dims[b] = b, a
    return permuted(x, dims)


@on_tensors("aten.t", "aten.numpy_T", "aten.mT")
def _t(g: Graph, node: Call, x: Tensor) -> Tensor:
    return permuted(x, (*range(x.rank - 2), *reversed(range(max(x.rank - 2, 0), x.rank))))


@on_tensors("aten.movedim", "aten.moveaxis")
def _movedim(g: Graph, node: Call, x: Tensor, source: Any, destination: Any) -> Tensor:
    pairs = [(source, destination)] if isinstance(source, int) else zip(source, destination, strict=True)
    places = {axis_of(x, to): axis_of(x, at) for at, to in pairs}
    rest = iter(i for i in range(x.rank) if i not in places.values())
    return permuted(x, [places[i] if i in places else next(rest) for i in range(x.rank)])


@on_tensors("aten.diag")
def _diag(g: Graph, node: Call, x: Tensor, diagonal: int) -> Tensor:
    return tensor(diag(g, stored(g, x, x.shape), diagonal)[0], node.shape, x.dtype)


@on_tensors("aten.diagonal", "aten.diagonal_copy")
def _diagonal(g: Graph, node: Call, x: Tensor, offset: int, first: int, second: int) -> Tensor:
    """Of the last two axes as one, each number behind a row and one more."""
    first, second = axis_of(x, first), axis_of(x, second)
    order = [*(i for i in range(x.rank) if i not in (first, second)), first, second]
    x = permuted(x, order)
    if x.rank == 2:
        return tensor(diag(g, stored(g, x, x.shape), offset)[0], node.shape, x.dtype)
    *outer, rows, columns = x.shape
    flat = view(g, x, (*outer, rows * columns))
    begin = offset if offset >= 0 else -offset * columns
    return view(g, every(g, flat, len(outer), begin, node.shape[-1], columns + 1), node.shape)


@on_tensors("aten.diag_embed")
def _diag_embed(g: Graph, node: Call, x: Tensor, offset: int, first: int, second: int) -> Tensor:
    """Columns by a matrix of zeros and ones."""
    rank = len(node.shape)
    first, second = first % rank, second % rank
    size = node.shape[first]
    column = torch.zeros(size, x.shape[-1])
    column[torch.arange(x.shape[-1]) + max(-offset, 0), torch.arange(x.shape[-1])] = 1
    mask = torch.diag(torch.ones(x.shape[-1]), offset)
    y = by_matrix(g, x, x.rank - 1, column)  # each number in its row
    y = arithmetic(g, view(g, y, (*y.shape, 1)), mask, "Mul", (*y.shape, size), x.dtype)
    rest = iter(range(rank - 2))
    return permuted(y, [rank - 2 if i == first else rank - 1 if i == second else next(rest) for i in range(rank)])


@on_tensors("aten.unfold")
def _unfold(g: Graph, node: Call, x: Tensor, dim: int, size: int, step: int) -> Tensor:
    """Windows along an axis, each number of a window as an axis at the end."""
    dim = axis_of(x, dim) if x.rank else 0
    count = node.shape[dim]
    if size == step:
        cut = part(g, x, dim, 0, count * step)
        rows = view(g, cut, (*x.shape[:dim], count, step, *x.shape[dim + 1 :]))
        return permuted(rows, [i for i in range(rows.rank) if i != dim + 1] + [dim + 1])
    places = [i * step + k for i in range(count) for k in range(size)]
    rows = view(g, taken(g, x, dim, places), (*x.shape[:dim], count, size, *x.shape[dim + 1 :]))
    return permuted(rows, [i for i in range(rows.rank) if i != dim + 1] + [dim + 1])
