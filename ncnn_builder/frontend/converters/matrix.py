"""Products of matrices."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import torch

from ...ir import Graph, Value
from ...ops.arithmetic.binary import binaryOp
from ...ops.arithmetic.channelwise import linear
from ...ops.arithmetic.channelwise import matmul as matmul_layer
from ...ops.common import need
from ...ops.matrices.matrix import gemm
from ..axes import grouped
from ..blobs import as_tensor, moved, stored, view
from ..broadcast import arithmetic, expanded, scalar
from ..layout import Shape, Tensor, broadcast, permuted, tensor
from ..registry import Call, on_tensors


def product(g: Graph, a: Any, b: Any, dtype: Any) -> Tensor:
    """torch's matmul of Tensors and constants, of which one at least is a Tensor."""
    if isinstance(a, Tensor) and isinstance(b, torch.Tensor) and b.dim() <= 2:
        return _by_constant(g, a, b, dtype)
    if isinstance(a, torch.Tensor) and isinstance(b, Tensor) and a.dim() <= 2 and b.rank <= 2:
        return _constant_by(g, a, b, dtype)
    a, b = as_tensor(g, a), as_tensor(g, b)
    row, column = a.rank == 1, b.rank == 1
    if row:
        a = view(g, a, (1, *a.shape))
    if column:
        b = view(g, b, (*b.shape, 1))
    batch = broadcast(a.shape[:-2], b.shape[:-2])
    shape = (*batch, *(() if row else a.shape[-2:-1]), *(() if column else b.shape[-1:]))
    a, b = _batches(g, a, b, tuple(batch))
    transposed = _swapped(b)
    direct = b.in_order or not transposed.in_order
    right = b if direct and not column else transposed
    value = matmul_layer(g, [_stacked(g, a), _stacked(g, right)], right is transposed)[0]
    return tensor(value, shape, dtype)


def _by_constant(g: Graph, x: Tensor, weight: torch.Tensor, dtype: Any, bias: Any = None) -> Tensor:
    """x @ weight (+ bias): InnerProduct of rows."""
    shape = (*x.shape[:-1], *weight.shape[1:])
    rows = math.prod(x.shape[:-1])
    value = stored(g, x, (rows, x.shape[-1]) if rows != 1 else x.shape[-1:])
    weight = weight.reshape(weight.shape[0], -1).T.contiguous()
    return tensor(linear(g, value, SimpleNamespace(weight=weight, bias=bias))[0], shape, dtype)


def _constant_by(g: Graph, weight: torch.Tensor, x: Tensor, dtype: Any) -> Tensor:
    """weight @ x, of matrices or vectors: rows of x.T by the weight where x is stored so, else Gemm."""
    shape = (*weight.shape[:-1], *x.shape[1:])
    rows = weight.reshape(-1, weight.shape[-1])
    turned = permuted(x, (1, 0)) if x.rank == 2 else x
    if turned.in_order:
        y = _by_constant(g, turned, rows.T, dtype)
        if x.rank < 2:
            return view(g, y, shape)
        return permuted(y, (1, 0)) if weight.dim() == 2 else view(g, y, shape)
    return tensor(gemm(g, stored(g, x, x.shape), a=rows)[0], shape, dtype)


def by_matrix(g: Graph, x: Tensor, dim: int, matrix: torch.Tensor) -> Tensor:
    """Along an axis, the numbers x[i] as sums of matrix[o, i] * x[i]."""
    last = moved(x, dim, -1)
    return moved(_by_constant(g, last, matrix.T, x.dtype), x.rank - 1, dim)


def _swapped(t: Tensor) -> Tensor:
    return permuted(t, (*range(t.rank - 2), t.rank - 1, t.rank - 2))


def _batches(g: Graph, a: Tensor, b: Tensor, batch: Shape) -> tuple[Tensor, Tensor]:
    """Both with as few axes in front as their broadcasting needs, at most two."""
    own = [(1,) * (len(batch) + 2 - t.rank) + t.shape[:-2] for t in (a, b)]
    marks = list(zip(*([n == m for n, m in zip(o, batch, strict=True)] for o in own), strict=True))
    groups = grouped(batch, marks)
    if len(groups) > 2:
        a, b = (expanded(g, t, (*batch, *t.shape[-2:])) for t in (a, b))
        groups = [(math.prod(batch), (True, True))]
    elif len(groups) == 1 and groups[0][1] == (True, False):  # one matrix of all rows of a
        return view(g, a, (math.prod(a.shape[:-1]), a.shape[-1])), view(g, b, b.shape[-2:])
    fronts = zip(*(tuple(n if held else 1 for held in mark) for n, mark in groups), strict=True) if groups else ((), ())
    return tuple(view(g, t, (*front, *t.shape[-2:])) for t, front in zip((a, b), fronts, strict=True))  # type: ignore[return-value]


