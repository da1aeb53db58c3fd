"""Convolutions of one and three dimensions, forward and transposed, with weights in the file or, in 1-D, as values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...ir import Array, Params, Shape
from ...opspec import Derived, OpSpec, Param, Sample, Weight, register, same_as
from ..activations.fused_activation import ACTIVATION_DOCS, fused_activation_reference
from ..common import SAME_LOWER, SAME_UPPER, functional, need, need_rank, need_shape, same_windows
from .conv_nd_samples import static_samples, value_samples

AXES = (("w", "left", "right"), ("h", "top", "bottom"), ("d", "front", "behind"))
"""Innermost first: the letter of an axis and the names of its borders."""


def _ids(name: str, ids: Sequence[int], doc: str, default: Any, dims: int) -> list[Param]:
    """One parameter per axis, innermost first: the outer ones are as the first where a file leaves them out."""
    return [
        Param(
            f"{name}_{AXES[i][0]}", ids[i], "int", f"{doc}, {AXES[i][0]}", default if i == 0 else same_as(f"{name}_w")
        )
        for i in range(dims)
    ]


def _border(name: str, ids: tuple[int, int], outer: str | None) -> list[Param]:
    before, after = next((b, a) for letter, b, a in AXES if letter == name)
    first: int | Derived = 0 if outer is None else same_as(outer)
    return [
        Param(f"pad_{before}", ids[0], "int", f"border before, {name}", first),
        Param(f"pad_{after}", ids[1], "int", f"border after, {name}", same_as(f"pad_{before}")),
    ]


def parameters(dims: int, transposed: bool, grouped: bool) -> tuple[Param, ...]:
    """The declaration of a convolution's parameters."""
    params = [
        Param("num_output", 0, "int", "output channels"),
        *_ids("kernel", (1, 11, 21), "size of the kernel", 0, dims),
        *_ids("dilation", (2, 12, 22), "dilation", 1, dims),
        *_ids("stride", (3, 13, 23), "stride", 1, dims),
        *_border("w", (4, 15), None),
    ]
    if dims == 3:
        params += [*_border("h", (14, 16), "pad_left"), *_border("d", (24, 17), "pad_left")]
    if transposed:
        added = [Param("output_pad_right", 18, "int", "columns added")]
        if dims == 3:
            added.append(Param("output_pad_bottom", 19, "int", "rows added", same_as("output_pad_right")))
            added.append(Param("output_pad_behind", 20, "int", "slices added", same_as("output_pad_right")))
        ids = (20,) if dims == 1 else (25, 26, 27)
        params += [*added, *_ids("output", ids, "0: the size follows from the others", 0, dims)]
    else:
        params.append(Param("pad_value", 18, "float", "the border", 0.0))
    params += [
        Param("bias_term", 5, "int", "1: with bias"),
        Param("weight_data_size", 6, "int", "number of elements of the weight"),
        *([Param("group", 7, "int", "groups of channels", 1)] if grouped else []),
        Param("activation_type", 9, "int", ACTIVATION_DOCS["activation_type"]),
        Param("activation_params", 10, "floats", ACTIVATION_DOCS["activation_params"], ()),
    ]
    if dims == 1:
        params.append(Param("dynamic_weight", 28 if transposed else 19, "int", "1: weights are inputs"))
    return tuple(params)


