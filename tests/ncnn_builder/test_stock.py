"""The target `stock`: no layer of ours is left, weights are static, and what it cannot lower it names."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from network_support import NETWORKS, network
from parity_support import build

import ncnn_builder as nb
from ncnn_builder.parity import interpret
from ncnn_builder.targets import TARGETS, lower
from ncnn_builder.targets.stock.channels import rounded
from stylegan.export import mapping_graph, synthesis_graph

RNG = np.random.default_rng(0)


def types(graph: nb.Graph) -> list[str]:
    return [node.spec.type for node in graph.nodes]


def test_every_op_of_ours_has_a_lowering() -> None:
    ours = {name for name, spec in nb.registry.items() if spec.custom or spec.composite}
    assert ours <= set(TARGETS["stock"])
    for name in ours:
        for sample in nb.registry[name].samples():
            assert not any(n.spec.custom or n.spec.composite for n in lower(build(sample)[0], "stock").nodes)


def test_an_op_without_a_lowering_is_named_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(TARGETS["stock"], "Abs")  # type: ignore[arg-type]
    g = nb.Graph()
    with g.scope("head.layer"):
        g.output("y", nb.abs(g, g.input("x", (3,))))
    message = r"Abs head\.layer/Abs_1 at test_stock\.py:\d+: target stock has no lowering for this op"
    with pytest.raises(nb.BuildError, match=message):
        lower(g, "stock")
    assert lower(g, "reference").nodes  # where our layers may be


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_weights_are_static(name: str) -> None:
    G = network(name)
    for graph in (mapping_graph(G), synthesis_graph(G)):
        lowered = lower(graph, "stock")
        assert not any(node.params.get("dynamic_weight") for node in lowered.nodes)
        assert not any(node.spec.custom for node in lowered.nodes)


@pytest.mark.parametrize("name", ["skip", "t"])
def test_styles_are_inputs_of_two_dimensions_and_blended_once(name: str) -> None:
    G = network(name)
    graph = synthesis_graph(G)
    lowered = lower(graph, "stock")
    shapes = {v.name: (v.shape, v.any_shape) for v in lowered.inputs}
    assert shapes["ws0"] == shapes["ws1"] == ((G.num_ws, G.w_dim), False)
    mixing = next(v for v in lowered.inputs if v.name == "mixing")
    assert len(mixing.uses) == 1
    switchers = types(graph).count("StyleMixingSwitcher")
    crops = [n for n in lowered.nodes if n.spec.type == "Crop" and n.inputs[0].shape == (G.num_ws, G.w_dim)]
    assert switchers == len(crops) > 4
    assert graph.inputs[0].shape == (G.w_dim,) and graph.inputs[0].any_shape  # the author's graph is as it was


def test_mixing_by_0_and_1_is_exact() -> None:
    g = nb.Graph()
    a, b, m = g.input("a", (7,)), g.input("b", (4, 7)), g.input("m", (4,))
    for i in range(4):
        g.output(f"y{i}", nb.StyleMixingSwitcher(g, [a, b, m], i))
    lowered = lower(g, "stock")
    x: dict[str, Any] = {"a": RNG.standard_normal(7) * 1e6, "b": RNG.standard_normal((4, 7)), "m": [0, 1, 0, 1]}
    x = {k: np.array(v, np.float32) for k, v in x.items()}
    values = interpret(lowered, x)
    for i, want in enumerate((x["a"], x["b"][1], x["a"], x["b"][3])):
        assert np.array_equal(values[lowered.outputs[f"y{i}"]], want)


def test_odd_channels_are_rounded_up_between_convolution_and_filters() -> None:
    """StyleGAN3's layers: all depthwise ones run over a multiple of 8 channels, and taps have their own number."""
    assert [rounded(n) for n in (3, 81, 203, 323, 967, 1024)] == [3, 88, 208, 336, 976, 1024]
    G = network("t")
    graph = synthesis_graph(G)
    lowered = lower(graph, "stock")
    wide = [n.inputs[0].shape[0] for n in lowered.nodes if n.spec.type == "ConvolutionDepthWise"]
    assert wide and all(c % 8 == 0 for c in wide)
    assert any(v.shape[0] % 8 for path, v in graph.taps.items() if re.search(r"\.L\d+_\d+_\d+$", path))
    assert {p: v.shape for p, v in lowered.taps.items()} == {p: v.shape for p, v in graph.taps.items()}


def test_the_filter_of_stylegan2_has_forms_of_its_own() -> None:
    """Doubling by (1, 3, 3, 1) is bilinear interpolation; smoothing by it is 3x3, of which ncnn has a fast form."""
    g = nb.Graph()
    f = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64
    g.output("a", nb.upfirdn2d(g, g.input("x", (3, 8, 8)), f, up=2, padding=(2, 1, 2, 1), gain=4))
    g.output("b", nb.upfirdn2d(g, g.input("y", (8, 9, 9)), f, padding=(1, 1, 1, 1)))
    f[1, 2] += 0.01
    g.output("c", nb.upfirdn2d(g, g.input("z", (8, 9, 9)), f, padding=(1, 1, 1, 1)))
    lowered = lower(g, "stock")
    assert "Interp" in types(lowered) and "Concat" not in types(lowered)
    kernels = [n.params["kernel_h"] for n in lowered.nodes if n.spec.type == "ConvolutionDepthWise"]
    assert sorted(kernels) == [2, 3, 4]


def test_a_known_weight_goes_into_the_file_and_an_unknown_one_does_not() -> None:
    g = nb.Graph()
    x, w = g.input("x", (5, 6, 7)), g.input("w", (4, 5, 3, 3))
    g.output("a", nb.Fconv2d(g, [x, *nb.shell(g, x, RNG.standard_normal((4, 5, 3, 3)), RNG.standard_normal(4))]))
    g.output("b", nb.Fconv2d(g, [x, w]))
    g.output("c", nb.conv_transpose2d(g, [x, nb.really_permute(g, w, (1, 0, 2, 3))], (5, 4, 3, 3)))
    lowered = lower(g, "stock")
    convolutions = [n for n in lowered.nodes if n.spec.type in ("Convolution", "Deconvolution")]
    assert [n.params["dynamic_weight"] for n in convolutions] == [0, 1, 1]
    assert [sorted(n.weights) for n in convolutions] == [["bias", "weight"], [], []]
