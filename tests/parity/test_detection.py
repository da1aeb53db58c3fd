"""Layers that find boxes: how many there are, and what comes where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from parity_support import build, draw, named, run_emitted

import ncnn_builder as nb
from ncnn_builder.parity import Report, interpret
from runtime import LayerError

OPEN = sorted(name for name, spec in nb.registry.items() if spec.open_length)


def run(g: nb.Graph, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    return run_emitted(nb.compile_graph(g), inputs, list(g.outputs))


@pytest.mark.parametrize("op", OPEN)
def test_samples_find_several_boxes_and_drop_others(op: str) -> None:
    fewer = 0
    for sample in nb.registry[op].samples():
        graph, values = build(sample)
        found = interpret(graph, named(draw(sample)))[values[0]]
        assert 2 <= len(found) <= values[0].shape[0], sample.id
        fewer += len(found) < values[0].shape[0]
    assert fewer


@pytest.mark.parametrize("op", OPEN)
def test_a_changed_overlap_is_seen(op: str) -> None:
    spec = nb.registry[op]
    sample = spec.samples()[0]
    inputs = named(draw(sample))
    expected = run_emitted(nb.compile_graph(build(sample)[0]), inputs, ["y0"])
    graph, _ = build(sample)
    node = next(n for n in graph.nodes if n.spec is spec)
    name = next(p for p in node.params if p.startswith("nms_thresh"))
    node.params[name] = 0.0
    with pytest.raises(nb.ParityError, match="differ"):
        Report(op).add_all(run_emitted(nb.compile_graph(graph), inputs, ["y0"]), expected, 1e-5).check()


def test_nothing_found_is_empty() -> None:
    g = nb.Graph()
    boxes = nb.memorydata(g, np.stack([np.tile(np.float32([0, 0, 1, 1]), 4), np.full(16, 0.1, np.float32)]))
    found = nb.detection_output(g, [g.input("l", (16,)), g.input("c", (4, 3)), *boxes], 3, confidence_threshold=0.9)
    g.output("y", found)
    assert run(g, l=np.zeros(16, np.float32), c=np.full((4, 3), 1 / 3, np.float32))["y"].size == 0
    g = nb.Graph()
    x = g.input("x", (6, 2, 2))
    g.output("y", nb.yolov3_detection_output(g, x, 1, [(1, 1)], [0], [8], confidence_threshold=2.0))
    assert run(g, x=np.zeros((6, 2, 2), np.float32))["y"].size == 0


def test_yolo_2_gives_its_input_back_where_nothing_is_found() -> None:
    """As the op's documentation says: who reads it has to look at the shape."""
    g = nb.Graph()
    g.output("y", nb.yolo_detection_output(g, g.input("x", (6, 2, 2)), 1, [(1, 1)], confidence_threshold=2.0))
    assert run(g, x=np.zeros((6, 2, 2), np.float32))["y"].shape == (6, 2, 2)


def test_boxes_without_an_area_overlap_nothing() -> None:
    """0 / 0 is above no threshold: of two equal points both stay."""
    g = nb.Graph()
    x = g.input("x", (12, 1, 1))
    g.output("y", nb.yolo_detection_output(g, x, 1, [(1, 1), (2, 2)], nms_threshold=0.0))
    box = np.float32([0, 0, -200, -200, 1, 0]).reshape(6, 1, 1)
    got = run(g, x=np.concatenate([box, box]))["y"]
    assert got.shape == (2, 6)
    assert np.allclose(got, interpret(g, {"x": np.concatenate([box, box])})[g.outputs["y"]], atol=1e-6)


def test_no_proposal_is_an_error_of_the_layer() -> None:
    g = nb.Graph()
    image = nb.memorydata(g, np.array([32, 32, 1.0]))
    roi, score = nb.proposal(g, [g.input("s", (18, 2, 2)), g.input("b", (36, 2, 2)), *image], min_size=100)
    g.output("roi", roi)
    g.output("score", score)
    with pytest.raises(LayerError, match="Proposal"):
        run(g, s=np.zeros((18, 2, 2), np.float32), b=np.zeros((36, 2, 2), np.float32))
