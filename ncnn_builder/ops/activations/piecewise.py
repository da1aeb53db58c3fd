"""Activations of straight pieces. `activation` and `prelu` call them by torch's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append
from ...ir import Array, Graph, Params, Shape, Value, Values
from ...opspec import OpSpec, Param, Sample, Weight, dsl, register, spec_of
from ..common import ANY_SHAPES, Unary, functional, need, over_shapes, shape_id
from .activation import activation, prelu


@register
class ReLU(Unary):
    """max(x, 0) + slope * min(x, 0). ncnn: relu.cpp."""

    type = "ReLU"
    params = (Param("slope", 0, "float", "factor of the negative side", 0.0),)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [functional().leaky_relu(inputs[0], params["slope"])]

    def samples(self) -> list[Sample]:
        F = functional()
        return [
            *over_shapes("relu", lambda g, x: activation(g, x, "relu"), F.relu),
            *over_shapes(
                "leaky",
                lambda g, x: activation(g, x, "leaky_relu", {"negative_slope": 0.1}),
                lambda x: F.leaky_relu(x, 0.1),
            ),
        ]


@register
class PReLU(OpSpec):
    """x where x > 0, else slope * x, one slope or one per index of the outermost axis. ncnn: prelu.cpp."""

    type = "PReLU"
    params = (Param("num_slope", 0, "int", "number of slopes"),)
    weights = (Weight("slope", False, "[num_slope]"),)
    limits = ("num_slope >= 1",)
    checked_in_cpp = True

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {"slope": params["num_slope"]}

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x, n = inputs[0], params["num_slope"]
        need(n in (1, x[0]), "wrong number of slopes", argument="weight", expected=f"1 or {x[0]}", got=n)
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        return [x.clamp(min=0) + weights["slope"].reshape(-1, *(1,) * (x.ndim - 1)) * x.clamp(max=0)]

    def samples(self) -> list[Sample]:
        import torch
        from torch import nn

        def sample(shape: Shape, n: int) -> Sample:
            module = nn.PReLU(n)
            with torch.no_grad():
                module.weight.copy_(torch.linspace(-0.5, 0.75, n))
            return Sample(f"prelu-{shape_id(shape)}-{n}", (shape,), lambda g, x: prelu(g, x, module), module)

        return [sample(shape, n) for shape in ANY_SHAPES for n in sorted({1, shape[0]})]


@register
class Clip(Unary):
    """min(max(x, min), max). ncnn: clip.cpp."""

    type = "Clip"
    params = (
        Param("min", 0, "float", "least value", float(np.finfo(np.float32).min)),
        Param("max", 1, "float", "greatest value", float(np.finfo(np.float32).max)),
    )

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        limits = (params["min"], params["max"])
        need(limits[0] <= limits[1], "min is above max", argument="min_val, max_val", got=limits)
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [clamped(inputs[0], params)]

    def samples(self) -> list[Sample]:
        F = functional()
        return [
            *over_shapes("clip", lambda g, x: clip(g, x, -0.5, 0.75), lambda x: x.clamp(-0.5, 0.75)),
            *over_shapes("relu6", lambda g, x: activation(g, x, "relu6"), F.relu6),
            *over_shapes("hardtanh", lambda g, x: activation(g, x, "hardtanh"), F.hardtanh),
        ]


def clamped(x: Any, params: Params) -> Any:
    """Limits as float32 has them: a file may round the greatest one up."""
    with np.errstate(over="ignore"):
        return x.clamp(float(np.float32(params["min"])), float(np.float32(params["max"])))


def clip(g: Graph, x: ValueLike, least: float, most: float) -> Value:
    """For lowerings; an author has clamp()."""
    return append(g, spec_of("Clip"), x, {"min": least, "max": most})[0]


_FALLING = "alpha of zero or below: the rest of a row that fills no vector is another number than the others"


def _ramp(x: Any, params: Params) -> Any:
    y = (x * params["alpha"] + params["beta"]).clamp(0, 1)
    return y if params["alpha"] > 0 else y * float("nan")


@register
class HardSigmoid(Unary):
    """clip(alpha * x + beta, 0, 1). ncnn: hardsigmoid.cpp. torch's Hardsigmoid has alpha 1/6, beta 1/2."""

    type = "HardSigmoid"
    departs = _FALLING
    params = (
        Param("alpha", 0, "float", "factor", 0.2),
        Param("beta", 1, "float", "addend", 0.5),
    )

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [_ramp(inputs[0], params)]

    def nonsense(self, params: Params) -> str:
        return "" if params["alpha"] > 0 else _FALLING

    def samples(self) -> list[Sample]:
        return over_shapes("hardsigmoid", lambda g, x: activation(g, x, "hardsigmoid"), functional().hardsigmoid)


@register
class HardSwish(Unary):
    """x * clip(alpha * x + beta, 0, 1). ncnn: hardswish.cpp. torch's Hardswish has alpha 1/6, beta 1/2."""

    type = "HardSwish"
    departs = _FALLING
    params = (
        Param("alpha", 0, "float", "factor", 0.2),
        Param("beta", 1, "float", "addend", 0.5),
    )

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0] * _ramp(inputs[0], params)]

    def nonsense(self, params: Params) -> str:
        return "" if params["alpha"] > 0 else _FALLING

    def samples(self) -> list[Sample]:
        return over_shapes("hardswish", lambda g, x: activation(g, x, "hardswish"), functional().hardswish)


@register
class Shrink(Unary):
    """x + bias below -lambd, x - bias above lambd, 0 between. ncnn: shrink.cpp.

    torch's Softshrink has bias = lambd, its Hardshrink bias 0.
    """

    type = "Shrink"
    params = (
        Param("bias", 0, "float", "taken off the magnitude", 0.0),
        Param("lambd", 1, "float", "half the width of the flat piece", 0.5),
    )

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, limit, bias = inputs[0], params["lambd"], params["bias"]
        return [(x + bias).where(x < -limit, (x - bias).where(x > limit, 0.0))]

    def samples(self) -> list[Sample]:
        F = functional()
        return [
            *over_shapes("soft", lambda g, x: activation(g, x, "softshrink"), F.softshrink),
            *over_shapes(
                "hard", lambda g, x: activation(g, x, "hardshrink", {"lambd": 0.8}), lambda x: F.hardshrink(x, 0.8)
            ),
        ]


@register
class Threshold(Unary):
    """1 where x > threshold, else 0. ncnn: threshold.cpp. (torch's Threshold is another function.)"""

    type = "Threshold"
    params = (Param("threshold", 0, "float", "the limit", 0.0),)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [(inputs[0] > params["threshold"]).to(inputs[0].dtype)]

    def samples(self) -> list[Sample]:
        return over_shapes("above", lambda g, x: threshold(g, x, 0.25), lambda x: (x > 0.25).float())


@dsl
def threshold(g: Graph, bottom_names: ValueLike, threshold: SupportsFloat = 0.0) -> Values:
    """1 where x > threshold, else 0: a mask. (torch's F.threshold keeps x where it is above: multiply by this.)"""
    return append(g, spec_of("Threshold"), bottom_names, {"threshold": threshold})


@register
class AbsVal(Unary):
    """|x|. ncnn: absval.cpp."""

    type = "AbsVal"

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].abs()]

    def samples(self) -> list[Sample]:
        return over_shapes("absval", absval, lambda x: x.abs())


@dsl
def absval(g: Graph, bottom_names: ValueLike) -> Values:
    """|x| by ncnn's own layer; abs() is the predecessor's, and the same."""
    return append(g, spec_of("AbsVal"), bottom_names)
