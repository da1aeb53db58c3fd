"""Products with matrices."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import torch

from ...ir import Graph
from ...ops.arithmetic.channelwise import linear
from ..blobs import stored
from ..broadcast import arithmetic
from ..layout import Tensor, permuted, tensor
from ..registry import Call, on_tensors
from .matrix import product


@on_tensors("aten.linear")
def _linear(g: Graph, node: Call, x: Any, weight: Any, bias: Any) -> Tensor:
    """Over the last axis: the others are rows of one matrix."""
    if isinstance(weight, torch.Tensor) and isinstance(x, Tensor) and not isinstance(bias, Tensor):
        rows = math.prod(x.shape[:-1])
        value = stored(g, x, (rows, x.shape[-1]) if rows != 1 else x.shape[-1:])
        return tensor(linear(g, value, SimpleNamespace(weight=weight, bias=bias))[0], node.shape, node.dtype)
    turned = permuted(weight, tuple(reversed(range(weight.rank)))) if isinstance(weight, Tensor) else weight.T
    y = product(g, x, turned, node.dtype)
    return y if bias is None else arithmetic(g, y, bias, "Add", node.shape, node.dtype)
