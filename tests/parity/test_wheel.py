"""The target `stock` on plain ncnn: the wheel from PyPI in a process of its own, on the CPU and through Vulkan."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_files import load_golden
from network_support import GOLDENS, NETWORK_TOLERANCE, golden_generator, in_torch
from PIL import Image

import ncnn_builder as nb
from ncnn_builder.parity import Report
from runtime import Model
from stylegan import v2ada
from stylegan.checkpoints import checkpoint
from stylegan.export import export_generator
from stylegan.networks.configs import get_config

RUNNER = Path(__file__).resolve().parents[1] / "wheel_runner.py"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "targets.md"


@pytest.fixture(scope="module", autouse=True)
def the_wheel_is_there() -> None:
    if importlib.util.find_spec("ncnn") is None:
        pytest.fail('no ncnn wheel: pip install -c constraints.txt -e ".[dev]" brings it')


def on_the_wheel(bundle: Path, runs: Sequence[tuple[str, dict[str, Any]]], vulkan: bool = False) -> list[np.ndarray]:
    """The output of NAME_kind for each (kind, inputs), computed by the wheel's ncnn.Net in another process."""
    pairs = []
    for i, (kind, inputs) in enumerate(runs):
        files = {suffix: str(bundle.with_name(f"{bundle.name}_{kind}.{suffix}")) for suffix in ("param", "bin")}
        arrays = {f"in:{name}": np.ascontiguousarray(a, np.float32) for name, a in inputs.items()}
        pairs.append((bundle.with_name(f"job{i}.npz"), bundle.with_name(f"result{i}.npz")))
        np.savez(pairs[-1][0], **files, output="output", vulkan=int(vulkan), **arrays)
    command = [sys.executable, "-I", str(RUNNER), *(str(path) for pair in pairs for path in pair)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return [np.load(result)["output"] for _, result in pairs]


@cache
def has_gpu() -> bool:
    code = "import ncnn, sys; sys.exit(0 if ncnn.get_gpu_count() else 1)"
    return subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, timeout=600).returncode == 0


def golden_pictures(name: str, bundle: Path, vulkan: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    golden, G = load_golden(name), golden_generator(name)
    tensors = {k: v.numpy() for k, v in golden.tensors.items()}
    export_generator(G, bundle, "stock")
    label = {"c": tensors["c"][0]} if G.c_dim else {}
    none = np.zeros(G.num_ws)
    mixing = np.arange(G.num_ws) < 4
    w = tensors["ws_psi1"]
    runs: dict[str, tuple[str, dict[str, Any]]] = {
        "w": ("mapping", {"z": tensors["z"][0], "coeff": [1], **label}),
        "psi 0.7": ("mapping", {"z": tensors["z"][0], "coeff": [0.7], **label}),
        "img": ("synthesis", {"ws0": w[0], "ws1": w[1], "mixing": none}),
        "mix": ("synthesis", {"ws0": w[0], "ws1": w[1], "mixing": mixing}),
    }
    got = dict(zip(runs, on_the_wheel(bundle, list(runs.values()), vulkan), strict=True))
    expected = {
        "w": w[0, 0],
        "psi 0.7": tensors["ws_psi0.7"][0, 0],
        "img": tensors["img_const_85"][0],
        "mix": tensors["img_mix_85_458_styles0-3"][0],
    }
    return got, expected


@pytest.mark.parametrize("name", GOLDENS)
def test_goldens_on_the_wheel(name: str, tmp_path: Path) -> None:
    got, expected = golden_pictures(name, tmp_path / "m", vulkan=False)
    Report(f"{name}, wheel").add_all(got, expected, NETWORK_TOLERANCE).check()


@pytest.mark.vulkan
@pytest.mark.parametrize("name", GOLDENS)
def test_goldens_on_vulkan(name: str, tmp_path: Path) -> None:
    if not has_gpu():
        pytest.skip("no Vulkan device; Debian's mesa-vulkan-drivers has one in software")
    got, expected = golden_pictures(name, tmp_path / "m", vulkan=True)
    Report(f"{name}, Vulkan").add_all(got, expected, NETWORK_TOLERANCE).check()


@pytest.mark.parametrize("cfg", ["v2ada_512_afhqcat", "v3_s_256_custom"])
def test_in_full_on_the_wheel(cfg: str, tmp_path: Path) -> None:
    G, inputs, ws, picture = in_torch(cfg)
    export_generator(G, tmp_path / "m", "stock", config=get_config(cfg))
    synthesis = {"ws0": ws[0], "ws1": ws[0], "mixing": np.zeros(G.num_ws)}
    w, img = on_the_wheel(tmp_path / "m", [("mapping", inputs), ("synthesis", synthesis)])
    expected = {"w": ws[0, 0].numpy(), "img": picture}
    Report(f"{cfg}, wheel").add_all({"w": w, "img": img}, expected, NETWORK_TOLERANCE).check()


def test_a_changed_weight_is_seen(tmp_path: Path) -> None:
    name = "v2ada_skip_64"
    got, expected = golden_pictures(name, tmp_path / "m", vulkan=False)
    data = np.fromfile(tmp_path / "m_synthesis.bin", np.float32)
    (data * np.float32(1.01)).tofile(tmp_path / "m_synthesis.bin")
    inputs = load_golden(name).tensors["ws_psi1"].numpy()
    mixing = np.zeros(len(inputs[0]))
    changed = {"ws0": inputs[0], "ws1": inputs[1], "mixing": mixing}
    (got["img"],) = on_the_wheel(tmp_path / "m", [("synthesis", changed)])
    with pytest.raises(nb.ParityError, match="img"):
        Report(name).add_all(got, expected, NETWORK_TOLERANCE).check()


def test_the_pages_python_runs(tmp_path: Path) -> None:
    """The lines of docs/targets.md make the picture that our own runtime makes."""
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(code) == 1 and len(code[0].splitlines()) <= 20
    synthesis = dict(channel_base=1024, channel_max=8)
    kwargs = dict(z_dim=512, c_dim=0, w_dim=512, img_resolution=512, img_channels=3, synthesis_kwargs=synthesis)
    G = checkpoint.build_generator("v2ada", kwargs, checkpoint.random_state("v2ada", kwargs, seed=3), "small")
    assert isinstance(G, v2ada.Generator) and G.num_ws == 16
    export_generator(G, tmp_path / "cats", "stock")
    done = subprocess.run([sys.executable, "-I", "-c", code[0]], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    m = Model(tmp_path / "cats")
    z = np.random.RandomState(458).randn(512).astype(np.float32)
    expected = m.image(m.mapping(z, psi=0.7)).astype(int)
    picture = np.asarray(Image.open(tmp_path / "cat.png")).astype(int)
    assert picture.shape == expected.shape and np.abs(picture - expected).max() <= 1
    assert expected.std() > 1
