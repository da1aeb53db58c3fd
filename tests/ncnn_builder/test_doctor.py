"""The doctor: ten planted faults, each named by module, kind and line; the page; the command line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import doctor_net
import pytest
import torch
from network_support import golden_generator, latents

import ncnn_builder as nb
from ncnn_builder import pipeline
from ncnn_builder.doctor import Diagnosis, Options, case_of, diagnose
from ncnn_builder.ir import Graph
from ncnn_builder.rebuild import rebuild
from runtime import Net

Patch = pytest.MonkeyPatch


def examine(target: str = "fused", options: Options | None = None, tolerance: float | None = None) -> Diagnosis:
    return diagnose(case_of(doctor_net.make(), doctor_net.arrays()), Net, target, options, tolerance)


@cache
def healthy(target: str, options: Options) -> Diagnosis:
    return examine(target, options)


# -- ten faults ------------------------------------------------------------------------------------------------------


def transposed_weight(patch: Patch) -> None:
    def export(self: Any, g: nb.Graph, x: Any) -> Any:
        weight = self.weight.transpose(0, 1) if self.weight.shape[0] == self.weight.shape[1] else self.weight
        return nb.fully_connected(g, x, weight, self.bias)

    patch.setattr(doctor_net.Linear, "export_ncnn", export)


def wrong_pad_side(patch: Patch) -> None:
    def export(self: Any, g: nb.Graph, x: Any) -> Any:
        left, right, top, bottom = self.pad
        x = nb.pad(g, x, bottom, top, right, left)
        return nb.Fconv2d(g, [*x, *nb.shell(g, x, self.weight, self.bias)])

    patch.setattr(doctor_net.Conv, "export_ncnn", export)


def missing_gain(patch: Patch) -> None:
    patch.setattr(
        doctor_net.Act, "export_ncnn", lambda self, g, x: nb.activation(g, x, "leaky_relu", {"negative_slope": 0.2})
    )


def swapped_inputs(patch: Patch) -> None:
    right = doctor_net.Difference.export_ncnn
    patch.setattr(doctor_net.Difference, "export_ncnn", lambda self, g, ab: right(self, g, ab[::-1]))


def crop_off_by_one(patch: Patch) -> None:
    patch.setattr(doctor_net.Crop, "export_ncnn", lambda self, g, x: nb.crop(g, x, [1, 2], [9, 10], [1, 2]))


def wrong_slope(patch: Patch) -> None:
    def export(self: Any, g: nb.Graph, x: Any) -> Any:
        x = nb.activation(g, x, "leaky_relu", {"negative_slope": 0.1})
        return nb.MulConstant(g, x, 2**0.5)

    patch.setattr(doctor_net.Act, "export_ncnn", export)


def wrong_eps(patch: Patch) -> None:
    def export(self: Any, g: nb.Graph, x: Any) -> Any:
        mean = nb.really_reduction(g, nb.square(g, x), "ReduceMean", (0, 1, 2), True)
        return nb.binaryOp(g, [*x, *nb.rsqrt(g, mean, eps=0.05)], "Mul")

    patch.setattr(doctor_net.Norm, "export_ncnn", export)


def fp16_overflow(patch: Patch) -> None:
    """Weights beyond 65504 in the second Linear, and inputs that make up for it."""
    right = doctor_net.Linear.__init__

    def init(self: Any, i: int, o: int) -> None:
        right(self, i, o)
        if o == 6:
            self.weight.data *= 1e6

    patch.setattr(doctor_net.Linear, "__init__", init)


def aliasing_pass(patch: Patch) -> None:
    """A folding of factors that writes into a weight which two layers have."""

    def fold(graph: Graph) -> Graph:
        for node in graph.nodes:
            conv = node.inputs[0].producer if node.inputs else None
            shells = {v.producer for v in conv.inputs[1:] if v.producer} if conv else set()
            if node.spec.type == "MulConstant" and {s.spec.type for s in shells} == {"Shell"}:
                for shell in shells:
                    for weight in shell.weights.values():
                        weight *= node.params["scale"]
                return rebuild(graph, lambda g, n, inputs, node=node: inputs if n is node else None, "fold")
        return graph

    patch.setattr(pipeline, "BUILT", (pipeline.Pass("fold", fold), *pipeline.BUILT))


def stale_id(patch: Patch) -> None:
    """An id of a layer as it was in another version: the reader of this version does not know it."""
    spec = type(nb.registry["Rsqrt"])
    patch.setattr(spec, "params", tuple(replace(p, id={0: 1, 1: 0}.get(p.id, p.id)) for p in spec.params))


FP16 = Options.parse("fp16")
HERE = r"test_doctor\.py:\d+"
FAULTS: dict[str, tuple[Callable[[Patch], None], str, Options, str, str, str, str]] = {
    # fault: (how, target, options, module, kind, what, line)
    "transposed weight": (
        transposed_weight,
        "fused",
        Options(),
        "Net.style.0",
        "export",
        "weight in another order",
        HERE,
    ),
    "wrong pad side": (wrong_pad_side, "stock", Options(), "Net.stem", "export", "Padding", HERE),
    "missing gain": (missing_gain, "fused", Options(), "Net.act", "export", r"doctor_net\.py:\d+ \(leaky", HERE),
    "swapped inputs": (
        swapped_inputs,
        "reference",
        Options(),
        "Net.difference",
        "export",
        "Net.crop/.* and Net.twins.second/.* exchanged",
        r"doctor_net\.py:\d+",
    ),
    "off-by-one crop": (crop_off_by_one, "stock", Options(), "Net.crop", "export", "Crop", HERE),
    "wrong slope": (wrong_slope, "fused", Options(), "Net.act", "export", "ReLU", HERE),
    "wrong eps": (wrong_eps, "fused", Options(), "Net.norm", "export", "Rsqrt", HERE),
    "fp16 overflow": (fp16_overflow, "stock", FP16, "Net.style.1", "option", "fp16_storage", r"doctor_net\.py:\d+"),
    "aliasing pass": (aliasing_pass, "stock", Options(), "Net.twins", "pass", "fold.* writes into", r"\w"),
    "stale id": (stale_id, "reference", Options(), "Net.norm", "layer", "Rsqrt", r"doctor_net\.py:\d+"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named(fault: str, monkeypatch: Patch) -> None:
    plant, target, options, module, kind, what, line = FAULTS[fault]
    before = healthy(target, options)
    assert before.equal and before.culprit is None and before.cause is None and before.check() is before
    plant(monkeypatch)
    found = examine(target, options)
    assert not found.equal and found.culprit == module, found
    assert found.cause is not None and found.cause.kind == kind, found
    assert re.search(what, found.cause.what), found
    assert found.cause.source is not None and re.match(line, found.cause.source), found
    with pytest.raises(nb.ParityError, match=re.escape(module)):
        found.check()


# -- causes and cures --------------------------------------------------------------------------------------------------


def test_the_cure_is_what_the_author_writes(monkeypatch: Patch) -> None:
    fp16_overflow(monkeypatch)
    found = examine("stock", FP16)
    cure = found.cure
    assert cure is not None and (cure.features, cure.mask) == (("fp16_storage",), 2)
    assert [layer.scope for layer in cure.layers] == ["Net.style.1"]
    assert cure.required <= found.tolerance and min(cure.seconds_before, cure.seconds_after) > 0
    right = doctor_net.Linear.export_ncnn

    def export(self: Any, g: nb.Graph, x: Any) -> Any:
        with nb.without(g, *cure.features):
            return right(self, g, x)

    monkeypatch.setattr(doctor_net.Linear, "export_ncnn", export)
    assert examine("stock", FP16).equal
    case = case_of(doctor_net.make(), doctor_net.arrays())
    model = nb.compile_graph(case.build(), "stock")
    masked = [line for line in model.param.splitlines() if " 31=2" in line]
    assert [line.split()[0] for line in masked] == ["InnerProduct", "InnerProduct"]


class FaultyNet:
    """runtime.Net with a fault: 1 % too much where the layer `layer` uses sgemm."""

    layer = "Net.style.1/"

    def __init__(self, param: Any, bin: Any, **options: Any) -> None:
        lines = [line for line in Path(param).read_text().splitlines() if self.layer in line.split()[1:2].__str__()]
        masks = [int(mask) for line in lines for mask in re.findall(r" 31=(\d+)", line)]
        self.wrong = bool(lines) and options["sgemm"] and not all(mask & 32 for mask in masks or [0])
        self.net = Net(param, bin, **options)

    def run(self, inputs: Any, outputs: Any) -> dict[str, Any]:
        factor = 1.01 if self.wrong else 1.0
        return {name: array * factor for name, array in self.net.run(inputs, outputs).items()}


def test_the_guilty_switch_of_a_runtime_is_found_and_cured() -> None:
    case = case_of(doctor_net.make(), doctor_net.arrays())
    found = diagnose(case, FaultyNet, "stock", Options.parse("no-packing"))
    assert found.culprit == "Net.style.1" and found.cause is not None and found.cause.switches == ("sgemm",)
    assert found.cure is not None and found.cure.features == ("sgemm",)
    assert {layer.scope for layer in found.cure.layers} == {"Net.style.1"} and found.cure.required < 1e-5


def test_code_of_a_module_before_one_inside_it_is_not_blamed_on_that_one(monkeypatch: Patch) -> None:
    """The parent gives a module inside something else than forward() does; alone, that module is right."""

    def export(self: Any, g: nb.Graph, x: Any) -> Any:
        first = nb.child(g, self, "first", x)
        return nb.child(g, self, "second", nb.MulConstant(g, first, 1.5))

    monkeypatch.setattr(doctor_net.Twins, "export_ncnn", export)
    found = examine("reference")
    alone = {m.path: m.isolated for m in found.modules}
    assert alone["Net.twins.second"] is not None and alone["Net.twins.second"].ok
    assert found.culprit == "Net.twins" and found.cause is not None
    assert "Net.twins.second" in found.cause.what and re.match(HERE, found.cause.source or "")


def test_a_shape_that_a_module_gives_wrongly_to_one_inside(monkeypatch: Patch) -> None:
    def export(self: Any, g: nb.Graph, x: Any) -> Any:
        first = nb.child(g, self, "first", x)
        return nb.pad(g, nb.child(g, self, "second", nb.pad(g, first, top=1)), bottom=-1)

    monkeypatch.setattr(doctor_net.Twins, "export_ncnn", export)
    found = examine("reference")
    assert found.culprit == "Net.twins" and found.cause is not None and "[6, 9, 8]" in found.cause.what
    assert re.match(HERE, found.cause.source or "")


def test_a_network_of_torchs_own_modules() -> None:
    torch.manual_seed(5)
    conv = torch.nn.Conv2d(3, 4, 3, padding=1, stride=2)
    net = torch.nn.Sequential(conv, torch.nn.BatchNorm2d(4), torch.nn.PReLU(4), torch.nn.Flatten()).eval()
    case = case_of(net, {"x": doctor_net.arrays()["x"]})
    assert [m.path for m in diagnose(case, Net).check().modules][:2] == ["Sequential.0", "Sequential.1"]
    g = case.build()
    with torch.no_grad():
        conv.bias += 1
    found = diagnose(replace(case, build=lambda: g), Net)
    assert found.culprit == "Sequential.0" and found.cause is not None and found.cause.kind == "export"


def test_a_module_that_exports_nothing_is_named(monkeypatch: Patch) -> None:
    monkeypatch.setattr(doctor_net.Norm, "export_ncnn", lambda self, g, x: x)
    found = examine("reference")
    assert found.culprit == "Net.norm" and found.cause is not None and "gives back" in found.cause.what


def test_a_pass_that_breaks_a_rule_is_named(monkeypatch: Patch) -> None:
    def break_it(graph: Graph) -> Graph:
        new = rebuild(graph, lambda new, node, inputs: None, "pass break_it")
        new.nodes.pop()
        return new

    monkeypatch.setattr(pipeline, "LOWERED", (pipeline.Pass("break_it", break_it), *pipeline.LOWERED))
    found = examine("stock")
    assert not found.equal and found.cause is not None
    assert (found.cause.kind, found.cause.name) == ("pass", "break_it")


# -- the golden network ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["mapping", "synthesis"])
def test_a_part_of_a_generator(part: str) -> None:
    G = golden_generator("v2ada_cond_32")
    inputs, ws = latents(G)
    arrays = {"ws": ws.numpy()} if part == "synthesis" else {"z": inputs["z"][None], "c": inputs["c"][None]}
    found = diagnose(case_of(G, arrays), Net).check()
    last = {"synthesis": "synthesis", "mapping": "mapping.fc1"}[part]
    assert found.name == part and found.modules[-1].path == last
    assert all(m.isolated is not None and m.isolated.ok for m in found.modules)
    with pytest.raises(nb.BuildError, match="not those of this network"):
        case_of(G, {"z": inputs["z"]})


def test_a_changed_weight_of_a_golden_network() -> None:
    G = golden_generator("v2ada_resnet_32")
    _, ws = latents(G)
    case = case_of(G.synthesis, {"ws": ws.numpy()})
    build, weight = case.build, G.synthesis.b16.conv1.bias

    def changed() -> nb.Graph:
        with torch.no_grad():
            weight[0] += 1
            g = build()
            for node in g.nodes:  # the arrays are torch's own memory
                node.weights = {name: w.copy() for name, w in node.weights.items()}
            weight[0] -= 1
        return g

    found = diagnose(replace(case, build=changed), Net)
    assert found.culprit == "synthesis.b16.conv1" and found.cause is not None and found.cause.kind == "export"
    assert re.match(r"v2ada_layers\.py:\d+", found.cause.source or "")


def test_a_module_that_works_in_place_changes_no_input() -> None:
    """forward() wrote into the arrays of the case: ncnn got what it had left there, and the first module was blamed."""
    net = torch.nn.Sequential(torch.nn.LeakyReLU(0.5, inplace=True), torch.nn.Conv2d(3, 2, 1)).eval()
    given = -abs(doctor_net.arrays()["x"])
    kept = given.copy()
    diagnose(case_of(net, {"x": given}), Net, "stock").check()
    assert (given == kept).all()
