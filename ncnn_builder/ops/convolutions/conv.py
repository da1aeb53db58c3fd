"""Convolutions, with weights in the file or weights that are values of the graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, SupportsFloat

from ...builder import ValueLike, append, inputs_of, integer, one, padding4, pair
from ...ir import Array, Graph, Params, Shape, Value, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, Weight, dsl, register, same_as, spec_of
from ..activations.fused_activation import ACTIVATION_DOCS, fused_activation_reference
from ..common import SAME_LOWER, SAME_UPPER, functional, need, need_rank, need_shape, same_windows
from ..shapes.pad import pad
from .conv_samples import bn_samples, functional_samples, grouped_samples, module_samples

GEOMETRY = (
    Param("num_output", 0, "int", "output channels"),
    Param("kernel_w", 1, "int", "kernel width"),
    Param("dilation_w", 2, "int", "horizontal dilation", 1),
    Param("stride_w", 3, "int", "horizontal stride", 1),
    Param("pad_left", 4, "int", "columns before"),
    Param("bias_term", 5, "int", "1: with bias"),
    Param("weight_data_size", 6, "int", "number of elements of the weight"),
    Param("activation_type", 9, "int", ACTIVATION_DOCS["activation_type"]),
    Param("activation_params", 10, "floats", ACTIVATION_DOCS["activation_params"], ()),
    Param("kernel_h", 11, "int", "kernel height", same_as("kernel_w")),
    Param("dilation_h", 12, "int", "vertical dilation", same_as("dilation_w")),
    Param("stride_h", 13, "int", "vertical stride", same_as("stride_w")),
    Param("pad_top", 14, "int", "rows above", same_as("pad_left")),
    Param("pad_right", 15, "int", "columns after", same_as("pad_left")),
    Param("pad_bottom", 16, "int", "rows below", same_as("pad_top")),
)
GROUP = Param("group", 7, "int", "groups of channels", 1)
INT8_LEFT_OUT = {8: "int8_scale_term: quantised weights are made by ncnn's own tools"}
WEIGHTS = (Weight("weight", True, "[out, in / groups, kh, kw]"), Weight("bias", False, "[out]"))


class ConvBase(OpSpec):
    """What Convolution and its kin share: geometry, weights in the file or as inputs."""

    inputs = ("x", "w?", "b?")
    weights: ClassVar[tuple[Weight, ...]] = WEIGHTS
    tolerance = Tolerance(1e-5)
    transposed: ClassVar[bool] = False

    def weight_sizes(self, params: Params) -> dict[str, int]:
        if params.get("dynamic_weight"):
            return {}
        bias = {"bias": params["num_output"]} if params["bias_term"] else {}
        return {"weight": params["weight_data_size"], **bias}

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Borders that say how, not how much; the size of a transposed one's result; weights that are inputs and say
        the kernel, whatever the parameters do."""
        if self.custom:
            return None
        p = {**params, **self._of_weight(inputs, params)}
        borders = [p[f"pad_{side}"] for side in ("top", "bottom", "left", "right")]
        sized = self.transposed and p["output_w"] > 0 and p["output_h"] > 0
        if min(borders) >= 0 and not sized and p == params:
            return None
        need_rank(inputs[0], (3,), "x")
        need(p["dynamic_weight"] or self._fits(inputs[0], p), "x does not fit the weight", got=list(inputs[0]))
        some = max(borders) > 0
        need(not some or min(borders) >= 0, "a border of both signs", argument="padding", got=borders)
        if not some:
            p |= dict.fromkeys(("pad_top", "pad_bottom", "pad_left", "pad_right"), 0)
        out = [self._size(n, a, p) for n, a in zip(inputs[0][1:], "hw", strict=True)]
        if self.transposed and sized and not some:
            how = {SAME_UPPER, SAME_LOWER}.intersection(borders)
            need(bool(how), "an output size without SAME padding", argument="padding", expected=-233, got=borders)
            full, out = out, [p["output_h"], p["output_w"]]
            need(out[0] <= full[0] and out[1] <= full[1], "an output size that is too large", expected=full, got=out)
        elif not self.transposed and set(borders) in ({SAME_UPPER}, {SAME_LOWER}):
            out = [same_windows(n, p[f"stride_{a}"]) for n, a in zip(inputs[0][1:], "hw", strict=True)]
        need(all(n > 0 for n in out), "nothing is left", argument="x", expected="a larger input", got=list(inputs[0]))
        return [(p["num_output"], *out)]

    def _weight_shape(self, x: Shape, params: Params) -> Shape:
        groups, kernel = params.get("group", 1), (params["kernel_h"], params["kernel_w"])
        need(groups >= 1, "bad number of groups", argument="groups", expected=">= 1", got=groups)
        need(
            x[0] % groups == 0 and params["num_output"] % groups == 0,
            "channels do not divide into the groups",
            argument="groups",
            expected=f"a divisor of {x[0]} and {params['num_output']}",
            got=groups,
        )
        if self.transposed:
            return (x[0], params["num_output"] // groups, *kernel)
        return (params["num_output"], x[0] // groups, *kernel)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x = inputs[0]
        need_rank(x, (3,), "x")
        expected = self._weight_shape(x, params)
        dynamic = self.custom or params.get("dynamic_weight")
        given = [*inputs[1:]] if dynamic else [weights[k].shape for k in ("weight", "bias") if k in weights]
        need(len(given) == 1 + params["bias_term"], "weight or bias is missing", got=len(given))
        need_shape(given[0], expected, "weight")
        if params["bias_term"]:
            need_shape(given[1], (params["num_output"],), "bias")
        out = [self._size(n, a, params) for n, a in zip(x[1:], "hw", strict=True)]
        need(
            all(n > 0 for n in out),
            "nothing is left",
            argument="x",
            expected="a larger input or smaller kernel",
            got=list(x),
        )
        return [(params["num_output"], *out)]

    def completed(self, inputs: Sequence[Shape], params: Params) -> Params:
        """A weight that is an input says its own sizes: a file may leave them out."""
        said = self._of_weight(inputs, params)
        return {**params, **said, "weight_data_size": math.prod(inputs[1])} if said else params

    def _of_weight(self, inputs: Sequence[Shape], params: Params) -> dict[str, int]:
        """What a weight that is an input says."""
        if not params.get("dynamic_weight") or len(inputs) < 2 or len(inputs[1]) != 4:
            return {}
        out, per, kh, kw = inputs[1]
        return {"num_output": per * params.get("group", 1) if self.transposed else out, "kernel_h": kh, "kernel_w": kw}

    def _fits(self, x: Shape, params: Params) -> bool:
        """Whether a weight in the file has as many numbers as x asks for."""
        return bool(math.prod(self._weight_shape(x, params)) == params["weight_data_size"])

    def _size(self, n: int, axis: str, p: Any) -> int:
        before, after = ("pad_top", "pad_bottom") if axis == "h" else ("pad_left", "pad_right")
        extent = p[f"dilation_{axis}"] * (p[f"kernel_{axis}"] - 1) + 1
        if self.transposed:
            extra = p["output_pad_bottom" if axis == "h" else "output_pad_right"]
            wide: int = (n - 1) * p[f"stride_{axis}"] + extent + extra - p[before] - p[after]
            return wide
        size: int = (n + p[before] + p[after] - extent) // p[f"stride_{axis}"] + 1
        return size

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        x, p = inputs[0], params
        per_group = p["kernel_h"] * p["kernel_w"] * (p["num_output"] if self.transposed else x[0])
        return int(math.prod(x if self.transposed else outputs[0]) * per_group // p.get("group", 1))

    def _operands(self, inputs: Any, params: Any, weights: Any) -> tuple[Any, Any, Any]:
        w, b = (*inputs[1:], None, None)[:2] if len(inputs) > 1 else (weights["weight"], weights.get("bias"))
        return inputs[0][None], w, b

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        F, p = functional(), params
        x, w, b = self._operands(inputs, params, weights)
        border = p.get("pad_value", 0.0)
        x = F.pad(x, (p["pad_left"], p["pad_right"], p["pad_top"], p["pad_bottom"]), value=border)
        y = F.conv2d(
            x,
            w,
            b,
            (p["stride_h"], p["stride_w"]),
            0,
            (p["dilation_h"], p["dilation_w"]),
            p.get("group", 1),
        )
        return [fused_activation_reference(y[0], p)]


@register
class Convolution(ConvBase):
    """Cross-correlation of (C, H, W) with [out, C, kh, kw]. ncnn: convolution.cpp.

    dynamic_weight 1: the weight [out, C, kh, kw] (and bias) are inputs.
    """

    type = "Convolution"
    params = (
        *GEOMETRY,
        Param("pad_value", 18, "float", "the border", 0.0),
        Param("dynamic_weight", 19, "int", "1: weights are inputs"),
    )
    left_out = INT8_LEFT_OUT
    unread = {7: "the number of groups, which pnnx writes and which is 1"}
    checked_in_cpp = True

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """As well a 1x1 kernel on a vector, which is an InnerProduct."""
        x, p = inputs[0], params
        if len(x) == 1 and not p["dynamic_weight"] and p["kernel_w"] == p["kernel_h"] == 1:
            size = p["num_output"] * x[0]
            need(p["weight_data_size"] == size, "x does not fit the weight", argument="x", expected=size, got=list(x))
            return [(p["num_output"],)]
        return super().as_read(inputs, params, extra, count)

    def samples(self) -> list[Sample]:
        return [*module_samples(), *bn_samples(), *functional_samples(groups=(1,))]


@register
class ConvolutionDepthWise(ConvBase):
    """Convolution in groups: [out, C / groups, kh, kw]. ncnn: convolutiondepthwise.cpp."""

    type = "ConvolutionDepthWise"
    params = (
        *GEOMETRY,
        GROUP,
        Param("pad_value", 18, "float", "the border", 0.0),
        Param("dynamic_weight", 19, "int", "1: weights are inputs"),
    )
    left_out = INT8_LEFT_OUT
    checked_in_cpp = True

    def samples(self) -> list[Sample]:
        return [*grouped_samples(), *functional_samples(groups=(2, 8))]


# -- DSL --------------------------------------------------------------------------------------------------------


def geometry(
    num_output: int,
    kernel: tuple[int, int],
    stride: Any,
    padding: tuple[int, int, int, int],
    dilation: Any,
    bias: bool,
    size: int,
) -> dict[str, Any]:
    s, d = pair(stride, "stride"), pair(dilation, "dilation")
    return {
        "num_output": num_output,
        "kernel_w": kernel[1],
        "kernel_h": kernel[0],
        "dilation_w": d[1],
        "dilation_h": d[0],
        "stride_w": s[1],
        "stride_h": s[0],
        "pad_left": padding[2],
        "pad_right": padding[3],
        "pad_top": padding[0],
        "pad_bottom": padding[1],
        "bias_term": int(bias),
        "weight_data_size": size,
        "activation_type": 0,
        "activation_params": (),
    }


def static_conv(
    g: Graph,
    x: ValueLike,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Values:
    """A convolution with its weights [out, in / groups, kh, kw] in the file. padding may be negative: it crops."""
    need(weight.ndim == 4, "wrong number of dimensions", argument="weight", expected=4, got=list(weight.shape))
    x, border = _crop_negative(g, one(x), padding)
    kernel = (weight.shape[2], weight.shape[3])
    params = {
        **geometry(weight.shape[0], kernel, stride, border, dilation, bias is not None, weight.size),
        "pad_value": 0.0,
        "dynamic_weight": 0,
    }
    if groups == 1:
        return append(g, spec_of("Convolution"), x, params, {"weight": weight, "bias": bias})
    return append(g, spec_of("ConvolutionDepthWise"), x, {**params, "group": groups}, {"weight": weight, "bias": bias})


def _crop_negative(g: Graph, x: Value, padding: Any) -> tuple[Value, tuple[int, int, int, int]]:
    """Crop what a negative padding cuts off; the rest is for the convolution."""
    top, bottom, left, right = border = padding4(padding)
    if min(border) < 0:
        x = pad(g, x, min(top, 0), min(bottom, 0), min(left, 0), min(right, 0))[0]
    return x, (max(top, 0), max(bottom, 0), max(left, 0), max(right, 0))


@dsl
def Fconv2d(
    g: Graph,
    bottom_names: ValueLike,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: SupportsFloat = 1,
) -> Values:
    """F.conv2d with the weight as a Value: inputs [x, w] or [x, w, b], w [out, in / groups, kh, kw].

    padding: one number, (vertical, horizontal), or (top, bottom, left, right); negative numbers crop.
    """
    n = integer(groups, "groups")
    return _dynamic_conv(
        g, bottom_names, "Convolution" if n == 1 else "ConvolutionDepthWise", stride, padding, dilation, n
    )


@dsl
def Fconv2d_depthwise(
    g: Graph,
    bottom_names: ValueLike,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: SupportsFloat = 1,
) -> Values:
    """As Fconv2d, as a ConvolutionDepthWise layer whatever `groups` is."""
    return _dynamic_conv(g, bottom_names, "ConvolutionDepthWise", stride, padding, dilation, integer(groups, "groups"))


def _dynamic_conv(
    g: Graph, bottom_names: ValueLike, layer: str, stride: Any, padding: Any, dilation: Any, groups: int
) -> Values:
    values = inputs_of(bottom_names)
    need(len(values) in (2, 3), "wrong number of inputs", expected="[x, w] or [x, w, b]", got=len(values))
    shape = values[1].shape
    need_rank(shape, (4,), "w")
    x, border = _crop_negative(g, values[0], padding)
    params = {
        **geometry(
            shape[0],
            (shape[2], shape[3]),
            stride,
            border,
            dilation,
            len(values) == 3,
            shape[0] * shape[1] * shape[2] * shape[3],
        ),
        "pad_value": 0.0,
        "dynamic_weight": 1,
    }
    if layer == "ConvolutionDepthWise":
        params["group"] = groups
    return append(g, spec_of(layer), [x, *values[1:]], params)
