"""Attention by ncnn's own layer, of any number of axes in front of rows and sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from ...ir import Graph, Value
from ...open_shapes import shape_at
from ...ops.common import need
from ...ops.sequences.attention import scaled_dot_product_attention
from ...sizes import is_open
from ..blobs import as_tensor, constant, stored, view
from ..broadcast import expanded, scalar
from ..layout import Shape, Tensor, broadcast, tensor
from ..lazy import Lazy, in_net
from ..registry import Call, on_tensors
from .truth import chosen


@on_tensors("aten.scaled_dot_product_attention")
def _attention(
    g: Graph,
    node: Call,
    q: Any,
    k: Any,
    v: Any,
    mask: Any,
    dropout_p: float,
    is_causal: bool,
    scale: Any,
    enable_gqa: bool = False,
) -> Tensor:
    """Batches and heads as one axis; groups of heads stay side by side in it."""
    need(dropout_p == 0, "dropout", argument="dropout_p", expected=0, got=dropout_p)
    q, k, v = (as_tensor(g, t) for t in (q, k, v))
    groups = k.shape[-3] if enable_gqa else None
    front = broadcast(*(t.shape[: -3 if enable_gqa else -2] for t in (q, k, v)))
    heads = (*front, *(q.shape[-3:-2] if enable_gqa else ()))
    shared = (*front, *((groups,) if groups is not None else ()))
    rows, columns = q.shape[-2], k.shape[-2]
    values = []
    for t, outer in ((q, heads), (k, shared), (v, shared)):
        t = expanded(g, t, (*outer, *t.shape[-2:]))
        values.append(stored(g, t, (math.prod(outer), *t.shape[-2:])))
    if is_causal:
        need(mask is None, "a mask beside a causal one", argument="attn_mask", expected=None)
        if is_open((rows, columns)):
            mask = in_net(g, Lazy(partial(_causal, rows, columns), (rows, columns), torch.float32))
        else:
            mask = torch.ones(rows, columns, dtype=torch.bool).tril()
    if mask is not None:
        values.append(_mask(g, mask, heads, rows, columns))
    factor = None if scale is None else scalar(scale)
    value = scaled_dot_product_attention(g, values, factor)[0]
    return tensor(value, node.shape, node.dtype)


def _causal(rows: int, columns: int, at: Mapping[str, int]) -> torch.Tensor:
    """What is added to the scores of these sizes."""
    mask = torch.ones(*shape_at((rows, columns), at), dtype=torch.bool).tril()
    added: torch.Tensor = _added(None, mask)
    return added


def _mask(g: Graph, mask: Any, heads: Shape, rows: int, columns: int) -> Value:
    """What is added to the scores, [rows, columns] or one of these for each head."""
    if mask.dtype is torch.bool:
        mask = _added(g, mask)
    outer = tuple(mask.shape[:-2])
    every = math.prod(outer) != 1
    shape = (*heads, rows, columns) if every else (rows, columns)
    dims = (math.prod(heads), rows, columns) if every else (rows, columns)
    if isinstance(mask, torch.Tensor):
        mask = mask if every else mask.reshape(mask.shape[-2:])
        return constant(g, mask.expand(shape).contiguous(), dims)
    mask = mask if every else view(g, mask, mask.shape[-2:])
    return stored(g, expanded(g, mask, shape), dims)


def _added(g: Any, mask: Any) -> Any:
    """Of truth values, which are true where keys are looked at: 0 there, and what no softmax sees elsewhere."""
    if isinstance(mask, torch.Tensor):
        return torch.zeros(mask.shape).masked_fill(~mask, -math.inf)
    return chosen(g, mask, 0.0, -math.inf, mask.shape, torch.float32)
