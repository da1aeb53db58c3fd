"""Sizes that are known only when a net runs, exactly: sums, products and floor divisions of names with bounds.

A size is an int where it is known, and a Size where it is not; what is computed of Sizes is an int again as soon as no
name is left in it (``h - h`` is 0). So a shape rule that adds, multiplies and divides works on both. What it decides is
decided for every size within the bounds, or it is an OpenSizeError, which says what depends on which name:

- ``<``, ``>`` and the like: true or false where all sizes within the bounds agree;
- ``==``: whether both are always the same, so that ``!=`` is: not always;
- ``int()``, an index, a float, computing with one: never, as the size of today would be baked in.

Sizes are not negative, and a name is at least 2 unless it says otherwise: a size of 1 broadcasts, which is another net.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import TYPE_CHECKING, Any, NoReturn, TypeGuard, cast

from .errors import BuildError

LEAST = 2
"""The smallest size of a name that states none."""


class OpenSizeError(BuildError):
    """Something that would hold for some sizes only, where one is open."""


@dataclass(frozen=True, order=True)
class Name:
    """An open size: its name, and its bounds; most None: there is none."""

    name: str
    least: int = LEAST
    most: int | None = None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Floor:
    """numerator // denominator, which is 1 or more."""

    numerator: int
    denominator: int

    def __str__(self) -> str:
        return f"{_in_brackets(self.numerator)}//{_in_brackets(self.denominator)}"


Atom = Name | Floor
Monomial = tuple[Atom, ...]

# To the type checker a Size is an int: every rule that computes with sizes computes with both. It is none at run time,
# so that whatever of Python wants a number is an error.
if TYPE_CHECKING:
    _Int = int
else:
    _Int = object


