"""Forms of layers that files have and the DSL does not write: the references say what ncnn computes of them as well."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from parity_support import build, run_emitted

import ncnn_builder as nb
from ncnn_builder.builder import append
from ncnn_builder.parity import Report, interpret

BORDERS = {"pad_left": 2, "pad_right": 0, "pad_top": 1, "pad_bottom": 3}
FORMS: list[tuple[str, dict[str, Any]]] = [
    *(
        ("Pooling", {"pooling_type": kind, "pad_mode": mode, "count_include_pad": count, **borders})
        for kind in (0, 1)
        for mode in (0, 1)
        for count in (0, 1)
        for borders in (BORDERS, {"kernel_w": 3, "pad_left": 1, "pad_right": 2, "stride_h": 3, "pad_bottom": 2})
    ),
    *(
        ("Pooling1D", {"pooling_type": kind, "pad_mode": mode, "avgpool_count_include_pad": count, "pad_left": 1})
        for kind in (0, 1)
        for mode in (0, 1)
        for count in (0, 1)
    ),
    *(
        ("Pooling3D", {"pooling_type": kind, "pad_mode": mode, "pad_front": 1, "pad_right": 1, "kernel_h": 3})
        for kind in (0, 1)
        for mode in (0, 1)
    ),
    *(("Unfold", {**BORDERS, "pad_value": value}) for value in (0.0, -1.5)),
    ("Fold", {"pad_left": 2, "pad_right": 0, "pad_top": 0, "pad_bottom": 2}),
    *(
        (kind, {"pad_value": -2.5})
        for kind in ("Convolution", "ConvolutionDepthWise", "Convolution1D", "Convolution3D")
    ),
    ("Shrink", {"lambd": -1.0, "bias": 0.25}),
    *(("Reduction", {"operation": n}) for n in range(11)),
    ("GridSample", {"sample_type": 1, "padding_mode": 3, "align_corner": 0}),
    ("GridSample", {"sample_type": 2, "padding_mode": 3, "align_corner": 1}),
    ("GridSample", {"sample_type": 3, "padding_mode": 3, "align_corner": 0}),
]


@pytest.mark.parametrize(("kind", "changes"), FORMS, ids=[f"{k}-{i}" for i, (k, _) in enumerate(FORMS)])
def test_a_form(kind: str, changes: dict[str, Any]) -> None:
    """The first layer of the op's samples that takes these parameters."""
    spec, rng = nb.registry[kind], np.random.default_rng(0)
    for node in (n for s in spec.samples() for n in build(s)[0].nodes if n.spec is spec and len(n.inputs) < 3):
        g = nb.Graph()
        inputs = [g.input(f"x{i}", v.shape) for i, v in enumerate(node.inputs)]
        try:
            g.output("y", append(g, spec, inputs, {**node.params, **changes}, node.weights))
        except nb.BuildError:
            continue
        arrays = {v.name: (rng.standard_normal(v.shape) * 1.5).astype(np.float32) for v in inputs}
        if kind == "Reduction":
            arrays = {name: np.abs(array) for name, array in arrays.items()}
        expected = interpret(g, arrays)[g.outputs["y"]]
        got = run_emitted(nb.compile_graph(g), arrays, ["y"])["y"]
        known = np.isfinite(expected)
        assert known.mean() > 0.3
        Report(kind).add_all({"y": got[known]}, {"y": expected[known]}, 1e-5).check()
        return
    pytest.fail("no sample takes these parameters")
