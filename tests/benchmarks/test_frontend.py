"""The comparison of the front end with pnnx: end to end on one small network, and what its table says."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

frontend: Any = importlib.import_module("benchmarks.frontend.__main__")


@pytest.mark.skipif(importlib.util.find_spec("pnnx") is None, reason="pnnx is not installed")
def test_end_to_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "result.json"
    assert frontend.main(["--only", "llama", "--rounds", "2", "--threads", "1", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    (row,) = result["networks"]
    for each in ("ours", "pnnx"):
        assert len(row[each]["wall"]) == len(row[each]["cpu"]) == 2
        assert row[each]["error"] < 1e-5 and row[each]["convert_s"] > 0 and row[each]["layers"]["Input"] == 1
    assert row["speed"]["cpu"] == row["pnnx"]["cpu_median_s"] / row["ours"]["cpu_median_s"]
    assert result["summary"]["networks"] == 1 and result["machine"]["versions"]["pnnx"]
    assert "| llama | " in capsys.readouterr().out


def row_of(**pnnx: Any) -> dict[str, Any]:
    found = {"convert_s": 2.0, "start_s": 1.0, "layers": {"Input": 1}, "error": 1e-7, "wall": [0.2], "cpu": [0.1]}
    return {"ours": dict(found), "pnnx": {**found, **pnnx}}


@pytest.mark.parametrize(
    ("pnnx", "reason"),
    [({"error": 0.3}, "computes something else"), ({"failed": "ncnn cannot load pnnx.param"}, "cannot load")],
)
def test_what_pnnx_gets_wrong_has_no_speed(monkeypatch: pytest.MonkeyPatch, pnnx: dict[str, Any], reason: str) -> None:
    rows = row_of(**pnnx)
    answers = {"prepare": rows, "race": {}}
    monkeypatch.setattr(frontend, "step", lambda module, *arguments: answers[module])
    row = frontend.measure("llama", 1, 1)
    assert "speed" not in row and reason in frontend.line(row)
    assert frontend.summary([row])["networks"] == 0


def test_means_are_geometric(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = []
    for wall in (0.4, 0.1):
        answers = {"prepare": row_of(wall=[wall, wall, 9]), "race": {}}
        monkeypatch.setattr(frontend, "step", lambda module, *arguments, answers=answers: answers[module])
        rows.append(frontend.measure("llama", 1, 1))
    found = frontend.summary(rows)
    assert found["speed"] == pytest.approx({"wall": 1.0, "cpu": 1.0})
    assert found["convert"] == pytest.approx({"whole": 1.0, "without start": 0.5})


def test_an_unknown_network(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        frontend.main(["--only", "lama"])
    assert "unknown network lama: known: resnet" in capsys.readouterr().err
