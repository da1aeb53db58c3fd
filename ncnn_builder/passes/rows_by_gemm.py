"""Let Gemm multiply rows whose number is no multiple of 4 by a weight.

before:  y = InnerProduct(x [197, 192], weight=w, bias=b)
after:   y = Gemm(x, B=w, C=b, trans_b=1)

ncnn packs rows by 4 or 8; where their number does not divide, InnerProduct works row by row, and takes 1.3 to 1.5 times
as long as Gemm, which cuts any matrix into tiles. (Measured on AVX2, 197 rows, 192 to 768 columns; where 4 divides the
rows the two take the same time, so an open number of rows is for Gemm.) Exact: the same sums of products; alpha and
beta are 1.
"""

from __future__ import annotations

from ..ir import Node
from ..ops.enums import Fused, GemmC
from ..ops.layers import Gemm, InnerProduct
from ..sizes import is_open
from .match import Matcher, expect, need
from .rules import Made, Rules

PACKED = 4
"""Rows that every instruction set packs."""

rows_by_gemm = Rules("rows_by_gemm")


@rows_by_gemm.on(InnerProduct)
def _product(m: Matcher, product: Node) -> Made:
    (x,) = product.inputs
    expect(len(x.shape) == 2 and x.shape[0] > 1)  # one row is a vector: a matrix times it
    expect(is_open(x.shape[:1]) or x.shape[0] % PACKED)
    need(not x.others, "the number of rows follows an input of any shape")
    need(product.params["activation_type"] == Fused.NONE, "an activation")
    need(not product.stored, "a weight that is stored in a file's own way")
    weight, bias = product.weights["weight"], product.weights.get("bias")
    columns, inner = weight.shape
    return m.make(
        Gemm,
        x,
        {"B": weight, "C": None if bias is None else bias.reshape(1, columns)},
        trans_b=1,
        constant_b=1,
        constant_c=1,
        constant_n=columns,
        constant_k=inner,
        constant_broadcast_type_c=GemmC.NONE if bias is None else GemmC.COLUMNS,
    )
