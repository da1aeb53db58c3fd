"""What every DSL function does: take the arguments as authors give them, check, infer shapes, append a node."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, SupportsFloat, TypeAlias, TypeGuard

import numpy as np

from .errors import BuildError
from .ir import Array, Graph, Node, Value, Values
from .opspec import Derived, OpSpec, Param, caller
from .sizes import OpenSizeError

ValueLike: TypeAlias = "Value | Sequence[Value | Sequence[Value]]"
"""What the DSL takes for inputs: a Value, what a call returned, or a list of them."""


def check_bottom_names(bottom_names: ValueLike) -> Values:
    """The inputs of a call, flat. Raises BuildError for anything that is no Value.

    The name is the predecessor's. ``x, *others = nb.check_bottom_names(inputs)`` takes them apart.
    """
    return Values(inputs_of(bottom_names))


def inputs_of(bottom_names: ValueLike) -> list[Value]:
    """The same as a list, which one Value does not turn into that Value."""
    if isinstance(bottom_names, Value):
        return [bottom_names]
    flat: list[Value] = []
    for item in bottom_names if is_sequence(bottom_names) else [bottom_names]:
        for value in item if is_sequence(item) else [item]:
            if not isinstance(value, Value):
                raise BuildError(
                    "an input is not a Value",
                    source=caller(),
                    expected="a Value or a list of Values",
                    got=type(value).__name__,
                )
            flat.append(value)
    return flat


def is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    """Whether it is a list, a tuple, or what a call returned: not a Value, nor text."""
    return isinstance(value, (list, tuple, Values))


def is_value(value: object) -> TypeGuard[Value | Values]:
    """Whether an argument is a Value, or the result of a call, rather than numbers."""
    return isinstance(value, (Value, Values))


def one(value: ValueLike) -> Value:
    """Exactly one Value."""
    values = inputs_of(value)
    if len(values) != 1:
        raise BuildError("wrong number of inputs", source=caller(), expected=1, got=len(values))
    return values[0]


def results_of(returned: Any) -> Values:
    """What an author's function returned, as every call returns it: a Value, or lists of Values and None.

    None holds the place of a result that is not there. Raises BuildError for anything else.
    """
    return Values(_flat(returned))


def _flat(returned: Any) -> Iterator[Value | None]:
    if returned is None or isinstance(returned, Value):
        yield returned
    elif is_sequence(returned):
        for item in returned:
            yield from _flat(item)
    else:
        expected, got = "a Value or a list of Values", type(returned).__name__
        raise BuildError("export_ncnn() returned no Value", expected=expected, got=got)


def number(value: SupportsFloat, argument: str) -> float:
    """A finite Python float from a Python number, a 0-d array or a 0-d tensor."""
    try:
        result = float(value.detach() if hasattr(value, "detach") else value)
    except OpenSizeError as error:
        raise type(error)(error.what, argument=argument, source=caller(), got=error.got, fix=error.fix) from None
    except (OverflowError, TypeError, ValueError):
        result = math.nan
    if not math.isfinite(result):
        raise BuildError("bad number", argument=argument, source=caller(), expected="a finite number", got=value)
    return result


def integer(value: SupportsFloat, argument: str) -> int:
    """A Python int, likewise; a float is taken when it is whole."""
    result = number(value, argument)
    if result != int(result):
        raise BuildError("bad number", argument=argument, source=caller(), expected="a whole number", got=value)
    return int(result)


def integers(value: Any, argument: str) -> tuple[int, ...]:
    """Whole numbers from a sequence, an array, or the predecessor's text ``(0, 2, 3, 1)``."""
    if isinstance(value, str):
        value = [part for part in value.strip("()[] ").split(",") if part.strip()]
    elif getattr(value, "ndim", None) == 0 or not hasattr(value, "__len__"):
        value = [value]  # a number, or an array or tensor of no dimensions
    elif isinstance(value, (Mapping, Set)):
        raise BuildError("numbers in no order", argument=argument, source=caller(), expected="a list", got=value)
    return tuple(integer(v, argument) for v in value)


