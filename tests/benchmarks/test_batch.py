"""Several pictures at the same time against one by one, on a small network."""

from __future__ import annotations

import re

import pytest
from network_support import NETWORKS

from benchmarks import batch
from stylegan.networks.configs import CONFIGS, Config


def test_a_line_for_each_configuration(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(CONFIGS, "tiny", Config("tiny", *NETWORKS["skip"], None))
    for options in ([], ["--busy"]):
        assert batch.main(["--cfg", "tiny", "tiny", "--rounds", "1", *options]) == 0
        head, *lines = capsys.readouterr().out.splitlines()
        assert head.startswith("ms a picture") and len(lines) == 2
        for line in lines:
            found = re.fullmatch(r"tiny +([\d.]+) +([\d.]+) +([\d.]+)x +([\d.]+)x", line)
            assert found, line
            one_by_one, at_once, ratio, gain = map(float, found.groups())
            assert min(one_by_one, at_once, ratio) > 0 and gain >= 0


def test_an_unknown_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        batch.main(["--cfg", "nosuch"])
    assert left.value.code == 2 and "nosuch" in capsys.readouterr().err
