"""Let Gemm multiply rows whose number is no multiple of 4 by a weight.

before:  y = InnerProduct(x [197, 192], weight=w, bias=b)
after:   y = Gemm(x, B=w, C=b, trans_b=1)

ncnn packs rows by 4 or 8; where their number does not divide, InnerProduct works row by row, and takes 1.3 to 1.5 times
as long as Gemm, which cuts any matrix into tiles. (Measured on AVX2, 197 rows, 192 to 768 columns; where 4 divides the
rows the two take the same time.) Exact: the same sums of products; alpha and beta are 1.

Refused: a single row, where InnerProduct is a matrix times a vector; an activation, which Gemm has none of; rows whose
number follows an input of any shape; weights that are stored in a file's own way.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..builder import append
from ..ir import Graph, Node, Value
from ..opspec import spec_of
from .match import Matcher, rewrite_all

PACKED = 4
"""Rows that every instruction set packs."""
NO_C, ROW = -1, 4
"""constant_broadcast_type_c: there is none; [1, N]."""


def rows_by_gemm(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "rows_by_gemm")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type != "InnerProduct" or node.params["activation_type"] or node.stored:
        return None
    (x,) = node.inputs
    if len(x.shape) != 2 or x.open or x.shape[0] % PACKED == 0 or x.shape[0] == 1:
        return None
    weight, bias = node.weights["weight"], node.weights.get("bias")
    columns, inner = weight.shape
    params = {
        "alpha": 1.0,
        "beta": 1.0,
        "trans_a": 0,
        "trans_b": 1,
        "constant_a": 0,
        "constant_b": 1,
        "constant_c": 1,
        "constant_m": 0,
        "constant_n": columns,
        "constant_k": inner,
        "constant_broadcast_type_c": NO_C if bias is None else ROW,
        "output_transpose": 0,
    }
    weights = {"B": weight, "C": None if bias is None else bias.reshape(1, columns)}
    return append(new, spec_of("Gemm"), x, params, weights)
