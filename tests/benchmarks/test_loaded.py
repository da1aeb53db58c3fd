"""Several threads beside foreign work, on a small network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from network_support import NETWORKS

from benchmarks import loaded
from stylegan.networks.configs import CONFIGS, Config


def test_a_line_for_each_kind_of_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(CONFIGS, "tiny", Config("tiny", *NETWORKS["skip"], None))
    out = tmp_path / "loaded.json"
    assert loaded.main(["--cfg", "tiny", "--rounds", "2", "--spin", "own", "9", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1:3] for line in lines[2:6]] == [
        [f" {machine} ", f" {spin} "] for machine in ("alone", "beside other work") for spin in ("own", "9")
    ]
    written = json.loads(out.read_text())
    assert {(row["threads"], row["spin"], row["busy"]) for row in written["rows"]} == {
        (n, spin, busy) for n in (1, 2) for spin in ("own", "9") for busy in (False, True)
    }
    assert all(len(row["seconds"]) == 2 and min(row["seconds"]) > 0 for row in written["rows"])


@pytest.mark.parametrize("wrong", [["--cfg", "nosuch"], ["--spin", "many"], ["--threads", "0"]])
def test_wrong_input(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        loaded.main(wrong)
    assert left.value.code == 2 and wrong[1] in capsys.readouterr().err
