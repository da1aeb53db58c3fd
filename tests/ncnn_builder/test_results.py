"""What a call returns: one immutable type, which where it holds one Value is that Value.

It is never a list of the graph's own.
"""
# ruff: noqa: RUF005  # lists joined by + are what is tested

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ncnn_builder as nb
from ncnn_builder.opspec import functions
from ncnn_builder.parity import interpret

CONV = nn.Conv2d(3, 3, 1)


def net() -> tuple[nb.Graph, nb.Value]:
    g = nb.Graph()
    return g, g.input("x", (3, 4, 5))


def test_every_function_returns_the_type() -> None:
    """Over the samples of all ops: every function of the DSL, whoever calls it."""
    codes = {inspect.unwrap(function).__code__: name for name, function in functions.items()}
    returned: dict[str, set[type]] = {}

    def watch(frame: Any, event: str, result: Any) -> None:
        if event == "return" and frame.f_code in codes and result is not None:  # None: it raised
            returned.setdefault(codes[frame.f_code], set()).add(type(result))

    for sample in (sample for spec in nb.registry.values() for sample in spec.samples()):
        g = nb.Graph()
        inputs = [g.input(f"x{i}", s) for i, s in enumerate(sample.inputs)]
        sys.setprofile(watch)
        try:
            sample.build(g, *inputs)
        finally:
            sys.setprofile(None)
        for node in g.nodes:
            assert type(node.outputs) is nb.Values and type(node.inputs) is tuple
    assert set().union(*returned.values()) == {nb.Values}
    assert len(returned) > 0.9 * len(functions), sorted(set(functions) - set(returned))


@pytest.mark.parametrize("name", sorted(functions))
def test_every_function_says_so(name: str) -> None:
    assert functions[name].__annotations__["return"] == "Values"


def modules() -> list[nn.Module]:
    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def export_ncnn(self, g: nb.Graph, x: nb.ValueLike) -> nb.Value:
            return nb.square(g, x)[0]

    class Listed(Bare):
        def export_ncnn(self, g: nb.Graph, x: nb.ValueLike) -> Any:
            return [nb.square(g, x)]

    class Summed(Bare):
        def export_ncnn(self, g: nb.Graph, x: nb.ValueLike) -> Any:
            return nb.square(g, x) + nb.child(g, self, "conv", x)

    return [Bare(), Listed(), Summed(), nn.Sequential(Summed(), CONV), nn.Sequential(), nn.Identity(), CONV]


@pytest.mark.parametrize("i", range(7))
def test_child_and_export_module_return_the_type_whatever_the_module_returned(i: int) -> None:
    """[0] of what child() returned was the first channel where the module's author had returned a Value."""
    g, x = net()
    holder = nn.Module()
    holder.part = modules()[i]
    for result in (nb.child(g, holder, "part", x), nb.export_module(g, holder.part, [x])):
        assert type(result) is nb.Values and len(result) == 1
        assert isinstance(result[0], nb.Value) and result[0].shape == (3, 4, 5)


def test_what_is_no_result_is_refused_with_the_line() -> None:
    class Dictionary(nn.Module):
        def export_ncnn(self, g: nb.Graph, x: nb.ValueLike) -> Any:
            return {"y": x}

    g, x = net()
    holder = nn.Module()
    holder.part = Dictionary()
    with pytest.raises(nb.BuildError, match=r"returned no Value.*a list of Values.*dict"):
        nb.child(g, holder, "part", x)


# -- one result is its Value ---------------------------------------------------------------------------------------

