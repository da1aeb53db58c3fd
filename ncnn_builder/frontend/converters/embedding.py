"""Rows of a table, by whole numbers."""

from __future__ import annotations

from typing import Any

import torch

from ...ir import Graph, Value
from ...ops.common import need
from ...ops.sequences.sequence import embedding
from ..blobs import stored, view
from ..layout import Tensor, tensor
from ..registry import Call, converts, on_tensors
from ..whole import is_input
from .matrix import product
from .truth import compared

MOST = 4096
"""Rows of a table that is read by a product."""


@converts("aten.embedding", rank=1)
def _embedding(g: Graph, node: Call, weight: Any, indices: Any, *training: Any) -> Value:
    """By ncnn's own layer where the index is an input of the net, and else by a product with zeros and ones."""
    need(isinstance(weight, torch.Tensor), "a table that is computed", argument="weight", expected="a constant")
    if is_input(indices):
        return embedding(g, indices, weight)[0]
    index = tensor(indices, indices.shape, torch.float32)
    return stored(g, looked_up(g, weight, index, node.dtype), (*indices.shape, weight.shape[1]))


def looked_up(g: Graph, table: torch.Tensor, index: Tensor, dtype: Any) -> Tensor:
    """Rows of a constant table at places that are computed, by a product."""
    few, fix = len(table) <= MOST, "ncnn computes no whole numbers: make the index an input of forward()"
    need(few, "a computed index of many rows", argument="weight", expected=f"{MOST} rows", got=len(table), fix=fix)
    return product(g, _ones(g, index, len(table)), table, dtype)


@on_tensors("aten.one_hot")
def _one_hot(g: Graph, node: Call, indices: Any, num_classes: int) -> Tensor:
    return _ones(g, indices, node.shape[-1])


def _ones(g: Graph, index: Tensor, count: int) -> Tensor:
    """1 where a number is its place in a row."""
    column = view(g, index, (*index.shape, 1))
    return compared(g, "eq", column, torch.arange(float(count)), (*index.shape, count))
