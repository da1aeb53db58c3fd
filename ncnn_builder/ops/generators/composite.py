"""Ops that say what the author means. A target lowers them to layers; none of them is ever emitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array, inputs_of, integer, is_value, number, one
from ...ir import Array, Graph, Shape, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, Weight, dsl, register, spec_of
from ..common import functional, need, need_rank, need_shape, shape_id
from .fir import flag, out_shape, paddings, taps, upfirdn2d_params, upfirdn2d_reference
from .stylegan import BIAS_ACT_DOCS, bias_act_params, bias_act_reference

BIAS_ACT_PARAMS = (
    Param("act", None, "int", BIAS_ACT_DOCS["act"]),
    Param("alpha", None, "float", BIAS_ACT_DOCS["alpha"]),
    Param("gain", None, "float", BIAS_ACT_DOCS["gain"]),
    Param("clamp", None, "float", BIAS_ACT_DOCS["clamp"]),
)


@register
class BiasActComposite(OpSpec):
    """clamp(act(x + b) * gain) with a constant b: one number per channel of a map, per element of a vector."""

    type = "bias_act"
    composite = True
    params = BIAS_ACT_PARAMS
    weights = (Weight("b", False, "[C]"),)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x = inputs[0]
        if "b" in weights:
            need_shape(weights["b"].shape, (x[0] if len(x) >= 3 else x[-1],), "b")
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [bias_act_reference(inputs[0], weights.get("b"), params)]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(4)

        def sample(x: Shape, act: str, bias: bool, clamp: float | None) -> Sample:
            b = normal(rng, x[0] if len(x) >= 3 else x[-1]) if bias else None
            return Sample(f"{shape_id(x)}-{act}-{bias}-{clamp}", (x,), lambda g, v: bias_act(g, v, b, act, clamp=clamp))

        return [
            sample(x, act, bias, clamp)
            for x in ((5, 3, 7), (9,))
            for act, clamp in (("lrelu", 0.7), ("linear", None), ("swish", None))
            for bias in (False, True)
        ]


@dsl
def bias_act(
    g: Graph,
    x: ValueLike,
    b: Any | None = None,
    act: Any = "linear",
    alpha: SupportsFloat | None = None,
    gain: SupportsFloat | None = None,
    clamp: SupportsFloat | None = None,
) -> Values:
    """clamp(act(x + b) * gain): b an array of one number per channel, or None.

    act: linear, relu, lrelu, tanh, sigmoid, elu, selu, softplus, swish. alpha, gain: None is the activation's
    default (gain sqrt(2) for relu, lrelu and swish). clamp: None is none.
    """
    return append(
        g,
        spec_of("bias_act"),
        x,
        bias_act_params(act, alpha, gain, clamp),
        {"b": None if b is None else array(b, "b", 1)},
    )


@register
class Upfirdn2d(OpSpec):
    """Insert zeros, pad or crop, filter, drop pixels. Source: the upfirdn2d op of StyleGAN2-ADA.

    x (C, H, W) -> every pixel followed by up - 1 zeros -> padded (negative: cropped) -> convolved with f * gain
    (correlated if flip_filter) -> every down-th pixel. f [fh, fw], or [n]: applied along both axes. Factors 1 to 64,
    at most 256 taps along an axis.
    """

    type = "upfirdn2d"
    composite = True
    params = (
        Param("up_y", None, "int", "vertical factor of the zeros"),
        Param("up_x", None, "int", "horizontal factor"),
        Param("down_y", None, "int", "vertical factor of the pixels kept"),
        Param("down_x", None, "int", "horizontal factor"),
        Param("pad_top", None, "int", "rows above, after the zeros"),
        Param("pad_bottom", None, "int", "rows below"),
        Param("pad_left", None, "int", "columns before"),
        Param("pad_right", None, "int", "columns after"),
        Param("flip_filter", None, "int", "1: correlation"),
        Param("gain", None, "float", "factor of the picture"),
    )
    weights = (Weight("f", True, "[fh, fw] or [n]; none: one pixel of 1"),)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        p = params
        up, down = (p["up_y"], p["up_x"]), (p["down_y"], p["down_x"])
        return [out_shape(inputs[0], up, down, p, taps("f", weights.get("f")), (1, 1))]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        p = params
        return [
            upfirdn2d_reference(
                inputs[0],
                weights.get("f"),
                (p["up_y"], p["up_x"]),
                (p["down_y"], p["down_x"]),
                paddings(p),
                p["gain"],
                bool(p["flip_filter"]),
            )
        ]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(6)
        square, wide, line = normal(rng, 4, 4), normal(rng, 3, 5), normal(rng, 6)

        def sample(x: Shape, name: str, f: Array | None, **kw: Any) -> Sample:
            label = "-".join(f"{k}{v}" for k, v in kw.items()).replace(" ", "")
            return Sample(f"{shape_id(x)}-{name}-{label}", (x,), lambda g, v: upfirdn2d(g, v, f, **kw))

        return [
            sample((3, 8, 8), "4x4", square, up=2, padding=(2, 1, 2, 1), gain=4),
            sample((1, 4, 6), "4x4", square, padding=1),
            sample((5, 7, 9), "4x4", square, down=2, padding=1),
            sample((5, 7, 9), "3x5", wide, up=(1, 2), down=(2, 1), padding=2),
            sample((5, 7, 9), "line", line, up=4, padding=(5, 3, 4, 2)),
            sample((5, 9, 9), "line", line, up=2, down=2, padding=(-1, 4, 3, -2)),
            sample((5, 9, 9), "4x4", square, padding=(-2, -1, 0, -3)),
            sample((5, 4, 4), "3x5", wide, up=3, padding=1, flip_filter=True),
            sample((4, 5, 6), "none", None, up=2),
            sample((4, 5, 6), "none", None, down=2, gain=3),
            sample((4, 5, 6), "none", None, padding=(1, -1, 2, 0)),
            sample((8, 6, 5), "4x4", square, up=8, padding=3),
            sample((8, 6, 5), "none", None),
        ]


@dsl
def upfirdn2d(
    g: Graph,
    x: ValueLike,
    f: Any | None,
    up: Any = 1,
    down: Any = 1,
    padding: Any = 0,
    flip_filter: bool = False,
    gain: SupportsFloat = 1.0,
) -> Values:
    """Insert zeros, pad, filter, drop pixels.

    f: [fh, fw], [n] for a separable filter, or None. up, down: one factor or (vertical, horizontal). padding: one
    number, (vertical, horizontal) or (top, bottom, left, right), of the picture with zeros; negative numbers crop.
    """
    params = upfirdn2d_params(up, down, padding, flip_filter, gain)
    return append(g, spec_of("upfirdn2d"), x, params, {"f": None if f is None else array(f, "f")})


@register
class ModulatedConv2d(OpSpec):
    """StyleGAN2's modulated convolution, batch of one.

    w'[o, i, k] = weight[o, i, k] * styles[i]; if demodulate, w' *= rsqrt(sum over i, k of w'^2 + 1e-8);
    y = conv(x, w' * gain) (+ noise, one plane for all channels). up > 1: x is upsampled by zeros and by
    resample_filter * up^2 first. x (I, H, W), styles [I], weight [O, I, kh, kw], noise [H', W'], a constant or a
    third input.
    Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", section 2.2.
    """

    type = "modulated_conv2d"
    composite = True
    inputs = ("x", "styles", "noise?")
    params = (
        Param("up", None, "int", "factor of the upsampling"),
        Param("padding", None, "int", "border, in pixels of the result"),
        Param("demodulate", None, "int", "1: normalise the modulated weight per output channel"),
        Param("flip_weight", None, "int", "1: correlation, as torch's conv2d; 0: convolution"),
        Param("gain", None, "float", "factor of the modulated weight, after demodulation"),
    )
    weights = (
        Weight("weight", True, "[O, I, kh, kw]"),
        Weight("resample_filter", True, "[fh, fw] or [n]"),
        Weight("noise", True, "[H', W']"),
    )
    tolerance = Tolerance(2e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        (c, h, w), kernel = inputs[0], weights["weight"].shape
        need(
            len(kernel) == 4 and kernel[1] == c,
            "the weight does not fit",
            argument="weight",
            expected=["out", c, "kh", "kw"],
            got=list(kernel),
        )
        need_shape(inputs[1], (c,), "styles")
        taps("resample_filter", weights.get("resample_filter"))
        need(params["up"] >= 1, "bad factor", argument="up", expected=">= 1", got=params["up"])
        out = (
            kernel[0],
            *(n * params["up"] + 2 * params["padding"] - k + 1 for n, k in zip((h, w), kernel[2:], strict=True)),
        )
        need(all(n > 0 for n in out), "nothing is left", argument="x", got=list(inputs[0]))
        noises = [*inputs[2:], *([weights["noise"].shape] if "noise" in weights else [])]
        need(len(noises) < 2, "noise as an input and as a constant", argument="noise", expected="one", got=noises)
        for noise in noises:
            need_shape(noise, (*(1,) * (len(noise) - 2), *out[1:]), "noise")
        return [out]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, styles = inputs[:2]
        w = weights["weight"] * styles[None, :, None, None]
        if params["demodulate"]:
            w = w * (w.square().sum((1, 2, 3), keepdim=True) + 1e-8).rsqrt()
        w = w * params["gain"]
        up, f = params["up"], weights.get("resample_filter")
        padding = [params["padding"]] * 4
        if up > 1:
            fh, fw = (1, 1) if f is None else (f.shape[0], f.shape[-1])
            border = [
                p + extra
                for n in (fh, fw)
                for p, extra in ((params["padding"], (n + up - 1) // 2), (params["padding"], (n - up) // 2))
            ]
            x, padding = upfirdn2d_reference(x, f, (up, up), (1, 1), border, up**2, False), [0] * 4
        top, bottom, left, right = padding
        x = functional().pad(x[None], (left, right, top, bottom))
        y = functional().conv2d(x, w if params["flip_weight"] else w.flip(2, 3))[0]
        noise = inputs[2] if len(inputs) == 3 else weights.get("noise")
        return [y if noise is None else y + noise.reshape(y.shape[1:])]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(7)
        held = normal(rng, 4, 5, 3, 3)
        f: Array = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / np.float32(64)

        def sample(
            x: Shape,
            out: int,
            k: int,
            up: int = 1,
            noise: bool = True,
            demodulate: bool = True,
            flip: bool = True,
            resample: Array | None = f,
            gain: float = 1.0,
        ) -> Sample:
            w, c = normal(rng, out, x[0], k, k), x[0]
            plane = normal(rng, x[1] * up, x[2] * up) if noise else None
            return Sample(
                f"{shape_id(x)}-{out}-{k}-up{up}-{noise}-{demodulate}-{flip}-{resample is not None}-{gain}",
                (x, (c,)),
                lambda g, v, s: modulated_conv2d(
                    g,
                    [v, s],
                    w,
                    plane,
                    up=up,
                    padding=k // 2,
                    resample_filter=resample if up > 1 else None,
                    demodulate=demodulate,
                    flip_weight=flip,
                    gain=gain,
                ),
            )

        return [
            sample((5, 6, 7), 4, 3),
            sample((1, 4, 4), 1, 3),
            sample((16, 4, 4), 8, 3, noise=False),
            sample((8, 5, 5), 3, 1, demodulate=False, noise=False),
            sample((5, 4, 6), 4, 3, up=2, flip=False),
            sample((1, 4, 4), 1, 3, up=2, flip=False),
            sample((8, 3, 3), 16, 3, up=2),
            sample((5, 1, 6), 4, 3, up=2, flip=False, demodulate=False),
            sample((5, 3, 4), 4, 1, up=2, flip=False, noise=False),
            sample((5, 3, 4), 4, 3, up=3, flip=False, noise=False),
            sample((5, 3, 4), 4, 3, up=2, resample=None),
            sample((5, 3, 4), 4, 3, flip=False),
            *(sample((5, 3, 4), 4, 3, up, demodulate=d, gain=0.37) for up in (1, 2) for d in (False, True)),
            Sample(
                "noise-input",
                ((5, 6, 7), (5,), (6, 7)),
                lambda g, x, s, n: modulated_conv2d(g, [x, s], held, n, padding=1),
            ),
        ]


@dsl
def modulated_conv2d(
    g: Graph,
    bottom_names: ValueLike,
    weight: Any,
    noise: Any | None = None,
    up: SupportsFloat = 1,
    padding: SupportsFloat = 0,
    resample_filter: Any | None = None,
    demodulate: bool = True,
    flip_weight: bool = True,
    gain: SupportsFloat = 1.0,
) -> Values:
    """Inputs [x, styles]: the modulated convolution of StyleGAN2, and + noise.

    weight [O, I, kh, kw]; noise: None, an array [H', W'] (already times its strength), or a Value; up with
    resample_filter; flip_weight=False is a convolution, as the official networks have it when up is 2; gain
    multiplies the weight after demodulation (StyleGAN3's input gain).
    """
    inputs = inputs_of(bottom_names)
    if is_value(noise) or isinstance(noise, (list, tuple)):
        inputs.append(one(noise))
        noise = None
    params = {
        "up": integer(up, "up"),
        "padding": integer(padding, "padding"),
        "demodulate": flag(demodulate, "demodulate"),
        "flip_weight": flag(flip_weight, "flip_weight"),
        "gain": number(gain, "gain"),
    }
    return append(
        g,
        spec_of("modulated_conv2d"),
        inputs,
        params,
        {
            "weight": array(weight, "weight", 4),
            "noise": None if noise is None else array(noise, "noise", 2),
            "resample_filter": None if resample_filter is None else array(resample_filter, "resample_filter"),
        },
    )


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape).astype(np.float32)
