"""What follows the inputs of any shape: the shape that every value would have if those inputs had another one.

An input of any shape has at run time a shape that nobody knows now, and so has all that is computed of it: until an op
makes a certain size of every size, as global pooling does, or takes one size only, as a matrix product does of the
columns of its input. What is made for the sizes of today must not take the place of what works for all. Whether it
does is not argued but tried: shape rules are asked for other shapes, one axis longer, a little longer, shorter, or one
axis more or less. The shapes that a value has then are Value.others; a value that has always the same has none.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .errors import BuildError

if TYPE_CHECKING:
    from .ir import Array, Graph, Node, Params, Shape, Value
    from .opspec import OpSpec

Function = TypeVar("Function", bound=Callable[..., Any])

SURPRISES = (BuildError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""How a shape rule says no; it has been asked for what no author has called it with."""


def others_of_input(shape: Shape) -> tuple[Shape, ...]:
    """The other shapes in which an input of any shape is tried."""
    rank = len(shape)
    if not rank:
        return ()
    tried: list[Shape] = []
    for axis in range(-1, -5, -1):
        for factor, more, share in ((2, 0, 1), (1, 1, 1), (1, 1, 2)):
            sizes = ((n * factor + more) // share if i - rank == axis else n for i, n in enumerate(shape))
            tried.append(tuple(sizes))
    tried.append((2, *shape) if rank < 4 else shape)
    tried.append(shape[1:] if rank > 1 else shape)
    return tuple(tried)


def others_of(
    spec: OpSpec, inputs: Sequence[Value], params: Params, weights: Mapping[str, Array], shapes: Sequence[Shape]
) -> list[tuple[Shape, ...]]:
    """For each output the shapes that it has where the inputs have their others; none where it is always `shapes`.

    Where the op does not take the other shapes it is never run with them, so what comes behind it need not know them.
    """
    count = max((len(v.others) for v in inputs), default=0)
    if not count:
        return [()] * len(shapes)
    if spec.foreign:  # its shape rule is what a file says
        return [others_of_input(shape) for shape in shapes]
    tried = []
    for i in range(count):
        given = [v.others[i] if v.others else v.shape for v in inputs]
        found = list(shapes)
        if any(s != v.shape for s, v in zip(given, inputs, strict=True)):
            with contextlib.suppress(*SURPRISES):
                found = spec.infer(given, params, weights)
            if len(found) != len(shapes) or any(n < 1 for shape in found for n in shape):
                found = list(shapes)
        tried.append(found)
    by_output = [tuple(found[k] for found in tried) for k in range(len(shapes))]
    return [others if any(o != shape for o in others) else () for others, shape in zip(by_output, shapes, strict=True)]


# -- functions of the DSL ------------------------------------------------------------------------------------------

_trying: ContextVar[bool] = ContextVar("trying", default=False)


def any_size(function: Function) -> Function:
    """`function(graph, ...)` of the DSL, which has to make the same layers whatever the other shapes of its inputs are.

    One that computes a parameter or a weight from the sizes of today is a BuildError, where these are open.
    """

    @functools.wraps(function)
    def call(g: Graph, *args: Any, **kwargs: Any) -> Any:
        opened = [] if _trying.get() else [v for v in _values((args, kwargs)) if v.others]
        if not opened:
            return function(g, *args, **kwargs)
        begin = len(g.nodes)
        token = _trying.set(True)
        try:
            result = function(g, *args, **kwargs)
            for i in range(len(opened[0].others)):
                changed = any(v.others[i] != v.shape for v in opened)
                if changed and all(len(v.others[i]) == len(v.shape) for v in opened):
                    _try(function, g, args, kwargs, i, g.nodes[begin:])
        finally:
            _trying.reset(token)
        return result

    return call  # type: ignore[return-value]


def _try(function: Callable[..., Any], g: Graph, args: Any, kwargs: Any, i: int, made: Sequence[Node]) -> None:
    """Call the function with the i-th other shapes. Raises BuildError where it makes other layers."""
    scratch = type(g)(g.name)
    there: dict[Value, Value] = {}
    for value in _values((args, kwargs)):
        if value not in there:
            shape = value.others[i] if value.others else value.shape
            there[value] = new = scratch.input(f"v{len(there)}", shape, any_shape=value.open)
            new.data, new.others = value.data, value.others  # what is known of it stays known
    try:
        function(scratch, *_with(args, there), **_with(kwargs, there))
    except SURPRISES:
        return  # it does not take that shape
    if not _same(made, scratch.nodes):
        opened = next(v for v in there if v.others)
        raise BuildError(
            "what this makes holds for one size only, and that of an input is open",
            argument=opened.name,
            expected="a known shape, or sizes that follow it (-1, scale factors, ends counted from the end)",
            got=f"{list(opened.shape)} now; {[list(o) for o in dict.fromkeys(opened.others)][:3]}... as well",
            fix="Give the input of the graph its shape, without any_shape, or say it in a way that fits every size",
        )


def _values(item: Any) -> Iterator[Value]:
    from .ir import Value, Values

    if isinstance(item, Value):
        yield item
    elif isinstance(item, (list, tuple, dict, Values)):
        for part in item.values() if isinstance(item, dict) else item:
            yield from _values(part)


def _with(item: Any, there: Mapping[Value, Value]) -> Any:
    from .ir import Value, Values

    if isinstance(item, Value):
        return there[item]
    if isinstance(item, dict):
        return {name: _with(part, there) for name, part in item.items()}
    if isinstance(item, Values):
        return Values(_with(part, there) for part in item)
    if isinstance(item, (list, tuple)):
        parts = [_with(part, there) for part in item]
        return tuple(parts) if isinstance(item, tuple) else parts
    return item


def _same(a: Sequence[Node], b: Sequence[Node]) -> bool:
    return len(a) == len(b) and all(
        m.spec is n.spec
        and m.params == n.params
        and m.weights.keys() == n.weights.keys()
        and all(m.weights[k] is n.weights[k] or np.array_equal(m.weights[k], n.weights[k]) for k in m.weights)
        for m, n in zip(a, b, strict=True)
    )
