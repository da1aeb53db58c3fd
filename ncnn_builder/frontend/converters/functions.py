"""Functions of numbers that ncnn has in other words."""

from __future__ import annotations

from typing import Any

import torch

from ...ir import Graph
from ...ops.arithmetic.elementwise import MulConstant
from ...ops.arithmetic.unary import exp, log, unaryOp
from ..blobs import elementwise, view
from ..broadcast import arithmetic, expanded
from ..layout import Tensor
from ..registry import Call, on_tensors
from .reduce import negated
from .truth import above


def _function(operator: str, layer: Any) -> None:
    on_tensors(operator)(lambda g, node, x: elementwise(x, lambda v: layer(g, v)))


_function("aten.log2", lambda g, v: log(g, v, 2))
_function("aten.exp2", lambda g, v: exp(g, v, 2))


def _two(operator: str, op: str) -> None:
    on_tensors(operator)(lambda g, node, a, b: arithmetic(g, a, b, op, node.shape, node.dtype))


_two("aten.fmax", "Max")
_two("aten.fmin", "Min")


def _by(g: Graph, name: str, x: Any) -> Any:
    return elementwise(x, lambda v: unaryOp(g, v, name)) if isinstance(x, Tensor) else getattr(x, name)()


@on_tensors("aten.hypot")
def _hypot(g: Graph, node: Call, a: Any, b: Any) -> Tensor:
    squares = arithmetic(g, _by(g, "square", a), _by(g, "square", b), "Add", node.shape, node.dtype)
    return elementwise(squares, lambda v: unaryOp(g, v, "sqrt"))


@on_tensors("aten.logaddexp")
def _logaddexp(g: Graph, node: Call, a: Any, b: Any) -> Tensor:
    """max + log(1 + exp(-|a - b|)): ncnn's own adds up exp(a) and exp(b) as they are."""
    away = _by(g, "abs", arithmetic(g, a, b, "Sub", node.shape, node.dtype))
    powers = _by(g, "exp", negated(g, away))
    top = arithmetic(g, a, b, "Max", node.shape, node.dtype)
    return arithmetic(g, top, _by(g, "log1p", powers), "Add", node.shape, node.dtype)


@on_tensors("aten.copysign.Tensor")
def _copysign(g: Graph, node: Call, a: Any, b: Any) -> Tensor:
    if isinstance(b, Tensor):
        below = above(g, negated(g, b), 0.0)
        sign: Any = elementwise(below, lambda v: MulConstant(g, v, -2.0, 1.0), torch.float32)
    else:
        sign = torch.ones_like(b).copysign(b)
    return arithmetic(g, _by(g, "abs", a), sign, "Mul", node.shape, node.dtype)


@on_tensors("aten.div.Scalar")
def _divided(g: Graph, node: Call, x: Tensor, number: Any) -> Tensor:
    return arithmetic(g, x, number, "Div", node.shape, node.dtype)


@on_tensors("aten.meshgrid")
def _meshgrid(g: Graph, node: Call, tensors: Any, indexing: str = "ij") -> tuple[Any, ...]:
    made = []
    for i, (t, shape) in enumerate(zip(tensors, node.shapes, strict=True)):
        axis = 1 - i if indexing == "xy" and i < 2 else i
        wide = [n if d == axis else 1 for d, n in enumerate(shape)]
        made.append(expanded(g, view(g, t, wide), shape) if isinstance(t, Tensor) else t.reshape(wide).expand(shape))
    return tuple(made)
