"""Let a layer that can apply an activation itself do so.

before:  y = Convolution(x, activation_type=0); z = ReLU(y, slope=0.2)
after:   z = Convolution(x, activation_type=2, activation_params=[0.2])

Layers: Convolution, ConvolutionDepthWise, Deconvolution, DeconvolutionDepthWise, also of one and three dimensions, and
InnerProduct, with weights in the file or as inputs, and our FconvTranspose2d and Fmatmul. Activations, as ncnn's
fused_activation.h numbers them: 1 ReLU, 2 ReLU with a slope, 3 Clip (our Clamp too), 4 Sigmoid, 5 Mish, 6 HardSwish.
Each of these layers has all six: their load_param takes 0 to 6, and x86 applies them by the very layers that stood
behind (create_activation_layer), or by activation_ss and its vector forms, which are the same formulas.

Exact. Refused: a value between the two that somebody else reads; a layer that has an activation already; an activation
that is none of the six (Swish, HardSigmoid, BiasAct).
"""

from __future__ import annotations

from collections.abc import Sequence

from ..builder import append
from ..ir import Graph, Node, Value
from .fold_scales import CONVOLUTIONS, DECONVOLUTIONS
from .match import Matcher, rewrite_all

LAYERS = (
    *CONVOLUTIONS,
    *DECONVOLUTIONS,
    *("FconvTranspose2d", "Fmatmul", "InnerProduct"),
)


def fuse_activation(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "fuse_activation")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    fused = _fused(node)
    layer = matcher.interior(node.inputs[0], *LAYERS) if fused is not None else None
    if fused is None or layer is None or layer.params["activation_type"] != 0:
        return None
    params = {**layer.params, "activation_type": fused[0], "activation_params": fused[1]}
    return append(new, layer.spec, layer.inputs, params, layer.weights)


def _fused(node: Node) -> tuple[int, tuple[float, ...]] | None:
    """(activation_type, activation_params) of an activation that stands alone."""
    p = node.params
    if node.spec.type == "ReLU":
        return (2, (p["slope"],)) if p["slope"] else (1, ())
    if node.spec.type in ("Clamp", "Clip"):
        return 3, (p["min"], p["max"])
    if node.spec.type == "HardSwish" and p["alpha"] > 0:  # below 0 the layer and the fused form differ
        return 6, (p["alpha"], p["beta"])
    return {"Sigmoid": (4, ()), "Mish": (5, ())}.get(node.spec.type)
