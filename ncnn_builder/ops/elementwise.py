"""Ops that keep the shape, and binary ops with broadcasting."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal, SupportsFloat

import numpy as np

from ..builder import ValueLike, append, check_bottom_names, number, one
from ..errors import BuildError
from ..ir import Graph, Shape, Value
from ..opspec import OpSpec, Param, Sample, Tolerance, dsl, register, spec_of
from .common import ANY_SHAPES, Unary, elements, need, over_shapes, shape_id

# -- our own elementwise layers ---------------------------------------------------------------------------------


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
def square(g: Graph, bottom_names: ValueLike) -> list[Value]:
    """x * x."""
    return append(g, spec_of("Square"), bottom_names)


@dsl
def abs(g: Graph, bottom_names: ValueLike) -> list[Value]:
    """|x|."""
    return append(g, spec_of("Abs"), bottom_names)


@dsl
def rsqrt(
    g: Graph, bottom_names: ValueLike, eps: SupportsFloat = 0.0, scale: SupportsFloat | None = None
) -> list[Value]:
    """1 / sqrt(eps + x * scale); scale None is 1."""
    return append(g, spec_of("Rsqrt"), bottom_names, {"eps": eps, "scale": 1.0 if scale is None else scale})


@dsl
def sqrt(g: Graph, bottom_names: ValueLike, eps: SupportsFloat = 0.0) -> list[Value]:
    """sqrt(eps + x)."""
    return append(g, spec_of("Sqrt"), bottom_names, {"eps": eps})


@dsl
def sin(g: Graph, bottom_names: ValueLike, scale: SupportsFloat = 1.0) -> list[Value]:
    """sin(scale * pi * x)."""
    return append(g, spec_of("Sin"), bottom_names, {"scale": scale})


@dsl
def clamp(g: Graph, bottom_names: ValueLike, min_v: SupportsFloat = 0.0, max_v: SupportsFloat = 1.0) -> list[Value]:
    """x limited to [min_v, max_v]. Raises BuildError where min_v is above max_v."""
    return append(g, spec_of("Clamp"), bottom_names, {"min": min_v, "max": max_v})


@dsl
def MulConstant(
    g: Graph, bottom_names: ValueLike, scale: SupportsFloat = 1.0, bias: SupportsFloat = 0.0
) -> list[Value]:
    """scale * x + bias."""
    return append(g, spec_of("MulConstant"), bottom_names, {"scale": scale, "bias": bias})


# -- binary -----------------------------------------------------------------------------------------------------

_BINARY = ("Add", "Sub", "Mul", "Div", "Max", "Min", "Pow", "RSub", "RDiv")


@register
class BinaryOp(OpSpec):
    """a op b with numpy's broadcasting between equal ranks, or a op constant. ncnn: binaryop.cpp.

    op: 0 add, 1 sub, 2 mul, 3 div, 4 max, 5 min, 6 pow, 7 b - a, 8 b / a.
    """

    type = "BinaryOp"
    inputs = ("a", "b?")
    params = (
        Param("op", 0, "int", "0 add, 1 sub, 2 mul, 3 div, 4 max, 5 min, 6 pow, 7 rsub, 8 rdiv", 0),
        Param("with_scalar", 1, "int", "1: the second operand is `b`", 0),
        Param("b", 2, "float", "the constant", 0.0),
    )
    tolerance = Tolerance(2e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need(
            (len(inputs) == 1) == bool(params["with_scalar"]),
            "two inputs, or one and a constant",
            got=f"{len(inputs)} inputs",
        )
        if len(inputs) == 1:
            return [inputs[0]]
        a, b = inputs
        fits = len(a) == len(b) and all(m == n or 1 in (m, n) for m, n in zip(a, b, strict=True))
        need(
            fits,
            "the shapes do not broadcast",
            expected="equal ranks, each dimension equal or 1",
            got=f"{list(a)} and {list(b)}",
            fix="Bring one of them into shape with really_reshape()",
        )
        return [tuple(max(m, n) for m, n in zip(a, b, strict=True))]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        a = inputs[0]
        b = torch.as_tensor(params["b"], dtype=a.dtype) if params["with_scalar"] else inputs[1]
        return [_binary(torch, params["op"], a, b)]

    def samples(self) -> list[Sample]:
        import torch

        pairs: tuple[tuple[Shape, Shape], ...] = (
            ((7,), (7,)),
            ((7,), (1,)),
            ((3, 5), (3, 5)),
            ((3, 5), (1, 5)),
            ((5, 3, 7), (5, 3, 7)),
            ((5, 3, 7), (5, 1, 1)),
            ((5, 3, 7), (1, 3, 7)),
            ((8, 1, 9), (8, 4, 1)),
            ((2, 3, 4, 5), (2, 3, 4, 5)),
            ((2, 3, 4, 5), (1, 3, 1, 1)),
            ((1, 1, 1), (16, 2, 3)),
        )
        lower: tuple[tuple[Shape, Shape], ...] = (((5, 3, 7), (7,)), ((5, 3, 7), (3, 7)), ((4,), (3, 4)))

        def sample(i: int, a: Shape, b: Shape) -> Sample:
            return Sample(
                f"{_BINARY[i]}-{shape_id(a)}-{shape_id(b)}",
                (a, b),
                lambda g, x, y: binaryOp(g, [x, y], _BINARY[i]),
                lambda x, y: _binary(torch, i, x, y),
                draw="positive" if _BINARY[i] in ("Div", "Pow", "RDiv") else "normal",
            )

        def power(exponent: float, draw: Literal["normal", "positive"]) -> list[Sample]:
            return over_shapes(
                f"pow{exponent}", lambda g, x: binaryOp(g, [x, exponent], "Pow"), lambda x: x**exponent, draw=draw
            )

        # Batched torch tensors have one more leading dimension, so lower ranks are compared unbatched.
        return [
            *(sample(i, a, b) for i in range(9) for a, b in pairs[: 3 if i > 3 else None]),
            *(
                Sample(
                    f"lower-{shape_id(a)}-{shape_id(b)}",
                    (a, b),
                    lambda g, x, y: binaryOp(g, [x, y], "Mul"),
                    lambda x, y: (x[0] * y[0])[None],
                )
                for a, b in lower
            ),
            *over_shapes("scalar", lambda g, x: binaryOp(g, [x, 1.5], "Sub"), lambda x: x - 1.5),
            *(s for n in (0, 1, 2, 3, 5) for s in power(n, "normal")),
            *(s for n in (-1, -2, 0.5, 1.5, -0.7) for s in power(n, "positive")),
            *over_shapes(
                "pow-of-zeros",
                lambda g, x: binaryOp(g, [binaryOp(g, [x, 0.0], "Max"), 1.5], "Pow"),
                lambda x: x.clamp(min=0) ** 1.5,
            ),
        ]


def _binary(torch: Any, op: int, a: Any, b: Any) -> Any:
    table = (
        lambda: a + b,
        lambda: a - b,
        lambda: a * b,
        lambda: a / b,
        lambda: torch.maximum(a, b),
        lambda: torch.minimum(a, b),
        lambda: a**b,
        lambda: b - a,
        lambda: b / a,
    )
    return table[op]()


@dsl
def binaryOp(g: Graph, bottom_names: Any, op: str = "Add") -> list[Value]:
    """Two Values, or a Value and a number, element by element.

    op: Add, Sub, Mul, Div, Max, Min, Pow, RSub (b - a), RDiv (b / a). Shapes broadcast as numpy's do: ncnn's own
    rule for different ranks is another one, so the lower rank is reshaped first.
    Pow: ncnn's layer is wrong for bases of zero and below (its vector code is exp(b * log(a))). Whole constant
    exponents up to 16 and 0.5 are made of other layers and right for every base; for any other exponent the base
    is limited to at least 1e-30, which is right for zero and has no meaning for negative bases, as in torch.
    Raises BuildError for an unknown op or shapes that do not broadcast.
    """
    if op not in _BINARY:
        raise BuildError("unknown operation", op="BinaryOp", argument="op", expected=list(_BINARY), got=op)
    params = {"op": _BINARY.index(op), "with_scalar": 0, "b": 0.0}
    if (
        isinstance(bottom_names, (list, tuple))
        and len(bottom_names) == 2
        and not isinstance(bottom_names[1], (Value, list, tuple))
    ):
        scalar = number(bottom_names[1], "second operand")
        if op == "Pow":
            return _power(g, one(bottom_names[0]), scalar)
        return append(g, spec_of("BinaryOp"), one(bottom_names[0]), {**params, "with_scalar": 1, "b": scalar})
    values = check_bottom_names(bottom_names)
    if len(values) == 2 and len(values[0].shape) != len(values[1].shape):
        rank = max(len(v.shape) for v in values)
        values = [_to_rank(g, v, rank) for v in values]
    if op == "Pow" and len(values) == 2:
        values[0] = _positive(g, values[0])
    return append(g, spec_of("BinaryOp"), values, params)


def _power(g: Graph, x: Value, exponent: float) -> list[Value]:
    if exponent == 0.5:
        return sqrt(g, x)
    if exponent == 0:
        return MulConstant(g, x, 0.0, 1.0)
    if exponent == int(exponent) and -16 <= exponent <= 16:
        factors, base, n = [], x, int(math.fabs(exponent))
        while n:  # by squaring
            if n % 2:
                factors.append(base)
            n //= 2
            base = square(g, base)[0] if n else base
        y = functools.reduce(lambda a, b: binaryOp(g, [a, b], "Mul")[0], factors)
        return [y] if exponent > 0 else binaryOp(g, [y, 1.0], "RDiv")
    params = {"op": _BINARY.index("Pow"), "with_scalar": 1, "b": exponent}
    return append(g, spec_of("BinaryOp"), _positive(g, x), params)


def _positive(g: Graph, x: Value) -> Value:
    return clamp(g, x, 1e-30, float(np.finfo(np.float32).max))[0]


def _to_rank(g: Graph, value: Value, rank: int) -> Value:
    if len(value.shape) == rank:
        return value
    from .shape import really_reshape

    return really_reshape(g, value, (1,) * (rank - len(value.shape)) + value.shape)[0]


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
def lerp(g: Graph, bottom_names: ValueLike) -> list[Value]:
    """Inputs [a, b, coeff]: a + coeff * (b - a)."""
    return append(g, spec_of("Lerp"), bottom_names)
