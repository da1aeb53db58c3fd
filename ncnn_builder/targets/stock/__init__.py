"""The `stock` target: layers that unmodified ncnn has, with static weights, for any ncnn and its Vulkan."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...builder import append
from ...ir import Graph, Node, Value
from ...ops.convolutions.deconv import deconv, in_torchs_order, insert_zeros
from ...ops.generators.fir import paddings
from . import elementwise, filters
from .filters import depthwise
from .lrelu import filtered_lrelu
from .modulated import modulated_conv2d
from .unfused import fused_conv, modulated_layer, to_rgb

__all__ = ["LOWERINGS", "modulated_conv2d"]


def convolution(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value] | None:
    """A weight that is an input, but known, goes into the file."""
    known = [v.data for v in inputs[1:]]
    if not node.params["dynamic_weight"] or any(data is None for data in known):
        return None
    weights = dict(zip(("weight", "bias"), known, strict=False))
    return append(g, node.spec, inputs[0], {**node.params, "dynamic_weight": 0}, weights)


def transposed_convolution(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    p = node.params
    weight, bias = (*(v if v.data is None else v.data for v in inputs[1:]), None)[:2]
    if isinstance(bias, Value) or isinstance(weight, Value):  # one that is not known makes both inputs
        weight, bias = (*inputs[1:], None)[:2]
    assert weight is not None
    if not p["num_input"]:
        weight = in_torchs_order(g, weight, p["group"])
    y = deconv(
        g,
        inputs[0],
        weight,
        bias,
        (p["stride_h"], p["stride_w"]),
        paddings(p),
        (p["output_pad_bottom"], p["output_pad_right"]),
        (p["dilation_h"], p["dilation_w"]),
        p["group"],
    )
    return [elementwise.fused_activation(g, y, p)]


def down2(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    return [depthwise(g, inputs[0], np.ones((1, 1)), (2, 2), (0, 0, 0, 0))]


def up(factor: int) -> Callable[[Graph, Node, list[Value]], Sequence[Value]]:
    return lambda g, node, inputs: insert_zeros(g, inputs[0], (factor, factor))


LOWERINGS: dict[str, Callable[[Graph, Node, list[Value]], Sequence[Value] | None]] = {
    "Abs": elementwise.abs_,
    "AddNoise": elementwise.add_noise,
    "BiasAct": elementwise.bias_act_layer,
    "Clamp": elementwise.clamp,
    "Convolution": convolution,
    "ConvolutionDepthWise": convolution,
    "CoordConcat": elementwise.coord_concat,
    "Down2": down2,
    "F4DOp1D": elementwise.f4d_op_1d,
    "FconvTranspose2d": transposed_convolution,
    "FilteredLrelu": filtered_lrelu,
    "Fmatmul": elementwise.fmatmul,
    "FusedConv2d": fused_conv,
    "Lerp": elementwise.lerp,
    "ModulatedConv2d": modulated_layer,
    "MulConstant": elementwise.mul_constant,
    "Rsqrt": elementwise.rsqrt,
    "Shell": elementwise.shell,
    "Sin": elementwise.sin,
    "Sqrt": elementwise.sqrt,
    "Square": elementwise.square,
    "StyleMixingSwitcher": elementwise.style_mixing_switcher,
    "StyleganPost": elementwise.stylegan_post,
    "ToRGB": to_rgb,
    "Transforms": elementwise.transforms,
    "Up2": up(2),
    "Up4": up(4),
    "Upfirdn2d": filters.upfirdn2d,
    "bias_act": elementwise.bias_act,
    "filtered_lrelu": filtered_lrelu,
    "fully_connected": elementwise.fully_connected,
    "modulated_conv2d": modulated_conv2d,
    "synthesis_input": elementwise.synthesis_input,
    "upfirdn2d": filters.upfirdn2d,
}
