"""StyleGAN's modulated convolutions as layers of their own: what the composite op becomes where it is to be fast."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array, inputs_of, integer, number
from ...ir import Array, Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, Weight, dsl, register, spec_of
from ..common import functional, need, need_rank, need_shape, shape_id
from ..enums import Noise
from .fir import MOST_TAPS, border_behind, fir_macs, flag, upfirdn2d_reference, upsampling_border


@register
class ModulatedConv2dLayer(OpSpec):
    """StyleGAN's modulated convolution with static weights, noise, bias and activation, in one layer.

    y = clamp(lrelu(d[o] * conv(w, s * x) + noise + bias[o]) * act_gain); d = gain * rsqrt(sum over i, k of
    (w[o, i, k] * s[i])^2 + 1e-8), or gain without demodulation. Scaling x and y is the same as scaling w, which so can
    be transformed once. x (I, H, W), s [I], noise [H', W'] an input or a constant.
    up 1: correlation. up 2: transposed convolution of stride 2 with a 3x3 w, then the filter f times 4 along both axes,
    which StyleGAN2 does instead of upsampling before the convolution.
    Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 2.2.
    """

    type = "ModulatedConv2d"
    custom = True
    inputs = ("x", "styles", "noise?")
    params = (
        Param("num_output", 0, "int", "O"),
        Param("num_input", 1, "int", "I"),
        Param("kernel_h", 2, "int", "rows of the kernel", 1),
        Param("kernel_w", 3, "int", "its columns", 1),
        Param("up", 4, "int", "1, or 2: the result is twice as large", 1),
        Param("padding", 5, "int", "border, in pixels of the result"),
        Param("height", 6, "int", "H: weights are laid out for one size of x"),
        Param("width", 7, "int", "W"),
        Param("demodulate", 8, "int", "1: normalise the modulated weight per output channel"),
        Param("gain", 9, "float", "factor of the modulated weight, after demodulation", 1.0),
        Param("noise", 10, "int", "0 none, 1 a constant, 2 the third input"),
        Param("bias_data_size", 11, "int", "O, or 0: no bias"),
        Param("slope", 12, "float", "of the leaky ReLU's negative side; 1: linear", 1.0),
        Param("act_gain", 13, "float", "factor after the activation", 1.0),
        Param("clamp", 14, "float", "limit of the magnitude; below 0: none", -1.0),
        Param("filter_size", 15, "int", "taps of f, at least 1 where up is 2"),
    )
    weights = (
        Weight("weight", True, "[O, I, kernel_h, kernel_w]"),
        Weight("noise", True, "[H', W']"),
        Weight("bias", False, "[O]"),
        Weight("f", False, "[filter_size]: the filter is f times f"),
    )
    # The fast forms sum in another order, and Winograd's transforms round: 1e-5 of the largest number at 512 channels.
    tolerance = Tolerance(3e-5)

    def weight_sizes(self, params: Params) -> dict[str, int]:
        p = params
        h, w = _out_size(p)
        sizes = {"weight": p["num_output"] * p["num_input"] * p["kernel_h"] * p["kernel_w"]}
        if p["noise"] == Noise.CONSTANT:
            sizes["noise"] = h * w
        if p["bias_data_size"]:
            sizes["bias"] = p["bias_data_size"]
        if p["filter_size"]:
            sizes["f"] = p["filter_size"]
        return sizes

    def weight_shapes(self, params: Params) -> dict[str, Shape]:
        p = params
        shapes: dict[str, Shape] = {"weight": (p["num_output"], p["num_input"], p["kernel_h"], p["kernel_w"])}
        return shapes | ({"noise": _out_size(p)} if p["noise"] == Noise.CONSTANT else {})

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        p, x = params, inputs[0]
        need_shape(x, (p["num_input"], p["height"], p["width"]), "x")
        need_shape(inputs[1], (p["num_input"],), "styles")
        need((len(inputs) == 3) == (p["noise"] == Noise.INPUT), "noise and the inputs disagree", got=len(inputs))
        need(p["up"] in (1, 2), "bad factor", argument="up", expected="1 or 2", got=p["up"])
        kernel = [p["kernel_h"], p["kernel_w"]]
        need(p["up"] == 1 or kernel == [3, 3], "bad kernel", argument="weight", expected="3x3 for up = 2", got=kernel)
        need((p["up"] == 2) == (p["filter_size"] > 0), "a filter for up = 2 only", argument="f", got=p["filter_size"])
        need(min(kernel) >= 1 and p["padding"] >= 0, "bad padding or kernel", got=[*kernel, p["padding"]])
        need(p["filter_size"] <= MOST_TAPS, "bad filter", argument="f", expected=f"at most {MOST_TAPS} taps")
        out = (p["num_output"], *_out_size(p))
        need(all(n > 0 for n in out), "nothing is left", argument="x", got=list(x))
        if len(inputs) == 3:
            need_shape(inputs[2], (*(1,) * (len(inputs[2]) - 2), *out[1:]), "noise")
        for name, size in self.weight_sizes(p).items():
            need(name in weights and weights[name].size == size, "wrong size", argument=name, expected=size)
        need(p["bias_data_size"] in (0, out[0]), "wrong size", argument="bias", expected=out[0])
        return [out]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        """Of the convolution, for up 2 as a transposed one and the filter behind it, and of the demodulation."""
        p, out = params, outputs[0]
        pairs = p["num_output"] * p["num_input"]
        pixels = out if p["up"] == 1 else inputs[0]
        conv = pairs * p["kernel_h"] * p["kernel_w"] * math.prod(pixels[1:])
        f = (p["filter_size"],) if p["filter_size"] else None
        return int(conv + fir_macs(out, f, (1, 1)) + (pairs if p["demodulate"] else 0))

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        F, p, (x, styles) = functional(), params, inputs[:2]
        w = weights["weight"].reshape(p["num_output"], p["num_input"], p["kernel_h"], p["kernel_w"])
        w = w * styles[None, :, None, None]
        if p["demodulate"]:
            w = w * (w.square().sum((1, 2, 3), keepdim=True) + 1e-8).rsqrt()
        w = w * p["gain"]
        if p["up"] == 1:
            y = F.conv2d(x[None], w, padding=p["padding"])[0]
        else:
            y = F.conv_transpose2d(x[None], w.transpose(0, 1), stride=2)[0]
            border = border_behind(p["padding"], 2, p["filter_size"], p["kernel_h"])
            y = upfirdn2d_reference(y, weights["f"], (1, 1), (1, 1), border * 2, 4.0, False)
        noise = inputs[2] if len(inputs) == 3 else weights.get("noise")
        if noise is not None:
            y = y + noise.reshape(y.shape[1:])
        if "bias" in weights:
            y = y + weights["bias"][:, None, None]
        y = F.leaky_relu(y, p["slope"]) * p["act_gain"]
        return [y if p["clamp"] < 0 else y.clamp(-p["clamp"], p["clamp"])]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(13)
        fir: Array = np.array([0.125, 0.375, 0.375, 0.125], np.float32)
        lopsided: Array = np.array([0.1, 0.5, 0.4, 0.2, -0.1], np.float32)

        def sample(x: Shape, out: int, k: tuple[int, int], **kw: Any) -> Sample:
            """kw: noise (None, "held" or "input") and bias are switches; the rest goes to ModulatedConv2d."""
            noise, bias, up = kw.pop("noise", None), kw.pop("bias", True), kw.get("up", 1)
            kw.setdefault("padding", k[0] // 2)
            w = (rng.standard_normal((out, x[0], *k)) / np.sqrt(x[0])).astype(np.float32)
            size = tuple(n * up + 2 * kw["padding"] - taps + 1 for n, taps in zip(x[1:], k, strict=True))
            plane = rng.standard_normal(size).astype(np.float32)
            b = rng.standard_normal(out).astype(np.float32) if bias else None
            label = "-".join(f"{n}{v.size if isinstance(v, np.ndarray) else v}" for n, v in kw.items())
            return Sample(
                f"{shape_id(x)}-{out}-{k[0]}x{k[1]}-{label}-{noise}-{bias}",
                (x, (x[0],), size) if noise == "input" else (x, (x[0],)),
                lambda g, *v: ModulatedConv2d(g, v, w, noise=plane if noise == "held" else None, bias=b, **kw),
            )

        lrelu: dict[str, Any] = dict(slope=0.2, act_gain=1.4142135)
        return [
            sample((5, 6, 7), 4, (3, 3)),
            sample((1, 1, 1), 1, (1, 1), bias=False),
            sample((16, 9, 4), 16, (1, 1), demodulate=False, gain=0.3, clamp=0.7),
            sample((8, 5, 5), 20, (3, 3), noise="held", **lrelu, clamp=256),
            sample((24, 20, 20), 33, (3, 3), noise="input", **lrelu),
            sample((16, 40, 37), 48, (3, 3), noise="held", **lrelu),
            sample((3, 100, 90), 5, (3, 3), padding=2, gain=0.7, bias=False),
            sample((20, 12, 13), 17, (3, 3), padding=0),
            sample((6, 7, 8), 9, (2, 5), padding=2),
            sample((7, 1, 9), 3, (3, 3)),
            sample((5, 4, 6), 4, (3, 3), up=2, f=fir),
            sample((16, 3, 3), 32, (3, 3), up=2, f=fir, noise="held", **lrelu, clamp=0.5),
            sample((20, 33, 30), 19, (3, 3), up=2, f=fir, noise="input", **lrelu),
            sample((8, 70, 66), 16, (3, 3), up=2, f=fir, **lrelu),
            sample((3, 40, 41), 7, (3, 3), up=2, f=lopsided, padding=2, demodulate=False, gain=1.5),
            sample((5, 1, 2), 4, (3, 3), up=2, f=np.array([1.0], np.float32)),
        ]


@dsl
def ModulatedConv2d(
    g: Graph,
    bottom_names: ValueLike,
    weight: Any,
    f: Any | None = None,
    up: SupportsFloat = 1,
    padding: SupportsFloat = 0,
    demodulate: bool = True,
    gain: SupportsFloat = 1.0,
    noise: Any | None = None,
    bias: Any | None = None,
    slope: SupportsFloat = 1.0,
    act_gain: SupportsFloat = 1.0,
    clamp: SupportsFloat | None = None,
) -> Values:
    """Inputs [x, styles] or [x, styles, noise]: the modulated convolution with noise, bias and leaky ReLU as one layer.

    weight [O, I, kh, kw]: of a correlation, or with up = 2 of a transposed convolution. f [n]: the filter of up = 2.
    noise: a constant [H', W']. bias [O]. clamp: None or a negative number is none.
    """
    values = inputs_of(bottom_names)
    need_rank(values[0].shape, (3,), "x")
    w = array(weight, "weight", 4)
    data = {
        "weight": w,
        "noise": None if noise is None else array(noise, "noise", 2),
        "bias": None if bias is None else array(bias, "bias", 1),
        "f": None if f is None else array(f, "f", 1),
    }
    if noise is not None and len(values) == 3:
        need(False, "noise as an input and as a constant", argument="noise", expected="one")
    params = {
        "num_output": w.shape[0],
        "num_input": w.shape[1],
        "kernel_h": w.shape[2],
        "kernel_w": w.shape[3],
        "up": integer(up, "up"),
        "padding": integer(padding, "padding"),
        "height": values[0].shape[1],
        "width": values[0].shape[2],
        "demodulate": flag(demodulate, "demodulate"),
        "gain": number(gain, "gain"),
        "noise": Noise.CONSTANT if noise is not None else Noise.INPUT if len(values) == 3 else Noise.NONE,
        "bias_data_size": 0 if data["bias"] is None else data["bias"].size,
        "slope": number(slope, "slope"),
        "act_gain": number(act_gain, "act_gain"),
        "clamp": -1.0 if clamp is None else number(clamp, "clamp"),
        "filter_size": 0 if data["f"] is None else data["f"].size,
    }
    return append(g, spec_of("ModulatedConv2d"), values, params, data)


def _out_size(p: Params) -> tuple[int, int]:
    h, w = (
        p[size] * p["up"] + 2 * p["padding"] - p[kernel] + 1
        for size, kernel in (("height", "kernel_h"), ("width", "kernel_w"))
    )
    return h, w


@register
class ToRGBLayer(OpSpec):
    """StyleGAN2's ToRGB with the picture of the block before it: a modulated 1x1 convolution without demodulation.

    rgb = clamp(w * (s * x) + bias), y = rgb + up2(image); x (I, H, W), s [I], image (O, H / 2, W / 2) upsampled by
    zeros and the filter f times 4 along both axes, y and rgb (O, H, W). rgb is there for those who compare modules.
    Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 4.2 (skip connections).
    """

    type = "ToRGB"
    custom = True
    inputs = ("x", "styles", "image?")
    outputs = ("y", "rgb?")
    params = (
        Param("num_output", 0, "int", "O"),
        Param("num_input", 1, "int", "I"),
        Param("height", 2, "int", "H: weights are laid out for one size of x"),
        Param("width", 3, "int", "W"),
        Param("bias_data_size", 4, "int", "O, or 0: no bias"),
        Param("clamp", 5, "float", "limit of the magnitude before the image is added; below 0: none", -1.0),
        Param("filter_size", 6, "int", "taps of f; 0: there is no image"),
        Param("keep_rgb", 7, "int", "1: the second output"),
    )
    weights = (
        Weight("weight", True, "[O, I]"),
        Weight("bias", False, "[O]"),
        Weight("f", False, "[filter_size]: the filter is f times f"),
    )

    def weight_sizes(self, params: Params) -> dict[str, int]:
        sizes = {"weight": params["num_output"] * params["num_input"]}
        if params["bias_data_size"]:
            sizes["bias"] = params["bias_data_size"]
        if params["filter_size"]:
            sizes["f"] = params["filter_size"]
        return sizes

    def weight_shapes(self, params: Params) -> dict[str, Shape]:
        return {"weight": (params["num_output"], params["num_input"])}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        p = params
        need_shape(inputs[0], (p["num_input"], p["height"], p["width"]), "x")
        need_shape(inputs[1], (p["num_input"],), "styles")
        need((len(inputs) == 3) == (p["filter_size"] > 0), "f and the inputs disagree", got=len(inputs))
        need(0 <= p["filter_size"] <= MOST_TAPS, "bad filter", argument="f", expected=f"at most {MOST_TAPS} taps")
        if len(inputs) == 3:
            need_shape(inputs[2], (p["num_output"], p["height"] // 2, p["width"] // 2), "image")
            need(p["height"] % 2 == p["width"] % 2 == 0, "an odd size", argument="x", got=list(inputs[0]))
        for name, size in self.weight_sizes(p).items():
            need(name in weights and weights[name].size == size, "wrong size", argument=name, expected=size)
        need(p["bias_data_size"] in (0, p["num_output"]), "wrong size", argument="bias", expected=p["num_output"])
        return [(p["num_output"], p["height"], p["width"])] * (1 + p["keep_rgb"])

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        """Of the 1x1 convolution, and of the filter that doubles the image."""
        f = (params["filter_size"],) if params["filter_size"] else None
        return int(params["num_input"] * math.prod(outputs[0]) + fir_macs(outputs[0], f, (2, 2)))

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, styles = inputs[:2]
        w = weights["weight"].reshape(params["num_output"], -1) * styles
        y = functional().conv2d(x[None], w[:, :, None, None])[0]
        if "bias" in weights:
            y = y + weights["bias"][:, None, None]
        rgb = y = y if params["clamp"] < 0 else y.clamp(-params["clamp"], params["clamp"])
        if len(inputs) == 3:
            padding = upsampling_border(params["filter_size"], 2) * 2
            y = y + upfirdn2d_reference(inputs[2], weights["f"], (2, 2), (1, 1), padding, 4.0, False)
        return [y, rgb] if params["keep_rgb"] else [y]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(14)
        fir: Array = np.array([0.125, 0.375, 0.375, 0.125], np.float32)

        def sample(x: Shape, out: int, image: bool, bias: bool, clamp: float | None, rgb: bool = False) -> Sample:
            w = (rng.standard_normal((out, x[0], 1, 1)) / np.sqrt(x[0])).astype(np.float32)
            b = rng.standard_normal(out).astype(np.float32) if bias else None
            half = (out, x[1] // 2, x[2] // 2)
            return Sample(
                f"{shape_id(x)}-{out}-{image}-{bias}-{clamp}-{rgb}",
                (x, (x[0],), half) if image else (x, (x[0],)),
                lambda g, *v: ToRGB(g, v, w, fir if image else None, b, clamp, rgb),
            )

        return [
            sample((5, 6, 8), 3, True, True, 0.8),
            sample((16, 4, 4), 3, False, True, 256),
            sample((32, 34, 30), 1, True, False, None),
            sample((3, 2, 2), 20, True, True, None),
            sample((64, 70, 64), 16, True, True, 256),
            sample((1, 5, 7), 2, False, False, 0.1),
            sample((16, 8, 8), 3, True, True, 256, rgb=True),
            sample((5, 6, 4), 3, False, True, None, rgb=True),
        ]


@dsl
def ToRGB(
    g: Graph,
    bottom_names: ValueLike,
    weight: Any,
    f: Any | None = None,
    bias: Any | None = None,
    clamp: SupportsFloat | None = None,
    keep_rgb: bool = False,
) -> Values:
    """Inputs [x, styles] or [x, styles, image]: clamp(modulated 1x1 convolution + bias), plus the upsampled image.

    weight [O, I, 1, 1]. f [n]: the filter of the upsampling, with an image. clamp: None or a negative number is none.
    keep_rgb: a second result, without the image.
    """
    values = inputs_of(bottom_names)
    need_rank(values[0].shape, (3,), "x")
    w = array(weight, "weight", 4)
    need(w.shape[2:] == (1, 1), "the weight does not fit", argument="weight", expected="[O, I, 1, 1]")
    data = {
        "weight": w.reshape(w.shape[:2]),
        "bias": None if bias is None else array(bias, "bias", 1),
        "f": None if f is None else array(f, "f", 1),
    }
    params = {
        "num_output": w.shape[0],
        "num_input": w.shape[1],
        "height": values[0].shape[1],
        "width": values[0].shape[2],
        "bias_data_size": 0 if data["bias"] is None else data["bias"].size,
        "clamp": -1.0 if clamp is None else number(clamp, "clamp"),
        "filter_size": 0 if data["f"] is None else data["f"].size,
        "keep_rgb": flag(keep_rgb, "keep_rgb"),
    }
    return append(g, spec_of("ToRGB"), values, params, data)
