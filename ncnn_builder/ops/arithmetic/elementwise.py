"""Our own layers that work element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, SupportsFloat

from ...builder import ValueLike, append
from ...ir import Graph, Shape, Values
from ...opspec import OpSpec, Param, Sample, dsl, register, spec_of
from ..common import ANY_SHAPES, Unary, elements, need, over_shapes, shape_id


@register
class Square(Unary):
    """x * x."""

    type = "Square"
    custom = True

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].square()]

    def samples(self) -> list[Sample]:
        return over_shapes("square", square, lambda x: x.square())


@register
class Abs(Unary):
    """|x|."""

    type = "Abs"
    custom = True

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].abs()]

    def samples(self) -> list[Sample]:
        return over_shapes("abs", abs, lambda x: x.abs())


@register
class Rsqrt(Unary):
    """1 / sqrt(eps + scale * x)."""

    type = "Rsqrt"
    custom = True
    params = (
        Param("eps", 0, "float", "added under the root", 0.0),
        Param("scale", 1, "float", "factor of x", 1.0),
    )

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [(inputs[0] * params["scale"] + params["eps"]).rsqrt()]

    def samples(self) -> list[Sample]:
        return [
            *over_shapes("rsqrt", rsqrt, lambda x: x.rsqrt(), draw="positive"),
            *over_shapes(
                "rsqrt-eps-scale",
                lambda g, x: rsqrt(g, x, eps=1e-8, scale=0.25),
                lambda x: (x * 0.25 + 1e-8).rsqrt(),
                draw="positive",
            ),
        ]


@register
class Sqrt(Unary):
    """sqrt(eps + x)."""

    type = "Sqrt"
    custom = True
    params = (Param("eps", 0, "float", "added under the root", 0.0),)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [(inputs[0] + params["eps"]).sqrt()]

    def samples(self) -> list[Sample]:
        return [
            *over_shapes("sqrt", sqrt, lambda x: x.sqrt(), draw="positive"),
            *over_shapes("sqrt-eps", lambda g, x: sqrt(g, x, 0.5), lambda x: (x + 0.5).sqrt(), draw="positive"),
        ]


@register
class Sin(Unary):
    """sin(scale * pi * x)."""

    type = "Sin"
    custom = True
    params = (Param("scale", 0, "float", "factor of pi * x", 1.0),)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        # In double: the layer reduces its argument exactly, float32 torch does not.
        return [(inputs[0].double() * (params["scale"] * math.pi)).sin().to(inputs[0].dtype)]

    def samples(self) -> list[Sample]:
        return [
            *over_shapes("sin", sin, lambda x: (x * math.pi).sin()),
            *over_shapes("sin-2", lambda g, x: sin(g, x, scale=2.0), lambda x: (x * 2 * math.pi).sin()),
        ]


@register
class Clamp(Unary):
    """min(max(x, min), max)."""

    type = "Clamp"
    custom = True
    params = (
        Param("min", 0, "float", "least value", 0.0),
        Param("max", 1, "float", "greatest value", 1.0),
    )

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need(
            params["min"] <= params["max"],
            "min is above max",
            argument="min_v, max_v",
            got=(params["min"], params["max"]),
        )
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].clamp(params["min"], params["max"])]

    def samples(self) -> list[Sample]:
        return [
            *over_shapes("clamp", clamp, lambda x: x.clamp(0, 1)),
            *over_shapes("clamp-wide", lambda g, x: clamp(g, x, -0.5, 0.75), lambda x: x.clamp(-0.5, 0.75)),
        ]


@register
class MulConstantSpec(Unary):
    """scale * x + bias."""

    type = "MulConstant"
    custom = True
    params = (
        Param("scale", 0, "float", "factor", 1.0),
        Param("bias", 1, "float", "addend", 0.0),
    )

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0] * params["scale"] + params["bias"]]

    def samples(self) -> list[Sample]:
        return over_shapes("mul", lambda g, x: MulConstant(g, x, 0.3, -1.5), lambda x: x * 0.3 - 1.5)


@dsl
def square(g: Graph, bottom_names: ValueLike) -> Values:
    """x * x."""
    return append(g, spec_of("Square"), bottom_names)


@dsl
def abs(g: Graph, bottom_names: ValueLike) -> Values:
    """|x|."""
    return append(g, spec_of("Abs"), bottom_names)


@dsl
def rsqrt(g: Graph, bottom_names: ValueLike, eps: SupportsFloat = 0.0, scale: SupportsFloat | None = None) -> Values:
    """1 / sqrt(eps + x * scale); scale None is 1."""
    return append(g, spec_of("Rsqrt"), bottom_names, {"eps": eps, "scale": 1.0 if scale is None else scale})


@dsl
def sqrt(g: Graph, bottom_names: ValueLike, eps: SupportsFloat = 0.0) -> Values:
    """sqrt(eps + x)."""
    return append(g, spec_of("Sqrt"), bottom_names, {"eps": eps})


@dsl
def sin(g: Graph, bottom_names: ValueLike, scale: SupportsFloat = 1.0) -> Values:
    """sin(scale * pi * x)."""
    return append(g, spec_of("Sin"), bottom_names, {"scale": scale})


@dsl
def clamp(g: Graph, bottom_names: ValueLike, min_v: SupportsFloat = 0.0, max_v: SupportsFloat = 1.0) -> Values:
    """x limited to [min_v, max_v]. Raises BuildError where min_v is above max_v."""
    return append(g, spec_of("Clamp"), bottom_names, {"min": min_v, "max": max_v})


@dsl
def MulConstant(g: Graph, bottom_names: ValueLike, scale: SupportsFloat = 1.0, bias: SupportsFloat = 0.0) -> Values:
    """scale * x + bias."""
    return append(g, spec_of("MulConstant"), bottom_names, {"scale": scale, "bias": bias})


# -- lerp -------------------------------------------------------------------------------------------------------


@register
class Lerp(OpSpec):
    """a + coeff * (b - a); coeff is one number or of a's shape. Exactly a at 0 and b at 1."""

    type = "Lerp"
    custom = True
    inputs = ("a", "b", "coeff")

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        a, b, coeff = inputs
        need(a == b, "a and b differ in shape", expected=list(a), got=list(b))
        need(
            elements(coeff) == 1 or coeff == a,
            "bad coefficient",
            argument="coeff",
            expected=f"one number or {list(a)}",
            got=list(coeff),
        )
        return [a]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        a, b, coeff = inputs
        return [a.lerp(b, coeff.reshape(()) if coeff.numel() == 1 else coeff)]

    def samples(self) -> list[Sample]:
        return [
            *(
                Sample(
                    f"lerp-{shape_id(s)}",
                    (s, s, (1,)),
                    lambda g, *v: lerp(g, v),
                    lambda a, b, c: a + c.reshape(()) * (b - a),
                )
                for s in ANY_SHAPES
            ),
            Sample(
                "lerp-each",
                ((3, 5), (3, 5), (3, 5)),
                lambda g, *v: lerp(g, v),
                lambda a, b, c: a + c * (b - a),
            ),
        ]


@dsl
def lerp(g: Graph, bottom_names: ValueLike) -> Values:
    """Inputs [a, b, coeff]: a + coeff * (b - a)."""
    return append(g, spec_of("Lerp"), bottom_names)
