"""Activations without corners, and erf. `activation` calls them by torch's names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...builder import ValueLike
from ...ir import Graph, Params, Shape, Value
from ...opspec import Param, Sample, Tolerance, register
from ..common import Unary, functional, need, over_shapes
from .activation import activation


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
class ELU(Unary):
    """x where x > 0, else alpha * (exp(x) - 1). ncnn: elu.cpp."""

    type = "ELU"
    params = (Param("alpha", 0, "float", "factor of the negative side", 0.1),)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [functional().elu(inputs[0], params["alpha"])]

    def samples(self) -> list[Sample]:
        F = functional()
        return [
            *over_shapes("elu", lambda g, x: activation(g, x, "elu"), F.elu),
            *over_shapes("elu-0.3", lambda g, x: activation(g, x, "elu", {"alpha": 0.3}), lambda x: F.elu(x, 0.3)),
        ]


@register
class SELU(Unary):
    """lambda * x where x > 0, else lambda * alpha * (exp(x) - 1). ncnn: selu.cpp."""

    type = "SELU"
    params = (
        Param("alpha", 0, "float", "factor of the negative side", 1.67326324),
        Param("lambda", 1, "float", "factor of both sides", 1.050700987),
    )

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [params["lambda"] * functional().elu(inputs[0], params["alpha"])]

    def samples(self) -> list[Sample]:
        return over_shapes("selu", lambda g, x: activation(g, x, "selu"), functional().selu)


def selu(g: Graph, x: ValueLike) -> Value:
    """For lowerings."""
    return activation(g, x, "selu")[0]


@register
class CELU(Unary):
    """max(x, 0) + min(0, alpha * (exp(x / alpha) - 1)). ncnn: celu.cpp."""

    type = "CELU"
    params = (Param("alpha", 0, "float", "not 0", 1.0),)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need(params["alpha"] != 0, "alpha divides x", argument="alpha", expected="another number", got=0)
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [functional().celu(inputs[0], params["alpha"])]

    def samples(self) -> list[Sample]:
        F = functional()
        return over_shapes("celu", lambda g, x: activation(g, x, "celu", {"alpha": 0.5}), lambda x: F.celu(x, 0.5))


@register
class GELU(Unary):
    """x * (1 + erf(x / sqrt(2))) / 2. ncnn: gelu.cpp.

    fast_gelu 1: x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), torch's approximate="tanh".
    """

    type = "GELU"
    params = (Param("fast_gelu", 0, "int", "1: by tanh"),)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [functional().gelu(inputs[0], approximate="tanh" if params["fast_gelu"] else "none")]

    def samples(self) -> list[Sample]:
        F = functional()
        return [
            s
            for kind in ("none", "tanh")
            for s in over_shapes(
                f"gelu-{kind}",
                lambda g, x, kind=kind: activation(g, x, "gelu", {"approximate": kind}),
                lambda x, kind=kind: F.gelu(x, approximate=kind),
            )
        ]


@register
class TanH(Unary):
    """tanh(x). ncnn: tanh.cpp."""

    type = "TanH"

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].tanh()]

    def samples(self) -> list[Sample]:
        return over_shapes("tanh", lambda g, x: activation(g, x, "tanh"), lambda x: x.tanh())


MOST_OF_EXP = 88.7228
"""exp() of more is infinite in float32, and is to be where a reference is computed in double."""


@register
class Softplus(Unary):
    """log(exp(x) + 1) as it stands here: exp overflows above 88, where BNLL, the same function, is right.

    ncnn: softplus.cpp.
    """

    type = "Softplus"
    departs = 'above 88: infinite, as exp(x) is; activation "softplus" is the layer BNLL, which is right'

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        return [(x.exp() + 1).log().masked_fill(x > MOST_OF_EXP, math.inf)]

    def nonsense(self, params: Params) -> str:
        return "above 88: infinite; the layer BNLL is the same function, and right"

    def samples(self) -> list[Sample]:
        return over_shapes("softplus", lambda g, x: activation(g, x, "ncnn_softplus"), functional().softplus)


@register
class BNLL(Unary):
    """log(1 + exp(x)), as max(x, 0) + log(1 + exp(-|x|)): torch's softplus. ncnn: bnll.cpp."""

    type = "BNLL"

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].clamp(min=0) + inputs[0].abs().neg().exp().log1p()]

    def samples(self) -> list[Sample]:
        F = functional()
        return [
            *over_shapes("softplus", lambda g, x: activation(g, x, "softplus"), F.softplus),
            *over_shapes(
                "softplus-of-100",
                lambda g, x: activation(g, activation(g, x, "hardtanh", {"min_val": 100, "max_val": 101}), "softplus"),
                lambda x: F.softplus(x.clamp(100, 101)),
            ),
        ]


@register
class Erf(Unary):
    """erf(x). ncnn: erf.cpp."""

    type = "Erf"

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].erf()]

    def samples(self) -> list[Sample]:
        return over_shapes("erf", lambda g, x: activation(g, x, "erf"), lambda x: x.erf())
