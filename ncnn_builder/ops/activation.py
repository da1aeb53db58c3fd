"""Activations that ncnn has as layers."""

from __future__ import annotations

from typing import Any

from ..builder import ValueLike, append, check_bottom_names, number
from ..errors import BuildError
from ..ir import Graph, Value
from ..opspec import Param, Sample, Tolerance, dsl, register, spec_of
from .common import Unary, functional, over_shapes


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
class Sigmoid(Unary):
    """1 / (1 + exp(-x)). ncnn: sigmoid.cpp."""

    type = "Sigmoid"

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].sigmoid()]

    def samples(self) -> list[Sample]:
        return over_shapes("sigmoid", lambda g, x: activation(g, x, "sigmoid"), lambda x: x.sigmoid())


@register
class Swish(Unary):
    """x * sigmoid(x), also called SiLU. ncnn: swish.cpp."""

    type = "Swish"

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0] * inputs[0].sigmoid()]

    def samples(self) -> list[Sample]:
        return over_shapes("swish", lambda g, x: activation(g, x, "swish"), functional().silu)


@register
class Mish(Unary):
    """x * tanh(softplus(x)). ncnn: mish.cpp, whose vector code is off by 6e-4 far below zero (x = -1e4)."""

    type = "Mish"
    tolerance = Tolerance(2e-5)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [functional().mish(inputs[0])]

    def samples(self) -> list[Sample]:
        return over_shapes("mish", lambda g, x: activation(g, x, "mish"), functional().mish)


@register
class HardSigmoid(Unary):
    """clip(alpha * x + beta, 0, 1). ncnn: hardsigmoid.cpp. torch's Hardsigmoid has alpha 1/6, beta 1/2."""

    type = "HardSigmoid"
    params = (
        Param("alpha", 0, "float", "factor", 0.2),
        Param("beta", 1, "float", "addend", 0.5),
    )

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [(inputs[0] * params["alpha"] + params["beta"]).clamp(0, 1)]

    def samples(self) -> list[Sample]:
        return over_shapes("hardsigmoid", lambda g, x: activation(g, x, "hardsigmoid"), functional().hardsigmoid)


_ACTIVATIONS = ("swish", "sigmoid", "mish", "hardsigmoid", "leaky_relu", "relu")


@dsl
def activation(
    g: Graph, bottom_names: ValueLike, act_name: str | None, args: dict[str, Any] | None = None
) -> list[Value]:
    """An activation layer of ncnn, or nothing for None.

    act_name: one of swish, sigmoid, mish, hardsigmoid, leaky_relu (args: negative_slope, default 0.01 as
    torch's), relu, None. Raises BuildError for another name or an unknown argument.
    """
    args = dict(args or {})
    slope = number(args.pop("negative_slope", 0.01), "negative_slope") if act_name == "leaky_relu" else 0.0
    if act_name is not None and act_name not in _ACTIVATIONS:
        raise BuildError("unknown activation", argument="act_name", expected=[None, *_ACTIVATIONS], got=act_name)
    if args:
        raise BuildError(f"activation {act_name} has no such argument", argument="args", got=sorted(args))
    if act_name is None:
        return check_bottom_names(bottom_names)
    if act_name in ("leaky_relu", "relu"):
        return append(g, spec_of("ReLU"), bottom_names, {"slope": slope})
    if act_name == "hardsigmoid":
        return append(g, spec_of("HardSigmoid"), bottom_names, {"alpha": 1 / 6, "beta": 0.5})
    return append(g, spec_of(act_name.capitalize()), bottom_names)