def _stacked(g: Graph, t: Tensor) -> Value:
    return stored(g, t, t.shape)


@on_tensors("aten.matmul", "aten.mm", "aten.bmm", "aten.mv", "aten.dot")
def _matmul(g: Graph, node: Call, a: Any, b: Any) -> Tensor:
    return view(g, product(g, a, b, node.dtype), node.shape)


@on_tensors("aten.inner")
def _inner(g: Graph, node: Call, a: Any, b: Any) -> Tensor:
    b = permuted(b, tuple(reversed(range(b.rank)))) if isinstance(b, Tensor) else b.T
    return view(g, product(g, a, b, node.dtype), node.shape)


@on_tensors("aten.outer", "aten.ger")
def _outer(g: Graph, node: Call, a: Any, b: Any) -> Tensor:
    a = view(g, a, (*a.shape, 1)) if isinstance(a, Tensor) else a[:, None]
    return arithmetic(g, a, b, "Mul", node.shape, node.dtype)


@on_tensors("aten.addmm")
def _addmm(g: Graph, node: Call, c: Any, a: Any, b: Any, beta: Any, alpha: Any) -> Tensor:
    """One Gemm, or an InnerProduct where the matrix and the bias are constants."""
    beta, alpha = scalar(beta), scalar(alpha)
    if isinstance(a, Tensor) and isinstance(b, torch.Tensor) and isinstance(c, torch.Tensor) and c.dim() == 1:
        bias = (beta * c).expand(b.shape[1]).contiguous()
        return _by_constant(g, a, alpha * b, node.dtype, bias)
    if not (isinstance(c, Tensor) and c.rank == 2 and c.shape not in (node.shape, (1, node.shape[1]))) and alpha != 0:
        given = dict(zip("abc", (a, b, c), strict=True))
        held: dict[str, Any] = {name: t for name, t in given.items() if isinstance(t, torch.Tensor)}
        values = [stored(g, t, t.shape) for t in given.values() if isinstance(t, Tensor)]
        if "c" in held:
            held["c"] = held["c"].reshape(-1, held["c"].shape[-1])
        return tensor(gemm(g, values, **held, alpha=alpha, beta=beta)[0], node.shape, node.dtype)
    return _sum(g, node, c, product(g, a, b, node.dtype), beta, alpha)


@on_tensors("aten.addmv", "aten.baddbmm", "aten.addbmm")
def _added(g: Graph, node: Call, c: Any, a: Any, b: Any, beta: Any, alpha: Any) -> Tensor:
    if node.operator.startswith("aten.addbmm"):  # the products added up: one product of longer rows
        a, b = as_tensor(g, a), as_tensor(g, b)
        a = view(g, permuted(a, (1, 0, 2)), (a.shape[1], a.shape[0] * a.shape[2]))
        b = view(g, b, (b.shape[0] * b.shape[1], b.shape[2]))
    return _sum(g, node, c, product(g, a, b, node.dtype), scalar(beta), scalar(alpha))


def _sum(g: Graph, node: Call, c: Any, y: Tensor, beta: float, alpha: float) -> Tensor:
    """beta * c + alpha * y"""
    if alpha != 1:
        y = y.on(binaryOp(g, [y.value, alpha], "Mul")[0])
    if beta != 1 and isinstance(c, Tensor):
        c = c.on(binaryOp(g, [c.value, beta], "Mul")[0])
    elif beta != 1:
        c = beta * c
    return arithmetic(g, y, c, "Add", node.shape, node.dtype)


@on_tensors("aten.bilinear")
def _bilinear(g: Graph, node: Call, a: Any, b: Any, weight: Any, bias: Any) -> Tensor:
    """y[o] = sum of a[i] * weight[o, i, j] * b[j]: a by the weight as one matrix, and each row of it by b."""
    need(isinstance(weight, torch.Tensor), "a weight that is computed", argument="weight", expected="a constant")
    rows = math.prod(node.shape[:-1])
    out, first, second = weight.shape
    a, b = (view(g, as_tensor(g, t), (rows, t.shape[-1])) for t in (a, b))
    turned = view(g, _by_constant(g, a, weight.permute(1, 0, 2).reshape(first, -1), node.dtype), (rows, out, second))
    y = view(g, product(g, turned, view(g, b, (rows, second, 1)), node.dtype), (rows, out))
    if bias is not None:
        y = arithmetic(g, y, bias, "Add", y.shape, node.dtype)
    return view(g, y, node.shape)
