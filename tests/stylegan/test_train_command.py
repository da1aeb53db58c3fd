"""`python -m stylegan.train`: what it writes is exported at once, kill -9 and Ctrl-C, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from official_pickles import dumps, official_network, persistent
from PIL import Image
from training_support import KWARGS, Pictures, small_settings, small_trainer

from stylegan import export, train
from stylegan.networks import configs
from stylegan.training import saved
from stylegan.training.trainer import Trainer

CFG = "v2ada_16_test"
CONFIG = configs.Config(CFG, "v2ada", KWARGS["v2ada"], None)
OPTIONS = ["--batch", "4", "--workers", "0", "--device", "cpu", "-q"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(configs.CONFIGS, CFG, CONFIG)
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    names = []
    for i, (pixels, _) in enumerate(Pictures(8)[i] for i in range(8)):
        names.append([f"{i}.png", i % 3])
        Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{i}.png")
    (folder / "dataset.json").write_text(json.dumps({"labels": names}))
    return folder


def run(out: Path, data: Path, *options: str) -> int:
    return train.main(["--cfg", CFG, "--data", str(data), "--out", str(out), *OPTIONS, *options])


def state(out: Path) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = safetensors.torch.load_file(out / saved.STATE)
    return loaded


def same(a: Path, b: Path) -> bool:
    one, other = state(a), state(b)
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def test_trained_network_is_exported_at_once(tmp_path: Path, data: Path) -> None:
    assert run(tmp_path / "run", data, "--kimg", "0.012", "--snap", "0.004", "--mirror", "--cond") == 0
    network = tmp_path / "run" / "network-000000.safetensors"
    assert export.main(["--ckpt", str(network), "--out", str(tmp_path / "net"), "--seeds", "1"]) == 0
    manifest = json.loads((tmp_path / "net.json").read_text())
    assert manifest["family"] == "v2ada"
    with safetensors.safe_open(network, "pt") as file:
        assert json.loads(file.metadata()["stylegan"])["init_kwargs"]["c_dim"] == 3


def test_resumed_is_the_same_as_uninterrupted(tmp_path: Path, data: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(whole, data, "--kimg", "0.016") == 0
    assert run(parts, data, "--kimg", "0.008") == 0
    assert not same(whole, parts)
    assert run(parts, data, "--kimg", "0.016", "--resume") == 0
    assert same(whole, parts)


COMMAND = """
import sys
from stylegan.networks import configs
from stylegan import train
from test_train_command import CFG, CONFIG
configs.CONFIGS[CFG] = CONFIG
sys.exit(train.main(sys.argv[1:]))
"""


def start(out: Path, data: Path, *options: str) -> subprocess.Popen[bytes]:
    here = Path(__file__).resolve()
    path = os.pathsep.join([str(here.parent), str(here.parents[1]), *sys.path])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    arguments = ["--cfg", CFG, "--data", str(data), "--out", str(out), *OPTIONS, *options]
    command = [sys.executable, "-c", COMMAND, *arguments]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, start_new_session=True)


def wait_for_pictures(out: Path, number: int) -> None:
    for _ in range(1200):
        path = out / saved.STATE
        if path.is_file() and saved.read_state(path).seen >= number:
            return
        time.sleep(0.1)
    raise AssertionError("nothing was saved")


# Each is a process, which imports torch: so what a kill, a signal to one and a signal to all leave are three cases.
@pytest.mark.parametrize(
    ("how", "code", "group", "options"),
    [
        (signal.SIGKILL, -9, False, ["--ckpt"]),
        (signal.SIGINT, 130, True, ["--workers", "2"]),
        (signal.SIGTERM, 143, True, ["--workers", "2"]),
    ],
)
def test_killed_and_resumed(
    tmp_path: Path, data: Path, how: signal.Signals, code: int, group: bool, options: list[str]
) -> None:
    """A training that began with other weights, whose settings are others; and signals as timeout, systemd and a
    terminal send them, also to the workers that read pictures. It goes on as if nothing had been."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    other: list[str] = []
    if "--ckpt" in options:
        alone = tmp_path / "alone.safetensors"
        alone.write_bytes(saved.network_bytes(small_trainer(seed=5)))
        other = options = ["--ckpt", str(alone)]
    process = start(out, data, "--kimg", "1000", "--save-minutes", "0", *options)
    wait_for_pictures(out, 8)
    if group:
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    _, said = process.communicate(timeout=120)
    assert process.returncode == code and b"Traceback" not in said, said
    assert (b"--resume goes on" in said) == (how != signal.SIGKILL)
    (out / f".{saved.STATE}.x").write_bytes(b"")  # what kill -9 in the middle of writing leaves
    seen = saved.read_state(out / saved.STATE).seen + 8
    kimg = str(seen / 1000)
    assert run(out, data, "--kimg", kimg, "--resume") == 0
    assert not list(out.glob(".*"))
    assert run(whole, data, "--kimg", kimg, *other) == 0
    assert same(out, whole)


