"""Functions of one number, and layers that do nothing to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from ...builder import ValueLike, append, number
from ...errors import BuildError
from ...ir import Graph, Params, Shape, Value, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, dsl, functions, register, spec_of
from .. import enums
from ..common import ANY_SHAPES, FEW, Unary, need, over_shapes

UNARY = tuple(op.name for op in enums.Unary)


@register
class UnaryOp(Unary):
    """y = op(x), element by element; round goes to even. ncnn: unaryop.cpp."""

    type = "UnaryOp"
    params = (Param("op", 0, "int", ", ".join(f"{i} {name}" for i, name in enumerate(UNARY))),)
    limits = ("0 <= op <= 27",)
    tolerance = Tolerance(2e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need(0 <= params["op"] < len(UNARY), "unknown operation", argument="op", got=params["op"])
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [getattr(inputs[0], UNARY[params["op"]])()]

    def samples(self) -> list[Sample]:
        draws: dict[str, Any] = {name: "unit" for name in ("asin", "acos", "atanh")}
        draws |= {name: "positive" for name in ("sqrt", "rsqrt", "log", "reciprocal", "log10", "log1p")}

        def above_one(name: str) -> list[Sample]:
            return over_shapes(
                name,
                lambda g, x: unaryOp(g, functions["binaryOp"](g, [x, 1.0], "Add"), name),
                lambda x: getattr(x + 1, name)(),
                FEW,
                "positive",
            )

        def sample(name: str) -> list[Sample]:
            if name == "acosh":
                return above_one(name)
            return over_shapes(
                name,
                lambda g, x: unaryOp(g, x, name),
                lambda x: getattr(x, name)(),
                ANY_SHAPES if name in ("abs", "exp", "tanh") else FEW,
                draws.get(name, "normal"),
            )

        return [s for name in UNARY for s in sample(name)]


def unary(g: Graph, x: ValueLike, op: str) -> Value:
    """For lowerings. op: a name of UNARY."""
    return append(g, spec_of("UnaryOp"), x, {"op": UNARY.index(op)})[0]


@dsl
def unaryOp(g: Graph, bottom_names: ValueLike, op: str) -> Values:
    """A function of each number, by ncnn's own layer.

    op: abs, neg, floor, ceil, square, sqrt, rsqrt, exp, log, sin, cos, tan, asin, acos, atan, reciprocal, tanh, log10,
    round (to even), trunc, sign, expm1, sinh, asinh, cosh, acosh, atanh, log1p. sin is that of radians, not sin().
    Raises BuildError for another one.
    """
    if op not in UNARY:
        raise BuildError("unknown operation", op="UnaryOp", argument="op", expected=list(UNARY), got=op)
    return Values([unary(g, bottom_names, op)])


def _base(base: SupportsFloat | None) -> float:
    """ncnn's code for e is -1."""
    if base is None or base == math.e:
        return -1.0
    value = number(base, "base")
    need(value > 0, "no base of powers", argument="base", expected="None (e) or a number above 0", got=value)
    return value


_SCALE = Param("scale", 1, "float", "factor of x", 1.0)
_SHIFT = Param("shift", 2, "float", "added to it", 0.0)
_BASE = Param("base", 0, "float", "the base; -1: e", -1.0)


@register
class Exp(Unary):
    """base ** (shift + scale * x); base -1 is e. ncnn: exp.cpp."""

    type = "Exp"
    params = (_BASE, _SCALE, _SHIFT)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        y = params["shift"] + inputs[0] * params["scale"]
        return [(y if params["base"] == -1 else y * math.log(params["base"])).exp()]

    def samples(self) -> list[Sample]:
        return [
            *over_shapes("exp", exp, lambda x: x.exp()),
            *over_shapes("exp2", lambda g, x: exp(g, x, 2, 0.5, 0.25), lambda x: 2 ** (0.25 + x * 0.5)),
        ]


@register
class Log(Unary):
    """The logarithm of shift + scale * x; base -1 is e. ncnn: log.cpp."""

    type = "Log"
    params = (_BASE, _SCALE, _SHIFT)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        y = (params["shift"] + inputs[0] * params["scale"]).log()
        return [y if params["base"] == -1 else y / math.log(params["base"])]

    def samples(self) -> list[Sample]:
        return [
            *over_shapes("log", log, lambda x: x.log(), draw="positive"),
            *over_shapes("log2", lambda g, x: log(g, x, 2, 3, 1), lambda x: (1 + x * 3).log2(), draw="positive"),
        ]


