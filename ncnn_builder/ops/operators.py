"""What the operators of Values mean: the DSL's functions, on the graph of the Value."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..any_size import any_size
from ..builder import inputs_of, is_sequence, is_value
from ..errors import BuildError
from ..ir import Graph, Value, Values
from ..opspec import located
from ..values import define_operators
from .arithmetic import elementwise
from .arithmetic.binary import binaryOp
from .arithmetic.channelwise import matmul
from .common import need
from .shapes.crop import crop
from .shapes.dims import squeeze
from .shapes.orders import flip
from .shapes.strides import strided

TO_THE_END = -233
"""An end of Crop."""


def _operand(other: Any) -> Any:
    """A Value, what a call returned, or a number: of Python, numpy or torch."""
    if is_value(other):
        return _the(other)
    need(
        not is_sequence(other),
        "a list is no operand",
        expected="a Value or a number",
        got=f"a list of {len(other)}" if is_sequence(other) else None,
        fix="[*a, *b] makes one list of two",
    )
    number = isinstance(other, numbers.Real) or getattr(other, "ndim", None) == 0
    need(
        number,
        "no operand",
        expected="a Value or a number",
        got=f"{type(other).__name__} {list(getattr(other, 'shape', []))}".removesuffix(" []"),
        fix="memorydata() makes a Value of an array",
    )
    return other


def _the(operand: Value | Values) -> Value:
    return operand.the_one("an operand") if isinstance(operand, Values) else operand


def _binary(op: str) -> Callable[[Graph, Any, Any], Value]:
    def operate(g: Graph, value: Value | Values, other: Any) -> Value:
        return binaryOp(g, [_the(value), _operand(other)], op)[0]

    return operate


def _add(g: Graph, value: Value | Values, other: Any) -> Value | Values:
    """The sum; or, of a result and a list, the predecessor's chain: its results were lists."""
    if is_sequence(other) and not isinstance(other, Values):
        return Values([*_terms(g, value), *inputs_of(other)])
    a, b = _the(value), _operand(other)
    begin, terms = (len(g.nodes), (a,)) if isinstance(value, Values) else _sum_just_made(value) or (0, ())
    y = binaryOp(g, [a, b], "Add")[0]
    if terms and isinstance(other, Values):
        y.sum_of = begin, (*terms, b)
    return y


def _radd(g: Graph, value: Value | Values, other: Any) -> Value | Values:
    if is_sequence(other) and isinstance(value, Values):
        return Values([*inputs_of(other), *value])
    return binaryOp(g, [_the(value), _operand(other)], "Add")[0]


def _terms(g: Graph, value: Value | Values) -> Sequence[Value]:
    """What stands in front of a list in ``a + b + [c]``, which in the predecessor's code is a list of three.

    Python has added a and b by then: that node goes, and a warning says so. A sum that is more than this is refused.
    """
    if isinstance(value, Values):
        return value
    advice = "[a + b, c] is a list of the sum and c, [*a, *b, c] of all three"
    begin, terms = _sum_just_made(value) or (0, ())
    need(bool(terms), "a list is no operand", expected="a Value or a number", got="a list", fix=advice)
    g.forget(begin)
    warnings.warn(f"a + b + [c] is read as the predecessor's list of all three: {advice}", stacklevel=6)
    return terms


def _sum_just_made(value: Value) -> tuple[int, tuple[Value, ...]] | None:
    """Its sum_of, where nothing was built since and nothing has read it."""
    newest = value.producer is not None and value.graph.nodes[-1:] == [value.producer]
    return value.sum_of if newest and not value.uses else None


def _neg(g: Graph, value: Value | Values) -> Value:
    return binaryOp(g, [_the(value), -1.0], "Mul")[0]


def _abs(g: Graph, value: Value | Values) -> Value:
    return elementwise.abs(g, value)[0]


def _matmul(g: Graph, value: Value | Values, other: Any) -> Value:
    need(is_value(other), "no matrix", expected="a Value", got=type(other).__name__)
    return matmul(g, [_the(value), _the(other)])[0]


def _bool(g: Graph | None, value: Value | Values) -> NoReturn:
    raise BuildError(
        "whether a Value is true is known only when the net runs",
        expected="a decision of the time of the export",
        got=value,
        fix="Ask whether it `is not None`, or for len() of several results; a choice by numbers is arithmetic",
    )


def _equal(g: Graph | None, value: Value | Values, other: Any) -> None:
    """Another kind of thing is not equal; a comparison of numbers would be meant element by element."""
    numeric = isinstance(other, numbers.Number) or hasattr(other, "ndim")
    need(not numeric, "a comparison is no operator of the net", expected="Values, which are the same or not", got=other)


def _iterate(g: Graph, value: Value) -> NoReturn:
    raise BuildError(
        "a Value is one tensor, and no sequence",
        expected="the results of a call, which unpack",
        got=value,
        fix="nb.slice() or nb.tensor_split() gives its parts, value[i, ...] one of them",
    )


