"""Axes that come, go, and change places: no layer is made here, see layout.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...ir import Graph
from ..blobs import view
from ..broadcast import expanded
from ..layout import Tensor, axis_of, permuted
from ..registry import Call, on_tensors


@on_tensors(
    *("aten.view", "aten.reshape", "aten._unsafe_view", "aten._reshape_alias", "aten.flatten", "aten.unflatten"),
    *("aten.squeeze", "aten.unsqueeze", "aten.view_copy", "aten.view_as", "aten.reshape_as", "aten.ravel"),
    *("aten.expand_as", "aten.unsqueeze_copy", "aten.squeeze_copy"),
)
def _view(g: Graph, node: Call, x: Tensor, *sizes: Any) -> Tensor:
    """What torch says of the result is all there is to know."""
    if math.prod(node.shape) != math.prod(x.shape):
        return expanded(g, x, node.shape)
    return view(g, x, node.shape)


@on_tensors("aten.expand")
def _expand(g: Graph, node: Call, x: Tensor, sizes: Sequence[int]) -> Tensor:
    return expanded(g, x, node.shape)


@on_tensors("aten.permute", "aten.permute_copy")
def _permute(g: Graph, node: Call, x: Tensor, dims: Sequence[int]) -> Tensor:
    return permuted(x, dims)


@on_tensors("aten.transpose.int", "aten.swapaxes")
def _transpose(g: Graph, node: Call, x: Tensor, a: int, b: int) -> Tensor:
    dims = list(range(x.rank))
    if dims:
        a, b = axis_of(x, a), axis_of(x, b)
        dims[a], dims[b] = b, a
    return permuted(x, dims)


@on_tensors("aten.t", "aten.numpy_T", "aten.mT")
def _t(g: Graph, node: Call, x: Tensor) -> Tensor:
    return permuted(x, (*range(x.rank - 2), *reversed(range(max(x.rank - 2, 0), x.rank))))


@on_tensors("aten.movedim.int")
def _movedim(g: Graph, node: Call, x: Tensor, source: int, destination: int) -> Tensor:
    rest = [i for i in range(x.rank) if i != axis_of(x, source)]
    rest.insert(axis_of(x, destination), axis_of(x, source))
    return permuted(x, rest)
