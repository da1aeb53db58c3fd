"""Make one layer of attention that is written as two products and a softmax.

before:  s = MatMul(q, k, transpose_b=1) * scale + mask; y = MatMul(Softmax(s), v)
after:   y = SDPA(q, k, v, mask, scale=scale)

q [heads, T, size], k [heads, S, size], v [heads, S, size'], mask [T, S], [1, T, S] or [heads, T, S]. The scale may
stand on q too, or be a quotient; it and the mask may be missing. A k that was turned, a Reshape of a Permute of
[S, heads * size] or a Permute of [heads, S, size], is taken as it was.

Exact up to rounding: ncnn's SDPA is softmax(scale q k^T + mask) v, head by head.
"""

from __future__ import annotations

from ..ir import Node, Value
from ..ops.enums import Binary
from ..ops.layers import SDPA, BinaryOp, MatMul, Permute, Reshape, Softmax
from ..ops.shapes.permute import permutation, really_permute
from ..ops.shapes.shape import really_reshape
from .affine import orders, scale_of
from .match import Matcher, expect, is_a, need
from .rules import Made, Rules

HEADS_IN_FRONT = (1, 0, 2)
"""The permutation between [rows, heads, size] and [heads, rows, size]."""

raise_attention = Rules("raise_attention")


@raise_attention.on(MatMul)
def _attention(m: Matcher, node: Node) -> Made:
    softmax = m.maker(node.inputs[0], Softmax)
    expect(not node.params["transpose_b"] and len(node.inputs[0].shape) == 3)
    need(softmax.params["axis"] in (2, -1), "a softmax along another axis")
    scores, mask = _mask(m, softmax.inputs[0])
    scores, scale = _scaled(m, scores)
    product = m.maker(scores, MatMul)
    q, more = _scaled(m, product.inputs[0])
    k, v = product.inputs[1], node.inputs[1]
    need(all(len(x.shape) == 3 and x.shape[0] == q.shape[0] for x in (q, k, v)), "heads that are broadcast")
    need(not any(x.others for x in (q, k, v)), "sizes that follow an input of any shape")
    if not product.params["transpose_b"]:
        k = _turned_back(m, k)
    inputs = [q, k, v, *([] if mask is None else [mask])]
    return m.make(SDPA, inputs, attn_mask=mask is not None, scale=scale * more)


def _mask(m: Matcher, scores: Value) -> tuple[Value, Value | None]:
    """What is added to the scores, of a shape that SDPA takes."""
    heads, rows, columns = scores.shape
    added = m.maybe(scores, BinaryOp)
    for inner, mask in [] if added is None else orders(added, Binary.Add):
        fits = mask.shape in ((1, rows, columns), (heads, rows, columns))
        if is_a(inner.producer, MatMul, BinaryOp) and inner.shape == scores.shape and fits:
            return inner, mask
    return scores, None


def _scaled(m: Matcher, value: Value) -> tuple[Value, float]:
    """(x, s) where the value is x * s."""
    node = m.maybe(value, BinaryOp)
    scale = scale_of(node)
    return (value, 1.0) if node is None or scale is None else (node.inputs[0], scale)


def _turned_back(m: Matcher, k: Value) -> Value:
    """k [heads, S, size] of what is [heads, size, S]."""
    heads, size, rows = k.shape
    reshape = m.maybe(k, Reshape)
    turned = m.maker(k if reshape is None else reshape.inputs[0], Permute)
    x, order = turned.inputs[0], turned.params["order_type"]
    if reshape is None:
        need(permutation(3, order) == (0, 2, 1), "keys that are turned in another way")
        return x
    need(x.shape == (rows, heads * size) and not x.others and permutation(2, order) == (1, 0), "keys of another shape")
    return really_permute(m.new, really_reshape(m.new, x, (rows, heads, size)), HEADS_IN_FRONT)[0]
