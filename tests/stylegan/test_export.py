"""The export: a whole bundle or nothing, equal bytes for equal input, and one message for what the user can mend."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ncnn_builder as nb
from runtime import Model
from stylegan import checkpoint, download, export
from stylegan.configs import CONFIGS, Config
from stylegan.errors import CheckpointError

KWARGS: dict[str, Any] = dict(
    z_dim=16,
    c_dim=0,
    w_dim=16,
    img_resolution=8,
    img_channels=3,
    mapping_kwargs=dict(num_layers=2),
    synthesis_kwargs=dict(channel_base=64, channel_max=8),
)
TINY = Config("tiny", "v2ada", KWARGS, None)
OFFICIAL = Config("official", "v2ada", KWARGS, "http://localhost.invalid/official.pkl")


@pytest.fixture(autouse=True)
def _in_a_folder_with_tiny_configurations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NCNN_BUILDER_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setitem(CONFIGS, "tiny", TINY)
    monkeypatch.setitem(CONFIGS, "official", OFFICIAL)


def state() -> dict[str, torch.Tensor]:
    return checkpoint.random_state("v2ada", KWARGS, seed=1)


def hashes() -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in Path().rglob("*") if p.is_file()}


def run(*arguments: str) -> int:
    try:
        return export.main(arguments)
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


def test_a_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--cfg", "tiny", "--out", "deep/er/m", "--ckpt", "random:7", "--seeds", "3,5-6") == 0
    files = {str(p) for p in Path().rglob("*") if p.is_file()}
    bundle = {f"deep/er/m_{g}.{s}" for g in ("mapping", "synthesis") for s in ("param", "bin")} | {"deep/er/m.json"}
    assert files == bundle | {f"seeds/{n}.bin" for n in (3, 5, 6)}
    manifest = json.loads(Path("deep/er/m.json").read_text())
    assert manifest["weights"] == {"source": "random:7", "sha256": None, "random": True}
    assert manifest["num_ws"] == 4 and manifest["config"] == "tiny"
    for name, file in manifest["files"].items():
        data = Path("deep/er", name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    printed = capsys.readouterr()
    assert "num_ws 4" in printed.out and "WARNING" not in printed.err  # random weights were asked for


def test_two_exports_are_identical() -> None:
    runs = []
    for _ in range(2):
        assert run("--cfg", "tiny", "--out", "m", "--ckpt", "random", "--seeds", "0") == 0
        runs.append(hashes())
    assert runs[0] == runs[1]


def test_without_a_checkpoint_the_weights_are_random_and_loudly_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(url: str, dest_dir: Path, timeout: float = 10.0) -> Path:
        raise CheckpointError("cannot fetch it: no network")

    monkeypatch.setattr(download, "fetch", unreachable)
    assert run("--cfg", "official", "--out", "m", "--seeds", "0") == 0
    assert "RANDOM WEIGHTS" in (warning := capsys.readouterr().err) and "no network" in warning
    assert json.loads(Path("m.json").read_text())["weights"]["random"] is True
    with pytest.warns(UserWarning, match="random"):
        Model("m")


@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_a_checkpoint_file(kind: str) -> None:
    weights = state()
    if kind == "pt":
        torch.save(weights, "w.pt")
    else:
        from safetensors.torch import save_file

        save_file(weights, "w.safetensors")
    assert run("--cfg", "tiny", "--out", "m", "--ckpt", f"w.{kind}", "--seeds", "0") == 0
    manifest = json.loads(Path("m.json").read_text())
    digest = hashlib.sha256(Path(f"w.{kind}").read_bytes()).hexdigest()
    assert manifest["weights"] == {"source": f"w.{kind}", "sha256": digest, "random": False}
    G = checkpoint.build_generator("v2ada", KWARGS, weights, "test")
    z = np.random.RandomState(0).randn(1, 16).astype(np.float32)
    with torch.no_grad():
        expected = G(torch.from_numpy(z), None, noise_mode="const")[0].numpy()
    m = Model("m")
    assert np.abs(m.synthesis(m.mapping(z[0])) - expected).max() <= 1e-4 * np.abs(expected).max()


def _missing(weights: dict[str, torch.Tensor]) -> None:
    del weights["synthesis.b8.conv0.weight"]


def _extra(weights: dict[str, torch.Tensor]) -> None:
    weights["synthesis.b8.conv9.weight"] = torch.zeros(1)


def _misshapen(weights: dict[str, torch.Tensor]) -> None:
    weights["synthesis.b8.conv0.bias"] = torch.zeros(3)


def _nan(weights: dict[str, torch.Tensor]) -> None:
    weights["synthesis.b8.conv1.weight"][0, 0, 0, 0] = float("nan")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_missing, "synthesis.b8.conv0.weight"),
        (_extra, "synthesis.b8.conv9.weight"),
        (_misshapen, "synthesis.b8.conv0.bias"),
        (_nan, "synthesis.b8.conv1.weight"),
    ],
)
def test_a_checkpoint_that_does_not_fit(change: Any, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    weights = state()
    change(weights)
    torch.save(weights, "w.pt")
    assert run("--cfg", "tiny", "--out", "m", "--ckpt", "w.pt") == 2
    message = capsys.readouterr().err
    assert said in message and message.count("\n") == 1
    assert set(hashes()) == {"w.pt"}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--cfg", "nosuch", "--out", "m"),
        ("--cfg", "tiny", "--out", "/proc/nowhere/m"),
        ("--cfg", "tiny", "--out", "."),
        ("--cfg", "tiny", "--out", "garbage.pt/m"),
        ("--cfg", "tiny", "--out", "m", "--ckpt", "garbage.pt"),
        ("--cfg", "tiny", "--out", "m", "--ckpt", "nosuch.pt"),
        ("--cfg", "tiny", "--out", "m", "--ckpt", "official.pkl"),
        ("--cfg", "tiny", "--out", "m", "--ckpt", "random:x"),
        ("--cfg", "tiny", "--out", "m", "--seeds", "5-1"),
        ("--cfg", "tiny", "--out", "m", "--seeds", "one"),
        ("--cfg", "tiny", "--out", "m", "--target", "nosuch"),
        ("--cfg", "tiny", "--out", "m", "--seeds-dir", "garbage.pt"),
        ("--cfg", "tiny"),
    ],
    ids=" ".join,
)
def test_wrong_input(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    Path("garbage.pt").write_text("garbage")
    Path("official.pkl").write_bytes(b"\x80\x04.")
    before = hashes()
    assert run(*arguments) == 2
    message = capsys.readouterr().err
    assert message and "Traceback" not in message
    assert hashes() == before


def test_nan_in_a_network_in_memory_is_refused_and_nothing_written() -> None:
    G = checkpoint.build_generator("v2ada", KWARGS, state(), "test")
    with torch.no_grad():
        G.synthesis.b8.conv1.weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(nb.VerifyError, match=r"synthesis\.b8\.conv1.*weight holds 1 numbers that are NaN"):
        export.export_generator(G, "m", seeds=[1])
    assert not hashes()
