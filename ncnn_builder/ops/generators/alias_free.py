"""Composite ops of StyleGAN3 (Karras et al. 2021, "Alias-Free Generative Adversarial Networks")."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array, is_sequence, is_value, number, one, pair
from ...ir import Array, Graph, Shape, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, Weight, dsl, register, spec_of
from ..common import need, need_rank, need_shape, shape_id
from .fir import filtered_lrelu_params, filtered_lrelu_reference, filtered_lrelu_weights, out_shape, taps


@register
class FilteredLreluComposite(OpSpec):
    """Bias, upsampling with fu, leaky ReLU, downsampling with fd: an activation without aliasing.

    x (C, H, W) -> x + b -> every pixel followed by up - 1 zeros, padded (negative: cropped), convolved with fu * up^2
    -> clamp((t if t >= 0 else slope * t) * gain) -> convolved with fd -> every down-th pixel. Filters [fh, fw], [n]
    for both axes, or none, at most 256 taps along an axis; factors 1 to 64; flip_filter correlates. Source: section 3.2
    and appendix C of the paper.
    """

    type = "filtered_lrelu"
    composite = True
    params = (
        Param("up", None, "int", "factor of the upsampling"),
        Param("down", None, "int", "factor of the downsampling"),
        Param("pad_top", None, "int", "rows above, at the upsampled rate"),
        Param("pad_bottom", None, "int", "rows below"),
        Param("pad_left", None, "int", "columns before"),
        Param("pad_right", None, "int", "columns after"),
        Param("slope", None, "float", "factor of negative numbers"),
        Param("gain", None, "float", "factor after the activation"),
        Param("clamp", None, "float", "limit of the magnitude; below 0: none"),
        Param("flip_filter", None, "int", "1: correlation"),
    )
    weights = (
        Weight("fu", True, "[fh, fw] or [n]; none: one pixel of 1"),
        Weight("fd", True, "likewise"),
        Weight("b", False, "[C]"),
    )
    tolerance = Tolerance(2e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        p = params
        if "b" in weights:
            need_shape(weights["b"].shape, inputs[0][:1], "b")
        up_taps, down_taps = (taps(name, weights.get(name)) for name in ("fu", "fd"))
        return [out_shape(inputs[0], (p["up"],) * 2, (p["down"],) * 2, p, up_taps, down_taps)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        fu, fd, b = (weights.get(name) for name in ("fu", "fd", "b"))
        return [filtered_lrelu_reference(inputs[0], fu, fd, b, params)]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(8)
        lines: dict[int, Array] = {n: _lowpass(rng, n) for n in (3, 5, 6, 12, 18, 24)}
        discs: dict[int, Array] = {n: _lowpass(rng, n, n) for n in (5, 12)}

        def sample(name: str, x: Shape, fu: Array | None, fd: Array | None, bias: bool = True, **kw: Any) -> Sample:
            b = rng.standard_normal(x[0]).astype(np.float32) if bias else None
            return Sample(f"{shape_id(x)}-{name}", (x,), lambda g, v: filtered_lrelu(g, v, fu, fd, b, **kw))

        return [
            sample("t", (5, 10, 9), lines[12], lines[12], up=2, down=2, padding=(9, 8, 9, 8), clamp=256),
            sample("t-up4", (8, 8, 8), lines[24], lines[12], up=4, down=2, padding=(13, 14), clamp=0.5),
            sample("t-crop", (3, 16, 16), lines[12], lines[12], up=2, down=2, padding=(-3, -1, 7, -2)),
            sample("t-crop-all", (16, 20, 18), lines[12], lines[12], up=2, down=2, padding=-5),
            sample("r", (5, 10, 9), lines[12], discs[12], up=2, down=2, padding=(9, 8), clamp=256),
            sample("r-up4", (16, 6, 7), lines[24], discs[12], up=4, down=2, padding=(12, 11)),
            sample("2-d", (4, 9, 8), discs[5], discs[5], up=2, down=2, padding=4, flip_filter=True),
            sample("down4", (4, 12, 12), lines[12], lines[24], up=2, down=4, padding=(20, 21)),
            sample("up3-down2", (5, 7, 8), lines[18], lines[5], up=3, down=2, padding=(4, -3, 0, 6), slope=0.0),
            sample("up-only", (4, 5, 6), lines[12], None, up=2, padding=(6, 5), gain=1.0),
            sample("down-only", (4, 9, 8), None, lines[6], bias=False, down=2, padding=2),
            sample("no-filters", (4, 9, 8), None, None, up=2, down=2, padding=(1, 0)),
            sample("torgb", (3, 6, 5), None, None, slope=1.0, gain=1.0, clamp=0.7),
            sample("bias-alone", (3, 6, 5), None, None, slope=1.0, gain=1.0),
            sample("nothing", (3, 6, 5), None, None, bias=False, slope=1.0, gain=1.0),
            sample("crop-alone", (3, 6, 5), None, None, bias=False, slope=1.0, gain=1.0, padding=(-1, 2)),
            sample("one-channel", (1, 8, 8), lines[3], lines[3], up=2, down=1, padding=1),
            sample("one-pixel", (6, 1, 1), lines[12], lines[12], up=2, down=2, padding=11),
        ]


def _lowpass(rng: np.random.Generator, *shape: int) -> Array:
    """Positive numbers that sum to 1, without symmetry: a mirrored or transposed filter is noticed."""
    f = rng.random(shape) + 0.1
    result: Array = (f / f.sum()).astype(np.float32)
    return result


@dsl
def filtered_lrelu(
    g: Graph,
    x: ValueLike,
    fu: Any | None = None,
    fd: Any | None = None,
    b: Any | None = None,
    up: SupportsFloat = 1,
    down: SupportsFloat = 1,
    padding: Any = 0,
    gain: SupportsFloat | None = None,
    slope: SupportsFloat = 0.2,
    clamp: SupportsFloat | None = None,
    flip_filter: bool = False,
) -> Values:
    """Bias, upsampling with fu, leaky ReLU, downsampling with fd: x (C, H, W) -> (C, H', W').

    fu, fd: [fh, fw], [n] for a separable filter, or None. b: [C] or None. padding: one number, (vertical,
    horizontal) or (top, bottom, left, right), at the upsampled rate; negative numbers crop. gain: None is sqrt(2).
    H' = (H * up + top + bottom - (fu height - 1) - (fd height - 1) + down - 1) // down.
    """
    params = filtered_lrelu_params(up, down, padding, gain, slope, clamp, flip_filter)
    return append(g, spec_of("filtered_lrelu"), x, params, filtered_lrelu_weights(fu, fd, b))


@register
class SynthesisInputComposite(OpSpec):
    """Fourier features under a learned and a given transform, through a 1x1 layer.

    t = (r_c, r_s, t_x, t_y), divided by the length of its first two, is a rotation R and a translation T; M = R @ T
    @ transform. Feature i at pixel (x, y) is sin(2 pi (x f_x + y f_y + f_0 + phases[i])) * amplitude with (f_x, f_y,
    f_0) = freqs[i] @ M[:2] and amplitude = clip(1 - (|f_x, f_y| - bandwidth) / (sampling_rate / 2 - bandwidth), 0, 1).
    Pixel centres are (column + 0.5 - W / 2) / sampling_rate, rows likewise. The result is weight @ features,
    (O, H, W). Source: section 3.2 and appendix F of the paper.
    """

    type = "synthesis_input"
    composite = True
    inputs = ("t", "transform?")
    params = (
        Param("height", None, "int", "pixels"),
        Param("width", None, "int", "pixels"),
        Param("sampling_rate", None, "float", "pixels per unit of length"),
        Param("bandwidth", None, "float", "cycles per unit: from here on amplitudes fall"),
    )
    weights = (
        Weight("freqs", False, "[C, 2], cycles per unit along x and y"),
        Weight("phases", False, "[C], cycles"),
        Weight("weight", True, "[O, C]"),
        Weight("transform", False, "[3, 3]; none: it is the second input"),
    )
    tolerance = Tolerance(2e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        need_shape(inputs[0], (4,), "t")
        need((len(inputs) == 2) != ("transform" in weights), "one transform is needed", argument="transform")
        need_shape(inputs[1] if len(inputs) == 2 else weights["transform"].shape, (3, 3), "transform")
        freqs, weight = weights["freqs"].shape, weights["weight"].shape
        need_shape(freqs, (freqs[0], 2), "freqs")
        need_shape(weights["phases"].shape, (freqs[0],), "phases")
        need_shape(weight, (weight[0], freqs[0]), "weight")
        p = params
        need(min(p["height"], p["width"]) >= 1, "bad size", argument="size", got=(p["height"], p["width"]))
        need(
            0 < p["bandwidth"] < p["sampling_rate"] / 2,
            "bad bandwidth",
            argument="bandwidth",
            expected=f"between 0 and sampling_rate / 2 = {p['sampling_rate'] / 2:g}",
            got=p["bandwidth"],
        )
        return [(weight[0], p["height"], p["width"])]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        p = params
        t = inputs[0] / inputs[0][:2].norm()
        r, s = torch.eye(3, dtype=t.dtype), torch.eye(3, dtype=t.dtype)
        r[0, 0], r[0, 1], r[1, 0], r[1, 1] = t[0], -t[1], t[1], t[0]
        s[0, 2], s[1, 2] = -t[2], -t[3]
        m = r @ s @ (inputs[1] if len(inputs) == 2 else weights["transform"])
        freqs, phases = weights["freqs"] @ m[:2, :2], weights["phases"] + weights["freqs"] @ m[:2, 2]
        amplitudes = 1 - (freqs.norm(dim=1) - p["bandwidth"]) / (p["sampling_rate"] / 2 - p["bandwidth"])
        y, x = (torch.from_numpy(_centres(p[n], p["sampling_rate"])).to(t.dtype) for n in ("height", "width"))
        angle = x[None, :, None] * freqs[:, 0] + y[:, None, None] * freqs[:, 1] + phases  # [H, W, C]
        features = (angle * (2 * math.pi)).sin() * amplitudes.clamp(0, 1)
        return [(features @ weights["weight"].T).permute(2, 0, 1)]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(9)
        turned: Array = np.array([[0.94, 0.34, 0.1], [-0.34, 0.94, -0.2], [0, 0, 1]], np.float32)

        def sample(c: int, out: int, size: tuple[int, int], rate: float, transform: Array | None) -> Sample:
            # Lengths from 0.5 to 3, so that amplitudes of 1, between, and 0 occur.
            freqs = rng.standard_normal((c, 2))
            freqs = (freqs / np.linalg.norm(freqs, axis=1)[:, None] * np.linspace(0.5, 3, c)[:, None]).astype(
                np.float32
            )
            phases = (rng.random(c) - 0.5).astype(np.float32)
            weight = (rng.standard_normal((out, c)) / math.sqrt(c)).astype(np.float32)
            kind = "input" if transform is None else "identity" if (transform == np.eye(3)).all() else "turned"
            return Sample(
                f"{c}-{out}-{size[0]}x{size[1]}-{kind}",
                ((4,), (3, 3)) if transform is None else ((4,),),
                lambda g, t, *m: synthesis_input(
                    g, t, freqs, phases, weight, size, rate, 1.5, transform=m[0] if m else transform
                ),
                draw="positive",
            )

        eye: Array = np.eye(3, dtype=np.float32)
        return [
            sample(c, out, size, rate, transform)
            for c, out, size, rate in ((5, 5, (6, 9), 8.0), (16, 24, (36, 36), 16.0), (3, 1, (1, 4), 5.0))
            for transform in (eye, turned, None)
        ]


def _centres(pixels: int, sampling_rate: float) -> Array:
    return ((np.arange(pixels) + 0.5 - pixels / 2) / sampling_rate).astype(np.float32)


def pixel_centres(height: int, width: int, sampling_rate: float) -> Array:
    """[height * width, 3]: x, y and 1 of every pixel, row by row; the middle of the picture is (0, 0)."""
    y, x = np.meshgrid(_centres(height, sampling_rate), _centres(width, sampling_rate), indexing="ij")
    return np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)


@dsl
def synthesis_input(
    g: Graph,
    bottom_names: ValueLike,
    freqs: Any,
    phases: Any,
    weight: Any,
    size: Any,
    sampling_rate: SupportsFloat,
    bandwidth: SupportsFloat,
    transform: Any = None,
) -> Values:
    """Input t = (r_c, r_s, t_x, t_y), not yet normalised: StyleGAN3's Fourier features, (O, H, W).

    freqs [C, 2], phases [C] in cycles, weight [O, C], size one number or (height, width), transform an array [3, 3],
    a Value of that shape, or None for the identity.
    """
    height, width = pair(size, "size")
    inputs = [one(bottom_names)]
    constant = None
    if is_value(transform) or (is_sequence(transform) and not _is_numbers(transform)):
        inputs.append(one(transform))
    else:
        constant = np.eye(3, dtype=np.float32) if transform is None else array(transform, "transform", 2)
    params = {
        "height": height,
        "width": width,
        "sampling_rate": number(sampling_rate, "sampling_rate"),
        "bandwidth": number(bandwidth, "bandwidth"),
    }
    weights = {
        "freqs": array(freqs, "freqs", 2),
        "phases": array(phases, "phases", 1),
        "weight": array(weight, "weight", 2),
        "transform": constant,
    }
    return append(g, spec_of("synthesis_input"), inputs, params, weights)


def _is_numbers(value: Any) -> bool:
    """Whether it is a matrix as nested lists, and not a list of Values."""
    return is_sequence(value) and not any(is_value(v) for v in value)
