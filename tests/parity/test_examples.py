"""The networks of examples/: equal to PyTorch, on every target on our runtime, and as stock files on the wheel."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import proof
import pytest
import torch
from module_support import randomise

import ncnn_builder as nb
from ncnn_builder.parity import Report, compare

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"resnet": 8, "ppyoloe_block": 8, "gfpgan_like": 12, "lstm": 16}
TOLERANCE = 1e-4


def example(name: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """A small one, with statistics and biases that nothing hides."""
    net, inputs = importlib.import_module(name).example(SMALL[name])
    randomise(net)
    return net, inputs


def layers_of(path: Path) -> list[str]:
    return [line.split()[0] for line in path.with_suffix(".param").read_text().splitlines()[2:]]


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
@pytest.mark.parametrize("name", SMALL)
def test_on_our_runtime(name: str, target: str, tmp_path: Path) -> None:
    net, inputs = example(name)
    report = proof.prove(net, inputs, tmp_path / name, target)
    assert len(report.comparisons) >= 8


@pytest.mark.parametrize("name", SMALL)
def test_on_the_wheel(name: str, tmp_path: Path) -> None:
    net, inputs = example(name)
    path = tmp_path / name
    proof.export(net, inputs, path)
    arrays = {f"in:{key}": tensor[0].numpy() for key, tensor in inputs.items()}
    files = {suffix: str(path.with_suffix(f".{suffix}")) for suffix in ("param", "bin")}
    np.savez(tmp_path / "job.npz", **files, output="output", vulkan=0, **arrays)
    command = [sys.executable, "-I", str(ROOT / "tests" / "wheel_runner.py"), "job.npz", "result.npz"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    with torch.no_grad():
        expected = net(*inputs.values())[0].numpy()
    got = np.load(tmp_path / "result.npz")["output"]
    Report(name).add_all({"output": got}, {"output": expected}, TOLERANCE).check()


@pytest.mark.parametrize("name", ["resnet", "ppyoloe_block"])
def test_batch_norms_and_relus_are_in_the_convolutions(name: str, tmp_path: Path) -> None:
    net, inputs = example(name)
    proof.export(net, inputs, tmp_path / name)
    layers = layers_of(tmp_path / name)
    assert layers.count("Convolution") == sum(isinstance(m, torch.nn.Conv2d) for m in net.modules())
    assert "BatchNorm" not in layers
    if name == "resnet":  # one behind each sum is left
        assert layers.count("ReLU") == 8


@pytest.mark.parametrize("name", SMALL)
def test_a_changed_weight_is_seen(name: str, tmp_path: Path) -> None:
    net, inputs = example(name)
    proof.export(net, inputs, tmp_path / name)
    with torch.no_grad():
        expected = net(*inputs.values())[0].numpy()
    data = np.fromfile(tmp_path / f"{name}.bin", np.float32)
    (data * np.float32(1.01)).tofile(tmp_path / f"{name}.bin")
    arrays = {key: tensor[0].numpy() for key, tensor in inputs.items()}
    got = proof.Net(tmp_path / f"{name}.param", tmp_path / f"{name}.bin").run(arrays, ["output"])["output"]
    assert not compare(name, got, expected, TOLERANCE).ok


def test_as_a_program(tmp_path: Path) -> None:
    """What the docstring says: files in the working directory, and how far they are from PyTorch."""
    command = [sys.executable, str(ROOT / "examples" / "lstm.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "lstm.param, lstm.bin: 8 comparisons with PyTorch" in done.stdout
    assert {p.name for p in tmp_path.iterdir()} == {"lstm.param", "lstm.bin"}
