"""Captured networks against hand-written exports, on a small network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from network_support import NETWORKS

from benchmarks import captured
from stylegan.networks.configs import CONFIGS, Config


def test_a_line_and_the_result_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CONFIGS, "tiny", Config("tiny", *NETWORKS["skip"], None))
    file = tmp_path / "result.json"
    assert captured.main(["--cfg", "tiny", "--rounds", "1", "--json", str(file)]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.startswith("processor seconds")
    found = re.fullmatch(r"tiny +(\d+) +([\d.]+)s +(\d+) +([\d.]+)s +([\d.]+)x +(\S+)", line)
    assert found, line
    assert int(found[3]) <= int(found[1]) and float(found[6]) < 1e-4
    assert json.loads(file.read_text())["captured"]["tiny"]["ratio"] > 0


def test_an_unknown_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        captured.main(["--cfg", "nosuch"])
    assert left.value.code == 2 and "nosuch" in capsys.readouterr().err
