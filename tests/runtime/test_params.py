"""A custom layer's line may hold the parameters that its op declares, as they are declared, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from parity_support import build
from runtime_nets import needs_bf16, write_net

import ncnn_builder as nb
from runtime import Net, ParamError
from runtime.net import layer_types

CUSTOM = [spec for spec in nb.registry.values() if spec.custom]


def lines_of(folder: Path, spec: nb.OpSpec, sample: nb.Sample) -> tuple[list[str], int]:
    """The lines of a sample's .param, written to net.param and net.bin, and which of them is a layer of this op."""
    nb.save(build(sample)[0], folder / "net.param", folder / "net.bin")
    lines = (folder / "net.param").read_text().splitlines()
    return lines, next(i for i, line in enumerate(lines) if line.split()[0] == spec.type)


def load(folder: Path, lines: list[str]) -> Net:
    (folder / "net.param").write_text("\n".join(lines) + "\n")
    return Net(folder / "net.param", folder / "net.bin", threads=1)


def test_the_registry_has_every_layer() -> None:
    assert sorted(spec.type for spec in CUSTOM) == sorted(layer_types())


@pytest.mark.parametrize("spec", CUSTOM, ids=lambda spec: spec.type)
def test_every_declared_parameter_loads(tmp_path: Path, spec: nb.OpSpec) -> None:
    for sample in spec.samples():
        lines, at = lines_of(tmp_path, spec, sample)
        written = [int(key) for key in re.findall(r" (-?\d+)=", lines[at])]
        assert sorted(n if n >= 0 else -23300 - n for n in written) == sorted(p.id for p in spec.params)
        load(tmp_path, lines)


@pytest.mark.parametrize("spec", CUSTOM, ids=lambda spec: spec.type)
def test_every_other_parameter_is_refused(tmp_path: Path, spec: nb.OpSpec) -> None:
    lines, at = lines_of(tmp_path, spec, spec.samples()[0])
    ids = {p.id: p.name for p in spec.params}
    expected = ", ".join(f"{number} ({ids[number]})" for number in sorted(ids)) or "no parameters"
    for number in sorted(set(range(30)) - ids.keys()):
        for key in (number, -23300 - number):
            value = "1,1" if key < 0 else "1"
            with pytest.raises(ParamError, match="no such parameter id for this layer") as caught:
                load(tmp_path, [*lines[:at], f"{lines[at]} {key}={value}", *lines[at + 1 :]])
            error = caught.value
            assert (error.file, error.line) == (str(tmp_path / "net.param"), at + 1)
            assert (error.layer, error.layer_type) == (lines[at].split()[1], spec.type)
            assert (error.expected, error.got) == (expected, str(number))


@pytest.mark.parametrize("spec", [spec for spec in CUSTOM if spec.params], ids=lambda spec: spec.type)
def test_numbers_arrays_and_text_are_not_confused(tmp_path: Path, spec: nb.OpSpec) -> None:
    lines, at = lines_of(tmp_path, spec, spec.samples()[0])
    for param in spec.params:
        assert param.id is not None
        array = param.kind in ("ints", "floats")
        written = rf" {-23300 - param.id if array else param.id}=\S+"
        for other, got in ((f"{param.id}=1", "one number"), (f"{-23300 - param.id}=1,1", "an array"),
                           (f"{param.id}=word", "text")):  # fmt: skip
            if got == ("an array" if array else "one number"):
                continue
            line, count = re.subn(written, f" {other}", lines[at])
            assert count == 1
            says = rf"parameter {param.id} \({param.name}\) has a bad value; expected .*; got {got}$"
            with pytest.raises(ParamError, match=says) as caught:
                load(tmp_path, [*lines[:at], line, *lines[at + 1 :]])
            assert caught.value.layer_type == spec.type
            assert caught.value.expected == ("an array of numbers" if array else "one number")


@pytest.mark.parametrize("spec", CUSTOM, ids=lambda spec: spec.type)
def test_what_ncnn_reads_on_every_layer_is_let_through(tmp_path: Path, spec: nb.OpSpec) -> None:
    lines, at = lines_of(tmp_path, spec, spec.samples()[0])
    tops = int(lines[at].split()[3])
    # 30: the shapes of the outputs, 0 for unknown; 31: a mask of features.
    hints = f"-23330={4 * tops}{',0,0,0,0' * tops}"
    load(tmp_path, [*lines[:at], f"{lines[at]} {hints} 31=0", *lines[at + 1 :]])


def test_layers_of_ncnn_keep_what_they_do_not_know(tmp_path: Path) -> None:
    assert Net(*write_net(tmp_path, "Input in 0 1 x", "ReLU l 1 1 x y 0=0.00000000e+00 25=1")).outputs == ["y"]


def test_a_mask_against_bf16_in_a_net_of_bf16(tmp_path: Path) -> None:
    """ncnn would read 16-bit blobs as float32, beyond their end."""
    needs_bf16()
    lines = ("Input in 0 1 x 0=8", "AbsVal one 1 1 x a", "Sigmoid two 1 1 a y 31=4")
    files = write_net(tmp_path, *lines)
    assert Net(*files).run({"x": np.ones(8)})["y"].shape == (8,)
    with pytest.raises(
        ParamError, match=r"net.param:5: layer two \(Sigmoid\): its feature mask switches bf16 off"
    ) as e:
        Net(*files, bf16_storage=True)
    assert e.value.got == "31=4"
    assert Net(*write_net(tmp_path, *lines[:2], "Sigmoid two 1 1 a y 31=1"), bf16_storage=True)
