"""Run plain 3x3 convolutions on our kernels, with what stands around them in one layer.

before:  y = Convolution(x, 3x3, bias, activation_type=2, activation_params=[0.2])
after:   y = FusedConv2d(x, bias, slope=0.2)
before:  y = FusedConv2d(x, bias); z = PReLU(y, slopes)                 likewise ReLU
after:   z = FusedConv2d(x, bias, slopes)
before:  y = FusedConv2d(x, bias); z = Eltwise(y, r, Sum, [0.2, 1])     likewise BinaryOp Add
after:   z = FusedConv2d(x, r, bias, scale=0.2, residual=1)
before:  c = Concat(a, b); y = FusedConv2d(c)
after:   y = FusedConv2d(a, b)

The kernels are 1.3 to 1.6 times as fast as ncnn's, and what stands around works on numbers that are still in registers,
or reads them where they are: in a block of RRDB, 576 channels are not copied. Exact: the layer computes the very
formulas; Winograd's transforms round as ncnn's do.

Refused: kernels that are not 3x3, strides and dilation, which ncnn's Convolution does; few channels, or few pixels,
where it is the faster one; an activation that is none of ReLU, leaky ReLU and PReLU; parts of which one that is not
the last has channels that are no multiple of 16.
"""

from __future__ import annotations

from ..ir import Node, Value
from ..ops.convolutions.fused_conv import BORDER, LANES, MOST_PARTS, FusedConv2dLayer, laid_out_for, within
from ..ops.enums import Binary, Fused
from ..ops.layers import BinaryOp, Concat, Convolution, Eltwise, PReLU, ReLU
from ..sizes import most
from .affine import orders, representable
from .match import Matcher, NoMatch, expect, need
from .rules import Made, Rules

HALF = LANES // 2
SMALL, SMALL_OF_HALF = 28, 128
"""Pixels of the shorter side from which on the layer gains: of whole groups of channels, and of halves."""
FEW = 12
"""Fewer output channels than these are half a group."""

fuse_convolution = Rules("fuse_convolution")


@fuse_convolution.on(Convolution)
def _ours(m: Matcher, conv: Node) -> Made:
    p, x = conv.params, conv.inputs[0]
    need(not p["dynamic_weight"], "weights that are inputs")
    need(p["kernel_h"] == p["kernel_w"] == 3, "a kernel that is not 3x3")
    need(p["stride_h"] == p["stride_w"] == p["dilation_h"] == p["dilation_w"] == 1, "a stride, or dilation")
    need(p["pad_value"] == 0, "a border that is not 0")
    _need_gain(x, p["num_output"])
    need(set(conv.stored.values()) <= {"fp16"}, "a weight that is stored in a file's own way")
    slopes = {Fused.NONE: 1.0, Fused.RELU: 0.0, Fused.LEAKY_RELU: (*p["activation_params"], 0.0)[0]}
    need(p["activation_type"] in slopes, "an activation that is none of ReLU, leaky ReLU and PReLU")
    params = {
        "num_output": p["num_output"],
        "num_input": x.shape[0],
        "kernel_h": p["kernel_h"],
        "kernel_w": p["kernel_w"],
        **{side: p[side] for side in BORDER},
        **laid_out_for(x),
        "bias_data_size": p["num_output"] if p["bias_term"] else 0,
        "slope": slopes[p["activation_type"]],
    }
    need(within(params, x.shape), "more than the layer takes")
    made = m.make(FusedConv2dLayer, x, conv.weights, **params)
    if made[0].producer is not None:
        made[0].producer.stored.update(conv.stored)  # written as the file had it
    return made


@fuse_convolution.on(ReLU, PReLU)
def _activated(m: Matcher, node: Node) -> Made:
    conv = m.maker(node.inputs[0], FusedConv2dLayer)
    _need_linear(conv)
    if isinstance(node.spec, ReLU):
        return m.again(conv, slope=node.params["slope"])
    slopes = node.weights["slope"]
    if node.params["num_slope"] == 1:
        return m.again(conv, slope=float(slopes.reshape(())))
    return m.again(conv, weights={**conv.weights, "slopes": slopes}, slope_data_size=slopes.size)


@fuse_convolution.on(BinaryOp)
def _sum(m: Matcher, node: Node) -> Made:
    return _first(m, node, [(y, 1.0, residual) for y, residual in orders(node, Binary.Add)])


@fuse_convolution.on(Eltwise)
def _weighted_sum(m: Matcher, node: Node) -> Made:
    p = node.params
    expect(p["op"] == 1 and len(node.inputs) == 2)
    (a, b), (c, d) = node.inputs, p["coeffs"] or (1.0, 1.0)
    return _first(m, node, [(y, scale, r) for y, scale, r, one in ((a, c, b, d), (b, d, a, c)) if one == 1])


def _first(m: Matcher, node: Node, sums: list[tuple[Value, float, Value]]) -> Made:
    reason = NoMatch()
    for y, scale, residual in sums:
        try:
            return _residual(m, node, y, scale, residual)
        except NoMatch as why:
            reason = reason if str(reason) else why
    raise reason


def _residual(m: Matcher, node: Node, y: Value, scale: float, residual: Value) -> Made:
    """scale * y + residual."""
    conv = m.maker(y, FusedConv2dLayer)
    _need_linear(conv)
    need(not conv.params["residual"], "a residual already")
    same = residual.shape == y.shape and residual.others == y.others
    need(same, "a residual that is spread over the result")
    scale *= conv.params["scale"]
    need(representable(scale), "a factor that is no normal float32")
    return m.again(conv, [*conv.inputs, residual], scale=scale, residual=1)


@fuse_convolution.on(FusedConv2dLayer)
def _parts(m: Matcher, conv: Node) -> Made:
    parts = conv.inputs[: len(conv.inputs) - conv.params["residual"]]
    for i, value in enumerate(parts):
        joined = value.producer
        if joined is None or not isinstance(joined.spec, Concat) or joined.params["axis"] != 0:
            continue
        apart = (*parts[:i], *joined.inputs, *parts[i + 1 :])
        need(
            all(part.shape[0] % LANES == 0 for part in apart[:-1]),
            f"parts of other than multiples of {LANES} channels",
        )
        need(len(apart) <= MOST_PARTS, "more parts than the layer takes")
        return m.again(conv, [*apart, *conv.inputs[len(parts) :]])
    return None


def _need_gain(x: Value, outputs: int) -> None:
    """Measured on AVX2: with 17 and 20 channels, of which the kernels make 32, or on pictures of 14 x 14, ncnn's
    Convolution is the faster one, and with 1 to 8 outputs on 64 x 64. An open size is taken for the largest that it can
    be."""
    channels = x.shape[0]
    need(channels >= LANES and channels % HALF == 0, "channels that fill no group of the kernels")
    least = SMALL if channels % LANES == 0 and outputs >= FEW else SMALL_OF_HALF
    sides = [None if x.others else most(n) for n in x.shape[1:]]
    need(all(n is None or n >= least for n in sides), "a picture too small to gain anything")


def _need_linear(conv: Node) -> None:
    need(conv.params["slope"] == 1 and not conv.params["slope_data_size"], "an activation already")
