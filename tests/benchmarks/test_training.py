"""A training step against plain torch ops: the same gradients, and the table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from network_support import NETWORKS

from benchmarks import plain_ops, training
from stylegan.networks import v2ada_layers
from stylegan.networks.configs import CONFIGS, Config


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn is one step: how fast it is does not matter here, and the gradients of every phase are compared before."""
    monkeypatch.setattr(training, "LAZY", 1)


def test_a_line_for_each_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CONFIGS, "tiny", Config("tiny", *NETWORKS["skip"], None))
    options = ["--batch", "4", "--rounds", "1", "--json", str(tmp_path / "t.json")]
    assert training.main(["--cfg", "tiny", "tiny", *options]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("pictures a second") and len(lines) == 2
    for line in lines:
        found = re.fullmatch(r"tiny +4 +([\d.]+) +([\d.]+) +([\d.]+)x +(\S+)", line)
        assert found, line
        assert float(found[3]) > 0 and 0 < float(found[4]) < 1e-4, "another order of the same sums"
    said = json.loads((tmp_path / "t.json").read_text())
    assert said["training"]["tiny"]["pictures_per_second"]["ours"] > 0


def test_a_difference_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_ops, "split_gain", lambda act, gain: (1.0, gain * 1.01))
    assert training.measure(dict(NETWORKS["skip"][1]), 4, 1)["difference"] > 1e-3


def test_plain_ops_are_gone_afterwards() -> None:
    own = v2ada_layers.modulated_conv2d
    with plain_ops.plain_ops():
        assert v2ada_layers.modulated_conv2d is plain_ops.modulated_conv2d
    assert v2ada_layers.modulated_conv2d is own


@pytest.mark.parametrize("name", ["nosuch", "v3_s_256_custom"])
def test_a_configuration_that_cannot_be(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        training.main(["--cfg", name])
    assert left.value.code == 2 and name in capsys.readouterr().err
