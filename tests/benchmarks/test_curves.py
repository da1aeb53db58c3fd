"""The curves of a training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import chart, curves


def test_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, png = tmp_path / "log.jsonl", tmp_path / "curves.png"
    lines = [{"pictures": 16 * i, **dict.fromkeys(chart.CURVES, 1 / i)} for i in range(1, 400)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert curves.main([str(log), str(png)]) == 0
    if "no chart" in capsys.readouterr().err:
        pytest.skip("matplotlib is not installed")
    with Image.open(png) as image:
        assert image.width > 500 and len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 50


@pytest.mark.parametrize("content", [None, "", "{", "[1]", "3", '{"pictures": 3}'])
def test_no_log(tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log.jsonl"
    if content is not None:
        log.write_text(content)
    with pytest.raises(SystemExit) as left:
        curves.main([str(log), str(tmp_path / "c.png")])
    said = capsys.readouterr().err
    assert left.value.code == 2 and str(log) in said and "Traceback" not in said
