"""What a pickle that is read without running it is made of: names, strange objects, keys. And what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Call = Callable[[tuple[Any, ...]], Any]


class Refused(Exception):
    """What in the stream was not accepted, and where."""


@dataclass(frozen=True, eq=False)
class Global:
    """A name that a stream may have. call: what REDUCE makes of the arguments; new: what NEWOBJ makes of them.

    inert: neither looks at the arguments.
    """

    name: str
    call: Call | None = None
    new: Call | None = None
    inert: bool = False


Globals = Mapping[tuple[str, str], Global]


class Buildable:
    """An inert object that takes a state by BUILD."""

    __slots__ = ()

    def build(self, state: Any) -> None:
        """Raises Refused for a state that is not of the expected form."""
        raise NotImplementedError


class Stray(Buildable):
    """An object of a class that is not known: what it was made of is dropped, what it is given afterwards is kept.

    state: of BUILD, usually its attributes; items: as of a dict; values: as of a list.
    """

    __slots__ = ("items", "name", "state", "values")

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Any = None
        self.items: dict[Any, Any] | None = None
        self.values: list[Any] | None = None

    def build(self, state: Any) -> None:
        self.state = state

    @property
    def content(self) -> dict[Any, Any]:
        """As a dict: its items, else its attributes."""
        return self.items or (self.state if isinstance(self.state, dict) else {})


class OddKey:
    """A key of a dict, or an element of a set, that is no text, small number or None: only its kind is kept.

    Hashing a tuple may take for ever, and chosen large numbers collide.
    """

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what

    def __repr__(self) -> str:
        return f"(a key that is {self.what})"


class Dict(dict[Any, Any], Buildable):
    """An OrderedDict or EasyDict of the stream. Its attributes (torch keeps `_metadata` there) are dropped."""

    def build(self, state: Any) -> None:
        if not isinstance(state, dict):
            raise Refused(f"the state of a dict is {kind(state)}")


def kind(value: Any) -> str:
    """The type of a value of the stream, for messages."""
    if isinstance(value, Stray):
        return f"an object of {quoted(value.name)}"
    return f"the name {quoted(value.name)}" if isinstance(value, Global) else type(value).__name__


def quoted(text: str, most: int = 80) -> str:
    """Text of the stream for a message: in ASCII, on one line, not long."""
    return ascii(text if len(text) <= most else text[: most - 3] + "...")[1:-1]


def as_key(key: Any) -> Any:
    """A key of a dict or an element of a set."""
    if type(key) is str or key is None or (type(key) is int and abs(key) < 2**32):
        return key
    return OddKey(kind(key))
