"""Products with matrices."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import torch

from ...ir import Graph
from ...ops.channelwise import linear
from ...ops.common import need
from ..blobs import stored
from ..layout import Tensor, tensor
from ..registry import Call, on_tensors


@on_tensors("aten.linear")
def _linear(g: Graph, node: Call, x: Tensor, weight: Any, bias: Any) -> Tensor:
    """Over the last axis: the others are rows of one matrix."""
    constant = isinstance(weight, torch.Tensor) and not isinstance(bias, Tensor)
    need(constant, "a weight that is computed", argument="weight", expected="a constant", got=weight)
    rows = math.prod(x.shape[:-1])
    value = stored(g, x, (rows, x.shape[-1]) if rows > 1 else x.shape[-1:])
    return tensor(linear(g, value, SimpleNamespace(weight=weight, bias=bias))[0], node.shape, node.dtype)
