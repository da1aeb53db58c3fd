"""Ops of two operands, with numpy's broadcasting."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ...builder import append, inputs_of, is_sequence, is_value, number, one
from ...errors import BuildError
from ...ir import Graph, Params, Shape, Value, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, dsl, register, spec_of
from ..common import FEW, need, over_shapes, shape_id
from ..enums import Binary
from ..shapes.shape import really_reshape
from .elementwise import MulConstant, clamp, sqrt, square
from .elementwise import abs as absolute
from .unary import unary

BINARY = tuple(op.name for op in Binary)

LEAST_BASE = 1e-30
"""Of a power with a fraction for exponent, or with one that is known only when the net runs."""
_LARGEST = float(np.finfo(np.float32).max)
_WHOLE = 2.0**24
"""Larger float32 numbers are all even: nobody means a power by them."""


@register
class BinaryOp(OpSpec):
    """a op b with numpy's broadcasting between equal ranks, or a op constant. ncnn: binaryop.cpp.

    op: 0 add, 1 sub, 2 mul, 3 div, 4 max, 5 min, 6 pow, 7 b - a, 8 b / a, 9 b ** a, 10 atan2(a, b), 11 atan2(b, a),
    12 fmod(a, b), 13 fmod(b, a), 14 log(exp(a) + exp(b)), 15 floor(a / b), 16 floor(b / a), 17 remainder(a, b),
    18 remainder(b, a), which is C's: a - b * (a / b to the nearest whole number).
    """

    type = "BinaryOp"
    departs = (
        "pow of a base of zero or below: the vector code is exp(b * log(a)), NaN or 2.4e38, and what is left over of"
        " a row is right; the DSL makes whole powers of other layers, and limits other bases. fmod, the floor of a"
        " quotient, and remainder where it is whole: the vector code multiplies by an estimate of 1 / b, so that"
        " fmod(2, 2) may be 2. atan2 of a zero and a number below zero, or of two zeros: the sign of a zero"
        " that was computed is not kept; of numbers whose quotient float32 does not hold: the vector code is NaN"
    )
    inputs = ("a", "b?")
    params = (
        Param("op", 0, "int", ", ".join(f"{i} {name.lower()}" for i, name in enumerate(BINARY))),
        Param("with_scalar", 1, "int", "1: the second operand is `b`", 0),
        Param("b", 2, "float", "the constant", 0.0),
    )
    limits = ("0 <= op <= 18",)
    checked_in_cpp = True
    tolerance = Tolerance(2e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need(0 <= params["op"] < len(BINARY), "unknown operation", argument="op", got=params["op"])
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

    def nonsense(self, params: Params) -> str:
        op = BINARY[params["op"]] if 0 <= params["op"] < len(BINARY) else ""
        if op == "RPow" and params["with_scalar"]:
            return "" if params["b"] > 0 else "everywhere: NaN or 2.4e38, as the base is not above 0"
        return "at bases of 0 and below: NaN or 2.4e38, whatever the exponent" if op in ("Pow", "RPow") else ""

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
                f"{BINARY[i]}-{shape_id(a)}-{shape_id(b)}",
                (a, b),
                lambda g, x, y: binaryOp(g, [x, y], BINARY[i]),
                lambda x, y: _binary(torch, i, x, y),
                draw="normal" if i in (0, 1, 2, 4, 5, 7, 10, 11, 14) else "positive",
            )

        def power(exponent: float, draw: Literal["normal", "positive"]) -> list[Sample]:
            return over_shapes(
                f"pow{exponent}", lambda g, x: binaryOp(g, [x, exponent], "Pow"), lambda x: x**exponent, draw=draw
            )

        # Batched torch tensors have one more leading dimension, so lower ranks are compared unbatched.
        return [
            *(sample(i, a, b) for i in range(len(BINARY)) for a, b in pairs[: 3 if i > 3 else None]),
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
            *over_shapes("2-to-the", lambda g, x: binaryOp(g, [x, 2.0], "RPow"), lambda x: 2.0**x),
            *(
                Sample(
                    f"{BINARY[i]}-scalar",
                    ((5, 3, 7),),
                    lambda g, x, i=i: binaryOp(g, [x, 0.7], BINARY[i]),
                    lambda x, i=i: _binary(torch, i, x, torch.tensor(0.7)),
                    draw="normal" if i in (10, 11, 14) else "positive",
                )
                for i in range(10, len(BINARY))
            ),
            *(s for n in (0, 1, 2, 3, 5) for s in power(n, "normal")),
            *(s for n in (-1, -2, 0.5, 1.5, -0.7) for s in power(n, "positive")),
            *over_shapes(
                "pow-3-as-a-layer",
                lambda g, x: append(g, self, x, {"op": BINARY.index("Pow"), "with_scalar": 1, "b": 3.0}),
                lambda x: x**3,
                FEW,
                "positive",
            ),
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
        lambda: _pow(torch, a, b),
        lambda: b - a,
        lambda: b / a,
        lambda: _pow(torch, b, a),
        lambda: _atan2(torch, a, b),
        lambda: _atan2(torch, b, a),
        lambda: torch.fmod(a, b),
        lambda: torch.fmod(b, a),
        lambda: torch.logaddexp(a, b),
        lambda: torch.floor(a / b),
        lambda: torch.floor(b / a),
        lambda: a - b * torch.round(a / b),
        lambda: b - a * torch.round(b / a),
    )
    return table[op]()


def _atan2(torch: Any, a: Any, b: Any) -> Any:
    beyond = (b != 0) & ((a / b).abs() > _LARGEST)
    return torch.where((a == 0) & (b <= 0) | beyond, torch.nan, torch.atan2(a, b))


def _pow(torch: Any, base: Any, exponent: Any) -> Any:
    return torch.where(base > 0, base**exponent, torch.nan)


@dsl
def binaryOp(g: Graph, bottom_names: Any, op: str = "Add") -> Values:
    """Two Values, or a Value and a number, element by element.

    op: Add, Sub, Mul, Div, Max, Min, Pow, Atan2, FMod, LogAddExp, FloorDivide, Remainder (C's, a - b * round(a / b),
    not torch's, a - b * floor(a / b)), and with the operands exchanged RSub (b - a), RDiv (b / a), RPow (b ** a),
    RAtan2, RFMod, RFloorDivide, RRemainder. Shapes broadcast as numpy's do: ncnn's own
    rule for different ranks is another one, so the lower rank is reshaped first.
    Pow: ncnn's layer is wrong for bases of zero and below (its vector code is exp(b * log(a))). Whole constant
    exponents up to 2**24 and 0.5 are made of other layers and right for every base; for any other exponent the base
    is limited to at least 1e-30, which is right for zero and has no meaning for negative bases, as in torch. Whole
    exponents in a Value are right for negative bases too, as the sign is computed beside the magnitude.
    RPow: likewise, and a constant base has to be above zero.
    Raises BuildError for an unknown op or shapes that do not broadcast.
    """
    if op not in BINARY:
        raise BuildError("unknown operation", op="BinaryOp", argument="op", expected=list(BINARY), got=op)
    params = {"op": BINARY.index(op), "with_scalar": 0, "b": 0.0}
    if (
        is_sequence(bottom_names)
        and len(bottom_names) == 2
        and not is_value(bottom_names[1])
        and not is_sequence(bottom_names[1])
    ):
        scalar = number(bottom_names[1], "second operand")
        if op == "Pow":
            return _power(g, one(bottom_names[0]), scalar)
        if op == "RPow":
            need(
                scalar > 0, "a base of zero or below", argument="second operand", expected="a base above 0", got=scalar
            )
        return append(g, spec_of("BinaryOp"), one(bottom_names[0]), {**params, "with_scalar": 1, "b": scalar})
    values = inputs_of(bottom_names)
    if len(values) == 2 and len(values[0].shape) != len(values[1].shape):
        rank = max(len(v.shape) for v in values)
        values = [_to_rank(g, v, rank) for v in values]
    if op in ("Pow", "RPow") and len(values) == 2:
        base, exponent = values if op == "Pow" else values[::-1]
        return _power_of_values(g, base, exponent)
    return append(g, spec_of("BinaryOp"), values, params)


def _power(g: Graph, x: Value, exponent: float) -> Values:
    if exponent == 0.5:
        return sqrt(g, x)
    if exponent == 0:
        return MulConstant(g, x, 0.0, 1.0)
    if exponent == int(exponent) and math.fabs(exponent) <= _WHOLE:
        factors, base, n = [], x, int(math.fabs(exponent))
        while n:  # by squaring
            if n % 2:
                factors.append(base)
            n //= 2
            base = square(g, base)[0] if n else base
        y = functools.reduce(lambda a, b: binaryOp(g, [a, b], "Mul")[0], factors)
        return Values([y]) if exponent > 0 else binaryOp(g, [y, 1.0], "RDiv")
    params = {"op": BINARY.index("Pow"), "with_scalar": 1, "b": exponent}
    return append(g, spec_of("BinaryOp"), _positive(g, x), params)


def _power_of_values(g: Graph, base: Value, exponent: Value) -> Values:
    """|base| ** exponent, and the sign that an odd exponent leaves: 1 - 2 * (base < 0) * (exponent mod 2)^2.

    Not by FMod, which is 2 for ncnn where exponent is even: it divides by an estimate of 1 / 2.
    """
    params = {"op": BINARY.index("Pow"), "with_scalar": 0, "b": 0.0}
    size = append(g, spec_of("BinaryOp"), [_positive(g, one(absolute(g, base))), exponent], params)
    below = append(g, spec_of("Threshold"), MulConstant(g, base, -1.0), {"threshold": 0.0})
    half = MulConstant(g, exponent, 0.5)
    odd = square(g, MulConstant(g, binaryOp(g, [half, unary(g, half, "trunc")], "Sub"), 2.0))
    return binaryOp(g, [size, MulConstant(g, binaryOp(g, [below, odd], "Mul"), -2.0, 1.0)], "Mul")


def _positive(g: Graph, x: Value) -> Value:
    return clamp(g, x, LEAST_BASE, float(np.finfo(np.float32).max))[0]


def _to_rank(g: Graph, value: Value, rank: int) -> Value:
    if len(value.shape) == rank:
        return value
    return really_reshape(g, value, (1,) * (rank - len(value.shape)) + value.shape)[0]
