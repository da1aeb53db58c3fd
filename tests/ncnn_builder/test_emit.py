"""The files: their text, their bytes, what the readers refuse, and that they appear whole or not at all."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ncnn_builder as nb
from ncnn_builder.emit.blob import read_bin, write_bin
from ncnn_builder.emit.compile import _compare
from ncnn_builder.emit.layers import Layer, legalise
from ncnn_builder.emit.text import MAGIC, read_param, write_param


def mixed() -> nb.Graph:
    """Every kind of parameter and weight: ints, floats, arrays of ints, tagged and bare weights."""
    rng = np.random.default_rng(0)
    g = nb.Graph("mixed")
    x, z = g.input("x", (4, 6, 5)), g.input("z", (7,))
    w, b = nb.shell(g, [], rng.standard_normal((4, 4, 3, 3)), rng.standard_normal(4))
    y = nb.Fconv2d(g, [x, w, b], padding=1)
    y = nb.MulConstant(g, nb.crop(g, y, [1], [3], [2]), 0.1, 3.0)
    s = nb.bias_act(g, nb.fully_connected(g, z, rng.standard_normal((4, 7)), act="lrelu"), rng.standard_normal(4))
    g.output("picture", nb.binaryOp(g, [y, nb.reshape(g, s, (1, 4, 1, 1))], "Mul"))
    return g


def lines(model: nb.EmittedModel) -> list[list[str]]:
    return [line.split() for line in model.param.splitlines()[2:]]


def blobs(line: list[str]) -> tuple[list[str], list[str]]:
    n_in, n_out = int(line[2]), int(line[3])
    return line[4 : 4 + n_in], line[4 + n_in : 4 + n_in + n_out]


def layers_of(graph: nb.Graph) -> list[Layer]:
    from ncnn_builder.targets import lower

    return legalise(lower(graph, "reference"))[0]


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


# -- bytes ----------------------------------------------------------------------------------------------------------


def test_tags_stand_before_the_weights_that_have_them() -> None:
    g = nb.Graph()
    w, b = np.arange(1, 7, dtype=np.float32).reshape(2, 3, 1, 1), np.array([8, 9], np.float32)
    g.output("y", nb.Fmatmul(g, [g.input("x", (3,)), *nb.shell(g, [], w, b)], (2, 3)))
    assert nb.compile_graph(g).bin == b"\0\0\0\0" + w.tobytes() + b.tobytes()


def test_weights_of_any_layout_and_kind_are_written_as_little_endian_float32() -> None:
    w = np.arange(6, dtype=">f8").reshape(3, 2).T[:, :, None, None]
    g = nb.Graph()
    g.output("y", nb.shell(g, [], w)[0])
    assert nb.compile_graph(g).bin[4:] == np.array([0, 2, 4, 1, 3, 5], "<f4").tobytes()


def test_two_exports_are_the_same_bytes() -> None:
    a, b = nb.compile_graph(mixed()), nb.compile_graph(mixed())
    assert (a.param, a.bin) == (b.param, b.bin)
    g = mixed()
    c, d = nb.compile_graph(g), nb.compile_graph(g)
    assert (c.param, c.bin) == (d.param, d.bin) == (a.param, a.bin)


def test_a_weight_that_is_not_the_size_of_its_parameters_is_refused() -> None:
    layers = layers_of(mixed())
    shell = next(layer for layer in layers if layer.spec.type == "Shell")
    good = shell.weights["weight"]
    shell.weights["weight"] = good.reshape(-1)[:-1]
    with pytest.raises(nb.EmitError, match="wrong size"):
        write_bin(layers)
    del shell.weights["weight"]
    with pytest.raises(nb.EmitError, match="do not match"):
        write_bin(layers)


# -- readers --------------------------------------------------------------------------------------------------------


def test_what_is_written_reads_back() -> None:
    layers = layers_of(mixed())
    text, data = write_param(layers), b"".join(write_bin(layers))
    again = read_param(text)
    read_bin(data, again)
    assert write_param(again) == text
    assert b"".join(write_bin(again)) == data


def test_the_comparison_after_writing_sees_a_change() -> None:
    layers = layers_of(mixed())
    text, data = write_param(layers), b"".join(write_bin(layers))
    _compare(layers, text, data)
    with pytest.raises(nb.EmitError, match="read back"):
        _compare(layers, text.replace("0=1.00000001e-01", "0=1.00000101e-01"), data)
    with pytest.raises(nb.EmitError, match="read back"):
        _compare(layers, text, data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[:-1], "ends too early"),
        (lambda d: d[:-4], "ends too early"),
        (lambda d: b"", "no float32 tag"),
        (lambda d: d[:2], "no float32 tag"),
        (lambda d: d + b"\0", "left over"),
        (lambda d: d + b"\0\0\0\0", "left over"),
        (lambda d: b"\x47\x6b\x30\x01" + d[4:], "no float32 tag"),
    ],
    ids=["a byte short", "a number short", "empty", "half a tag", "a byte over", "a number over", "fp16 tag"],
)
def test_a_wrong_bin_is_refused(change, message: str) -> None:
    layers = layers_of(mixed())
    data = b"".join(write_bin(layers))
    with pytest.raises(nb.ReadError, match=message):
        read_bin(change(data), read_param(write_param(layers)))


PARAM = "7767517\n2 2\nInput x 0 1 x 0=3 1=0 2=0 11=0\nSqrt s 1 1 x y 0=0.00000000e+00\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("7767517", "7767518"),
        ("2 2", "3 2"),
        ("2 2", "2 3"),
        ("2 2", ""),
        ("2 2", "two 2"),
        ("Sqrt s", "Sqort s"),
        ("Sqrt s 1 1 x y 0=0.00000000e+00", "Sqrt s"),
        ("Sqrt s 1 1 x y", "Sqrt s 1 one x y"),
        ("Sqrt s 1 1 x y 0=0.00000000e+00", "Sqrt s 1 1 x"),
        ("y 0=0.", "y 7=0."),
        ("0=0.00000000e+00", "-23300=1,0.00000000e+00"),
        ("0=0.00000000e+00", "0=a"),
        ("0=0.00000000e+00", "0"),
        ("0=3", "0=3.5"),
        ("0=0.00000000e+00\n", "0=0.00000000e+00"),
    ],
)
def test_a_wrong_param_is_refused(old: str, new: str) -> None:
    read_param(PARAM)
    changed = PARAM.replace(old, new, 1)
    assert changed != PARAM
    with pytest.raises(nb.ReadError, match="param"):
        read_param(changed)


def test_an_array_of_the_wrong_length_is_refused() -> None:
    good = "7767517\n1 1\nCrop c 1 1 x y -23309=1,0 -23310=1,2 -23311=1,0\n"
    assert read_param(good)[0].params == {"starts": (0,), "ends": (2,), "axes": (0,)}
    with pytest.raises(nb.ReadError, match="wrong length"):
        read_param(good.replace("-23310=1,2", "-23310=2,2"))


# -- files ----------------------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_no_number_writes_nothing(tmp_path: Path, bad: float) -> None:
    w = np.ones((2, 3), np.float32)
    w[1, 2] = bad
    g = nb.Graph()
    with g.scope("mapping.fc0"):
        y = nb.fully_connected(g, g.input("z", (3,)), w)
    g.output("w", y)
    with pytest.raises(nb.VerifyError) as caught:
        nb.save(g, tmp_path / "a.param", tmp_path / "a.bin")
    message = str(caught.value)
    assert "mapping.fc0/fully_connected_1" in message
    assert "weight weight holds 1 " in message
    assert "test_emit.py:" in message
    assert contents(tmp_path) == {}


def test_infinities_that_cancel_are_seen() -> None:
    g = nb.Graph()
    g.output("y", nb.shell(g, [], np.array([np.inf, -np.inf]).reshape(2, 1, 1, 1))[0])
    with pytest.raises(nb.VerifyError, match="holds 2 "):
        nb.compile_graph(g)


def test_save_writes_both_files(tmp_path: Path) -> None:
    param, weights = tmp_path / "new" / "m.param", tmp_path / "other" / "m.bin"
    model = nb.save(mixed(), param, str(weights))
    assert contents(tmp_path) == {"new/m.param": model.param.encode(), "other/m.bin": model.bin}
    assert param.stat().st_mode & 0o077 == 0o666 & ~_mask() & 0o077


def _mask() -> int:
    import os

    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_save_replaces_older_files(tmp_path: Path) -> None:
    param, weights = tmp_path / "m.param", tmp_path / "m.bin"
    param.write_text("old")
    weights.write_text("old")
    model = nb.save(mixed(), param, weights)
    assert contents(tmp_path) == {"m.param": model.param.encode(), "m.bin": model.bin}


def test_a_second_file_whose_folder_is_a_file_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.param").write_text("old")
    (tmp_path / "file").write_text("a file")
    before = contents(tmp_path)
    with pytest.raises(nb.EmitError, match="cannot write"):
        nb.save(mixed(), tmp_path / "m.param", tmp_path / "file" / "m.bin")
    assert contents(tmp_path) == before


def test_a_second_file_that_is_a_folder_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "m.param").write_text("old")
    (tmp_path / "m.bin").mkdir()
    before = contents(tmp_path)
    with pytest.raises(nb.EmitError, match=r"cannot write .*m\.bin"):
        nb.save(mixed(), tmp_path / "m.param", tmp_path / "m.bin")
    assert contents(tmp_path) == before


def test_a_failure_leaves_no_new_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    with pytest.raises(nb.EmitError, match="cannot write"):
        nb.write_files({tmp_path / "new" / "a": [b"1"], tmp_path / "file" / "b": [b"2"]})
    assert contents(tmp_path) == {"file": b"a file"}
    assert not (tmp_path / "new").exists()
