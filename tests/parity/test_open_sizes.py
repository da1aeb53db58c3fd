"""Open sizes on ncnn: what is built for all sizes is run at several, on every target and on plain ncnn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from open_support import SURPRISES, graph_of, larger, openings
from parity_support import run_emitted, spread
from torch import nn

import ncnn_builder as nb
from ncnn_builder.open_shapes import shape_at
from ncnn_builder.parity import Report

torch.manual_seed(0)
SPECS = [s for s in nb.registry.values() if not s.off and s.type != "Input"]
TARGETS = sorted(nb.TARGETS)
SIZES = [{"h": 8, "w": 8}, {"h": 4, "w": 5}, {"h": 13, "w": 6}, {"h": 7, "w": 21}, {"h": 32, "w": 9}]


def numbers(shapes: Any, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {f"x{i}": (rng.random(shape) + 0.1).astype(np.float32) for i, shape in enumerate(shapes)}


@pytest.mark.parametrize("spec", SPECS, ids=[s.type for s in SPECS])
def test_an_op_of_open_sizes(spec: nb.OpSpec) -> None:
    """The files that are written once, at another size: as the graph that is built for that size."""
    for sample in spread([s for s in spec.samples() if s.draw not in ("integer", "index") and s.inputs], 2):
        for opened, now in openings(sample.inputs):
            try:
                graph = graph_of(sample.build, opened)
            except SURPRISES:
                continue
            at = list(larger(now))[2]
            shapes = [shape_at(shape, at) for shape in opened]
            inputs, outputs = numbers(shapes, 5), list(graph.outputs)
            expected = run_emitted(nb.compile_graph(graph_of(sample.build, shapes)), inputs, outputs)
            if not all(a.size and np.isfinite(a).all() for a in expected.values()):
                continue
            for target in TARGETS:
                try:
                    got = run_emitted(nb.compile_graph(graph, target), inputs, outputs)
                except nb.BuildError as error:
                    assert "one size only" in str(error), error
                    continue
                Report(f"{opened} at {shapes} {target}").add_all(got, expected, 1e-3).check()


CONV = nn.Conv2d(3, 8, 3, 2, 1)
SAME = nn.Conv2d(3, 4, 3, 1, 1)


def restorer(g: nb.Graph, x: nb.Value) -> Any:
    y = nb.activation(g, nb.conv2d(g, x, nn.Conv2d(3, 12, 3, 1, 1)), "leaky_relu", {"negative_slope": 0.2})
    return nb.pixel_shuffle(g, y, 2) + nb.interpolate(g, x, scale_factor=2, mode="nearest")


def unet(g: nb.Graph, x: nb.Value) -> Any:
    down = nb.conv2d(g, x, CONV)[0]
    deep = nb.conv2d(g, down, nn.Conv2d(8, 8, 3, 2, 1))[0]
    up = nb.interpolate(g, deep, size=down.shape[1:], mode="bilinear")
    up = nb.interpolate(g, nb.concat(g, [up, down], 1), size=x.shape[1:], mode="nearest")
    return nb.concat(g, [up, x], 1)


def there_and_back(g: nb.Graph, x: nb.Value) -> Any:
    y = nb.conv2d(g, x, CONV)[0]
    rows = nb.permute(g, nb.really_reshape(g, y, (8, -1)), (0, 2, 1))
    return nb.really_reshape(g, nb.permute(g, rows, (0, 2, 1)), y.shape)


def cut(g: nb.Graph, x: nb.Value) -> Any:
    y = nb.interpolate(g, nb.conv2d(g, x, CONV), scale_factor=2)[0]
    return nb.crop(g, y, [0, 0], [x.shape[1], x.shape[2]], [1, 2])[0] * x[:1]


def halves(g: nb.Graph, x: nb.Value) -> Any:
    y = nb.conv2d(g, x, SAME)[0]
    return nb.crop(g, y, [y.shape[1] // 2, (y.shape[2] - 1) // 2], [y.shape[1], y.shape[2] - 1], [1, 2])


def parts(g: nb.Graph, x: nb.Value) -> Any:
    """Equal shares, places counted from either end, and parts of sizes that only Crops can say."""
    y = nb.interpolate(g, nb.conv2d(g, x, SAME), scale_factor=2)[0]
    _, h, w = y.shape
    a, b = nb.tensor_split(g, y, 2, 2)
    c, d = nb.slice(g, y, [2, w - 2], 3)
    y = nb.concat(g, [nb.concat(g, [b, a], 2), nb.concat(g, [d, c], 3)], 1)[0]
    top, rest, last = nb.slice(g, y, [h // 2 - 1, h - h // 2, 1], 2)
    return nb.concat(g, [last, top, rest], 2)


NETS = [restorer, unet, there_and_back, cut, halves, parts]


@pytest.mark.parametrize("build", NETS)
@pytest.mark.parametrize("target", TARGETS)
def test_a_net_of_open_sizes(build: Callable[..., Any], target: str) -> None:
    torch.manual_seed(1)
    graph = graph_of(build, [(3, "h=4..", "w=5..")])
    model = nb.compile_graph(graph, target)
    for i, at in enumerate(SIZES):
        torch.manual_seed(1)
        shapes = [shape_at(graph.inputs[0].shape, at)]
        known = graph_of(build, shapes)
        inputs = numbers(shapes, i)
        expected = run_emitted(nb.compile_graph(known, "reference"), inputs, ["y0"])
        Report(f"{target} {at}").add_all(run_emitted(model, inputs, ["y0"]), expected, 1e-3).check()
        assert shape_at(model.outputs["y0"], at) == expected["y0"].shape


@pytest.mark.parametrize("build", NETS)
def test_it_is_read_and_saved_as_it_was(build: Callable[..., Any], tmp_path: Path) -> None:
    graph = graph_of(build, [(3, "h=4..", "w=5..")])
    paths = tmp_path / "a.param", tmp_path / "a.bin"
    nb.save(graph, *paths, target="stock")
    again = nb.load(*paths, shapes={"x0": (3, "h=4..", "w=5..")})
    assert again.outputs["y0"].shape == graph.outputs["y0"].shape
    for target in TARGETS:
        at = {"h": 9, "w": 14}
        inputs = numbers([(3, 9, 14)], 3)
        got = run_emitted(nb.compile_graph(again, target), inputs, ["y0"])
        Report(target).add_all(got, run_emitted(nb.compile_graph(graph, "reference"), inputs, ["y0"]), 1e-3).check()
        assert got["y0"].shape == shape_at(again.outputs["y0"].shape, at)
    nb.save(nb.load(*paths), tmp_path / "b.param", tmp_path / "b.bin")
    assert (tmp_path / "b.param").read_text() == paths[0].read_text()
