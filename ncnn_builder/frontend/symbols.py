"""Open sizes between torch and us: torch.export's symbols and conditions, our names and their bounds."""

from __future__ import annotations

import inspect
import itertools
import math
import operator
import random
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from ..errors import BuildError
from ..open_shapes import as_size, evaluated, lesser, solved
from ..sizes import Name, OpenSizeError, Size, bounds, is_open, names_of, open_size, terms_of

Dynamic = Mapping[str, Mapping[int, Any]]
"""Argument of forward() -> axis -> its size: a text as ``h``, ``8*h``, ``h=64..512``, or a Size."""
_LARGEST = 1 << 20


@dataclass
class Symbols:
    """The open sizes of a program.

    shapes      placeholder -> its shape
    known       symbol of torch -> our size
    conditions  what torch took for granted when it traced the example, and could not prove of all sizes
    """

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    known: dict[Any, int] = field(default_factory=dict)
    conditions: list[Any] = field(default_factory=list)
    ours: dict[str, Any] = field(default_factory=dict)  # name -> torch's SymInt
    fakes: Any = None  # the mode in which tensors have these sizes and no numbers
    guards: Sequence[Any] = ()  # what torch takes for granted in that mode, where it has no program

    @classmethod
    def of_names(cls, names: Sequence[Name], example: Mapping[str, int] | None = None) -> Symbols:
        """Those of a graph that somebody builds by hand, of which torch has no program. example: sizes that decide
        what torch cannot tell of all; see broken()."""
        sizes = cls()
        if not names:
            return sizes
        from torch._dynamo.source import ConstantSource  # seconds, which nobody else has to wait
        from torch._subclasses import FakeTensorMode
        from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv

        env = ShapeEnv()
        sizes.fakes, sizes.guards = FakeTensorMode(shape_env=env, allow_non_fake_inputs=True), env.guards
        for i, name in enumerate(names):
            ours, source = Size((((name,), 1),)), ConstantSource(name.name)
            hint = (example or {}).get(name.name, min(name.least + 5 + 2 * i, name.most or _LARGEST))
            symbol = env.create_symbol(hint, source, DimDynamic.DYNAMIC, None)
            known = env.var_to_range[symbol]
            env.var_to_range[symbol] = type(known)(max(name.least, 2), name.most or known.upper)
            sizes.ours[name.name] = env.create_symintnode(symbol, hint=hint, source=source)
            sizes.known[symbol] = ours
            sizes.shapes[name.name] = (ours,)
        return sizes

    @classmethod
    def within(cls, e: Any, env: Any, shapes: Mapping[str, Sequence[int]]) -> int | None:
        """The size that an expression is while torch traces; None for what is no size. env: torch's ShapeEnv; shapes:
        those of forward()'s arguments, by which 8*h is known to be whole windows."""
        sizes = cls()
        for symbol in e.free_symbols:
            name, axis = argument_of(symbol, env)
            shape, known = shapes.get(name or "", ()), env.var_to_range.get(symbol)
            if name is not None and 0 <= axis < len(shape):
                sizes.known[symbol] = shape[axis]
            elif known is not None:
                most = int(known.upper) if known.upper.is_Integer and known.upper < _LARGEST else None
                sizes.known[symbol] = open_size(str(symbol), max(int(known.lower), 1), most)
        try:
            return sizes._of(e)
        except OpenSizeError:
            return None

    def broken(self) -> Iterator[dict[str, int]]:
        """Sizes at which something does not hold that torch took for granted while it traced."""
        self.conditions = [guard.expr for guard in self.guards]
        for holds in self._tests():
            yield from itertools.islice((at for at in _drawn(self.names, {}, 200) if not holds(at)), 1)

    @property
    def names(self) -> tuple[Name, ...]:
        return names_of(*itertools.chain.from_iterable(self.shapes.values()))

    def of(self, n: Any) -> int:
        """Our size of torch's int or SymInt."""
        if not self.shapes:  # none is open: those of the example, also of a program that torch has kept open
            return int(n)
        return self._of(n.node.expr) if isinstance(n, torch.SymInt) else int(n)

    def shape(self, t: torch.Tensor) -> tuple[int, ...]:
        return tuple(self.of(n) for n in t.shape)

    def symint(self, n: int) -> Any:
        """Torch's size of ours."""
        return evaluated(n, self.ours) if isinstance(n, Size) else n

    def placeholder(self, name: str, val: torch.Tensor, shape: Sequence[int]) -> None:
        """An input whose shape torch has with symbols. Raises BuildError where torch made a number of a size."""
        self.shapes[name] = tuple(shape)
        self.fakes = getattr(val, "fake_mode", None)
        for axis, (n, theirs) in enumerate(zip(shape, val.shape, strict=True)):
            if not isinstance(n, Size):
                continue
            if not isinstance(theirs, torch.SymInt) or not theirs.node.expr.free_symbols:
                raise BuildError(
                    f"the size {n} of {name} (axis {axis}) is open, and forward() works for one only",
                    expected="a forward() that computes with x.shape",
                    got=str(theirs),
                )
            (ours,), (symbol,) = names_of(n), tuple(theirs.node.expr.free_symbols)
            factor, more = (theirs.node.expr.coeff(symbol, i) for i in (1, 0))
            value = (n - int(more)) // int(factor)
            before = self.known.setdefault(symbol, value)
            assert before == value, (symbol, before, value)
            self.ours.setdefault(ours.name, solved(n, ours, theirs))

    def _of(self, e: Any) -> int:
        """Our size of an expression of sympy."""
        kind = type(e).__name__
        if e.is_Integer:
            return int(e)
        if e.is_Symbol:
            if e not in self.known:
                raise OpenSizeError("a size that follows from numbers of the inputs", got=str(e))
            return self.known[e]
        if kind == "Add":
            return sum(map(self._of, e.args))
        if kind == "Mul":
            return self._product(e)
        if kind == "Pow" and e.exp.is_Integer and e.exp > 0:
            return math.prod([self._of(e.base)] * int(e.exp))
        if kind in ("FloorDiv", "CleanDiv"):
            return self._of(e.args[0]) // self._of(e.args[1])
        if kind in ("Mod", "PythonMod"):
            return self._of(e.args[0]) % self._of(e.args[1])
        if kind == "Min":
            first, *others = map(self._of, e.args)
            for other in others:
                first = lesser(first, other)
            return first
        if kind == "Max":
            first, *others = map(self._of, e.args)
            for other in others:
                first = -lesser(-first, -other)
            return first
        if kind in ("FloorToInt", "TruncToInt", "floor"):
            return self._floored(e.args[0])
        if kind in ("CeilToInt", "ceiling"):
            over, under = self._fraction(e.args[0])
            return (over + under - 1) // under
        raise OpenSizeError("a size that is no sum, product or floor division of others", got=str(e))

    def _product(self, e: Any) -> int:
        over, under, rest = 1, 1, []
        for factor in e.args:
            if factor.is_Rational and not factor.is_Integer:
                over, under = over * int(factor.p), under * int(factor.q)
            else:
                rest.append(self._of(factor))
        whole: int = over * math.prod(rest)
        if whole % under != 0:
            raise OpenSizeError("a size that is divided with a remainder", got=str(e))
        return whole // under

    def _floored(self, e: Any) -> int:
        """The whole part of floats that sizes are made to: of one times a factor as 0.5, of one divided by another."""
        over, under = self._fraction(e)
        return over // under

    def _fraction(self, e: Any) -> tuple[int, int]:
        """A float as (size, power of two), where it is exact: every step is a whole number, or one of few digits."""
        kind = type(e).__name__
        if kind == "ToFloat":
            return self._of(e.args[0]), 1
        if e.is_Float or (e.is_Rational and not e.is_Integer):
            over, under = float(e).as_integer_ratio()
            if over > 1 << 10:
                raise OpenSizeError(
                    "a size times a factor that is rounded", expected="a factor as 2 or 0.5", got=str(e)
                )
            return over, under
        if kind in ("FloatTrueDiv", "IntTrueDiv"):
            (a, below), (b, above) = map(self._fraction, e.args)
            return _reduced(a * above, b * below, e)
        if kind in ("Mul", "FloatMul"):
            over, under = 1, 1
            for a, below in map(self._fraction, e.args):
                over, under = _reduced(over * a, under * below, e)
            return over, under
        if e.is_integer:
            return self._of(e), 1
        raise OpenSizeError("a size that floats say", got=str(e))

    # -- which sizes to try --------------------------------------------------------------------------------

    def tried(self, example: Mapping[str, int], most: int = 8) -> list[dict[str, int]]:
        """Sizes at which a net is run: the smallest, another, and for each condition sizes where it does not hold."""
        names = self.names
        chosen = [{n.name: n.least for n in names}, next(iter(_drawn(names, example, 1)))]
        for holds in self._tests():
            if any(not holds(at) for at in chosen):
                continue
            broken = next((at for at in _drawn(names, example, 200) if not holds(at)), None)
            if broken is not None and len(chosen) < most:
                chosen.append(broken)
        return [at for i, at in enumerate(chosen) if at != dict(example) and at not in chosen[:i]]

    def _tests(self) -> Iterator[Callable[[Mapping[str, int]], bool]]:
        """The conditions as functions of the names' values, each once, without those that hold for all."""
        seen = set()
        for condition in dict.fromkeys(self.conditions):
            if not condition.free_symbols:
                continue  # torch writes down also what it has found to be true of all
            compare = _RELATIONS.get(type(condition).__name__)
            if compare is None:
                yield partial(self._by_torch, condition)
                continue
            try:
                a, b = map(self._of, condition.args)
            except OpenSizeError:
                yield partial(self._by_torch, condition)
                continue
            if (compare, a, b) not in seen and is_open((a, b)):
                seen.add((compare, a, b))
                yield partial(_holds, compare, a, b)

    def _by_torch(self, condition: Any, at: Mapping[str, int]) -> bool:
        return bool(condition.subs({s: evaluated(n, at) for s, n in self.known.items()}))