def test_begins_with_another_network(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = small_trainer(seed=5)
    G, D = trainer.G_ema, trainer.D
    kwargs: dict[str, Any] = dict(KWARGS["v2ada"])
    official = official_network("v2ada", G, kwargs)
    (tmp_path / "n.pkl").write_bytes(dumps({"G": official, "D": persistent(D, "v2ada"), "G_ema": official}))
    saved.write_state(tmp_path, trainer, "")
    (tmp_path / "alone.safetensors").write_bytes(saved.network_bytes(trainer))
    for file, whole in {"n.pkl": True, saved.STATE: True, "alone.safetensors": False}.items():
        out = tmp_path / f"from-{file}"
        arguments = ["--cfg", CFG, "--data", str(data), "--out", str(out), *OPTIONS[:-1]]
        assert train.main([*arguments, "--ckpt", str(tmp_path / file), "--kimg", "1e-9"]) == 0
        assert ("is of the checkpoint" if whole else "begins anew") in capsys.readouterr().err
        got = state(out)
        assert near(got["G/mapping.fc0.weight"], G.state_dict()["mapping.fc0.weight"])
        assert near(got["G_ema/synthesis.b8.conv0.weight"], G.state_dict()["synthesis.b8.conv0.weight"])
        assert near(got["D/b8.conv0.weight"], D.state_dict()["b8.conv0.weight"]) == whole


def near(got: torch.Tensor, want: torch.Tensor) -> bool:
    """One step of Adam moves a weight by its rate: the start is seen through it."""
    return float((got - want).abs().max()) < 0.01


def predecessor(trainer: Any) -> dict[str, dict[str, torch.Tensor]]:
    """What it saves: the parts of both generators, and the discriminator."""
    parts: dict[str, dict[str, torch.Tensor]] = {"discriminator": trainer.D.state_dict()}
    for suffix, network in (("", trainer.G), ("_ema", trainer.G_ema)):
        for part in ("mapping", "synthesis"):
            parts[part + suffix] = getattr(network, part).state_dict()
    return parts


@pytest.mark.parametrize("layout", ["predecessor", "official"])
def test_begins_with_what_fits_of_another_resolution(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], layout: str
) -> None:
    """Half the resolution: blocks of the names that both have are taken, G's and D's."""
    kwargs = {**KWARGS["v2ada"], "img_resolution": 2 * KWARGS["v2ada"]["img_resolution"]}
    larger = Trainer("v2ada", {**kwargs, "c_dim": 0}, small_settings(seed=5))
    if layout == "predecessor":
        path = tmp_path / "larger.pth"
        torch.save(predecessor(larger), path)
    else:
        path = tmp_path / "larger.pkl"
        G = official_network("v2ada", larger.G_ema, kwargs)
        path.write_bytes(dumps({"G": G, "D": persistent(larger.D, "v2ada"), "G_ema": G}))
    out = tmp_path / "out"
    arguments = ["--cfg", CFG, "--data", str(data), "--out", str(out), *OPTIONS[:-1]]
    assert train.main([*arguments, "--ckpt", str(path), "--kimg", "1e-9"]) == 0
    said = capsys.readouterr().err
    assert "the generator is of the checkpoint" in said
    assert "the discriminator is of the checkpoint as far as it fits" in said and "fromrgb.weight" in said
    got, G, D = state(out), larger.G_ema.state_dict(), larger.D.state_dict()
    assert near(got["G_ema/synthesis.b8.conv0.weight"], G["synthesis.b8.conv0.weight"])
    assert near(got["D/b8.conv1.weight"], D["b8.conv1.weight"])


def test_nothing_fits(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = small_trainer(seed=5)
    state = {key: value.new_zeros((*value.shape, 1)) for key, value in trainer.G_ema.state_dict().items()}
    torch.save(state, tmp_path / "x.pt")
    assert run(tmp_path / "out", data, "--ckpt", str(tmp_path / "x.pt")) == 2
    assert "x.pt: nothing of the generator fits, by name and shape" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--resume"], "there is no training-state.safetensors"),
        (["--batch-gpu", "3"], "batch: expected a multiple of 3 (1 processes with 3 pictures at once), got 4"),
        (["--kimg", "0"], "--kimg 0.0: expected a number above 0"),
        (["--gamma", "-1"], "gamma: expected 0 or more, got -1.0"),
        (["--aug", "none", "--p", "0.5"], "--p: belongs to --aug fixed, and this is none"),
        (["--augpipe", "x"], "aug: expected one of ada, fixed, none with a pipe of blit"),
        (["--cfg", "v2ada_17"], "unknown configuration 'v2ada_17'"),
        (["--cfg", "v2ada_32_custom"], "expected 32x32"),
        (["--data", "nowhere"], "no such file or folder"),
        (["--ckpt", "nowhere.pkl"], "no such file"),
        (["--device", "gpu"], "--device gpu: cannot be used"),
    ],
)
def test_refusals(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert run(tmp_path / "out", data, *options) == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("stylegan.train: ")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_another_family(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "v3.safetensors").write_bytes(saved.network_bytes(small_trainer("v3")))
    assert run(tmp_path / "out", data, "--ckpt", str(tmp_path / "v3.safetensors")) == 2
    said = capsys.readouterr().err
    assert "family is v3 in the checkpoint and v2ada in the configuration" in said
    assert "Give the --cfg that the checkpoint is of" in said and "Leave --cfg out" not in said
    assert not (tmp_path / "out").exists()


def test_other_files_in_the_folder_are_left_alone(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_text("mine")
    assert run(tmp_path, data) == 2
    assert "expected a new or empty folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
