"""The bytes of a .bin file, what the readers refuse, and that files appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from net_files import mixed

import ncnn_builder as nb
from ncnn_builder.emit.blob import read_bin, write_bin
from ncnn_builder.emit.compile import _compare, _written
from ncnn_builder.emit.layers import Layer, legalise
from ncnn_builder.emit.text import read_param, write_param
from ncnn_builder.targets import lower


def layers_of(graph: nb.Graph) -> list[Layer]:
    return legalise(lower(graph, "reference"))[0]


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
    assert _written(layers, text) == data
    with pytest.raises(nb.EmitError, match="read back"):
        _written(layers, text.replace("0=1.00000001e-01", "0=1.00000101e-01"))
    last = layers[-1] if layers[-1].weights else next(layer for layer in layers[::-1] if layer.weights)
    read, part = read_param(text)[layers.index(last)], b"".join(write_bin([last]))
    _compare(last, read, memoryview(part))
    with pytest.raises(nb.EmitError, match="read back"):
        _compare(last, read, memoryview(part[:-1] + bytes([part[-1] ^ 1])))
    with pytest.raises(nb.ReadError, match="left over"):
        _compare(last, read, memoryview(part + b"\0\0\0\0"))


def test_compiling_leaves_the_graph_as_it_is_and_twice_gives_the_same() -> None:
    """Weights are given back as they are written, but those of the author's graph are not compiling's."""
    for target in ("reference", "stock", "fused"):
        g = mixed()
        before = {(node.name, name): data.copy() for node in g.nodes for name, data in node.weights.items()}
        first, second = nb.compile_graph(g, target), nb.compile_graph(g, target)
        assert (first.param, first.bin) == (second.param, second.bin)
        after = {(node.name, name): data for node in g.nodes for name, data in node.weights.items()}
        assert before.keys() == after.keys()
        assert all(np.array_equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d[:-1], "ends too early"),
        (lambda d: d[:-4], "ends too early"),
        (lambda d: b"", "ends too early"),
        (lambda d: d[:2], "ends too early"),
        (lambda d: d + b"\0", "left over"),
        (lambda d: d + b"\0\0\0\0", "left over"),
        (lambda d: b"\x83\x8b\x34\x01" + d[4:], "wrong|ends|left over"),
    ],
    ids=["a byte short", "a number short", "empty", "half a tag", "a byte over", "a number over", "bf16 tag"],
)
def test_a_wrong_bin_is_refused(change: Callable[[bytes], bytes], message: str) -> None:
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
        ("2 2", "2 1"),  # more than there are is what ncnn takes
        ("2 2", ""),
        ("2 2", "two 2"),
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
    assert "test_emit_files.py:" in message
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
