"""Several processes that train together, by the command line: who measures, and what is left when one is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from training_support import Pictures

from stylegan import train
from stylegan.training import saved
from stylegan.training.judge import BEST, LINES

SMALL = """
import sys
from training_support import KWARGS
from stylegan import train
from stylegan.networks import configs
configs.CONFIGS["v2ada_16_test"] = configs.Config("", "v2ada", KWARGS["v2ada"], None)
sys.exit(train.main(sys.argv[1:]))
"""
OPTIONS = ["--cfg", "v2ada_16_test", "--batch", "4", "--workers", "0", "--device", "cpu", "--snap", "0.004", "-q"]
METRICS = ["--metrics", "fid,pr", "--metrics-num", "8", "--metrics-features", "fixed"]


def start(place: Path, *options: str) -> list[subprocess.Popen[str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    env["NCNN_BUILDER_CACHE"] = str(place / "cache")
    command = [sys.executable, "-c", SMALL, *OPTIONS, "--data", "data", "--out", "out", *METRICS, *options]
    ranks = ({**env, "RANK": rank, "LOCAL_RANK": rank} for rank in ("0", "1"))
    return [subprocess.Popen(command, cwd=place, env=own, stderr=subprocess.PIPE, text=True) for own in ranks]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_the_first_measures_and_a_killed_one_is_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for i, (pixels, _) in enumerate(Pictures(8)[i] for i in range(8)):
        Image.fromarray(pixels.transpose(1, 2, 0)).save(tmp_path / "data" / f"{i}.png")
    out = tmp_path / "out"
    first, other = start(tmp_path, "--kimg", "1")
    deadline = time.monotonic() + 500
    while len(lines(out / LINES)) < 2 and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    said = other.communicate(timeout=500)[1]
    assert first.wait() == -signal.SIGKILL and other.returncode == 2, said
    assert said.startswith("stylegan.train: another process of this training has ended") and said.count("\n") == 1
    assert "--resume goes on from the last save" in said
    seen = saved.read_state(out / saved.STATE).seen
    before = [line for line in lines(out / LINES) if line["pictures"] <= seen]
    processes = start(tmp_path, "--resume", "--kimg", f"{(seen + 8) / 1000}")
    said = "".join(process.communicate(timeout=500)[1] for process in processes)
    assert [process.returncode for process in processes] == [0, 0], said
    found = lines(out / LINES)
    assert [line["pictures"] for line in found] == list(range(0, seen + 9, 4)), "each snapshot once, by one process"
    assert found[: len(before)] == before and all(0 < line["values"]["fid"] < 1e4 for line in found)
    best = min(found, key=lambda line: line["values"]["fid"])
    assert (out / BEST).read_bytes() == (out / best["network"]).read_bytes()


def test_an_environment_that_torchrun_did_not_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    options = ["--cfg", "v2ada_64_faces", "--data", str(tmp_path), "--out", str(tmp_path / "out"), "--device", "cpu"]
    good = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for wrong in ({"WORLD_SIZE": "x"}, {"RANK": "2"}, {"RANK": "-1"}, {"MASTER_ADDR": ""}, {"MASTER_PORT": "x"}):
        with monkeypatch.context() as patch:
            for name, value in {**good, **wrong}.items():
                patch.setenv(name, value)
            assert train.main(options) == 2, wrong
        said = capsys.readouterr().err
        assert "several processes: expected WORLD_SIZE, RANK (below it)" in said and said.count("\n") == 1
