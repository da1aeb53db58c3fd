"""Normalisations: by statistics that were learnt, of channels, of groups of them, of the inner axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from ...ir import Graph, Shape, Value, Values
from ...ops.common import need
from ...ops.norms.norm import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from ..blobs import reshaped, sample, stored
from ..layout import MOST_DIMS, Tensor, tensor
from ..registry import Call, Missing, converts, on_tensors

_STATISTICS = "ncnn's layer gives no mean and variance beside the result"


def _constant(**weights: Any) -> None:
    for name, weight in weights.items():
        fits = weight is None or isinstance(weight, torch.Tensor)
        need(fits, "a weight that is computed", argument=name, expected="a constant", got=weight)


def _learnt(g: Graph, x: Value, weight: Any, bias: Any, mean: Any, var: Any, eps: float) -> Value:
    _constant(weight=weight, bias=bias, running_mean=mean, running_var=var)
    module = SimpleNamespace(weight=weight, bias=bias, running_mean=mean, running_var=var, eps=eps)
    return batch_norm(g, x, module)[0]


def _own(g: Graph, x: Value, weight: Any, bias: Any, eps: float) -> Value:
    """Each channel by its own mean and variance."""
    _constant(weight=weight, bias=bias)
    if weight is None and bias is not None:
        weight = torch.ones_like(bias)
    size = x.shape[0]
    module = SimpleNamespace(weight=weight, bias=bias, num_features=size, eps=eps, track_running_stats=False)
    return instance_norm(g, x, module)[0]


@converts("aten.batch_norm")
def _batch_norm(
    g: Graph,
    node: Call,
    x: Value,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    training: bool,
    m: float,
    eps: float,
    c: Any,
) -> Value:
    if not training:
        return _learnt(g, x, weight, bias, mean, var, eps)
    fix = "Call .eval() on the network first; without running statistics it is an instance norm of a batch of one"
    alone = mean is None and node.shape[0] == 1 and len(node.shape) > 2
    need(alone, "batch norm by the statistics of the batch", argument="training", expected=False, got=True, fix=fix)
    return _own(g, x, weight, bias, eps)


@converts("aten._native_batch_norm_legit_no_training")
def _batch_norm_inner(
    g: Graph, node: Call, x: Value, weight: Any, bias: Any, mean: Any, var: Any, m: float, eps: float
) -> Any:
    return _learnt(g, x, weight, bias, mean, var, eps), Missing(_STATISTICS), Missing(_STATISTICS)


@converts("aten.instance_norm")
def _instance_norm(
    g: Graph, node: Call, x: Value, weight: Any, bias: Any, mean: Any, var: Any, own: bool, m: float, eps: float, c: Any
) -> Value:
    return _own(g, x, weight, bias, eps) if own else _learnt(g, x, weight, bias, mean, var, eps)


def _grouped(g: Graph, x: Value, groups: int, weight: Any, bias: Any, eps: float) -> Value:
    _constant(weight=weight, bias=bias)
    if weight is None and bias is not None:
        weight = torch.ones_like(bias)
    module = SimpleNamespace(num_groups=groups, num_channels=x.shape[0], eps=eps, weight=weight, bias=bias)
    return group_norm(g, x, module)[0]


@converts("aten.group_norm")
def _group_norm(g: Graph, node: Call, x: Value, groups: int, weight: Any, bias: Any, eps: float, c: Any) -> Value:
    return _grouped(g, x, groups, weight, bias, eps)


@converts("aten.native_group_norm")
def _group_norm_inner(
    g: Graph, node: Call, x: Value, weight: Any, bias: Any, n: int, c: int, size: int, groups: int, eps: float
) -> Any:
    return _grouped(g, x, groups, weight, bias, eps), Missing(_STATISTICS), Missing(_STATISTICS)


def _inner(
    g: Graph, x: Tensor, shape: Sequence[int], layer: Callable[[Graph, Value, Any], Values], module: Any
) -> Tensor:
    """A layer that normalises the last axes, on a blob as it lies where the layer can tell them from the others."""
    size = math.prod(shape)
    rows = math.prod(x.shape) // size
    n = x.n if x.n > 1 and x.shape[0] == x.n and x.rank > len(shape) else 1
    if n > 1:
        value = sample(g, x, x.rank - 1)
        rows //= n
    elif x.in_order and x.n == 1 and _tail(x.value.shape, size):
        value = x.value
    else:
        inner = tuple(x.shape[1:] if x.rank > 1 and x.shape[0] == 1 else x.shape)
        value = stored(g, x, inner if len(inner) <= MOST_DIMS and _tail(inner, size) else _matrix(rows, size))
    tail = _tail(value.shape, size)
    if not tail:
        value = reshaped(g, value, _matrix(rows, size))
        tail = value.shape[-1:]
    y = layer(g, value, SimpleNamespace(**module, normalized_shape=tail))[0]
    return tensor(y, x.shape, x.dtype, n)


def _matrix(rows: int, size: int) -> Shape:
    return (rows, size) if rows != 1 else (size,)


def _tail(dims: Shape, size: int) -> Shape:
    """The last dimensions that are `size` numbers together, not all of them but of a vector; else none."""
    if len(dims) == 1:
        return dims if dims[0] == size else ()
    return next((dims[i:] for i in range(len(dims) - 1, 0, -1) if math.prod(dims[i:]) == size), ())


@on_tensors("aten.layer_norm")
def _layer_norm(
    g: Graph, node: Call, x: Tensor, shape: Sequence[int], weight: Any, bias: Any, eps: float, c: Any
) -> Tensor:
    _constant(weight=weight, bias=bias)
    if weight is None and bias is not None:
        weight = torch.ones_like(bias)
    return _inner(g, x, shape, layer_norm, {"weight": weight, "bias": bias, "eps": eps})


@on_tensors("aten.native_layer_norm")
def _layer_norm_inner(g: Graph, node: Call, x: Tensor, shape: Sequence[int], weight: Any, bias: Any, eps: float) -> Any:
    y = _layer_norm(g, node, x, shape, weight, bias, eps, True)
    return y, Missing(_STATISTICS), Missing(_STATISTICS)


@on_tensors("aten.rms_norm")
def _rms_norm(g: Graph, node: Call, x: Tensor, shape: Sequence[int], weight: Any, eps: float | None) -> Tensor:
    _constant(weight=weight)
    return _inner(g, x, shape, rms_norm, {"weight": weight, "eps": eps})


@on_tensors("aten._fused_rms_norm")
def _rms_norm_inner(g: Graph, node: Call, x: Tensor, shape: Sequence[int], weight: Any, eps: float | None) -> Any:
    return _rms_norm(g, node, x, shape, weight, eps), Missing(_STATISTICS)
