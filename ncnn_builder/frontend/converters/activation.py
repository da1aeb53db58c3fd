"""Activations that are not one layer for every input, or that have weights."""

from __future__ import annotations

from typing import Any

import torch

from ...ir import Graph, Value
from ...ops.activations.activation import activation, prelu
from ...ops.activations.piecewise import threshold
from ...ops.arithmetic.binary import binaryOp
from ...ops.arithmetic.unary import unaryOp
from ...ops.common import need
from ...ops.sequences.sequence import gated
from ..blobs import around, constant, elementwise, sample, stored
from ..layout import Tensor, axis_of, tensor
from ..registry import Call, on_tensors

_LEAST_THRESHOLD = 15
"""Of softplus: above it log(1 + e^x) is x up to 3e-7, and ncnn's layer has no threshold; below one is added."""


@on_tensors("aten.prelu", "aten._prelu_kernel")
def _prelu(g: Graph, node: Call, x: Tensor, weight: Any) -> Tensor:
    """One slope, or one for each of torch's axis 1: the outermost of a sample."""
    fits = isinstance(weight, torch.Tensor)
    need(fits, "a weight that is computed", argument="weight", expected="a constant", got=weight)
    slopes = weight.reshape(-1)
    if slopes.numel() == 1:
        return elementwise(x, lambda v: prelu(g, v, slopes))
    if x.rank > 1 and x.shape[0] in (1, x.n):
        value = sample(g, x, x.rank - 1)
        return tensor(prelu(g, value, slopes)[0], x.shape, x.dtype, x.n)
    value, at = around(g, x, 1)
    if at == 0:
        return tensor(prelu(g, value, slopes)[0], x.shape, x.dtype)
    value = stored(g, x, (x.shape[0], x.shape[1], *value.shape[2:]))
    negative = binaryOp(g, [activation(g, unaryOp(g, value, "neg"), "relu")[0], _along(g, slopes, value)], "Mul")[0]
    return tensor(binaryOp(g, [activation(g, value, "relu")[0], negative], "Sub")[0], x.shape, x.dtype)


def _along(g: Graph, numbers: torch.Tensor, x: Value) -> Value:
    """Numbers for axis 1 of x, to be broadcast."""
    return constant(g, numbers, (1, numbers.numel(), *[1] * (len(x.shape) - 2)))


@on_tensors("aten.rrelu")
def _rrelu(g: Graph, node: Call, x: Tensor, lower: float, upper: float, training: bool) -> Tensor:
    """The slope is the middle of its range, but in training."""
    fix = "Call .eval() on the network first"
    need(not training, "random slopes", argument="training", expected=False, got=True, fix=fix)
    return elementwise(x, lambda v: activation(g, v, "leaky_relu", {"negative_slope": (lower + upper) / 2}))


@on_tensors("aten.softplus")
def _softplus(g: Graph, node: Call, x: Tensor, beta: float, limit: float) -> Tensor:
    need(beta > 0, "bad beta", argument="beta", expected="above 0", got=beta)

    def layers(v: Value) -> Any:
        scaled = v if beta == 1 else binaryOp(g, [v, beta], "Mul")[0]
        y = activation(g, scaled, "softplus")[0]
        y = y if beta == 1 else binaryOp(g, [y, beta], "Div")[0]
        if limit >= _LEAST_THRESHOLD:
            return y
        more = binaryOp(g, [binaryOp(g, [v, y], "Sub")[0], threshold(g, scaled, limit)[0]], "Mul")[0]
        return binaryOp(g, [y, more], "Add")[0]

    return elementwise(x, layers)


@on_tensors("aten.log_sigmoid")
def _log_sigmoid(g: Graph, node: Call, x: Tensor) -> Tensor:
    """-softplus(-x)."""
    return elementwise(x, lambda v: unaryOp(g, activation(g, unaryOp(g, v, "neg"), "softplus"), "neg"))


@on_tensors("aten.threshold")
def _threshold(g: Graph, node: Call, x: Tensor, limit: float, value: float) -> Tensor:
    """x above the limit, else a value: (x - value) * mask + value."""

    def layers(v: Value) -> Any:
        if limit == 0 and value == 0:
            return activation(g, v, "relu")
        mask = threshold(g, v, limit)
        kept = binaryOp(g, [*binaryOp(g, [v, value], "Sub"), *mask], "Mul") if value else binaryOp(g, [v, *mask], "Mul")
        return binaryOp(g, [*kept, value], "Add") if value else kept

    return elementwise(x, layers)


@on_tensors("aten.glu")
def _glu(g: Graph, node: Call, x: Tensor, dim: int) -> Tensor:
    dim = axis_of(x, dim)
    if x.n > 1 and x.shape[0] == x.n and dim > 0:
        return tensor(gated(g, sample(g, x, x.rank - 1), dim - 1)[0], node.shape, x.dtype, x.n)
    value, at = around(g, x, dim)
    return tensor(gated(g, value, at)[0], node.shape, x.dtype)
