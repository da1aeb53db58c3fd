"""The comparison end to end, on a small network and with the contenders that need no peer installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from network_support import NETWORKS

from benchmarks import compare, contenders, report, rounds, sweep
from stylegan.networks.configs import CONFIGS, Config

TINY = "tiny"


@pytest.fixture(autouse=True)
def tiny_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIGS, TINY, Config(TINY, *NETWORKS["skip"], None))


def run(tmp_path: Path, *options: str) -> tuple[int, dict[str, Any]]:
    out = tmp_path / "result.json"
    code = compare.main(["--cfg", TINY, "--rounds", "1", "--threads", "1", "--out", str(out), *options])
    return code, json.loads(out.read_text())


def test_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, result = run(tmp_path, "--only", "torch eager (static),ours: fused")
    assert code == 0
    assert {"commit", "machine", "init_kwargs", "family"} < set(result)
    assert (result["format"], result["cfg"], result["threads"], result["rounds"]) == (report.FORMAT, TINY, 1, 1)
    assert result["clock"] == "seconds"
    assert result["machine"]["versions"]["torch"]
    rows = {row["name"]: row for row in result["contenders"]}
    assert list(rows) == ["torch eager", "torch eager (static)", "ours: fused"]
    for row in rows.values():
        assert row["failed"] is None
        assert len(row["seconds"]) == 1 and row["median_s"] == row["seconds"][0] > 0
        assert row["load_s"] > 0 and 20 < row["peak_mb"] < 4000
        assert row["error"] < 1e-4
    assert rows["ours: fused"]["peak_mb"] < rows["torch eager"]["peak_mb"]  # there is no torch in it
    printed = capsys.readouterr().out
    assert "| ours: fused | " in printed and "| faster than (part of its memory) | ours: fused |" in printed


def test_a_contender_that_fails_is_a_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not installed, cannot be converted, cannot be loaded: each says why, and the others go on."""
    rows = [
        contenders.contenders()[contenders.FIRST],
        contenders.Contender("absent", "onnxruntime", "onnx:transposed", ("no_such_package",)),
        contenders.Contender("unconvertible", "ours", "target:no_such_target"),
        contenders.Contender("unloadable", "no_such_loader", "weights"),
        contenders.Contender("slow", "torch_eager", "weights", load_limit=0.01),
    ]
    monkeypatch.setattr(compare, "contenders", lambda: {row.name: row for row in rows})
    code, result = run(tmp_path, "--processor")
    assert code == 0 and result["clock"] == "processor"
    failed = {row["name"]: row["failed"] for row in result["contenders"]}
    assert failed.pop("torch eager") is None
    assert failed["absent"] == 'not installed: no_such_package (pip install -e ".[bench]")'
    assert "conversion failed" in failed["unconvertible"] and "no_such_target" in failed["unconvertible"]
    assert "no_such_loader" in failed["unloadable"]
    assert "no answer within" in failed["slow"]
    printed = capsys.readouterr().out
    for name, reason in failed.items():
        assert f"| {name} | - | - | - | - | - | {reason} |" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cfg", "tiyn"], "did you mean tiny"),
        (["--only", "pytorch"], "unknown contender 'pytorch'"),
        (["--rounds", "0"], "at least 1"),
        (["--threads", "two"], "at least 1"),
        (["--sweep", "colour"], "colour"),
        (["--processor"], "for --threads 1"),
        (["--processor", "--threads", "1", "--sweep", "resolution"], "without --sweep"),
    ],
)
def test_wrong_command_lines(options: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        compare.main(options)
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


def test_every_target_takes_part() -> None:
    import ncnn_builder as nb

    assert {f"{contenders.OURS}{target}" for target in nb.TARGETS} < set(contenders.contenders())
    assert set(sweep.DEFAULT) <= set(contenders.contenders())


def test_ratios() -> None:
    first, ours = (contenders.Contender(name, "", "") for name in ("torch eager", "ours: fused"))
    rows = [rounds.Row(first, [4.0, 2.0, 3.0], 1, 200, 0), rounds.Row(ours, [1.0, 9.0, 1.5], 1, 50, 1e-6)]
    assert "| ours: fused | 1.5 | 2.00 | 50 | 1.00 | 1e-06 |  |" in report.table(rows)
    assert "| torch eager | 2.00x (25%) |" in report.ratios(rows)


def test_sweep_points() -> None:
    family, init_kwargs = NETWORKS["skip"]
    spec = {"name": TINY, "family": family, "init_kwargs": init_kwargs}
    points = sweep.points("resolution", spec, 2)
    assert [(at, point["init_kwargs"]["img_resolution"], threads) for at, point, threads in points] == [
        (size, size, 2) for size in sweep.RESOLUTIONS
    ]
    threads = [at for at, _, _ in sweep.points("threads", spec, 2)]
    assert threads == sorted(set(threads)) and threads[0] == 1
