"""Activations of torch.nn."""

from __future__ import annotations

from typing import Any

from ..builder import one
from ..ir import Graph, Values
from ..ops.activations.activation import activation, prelu
from ..ops.activations.piecewise import threshold
from ..ops.arithmetic.binary import binaryOp
from ..ops.arithmetic.reduce import reduction, softmax
from ..ops.arithmetic.unary import unaryOp
from ..ops.common import need
from ..ops.sequences.sequence import glu
from .walk import exports, through

_LEAST_THRESHOLD = 15
"""Of nn.Softplus: above it log(1 + e^x) is x up to 3e-7, and ncnn's layer has no threshold."""


def _named(kind: str, name: str, *arguments: str) -> None:
    """Export this class by the DSL's activation of a name, its arguments being attributes of the module."""
    exports(kind)(lambda g, module, inputs: activation(g, inputs, name, {a: getattr(module, a) for a in arguments}))


_named("ReLU", "relu")
_named("ReLU6", "relu6")
_named("LeakyReLU", "leaky_relu", "negative_slope")
_named("ELU", "elu", "alpha")
_named("CELU", "celu", "alpha")
_named("SELU", "selu")
_named("GELU", "gelu", "approximate")
_named("SiLU", "swish")
_named("Mish", "mish")
_named("Sigmoid", "sigmoid")
_named("Tanh", "tanh")
_named("Hardtanh", "hardtanh", "min_val", "max_val")
_named("Hardsigmoid", "hardsigmoid")
_named("Hardswish", "hardswish")
_named("Hardshrink", "hardshrink", "lambd")
_named("Softshrink", "softshrink", "lambd")
through("PReLU", prelu)


@exports("RReLU", eval_only=True)
def _rrelu(g: Graph, module: Any, inputs: Values) -> Values:
    """In eval mode the slope is the middle of its range."""
    return activation(g, inputs, "leaky_relu", {"negative_slope": (module.lower + module.upper) / 2})


@exports("Softplus")
def _softplus(g: Graph, module: Any, inputs: Values) -> Values:
    beta, limit = module.beta, module.threshold
    need(beta > 0, "bad beta", argument="beta", expected="above 0", got=beta)
    need(limit >= _LEAST_THRESHOLD, "bad threshold", argument="threshold", expected=f">= {_LEAST_THRESHOLD}", got=limit)
    if beta == 1:
        return activation(g, inputs, "softplus")
    scaled = binaryOp(g, [one(inputs), beta], "Mul")
    return binaryOp(g, [*activation(g, scaled, "softplus"), beta], "Div")


@exports("LogSigmoid")
def _log_sigmoid(g: Graph, module: Any, inputs: Values) -> Values:
    """-softplus(-x)."""
    return unaryOp(g, activation(g, unaryOp(g, inputs, "neg"), "softplus"), "neg")


@exports("Softsign")
def _softsign(g: Graph, module: Any, inputs: Values) -> Values:
    """x / (1 + |x|)."""
    x = one(inputs)
    return binaryOp(g, [x, *binaryOp(g, [*unaryOp(g, x, "abs"), 1], "Add")], "Div")


@exports("Tanhshrink")
def _tanhshrink(g: Graph, module: Any, inputs: Values) -> Values:
    x = one(inputs)
    return binaryOp(g, [x, *activation(g, x, "tanh")], "Sub")


@exports("Threshold")
def _threshold(g: Graph, module: Any, inputs: Values) -> Values:
    """x above the threshold, else value: (x - value) * mask + value."""
    x = one(inputs)
    mask = threshold(g, x, module.threshold)
    kept = binaryOp(g, [*binaryOp(g, [x, module.value], "Sub"), *mask], "Mul")
    return binaryOp(g, [*kept, module.value], "Add")


@exports("GLU")
def _glu(g: Graph, module: Any, inputs: Values) -> Values:
    return glu(g, inputs, module.dim)


def _dim(module: Any) -> int:
    need(module.dim is not None, "which dimension", argument="dim", expected="a number, counting the batch", got=None)
    return int(module.dim)


@exports("Softmax")
def _softmax(g: Graph, module: Any, inputs: Values) -> Values:
    return softmax(g, inputs, _dim(module))


@exports("Softmax2d")
def _softmax2d(g: Graph, module: Any, inputs: Values) -> Values:
    return softmax(g, inputs, 1)


@exports("Softmin")
def _softmin(g: Graph, module: Any, inputs: Values) -> Values:
    return softmax(g, unaryOp(g, inputs, "neg"), _dim(module))


@exports("LogSoftmax")
def _log_softmax(g: Graph, module: Any, inputs: Values) -> Values:
    """s - log(sum e^s) with s = x - max x: the logarithm of a softmax would be -inf where that is 0."""
    x, dim = one(inputs), _dim(module)
    rank = len(x.shape) + 1
    # A vector has no axis but the one it is reduced over: keepdim keeps it.
    shifted = binaryOp(g, [x, *reduction(g, x, "ReduceMax", rank, (dim,), keepdim=True)], "Sub")
    total = reduction(g, unaryOp(g, shifted, "exp"), "ReduceSum", rank, (dim,), keepdim=True)
    return binaryOp(g, [*shifted, *unaryOp(g, total, "log")], "Sub")