EXPRESSIONS: dict[str, Callable[[Any, Any], Any]] = {
    "a + b": lambda a, b: a + b,
    "a + 2": lambda a, b: a + 2,
    "2 + a": lambda a, b: 2 + a,
    "a - b": lambda a, b: a - b,
    "2 - a": lambda a, b: 2 - a,
    "a * b": lambda a, b: a * b,
    "a * 2": lambda a, b: a * 2,
    "3 * a": lambda a, b: 3 * a,
    "a / b": lambda a, b: a / b,
    "1 / a": lambda a, b: 1 / a,
    "-a": lambda a, b: -a,
    "abs": lambda a, b: abs(a),
    "a ** 2": lambda a, b: a**2,
    "2 ** a": lambda a, b: 2**a,
    "a @ b": lambda a, b: a @ nb.permute(a.graph, b, (0, 1, 3, 2)),
    "channels": lambda a, b: a[1:],
    "a channel": lambda a, b: a[1, ...],
    "rows": lambda a, b: a[:, 1],
    "the last axis": lambda a, b: a[..., -2:],
    "numpy on the left": lambda a, b: np.float32(2) * a,
    "torch on the left": lambda a, b: torch.tensor(2.0) * a,
    "an argument": lambda a, b: nb.concat(a.graph, [a, b], 1),
    "the only argument": lambda a, b: nb.square(a.graph, a),
    "operand of a function": lambda a, b: nb.binaryOp(a.graph, [a, 2.0], "Mul"),
    "summed up": lambda a, b: sum([a, b]),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_operator_of_results_is_that_of_their_values(name: str) -> None:
    """conv * 2 was a list of conv twice, conv + conv a list of both: concat() took either without a word."""
    described = []
    for take in (lambda y: y, lambda y: y[0]):
        g, x = net()
        a, b = take(nb.square(g, x)), take(nb.abs(g, x))
        g.output("y", EXPRESSIONS[name](a, b))
        described.append(str(g))
    assert described[0] == described[1]


def test_the_value_itself() -> None:
    g, x = net()
    y = nb.square(g, x)
    (unpacked,) = y
    assert y[0] is unpacked is next(iter(y)) is y[-1] is y[:] is y[...]
    assert (y.shape, y.name, y.producer, y.graph, y.data) == ((3, 4, 5), y[0].name, g.nodes[-1], g, None)
    assert y == y[0] and y[0] == y and hash(y) == hash(y[0]) and y != x and y in [y[0]] and len({y, y[0]}) == 1
    assert y == [x.graph.nodes[0].outputs[0]] and y != [x] and y != [y, y]
    assert y is not None and y != None and y != "y"  # noqa: E711  # what is quite another thing is not equal
    assert repr(y) == f"({y[0]!r},)"


def test_several_results() -> None:
    g, x = net()
    parts = nb.slice(g, x, 1, dim=1)
    a, b, c = parts
    assert len(parts) == 3 and parts[1] is b and parts[-1] is c and parts == nb.Values([a, b, c])
    assert parts[1:] == nb.Values([b, c]) and type(parts[1:]) is nb.Values and parts[2:] == c
    for call in (
        lambda: parts * 2,
        lambda: parts + parts,
        lambda: -parts,
        lambda: x + parts,
        lambda: parts[:, 1],
        lambda: parts[3],
        lambda: parts.shape,
        lambda: bool(parts),
        lambda: nb.square(g, parts),
        lambda: g.output("y", parts),
    ):
        with pytest.raises(nb.BuildError):
            call()


def test_no_channel_by_a_number_alone() -> None:
    g, x = net()
    y = nb.square(g, x)
    with pytest.raises(nb.BuildError, match=r"\[1, \.\.\.\] takes index 1.*\[1:2\] keeps"):
        y[1]
    assert y[1, ...].shape == (4, 5) and y[1:2].shape == (1, 4, 5)


# -- nothing of the graph's is handed out ----------------------------------------------------------------------------


def test_results_cannot_be_written_to() -> None:
    g, x = net()
    results: Any = nb.slice(g, x, 1, dim=1)
    with pytest.raises(TypeError, match=r"does not change; make a list.*\[new, \*results\[1:\]\]"):
        results[0] = x
    with pytest.raises(TypeError):
        del results[0]
    for name in ("append", "extend", "insert", "pop", "clear"):
        assert not hasattr(results, name)
    with pytest.raises(TypeError):
        g.inputs[0] = x  # type: ignore[index]


def test_writing_into_what_was_given_changes_nothing() -> None:
    """A list or dict of the author's, changed after the call."""
    g, x = net()
    given: list[nb.ValueLike] = [x, nb.square(g, x)]
    nb.concat(g, given, 1)
    node = g.nodes[-1]
    given.reverse()
    given.append(x)
    assert node.inputs == (x, g.nodes[0].outputs[0])
    g.output("y", node.outputs)
    nb.verify(g, stage="built")


def test_a_list_that_grows_is_chained_by_the_author() -> None:
    """feats += result joins; the result stays what it was."""
    g, x = net()
    first = nb.square(g, x)
    feats = [first, x]
    feats += nb.abs(g, x)
    assert len(feats) == 3 and len(first) == 1 and nb.concat(g, feats, 1).shape == (9, 4, 5)


# -- the predecessor's lists -----------------------------------------------------------------------------------------


def test_a_result_and_a_list_are_a_list_as_in_the_predecessors_code() -> None:
    g, x = net()
    y, parts = nb.square(g, x), nb.slice(g, x, 1, dim=1)
    assert list(y + [x]) == [y[0], x] and list([x] + y) == [x, y[0]] and list(parts + [x]) == [*parts, x]
    assert len(g.nodes) == 2


def test_a_chain_of_results_and_a_list_is_the_predecessors_and_says_so() -> None:
    """lerp(g, mean + x + [coeff]): its mapping networks are written so. The sum that Python has made goes."""
    g, x = net()
    a, b, c = nb.square(g, x), nb.abs(g, x), nb.sqrt(g, x)
    with pytest.warns(UserWarning, match="predecessor's list") as caught:
        two = a + b + [x]
        three = a + b + c + [x]
    assert list(two) == [a[0], b[0], x] and list(three) == [a[0], b[0], c[0], x]
    assert all(w.filename == __file__ for w in caught)
    assert len(g.nodes) == 3 and all(len(v.uses) == 0 for v in (*a, *b, *c))
    g.output("y", nb.lerp(g, [*a, *b, x]))
    nb.verify(g, stage="built")
    assert interpret(g, {"x": np.full((3, 4, 5), 2, np.float32)})[g.outputs["y"]].flat[0] == 4 + 2 * (2 - 4)


def test_a_sum_that_is_more_than_such_a_chain_is_no_list() -> None:
    g, x = net()
    a, b = nb.square(g, x), nb.abs(g, x)
    read, older, values = a + b, a + b, a[0] + b[0]
    nb.square(g, read)
    for total in (read, older, values, x):
        with warnings.catch_warnings(), pytest.raises(nb.BuildError, match=r"\[a \+ b, c\] is a list"):
            warnings.simplefilter("error")
            total + [x]
    g.output("y", read)
    nb.verify(g, stage="built")


def test_other_shapes_are_no_sum() -> None:
    """conv + conv of two sizes, meant as a list: said at once."""
    g, x = net()
    with pytest.raises(nb.BuildError, match="do not broadcast"):
        nb.square(g, x) + nb.concat(g, [x, x], 1)


# -- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["array", "view", "read-only view", "tensor", "parameter", "module"])
def test_numbers_that_change_after_the_call_change_nothing(kind: str) -> None:
    """A weight was the author's own memory: what they wrote into it later, they wrote into the graph."""
    numbers = np.arange(27, dtype=np.float32).reshape(3, 3, 3, 1)
    given: Any = {
        "array": lambda: numbers,
        "view": lambda: numbers[:],
        "read-only view": lambda: np.lib.stride_tricks.as_strided(numbers, writeable=False),
        "tensor": lambda: torch.from_numpy(numbers),
        "parameter": lambda: nn.Parameter(torch.from_numpy(numbers)),
        "module": lambda: nn.Conv2d(3, 3, (3, 1), padding=(1, 0), bias=False),
    }[kind]()
    g, x = net()
    if kind == "module":
        given.weight.data = torch.from_numpy(numbers)
        nb.conv2d(g, x, given)
    else:
        nb.Fconv2d(g, [x, nb.shell(g, x, given)])
    expected = numbers.copy()
    numbers *= -1
    held = g.nodes[0].weights["weight"]
    np.testing.assert_array_equal(held.reshape(expected.shape), expected)
    with pytest.raises(ValueError, match="read-only"):
        held[...] = 0


def test_a_weight_that_two_layers_share_is_held_once_as_long_as_it_is_the_same() -> None:
    g, x = net()
    weight = np.ones((3, 3, 1, 1), np.float32)
    for factor in (1, 1, 2):
        weight *= factor
        nb.shell(g, x, weight)
    first, second, third = (n.weights["weight"] for n in g.nodes)
    assert first is second and np.shares_memory(first, second) and not np.shares_memory(first, third)
    assert (first == 1).all() and (third == 2).all()


@pytest.mark.parametrize("weight", [np.ones((3, 3, 1, 1), np.complex64), torch.ones(3, 3, 1, 1, dtype=torch.complex64)])
def test_complex_numbers_are_refused(weight: Any) -> None:
    """Their imaginary parts were left out."""
    g, x = net()
    with pytest.raises(nb.BuildError, match=r"weight.*not an array of numbers"):
        nb.shell(g, x, weight)


@pytest.mark.parametrize("wrong", [None, 3, "y", [], [None], ["x"], np.ones(3)])
def test_an_output_is_one_value(wrong: Any) -> None:
    g, x = net()
    with pytest.raises(nb.BuildError, match="output y; expected one Value"):
        g.output("y", wrong)
    g.output("y", [x])
    assert g.outputs["y"] is x


def test_a_tap_is_a_value() -> None:
    g, x = net()
    with g.scope("one"):
        g.tap(nb.square(g, x))
    with g.scope("several"):
        g.tap(nb.slice(g, x, 1, dim=1))
    assert list(g.taps) == ["one", "several:0", "several:1", "several:2"]
    assert all(type(value) is nb.Value for value in g.taps.values())


@pytest.mark.parametrize(
    "weight", ["text", [["1"]], None, [1.0, None], np.zeros(3, "M8[s]"), np.ma.masked_array([1.0, 2.0], [0, 1])]
)
def test_what_numpy_takes_for_numbers_is_refused(weight: Any) -> None:
    g = nb.Graph()
    with pytest.raises(nb.BuildError, match=r"data.*not an array of numbers"):
        nb.memorydata(g, weight)


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_a_number_that_float32_does_not_hold_is_refused(kind: Any) -> None:
    """It became infinite."""
    g = nb.Graph()
    with pytest.raises(nb.BuildError, match="too large"):
        nb.memorydata(g, kind([1e300], dtype=kind([1.0]).dtype if kind is np.array else torch.float64))
    nb.memorydata(g, kind([3e38]))


FLAGS = [
    (name, flag)
    for name, function in sorted(functions.items())
    for flag, annotation in function.__annotations__.items()
    if annotation in ("bool", "bool | None")
]


@pytest.mark.parametrize(("name", "flag"), FLAGS)
def test_a_truth_value_is_one(name: str, flag: str) -> None:
    """keepdim="no" and align_corners="false" were true."""
    signature = inspect.signature(functions[name])
    others = {n: None for n, p in signature.parameters.items() if p.default is p.empty and n != "g"}
    for wrong in ("no", "false", 2, [False], np.zeros(2)):
        with pytest.raises(nb.BuildError, match=f"{flag}.*not a truth value"):
            functions[name](nb.Graph(), **{**others, flag: wrong})


@pytest.mark.parametrize("numbers", [{0: 1}, {1, 2}])
def test_numbers_without_an_order_are_refused(numbers: Any) -> None:
    g, x = net()
    with pytest.raises(nb.BuildError, match="in no order"):
        nb.reshape(g, x, numbers)


def test_names_are_text_and_modules_are_there() -> None:
    g, x = net()
    for call in (lambda: g.input(3, (3,)), lambda: g.output(3, x)):  # type: ignore[arg-type, return-value]
        with pytest.raises(nb.BuildError, match="bad name"):
            call()
    holder = nn.Sequential(nn.ReLU(), nn.Sequential()).eval()
    holder.nothing = None  # type: ignore[assignment]
    for name in ("abc", "1.0", "nothing"):
        with pytest.raises(
            nb.BuildError, match=f"argument name at test_results.py.*no such module; got Sequential.{name}"
        ):
            nb.child(g, holder, name, x)
    assert nb.child(g, holder, 0, x).shape == x.shape  # type: ignore[arg-type]
