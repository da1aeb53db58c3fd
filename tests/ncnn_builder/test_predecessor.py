"""Code in the predecessor's style, with one import changed: functions on lists, names taken by index."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity_support import run_emitted
from predecessor_nets import Layer, Mapping, Synthesis

import ncnn_builder as nb
import ncnn_builder as ncnn_utils
from ncnn_builder.parity import Report, interpret
from ncnn_builder.passes.pipeline import BUILT, ORACLE, lower_and_optimise, run_passes
from ncnn_builder.targets import lower

TOLERANCE = 1e-5


def check(graph: nb.Graph, inputs: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    """The graph, as built and as lowered, says what torch says; and it can be emitted."""
    arrays = {name: t.detach()[0].numpy() for name, t in inputs.items()}
    wanted = {name: t.detach()[0].numpy() for name, t in expected.items()}
    for version in (graph, lower(graph, "reference")):
        values = interpret(version, arrays)
        got = {name: values[value] for name, value in version.outputs.items()}
        Report(version.name).add_all(got, wanted, TOLERANCE).check()
    model = nb.compile_graph(graph)
    assert model.outputs == {name: tuple(a.shape) for name, a in wanted.items()}


@pytest.mark.parametrize("coeff", [0.0, 0.7, 1.0])
def test_mapping(coeff: float) -> None:
    torch.manual_seed(1)
    net, z, c = Mapping(), torch.randn(1, 8), torch.tensor([[coeff]])
    g = ncnn_utils.Graph("mapping")
    g.output("w", net.export_ncnn(g, [g.input("z", (8,)), g.input("coeff", (1,))]))
    check(g, {"z": z, "coeff": c}, {"w": net(z, c)})
    assert [n.spec.type for n in g.nodes[:4]] == ["Square", "Reduction", "Rsqrt", "BinaryOp"]


def test_a_changed_bias_is_seen() -> None:
    torch.manual_seed(1)
    net, z, c = Mapping(), torch.randn(1, 8), torch.tensor([[0.7]])
    g = ncnn_utils.Graph("mapping")
    g.output("w", net.export_ncnn(g, [g.input("z", (8,)), g.input("coeff", (1,))]))
    net.fc1.bias.data *= 1.01
    with pytest.raises(nb.ParityError, match="differ"):
        check(g, {"z": z, "coeff": c}, {"w": net(z, c)})


@pytest.mark.parametrize("mixing", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 1)])
def test_synthesis_with_mixing(mixing: tuple[int, ...]) -> None:
    torch.manual_seed(2)
    net, w0, w1 = Synthesis(), torch.randn(1, 6), torch.randn(1, 6)
    chosen = torch.tensor([mixing], dtype=torch.float32)
    g = ncnn_utils.Graph("synthesis")
    img, x = net.export_ncnn(g, [g.input("ws0", (6,)), g.input("ws1", (6,)), g.input("mixing", (4,))])
    g.output("image", img)
    g.output("x", x)
    ws = torch.stack([w1 if m else w0 for m in mixing], dim=1)
    check(g, {"ws0": w0, "ws1": w1, "mixing": chosen}, net(ws))


@pytest.mark.parametrize(("up", "k", "rgb"), [(1, 3, False), (2, 3, False), (1, 1, True), (2, 1, False)])
def test_layer(up: int, k: int, rgb: bool) -> None:
    torch.manual_seed(3)
    net, x, w = Layer(5, 4, 6, 4 * up, k, up, rgb), torch.randn(1, 5, 4, 4), torch.randn(1, 6)
    g = ncnn_utils.Graph("layer")
    names = [g.input("x", (5, 4, 4)), g.input("ws0", (6,)), g.input("ws1", (6,)), g.input("mixing", (1,))]
    g.output("y", net.export_ncnn(g, names, False, 0))
    inputs = {"x": x, "ws0": w, "ws1": torch.zeros(1, 6), "mixing": torch.zeros(1, 1)}
    check(g, inputs, {"y": net(x, w)})


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_synthesis_on_every_target(target: str) -> None:
    """The modulations are recognised, so a network in this style runs on the layers that each target has for them."""
    torch.manual_seed(2)
    net, w0, w1 = Synthesis(), torch.randn(1, 6), torch.randn(1, 6)
    g = ncnn_utils.Graph("synthesis")
    img, x = net.export_ncnn(g, [g.input("ws0", (6,)), g.input("ws1", (6,)), g.input("mixing", (4,))])
    g.output("image", img)
    g.output("x", x)
    ws = torch.stack([w0, w1, w0, w1], dim=1)
    inputs = {"ws0": w0[0].numpy(), "ws1": w1[0].numpy(), "mixing": np.float32([0, 1, 0, 1])}
    with torch.no_grad():
        wanted = {name: t[0].numpy() for name, t in net(ws).items()}
    got = run_emitted(nb.compile_graph(g, target), inputs, list(wanted))
    Report(target).add_all(got, wanted, TOLERANCE).check()
    if target != ORACLE:
        built = run_passes(g, BUILT, target)
        kinds = [n.spec.type for n in built.nodes]
        assert kinds.count("modulated_conv2d") == 5 and not {"F4DOp1D", "FconvTranspose2d", "Up2"} & set(kinds)
        assert len(lower_and_optimise(g, target).nodes) < len(lower(g, target).nodes)


@pytest.mark.parametrize(("dims", "keepdim"), [((2, 3, 4), False), ((1, 2, 3, 4), True), ((1,), False), ((-1,), True)])
def test_reduction_in_the_predecessors_terms(dims: tuple[int, ...], keepdim: bool) -> None:
    torch.manual_seed(4)
    w = torch.randn(1, 5, 4, 3, 3)
    g = ncnn_utils.Graph("reduction")
    x = g.input("w", (5, 4, 3, 3))
    g.output("y", ncnn_utils.reduction(g, [x], op="ReduceSum", input_dims=5, dims=dims, keepdim=keepdim))
    check(g, {"w": w}, {"y": w.sum(dims, keepdim)})


def test_a_reduction_over_everything() -> None:
    w = torch.randn(1, 5, 4, 3, 3)
    g = ncnn_utils.Graph("reduction")
    y = ncnn_utils.reduction(g, [g.input("w", (5, 4, 3, 3))], op="ReduceMean", input_dims=4, dims=(0, 1, 2, 3))
    g.output("y", y)
    check(g, {"w": w}, {"y": w.mean().reshape(1, 1)})


def test_the_helpers() -> None:
    g = ncnn_utils.Graph()
    x = g.input("x", (3,))
    assert ncnn_utils.newest_bottom_names(g) == [x]
    y: Any = ncnn_utils.activation(g, x, "leaky_relu", args={"negative_slope": 0.1})
    assert ncnn_utils.newest_bottom_names(g) == y
    assert ncnn_utils.check_bottom_names(y[0]) == y
    assert ncnn_utils.activation(g, y, None) == y
    names = ncnn_utils.create_top_names(g, 3)
    assert len(set(names)) == 3
    assert ncnn_utils.split(g, y, 2) == [y[0], y[0]]
