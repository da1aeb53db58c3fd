"""Every op in the registry on numbers that reach edges: ncnn computes what the reference says,
and so does torch, or the declaration says where it departs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from parity_support import (
    build,
    draw,
    draw_edge,
    edge_report,
    load_emitted,
    named,
    oracle,
    referenced,
    run_emitted,
    spread,
)

import ncnn_builder as nb
from ncnn_builder.consumed import SIZES, Consumed
from ncnn_builder.parity import EDGES, interpret

torch.manual_seed(0)  # samples that hold torch modules draw their weights when they are made
MOST = 4
UNSEEN = {
    **dict.fromkeys(("HardSigmoid", "HardSwish"), "no function of the DSL makes a ramp that falls"),
    "Cast": "its reference is torch's: where in a row a number lies, and the CPU, say what ncnn does",
}
OPS = [spec for spec in nb.registry.values() if not spec.off and not spec.open_length]
CASES = [(spec, sample) for spec in OPS for sample in spread(spec.samples(), MOST)]
IDS = [f"{spec.type}-{sample.id}" for spec, sample in CASES]


@pytest.mark.parametrize(("spec", "sample"), CASES, ids=IDS)
def test_ncnn_computes_what_the_reference_says(spec: nb.OpSpec, sample: nb.Sample) -> None:
    graph = build(sample)[0]
    net = load_emitted(nb.compile_graph(graph, "reference"))
    for kind in EDGES:
        got = net.run(named(draw_edge(sample, kind)), list(graph.outputs))
        edge_report(spec, sample, kind, got).check()


@pytest.mark.parametrize("spec", OPS, ids=[spec.type for spec in OPS])
def test_the_reference_is_the_formula_or_departs(spec: nb.OpSpec) -> None:
    samples, seen = [s for s in spec.samples() if s.torch is not None], False
    for sample in samples if spec.departs else spread(samples, MOST):
        declared = {node.spec.type for node in build(sample)[0].nodes if node.spec.departs}
        for kind in EDGES:
            report = edge_report(spec, sample, kind, referenced(sample, draw_edge(sample, kind)), oracle)
            if not declared:
                report.check()
            seen = seen or report.first_divergence is not None
        if seen:
            return
    assert not spec.departs or spec.type in UNSEEN, "it is declared, and not seen"


# -- the references look at every parameter ---------------------------------------------------------------------

_HELD = {"affine": "there are weights, or none"}
_INPUT = {"dynamic_weight": "there are more inputs"}
_INT8 = {"int8_scale_term": "such a layer is kept as a file has it"}
_SIZED = "the output size, with borders of -233 and -234, which are kept as a file has them"
IMPLIED: dict[str, dict[str, str]] = {
    **dict.fromkeys(("InstanceNorm", "GroupNorm", "LayerNorm", "RMSNorm"), _HELD),
    **dict.fromkeys(("Convolution", "ConvolutionDepthWise", "Convolution1D", "ConvolutionDepthWise1D"), _INPUT),
    **dict.fromkeys(("InnerProduct", "Fmatmul"), _INT8),
    **{
        f"{kind}{dims}": {f"output_{axis}": _SIZED for axis in axes}
        for kind in ("Deconvolution", "DeconvolutionDepthWise")
        for dims, axes in (("1D", "w"), ("", "wh"), ("3D", "whd"))
    },
    "Cast": {"type_from": "the type of the input"},
    "CoordConcat": {"axis": "0 is the only one"},
    "CopyTo": {"axes": "all of them, in order"},
    "DeformableConv2D": {side: "the size of the offsets" for side in ("pad_right", "pad_bottom")},
    "FusedConv2d": {"slope_data_size": "the size of the weight"},
    "Gemm": {f"constant_{name}": "the sizes of its weights" for name in ("m", "n", "k", "broadcast_type_c")},
    "Interp": {"dynamic_target_size": "there is another input, which is kept as a file has it"},
    "MemoryData": {"load_type": "how the file stores it"},
    "ModulatedConv2d": {"noise": "there are weights for it, or another input"},
    "Normalize": {"channel_shared": "the size of the weight"},
    "PReLU": {"num_slope": "the size of the weight"},
    "Packing": dict.fromkeys(("out_elempack", "use_padding"), "how memory is laid out: the numbers are the same"),
    "Requantize": dict.fromkeys(("scale_in_data_size", "scale_out_data_size"), "the sizes of the weights"),
    "SDPA": {"attn_mask": "there is another input"},
    "YoloDetectionOutput": {"num_box": "the size of the weight", "num_class": "the channels of the input"},
}
"""Parameters that shapes or weights say as well, so that no reference need look at them."""


@pytest.mark.parametrize("spec", OPS, ids=[spec.type for spec in OPS])
def test_the_reference_looks_at_every_parameter(spec: nb.OpSpec) -> None:
    """One that it does not look at has no meaning there, whatever a file says: once that was so of pad_value."""
    read: set[str] = set()
    for sample in spec.samples():
        graph = build(sample)[0]
        known = interpret(graph, named(draw(sample)))
        for node in graph.nodes:
            if node.spec is spec:
                params = Consumed(node.params)
                inputs = [torch.as_tensor(known[value]) for value in node.inputs]
                weights = {name: torch.as_tensor(array) for name, array in node.weights.items()}
                spec.reference(inputs, params, weights)
                read |= params.read
    unread = {p.name for p in spec.params} - read - SIZES
    assert unread == set(IMPLIED.get(spec.type, {}))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_softplus_above_88_is_infinite_in_double_as_well(dtype: torch.dtype) -> None:
    x = torch.tensor([-100.0, 0.0, 88.0, 89.0, 142.0], dtype=dtype)
    found = nb.registry["Softplus"].reference([x], {}, {})[0]
    assert torch.isinf(found).tolist() == [False, False, False, True, True]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gate_below_88_says_nothing_in_double_as_well(dtype: torch.dtype) -> None:
    x = torch.tensor([2.0, 2.0, 2.0, -88.0, -88.5, -142.0], dtype=dtype)
    found = nb.registry["GLU"].reference([x], {"axis": 0}, {})[0]
    assert torch.isfinite(found).tolist() == [True, False, False]


@pytest.mark.parametrize("op", ["Atan2", "RAtan2"])
def test_atan2_beside_its_cut(op: str) -> None:
    """A zero with a number below zero, or with a zero, is pi, -pi or 0: rows of 16 are vector code, of 3 are not."""
    numbers = torch.tensor([0.0, -0.0, 1.0, -1.0])
    a, b = numbers.repeat_interleave(4), numbers.repeat(4)
    for n in (16, 3):
        g = nb.Graph()
        g.output("y", nb.binaryOp(g, [g.input("a", (16 // n, n)), g.input("b", (16 // n, n))], op))
        inputs = {"a": a[: 16 // n * n].reshape(-1, n).numpy(), "b": b[: 16 // n * n].reshape(-1, n).numpy()}
        expected = interpret(g, inputs)[g.outputs["y"]]
        zero, below = (inputs["a"], inputs["b"]) if op == "Atan2" else (inputs["b"], inputs["a"])
        known = ~((zero == 0) & (below <= 0))
        got = run_emitted(nb.compile_graph(g), inputs, ["y"])["y"]
        assert torch.isfinite(torch.as_tensor(expected)).numpy().tolist() == known.tolist()
        assert abs(got[known] - expected[known]).max() < 1e-5


def test_atan2_of_numbers_whose_quotient_float32_does_not_hold() -> None:
    """ncnn's is NaN there; beside it, and where one is exactly zero, it is right."""
    a, b = np.full(16, 30, np.float32), np.float32([1e-30, 1e-37, 8e-38, 1e-38, -1e-38, -1e-37, 0, 1] * 2)
    g = nb.Graph()
    g.output("y", nb.binaryOp(g, [g.input("a", (16,)), g.input("b", (16,))], "Atan2"))
    for dtype in (torch.float32, torch.float64):
        (expected,) = g.nodes[-1].spec.reference(
            [torch.tensor(a, dtype=dtype), torch.tensor(b, dtype=dtype)], g.nodes[-1].params, {}
        )
        assert torch.isfinite(expected).tolist() == [True, True, False, False, False, True, True, True] * 2
    got = run_emitted(nb.compile_graph(g), {"a": a, "b": b}, ["y"])["y"]
    known = torch.isfinite(expected).numpy()
    assert np.abs(got[known] - expected.numpy()[known]).max() < 1e-5
