"""Whole networks whose weights are stored as float16, against torch with the same rounded weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from network_support import NETWORK_TOLERANCE, NETWORKS, TARGETS, latents, network, synthesis_inputs
from parity_support import run_emitted

import ncnn_builder as nb
from ncnn_builder.emit import half
from ncnn_builder.parity import Report, interpret, torch_taps
from ncnn_builder.pipeline import lower_and_optimise
from stylegan.checkpoints import checkpoint
from stylegan.export import mapping_graph, synthesis_graph
from stylegan.networks import v2ada_layers
from stylegan.networks.layers import FullyConnectedLayer


@pytest.fixture(autouse=True)
def _small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks of the tests have weights of a few hundred numbers."""
    monkeypatch.setattr(half, "SMALL", 64)


def _round(tensor: torch.Tensor, gain: float = 1.0) -> torch.Tensor:
    """Rounded as the file holds it: times `gain`."""
    return (tensor * gain).half().float() / gain if tensor.numel() >= half.SMALL else tensor


def rounded_network(name: str, target: str) -> Any:
    """A StyleGAN2 network with every parameter rounded as the export stores it."""
    G = checkpoint.build_generator(*NETWORKS[name], {k: v.clone() for k, v in network(name).state_dict().items()}, name)
    with torch.no_grad():
        for module in G.modules():
            if isinstance(module, FullyConnectedLayer):
                module.weight.copy_(_round(module.weight, module.weight_gain))
            elif isinstance(module, v2ada_layers.ToRGBLayer):
                # the factor of the styles is folded into the weight but in the oracle
                module.weight.copy_(_round(module.weight, 1.0 if target == "reference" else module.weight_gain))
            elif isinstance(module, v2ada_layers.SynthesisLayer):
                module.weight.copy_(_round(module.weight))
                if module.use_noise:
                    module.noise_const.copy_(_round(module.noise_const, float(module.noise_strength)))
            elif isinstance(module, v2ada_layers.Conv2dLayer):
                module.weight.copy_(_round(module.weight, module.weight_gain))
        synthesis: Any = G.synthesis
        synthesis.b4.const.copy_(_round(synthesis.b4.const))
    return G


# The target stock keeps sums of squares of the exact weights beside the rounded ones: its oracle is the second test.
@pytest.mark.parametrize("target", sorted(set(TARGETS) - {"stock"}))
@pytest.mark.parametrize("name", ["skip", "resnet"])
def test_the_network_with_rounded_weights(name: str, target: str) -> None:
    exact, G = network(name), rounded_network(name, target)
    inputs, ws = latents(G)
    graph = synthesis_graph(exact)
    model = nb.compile_graph(graph, target, weights="fp16")
    assert model.weights.halved > 10
    blobs = run_emitted(model, synthesis_inputs(G, ws), list(dict.fromkeys(model.taps.values())))
    got = {path: blobs[blob] for path, blob in model.taps.items()}
    with torch.no_grad():
        expected = torch_taps(G.synthesis, lambda: G.synthesis(ws, noise_mode="const"), graph.taps, "synthesis")
        unrounded = torch_taps(
            exact.synthesis, lambda: exact.synthesis(ws, noise_mode="const"), graph.taps, "synthesis"
        )
        w = G.mapping(torch.from_numpy(inputs["z"])[None], None)[0, 0].numpy()
    Report(f"{name}, {target}").add_all(got, expected, 3e-5).check()
    with pytest.raises(nb.ParityError, match="differ"):  # control: the rounding is there
        Report("exact").add_all(got, unrounded, 3e-5).check()
    mapping = nb.compile_graph(mapping_graph(exact), target, weights="fp16")
    Report("mapping").add_all(run_emitted(mapping, inputs, ["output"]), {"output": w}, 3e-5).check()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["skip", "labels", "t", "r"])
def test_the_graph_with_rounded_weights(name: str, target: str) -> None:
    """Every layer of the lowered graph with the weights that its file holds."""
    G = network(name)
    _, ws = latents(G)
    given = synthesis_inputs(G, ws)
    graph = synthesis_graph(G)
    model = nb.compile_graph(graph, target, weights="fp16")
    oracle = lower_and_optimise(graph, target)
    for node in oracle.nodes:
        for weight in node.spec.weights:
            data = node.weights.get(weight.name)
            if weight.tagged and data is not None and data.size >= half.SMALL:
                node.weights = {**node.weights, weight.name: data.astype(np.float16).astype(np.float32)}
    values = interpret(oracle, given)
    expected = {path: values[value] for path, value in oracle.taps.items()}
    blobs = run_emitted(model, given, list(dict.fromkeys(model.taps.values())))
    got = {path: blobs[blob] for path, blob in model.taps.items()}
    Report(f"{name}, {target}").add_all(got, expected, NETWORK_TOLERANCE).check()
