"""What computes nothing in a net: copies, dropout after training, contexts, checks."""

from __future__ import annotations

from typing import Any

import torch

from ...ir import Graph
from ...ops.common import need
from ..layout import Tensor
from ..registry import Call, on_tensors
from .truth import truth, whole


@on_tensors(
    *("aten.alias", "aten.detach", "aten.contiguous", "aten.clone", "aten.lift_fresh_copy", "aten.lift_fresh"),
)
def _same(g: Graph, node: Call, x: Tensor) -> Tensor:
    return x


@on_tensors(*(f"aten.{name}" for name in ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout")))
def _dropout(g: Graph, node: Call, x: Tensor, p: float, train: bool) -> Tensor:
    fix = "Call .eval() on the network first; in functional.dropout(x, p, self.training) training says it"
    need(not train or p == 0, "dropout in training mode", argument="train", expected=False, got=train, fix=fix)
    return x


@on_tensors("aten.to", "aten._to_copy", "aten.type_as")
def _to(g: Graph, node: Call, x: Any, *rest: Any) -> Any:
    """Numbers are float32 in a net whatever torch calls them: whole ones have no fraction, and truth is 0 or 1."""
    if isinstance(x, torch.Tensor):  # to the type of what is computed
        return x.to(node.dtype)
    if node.dtype is torch.bool:
        return truth(g, x)
    fraction = x.dtype.is_floating_point and not node.dtype.is_floating_point
    return whole(g, x, node.dtype) if fraction else x.on(x.value, node.dtype)


@on_tensors("aten._assert_tensor_metadata")
def _checked(g: Graph, node: Call, *arguments: Any) -> None:
    """torch's own checks of what it exported."""