def _reduced(over: int, under: int, e: Any) -> tuple[int, int]:
    """over / under as (size, power of two). Raises OpenSizeError for another quotient, which floats round."""
    if over % under == 0:
        return over // under, 1
    for shift in range(1, 11):  # a half, a quarter ...
        if over * (1 << shift) % under == 0:
            return over * (1 << shift) // under, 1 << shift
    raise OpenSizeError("a quotient of sizes that floats round", got=str(e))


_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "Equality": operator.eq,
    "Unequality": operator.ne,
    "LessThan": operator.le,
    "StrictLessThan": operator.lt,
    "GreaterThan": operator.ge,
    "StrictGreaterThan": operator.gt,
}
"""By the name of sympy's class."""


def _holds(compare: Callable[[int, int], bool], a: int, b: int, at: Mapping[str, int]) -> bool:
    return compare(evaluated(a, at), evaluated(b, at))


def _drawn(names: Sequence[Name], example: Mapping[str, int], count: int) -> Iterator[dict[str, int]]:
    """Sizes within the bounds, first about twice as large as the smallest, in the same order every time."""
    rng = random.Random(1)
    for i in range(count):
        yield {
            n.name: min(
                n.most or _LARGEST, n.least + (1 + n.least % 7 + k if i == 0 else rng.randrange(2 * n.least + 12))
            )
            for k, n in enumerate(names)
        }


