"""The text of a .param file: numbers, parameters, blobs with one reader each, names."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from net_files import mixed

import ncnn_builder as nb
from ncnn_builder.emit.layers import Layer
from ncnn_builder.emit.text import MAGIC, read_param, write_param
from ncnn_builder.features import mask_of


def lines(model: nb.EmittedModel) -> list[list[str]]:
    return [line.split() for line in model.param.splitlines()[2:]]


def blobs(line: list[str]) -> tuple[list[str], list[str]]:
    n_in, n_out = int(line[2]), int(line[3])
    return line[4 : 4 + n_in], line[4 + n_in : 4 + n_in + n_out]


# -- text ---------------------------------------------------------------------------------------------------------


def test_magic_and_counts() -> None:
    model = nb.compile_graph(mixed())
    first, second, *rest = model.param.split("\n")
    assert first == MAGIC == "7767517"
    assert rest.pop() == ""
    made = [name for line in lines(model) for name in blobs(line)[1]]
    assert second == f"{len(rest)} {len(made)}"
    assert model.layers == len(rest)
    assert len(set(made)) == len(made)


def test_every_parameter_is_explicit_and_in_the_order_of_the_ids() -> None:
    for line in lines(nb.compile_graph(mixed())):
        written = [item.partition("=")[0] for item in line[4 + int(line[2]) + int(line[3]) :]]
        params = sorted(nb.registry[line[0]].params, key=lambda p: p.id or 0)
        expected = [str(-23300 - (p.id or 0)) if p.kind in ("ints", "floats") else str(p.id) for p in params]
        assert written == expected, line[0]


def test_numbers_have_the_form_that_ncnn_tells_kinds_by() -> None:
    for line in lines(nb.compile_graph(mixed())):
        by_id = {p.id: p for p in nb.registry[line[0]].params}
        for item in line[4 + int(line[2]) + int(line[3]) :]:
            key, value = item.split("=")
            number = int(key)
            param = by_id[-23300 - number if number <= -23300 else number]
            items = value.split(",")
            if number <= -23300:
                count, *items = items
                assert int(count) == len(items)
            form = r"-?\d\.\d{8}e[+-]\d{2}" if param.kind.startswith("float") else r"-?\d+"
            assert all(re.fullmatch(form, i) and len(i) <= 15 for i in items), item


@settings(deadline=None, derandomize=True)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_survives_the_text(value: float) -> None:
    text = write_param([Layer(nb.registry["Sqrt"], "s", ["a"], ["b"], {"eps": value})])
    item = text.split()[-1].partition("=")[2]
    assert "." in item and "e" in item and len(item) <= 15
    assert np.float32(read_param(text)[0].params["eps"]) == np.float32(value)


@pytest.mark.parametrize("value", [1e39, -1e39])
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_a_float_beyond_float32_is_refused(value: float) -> None:
    g = nb.Graph()
    g.output("y", nb.sqrt(g, g.input("x", (3,)), eps=value))
    with pytest.raises(nb.EmitError, match=r"Sqrt_1 argument eps: .*float32"):
        nb.compile_graph(g)


@pytest.mark.parametrize("top", [2**31, 2**40])
def test_an_int_beyond_32_bits_is_refused(top: int) -> None:
    g = nb.Graph()
    g.output("y", nb.pad(g, g.input("x", (3, 4)), top=top))
    with pytest.raises(nb.EmitError, match=r"Padding_1 argument top: .*32 bits"):
        nb.compile_graph(g)


def test_the_extremes_of_32_bits_are_written() -> None:
    g = nb.Graph()
    g.output("y", nb.pad(g, g.input("x", (3, 4)), top=2**31 - 1))
    assert "0=2147483647" in nb.compile_graph(g).param


def test_an_input_says_its_shape_unless_any_will_do() -> None:
    g = nb.Graph()
    shapes = {"a": (5,), "b": (4, 5), "c": (3, 4, 5), "d": (2, 3, 4, 5)}
    for name, shape in shapes.items():
        g.output(f"{name}2", nb.square(g, g.input(name, shape)))
    g.output("e2", nb.square(g, g.input("e", (6,), any_shape=True)))
    written = {line[1]: " ".join(line[-4:]) for line in lines(nb.compile_graph(g)) if line[0] == "Input"}
    assert written == {
        "a": "0=5 1=0 2=0 11=0",
        "b": "0=5 1=4 2=0 11=0",
        "c": "0=5 1=4 2=3 11=0",
        "d": "0=5 1=4 2=2 11=3",
        "e": "0=0 1=0 2=0 11=0",
    }


# -- one consumer per blob ------------------------------------------------------------------------------------------


def check_blobs(model: nb.EmittedModel) -> None:
    """ncnn's rule: a blob is made by one layer before it is read, and read by one at most."""
    made: set[str] = set()
    read: Counter[str] = Counter()
    for line in lines(model):
        bottoms, tops = blobs(line)
        assert set(bottoms) <= made, line
        read.update(bottoms)
        assert not made & set(tops) and len(set(tops)) == len(tops), line
        made.update(tops)
    assert all(count == 1 for count in read.values()), read
    assert not set(model.outputs) & set(read), "an output of the net is consumed"
    assert set(model.outputs) <= made
    assert set(model.taps.values()) <= made


