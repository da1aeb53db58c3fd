"""Tensors that depend on another's shape only, or take another's place: constants as far as can be."""

from __future__ import annotations

from typing import Any

import torch

from ...ir import Graph
from ...open_shapes import shape_at
from ...ops.common import need
from ...sizes import is_open
from ..broadcast import expanded, scalar
from ..layout import Tensor
from ..lazy import Lazy
from ..registry import Call, on_tensors


def _one_number(node: Call, number: float) -> torch.Tensor | Lazy:
    """A constant that is this number everywhere."""
    shape, dtype = node.shape, node.dtype
    if not is_open(shape):
        return torch.full(shape, number, dtype=dtype)
    return Lazy(lambda at: torch.full(shape_at(shape, at), number, dtype=dtype), shape, dtype)


def _filled(number: int, *operators: str) -> None:
    on_tensors(*operators)(lambda g, node, x, *size: _one_number(node, number))


_filled(0, "aten.zeros_like", "aten.new_zeros", "aten.zero", "aten.empty_like", "aten.new_empty")
_filled(1, "aten.ones_like", "aten.new_ones")


@on_tensors("aten.full_like", "aten.fill.Scalar", "aten.fill.Tensor")
def _full_like(g: Graph, node: Call, x: Any, value: Any) -> Any:
    if isinstance(value, Tensor):
        return expanded(g, value, node.shape)
    return _one_number(node, scalar(value))


@on_tensors("aten.new_full")
def _new_full(g: Graph, node: Call, x: Any, size: Any, value: Any) -> torch.Tensor | Lazy:
    return _one_number(node, scalar(value))


@on_tensors("aten.copy")
def _copy(g: Graph, node: Call, x: Any, other: Any) -> Any:
    if isinstance(other, torch.Tensor):
        return other.to(node.dtype).expand(node.shape)
    need(other.dtype is node.dtype or node.dtype.is_floating_point, "a cast to whole numbers", got=other.dtype)
    return expanded(g, other, node.shape)