def argument_of(symbol: Any, env: Any) -> tuple[str | None, int]:
    """Which axis of which argument of forward() a symbol of torch is: L['x'].size()[2]; (None, 0) where it is none."""
    for source in env.var_to_sources.get(symbol, ())[:1]:
        name = source.name() if callable(source.name) else source.name  # a method before torch 2.10
        found = re.fullmatch(r"L\['(\w+)'\]\.size\(\)\[(\d+)\]", name)
        if found:
            return found[1], int(found[2])
    return None, 0


def checked(
    dynamic: Dynamic, signature: Any, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, tuple[int, ...]]:
    """Argument of forward() -> its shape, with open sizes; of those that are tensors.

    Raises BuildError for an argument or axis that there is not, and an example that is no such size.
    """
    given = arguments_of(signature, args, kwargs)
    shapes: dict[str, tuple[int, ...]] = {n: tuple(t.shape) for n, t in given.items() if isinstance(t, torch.Tensor)}
    at: dict[str, int] = {}
    if not isinstance(dynamic, Mapping) or not all(isinstance(axes, Mapping) for axes in dynamic.values()):
        expected = 'argument -> axis -> size, as {"x": {2: "h", 3: "w"}}'
        raise BuildError(
            "open sizes that are not said by name and axis", argument="dynamic", expected=expected, got=dynamic
        )
    for name, axes in dynamic.items():
        if name not in shapes:
            raise BuildError("forward() has no such tensor", argument="dynamic", expected=sorted(shapes), got=name)
        shape = list(shapes[name])
        for axis, text in axes.items():
            if not isinstance(axis, int) or not 0 <= axis < len(shape):
                expected = f"an axis of {shape}"
                raise BuildError(f"dynamic of {name}", argument="dynamic", expected=expected, got=axis)
            try:
                size = as_size(text)
            except TypeError:
                size = 0
            held = names_of(size)
            if len(held) != 1 or solved(size, held[0], size) is None:
                expected = 'a name, as "h", "8*h", "h=64..512"'
                raise BuildError(f"dynamic of {name}", argument="dynamic", expected=expected, got=text)
            value = solved(size, held[0], shape[axis])
            inside = value is not None and held[0].least <= value <= (held[0].most or math.inf)
            if not inside or at.setdefault(held[0].name, value) != value:
                expected = f"{size}, {bounds(held[0])}"
                raise BuildError(f"the example's {name}, axis {axis}", expected=expected, got=shape[axis])
            shape[axis] = size
        shapes[name] = tuple(shape)
    found = {n.name: n for n in names_of(*itertools.chain.from_iterable(shapes.values()))}
    for each in names_of(*itertools.chain.from_iterable(shapes.values())):
        if found[each.name] != each:
            got = f"{bounds(each)}, {bounds(found[each.name])}"
            raise BuildError("one name with two bounds", argument="dynamic", got=got)
    return shapes


def arguments_of(signature: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What forward() is given, by the names of its parameters."""
    names = list(inspect.signature(signature).parameters)
    return {**dict(zip(names, args, strict=False)), **kwargs}


def dynamic_shapes(shapes: Mapping[str, Sequence[int]], others: Iterable[str] = ()) -> dict[str, Any]:
    """What torch.export is told: each name one Dim. others: arguments that are no tensors, which it asks about too."""
    made: dict[str, Any] = {}

    def dim(n: int) -> Any:
        (name,), terms = names_of(n), dict(terms_of(n))
        factor, more = terms[(name,)], terms.get((), 0)
        least = max(name.least, 2)  # torch takes a size of one for known
        each = made.setdefault(name.name, torch.export.Dim(name.name, min=least, max=name.most))
        scaled = factor * each if factor != 1 else each
        return scaled + more if more else scaled

    return {
        name: {i: dim(n) for i, n in enumerate(shapes[name]) if isinstance(n, Size)}
        if is_open(shapes.get(name, ()))
        else None
        for name in dict.fromkeys([*shapes, *others])
    }