def _getitem(g: Graph, value: Value | Values, key: Any) -> Value:
    """value[2:5], value[:, 1], value[..., -3:]: dimensions without the batch, as numpy has it; steps from 1 up.

    One number alone is refused: in torch it counts the batch, in the predecessor's code results, in numpy channels.
    """
    count = len(value) if isinstance(value, Values) else 1
    need(count == 1, "no such result", expected=f"0 to {count - 1}, or a slice of results", got=key)
    value = _the(value)
    if isinstance(key, numbers.Integral) and not isinstance(key, bool):
        raise BuildError(
            "a number alone is no index of a Value",
            expected="results[0] of a call, or dimensions",
            got=f"[{key}] of {value}",
            fix=f"[{key}, ...] takes index {key} of the first dimension, [{key}:{key + 1 or ''}] keeps the dimension",
        )
    keys, rank = list(key) if isinstance(key, tuple) else [key], len(value.shape)
    if any(k is Ellipsis for k in keys):
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (rank - len(keys) + 1)
    need(len(keys) <= rank, "too many indices", expected=f"{rank} at most for {list(value.shape)}", got=len(keys))
    starts, ends, axes, gone, steps, turned = [], [], [], [], [], []
    for axis, (k, n) in enumerate(zip(keys, value.shape, strict=False)):
        if isinstance(k, slice):
            step = 1 if k.step is None else k.step
            upwards = isinstance(step, numbers.Integral) and not isinstance(step, bool) and int(step) >= 1
            need(upwards, "a slice with this step", expected="1 or more", got=step, fix="nb.flip() turns an axis round")
            first, end, step = k.indices(n)
            need(first < end, "nothing is left of an axis", expected=f"part of {n}", got=f"{k.start}:{k.stop}")
            if step > 1 and end - first > step:
                steps.append((axis, first, end, step))
                continue
            end = end if step == 1 else first + 1
        else:
            whole = isinstance(k, numbers.Integral) and not isinstance(k, bool)
            need(whole, "bad index", expected="a slice, a whole number or ...", got=repr(k))
            first = int(k) + n if k < 0 else int(k)
            need(0 <= first < n, "an index out of range", expected=f"-{n} to {n - 1}", got=int(k))
            end = first + 1
            gone.append(axis)
        whole_axis = (first, end) == (0, n)
        if value.open and getattr(k, "step", None) in (None, 1):  # as written: ncnn counts from the end of any size
            first, end, whole_axis = _written(k, n)
            if isinstance(k, slice) and _may_begin_before(value, axis, first, end):
                # That is the axis's beginning for Python, and outside for Crop: cut from the front.
                turned.append(axis + 1)
                first, end = (0 if end == TO_THE_END else -end), -first
        if not whole_axis:
            starts.append(first)
            ends.append(end)
            axes.append(axis)
    y = flip(g, value, turned)[0] if turned else value
    y = crop(g, y, starts, ends, axes)[0] if axes else y
    y = flip(g, y, turned)[0] if turned else y
    for step in steps:
        y = strided(g, y, *step)
    return squeeze(g, y, [a + 1 for a in gone])[0] if gone else y


def _written(key: Any, n: int) -> tuple[int, int, bool]:
    """Start and end of Crop for a slice with step 1 or a number, whatever the size; and whether that is everything."""
    if not isinstance(key, slice):
        return int(key), int(key) + 1 or TO_THE_END, False
    whole = key.start in (None, 0) and key.stop is None
    end = TO_THE_END if key.stop is None else int(key.stop)
    # what begins at the end and ends at the front holds for one size only: its numbers follow n, which any_size sees
    return max(key.start or 0, -n) if end > 0 else key.start or 0, end, whole


def _may_begin_before(value: Value, axis: int, first: int, end: int) -> bool:
    """Whether a part from `first` to `end`, both counted from the end, may begin before an axis whose size is open."""
    sizes = {other[axis] for other in value.others if len(other) == len(value.shape)}
    return first < -1 and end < 0 and sizes - {value.shape[axis]} != set()


define_operators(
    {
        **{
            name: located(any_size(_binary(op)), f"operator {sign}")
            for name, op, sign in (
                ("sub", "Sub", "-"),
                ("rsub", "RSub", "-"),
                ("mul", "Mul", "*"),
                ("div", "Div", "/"),
                ("rdiv", "RDiv", "/"),
                ("pow", "Pow", "**"),
                ("rpow", "RPow", "**"),
            )
        },
        "add": located(_add, "operator +"),
        "radd": located(_radd, "operator +"),
        "bool": located(_bool, "bool()"),
        "equal": located(_equal, "operator =="),
        "iterate": located(_iterate, "iteration"),
        "neg": located(any_size(_neg), "operator -"),
        "abs": located(any_size(_abs), "operator abs"),
        "matmul": located(any_size(_matmul), "operator @"),
        "getitem": located(any_size(_getitem), "operator []"),
    }
)
