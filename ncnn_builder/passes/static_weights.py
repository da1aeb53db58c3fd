"""A convolution whose weight is a constant has it in the file.

before:  w = Shell(); y = Convolution(x, w, dynamic_weight=1)
after:   y = Convolution(x, weight=w, dynamic_weight=0)

Likewise ConvolutionDepthWise, and their biases. Exact: the same numbers. With its weight in the file ncnn prepares a
layer when loading (Winograd, packing), which it does at every forward for a weight that is an input
(convolution_x86.cpp, forward of two blobs).

Refused: a weight that somebody else reads as well (it would be in the file twice), or that is not known.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..builder import append
from ..ir import Graph, Node, Value
from .match import Matcher, rewrite_all


def static_weights(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "static_weights")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type not in ("Convolution", "ConvolutionDepthWise") or not node.params["dynamic_weight"]:
        return None
    x, *given = node.inputs
    if any(v.data is None for v in given) or not matcher.private(given[0]):
        return None
    weights = dict(zip(("weight", "bias"), (v.data for v in given), strict=False))
    return append(new, node.spec, x, {**node.params, "dynamic_weight": 0}, weights)
