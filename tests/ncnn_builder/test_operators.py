"""Operators of Values: the same graphs as the functions make, the same numbers as numpy, and errors that say where."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from parity_support import run_emitted

import ncnn_builder as nb
from ncnn_builder.parity import Report, interpret

Expression = Callable[[Any, Any], Any]
FILE = Path(__file__).name

EXPRESSIONS: dict[str, Expression] = {
    "a + b": lambda a, b: a + b,
    "a + 2": lambda a, b: a + 2,
    "2 + a": lambda a, b: 2 + a,
    "a - b": lambda a, b: a - b,
    "a - 0.5": lambda a, b: a - 0.5,
    "2 - a": lambda a, b: 2 - a,
    "a * b": lambda a, b: a * b,
    "a * 2": lambda a, b: a * 2,
    "3 * a": lambda a, b: 3 * a,
    "a / b": lambda a, b: a / b,
    "a / 4": lambda a, b: a / 4,
    "1 / a": lambda a, b: 1 / a,
    "-a": lambda a, b: -a,
    "abs": lambda a, b: abs(a - b),
    "a ** 2": lambda a, b: (a - b) ** 2,
    "a ** 0.5": lambda a, b: a**0.5,
    "a ** b": lambda a, b: a**b,
    "2 ** a": lambda a, b: 2**a,
    "all": lambda a, b: (1 - a) * b + a / 2 - abs(b - 3) ** 2,
    "numpy number": lambda a, b: np.float32(2) * a + np.float64(0.5) - np.int64(1),
}


def numbers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(shape) * 2 + 0.1).astype(np.float32)


def graph_of(build: Expression, a: tuple[int, ...], b: tuple[int, ...]) -> nb.Graph:
    g = nb.Graph()
    g.output("y", build(g.input("a", a), g.input("b", b)))
    return g


@pytest.mark.parametrize("target", ["reference", "stock"])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_means_what_numpy_says(name: str, target: str) -> None:
    build, shapes = EXPRESSIONS[name], ((5, 3, 7), (5, 1, 1))
    inputs = {"a": numbers(shapes[0], 1), "b": numbers(shapes[1], 2)}
    expected = {"y": build(inputs["a"].astype(np.float64), inputs["b"].astype(np.float64))}
    model = nb.compile_graph(graph_of(build, *shapes), target)
    Report(name).add_all(run_emitted(model, inputs, ["y"]), expected, 1e-5).check()


@pytest.mark.parametrize(("a", "b"), [((3, 5), (5,)), ((4,), (3, 4)), ((2, 3, 4), (3, 1)), ((2, 3, 4, 5), (4, 5))])
def test_ranks_broadcast_as_in_numpy(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    inputs = {"a": numbers(a, 3), "b": numbers(b, 4)}
    graph = graph_of(lambda x, y: x * y + x, a, b)
    got = interpret(graph, inputs)[graph.outputs["y"]]
    np.testing.assert_allclose(got, inputs["a"] * inputs["b"] + inputs["a"], rtol=1e-6)


def test_matrices_are_multiplied() -> None:
    inputs = {"a": numbers((3, 5), 5), "b": numbers((5, 4), 6)}
    model = nb.compile_graph(graph_of(lambda a, b: a @ b, (3, 5), (5, 4)))
    Report("@").add_all(run_emitted(model, inputs, ["y"]), {"y": inputs["a"] @ inputs["b"]}, 1e-6).check()


def test_operators_are_calls_of_the_functions() -> None:
    """There is no second way: the nodes are those of the functions, line for line."""
    by_operators, by_functions = nb.Graph(), nb.Graph()
    a, b = by_operators.input("a", (5, 6)), by_operators.input("b", (5, 6))
    by_operators.output("y", abs(2 - a * b)[:, 2:5])
    a, b = by_functions.input("a", (5, 6)), by_functions.input("b", (5, 6))
    (product,) = nb.binaryOp(by_functions, [a, b], "Mul")
    (y,) = nb.binaryOp(by_functions, [product, 2], "RSub")
    by_functions.output("y", nb.crop(by_functions, nb.abs(by_functions, y), [2], [5], [1]))
    described = [[(n.spec.type, n.params) for n in g.nodes] for g in (by_operators, by_functions)]
    assert described[0] == described[1]
    assert all(node.source.startswith(FILE) for node in by_operators.nodes)


def test_a_result_is_an_operand_and_scopes_count() -> None:
    g = nb.Graph()
    x = g.input("x", (5,))
    with g.scope("block"):
        y = nb.square(g, x) + x
    assert isinstance(y, nb.Value) and g.nodes[-1].scope == "block" and y.graph is g


@pytest.mark.parametrize("number", [torch.tensor(2.0), np.array(2.0), np.float16(2), True])
def test_numbers_of_every_kind_are_operands(number: Any) -> None:
    g = nb.Graph()
    x = g.input("x", (5,))
    assert (x * number).shape == (5,) and g.nodes[-1].params["b"] == float(number)


# -- parts ------------------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda a: a[2:5],
    "columns": lambda a: a[:, 2:5],
    "from the end": lambda a: a[-3:, :-1],
    "the last axis": lambda a: a[..., 1:],
    "one of the first": lambda a: a[1, ...],
    "the last of the first": lambda a: a[-1,],
    "one in the middle": lambda a: a[:, -2, 1:4],
    "beyond": lambda a: a[3:100],
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_numpys(name: str) -> None:
    array = numbers((6, 5, 7), 7)
    g = nb.Graph()
    g.output("y", PARTS[name](g.input("a", array.shape)))
    got = run_emitted(nb.compile_graph(g), {"a": array}, ["y"])["y"]
    np.testing.assert_array_equal(got, PARTS[name](array))


def test_the_whole_is_the_value_itself() -> None:
    g = nb.Graph()
    x = g.input("x", (5, 6))
    assert x[:] is x and x[...] is x and x[0:5, 0:99] is x and not g.nodes


@st.composite
def keys(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    shape = tuple(draw(st.lists(st.integers(1, 7), min_size=1, max_size=4)))
    key: list[Any] = []
    for n in shape[: draw(st.integers(1, len(shape)))]:
        if draw(st.booleans()):
            key.append(draw(st.integers(-n, n - 1)))
        else:
            ends = st.one_of(st.none(), st.integers(-n - 1, n + 1))
            key.append(slice(draw(ends), draw(ends), draw(st.sampled_from([None, 1, 2, 3]))))
    return shape, tuple(key)


@settings(max_examples=150, deadline=None)
@given(keys())
def test_any_part_is_numpys_or_refused(case: tuple[tuple[int, ...], tuple[Any, ...]]) -> None:
    shape, key = case
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    g = nb.Graph()
    x, expected = g.input("x", shape), array[key]
    if expected.size == 0:
        with pytest.raises(nb.BuildError, match="nothing is left"):
            x[key]
        return
    y = x[key]
    got = interpret(g, {"x": array})[y]
    np.testing.assert_array_equal(got, expected.reshape(expected.shape or (1,)))


POWERS: dict[str, Expression] = {
    **{f"a ** {n}": lambda a, b, n=n: a**n for n in (0, 1, 2, 3, 5, 16, 17, 21)},
    "a ** -1": lambda a, b: (a + 200) ** -1,
    "a ** -3": lambda a, b: (a - 200) ** -3,
    "a ** 1.5": lambda a, b: abs(a) ** 1.5,
    "a ** b": lambda a, b: a**b,
}


@pytest.mark.parametrize("target", ["reference", "stock"])
@pytest.mark.parametrize("name", POWERS)
def test_whole_powers_of_any_base(name: str, target: str) -> None:
    """Of zero and below ncnn's own layer makes NaN, or 2.4e38; in a row of 11 whole vectors and a rest are computed."""
    a = np.float32([[0, -1, 1, -2, 2, -0.5, 0.5, -3, 3, -1.25, 1.25]] * 2)
    b = np.float32([[2, 3, 0, 1, -1, 4, 5, 3, 2, 7, -2], [3, 2, 1, 0, 2, -3, 2, 4, 1, 6, 0.5]])
    expected = {"y": POWERS[name](a.astype(np.float64), b.astype(np.float64))}
    model = nb.compile_graph(graph_of(POWERS[name], a.shape, b.shape), target)
    Report(name).add_all(run_emitted(model, {"a": a, "b": b}, ["y"]), expected, 2e-5).check()


