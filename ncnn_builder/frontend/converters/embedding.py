"""Rows of a table, by whole numbers that are an input of the net."""

from __future__ import annotations

from typing import Any

import torch

from ...ir import Graph, Value
from ...ops.common import need
from ...ops.sequence import embedding
from ..registry import Call, converts
from ..whole import is_input


def rows(g: Graph, table: torch.Tensor, indices: Any) -> Value:
    """table[indices], of a vector of whole numbers."""
    fix = "ncnn looks rows up by whole numbers only, and computes none: make the index an input of forward()"
    known = isinstance(indices, Value) and is_input(indices)
    need(known, "an index that is computed", argument="indices", expected="an input of the net", got=indices, fix=fix)
    return embedding(g, indices, table)[0]


@converts("aten.embedding", rank=1)
def _embedding(g: Graph, node: Call, weight: Any, indices: Any, *training: Any) -> Value:
    need(isinstance(weight, torch.Tensor), "a table that is computed", argument="weight", expected="a constant")
    return rows(g, weight, indices)


@converts("aten.one_hot", rank=1)
def _one_hot(g: Graph, node: Call, indices: Any, num_classes: int) -> Value:
    need(num_classes > 0, "how many classes is not known", argument="num_classes", expected="a number", got=num_classes)
    return rows(g, torch.eye(num_classes), indices)