def pair(value: Any, argument: str, least: int = 1) -> tuple[int, int]:
    """(vertical, horizontal) from one number or two, as torch takes kernel, stride and dilation."""
    numbers = integers(value, argument)
    if len(numbers) == 1:
        numbers *= 2
    if len(numbers) != 2 or min(numbers) < least:
        raise BuildError(
            "bad pair",
            argument=argument,
            source=caller(),
            expected=f"one or two numbers >= {least}",
            got=value,
        )
    return numbers[0], numbers[1]


def padding4(value: Any, argument: str = "padding") -> tuple[int, int, int, int]:
    """(top, bottom, left, right) from one number, torch's pair (vertical, horizontal), or all four."""
    numbers = integers(value, argument)
    if len(numbers) == 1:
        numbers *= 4
    elif len(numbers) == 2:
        numbers = (numbers[0], numbers[0], numbers[1], numbers[1])
    if len(numbers) != 4:
        raise BuildError(
            "bad padding",
            argument=argument,
            source=caller(),
            got=value,
            expected="one number, (vertical, horizontal) or (top, bottom, left, right)",
        )
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _holds_none(given: np.ndarray[Any, Any]) -> bool:
    return given.dtype.kind == "O" and any(item is None for item in given.flat)


def array(value: Any, argument: str, ndim: int | None = None) -> Array:
    """A float32 array from a tensor (with or without gradient), an array or numbers."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value if value.is_complex() or value.element_size() == 8 else value.float()).numpy()
    try:
        given = np.asanyarray(value)
        if given.dtype.kind not in "biufO" or isinstance(given, np.ma.MaskedArray) or _holds_none(given):
            raise TypeError("numpy would take text, dates, masked numbers and the real parts of complex ones")
        with np.errstate(over="ignore"):
            result: Array = np.ascontiguousarray(given, dtype=np.float32).reshape(given.shape)
    except (TypeError, ValueError):
        raise BuildError("not an array of numbers", argument=argument, source=caller(), got=repr(value)[:80]) from None
    if result.size and np.isinf(result).sum() != np.isinf(given.astype(np.float64)).sum():
        raise BuildError("a number too large", argument=argument, source=caller(), expected="float32, up to 3.4e38")
    if ndim is not None and result.ndim != ndim:
        raise BuildError(
            "weight of the wrong rank",
            argument=argument,
            source=caller(),
            expected=f"{ndim} dimensions",
            got=list(result.shape),
        )
    return result


def append(
    g: Graph,
    spec: OpSpec,
    inputs: ValueLike,
    params: Mapping[str, Any] | None = None,
    weights: Mapping[str, Array | None] | None = None,
) -> Values:
    """Append a node of `spec`; every parameter of the declaration must be given.

    Raises BuildError with op, scope, source line and argument where the call does not fit the declaration.
    """
    values = inputs_of(inputs)
    source = g.source or caller()
    try:
        least, most = spec.arity
        if not least <= len(values) <= most:
            raise BuildError(
                "wrong number of inputs", expected=f"{', '.join(spec.inputs)}", got=f"{len(values)} inputs"
            )
        _refuse_other_graphs(g, values)
        _refuse_open_lengths(values)
        _refuse_mixed_numbers(spec, values)
        for value in values:
            if not value.shape:
                raise BuildError("the shape of an input is not known", argument=value.name)
        typed = _typed_params(spec, params or {})
        arrays = {k: g.own(w) for k, w in (weights or {}).items() if w is not None}
        shapes = spec.infer([v.shape for v in values], typed, arrays)
        if any(n < 1 for shape in shapes for n in shape):
            raise BuildError("the result is empty", expected="dimensions >= 1", got=[list(s) for s in shapes])
    except BuildError as error:
        raise error.located(spec.type, g.current_scope or None, source) from None
    name, scope = g.fresh_name(spec.type), g.current_scope
    node = Node(spec, name, values, typed, arrays, scope, source, g.made_by, mask=g.mask)
    outputs = g.add(node, shapes)
    for value, data in zip(outputs, spec.constants(typed, arrays) or (), strict=False):
        value.data = data
    return outputs


def _refuse_other_graphs(g: Graph, values: Sequence[Value]) -> None:
    for value in values:
        if value.graph is not g:
            raise BuildError(
                "an input belongs to another graph",
                argument=value.name,
                expected=f"a value of graph {g.name}",
                got=f"one of graph {value.graph.name}",
            )


def _refuse_open_lengths(values: Sequence[Value]) -> None:
    for value in values:
        if value.producer is not None and value.producer.spec.open_length:
            raise BuildError(
                "the length of an input is known only when the net runs",
                argument=value.name,
                expected="a value of known shape",
                got=f"the result of {value.producer.spec.type}",
                fix="Make it an output of the graph, and go on from there outside of the net",
            )


def _refuse_mixed_numbers(spec: OpSpec, values: Sequence[Value]) -> None:
    for value in values:
        readers = {node.spec for node, _ in value.uses} | {spec}
        whole = [reader.integer_input for reader in readers]
        if any(whole) and (value.producer is not None or not all(whole)):
            raise BuildError(
                "whole numbers are an input of the graph, and no layer reads them as floats",
                argument=value.name,
                expected=f"an input for {' and '.join(sorted(r.type for r in readers))} each",
                got=value,
                fix="dequantize(g, x, [1.0]) makes floats of them",
            )


def _typed_params(spec: OpSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    names = {p.name for p in spec.params}
    if set(given) != names:
        wrong = sorted(names.symmetric_difference(given))
        raise BuildError("parameters do not match the declaration", expected=sorted(names), got=wrong)
    return {p.name: _typed(p, given[p.name]) for p in spec.params}


def _typed(param: Param, value: Any) -> Any:
    if spec_is_list(param):
        convert = integer if param.kind == "ints" else number
        return tuple(convert(v, param.name) for v in value)
    return integer(value, param.name) if param.kind == "int" else number(value, param.name)


def filled(spec: OpSpec, **given: Any) -> dict[str, Any]:
    """All parameters of a declaration: those given, and ncnn's default for each other one."""
    params: dict[str, Any] = dict(given)
    for param in spec.params:
        if param.name not in params:
            params[param.name] = param.default.of(params) if isinstance(param.default, Derived) else param.default
    return params


