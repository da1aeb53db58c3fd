"""Nets on a Vulkan device, by a build with -C cmake.define.NCNN_BUILDER_VULKAN=ON."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_nets import write_net

from ncnn_builder.__main__ import main as command
from runtime import Model, Net, OptionError
from stylegan.export import main as export


def device(folder: Path) -> None:
    try:
        Net(*write_net(folder, "Input in 0 1 x", "ReLU relu 1 1 x y"), vulkan=True)
    except OptionError as error:
        without = "built without Vulkan" in str(error)
        pytest.skip("ncnn was built without Vulkan" if without else f"no Vulkan device: {error}")


@pytest.mark.vulkan
def test_generators(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A bundle for `stock` is within a level of the CPU; one for `fused` has only layers of the CPU."""
    device(tmp_path)
    for target, tolerance in (("stock", 1e-3), ("fused", 0.0)):
        assert export(["--cfg", "v2ada_64_faces", "--target", target, "--out", str(tmp_path / target)]) == 0
        on_cpu, on_device = Model(tmp_path / target), Model(tmp_path / target, vulkan=True)
        w = on_cpu.mapping(np.random.default_rng(0).standard_normal(on_cpu.manifest.z_dim), psi=0.7)
        pictures = [model.image(w).astype(int) for model in (on_cpu, on_device)]
        assert np.abs(pictures[0] - pictures[1]).max() <= (1 if tolerance else 0)
        files = [tmp_path / f"{target}_synthesis{end}" for end in (".param", ".bin")]
        shapes = on_cpu.manifest.graphs["synthesis"].inputs
        given: dict[str, Any] = {
            name: np.ones(shape, np.float32) if name == "mixing" else np.broadcast_to(w, shape).astype(np.float32)
            for name, shape in shapes.items()
        }
        right = Net(*files).run(given)["output"]
        net = Net(*files, vulkan=True)
        with ThreadPoolExecutor(3) as users:
            got = [run["output"] for run in users.map(net.run, [given] * 3)]
        got.append(Net(*files, vulkan=True, isolate=True).run(given)["output"])
        assert len(got) == 4 and max(np.abs(one - right).max() for one in got) <= tolerance
        assert set(net.times(given)) == {0}
        data = str(tmp_path / f"{target}.json")
        capfd.readouterr()
        assert command(["doctor", str(files[0]), "--options", "vulkan", "--data", data]) == 0
        assert "equal: the outputs need" in capfd.readouterr().out