@register
class Power(Unary):
    """(shift + scale * x) ** power. ncnn: power.cpp. A base below zero gives NaN unless the power is whole."""

    type = "Power"
    params = (
        Param("power", 0, "float", "the exponent", 1.0),
        _SCALE,
        _SHIFT,
    )

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [(params["shift"] + inputs[0] * params["scale"]) ** params["power"]]

    def samples(self) -> list[Sample]:
        return [
            *over_shapes("power-3", lambda g, x: power(g, x, 3, 0.5, 1), lambda x: (1 + x * 0.5) ** 3),
            *over_shapes("power-half", lambda g, x: power(g, x, 0.5), lambda x: x**0.5, draw="positive"),
        ]


@dsl
def exp(
    g: Graph,
    bottom_names: ValueLike,
    base: SupportsFloat | None = None,
    scale: SupportsFloat = 1.0,
    shift: SupportsFloat = 0.0,
) -> Values:
    """base ** (shift + scale * x); base None is e."""
    return append(g, spec_of("Exp"), bottom_names, {"base": _base(base), "scale": scale, "shift": shift})


@dsl
def log(
    g: Graph,
    bottom_names: ValueLike,
    base: SupportsFloat | None = None,
    scale: SupportsFloat = 1.0,
    shift: SupportsFloat = 0.0,
) -> Values:
    """The logarithm of shift + scale * x; base None is e."""
    need(base is None or number(base, "base") != 1, "no base of logarithms", argument="base", got=1)
    return append(g, spec_of("Log"), bottom_names, {"base": _base(base), "scale": scale, "shift": shift})


@dsl
def power(
    g: Graph,
    bottom_names: ValueLike,
    power: SupportsFloat = 1.0,
    scale: SupportsFloat = 1.0,
    shift: SupportsFloat = 0.0,
) -> Values:
    """(shift + scale * x) ** power in one layer; the base may be negative only where the power is whole."""
    return append(g, spec_of("Power"), bottom_names, {"power": power, "scale": scale, "shift": shift})


# -- nothing ----------------------------------------------------------------------------------------------------


@register
class Dropout(Unary):
    """scale * x: dropout when it is not training, which in Caffe has a scale. ncnn: dropout.cpp."""

    type = "Dropout"
    params = (Param("scale", 0, "float", "factor; torch's is 1", 1.0),)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0] * params["scale"]]

    def samples(self) -> list[Sample]:
        return [
            *over_shapes("dropout", dropout, lambda x: x),
            *over_shapes("dropout-half", lambda g, x: dropout(g, x, 0.5), lambda x: x * 0.5),
        ]


@dsl
def dropout(g: Graph, bottom_names: ValueLike, scale: SupportsFloat = 1.0) -> Values:
    """Dropout as it is after training: scale * x, where torch's scale is 1."""
    return append(g, spec_of("Dropout"), bottom_names, {"scale": scale})


@register
class DeepCopy(Unary):
    """x, in memory of its own. ncnn: deepcopy.cpp."""

    type = "DeepCopy"

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0]]

    def samples(self) -> list[Sample]:
        return over_shapes("deepcopy", deepcopy, lambda x: x)


@dsl
def deepcopy(g: Graph, bottom_names: ValueLike) -> Values:
    """x, in memory of its own: what net surgery sometimes wants; nothing here needs it."""
    return append(g, spec_of("DeepCopy"), bottom_names)


@register
class Noop(OpSpec):
    """Its inputs as they are, however many. ncnn: noop.cpp."""

    type = "Noop"
    inputs = ("x*",)
    outputs = ("y*",)
    limits = ()

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Fewer outputs than inputs: those of the first inputs, or none, which silences blobs that nobody reads."""
        need(count <= len(inputs), "more outputs than inputs", expected=f"at most {len(inputs)}", got=count)
        return None if count == len(inputs) else list(inputs[:count])

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need(len(inputs) > 0, "wrong number of inputs", expected=">= 1", got=0)
        return list(inputs)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return list(inputs)

    def samples(self) -> list[Sample]:
        return [
            *over_shapes("noop", noop, lambda x: x),
            Sample("noop-2", ((3, 5), (8, 2, 2)), lambda g, *v: noop(g, v), lambda *v: v),
        ]


@dsl
def noop(g: Graph, bottom_names: ValueLike) -> Values:
    """The inputs as they are: a layer that has a name and does nothing."""
    return append(g, spec_of("Noop"), bottom_names)