def spec_is_list(param: Param) -> bool:
    return param.kind in ("ints", "floats")


def create_top_names(g: Graph, num: int = 1) -> list[str]:
    """`num` unused names in the current scope (the predecessor's helper)."""
    return [g.fresh_name("blob") for _ in range(num)]


def newest_bottom_names(g: Graph) -> Values:
    """The outputs of the newest node, or the inputs of a graph that has none (the predecessor's helper)."""
    return g.nodes[-1].outputs if g.nodes else Values(g.inputs)


def split_input_tensor(g: Graph, bottom_names: ValueLike) -> Values:
    """The Values as they are (the predecessor's helper): Split layers come when the net is compiled."""
    return check_bottom_names(bottom_names)


def rename_tensor(g: Graph, bottom_names: ValueLike) -> Values:
    """The Values as they are (the predecessor's helper): Graph.input() and Graph.output() name the blobs."""
    return check_bottom_names(bottom_names)


def pretty_format(g: Graph, bottom_names: ValueLike) -> Values:
    """The Values as they are (the predecessor's helper): the text is written when the net is saved."""
    return check_bottom_names(bottom_names)


def list_equal(arr1: Sequence[Any], arr2: Sequence[Any]) -> bool:
    """Whether two sequences hold the same numbers (the predecessor's helper)."""
    return list(arr1) == list(arr2)
