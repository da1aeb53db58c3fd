"""Open sizes in random programs: what a call computes with the example's sizes is said in those of the values."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ncnn_builder import BuildError
from ncnn_builder.open_shapes import as_size, evaluated, solved
from ncnn_builder.sizes import Name, Size, names_of, open_size

Named = tuple["int | str", ...]


class Spoken(int):
    """A number of the example that prints as what it is at every size: ``v1.shape[2]``, ``(v1.shape[2])//2``."""

    text: str
    size: int

    def __new__(cls, value: int, text: str, size: int) -> Spoken:
        made = super().__new__(cls, value)
        made.text, made.size = text, size
        return made

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return self.text

    def __hash__(self) -> int:
        return super().__hash__()

    def __neg__(self) -> Any:
        return _computed(operator.sub, "-", 0, self)


def _computed(function: Callable[[Any, Any], Any], sign: str, a: Any, b: Any) -> Any:
    if not isinstance(a, int) or not isinstance(b, int):
        return NotImplemented
    value = function(int(a), int(b))
    sizes = [n.size if isinstance(n, Spoken) else n for n in (a, b)]
    try:
        size = function(*sizes)
    except (BuildError, ArithmeticError):
        return value
    if not isinstance(size, Size):
        return value
    return Spoken(value, f"({a!r}){sign}({b!r})", size)


def _both(function: Callable[[Any, Any], Any], sign: str) -> tuple[Any, Any]:
    return (lambda a, b: _computed(function, sign, a, b)), (lambda a, b: _computed(function, sign, b, a))


for _name, _sign in (("add", "+"), ("sub", "-"), ("mul", "*"), ("floordiv", "//"), ("mod", "%")):
    for _prefix, _method in zip(("__", "__r"), _both(getattr(operator, _name), _sign), strict=True):
        setattr(Spoken, f"{_prefix}{_name}__", _method)


def spoken(name: str, shape: Sequence[int], at: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of a value of the program, at the example's sizes."""
    return tuple(
        Spoken(evaluated(n, at), f"{name}.shape[{i}]", n) if isinstance(n, Size) else n for i, n in enumerate(shape)
    )


def names_in(shape: Named) -> tuple[Name, ...]:
    return names_of(*map(as_size, shape))


def named(shape: Sequence[int]) -> Named | None:
    """As an input of the graph says it; None where it cannot: a size that is no multiple of a name and some more."""
    said: list[int | str] = []
    for n in shape:
        size = n.size if isinstance(n, Spoken) else n
        if not isinstance(size, Size):
            said.append(int(size))
            continue
        (name, *others) = names_of(size)
        if others or solved(size, name, size) is None or not str(size).startswith((name.name, *"123456789")):
            return None
        low, high = (None if n is None else evaluated(size, {name.name: n}) for n in (name.least, name.most))
        said.append(f"{size}={low}..{'' if high is None else high}")
    return tuple(said) if all("-" not in str(n) for n in said) else None


def drawn(rng: random.Random, shape: Sequence[int]) -> tuple[int, ...]:
    """A shape of which some axes have names: the last ones, mostly, one name twice now and then, multiples."""
    made = list(shape)
    open_axes = [a for a in range(len(shape)) if rng.random() < (0.85 if a or len(shape) == 1 else 0.08)]
    names: list[int] = []
    for axis in open_axes or [len(shape) - 1]:
        if names and rng.random() < 0.2:
            name = rng.choice(names)
        else:
            least = rng.choice((2, 3, 4, 6))
            name = open_size("hwdn"[len(names)], least, rng.choice((None, None, least + 20)))
            names.append(name)
        made[axis] = rng.choice((name, name, name, 2 * name, 2 * name + 1, 4 * name))
    return tuple(made)


def numbers(rng: random.Random, names: Sequence[Name], count: int) -> list[dict[str, int]]:
    """The example, the least, and others."""

    def within(n: Name, more: int) -> int:
        return min(n.least + more, n.most or n.least + more)

    found = [{n.name: within(n, rng.randrange(4)) for n in names}, {n.name: n.least for n in names}]
    found += [{n.name: within(n, rng.choice((1, 2, 3, 4, 7, 12))) for n in names} for _ in range(count - 2)]
    return found
