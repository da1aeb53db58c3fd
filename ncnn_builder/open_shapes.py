"""Shapes with open sizes: written as texts, evaluated, and found in the shape of an array."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from .errors import BuildError
from .sizes import Floor, Name, Size, bounds, least, names_of, open_size, terms_of

_T = TypeVar("_T")


def parsed(text: str) -> int:
    """The Size of a text: ``h``, ``8*h``, ``2*h + 1``, or with bounds of the whole ``h=64..512``, ``8*h=64..``.

    Raises BuildError for any other.
    """
    found = re.fullmatch(r" *(?:(\d+) *\* *)?([A-Za-z_]\w*)(?: *\+ *(\d+))? *(?:= *(.*))?", text)
    limits = re.fullmatch(r"(\d+)\.\.(\d*) *", found[4]) if found and found[4] is not None else None
    if found is None or (found[4] is not None and limits is None):
        raise BuildError("bad size", expected="a number, or as h, 8*h, h=64..512, 8*h=64..", got=text)
    factor, more = int(found[1] or 1), int(found[3] or 0)
    if limits is None:
        return factor * open_size(found[2]) + more
    least, most = int(limits[1]), int(limits[2]) if limits[2] else None
    return factor * open_size(found[2], -((more - least) // factor), most and (most - more) // factor) + more


def as_size(n: Any) -> int:
    """An int or Size of a number, a Size or a text as of parsed(). Raises TypeError for anything else."""
    if isinstance(n, Size):
        return n
    if isinstance(n, str):
        return parsed(n)
    return operator.index(n)


def shape_at(shape: Sequence[int], values: Mapping[str, Any]) -> tuple[int, ...]:
    """A shape where the names have these values."""
    return tuple(evaluated(n, values) for n in shape)


def some_sizes(shape: Sequence[int], count: int = 10) -> list[dict[str, int]]:
    """Values of the names in it, for what is tried rather than proven: the least, and larger ones of all kinds."""
    names = names_of(*shape)
    steps = (0, 1, 2, 3, 5, 8, 13, 21, 34, 55)[:count]
    tried = [{n.name: min(n.least + step * (i + 1), n.most or 1 << 20) for i, n in enumerate(names)} for step in steps]
    return [at for i, at in enumerate(tried) if at not in tried[:i]]


def matched(pattern: Sequence[int], shape: Sequence[int], values: dict[str, int]) -> None:
    """Find the values of the names in a pattern of sizes, one name at most each, which has this shape.

    values is added to. Raises BuildError where the shape is not of the pattern, or out of bounds.
    """
    wrong = len(pattern) != len(shape)
    for n, got in zip(pattern, shape, strict=False):
        for name in names_of(n):
            value = solved(n, name, got)
            wrong |= value is None or values.setdefault(name.name, value) != value
        wrong |= not wrong and evaluated(n, values) != got
        wrong |= any(
            not name.least <= values[name.name] <= (name.most or math.inf) for name in names_of(n) if not wrong
        )
    if wrong:
        raise BuildError("not a shape of this input", expected=described(pattern), got=list(shape))


def described(shape: Sequence[int]) -> str:
    """For a message: the shape, and the bounds of its names."""
    text = ", ".join(map(str, shape))
    return f"[{text}]" + "".join(f", {bounds(name)}" for name in names_of(*shape))


_OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
}


def evaluated_text(text: str, values: Mapping[str, int]) -> int:
    """The number that str() of a size stands for, the names having these values."""

    def value(node: ast.expr) -> int:
        if isinstance(node, ast.Constant) and isinstance(node.value, int):
            return node.value
        if isinstance(node, ast.Name):
            return values[node.id]
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -value(node.operand)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        raise BuildError("not a size", got=text)

    return value(ast.parse(text, mode="eval").body)


def evaluated(n: int, values: Mapping[str, Any]) -> Any:
    """The size where the names have these values: ints, other Sizes, whatever adds, multiplies and divides.

    Raises BuildError for a name without a value.
    """
    total: Any = 0
    for atoms, factor in terms_of(n):
        product: Any = factor
        for atom in atoms:
            if isinstance(atom, Floor):
                value = evaluated(atom.numerator, values) // evaluated(atom.denominator, values)
            elif atom.name in values:
                value = values[atom.name]
            else:
                raise BuildError("an open size has no value", argument=atom.name, got=sorted(values))
            product = product * value
        total = total + product
    return total


def solved(n: int, name: Name, value: int) -> Any:
    """What the name is where k * name + c is `value`; None where that is no such sum, or no whole number.

    value may be a Size, and then is one whose division has no remainder.
    """
    terms = dict(terms_of(n))
    factor, more = terms.pop((name,), 0), terms.pop((), 0)
    if terms or not factor or (value - more) % factor != 0:
        return None
    return (value - more) // factor


def lesser(a: int, b: int) -> int:
    """min() of two, which Python finds by asking whether one is less, also where both may be equal."""
    if isinstance(a, Size) or isinstance(b, Size):
        low = least(a - b)
        return b if (low is not None and low >= 0) or a > b else a
    return min(a, b)


def largest(items: Sequence[_T], key: Callable[[_T], int]) -> _T:
    """max() by a size; of those that nothing says is the larger, the first."""
    best = items[0]
    for item in items[1:]:
        low = least(key(item) - key(best))
        if low is not None and low > 0:
            best = item
    return best