class ConvNd(OpSpec):
    """x (C, W) or (C, D, H, W). Weights in the file are [out, C / groups, kernel], also those of a transposed one.

    dynamic_weight 1, in one dimension: they are inputs as torch has them, transposed [C, out / groups, k].
    """

    inputs = ("x", "w?", "b?")
    weights = (Weight("weight", True, "[out, in / groups, kernel]"), Weight("bias", False, "[out]"))
    dims: ClassVar[int]
    transposed: ClassVar[bool]
    grouped: ClassVar[bool]
    checked_in_cpp = True

    def __init_subclass__(cls, *, dims: int, transposed: bool = False, grouped: bool = False) -> None:
        cls.dims, cls.transposed, cls.grouped = dims, transposed, grouped
        cls.params = parameters(dims, transposed, grouped)

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
        p = {**params, **self._of_weight(inputs, params)}
        borders = [n for border in self._borders(p) for n in border]
        sized = self.transposed and all(p[f"output_{a}"] > 0 for a, _, _ in AXES[: self.dims])
        if min(borders) >= 0 and not sized and p == params:
            return None
        x, groups = inputs[0], p.get("group", 1)
        need_rank(x, (self.dims + 1,), "x")
        size = p["num_output"] * math.prod(self._each(p, "kernel")) * x[0] // groups
        fits = bool(p.get("dynamic_weight")) or p["weight_data_size"] == size
        need(fits, "x does not fit the weight", argument="x", expected=size, got=list(x))
        some = max(borders) > 0
        need(not some or min(borders) >= 0, "a border of both signs", argument="padding", got=borders)
        same = {SAME_UPPER, SAME_LOWER}
        if not self.transposed and set(borders) in ({SAME_UPPER}, {SAME_LOWER}):
            return [(p["num_output"], *map(same_windows, x[1:], self._each(p, "stride")))]
        out = self._sizes(x, p, self._borders(p) if some else [(0, 0)] * self.dims)
        if sized and not some:
            need(bool(same & {*borders}), "an output size without SAME padding", expected=-233, got=borders)
            full, out = out, list(self._each(p, "output"))
            small = all(a <= b for a, b in zip(out, full, strict=True))
            need(small, "an output size that is too large", expected=full, got=out)
        need(all(n > 0 for n in out), "nothing is left", argument="x", expected="a larger input", got=list(x))
        return [(p["num_output"], *out)]

    def _each(self, params: Params, name: str) -> tuple[int, ...]:
        """A parameter of each axis, outermost first."""
        return tuple(params[f"{name}_{letter}"] for letter, _, _ in reversed(AXES[: self.dims]))

    def _borders(self, params: Params) -> list[tuple[int, int]]:
        return [(params[f"pad_{before}"], params[f"pad_{after}"]) for _, before, after in reversed(AXES[: self.dims])]

    def _extra(self, params: Params) -> tuple[int, ...]:
        names = [f"output_pad_{after}" for _, _, after in reversed(AXES[: self.dims])]
        return tuple(params.get(name, 0) for name in names)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x, out, groups = inputs[0], params["num_output"], params.get("group", 1)
        need_rank(x, (self.dims + 1,), "x")
        fits = groups >= 1 and x[0] % groups == 0 and out % groups == 0
        need(fits, "channels do not divide into the groups", argument="groups", expected=(x[0], out), got=groups)
        kernel = self._each(params, "kernel")
        dynamic = bool(params.get("dynamic_weight"))
        expected = (x[0], out // groups, *kernel) if self.transposed and dynamic else (out, x[0] // groups, *kernel)
        given = [*inputs[1:]] if dynamic else [weights[k].shape for k in ("weight", "bias") if k in weights]
        need(len(given) == 1 + params["bias_term"], "weight or bias is missing", got=len(given))
        need_shape(given[0], expected, "weight")
        if params["bias_term"]:
            need_shape(given[1], (out,), "bias")
        stride, dilation, borders = self._each(params, "stride"), self._each(params, "dilation"), self._borders(params)
        positive = min(*stride, *dilation, *kernel) >= 1 and min(n for b in borders for n in b) >= 0
        need(positive, "bad stride, dilation or padding", argument="stride", expected=">= 1, borders >= 0", got=stride)
        need(min(self._extra(params)) >= 0, "bad padding", argument="output_padding", got=self._extra(params))
        need(not any(params.get(f"output_{a}") for a, _, _ in AXES), "an output size is not for here", got=params)
        size = self._sizes(x, params, borders)
        need(all(n > 0 for n in size), "nothing is left", argument="x", expected="a larger input", got=list(x))
        return [(out, *size)]

    def _of_weight(self, inputs: Sequence[Shape], params: Params) -> dict[str, int]:
        """What a weight that is an input says: there is one in one dimension only."""
        if not params.get("dynamic_weight") or len(inputs) < 2 or len(inputs[1]) != 3:
            return {}
        out, per, kernel = inputs[1]
        return {"num_output": per * params.get("group", 1) if self.transposed else out, "kernel_w": kernel}

    def _sizes(self, x: Shape, params: Params, borders: Sequence[tuple[int, int]]) -> list[int]:
        stride, dilation = self._each(params, "stride"), self._each(params, "dilation")
        extents = [d * (k - 1) + 1 for d, k in zip(dilation, self._each(params, "kernel"), strict=True)]
        return [
            (n - 1) * s + e + more - sum(b) if self.transposed else (n + sum(b) - e) // s + 1
            for n, s, e, b, more in zip(x[1:], stride, extents, borders, self._extra(params), strict=True)
        ]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        x = inputs[0]
        per_group = math.prod(self._each(params, "kernel")) * (params["num_output"] if self.transposed else x[0])
        return int(math.prod(x if self.transposed else outputs[0]) * per_group // params.get("group", 1))

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        F, groups, x = functional(), params.get("group", 1), inputs[0]
        w, b = (*inputs[1:], None)[:2] if len(inputs) > 1 else (weights["weight"], weights.get("bias"))
        stride, dilation = self._each(params, "stride"), self._each(params, "dilation")
        flat = [n for border in reversed(self._borders(params)) for n in border]
        if not self.transposed:
            conv = F.conv1d if self.dims == 1 else F.conv3d
            padded = F.pad(x, flat, value=params["pad_value"])
            return [fused_activation_reference(conv(padded[None], w, b, stride, 0, dilation, groups)[0], params)]
        if not params.get("dynamic_weight"):  # [out, in / groups] as torch's [in, out / groups]
            out, per, *kernel = w.shape
            w = w.reshape(groups, out // groups, per, *kernel).transpose(1, 2).reshape(x.shape[0], -1, *kernel)
        conv = F.conv_transpose1d if self.dims == 1 else F.conv_transpose3d
        y = conv(x[None], w, None, stride, 0, 0, groups, dilation)[0]
        y = F.pad(y, [n for more in reversed(self._extra(params)) for n in (0, more)])
        y = F.pad(y, [-n for n in flat])
        if b is not None:
            y = y + b.reshape(-1, *(1,) * self.dims)
        return [fused_activation_reference(y, params)]

    def samples(self) -> list[Sample]:
        of_values = value_samples(self.transposed, self.grouped) if self.dims == 1 else []
        return [*static_samples(self.dims, self.transposed, self.grouped), *of_values]


@register
class Convolution1D(ConvNd, dims=1):
    """Cross-correlation of (C, W) with [out, C, k]. ncnn: convolution1d.cpp. dynamic_weight 1: weights are inputs."""

    type = "Convolution1D"


@register
class ConvolutionDepthWise1D(ConvNd, dims=1, grouped=True):
    """Cross-correlation of (C, W) in groups, [out, C / groups, k]. ncnn: convolutiondepthwise1d.cpp."""

    type = "ConvolutionDepthWise1D"


@register
class Convolution3D(ConvNd, dims=3):
    """Cross-correlation of (C, D, H, W) with [out, C, kd, kh, kw]. ncnn: convolution3d.cpp."""

    type = "Convolution3D"


@register
class ConvolutionDepthWise3D(ConvNd, dims=3, grouped=True):
    """Cross-correlation of (C, D, H, W) in groups, [out, C / groups, kd, kh, kw]. ncnn: convolutiondepthwise3d.cpp."""

    type = "ConvolutionDepthWise3D"


@register
class Deconvolution1D(ConvNd, dims=1, transposed=True):
    """Transposed convolution of (C, W). ncnn: deconvolution1d.cpp. dynamic_weight 1: w [C, out, k] is an input."""

    type = "Deconvolution1D"


@register
class DeconvolutionDepthWise1D(ConvNd, dims=1, transposed=True, grouped=True):
    """Transposed convolution of (C, W) in groups. ncnn: deconvolutiondepthwise1d.cpp."""

    type = "DeconvolutionDepthWise1D"


@register
class Deconvolution3D(ConvNd, dims=3, transposed=True):
    """Transposed convolution of (C, D, H, W). ncnn: deconvolution3d.cpp."""

    type = "Deconvolution3D"


@register
class DeconvolutionDepthWise3D(ConvNd, dims=3, transposed=True, grouped=True):
    """Transposed convolution of (C, D, H, W) in groups. ncnn: deconvolutiondepthwise3d.cpp."""

    type = "DeconvolutionDepthWise3D"
