"""stylegan.convert and stylegan.inspect, and a checkpoint alone through the export to a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_files import load_golden
from network_support import GOLDENS, golden_generator
from official_pickles import write_official
from safetensors import safe_open

from runtime import Model
from stylegan import convert, export, inspect
from stylegan.checkpoints import checkpoint


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def golden_pickle(name: str, base: str | None = None, **options: Any) -> Path:
    kwargs = load_golden(name).meta["init_kwargs"]
    return write_official(Path("net.pkl"), base or GOLDENS[name], golden_generator(name), kwargs, **options)


def run(tool: Any, *arguments: str) -> int:
    try:
        return int(tool.main(arguments))
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


@pytest.mark.parametrize(
    ("name", "base"),
    [("v2ada_cond_32", "v2ada"), ("v2ada_skip_64", "v2-by-v3"), ("v3_t_cond_32", "v3"), ("v3_r_64", "v3")],
)
def test_a_pickle_becomes_a_picture(name: str, base: str) -> None:
    golden_pickle(name, base)
    assert run(export, "--ckpt", "net.pkl", "--out", "m", "--seeds", "85") == 0
    golden = load_golden(name).tensors
    m = Model("m")
    labels = {"c": golden["c"][0].numpy()} if golden["c"].numel() else {}
    w = m.mapping(golden["z"][0].numpy().astype(np.float32), **labels)
    want = golden["img_const_85"][0].numpy()
    assert np.abs(m.synthesis(w) - want).max() <= 1e-3 * np.abs(want).max()
    manifest = json.loads(Path("m.json").read_text())
    assert manifest["config"] is None and manifest["weights"]["source"] == "net.pkl"


@pytest.mark.parametrize("name", sorted(GOLDENS))
def test_convert_keeps_everything(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    golden_pickle(name)
    assert run(convert, "net.pkl", "deep/net.safetensors") == 0
    assert capsys.readouterr().out.startswith("deep/net.safetensors  ")
    first, second = checkpoint.load("net.pkl"), checkpoint.load("deep/net.safetensors")
    assert (first.family, first.init_kwargs) == (second.family, second.init_kwargs)
    assert not second.inferred and first.sha256 != second.sha256
    assert first.state.keys() == second.state.keys()
    assert all(torch.equal(first.state[key], second.state[key]) for key in first.state)
    before = Path("deep/net.safetensors").read_bytes()
    assert run(convert, "deep/net.safetensors", "again.safetensors") == 0
    assert Path("again.safetensors").read_bytes() == before
    with safe_open("again.safetensors", "pt") as file:
        assert json.loads(file.metadata()["stylegan"])["family"] == first.family


def test_convert_to_half_precision() -> None:
    golden_pickle("v2ada_skip_64")
    for weights in ("fp32", "fp16"):
        assert run(convert, "net.pkl", f"{weights}.safetensors", "--weights", weights) == 0
    assert Path("fp16.safetensors").stat().st_size < 0.6 * Path("fp32.safetensors").stat().st_size
    exact, rounded = checkpoint.load("net.pkl").state, checkpoint.load("fp16.safetensors").state
    assert all(value.dtype == torch.float32 for value in rounded.values())
    for key, value in exact.items():
        torch.testing.assert_close(rounded[key], value, rtol=2**-11, atol=2**-25)
    assert any(not torch.equal(rounded[key], value) for key, value in exact.items())


def test_what_half_precision_does_not_hold_stays_exact() -> None:
    state = dict(checkpoint.load(golden_pickle("v2ada_skip_64")).state)
    key = "synthesis.b4.conv1.weight"
    state[key] = state[key].clone()
    state[key][0, 0, 0, 0] = 65505
    torch.save({**state}, "net.pt")
    assert run(convert, "net.pt", "net.safetensors", "--weights", "fp16") == 0
    found = checkpoint.load("net.safetensors").state
    assert torch.equal(found[key], state[key]) and not torch.equal(found["mapping.w_avg"], state["mapping.w_avg"])


def test_which_network_is_converted() -> None:
    golden_pickle("v2ada_orig_32")
    assert run(convert, "net.pkl", "g.safetensors", "--which", "G") == 0
    trained, average = checkpoint.load("g.safetensors"), checkpoint.load("net.pkl")
    assert all(torch.equal(trained.state[key], 2 * value) for key, value in average.state.items())


@pytest.mark.parametrize("which", ["G_ema", "G"])
def test_inspect(which: str, capsys: pytest.CaptureFixture[str]) -> None:
    golden_pickle("v3_t_cond_32")
    golden = load_golden("v3_t_cond_32")
    state = {key: value * (2 if which == "G" else 1) for key, value in golden.group("state/").items()}
    assert run(inspect, "net.pkl", "--which", which, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["family"] == "v3" and said["labels"] == 10 and said["num_ws"] == golden.meta["num_ws"]
    base = golden.meta["init_kwargs"]["channel_base"]
    assert said["init_kwargs"]["channel_base"] == base and said["inferred"] is False
    assert said["tensors"] == {key: list(value.shape) for key, value in state.items()}
    assert said["bytes"] == 4 * sum(value.numel() for value in state.values())
    assert said["parameters"] + said["buffers"] == said["bytes"] / 4
    w_avg = state["mapping.w_avg"].numpy()
    got = [said["w_avg"][key] for key in ("mean", "std", "min", "max")]
    assert np.allclose(got, [w_avg.mean(), w_avg.std(), w_avg.min(), w_avg.max()], rtol=1e-5, atol=1e-7)
    assert run(inspect, "net.pkl", "--which", which) == 0
    text = capsys.readouterr().out
    assert said["sha256"] in text and "labels      10" in text
    lines = {line.split("  ")[0]: line for line in text.splitlines()}
    assert all(str(shape) in lines[key] for key, shape in said["tensors"].items())


def test_inspect_says_what_was_inferred(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(golden_generator("v2ada_orig_32").state_dict(), "net.pt")
    assert run(inspect, "net.pt") == 0
    text = capsys.readouterr().out
    assert "(inferred from shapes)" in text and "labels      none" in text


@pytest.mark.parametrize("tool", [convert, inspect, export], ids=["convert", "inspect", "export"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch.pkl"], "no such file"),
        (["garbage.pkl"], "nothing of it was executed"),
        (["net.pkl", "--sha256", "00ff"], "expected sha256 00ff, got "),
        (["net.pkl", "--which", "D"], "invalid choice"),
        (["half.pkl"], "it has no G_ema, it has G"),
        (["http://"], "expected http(s)"),
        (["net.pkl", "--nonsense"], "--nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes(tool: Any, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    from official_pickles import dumps, official_network

    golden_pickle("v2ada_orig_32")
    kwargs = load_golden("v2ada_orig_32").meta["init_kwargs"]
    Path("half.pkl").write_bytes(dumps({"G": official_network("v2ada", golden_generator("v2ada_orig_32"), kwargs)}))
    Path("garbage.pkl").write_bytes(b"\x80\x04garbage")
    before = sorted(Path().rglob("*"))
    if tool is convert:
        arguments = [arguments[0], "out.safetensors", *arguments[1:]]
    elif tool is export:
        arguments = ["--out", "out", "--ckpt", *arguments]
    assert run(tool, *arguments) == 2
    error = capsys.readouterr().err
    assert said in error and (error.startswith("usage") or error.count("\n") == 1)
    assert sorted(Path().rglob("*")) == before


def test_where_convert_does_not_write(capsys: pytest.CaptureFixture[str]) -> None:
    golden_pickle("v2ada_orig_32")
    for name, said in (("out.pt", "ends in .safetensors"), ("net.pkl", "it is the checkpoint itself")):
        assert run(convert, "net.pkl", name) == 2
        assert said in capsys.readouterr().err
    Path("folder.safetensors").mkdir()
    assert run(convert, "net.pkl", "folder.safetensors") == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("tool", [convert, inspect], ids=["convert", "inspect"])
def test_help(tool: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tool, "--help") == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Nothing in the checkpoint is executed" in text and "G_ema" in text and ".pkl, .pt, .pth" in text
