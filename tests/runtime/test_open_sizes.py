"""A net of open sizes in the runtime: its memory does not grow with how often the size changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import nn

import ncnn_builder as nb
from runtime import Net


def test_memory_is_bounded_over_many_sizes(tmp_path: Path) -> None:
    g = nb.Graph()
    x = g.input("x", (3, "h", "w"))
    y = nb.conv2d(g, x, nn.Conv2d(3, 8, 3, 2, 1))[0]
    g.output("y", nb.concat(g, [nb.interpolate(g, y, size=x.shape[1:]), x], 1))
    nb.save(g, tmp_path / "a.param", tmp_path / "a.bin", target="stock")
    net = Net(tmp_path / "a.param", tmp_path / "a.bin", threads=1)
    assert net.inputs == {"x": None}  # the file states no size
    rng = np.random.default_rng(0)

    def run(count: int) -> int:
        for _ in range(count):
            h, w = rng.integers(2, 64, 2)
            assert net.run({"x": np.ones((3, h, w), np.float32)})["y"].shape == (11, h, w)
        return sum(net.memory)

    net.run({"x": np.ones((3, 64, 64), np.float32)})
    few = run(100)
    assert run(300) <= 2 * few
