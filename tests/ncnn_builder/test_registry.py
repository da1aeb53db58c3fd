"""Every declaration is whole, every layer has an op, and every sample means what it says."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from parity_support import build, draw, named, oracle

import ncnn_builder as nb
from ncnn_builder import codegen
from ncnn_builder.ops.convolutions import fused_conv
from ncnn_builder.ops.generators import fir
from ncnn_builder.parity import Report, interpret
from ncnn_builder.targets import lower

torch.manual_seed(0)  # samples that hold torch modules draw their weights when they are made

SPECS = list(nb.registry.values())
SAMPLES = [(spec, sample) for spec in SPECS for sample in spec.samples()]
CUSTOM = sorted(spec.type for spec in SPECS if spec.custom)
LAYERS = Path(codegen.HEADER).parent
HELPERS = {  # sources that are no layer
    *(
        "activation",
        "checks",
        "conv",
        "conv_plan",
        "conv_run",
        "conv_tiles",
        "cpu_mask",
        "error",
        "fir",
        "fir_tiles",
        "gemm",
        "openmp_wasm",
        "kernels",
        "register_all",
    ),
    "resample",
}

# Not a call of the DSL: Input comes from Graph.inputs, Split from emission, and instead of SPP there are other layers.
NEVER_A_NODE = {"Input", "Split", "SPP"}


# -- declarations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.type)
def test_a_declaration_is_whole(spec: nb.OpSpec) -> None:
    assert spec.doc and spec.doc != (nb.OpSpec.__doc__ or "").strip()
    samples = spec.samples()
    assert samples
    assert len({s.id for s in samples}) == len(samples)
    assert spec.tolerance.fp32 > 0 and np.isfinite(spec.tolerance.fp32)
    least, most = spec.arity
    assert 0 <= least <= most
    if spec.type != "Input":
        assert type(spec).reference is not nb.OpSpec.reference
        assert type(spec).infer is not nb.OpSpec.infer


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.type)
def test_parameters_are_documented_and_have_ids(spec: nb.OpSpec) -> None:
    assert len({p.name for p in spec.params}) == len(spec.params)
    numbers = [p.id for p in spec.params]
    if spec.composite:
        assert set(numbers) <= {None}
    else:
        assert None not in numbers
        assert len(set(numbers)) == len(numbers)
        assert not {30, 31} & set(numbers)
        assert all(0 <= n < 30 for n in numbers if n is not None)
    for param in spec.params:
        assert param.doc.strip(), param.name
        assert param.kind in ("int", "float", "ints", "floats")
    for weight in spec.weights:
        assert weight.doc.strip(), weight.name


@pytest.mark.parametrize("spec", [s for s in SPECS if s.type not in NEVER_A_NODE], ids=lambda s: s.type)
def test_a_sample_makes_its_own_op(spec: nb.OpSpec) -> None:
    made = {node.spec.type for sample in spec.samples() for node in build(sample)[0].nodes}
    assert spec.type in made


@pytest.mark.parametrize("name", sorted(nb.functions))
def test_a_dsl_function_is_documented_and_exported(name: str) -> None:
    function = nb.functions[name]
    assert (function.__doc__ or "").strip()
    assert getattr(nb, name) is function
    assert name in nb.__all__


def test_the_export_list_is_true() -> None:
    assert sorted(nb.__all__) == sorted(set(nb.__all__))
    assert all(hasattr(nb, name) for name in nb.__all__)


PREDECESSOR = (
    "newest_bottom_names check_bottom_names create_top_names pretty_format rename_tensor split_input_tensor list_equal"
    " conv2d fuse_conv_bn pooling activation coordconcat split binaryOp reduction really_reduction crop concat"
    " interpolate permute adaptive_avg_pool2d reshape really_reshape really_permute softmax square abs rsqrt sqrt"
    " sin clamp lerp StyleMixingSwitcher MulConstant shell Fmatmul BiasAct F4DOp1D AddNoise Fconv2d"
    " Fconv2d_depthwise Fconv_transpose2d pad down2 up2 up4 Transforms StyleganPost"
)


def test_the_predecessors_functions_are_all_there() -> None:
    assert len(PREDECESSOR.split()) == 48
    assert all(callable(getattr(nb, name)) and name in nb.__all__ for name in PREDECESSOR.split())


@pytest.mark.parametrize("name", sorted(set(PREDECESSOR.split()) & set(nb.functions)))
def test_the_predecessors_dict_is_refused_with_advice(name: str) -> None:
    with pytest.raises(nb.BuildError, match=r"a dict of bp, pp.*g = nb\.Graph\(\)"):
        getattr(nb, name)({"bp": None, "pp": ""}, ["tensor_00000000"])


# -- the C++ library ----------------------------------------------------------------------------------------------


def listed_layers() -> list[str]:
    text = (LAYERS / "CMakeLists.txt").read_text()
    found = re.search(r"set\(CUSTOM_LAYERS\s+([^)]*)\)", text)
    assert found
    return found.group(1).split()


def test_the_list_of_layers_is_the_list_of_custom_ops() -> None:
    assert sorted(listed_layers()) == CUSTOM


@pytest.mark.parametrize("op_type", CUSTOM)
def test_a_custom_op_has_its_sources(op_type: str) -> None:
    header = LAYERS / f"{op_type.lower()}.h"
    assert (LAYERS / f"{op_type.lower()}.cpp").is_file()
    assert re.search(rf"\bclass {op_type}\b", header.read_text())


def test_a_source_without_an_op_is_seen() -> None:
    stems = {path.stem for path in LAYERS.glob("*.cpp")}
    assert stems - HELPERS == {op_type.lower() for op_type in CUSTOM}


def test_the_limits_of_filters_are_those_of_the_layers() -> None:
    header = (LAYERS / "fir.h").read_text()
    limits = {name: eval(value) for name, value in re.findall(r"static const int (\w+) = ([\d <]+);", header)}
    assert limits["kMostTaps"] == fir.MOST_TAPS
    assert limits["kMostFactor"] == fir.MOST_FACTOR and limits["kMostPadding"] == fir.MOST_PADDING


def test_the_limits_of_convolutions_are_those_of_the_layer() -> None:
    layer, conv = ((LAYERS / name).read_text() for name in ("fusedconv2d.cpp", "conv.cpp"))
    limits = {name: eval(value) for name, value in re.findall(r"^const int (\w+) = ([\d <]+);", layer, re.MULTILINE)}
    assert limits["kMost"] == fused_conv.MOST and limits["kMostParts"] == fused_conv.MOST_PARTS
    assert limits["kLarge"] == fused_conv.LARGE
    kernels = {eval(most) for most in re.findall(r'"kernel_[hw]", 1, 1, (\d+)\)', layer)}
    assert kernels == {fused_conv.MOST_KERNEL}
    largest = [eval(most) for most in re.findall(r" > (1 << \d+)\)", conv)]
    assert sorted(largest) == [fused_conv.MOST_PIXELS, fused_conv.MOST_WEIGHTS]


def test_the_header_of_parameter_ids_is_current() -> None:
    assert codegen.HEADER.read_text() == codegen.param_ids()


def test_the_header_depends_on_the_declarations_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    text = codegen.param_ids()
    monkeypatch.setattr(codegen, "registry", dict(reversed(nb.registry.items())))
    assert codegen.param_ids() == text


def test_the_header_holds_every_parameter_of_every_layer_once() -> None:
    rows = re.findall(r'^    \{"(\w+)", (\d+), "(\w+)", (true|false)\},$', codegen.param_ids(), re.MULTILINE)
    meant = {
        (spec.type, str(p.id), p.name, "true" if p.kind in ("ints", "floats") else "false")
        for spec in SPECS
        if spec.custom
        for p in spec.params
    }
    assert len(rows) == len(meant) and set(rows) == meant


# -- samples ------------------------------------------------------------------------------------------------------


def results_of(graph: nb.Graph, inputs: Mapping[str, Any]) -> dict[str, Any]:
    values = interpret(graph, inputs)
    return {name: values[value] for name, value in graph.outputs.items()}


def torch_oracle(sample: nb.Sample, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    assert sample.torch is not None
    return oracle(sample, arrays)


WITH_TORCH = [spec for spec in SPECS if any(sample.torch is not None for sample in spec.samples())]


@pytest.mark.parametrize("spec", WITH_TORCH, ids=lambda s: s.type)
def test_the_reference_is_what_torch_says(spec: nb.OpSpec) -> None:
    for sample in (sample for own, sample in SAMPLES if own is spec and sample.torch is not None):
        arrays = draw(sample)
        got = results_of(build(sample)[0], named(arrays))
        expected = torch_oracle(sample, arrays)
        assert got.keys() == expected.keys()
        Report(f"{spec.type} {sample.id}").add_all(got, expected, spec.tolerance.fp32).check()


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.composite], ids=lambda s: s.type)
def test_a_lowering_means_the_same(spec: nb.OpSpec) -> None:
    for sample in (sample for own, sample in SAMPLES if own is spec):
        inputs, graph = named(draw(sample)), build(sample)[0]
        expected = results_of(graph, inputs)
        for target in sorted(nb.TARGETS):
            lowered = lower(graph, target)
            assert not any(node.spec.composite for node in lowered.nodes), f"{sample.id} {target}"
            report = Report(f"{spec.type} {sample.id} {target}")
            report.add_all(results_of(lowered, inputs), expected, spec.tolerance.fp32).check()


# -- mutation controls: a change has to be seen by the tests above ---------------------------------------------------


def mutated_weight(sample: nb.Sample, target: str) -> nb.Graph:
    graph = lower(build(sample)[0], target)
    node = next(n for n in graph.nodes if n.weights)
    name = next(iter(node.weights))
    changed = np.array(node.weights[name])
    changed.flat[np.abs(changed).argmax()] *= 1.01
    node.weights[name] = changed
    return graph


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
@pytest.mark.parametrize("op", sorted(t for t, s in nb.registry.items() if s.composite and s.weights))
def test_a_changed_weight_of_a_lowering_is_seen(op: str, target: str) -> None:
    spec = nb.registry[op]
    sample = next(s for s in spec.samples() if build(s)[0].nodes[0].weights)
    inputs = named(draw(sample))
    got = results_of(mutated_weight(sample, target), inputs)
    with pytest.raises(nb.ParityError, match="differ"):
        Report(op).add_all(got, results_of(build(sample)[0], inputs), spec.tolerance.fp32).check()


@pytest.mark.parametrize("op", ["Rsqrt", "Sqrt", "Sin", "MulConstant", "HardSigmoid", "Clamp"])
def test_a_changed_parameter_is_seen(op: str) -> None:
    spec = nb.registry[op]
    sample = spec.samples()[-1]
    arrays = draw(sample)
    graph = build(sample)[0]
    node = next(n for n in graph.nodes if n.spec is spec)
    name = next(p.name for p in spec.params if p.kind == "float" and abs(node.params[p.name]) > 1e-3)
    node.params[name] *= 1.01
    with pytest.raises(nb.ParityError, match="differ"):
        got = results_of(graph, named(arrays))
        Report(op).add_all(got, torch_oracle(sample, arrays), spec.tolerance.fp32).check()


def test_a_wrong_torch_function_is_seen() -> None:
    spec = nb.registry["Square"]
    sample = dataclasses.replace(spec.samples()[0], torch=lambda x: x.square() * 1.001)
    arrays = draw(sample)
    with pytest.raises(nb.ParityError, match="differ"):
        got = results_of(build(sample)[0], named(arrays))
        Report("square").add_all(got, torch_oracle(sample, arrays), spec.tolerance.fp32).check()
