"""Every op in the registry, over its samples, on every target, against torch."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from parity_support import build, check_sample, draw, named, oracle, run_emitted

import ncnn_builder as nb
from ncnn_builder import docs
from ncnn_builder.parity import Report
from runtime.errors import ParamError

torch.manual_seed(0)  # samples that hold torch modules draw their weights when they are made
MEASURED: dict[str, float] = {}
SAMPLES = [(spec, sample) for spec in nb.registry.values() for sample in spec.samples()]


def targets_of(spec: nb.OpSpec) -> list[str]:
    """A target says what becomes of the ops in its table; any other op is one layer whatever the target."""
    return ["reference", *(t for t in sorted(nb.TARGETS) if t != "reference" and spec.type in nb.TARGETS[t])]


def runs(spec: nb.OpSpec, sample: nb.Sample) -> bool:
    """Whether there is an ncnn that has the layers of a sample."""
    return not spec.off or spec.type not in {node.spec.type for node in build(sample)[0].nodes}


@pytest.mark.parametrize(("spec", "sample"), SAMPLES, ids=[f"{o.type}-{s.id}" for o, s in SAMPLES])
def test_op(spec: nb.OpSpec, sample: nb.Sample) -> None:
    """With one thread and with two."""
    if not runs(spec, sample):
        pytest.skip(spec.off)
    first, *_ = check_sample(spec, sample, targets_of(spec), [1, 2])
    if not spec.off:
        MEASURED[spec.type] = max(MEASURED.get(spec.type, 0.0), first.worst.required)


def test_the_page_says_what_was_measured() -> None:
    """Ten times what docs/ops.md says is too much: other machines round otherwise, but not that much."""
    figures = docs.measured_in(docs.PAGE.read_text())
    if not MEASURED:
        pytest.skip("no op was measured: the tests above were not selected")
    worse = {op: (figures[op], error) for op, error in MEASURED.items() if error > max(10 * float(figures[op]), 1e-6)}
    assert not worse, "run tests/measure_ops.py, or find out why"


def test_a_layer_that_is_not_built_is_refused_by_name() -> None:
    g = nb.Graph()
    g.output("y", nb.argmax(g, g.input("x", (5,))))
    with pytest.raises(ParamError, match="ArgMax"):
        run_emitted(nb.compile_graph(g), {"x": np.zeros(5, np.float32)}, ["y"])


def test_every_layer_of_the_library_is_sampled() -> None:
    """The samples' emitted layers cover the registry: nothing is proven only by its reference."""
    layers = {name for name, spec in nb.registry.items() if not spec.composite} - {"SPP"}
    emitted: set[str] = set()
    # An op's own samples first: what no other emits, a composite one may.
    for spec, sample in sorted(SAMPLES, key=lambda case: case[0].composite):
        if spec.composite and not layers - emitted:
            break
        if spec.composite or spec.type not in emitted:
            for target in targets_of(spec):
                model = nb.compile_graph(build(sample)[0], target)
                emitted |= {line.split()[0] for line in model.param.splitlines()[2:]}
    assert emitted == layers


# -- mutation controls: a changed parameter or weight has to be seen --------------------------------------------


@pytest.mark.parametrize("op", ["Rsqrt", "MulConstant", "Sin", "HardSigmoid", "ReLU", "CELU", "Log", "LRN", "SDPA"])
def test_a_changed_parameter_is_seen(op: str) -> None:
    spec = nb.registry[op]
    sample = spec.samples()[-1]
    arrays = draw(sample)
    graph, _ = build(sample)
    node = next(n for n in graph.nodes if n.spec is spec)
    name = max((p.name for p in spec.params if p.kind == "float"), key=lambda n: abs(node.params[n]))
    node.params[name] *= 1.01
    got = run_emitted(nb.compile_graph(graph), named(arrays), ["y0"])
    with pytest.raises(nb.ParityError, match="differ"):
        Report(op).add_all(got, oracle(sample, arrays), spec.tolerance.fp32).check()


@pytest.mark.parametrize(
    "op",
    [
        "BatchNorm",
        "Convolution",
        "Convolution1D",
        "Convolution3D",
        "ConvolutionDepthWise",
        "Deconvolution1D",
        "DeformableConv2D",
        "Dequantize",
        "Embed",
        "GRU",
        "Gemm",
        "GroupNorm",
        "LSTM",
        "MultiHeadAttention",
        "PReLU",
        "FilteredLrelu",
        "Shell",
        "Upfirdn2d",
        "fully_connected",
        "modulated_conv2d",
    ],
)
def test_a_changed_weight_is_seen(op: str) -> None:
    spec = nb.registry[op]
    sample = next(s for s in spec.samples() if any(n.weights for n in build(s)[0].nodes))
    arrays = draw(sample)
    expected = oracle(sample, arrays)
    graph, _ = build(sample)
    node = next(n for n in graph.nodes if n.weights)
    weight = next(iter(node.weights))
    changed = np.array(node.weights[weight])
    changed.flat[0] += 0.01 * np.abs(changed).max()
    node.weights[weight] = changed
    got = run_emitted(nb.compile_graph(graph), named(arrays), list(expected))
    with pytest.raises(nb.ParityError, match="differ"):
        Report(op).add_all(got, expected, spec.tolerance.fp32).check()


def test_a_wrong_oracle_is_seen() -> None:
    spec = nb.registry["Abs"]
    sample = dataclasses.replace(spec.samples()[0], torch=lambda x: x.abs() * 1.001)
    with pytest.raises(nb.ParityError, match="differ"):
        check_sample(spec, sample, ["reference"], [1])
