"""A convolution whose weight is a constant has it in the file.

before:  w = Shell(); y = Convolution(x, w, dynamic_weight=1)
after:   y = Convolution(x, weight=w, dynamic_weight=0)

Likewise ConvolutionDepthWise, and their biases. Exact: the same numbers. With its weight in the file ncnn prepares a
layer when loading (Winograd, packing), which it does at every forward for a weight that is an input
(convolution_x86.cpp, forward of two blobs).
"""

from __future__ import annotations

from ..ir import Node
from ..ops.layers import Convolution, ConvolutionDepthWise
from .match import Matcher, expect, need
from .rules import Made, Rules

static_weights = Rules("static_weights")


@static_weights.on(Convolution, ConvolutionDepthWise)
def _into_the_file(m: Matcher, conv: Node) -> Made:
    expect(conv.params["dynamic_weight"])
    x, *given = conv.inputs
    need(all(v.data is not None for v in given), "the weight is no constant")
    need(m.private(given[0]), "somebody else reads the weight")
    return m.again(conv, x, dict(zip(("weight", "bias"), (v.data for v in given), strict=False)), dynamic_weight=0)
