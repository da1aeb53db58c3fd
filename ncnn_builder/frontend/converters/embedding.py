"""Rows of a table, by whole numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch

from ...ir import Graph
from ...ops.common import need
from ...ops.sequences.sequence import embedding
from ..blobs import view
from ..layout import Tensor, tensor
from ..registry import Call, on_tensors
from ..whole import as_floats, is_whole
from .matrix import product
from .truth import compared

MOST = 4096
"""Rows of a table that is read by a product."""


@on_tensors("aten.embedding")
def _embedding(g: Graph, node: Call, weight: Any, indices: Tensor, *training: Any) -> Tensor:
    """By ncnn's own layer where the index is a list and an input of the net, else by a product with zeros and ones."""
    need(isinstance(weight, torch.Tensor), "a table that is computed", argument="weight", expected="a constant")
    count = math.prod(indices.shape)
    if not is_whole(indices):
        index = replace(indices, dtype=torch.float32)
    elif indices.value.shape == (count,):  # a list, as the layer takes it
        rows = embedding(g, indices.value, weight)[0]
        return view(g, tensor(rows, (count, weight.shape[1]), node.dtype), node.shape)
    else:
        index = as_floats(g, indices, {})
    return looked_up(g, weight, index, node.dtype)


def looked_up(g: Graph, table: torch.Tensor, index: Tensor, dtype: Any) -> Tensor:
    """Rows of a constant table at places that are computed, by a product."""
    few = len(table) <= MOST
    fix = "ncnn computes no whole numbers: make the index an input of forward(), as a list or a batch of one"
    need(few, "a computed index of many rows", argument="weight", expected=f"{MOST} rows", got=len(table), fix=fix)
    return product(g, _ones(g, index, len(table)), table, dtype)


@on_tensors("aten.one_hot")
def _one_hot(g: Graph, node: Call, indices: Any, num_classes: int) -> Tensor:
    return _ones(g, indices, node.shape[-1])


def _ones(g: Graph, index: Tensor, count: int) -> Tensor:
    """1 where a number is its place in a row."""
    column = view(g, index, (*index.shape, 1))
    return compared(g, "eq", column, torch.arange(float(count)), (*index.shape, count))
