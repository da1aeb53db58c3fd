"""Make one layer of attention that is written as two products and a softmax.

before:  s = MatMul(q, k, transpose_b=1) * scale + mask; y = MatMul(Softmax(s), v)
after:   y = SDPA(q, k, v, mask, scale=scale)

q [heads, T, size], k [heads, S, size], v [heads, S, size'], mask [T, S], [1, T, S] or [heads, T, S]. The scale may
stand on q too, or be a quotient; it and the mask may be missing. A k that was turned, a Reshape of a Permute of
[S, heads * size] or a Permute of [heads, S, size], is taken as it was.

Exact up to rounding: ncnn's SDPA is softmax(scale q k^T + mask) v, head by head. Refused: values in between that
somebody else reads; a softmax along another axis; a scale behind the mask; heads that are broadcast; any other step.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..builder import append
from ..ir import Graph, Node, Value
from ..ops.shapes.permute import permutation, really_permute
from ..ops.shapes.shape import really_reshape
from ..opspec import spec_of
from .affine import ADD, scale_of
from .match import Matcher, rewrite_all

HEADS_IN_FRONT = (1, 0, 2)
"""The permutation between [rows, heads, size] and [heads, rows, size]."""


def raise_attention(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "raise_attention")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type != "MatMul" or node.params["transpose_b"] or len(node.inputs[0].shape) != 3:
        return None
    softmax = matcher.interior(node.inputs[0], "Softmax")
    if softmax is None or softmax.params["axis"] not in (2, -1):
        return None
    scores, mask = _mask(softmax.inputs[0], matcher)
    scores, scale = _scaled(scores, matcher)
    product = matcher.interior(scores, "MatMul")
    if product is None:
        return None
    q, more = _scaled(product.inputs[0], matcher)
    k, v = product.inputs[1], node.inputs[1]
    heads = q.shape[0]
    if any(len(x.shape) != 3 or x.shape[0] != heads or x.open for x in (q, k, v)):
        return None
    if not product.params["transpose_b"]:
        back = _turned_back(new, k, matcher)
        if back is None:
            return None
        k = back
    inputs = [q, k, v, *([] if mask is None else [mask])]
    return append(new, spec_of("SDPA"), inputs, {"attn_mask": int(mask is not None), "scale": scale * more})


def _mask(scores: Value, matcher: Matcher) -> tuple[Value, Value | None]:
    """What is added to the scores, of a shape that SDPA takes."""
    added = matcher.interior(scores, "BinaryOp")
    if added is None or added.params["op"] != ADD or len(added.inputs) != 2:
        return scores, None
    heads, rows, columns = scores.shape
    for inner, mask in (added.inputs, added.inputs[::-1]):
        of_scores = inner.producer is not None and inner.producer.spec.type in ("MatMul", "BinaryOp")
        fits = mask.shape in ((1, rows, columns), (heads, rows, columns))
        if of_scores and inner.shape == scores.shape and fits:
            return inner, mask
    return scores, None


def _scaled(value: Value, matcher: Matcher) -> tuple[Value, float]:
    """(x, s) where the value is x * s."""
    node = matcher.interior(value, "BinaryOp")
    scale = scale_of(node)
    return (value, 1.0) if node is None or scale is None else (node.inputs[0], scale)


def _turned_back(new: Graph, k: Value, matcher: Matcher) -> Value | None:
    """k [heads, S, size] of what is [heads, size, S]."""
    heads, size, rows = k.shape
    reshape = matcher.interior(k, "Reshape")
    turned = matcher.interior(k if reshape is None else reshape.inputs[0], "Permute")
    if turned is None:
        return None
    x, order = turned.inputs[0], turned.params["order_type"]
    if reshape is None:
        return x if permutation(3, order) == (0, 2, 1) else None
    if x.shape != (rows, heads * size) or x.open or permutation(2, order) != (1, 0):
        return None
    return really_permute(new, really_reshape(new, x, (rows, heads, size)), HEADS_IN_FRONT)[0]
