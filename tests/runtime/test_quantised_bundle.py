"""A bundle whose synthesis has fewer bits is a bundle: its files are those of its manifest, and its pictures near."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from runtime_nets import write_bundle

from ncnn_builder.__main__ import main
from runtime import Model


def test_a_bundle_of_fewer_bits(tmp_path: Path, capsys: Any) -> None:
    write_bundle(tmp_path, "b")
    common = ["--budget", "psnr=30", "--aim", "size", "--device", str(tmp_path / "d.json"), "--quiet"]
    assert main(["quantize", str(tmp_path / "b.json"), "--out", str(tmp_path / "q"), *common]) == 0
    assert "int8" in capsys.readouterr().out
    one, other = Model(tmp_path / "b.json"), Model(tmp_path / "q.json")
    other.manifest.check_files()
    assert other.manifest.name == "q" and set(other.manifest.files) <= {p.name for p in tmp_path.glob("q*")}
    w = one.mapping(np.random.RandomState(3).randn(one.manifest.z_dim))
    a, b = one.synthesis(w), other.synthesis(w)
    assert 0 < np.abs(a - b).max() < 0.2 * np.ptp(a)
    assert main(["verify", str(tmp_path / "q_synthesis")]) == 0
    said = json.loads((tmp_path / "q_synthesis.json").read_text())
    assert f"quantize {tmp_path / 'b.json'} " in said["command"] and f"--out {tmp_path / 'q'}" in said["command"]
    (tmp_path / "b.json").write_text("{}")
    assert main(["quantize", str(tmp_path / "b.json"), "--out", str(tmp_path / "r"), *common]) == 2
    assert "is no bundle" in capsys.readouterr().err and not list(tmp_path.glob("r*"))
