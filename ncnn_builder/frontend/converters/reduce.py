"""Sums, means and other reductions; softmax and running sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ...ir import Graph, Value
from ...ops.activations.piecewise import threshold
from ...ops.arithmetic.binary import binaryOp
from ...ops.arithmetic.reduce import really_reduction, softmax
from ...ops.arithmetic.unary import unaryOp
from ...ops.common import need
from ...ops.sequences.sequence import cumsum
from ..axes import along, marked, turned_back
from ..blobs import as_tensor, elementwise, view
from ..broadcast import arithmetic, expanded, scalar
from ..layout import Tensor, axis_of, broadcast, tensor
from ..registry import Call, on_tensors


def dims_of(x: Tensor, dim: Any) -> list[int]:
    """Axes as numbers from 0; of None and of none, all."""
    if dim is None or dim == []:
        return list(range(x.rank))
    return [axis_of(x, d) for d in (dim if isinstance(dim, (list, tuple)) else [dim])]


def reduced(g: Graph, x: Tensor, op: str, dims: Sequence[int]) -> Tensor:
    """A reduction over some axes, which are 1 then."""
    if all(x.shape[d] == 1 for d in dims):
        return elementwise(x, lambda v: _of_one(g, v, op))
    m = marked(g, x, dims)
    value = really_reduction(g, m.value, op, m.at, keepdim=len(m.at) < len(m.value.shape))[0]
    return turned_back(tensor(value, m.shape, x.dtype), m.order)


def _of_one(g: Graph, v: Value, op: str) -> Value:
    """What a reduction makes of a single number."""
    names = {"ReduceL1": "abs", "ReduceL2": "abs", "ReduceSumSquare": "square", "ReduceLogSum": "log"}
    return unaryOp(g, v, names[op])[0] if op in names else v


def _reduction(operators: Sequence[str], op: str) -> None:
    def convert(g: Graph, node: Call, x: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
        return view(g, reduced(g, x, op, dims_of(x, dim)), node.shape)

    def of_all(g: Graph, node: Call, x: Tensor) -> Tensor:
        return convert(g, node, x)

    for operator in operators:
        on_tensors(operator)(of_all if operator.endswith(".default") else convert)


_reduction(["aten.sum.default", "aten.sum.dim_IntList"], "ReduceSum")
_reduction(["aten.mean.default", "aten.mean.dim"], "ReduceMean")
_reduction(["aten.amax"], "ReduceMax")
_reduction(["aten.amin"], "ReduceMin")
_reduction(["aten.max.default"], "ReduceMax")
_reduction(["aten.min.default"], "ReduceMin")
_reduction(["aten.prod.default", "aten.prod.dim_int"], "ReduceProd")
_reduction(["aten.logsumexp"], "ReduceLogSumExp")


def place_of_greatest(g: Graph, x: Tensor, greatest: Tensor, dim: int) -> Tensor:
    """Where along an axis x is the greatest number, the first of equal ones, as a float, the axis being 1.

    Of numbers n - 1 - i at those places that are the greatest, and 0 elsewhere, the maximum.
    """
    size = x.shape[dim]
    less = arithmetic(g, greatest, x, "Sub", x.shape, x.dtype)
    other = elementwise(less, lambda v: _above_zero(g, v))
    back = torch.arange(size - 1, -1, -1.0).reshape([-1 if i == dim else 1 for i in range(x.rank)])
    there = elementwise(other, lambda v: binaryOp(g, [v, 1.0], "RSub")[0])
    ranked = arithmetic(g, there, back, "Mul", x.shape, torch.int64)
    return elementwise(reduced(g, ranked, "ReduceMax", [dim]), lambda v: binaryOp(g, [v, size - 1.0], "RSub")[0])


def _above_zero(g: Graph, v: Value) -> Value:
    return threshold(g, v, 0.0)[0]


def _greatest_of(operator: str, sign: int) -> None:
    """torch.max and min along an axis: the numbers and their places."""

    def convert(g: Graph, node: Call, x: Tensor, dim: int, keepdim: bool) -> tuple[Tensor, Tensor]:
        dim = axis_of(x, dim)
        greatest = reduced(g, x, "ReduceMax" if sign > 0 else "ReduceMin", [dim])
        pair = (x, greatest) if sign > 0 else (negated(g, x), negated(g, greatest))
        place = place_of_greatest(g, *pair, dim)
        return view(g, greatest, node.shape), view(g, place, node.shape)

    on_tensors(operator)(convert)


_greatest_of("aten.max.dim", 1)
_greatest_of("aten.min.dim", -1)


def negated(g: Graph, x: Tensor) -> Tensor:
    return elementwise(x, lambda v: unaryOp(g, v, "neg"))


def _place(operator: str, sign: int) -> None:
    def convert(g: Graph, node: Call, x: Tensor, dim: int | None, keepdim: bool) -> Tensor:
        if dim is None:
            x, dim = view(g, x, (math.prod(x.shape),)), 0
        dim = axis_of(x, dim)
        x = x if sign > 0 else negated(g, x)
        place = place_of_greatest(g, x, reduced(g, x, "ReduceMax", [dim]), dim)
        return view(g, place, node.shape).on(view(g, place, node.shape).value, node.dtype)

    on_tensors(operator)(convert)


_place("aten.argmax", 1)
_place("aten.argmin", -1)


@on_tensors("aten.norm.ScalarOpt_dim", "aten.norm.ScalarOpt_dim_dtype")
def _norm(g: Graph, node: Call, x: Tensor, p: Any, dim: Any, keepdim: bool) -> Tensor:
    return _vector_norm(g, node, x, 2 if p is None else p, dim, keepdim)


@on_tensors("aten.norm.Scalar")
def _norm_of_all(g: Graph, node: Call, x: Tensor, p: Any) -> Tensor:
    return _vector_norm(g, node, x, p, None, False)


@on_tensors("aten.linalg_vector_norm")
def _vector_norm(g: Graph, node: Call, x: Tensor, p: Any, dim: Any, keepdim: bool) -> Tensor:
    p, dims = scalar(p), dims_of(x, dim)
    if p in (math.inf, -math.inf):
        size = elementwise(x, lambda v: unaryOp(g, v, "abs"))
        y = reduced(g, size, "ReduceMax" if p > 0 else "ReduceMin", dims)
    elif p in (1, 2):
        y = reduced(g, x, "ReduceL1" if p == 1 else "ReduceL2", dims)
    else:
        need(p > 0, "a norm that counts or divides by zero", argument="p", expected="a number above 0, or inf", got=p)
        powers = elementwise(x, lambda v: binaryOp(g, [unaryOp(g, v, "abs")[0], p], "Pow")[0])
        y = elementwise(reduced(g, powers, "ReduceSum", dims), lambda v: binaryOp(g, [v, 1 / p], "Pow")[0])
    return view(g, y, node.shape)


def _spread(g: Graph, x: Tensor, dims: Sequence[int], correction: Any) -> tuple[Tensor, Tensor]:
    """Variance and mean over axes, which are 1 then: of the distances from the mean, as torch has it."""
    count = math.prod(x.shape[d] for d in dims)
    rest = count - scalar(1 if correction is None else correction)
    need(rest > 0, "a variance of too few numbers", argument="correction", expected=f"below {count}", got=correction)
    mean = reduced(g, x, "ReduceMean", dims)
    away = arithmetic(g, x, mean, "Sub", x.shape, x.dtype)
    squares = reduced(g, away, "ReduceSumSquare", dims)
    return elementwise(squares, lambda v: binaryOp(g, [v, 1 / rest], "Mul")[0]), mean


def _deviation(name: str, root: bool, mean: bool) -> None:
    def convert(g: Graph, node: Call, x: Tensor, dim: Any, correction: Any, keepdim: bool) -> Any:
        y, middle = _spread(g, x, dims_of(x, dim), correction)
        if root:
            y = elementwise(y, lambda v: unaryOp(g, v, "sqrt"))
        y = view(g, y, node.shape)
        return (y, view(g, middle, node.shape)) if mean else y

    on_tensors(f"aten.{name}.correction", f"aten.{name}.dim")(convert)
    on_tensors(f"aten.{name}.default")(lambda g, node, x, unbiased: convert(g, node, x, None, unbiased, False))


_deviation("var", False, False)
_deviation("std", True, False)
_deviation("var_mean", False, True)
_deviation("std_mean", True, True)


@on_tensors("aten.cosine_similarity")
def _cosine(g: Graph, node: Call, a: Any, b: Any, dim: int, eps: float) -> Tensor:
    a, b = (expanded(g, as_tensor(g, x), broadcast(a.shape, b.shape)) for x in (a, b))
    dim = axis_of(a, dim)
    product = reduced(g, arithmetic(g, a, b, "Mul", a.shape, node.dtype), "ReduceSum", [dim])
    for x in (a, b):
        length = elementwise(reduced(g, x, "ReduceL2", [dim]), lambda v: binaryOp(g, [v, eps], "Max")[0])
        product = arithmetic(g, product, length, "Div", product.shape, node.dtype)
    return view(g, product, node.shape)


def softmaxed(g: Graph, x: Tensor, dim: int) -> Tensor:
    a = along(g, x, axis_of(x, dim) if x.rank else 0)
    return a.made(softmax(g, a.value, a.at + 1)[0])


@on_tensors("aten.softmax", "aten._softmax")
def _softmax(g: Graph, node: Call, x: Tensor, dim: int) -> Tensor:
    return softmaxed(g, x, dim)


@on_tensors("aten.log_softmax", "aten._log_softmax")
def _log_softmax(g: Graph, node: Call, x: Tensor, dim: int) -> Tensor:
    """x - max - log(sum(exp(x - max))): the logarithm of a softmax is -inf where that is too small for a float."""
    dim = axis_of(x, dim)
    less = arithmetic(g, x, reduced(g, x, "ReduceMax", [dim]), "Sub", x.shape, x.dtype)
    powers = elementwise(less, lambda v: unaryOp(g, v, "exp"))
    total = elementwise(reduced(g, powers, "ReduceSum", [dim]), lambda v: unaryOp(g, v, "log"))
    return arithmetic(g, less, total, "Sub", x.shape, node.dtype)


@on_tensors("aten.cumsum")
def _cumsum(g: Graph, node: Call, x: Tensor, dim: int) -> Tensor:
    a = along(g, x, axis_of(x, dim))
    return a.made(cumsum(g, a.value, a.at + 1)[0], dtype=node.dtype)
