"""A border of zeros in front of a convolution is the convolution's own.

before:  p = Padding(x, left=1, right=1, value=0); y = Convolution(p, pad_left=0, pad_right=1)
after:   y = Convolution(x, pad_left=1, pad_right=2)

Likewise ConvolutionDepthWise. Exact: the same zeros. One picture less is written and read, our kernels read the picture
where it is, and between convolutions in int8 the numbers can stay int8.

Refused: a border of something else, or of channels; a convolution that pads with something else, or so as to keep its
size; a padded picture that somebody else reads.
"""

from __future__ import annotations

from ..ir import Node
from ..ops.layers import Convolution, ConvolutionDepthWise, Padding
from .match import Matcher, need
from .rules import Made, Rules

SIDES = ("top", "bottom", "left", "right")
MOST = 1 << 16
"""What ncnn's layer takes (runtime/src/checks_convolution.cpp)."""

fold_padding = Rules("fold_padding")


@fold_padding.on(Convolution, ConvolutionDepthWise)
def _own(m: Matcher, conv: Node) -> Made:
    padding = m.maker(conv.inputs[0], Padding)
    p = padding.params
    need(p["mode"] == 0 and not p["per_channel_pad_data_size"] and p["value"] == 0, "a border that is not 0")
    need(p["front"] == p["behind"] == 0, "a border of channels")
    need(conv.params["pad_value"] == 0, "a convolution whose border is not 0")
    own = {f"pad_{side}": conv.params[f"pad_{side}"] for side in SIDES}
    need(min(own.values()) >= 0, "a border that keeps the size")
    sides = {name: n + p[name.removeprefix("pad_")] for name, n in own.items()}
    need(max(sides.values()) <= MOST, "a border that is too large")
    need(set(conv.stored.values()) <= {"fp16"}, "a weight that is stored in a file's own way")
    return m.again(conv, [padding.inputs[0], *conv.inputs[1:]], **sides)
