"""Let a layer that can apply an activation itself do so.

before:  y = Convolution(x, activation_type=0); z = ReLU(y, slope=0.2)
after:   z = Convolution(x, activation_type=2, activation_params=[0.2])

Layers: Convolution, ConvolutionDepthWise, Deconvolution, DeconvolutionDepthWise, also of one and three dimensions, and
InnerProduct, with weights in the file or as inputs, and our FconvTranspose2d and Fmatmul. Activations, as ncnn's
fused_activation.h numbers them: 1 ReLU, 2 ReLU with a slope, 3 Clip (our Clamp too), 4 Sigmoid, 5 Mish, 6 HardSwish.
Each of these layers has all six: their load_param takes 0 to 6, and x86 applies them by the very layers that stood
behind (create_activation_layer), or by activation_ss and its vector forms, which are the same formulas.

Exact.
"""

from __future__ import annotations

from ..ir import Node
from ..ops.enums import Fused
from ..ops.layers import Clamp, Clip, FconvTranspose2d, FmatmulSpec, HardSwish, InnerProduct, Mish, ReLU, Sigmoid
from .fold_scales import CONVOLUTIONS, DECONVOLUTIONS
from .match import Matcher, is_a, need
from .rules import Made, Rules

LAYERS = (*CONVOLUTIONS, *DECONVOLUTIONS, FconvTranspose2d, FmatmulSpec, InnerProduct)

fuse_activation = Rules("fuse_activation")


@fuse_activation.on(ReLU, Clamp, Clip, HardSwish, Sigmoid, Mish)
def _into_the_layer(m: Matcher, node: Node) -> Made:
    layer = m.maker(node.inputs[0], *LAYERS)
    need(layer.params["activation_type"] == Fused.NONE, "the layer has an activation already")
    kind, numbers = _fused(node)
    return m.again(layer, activation_type=kind, activation_params=numbers)


def _fused(node: Node) -> tuple[Fused, tuple[float, ...]]:
    """(activation_type, activation_params) of an activation that stands alone."""
    p = node.params
    if is_a(node, ReLU):
        return (Fused.LEAKY_RELU, (p["slope"],)) if p["slope"] else (Fused.RELU, ())
    if is_a(node, Clamp, Clip):
        return Fused.CLIP, (p["min"], p["max"])
    if is_a(node, HardSwish):
        need(p["alpha"] > 0, "an alpha that is not positive, where the layer and the fused form differ")
        return Fused.HARD_SWISH, (p["alpha"], p["beta"])
    return (Fused.SIGMOID, ()) if is_a(node, Sigmoid) else (Fused.MISH, ())
