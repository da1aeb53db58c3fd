"""What an author computes with: the operators of tensors in a graph, and the results of a call."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, NoReturn, SupportsIndex, overload

from .errors import BuildError

if TYPE_CHECKING:
    from .ir import Array, Graph, Node, Shape, Value


class Operators:
    """+ - * / ** @, unary minus, abs() and slices, of Values of one graph and numbers.

    What they mean is not known here: see define_operators(). What a tensor cannot say before the net runs, whether it
    is true and what it is equal to, is refused.
    """

    __slots__ = ()
    __array_ufunc__ = None  # a numpy number on the left leaves the operator to us

    if TYPE_CHECKING:  # torch's methods: frontend/named.py puts them here
        abs: Callable[..., Value]
        amax: Callable[..., Value]
        amin: Callable[..., Value]
        bmm: Callable[..., Value]
        ceil: Callable[..., Value]
        chunk: Callable[..., Values]
        clamp: Callable[..., Value]
        cos: Callable[..., Value]
        cumsum: Callable[..., Value]
        diag: Callable[..., Value]
        elu: Callable[..., Value]
        erf: Callable[..., Value]
        exp: Callable[..., Value]
        expand: Callable[..., Value]
        flatten: Callable[..., Value]
        flip: Callable[..., Value]
        floor: Callable[..., Value]
        gather: Callable[..., Value]
        gelu: Callable[..., Value]
        hardsigmoid: Callable[..., Value]
        hardswish: Callable[..., Value]
        index_select: Callable[..., Value]
        leaky_relu: Callable[..., Value]
        log: Callable[..., Value]
        log_softmax: Callable[..., Value]
        logical_and: Callable[..., Value]
        logical_not: Callable[..., Value]
        logical_or: Callable[..., Value]
        logsumexp: Callable[..., Value]
        masked_fill: Callable[..., Value]
        matmul: Callable[..., Value]
        maximum: Callable[..., Value]
        mean: Callable[..., Value]
        minimum: Callable[..., Value]
        mish: Callable[..., Value]
        movedim: Callable[..., Value]
        narrow: Callable[..., Value]
        neg: Callable[..., Value]
        norm: Callable[..., Value]
        permute: Callable[..., Value]
        pixel_shuffle: Callable[..., Value]
        pixel_unshuffle: Callable[..., Value]
        pow: Callable[..., Value]
        prod: Callable[..., Value]
        reciprocal: Callable[..., Value]
        relu: Callable[..., Value]
        remainder: Callable[..., Value]
        repeat: Callable[..., Value]
        repeat_interleave: Callable[..., Value]
        reshape: Callable[..., Value]
        roll: Callable[..., Value]
        round: Callable[..., Value]
        rsqrt: Callable[..., Value]
        select: Callable[..., Value]
        sigmoid: Callable[..., Value]
        sign: Callable[..., Value]
        silu: Callable[..., Value]
        sin: Callable[..., Value]
        softmax: Callable[..., Value]
        softplus: Callable[..., Value]
        split: Callable[..., Values]
        sqrt: Callable[..., Value]
        square: Callable[..., Value]
        squeeze: Callable[..., Value]
        std: Callable[..., Value]
        sum: Callable[..., Value]
        tanh: Callable[..., Value]
        transpose: Callable[..., Value]
        tril: Callable[..., Value]
        triu: Callable[..., Value]
        unbind: Callable[..., Values]
        unsqueeze: Callable[..., Value]
        var: Callable[..., Value]
        view: Callable[..., Value]

    def __add__(self, other: Any) -> Any:
        return operate("add", self, other)

    def __radd__(self, other: Any) -> Any:
        return operate("radd", self, other)

    def __sub__(self, other: Any) -> Value:
        return operate("sub", self, other)

    def __rsub__(self, other: Any) -> Value:
        return operate("rsub", self, other)

    def __mul__(self, other: Any) -> Value:
        return operate("mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return operate("mul", self, other)

    def __truediv__(self, other: Any) -> Value:
        return operate("div", self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return operate("rdiv", self, other)

    def __pow__(self, other: Any) -> Value:
        return operate("pow", self, other)

    def __rpow__(self, other: Any) -> Value:
        return operate("rpow", self, other)

    def __matmul__(self, other: Any) -> Value:
        return operate("matmul", self, other)

    def __gt__(self, other: Any) -> Value:
        return operate("gt", self, other)

    def __ge__(self, other: Any) -> Value:
        return operate("ge", self, other)

    def __lt__(self, other: Any) -> Value:
        return operate("lt", self, other)

    def __le__(self, other: Any) -> Value:
        return operate("le", self, other)

    def __neg__(self) -> Value:
        return operate("neg", self)

    def __abs__(self) -> Value:
        return operate("abs", self)

    def __bool__(self) -> bool:
        refuse("bool", self)

    def __eq__(self, other: object) -> bool:
        """Whether it is the same Value: no elements are compared, and numbers are refused."""
        if self is other:
            return True
        if isinstance(other, Operators):
            return _identity(self) == _identity(other)
        operate("equal", self, other)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(_identity(self))


_operators: dict[str, Callable[..., Any]] = {}


def define_operators(table: Mapping[str, Callable[..., Any]]) -> None:
    """Say what the operators mean: name -> function of (graph, left operand, right operand)."""
    _operators.update(table)


def operate(name: str, left: Any, *operands: Any) -> Value:
    result: Value = _operators[name](left.graph, left, *operands)
    return result


def refuse(name: str, value: Any) -> NoReturn:
    """What is no operation of a net: the function raises BuildError."""
    operate(name, value)
    raise AssertionError(name)


def _identity(value: Operators) -> tuple[int, ...]:
    return tuple(map(id, value)) if isinstance(value, Values) else (id(value),)


class Values(Operators, Sequence["Value"]):
    """The results of a call, which nothing changes. Where it holds one Value, it *is* that Value.

        y = nb.conv2d(g, x, conv)      # one: y * 2, y[:, 1:], y.shape, nb.concat(g, [x, y], 1)
        y[0]                           # that Value, as in the predecessor's code; so is (y,) = ... and *y
        y, h, c = nb.lstm(...)         # several: unpacked, or results[1], results[1:]; no operators

    Where it holds one Value, a slice or an index with commas is one of its dimensions (y[2:5] are three channels,
    y[2, ...] is one); where it holds several, a slice is one of the sequence. A whole number always counts results.
    """

    __slots__ = ("_held",)

    def __init__(self, values: Iterable[Value | None]) -> None:
        self._held: tuple[Value, ...] = tuple(values)  # type: ignore[arg-type]  # None: see child()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Value]:
        return iter(self._held)

    @overload
    def __getitem__(self, key: SupportsIndex) -> Value: ...
    @overload
    def __getitem__(self, key: slice | EllipsisType | tuple[Any, ...]) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and len(self._held) != 1:
            return Values(self._held[key])
        if hasattr(type(key), "__index__") and not isinstance(key, bool):
            index = operator.index(key)
            if -len(self) <= index < len(self):
                return self._held[index]
        return operate("getitem", self, key)

    def __setitem__(self, *_: Any) -> NoReturn:
        raise TypeError("what a call returned does not change; make a list of it: [new, *results[1:]] or list(results)")

    __delitem__ = __setitem__

    def __eq__(self, other: object) -> bool:
        """As of a Value; a list of the same Values is equal as well."""
        return [*self] == other if isinstance(other, list) else super().__eq__(other)

    __hash__ = Operators.__hash__

    def __repr__(self) -> str:
        return f"({', '.join(map(repr, self._held))}{',' * (len(self) == 1)})"

    def the_one(self, what: str) -> Value:
        """The only Value. Raises BuildError where there is none, or several."""
        if len(self._held) != 1 or self._held[0] is None:
            raise BuildError(
                f"{what} of several results",
                expected="one Value",
                got=f"{len(self)} results",
                fix="Take one of them, as in results[0], or unpack them, as in y, h = results",
            )
        return self._held[0]

    # -- where it holds one Value, what that Value says of itself -------------------------------------------

    @property
    def graph(self) -> Graph | None:
        return next((value.graph for value in self._held if value is not None), None)

    @property
    def name(self) -> str:
        return self.the_one("the name").name

    @property
    def shape(self) -> Shape:
        return self.the_one("the shape").shape

    @property
    def producer(self) -> Node | None:
        return self.the_one("the producer").producer

    @property
    def data(self) -> Array | None:
        return self.the_one("the data").data