class Size(_Int):
    """A polynomial of names and floor divisions with whole coefficients; made by open_size() and by computing."""

    __slots__ = ("_hash", "terms")
    terms: tuple[tuple[Monomial, int], ...]
    _hash: int

    def __new__(cls, terms: tuple[tuple[Monomial, int], ...]) -> Size:
        self = object.__new__(cls)
        self.terms = terms
        self._hash = hash(terms)
        return self

    def __reduce__(self) -> Any:
        return Size, (self.terms,)

    # -- computing -----------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> int:
        return _combined(self, other, 1) if _is_size(other) else self._no(other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> int:
        return _combined(self, other, -1) if _is_size(other) else self._no(other)

    def __rsub__(self, other: Any) -> int:
        return _combined(other, self, -1) if _is_size(other) else self._no(other)

    def __neg__(self) -> int:
        return self * -1

    def __mul__(self, other: Any) -> int:
        if not _is_size(other):
            self._no(other)
        made: dict[Monomial, int] = {}
        for (a, m), (b, n) in itertools.product(terms_of(self), terms_of(other)):
            key = _sorted(a + b)
            made[key] = made.get(key, 0) + m * n
        return _size(made)

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> int:
        return quotient(self, other) if _is_size(other) else self._no(other)

    def __rfloordiv__(self, other: Any) -> int:
        return quotient(other, self) if _is_size(other) else self._no(other)

    def __mod__(self, other: Any) -> int:
        return self - (self // other) * other if _is_size(other) else self._no(other)

    def __rmod__(self, other: Any) -> int:
        return other - (other // self) * self if _is_size(other) else self._no(other)

    def __divmod__(self, other: Any) -> tuple[int, int]:
        return self // other, self % other

    # -- deciding ------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self.terms == other.terms

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: Any) -> bool:
        return _less(self, other, "<") if _is_size(other) else self._no(other)

    def __le__(self, other: Any) -> bool:
        return not _less(other, self, "<") if _is_size(other) else self._no(other)

    def __gt__(self, other: Any) -> bool:
        return _less(other, self, "<") if _is_size(other) else self._no(other)

    def __ge__(self, other: Any) -> bool:
        return not _less(self, other, "<") if _is_size(other) else self._no(other)

    def __bool__(self) -> bool:
        return self > 0

    def _no(self, other: Any) -> Any:
        return self._unknown() if isinstance(other, Real) else NotImplemented  # with a float, it would be a number

    def _unknown(self, *_: Any) -> NoReturn:
        raise OpenSizeError(
            "a number is asked for, and this size is known only when the net runs",
            got=self,
            fix="Say it in a way that fits every size (-1, scale factors, ends counted from the end), or give the input"
            " its size",
        )

    if not TYPE_CHECKING:
        __int__ = __index__ = __float__ = __complex__ = __round__ = __trunc__ = __floor__ = __ceil__ = _unknown
        __truediv__ = __rtruediv__ = __pow__ = __rpow__ = _unknown

    # -- reading -------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        text = ""
        for atoms, n in self.terms:
            parts = [*([str(abs(n))] if abs(n) != 1 or not atoms else []), *map(str, atoms)]
            if len(parts) > 1 or n < 0:
                parts = [part if re.fullmatch(r"\w+", part) else f"({part})" for part in parts]
            text += (" - " if n < 0 else " + ") + "*".join(parts)
        return text.removeprefix(" + ") if text.startswith(" + ") else "-" + text.removeprefix(" - ")

    __repr__ = __str__


def open_size(name: str, least: int = LEAST, most: int | None = None) -> int:
    """A size that is known when the net runs: at least `least`, at most `most`. Raises BuildError for bad bounds."""
    if not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise BuildError("bad name of a size", expected="letters, digits and _, as in h", got=name)
    if least < 1 or (most is not None and most <= least):
        raise BuildError(f"bad bounds of the size {name}", expected="1 <= least < most", got=[least, most])
    return Size((((Name(name, least, most),), 1),))


def is_open(shape: Iterable[int]) -> bool:
    """Whether any of these sizes is known only when the net runs."""
    return any([isinstance(n, Size) for n in shape])  # a list: shapes are short, and this is asked very often


def terms_of(n: int) -> Iterator[tuple[Monomial, int]]:
    """Monomial and coefficient of each part of a sum."""
    yield from n.terms if isinstance(n, Size) else [((), n)] if n else []


def names_of(*sizes: int) -> tuple[Name, ...]:
    """The names in them, sorted."""
    found: set[Name] = set()
    for n in sizes:
        for atoms, _ in terms_of(n):
            for atom in atoms:
                found |= {atom} if isinstance(atom, Name) else set(names_of(atom.numerator, atom.denominator))
    return tuple(sorted(found, key=lambda name: (name.name, name.least, name.most or 0)))


def bounds(name: Name) -> str:
    return f"{name} from {name.least}" + (f" to {name.most}" if name.most is not None else "")


# -- the normal form -----------------------------------------------------------------------------------------


def _is_size(n: object) -> TypeGuard[int]:
    return isinstance(n, (int, Size)) or hasattr(n, "__index__")


def _combined(a: int, b: int, factor: int) -> int:
    made = dict(terms_of(a))
    for atoms, n in terms_of(b):
        made[atoms] = made.get(atoms, 0) + factor * n
    return _size(made)


def _size(terms: Mapping[Monomial, int]) -> int:
    left = {atoms: int(n) for atoms, n in terms.items() if n}
    if not left.keys() - {()}:
        return left.get((), 0)
    return Size(tuple(sorted(left.items(), key=lambda item: _key(item[0]))))


def _key(atoms: Monomial) -> tuple[int, tuple[str, ...]]:
    return (-len(atoms), tuple(map(_atom_key, atoms)))


@lru_cache(maxsize=65536)
def _atom_key(atom: Atom) -> str:
    return str(atom)


def _sorted(atoms: Monomial) -> Monomial:
    return tuple(sorted(atoms, key=_atom_key))


def _in_brackets(n: int) -> str:
    return str(n) if re.fullmatch(r"\w+", str(n)) else f"({n})"


@lru_cache(maxsize=65536)
def quotient(n: int, by: int) -> int:
    """n // by. Raises OpenSizeError where `by` could be 0 or less."""
    if not isinstance(by, Size) and by < 0:
        return quotient(-n, -by)
    if by == 0:
        raise ZeroDivisionError("division of a size by 0")
    if isinstance(by, Size) and not by > 0:
        raise OpenSizeError("a division by a size that is not positive", got=by)
    whole, rest = _taken_out(n, by)
    if not isinstance(by, Size):
        return whole + _by_number(rest, by)
    low, room = least(rest), least(by - rest - 1)
    between = low is not None and room is not None and min(low, room) >= 0
    return whole if between else whole + _size({(Floor(rest, by),): 1})


def _taken_out(n: int, by: int) -> tuple[int, int]:
    """(q, r) with n == q * by + r, q being as much as divides without a remainder."""
    (lead, factor), *_ = terms_of(by)
    whole, rest = 0, n
    while True:
        for atoms, count in terms_of(rest):
            left = _without(atoms, lead)
            if left is not None and count // factor and (isinstance(by, Size) is False or count % factor == 0):
                part = _size({left: count // factor})
                break
        else:
            return whole, rest
        whole, rest = whole + part, rest - part * by
        if len(tuple(terms_of(rest))) > 64:
            return 0, n  # no division that comes to an end


def _by_int(atom: Atom) -> bool:
    return isinstance(atom, Floor) and not isinstance(atom.denominator, Size)


def _without(atoms: Monomial, part: Monomial) -> Monomial | None:
    left = list(atoms)
    for atom in part:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def _by_number(n: int, by: int) -> int:
    """n // by, the coefficients of n being from 0 to by - 1."""
    if not isinstance(n, Size):
        return n // by
    common = math.gcd(by, *(count for atoms, count in terms_of(n) if atoms))
    if common > 1:
        inner = _size({atoms: count // common for atoms, count in terms_of(n)})  # the constant is rounded down
        return quotient(inner, by // common)
    low, high = least(n), most(n)
    if low is not None and high is not None and low // by == high // by:
        return low // by
    inner_floors = [atoms[0] for atoms, count in terms_of(n) if len(atoms) == 1 and count == 1 and _by_int(atoms[0])]
    if len(inner_floors) == 1:  # a rounded number and whole ones are rounded together
        floor = cast(Floor, inner_floors[0])
        below = floor.denominator
        return quotient((n - _size({(floor,): 1})) * below + floor.numerator, below * by)
    return _size({(Floor(n, by),): 1})


# -- bounds --------------------------------------------------------------------------------------------------


def least(n: int) -> int | None:
    """A number that the size is never below, the greatest that is found; None where there is none."""
    return _least(n, 4) if isinstance(n, Size) else n


def most(n: int) -> int | None:
    """A number that the size is never above; None where there is none."""
    low = least(-n)
    return None if low is None else -low


@lru_cache(maxsize=65536)
def _least(n: int, depth: int) -> int | None:
    found = [low for low in (_by_intervals(n), *_by_floors(n, depth)) if low is not None]
    return max(found, default=None)


def _range(atom: Atom) -> tuple[int | None, int | None]:
    if isinstance(atom, Name):
        return atom.least, atom.most
    (a, b), (c, d) = ((least(n), most(n)) for n in (atom.numerator, atom.denominator))
    assert c is not None and c > 0
    low = None if a is None else a // c if a < 0 else a // d if d is not None else 0
    high = None if b is None else b // c if b >= 0 else b // d if d is not None else -1
    return low, high


def _by_intervals(n: int) -> int | None:
    """Each atom as its least and something more: h * w - h of h, w >= 1 is (1 + a) * (1 + b) - (1 + a) = a * b + b."""
    moved: dict[Atom, tuple[int, int | None]] = {}
    shifted: dict[Monomial, int] = {}
    for atoms, count in terms_of(n):
        product: dict[Monomial, int] = {(): count}
        for atom in atoms:
            low, high = _range(atom)
            if low is None:
                return None
            moved[atom] = low, high
            grown: dict[Monomial, int] = {}
            for m, c in product.items():
                grown[m] = grown.get(m, 0) + c * low
                key = _sorted((*m, atom))
                grown[key] = grown.get(key, 0) + c
            product = grown
        for m, c in product.items():
            shifted[m] = shifted.get(m, 0) + c
    total = shifted.pop((), 0)
    for atoms, count in shifted.items():
        if count < 0:
            for atom in atoms:
                low, high = moved[atom]
                if high is None:
                    return None
                count *= high - low
            total += count
    return total


def _by_floors(n: int, depth: int) -> Iterator[int | None]:
    """Each floor division by a number as what it rounds: (a - k + 1) / k <= a // k <= a / k."""
    if depth == 0:
        return
    floors = {a for atoms, _ in terms_of(n) for a in atoms if _by_int(a)}
    for floor in cast("list[Floor]", sorted(floors, key=_atom_key)):
        times: dict[Monomial, int] = {}
        rest: dict[Monomial, int] = {}
        for atoms, count in terms_of(n):
            if atoms.count(floor) > 1:
                break
            left = _without(atoms, (floor,))
            (rest if left is None else times)[atoms if left is None else left] = count
        else:
            factor, by = _size(times), floor.denominator
            low, high = least(factor), most(factor)
            if low is not None and low >= 0:
                bound = factor * (floor.numerator - by + 1)
            elif high is not None and high <= 0:
                bound = factor * floor.numerator
            else:
                continue
            whole = bound + by * _size(rest)
            found = _least(whole, depth - 1) if isinstance(whole, Size) else whole
            yield None if found is None else -(-found // by)


def _less(a: int, b: int, sign: str) -> bool:
    low, high = least(b - a), most(b - a)
    if low is not None and low > 0:
        return True
    if high is not None and high <= 0:
        return False
    names = names_of(b - a)
    raise OpenSizeError(
        f"whether {a} {sign} {b} depends on the size",
        expected="the same for all sizes",
        got=", ".join(map(bounds, names)),
        fix=f"Give {' and '.join(n.name for n in names)} bounds within which it is always the same, as in"
        f' "{names[0]}={max(names[0].least, 64)}..512"',
    )