def splits(model: nb.EmittedModel) -> list[tuple[list[str], list[str]]]:
    return [blobs(line) for line in lines(model) if line[0] == "Split"]


def test_a_chain_has_no_split() -> None:
    g = nb.Graph()
    g.output("y", nb.square(g, nb.abs(g, g.input("x", (3,)))))
    model = nb.compile_graph(g)
    check_blobs(model)
    assert splits(model) == []


def test_a_value_used_twice_is_split() -> None:
    g = nb.Graph()
    a = nb.abs(g, g.input("x", (3,)))
    g.output("y", nb.binaryOp(g, [a, a], "Mul"))
    model = nb.compile_graph(g)
    check_blobs(model)
    assert [len(tops) for _, tops in splits(model)] == [2]


def test_whole_numbers_are_split_without_half_floats() -> None:
    """ncnn would round them, as if they were floats, in front of a Split that takes half floats."""
    g = nb.Graph()
    i, table = g.input("i", (3,)), np.ones((4, 2), np.float32)
    g.output("y", nb.binaryOp(g, [nb.embedding(g, i, table), nb.embedding(g, i, table)], "Mul"))
    (split,) = [line for line in lines(nb.compile_graph(g)) if line[0] == "Split"]
    assert split[-1] == f"31={mask_of(['fp16_storage', 'bf16'])}"


def test_a_value_used_twice_and_an_output() -> None:
    g = nb.Graph()
    a = nb.abs(g, g.input("x", (3,)))
    g.output("a", a)
    g.output("y", nb.binaryOp(g, [a, a], "Mul"))
    model = nb.compile_graph(g)
    check_blobs(model)
    ((_, tops),) = splits(model)
    assert len(tops) == 3 and "a" in tops


def test_a_value_used_once_and_an_output() -> None:
    g = nb.Graph()
    a = nb.abs(g, g.input("x", (3,)))
    g.output("a", a)
    g.output("y", nb.square(g, a))
    model = nb.compile_graph(g)
    check_blobs(model)
    assert [len(tops) for _, tops in splits(model)] == [2]


def test_an_input_that_is_an_output() -> None:
    g = nb.Graph()
    x = g.input("x", (3,))
    g.output("same", x)
    model = nb.compile_graph(g)
    check_blobs(model)
    assert splits(model) == [(["x"], ["same"])]


def test_one_value_under_two_names() -> None:
    g = nb.Graph()
    a = nb.abs(g, g.input("x", (3,)))
    g.output("first", a)
    g.output("second", a)
    model = nb.compile_graph(g)
    check_blobs(model)
    assert [tops for _, tops in splits(model)] == [["first", "second"]]


def test_two_results_of_one_layer_with_different_readers() -> None:
    g = nb.Graph()
    w, b = nb.shell(g, [], np.ones((3, 1, 1, 1)), np.ones(3))
    g.output("w", w)
    g.output("y", nb.binaryOp(g, [b, b], "Add"))
    model = nb.compile_graph(g)
    check_blobs(model)
    assert [len(tops) for _, tops in splits(model)] == [2]


def test_a_tap_is_a_blob() -> None:
    g = nb.Graph()
    with g.scope("layer"):
        a = nb.abs(g, g.input("x", (3,)))
        g.tap(*a)
    g.output("y", nb.binaryOp(g, [a, a], "Mul"))
    model = nb.compile_graph(g)
    check_blobs(model)
    assert model.taps.keys() == {"layer"}


def test_the_mixed_graph_obeys() -> None:
    check_blobs(nb.compile_graph(mixed()))


def test_a_name_for_an_output_that_another_value_has_is_refused() -> None:
    g = nb.Graph()
    a = nb.abs(g, g.input("x", (3,)))
    g.output(a[0].name, nb.square(g, a))
    with pytest.raises(nb.EmitError, match="taken"):
        nb.compile_graph(g)


@pytest.mark.parametrize("name", ["x/split", "x/split_0"])
def test_a_name_that_looks_like_a_split_does_not_collide(name: str) -> None:
    g = nb.Graph()
    x, other = g.input("x", (3,)), g.input(name, (3,))
    g.output("y", nb.binaryOp(g, [*nb.binaryOp(g, [x, x], "Mul"), other], "Add"))
    try:
        model = nb.compile_graph(g)
    except nb.NcnnBuilderError as error:
        assert name in str(error)
    else:
        check_blobs(model)


# -- names ----------------------------------------------------------------------------------------------------------

BAD_NAMES = ["", "a b", "a\tb", "a\nb", "n" * 256, "é" * 128]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_of_an_input_is_refused(name: str) -> None:
    with pytest.raises(nb.BuildError, match="255 bytes"):
        nb.Graph().input(name, (3,))


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_of_an_output_is_refused(name: str) -> None:
    g = nb.Graph()
    with pytest.raises(nb.NcnnBuilderError, match="255 bytes"):
        g.output(name, nb.square(g, g.input("x", (3,))))
        nb.compile_graph(g)


def test_the_longest_name_still_fits_with_its_splits() -> None:
    g = nb.Graph()
    x = g.input("n" * 255, (3,))
    g.output("y", nb.binaryOp(g, [x, x], "Mul"))
    try:
        model = nb.compile_graph(g)
    except nb.NcnnBuilderError:
        return
    assert all(len(name.encode()) <= 255 for line in lines(model) for name in (line[1], *blobs(line)[1]))
