"""Functions of each number, activations, and arithmetic of two tensors."""

from __future__ import annotations

from typing import Any

from ...ir import Graph, Value
from ...ops.activations.activation import activation
from ...ops.arithmetic.binary import binaryOp
from ...ops.arithmetic.elementwise import MulConstant, clamp
from ...ops.arithmetic.unary import UNARY, unaryOp
from ...ops.common import need
from ..blobs import elementwise
from ..broadcast import arithmetic, scalar
from ..layout import Tensor
from ..registry import Call, on_tensors


def _unary(name: str) -> None:
    on_tensors(f"aten.{name}")(lambda g, node, x: elementwise(x, lambda v: unaryOp(g, v, name), node.dtype))


for _name in UNARY:
    _unary(_name)


@on_tensors("aten.absolute")
def _absolute(g: Graph, node: Call, x: Tensor) -> Tensor:
    return elementwise(x, lambda v: unaryOp(g, v, "abs"))


def _activation(operator: str, name: str, *arguments: str) -> None:
    """This operator by the DSL's activation of a name, its other arguments being these of it, in their order."""

    def convert(g: Graph, node: Call, x: Tensor, *values: Any) -> Tensor:
        given = dict(zip(arguments, map(scalar, values), strict=True))
        return elementwise(x, lambda v: activation(g, v, name, given))

    on_tensors(f"aten.{operator}")(convert)


_activation("relu", "relu")
_activation("relu6", "relu6")
_activation("leaky_relu", "leaky_relu", "negative_slope")
_activation("celu", "celu", "alpha")
_activation("selu", "selu")
_activation("silu", "swish")
_activation("mish", "mish")
_activation("sigmoid", "sigmoid")
_activation("hardtanh", "hardtanh", "min_val", "max_val")
_activation("hardsigmoid", "hardsigmoid")
_activation("hardswish", "hardswish")
_activation("hardshrink", "hardshrink", "lambd")
_activation("softshrink", "softshrink", "lambd")
_activation("erf", "erf")


@on_tensors("aten.erfc", "aten.special_erfc")
def _erfc(g: Graph, node: Call, x: Tensor) -> Tensor:
    """1 - erf(x): right to the last bits of 1, and 0 from x = 4 on, where erfc is below 2e-8."""
    return elementwise(x, lambda v: binaryOp(g, [activation(g, v, "erf")[0], 1.0], "RSub"))


@on_tensors("aten.elu")
def _elu(g: Graph, node: Call, x: Tensor, alpha: float, scale: float, input_scale: float) -> Tensor:
    need(scale == 1 and input_scale == 1, "scaled", argument="scale", expected=1, got=(scale, input_scale))
    return elementwise(x, lambda v: activation(g, v, "elu", {"alpha": alpha}))


@on_tensors("aten.gelu")
def _gelu(g: Graph, node: Call, x: Tensor, approximate: str) -> Tensor:
    return elementwise(x, lambda v: activation(g, v, "gelu", {"approximate": approximate}))


@on_tensors("aten.clamp.default")
def _clamp(g: Graph, node: Call, x: Tensor, low: float | None, high: float | None) -> Tensor:
    def layer(v: Value) -> Any:
        if low is not None and high is not None:
            return clamp(g, v, low, high)
        return binaryOp(g, [v, high if low is None else low], "Min" if low is None else "Max")

    return elementwise(x, layer)


def _binary(operator: str, op: str) -> None:
    on_tensors(operator)(lambda g, node, a, b: arithmetic(g, a, b, op, node.shape, node.dtype))


_binary("aten.mul", "Mul")
_binary("aten.maximum", "Max")
_binary("aten.minimum", "Min")
_binary("aten.atan2", "Atan2")
_binary("aten.pow.Tensor_Tensor", "Pow")
_binary("aten.pow.Tensor_Scalar", "Pow")
_binary("aten.pow.Scalar", "Pow")
_binary("aten.div.Tensor", "Div")


def _sum(operator: str, op: str) -> None:
    """a + alpha * b, or a - alpha * b."""

    def convert(g: Graph, node: Call, a: Any, b: Any, alpha: Any) -> Tensor:
        if scalar(alpha) != 1:
            factor = float(alpha)
            b = elementwise(b, lambda v: MulConstant(g, v, factor)) if isinstance(b, Tensor) else b * factor
        return arithmetic(g, a, b, op, node.shape, node.dtype)

    on_tensors(operator)(convert)


_sum("aten.add", "Add")
_sum("aten.sub", "Sub")


@on_tensors("aten.rsub")
def _rsub(g: Graph, node: Call, a: Any, b: Any, alpha: Any) -> Tensor:
    need(scalar(alpha) == 1, "scaled", argument="alpha", expected=1, got=alpha)
    return arithmetic(g, b, a, "Sub", node.shape, node.dtype)


@on_tensors("aten.square")
def _square(g: Graph, node: Call, x: Tensor) -> Tensor:
    return elementwise(x, lambda v: unaryOp(g, v, "square"))