STRIDES = [
    ((3, 8, 6), np.s_[..., ::2, 1::2]),
    ((3, 7, 5), np.s_[:, ::2, ::3]),
    ((5, 6), np.s_[1::2]),
    ((9,), np.s_[2:8:3]),
    ((2, 5, 4, 3), np.s_[:, 1::2, ::3, ::2]),
    ((7,), np.s_[::5]),
    ((4, 9), np.s_[2, ::4]),
    ((4, 9), np.s_[:, 8::4]),
]


@pytest.mark.parametrize("target", ["reference", "stock", "fused"])
@pytest.mark.parametrize(("shape", "key"), STRIDES, ids=[str(key) for _, key in STRIDES])
def test_a_slice_with_a_step_on_ncnn(shape: tuple[int, ...], key: Any, target: str) -> None:
    a = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    g = nb.Graph()
    g.output("y", g.input("a", shape)[key])
    got = run_emitted(nb.compile_graph(g, target), {"a": a}, ["y"])["y"]
    np.testing.assert_array_equal(got, a[key])


# -- errors ------------------------------------------------------------------------------------------------------------


def two_graphs() -> tuple[nb.Value, nb.Value]:
    return nb.Graph("one").input("x", (5,)), nb.Graph("two").input("x", (5,))


WRONG: list[tuple[str, Callable[[nb.Value], Any], str]] = [
    ("shapes", lambda x: x + x.graph.input("y", (4, 7)), "do not broadcast"),
    ("array", lambda x: x + np.ones(7), "memorydata"),
    ("array on the left", lambda x: np.ones(7) + x, "memorydata"),
    ("text", lambda x: x * "two", "a Value or a number"),
    ("none", lambda x: None - x, "a Value or a number"),
    ("endless", lambda x: x * float("inf"), "finite"),
    ("two values", lambda x: x * [x, x], "a list of 2"),
    ("a list of one", lambda x: x * [x], "a list of 1"),
    ("a list behind", lambda x: x + [x], "[a + b, c]"),  # noqa: RUF005
    ("a list in front", lambda x: [x] + x, "[*a, *b]"),  # noqa: RUF005
    ("a comparison", lambda x: (x == 0) * x, "no operator"),
    ("a mask of an array", lambda x: x != np.ones(5), "no operator"),
    ("a condition", lambda x: x if x else None, "only when the net runs"),
    ("no condition", lambda x: not x, "only when the net runs"),
    ("unpacking", lambda x: [*x], "nb.slice()"),
    ("membership", lambda x: x in x, "nb.slice()"),
    ("a number alone", lambda x: x[2], "[2, ...] takes index 2"),
    ("the last alone", lambda x: x[-1], "[-1:] keeps"),
    ("a number of numpy", lambda x: x[np.int64(2)], "[2:3] keeps"),
    ("base", lambda x: (-2) ** x, "above 0"),
    ("matrix", lambda x: x @ 2, "no matrix"),
    ("inner", lambda x: x @ x, "inner"),
    ("step", lambda x: x[::-1], "nb.flip()"),
    ("half a step", lambda x: x[::0.5], "1 or more"),
    ("empty", lambda x: x[3:3], "nothing is left"),
    ("index", lambda x: x[9, ...], "-5 to 4"),
    ("indices", lambda x: x[0, 0, 0], "2 at most"),
    ("new axis", lambda x: x[None], "a slice, a whole number"),
    ("mask", lambda x: x[True], "a slice, a whole number"),
    ("float", lambda x: x[1.5], "a slice, a whole number"),
]


@pytest.mark.parametrize(("label", "call", "word"), WRONG, ids=[w[0] for w in WRONG])
def test_a_wrong_expression_is_refused(label: str, call: Callable[[nb.Value], Any], word: str) -> None:
    g = nb.Graph()
    x = g.input("x", (5, 7))
    with pytest.raises(nb.BuildError) as caught:
        call(x)
    error = caught.value
    assert word in str(error) and "\n" not in str(error)
    assert error.op and error.source == f"{FILE}:{call.__code__.co_firstlineno}"


def test_values_of_two_graphs_are_refused_by_name() -> None:
    a, b = two_graphs()
    for call in (lambda: a + b, lambda: nb.concat(a.graph, [a, b], 1), lambda: nb.square(b.graph, a)):
        with pytest.raises(nb.BuildError, match=r"another graph.*one.*two|another graph.*two.*one"):
            call()


def test_a_graph_without_readers_goes() -> None:
    """Values know their graph; that does not keep it."""
    g = nb.Graph()
    g.output("y", g.input("x", (5,)) + 1)
    seen = weakref.ref(g)
    del g
    gc.collect()
    assert seen() is None
