"""Plain convolutions on our kernels: what Convolution becomes where it is to be fast."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array, inputs_of, number, padding4
from ...ir import Array, Graph, Params, Shape, Value, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, Weight, dsl, register, spec_of
from ...sizes import is_open
from ..common import functional, need, need_rank, need_shape, shape_id

LANES = 16
"""Channels that the kernels take side by side: of each blob of x but the last, a multiple of it."""
# custom_layers/fusedconv2d.cpp and conv.cpp have the same; a test compares them.
MOST = 1 << 15
MOST_PARTS = 1 << 10
MOST_KERNEL = 64
MOST_WEIGHTS = 1 << 29
MOST_PIXELS = 1 << 28
LARGE = 256
"""The size that weights are laid out for where it is not known."""
BORDER = ("pad_top", "pad_bottom", "pad_left", "pad_right")


@register
class FusedConv2dLayer(OpSpec):
    """A convolution of stride 1 with what stands around it: a concatenation, bias, a residual and leaky ReLU.

    y = act(scale * (conv(w, x) + bias) + residual); act(v) = v where v > 0, else slope * v, with one slope or one for
    each channel. x (I, H, W) of any size is one blob, or several whose channels lie one behind the other; all but the
    last have a multiple of 16. residual (O, H', W') is the last input. 3x3 kernels are Winograd's: F(6x6, 3x3) or
    F(4x4, 3x3), as Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks".
    """

    type = "FusedConv2d"
    custom = True
    inputs = ("x", "more*")
    params = (
        Param("num_output", 0, "int", "O"),
        Param("num_input", 1, "int", "I"),
        Param("kernel_h", 2, "int", "rows of the kernel", 1),
        Param("kernel_w", 3, "int", "its columns", 1),
        Param("pad_top", 4, "int", "rows above"),
        Param("pad_bottom", 5, "int", "rows below"),
        Param("pad_left", 6, "int", "columns before"),
        Param("pad_right", 7, "int", "columns after"),
        Param("height", 8, "int", "H that weights are laid out for: the layer takes any; 0: not known"),
        Param("width", 9, "int", "W, likewise"),
        Param("bias_data_size", 10, "int", "O, or 0: no bias"),
        Param("scale", 11, "float", "factor of the convolution with its bias", 1.0),
        Param("residual", 12, "int", "1: the last input is added"),
        Param("slope", 13, "float", "of the leaky ReLU's negative side; 1: linear", 1.0),
        Param("slope_data_size", 14, "int", "O: slopes of each channel instead, or 0"),
    )
    weights = (
        Weight("weight", True, "[O, I, kernel_h, kernel_w]"),
        Weight("bias", False, "[O]"),
        Weight("slopes", False, "[O]"),
    )
    # As of ModulatedConv2d: Winograd's transforms round.
    tolerance = Tolerance(3e-5)

    def weight_sizes(self, params: Params) -> dict[str, int]:
        p = params
        sizes = {"weight": p["num_output"] * p["num_input"] * p["kernel_h"] * p["kernel_w"]}
        if p["bias_data_size"]:
            sizes["bias"] = p["bias_data_size"]
        if p["slope_data_size"]:
            sizes["slopes"] = p["slope_data_size"]
        return sizes

    def weight_shapes(self, params: Params) -> dict[str, Shape]:
        p = params
        return {"weight": (p["num_output"], p["num_input"], p["kernel_h"], p["kernel_w"])}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        p = params
        need(p["residual"] in (0, 1), "bad residual", argument="residual", expected="0 or 1", got=p["residual"])
        parts = inputs[: len(inputs) - p["residual"]]
        need(len(parts) > 0, "a residual, but no x", argument="x", got=len(inputs))
        for part in parts:
            need_rank(part, (3,), "x")
            need_shape(part[1:], parts[0][1:], "x")
        channels = [part[0] for part in parts]
        fits = sum(channels) == p["num_input"] and all(n % LANES == 0 for n in channels[:-1])
        expected = f"{p['num_input']} channels, in multiples of {LANES} but for the last"
        need(fits, "wrong channels", argument="x", expected=expected, got=channels)
        kernel, border = (p["kernel_h"], p["kernel_w"]), [p[side] for side in BORDER]
        need(min(kernel) >= 1 and min(border) >= 0, "bad padding or kernel", got=[*kernel, *border])
        hint = (p["height"], p["width"])
        need(min(hint) >= 0, "bad size", argument="height, width", got=[*hint])
        out = (p["num_output"], *_made(parts[0][1:], p))
        need(all(n > 0 for n in out), "nothing is left", argument="x", expected="a larger input", got=list(parts[0]))
        left = [made for n, made in zip(hint, _made(hint, p), strict=True) if n]
        need(all(n > 0 for n in left), "bad size", argument="height, width", expected="0, or the kernel's", got=[*hint])
        need(within(p, *parts), "more than the layer takes", argument="x", expected=WITHIN, got=list(parts[0]))
        if p["residual"]:
            need_shape(inputs[-1], out, "residual")
        for name, size in self.weight_sizes(p).items():
            need(name in weights and weights[name].size == size, "wrong size", argument=name, expected=size)
        for name in ("bias", "slope"):
            size = p[f"{name}_data_size"]
            need(size in (0, out[0]), "wrong size", argument=name, expected=out[0], got=size)
        return [out]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        p, (out, height, width) = params, outputs[0]
        return int(out * height * width * p["num_input"] * p["kernel_h"] * p["kernel_w"])

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        F, p = functional(), params
        x = torch.cat(list(inputs[: len(inputs) - p["residual"]]))
        x = F.pad(x, (p["pad_left"], p["pad_right"], p["pad_top"], p["pad_bottom"]))
        w = weights["weight"].reshape(p["num_output"], p["num_input"], p["kernel_h"], p["kernel_w"])
        y = F.conv2d(x[None], w, weights.get("bias"))[0] * p["scale"]
        if p["residual"]:
            y = y + inputs[-1]
        slopes = weights["slopes"][:, None, None] if "slopes" in weights else p["slope"]
        return [torch.where(y < 0, y * slopes, y) + 0.0]  # a ReLU's zeros are positive

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(17)

        def sample(x: tuple[Shape, ...], out: int, k: tuple[int, int], **kw: Any) -> Sample:
            """kw: bias, residual and slopes are switches; the rest goes to FusedConv2d."""
            bias, residual, slopes = (kw.pop(name, 0) for name in ("bias", "residual", "slopes"))
            channels = sum(part[0] for part in x)
            w = (rng.standard_normal((out, channels, *k)) / np.sqrt(channels * k[0] * k[1])).astype(np.float32)
            b = rng.standard_normal(out).astype(np.float32) if bias else None
            if slopes:
                kw["slope"] = rng.uniform(-0.5, 1.5, out).astype(np.float32)
            border = padding4(kw.get("padding", 0))
            size = (out, x[0][1] + border[0] + border[1] - k[0] + 1, x[0][2] + border[2] + border[3] - k[1] + 1)
            said = "-".join(f"{n}{v}" for n, v in kw.items() if n != "slope")
            label = f"{'+'.join(map(shape_id, x))}-{out}-{k[0]}x{k[1]}-{said}-{bias}{residual}{slopes}"
            return Sample(
                label,
                (*x, size) if residual else x,
                lambda g, *v: FusedConv2d(g, v[: len(x)], w, bias=b, residual=v[-1] if residual else None, **kw),
            )

        return [
            sample(((5, 6, 7),), 4, (3, 3), padding=1, bias=1),
            sample(((1, 1, 1),), 1, (1, 1)),
            sample(((3, 20, 21),), 24, (3, 3), padding=1, bias=1, slope=0.0),
            sample(((16, 9, 4),), 16, (1, 1), bias=1, slope=0.2),
            sample(((32, 30, 31),), 20, (3, 3), padding=1, bias=1, slopes=1),
            sample(((24, 14, 14),), 24, (3, 3), padding=1, residual=1, slope=0.0),
            sample(((48, 26, 25),), 16, (3, 3), padding=1, bias=1, residual=1, scale=0.2),
            sample(((32, 12, 13), (16, 12, 13), (5, 12, 13)), 17, (3, 3), padding=1, bias=1, residual=1, slopes=1),
            sample(((16, 8, 9), (16, 8, 9)), 8, (3, 3), padding=(0, 1, 2, 0), scale=-1.5),
            sample(((6, 7, 8),), 9, (2, 5), padding=(1, 0, 2, 2)),
            sample(((7, 1, 9),), 3, (3, 3), padding=1),
        ]


@dsl
def FusedConv2d(
    g: Graph,
    bottom_names: ValueLike,
    weight: Any,
    bias: Any | None = None,
    padding: Any = 0,
    scale: SupportsFloat = 1.0,
    residual: Value | None = None,
    slope: Any = 1.0,
) -> Values:
    """A convolution of stride 1 of the inputs, whose channels lie one behind the other, as one layer.

    weight [O, I, kh, kw], bias [O]. padding: one number, (vertical, horizontal), or (top, bottom, left, right). scale:
    of the convolution and its bias. residual: a Value of the result's shape, which is added. slope: of the activation's
    negative side, one number or [O].
    """
    values = inputs_of(bottom_names)
    need_rank(values[0].shape, (3,), "x")
    w, border = array(weight, "weight", 4), padding4(padding)
    several = np.ndim(slope) > 0
    data = {
        "weight": w,
        "bias": None if bias is None else array(bias, "bias", 1),
        "slopes": array(slope, "slope", 1) if several else None,
    }
    params = {
        "num_output": w.shape[0],
        "num_input": w.shape[1],
        "kernel_h": w.shape[2],
        "kernel_w": w.shape[3],
        **dict(zip(BORDER, border, strict=True)),
        **laid_out_for(values[0]),
        "bias_data_size": 0 if data["bias"] is None else data["bias"].size,
        "scale": number(scale, "scale"),
        "residual": int(residual is not None),
        "slope": 1.0 if several else number(slope, "slope"),
        "slope_data_size": 0 if data["slopes"] is None else data["slopes"].size,
    }
    inputs = [*values] if residual is None else [*values, residual]
    return append(g, spec_of("FusedConv2d"), inputs, params, data)


def laid_out_for(x: Value) -> dict[str, int]:
    """`height` and `width` of a layer that takes x: 0 where they are open."""
    known = not x.others and not is_open(x.shape)
    return {name: min(int(n), MOST) if known else 0 for name, n in zip(("height", "width"), x.shape[1:], strict=True)}


WITHIN = f"at most {MOST} channels, rows of padding, and {MOST_PARTS} parts; 2^29 weights, 2^28 pixels"


def within(params: Params, *parts: Shape) -> bool:
    """Whether a layer of these parameters takes x of these parts, or it is too much for it."""
    p = params
    kernel, numbers = (p["kernel_h"], p["kernel_w"]), [p["num_output"], p["num_input"], *(p[side] for side in BORDER)]
    hint = (p["height"] or max(LARGE, kernel[0]), p["width"] or max(LARGE, kernel[1]))
    pixels = [h * w for size in (parts[0][1:], hint) for h, w in (size, _made(size, p)) if not is_open((h, w))]
    return (
        len(parts) <= MOST_PARTS
        and max(kernel) <= MOST_KERNEL
        and max(*numbers, p["height"], p["width"]) <= MOST
        and p["num_output"] * p["num_input"] * math.prod(kernel) <= MOST_WEIGHTS
        and all(n <= MOST_PIXELS for n in pixels)
    )


def _made(size: Sequence[int], params: Params) -> tuple[int, int]:
    """Height and width of the result."""
    p, (h, w) = params, size
    return (
        h + p["pad_top"] + p["pad_bottom"] - p["kernel_h"] + 1,
        w + p["pad_left"] + p["pad_right"] - p["kernel_w"] + 1,
    )
