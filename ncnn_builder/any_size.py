"""DSL functions whose layers have to fit every size of their inputs: they are tried with others (openness.py)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from .errors import BuildError
from .ir import Graph, Node, Value, Values
from .openness import SURPRISES

Function = TypeVar("Function", bound=Callable[..., Any])

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
    if isinstance(item, Value):
        yield item
    elif isinstance(item, (list, tuple, dict, Values)):
        for part in item.values() if isinstance(item, dict) else item:
            yield from _values(part)


def _with(item: Any, there: Mapping[Value, Value]) -> Any:
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
