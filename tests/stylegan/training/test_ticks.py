"""What a training tells of itself: ticks, timing, memory; metrics, whose best snapshot is kept; --subset, --dry-run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from training_support import KWARGS, Pictures, small_trainer

from stylegan import train
from stylegan.networks import configs
from stylegan.training import loop, saved
from stylegan.training.judge import BEST, LINES, Judge, better
from stylegan.training.ticks import PhaseClock, duration, status

OPTIONS = ["--cfg", "v2ada_16_test", "--batch", "4", "--workers", "0", "--device", "cpu"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(configs.CONFIGS, "v2ada_16_test", configs.Config("", "v2ada", KWARGS["v2ada"], None))
    monkeypatch.setenv("NCNN_BUILDER_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for i, (pixels, _) in enumerate(Pictures(8)[i] for i in range(8)):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(tmp_path / "data" / f"{i}.png")
    return tmp_path / "data"


def run(out: Path, data: Path, *options: str) -> int:
    return train.main([*OPTIONS, "--data", str(data), "--out", str(out), *options])


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_ticks_have_timing_and_memory(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "out", data, "--kimg", "0.024", "--tick", "0.008", "--log-seconds", "1000") == 0
    found = lines(tmp_path / "out" / "log.jsonl")
    assert [(line["pictures"], line["Progress/tick"]) for line in found] == [(8, 1), (16, 2), (24, 3)]
    for line in found:
        assert 0 < line["Timing/sec_per_tick"] <= line["Timing/total_sec"]
        assert line["Timing/sec_per_kimg"] == pytest.approx(line["Timing/sec_per_tick"] / 0.008, rel=0.01)
        assert 0.05 < line["Resources/cpu_mem_gb"] < 64  # this process: torch alone is more than the one
        assert 0 < line["Timing/Gmain"] < line["Timing/sec_per_tick"]
    # The first tick has both regularisations: they are every 4th and every 16th step.
    assert {"Timing/Greg", "Timing/Dreg", "Timing/Dmain"} <= found[0].keys()
    assert "Timing/Greg" not in found[1] or "Timing/Dreg" not in found[1]
    said = capsys.readouterr().err
    assert (
        said.count("sec/tick") == 3
        and "tick 3  kimg 0.0  time " in said
        and "cpumem " in said
        and "augment 0.0" in said
    )
    # Going on, the ticks are counted from the first picture.
    assert run(tmp_path / "out", data, "--resume", "--kimg", "0.032", "--tick", "0.008", "-q") == 0
    assert lines(tmp_path / "out" / "log.jsonl")[-1]["Progress/tick"] == 4
    assert "tick" not in capsys.readouterr().err


def test_a_clock_and_a_line() -> None:
    clock = PhaseClock(torch.device("cpu"))
    for _ in range(2):
        with clock.phase("Gmain"):
            sum(range(1000))
    assert clock.take().keys() == {"Timing/Gmain"} and clock.take() == {}
    assert [duration(s) for s in (0, 59.6, 61, 3700, 90000)] == ["0s", "1m 00s", "1m 01s", "1h 01m", "1d 01h"]
    values = {"Progress/tick": 2, "Timing/total_sec": 61.0, "Resources/cpu_mem_gb": 0.5, "Loss/G/loss": 1.0}
    assert status(values) == "tick 2  time 1m 01s  cpumem 0.50"


def test_metrics_during_training(tmp_path: Path, data: Path) -> None:
    """Every snapshot has figures; the best one is there under its name; measuring changes no number of the training."""
    named = ["--metrics", "fid,pr", "--metrics-num", "8", "--metrics-features", "fixed", "-q"]
    out, plain = tmp_path / "out", tmp_path / "plain"
    assert run(out, data, "--kimg", "0.012", "--snap", "0.004", *named) == 0
    found = lines(out / LINES)
    assert [line["pictures"] for line in found] == [0, 4, 8, 12]
    assert all(list(line["values"]) == ["fid", "precision", "recall"] for line in found)
    best = min(found, key=lambda line: line["values"]["fid"])
    assert (out / BEST).read_bytes() == (out / best["network"]).read_bytes()
    assert run(plain, data, "--kimg", "0.012", "--snap", "0.004", "-q") == 0
    one, other = (saved.read_state(folder / saved.STATE).tensors for folder in (out, plain))
    assert all(torch.equal(one[key], other[key]) for key in one) and not (plain / LINES).exists()
    # Going on: one line more; what was measured is not measured again.
    assert run(out, data, "--resume", "--kimg", "0.016", "--snap", "0.004", *named) == 0
    assert lines(out / LINES)[:4] == found and [line["pictures"] for line in lines(out / LINES)][4:] == [16]


def test_the_best_is_of_lines_that_are_there(tmp_path: Path) -> None:
    figures = iter([3.0, 1.0, 2.0, float("nan")])
    judge = Judge(tmp_path, 0, lambda G: {"fid": next(figures)})
    G: Any = small_trainer().G_ema
    for seen in (0, 4, 8, 12):
        (tmp_path / f"n{seen}").write_text(str(seen))
        judge(G, seen, f"n{seen}")
    assert (tmp_path / BEST).read_text() == "4"
    # A training that goes on from picture 0: the line of 4 goes, and with it the best one.
    assert not Judge(tmp_path, 0, lambda G: {}).judged(4)
    assert (tmp_path / BEST).read_text() == "0" and len(lines(tmp_path / LINES)) == 1
    assert better("precision", 0.5, 0.4) and better("kid", 0.4, 0.5) and better("is50k", 2, 1)
    assert better("fid", 9, float("nan")) and not better("fid", float("nan"), 9)


def test_subset_and_dry_run(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run(out, data, "--subset", "5", "--mirror", "--seed", "3", "--dry-run") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["subset"], said["pictures"], said["settings"]["seed"]) == (5, 10, 3) and not out.exists()
    assert said["parameters"]["G"] == sum(p.numel() for p in small_trainer().G.parameters())
    assert run(out, data, "--subset", "5", "--seed", "3", "--kimg", "0.004", "-q") == 0
    assert run(out, data, "--resume", "--kimg", "0.008", "-q") == 0  # the same five
    assert json.loads((out / loop.OPTIONS).read_text())["pictures"] == 5
    assert run(out, data, "--resume", "--subset", "6", "-q") == 2
    assert "data is" in capsys.readouterr().err


def test_refusals(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        (["--subset", "0"], "--subset 0: expected a number above 0"),
        (["--subset", "9"], "--subset 9: expected 1 to 8, the pictures of"),
        (["--workers", "-1"], "--workers -1: expected 0 or more"),
        (["--tick", "0"], "--tick 0.0: expected a number above 0"),
        (["--tick", "nan"], "--tick nan: expected a number above 0"),
        (["--metrics", "fod"], "metrics 'fod': there is no 'fod' (is it fid?): expected some of"),
        (["--metrics", ""], "expected some of"),
        (["--metrics", "fid", "--metrics-num", "2"], "num 2: expected"),
        (["--metrics", "fid50k_full", "--metrics-num", "50"], "fid50k_full: it is of 50000 pictures"),
        (["--metrics", "eqr"], "metrics eqr: the network takes no transform"),
        (["--metrics", "fid", "--metrics-features", "nowhere.pt"], "nowhere.pt"),
        (["--metrics-num", "50"], "--metrics-num: belongs to --metrics"),
        (["--metrics-features", "fixed"], "--metrics-features: belongs to --metrics"),
    ):
        assert run(tmp_path / "out", data, *options) == 2, options
        said = capsys.readouterr().err
        assert message in said and said.startswith("stylegan.train: ") and "Traceback" not in said
        assert not (tmp_path / "out").exists()
