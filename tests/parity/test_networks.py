"""Whole networks of both generations: every module in the chain and alone, against torch and the goldens.

Against torch (our networks, which agree with the goldens to 1e-4) and against the goldens themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_files import load_golden, thinned
from network_support import (
    GOLDENS,
    NETWORK_TOLERANCE,
    NETWORKS,
    TARGETS,
    golden_generator,
    latents,
    network,
    synthesis_inputs,
    taps_of,
    taps_on_ncnn,
)
from parity_support import run_emitted

import ncnn_builder as nb
from ncnn_builder.parity import Report, interpret, module_graph, smallest_failure, torch_taps
from runtime import Model
from stylegan.checkpoints import checkpoint
from stylegan.export import export_generator, mapping_graph, synthesis_graph

# -- chained: the whole network, every tap -----------------------------------------------------------------------


@dataclass
class Part:
    """The mapping or the synthesis of a network: its graph, inputs for ncnn, and what torch says at every tap."""

    graph: nb.Graph
    inputs: dict[str, Any]
    expected: dict[str, Any]

    @cached_property
    def values(self) -> dict[nb.Value, Any]:
        """By the references, every Value."""
        return interpret(self.graph, self.inputs)


@lru_cache(maxsize=4)  # the targets of a network stand side by side
def part_of(name: str, kind: str) -> Part:
    G = network(name)
    inputs, ws = latents(G)
    z, c = (torch.from_numpy(inputs[k])[None] if k in inputs else None for k in ("z", "c"))
    graph = mapping_graph(G) if kind == "mapping" else synthesis_graph(G)
    with torch.no_grad():
        if kind == "mapping":
            expected = torch_taps(G.mapping, lambda: G.mapping(z, c), graph.taps, kind)
        else:
            inputs = synthesis_inputs(G, ws)
            expected = torch_taps(G.synthesis, lambda: G.synthesis(ws, noise_mode="const"), graph.taps, kind)
    return Part(graph, inputs, expected)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", NETWORKS)
def test_every_tap_against_torch(name: str, target: str) -> None:
    parts = [part_of(name, kind) for kind in ("mapping", "synthesis")]
    models = [nb.compile_graph(part.graph, target) for part in parts]
    for threads in (1, 2):
        report = Report(f"{name}, {target}, {threads} threads")
        for part, model in zip(parts, models, strict=True):
            report.add_all(taps_of(model, part.inputs, threads), part.expected, NETWORK_TOLERANCE)
        report.check()
        assert len(report.comparisons) == sum(len(part.graph.taps) for part in parts)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", GOLDENS)
def test_every_tap_against_the_golden(name: str, target: str) -> None:
    golden, G = load_golden(name), golden_generator(name)
    ws = golden.tensors["ws_psi1"][:1]
    got = taps_on_ncnn(synthesis_graph(G), target, synthesis_inputs(G, ws))
    expected = {path: tap[0].numpy() for path, tap in golden.group("tap/").items()}
    expected["synthesis"] = golden.tensors["img_const_85"][0].numpy()
    got = {path: tap if path == "synthesis" else thinned(tap) for path, tap in got.items()}
    Report(f"{name}, {target}").add_all(got, expected, NETWORK_TOLERANCE).check()
    assert set(got) == set(expected)  # every module that the official network has is tapped


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", GOLDENS)
def test_pictures_against_the_golden(name: str, target: str, tmp_path: Path) -> None:
    golden, G = load_golden(name), golden_generator(name)
    tensors = {k: v.numpy() for k, v in golden.tensors.items()}
    export_generator(G, tmp_path / "m", target)
    m = Model(tmp_path / "m")
    labels = [{"c": tensors["c"][i]} if G.c_dim else {} for i in (0, 1)]
    w = [m.mapping(tensors["z"][i], psi=1.0, **labels[i]) for i in (0, 1)]
    cutoff = m.mapping(tensors["z"][0], psi=0.5, **labels[0])
    mixing = [1.0] * 4 + [0.0] * (G.num_ws - 4)
    got = {
        "w 85": w[0],
        "w 458": w[1],
        "psi 0.7": m.mapping(tensors["z"][0], psi=0.7, **labels[0]),
        "psi 0.5": cutoff,
        "const 85": m.synthesis(w[0]),
        "const 458": m.synthesis(w[1]),
        "mix": m.synthesis(w[0], w[1], mixing=mixing),
        "w plus": m.synthesis(tensors["ws_psi1"][0]),
    }
    expected = {
        "w 85": tensors["ws_psi1"][0, 0],
        "w 458": tensors["ws_psi1"][1, 0],
        "psi 0.7": tensors["ws_psi0.7"][0, 0],
        "psi 0.5": tensors["ws_psi0.5_cutoff4"][0, 0],
        "const 85": tensors["img_const_85"][0],
        "const 458": tensors["img_const_458"][0],
        "mix": tensors["img_mix_85_458_styles0-3"][0],
        "w plus": tensors["img_const_85"][0],
    }
    Report(f"{name}, {target}").add_all(got, expected, NETWORK_TOLERANCE).check()
    picture = np.clip(tensors["img_const_85"][0] * 127.5 + 128, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    assert np.abs(m.image(w[0]).astype(int) - picture.astype(int)).max() <= 1


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["skip", "t"])
def test_blended_mixing_against_torch(name: str, target: str, tmp_path: Path) -> None:
    G = network(name)
    (_, a), (_, b) = latents(G, 1), latents(G, 2)
    mixing = np.linspace(0, 1, G.num_ws, dtype=np.float32)
    ws = a + (b - a) * torch.from_numpy(mixing)[None, :, None]
    export_generator(G, tmp_path / "m", target)
    got = Model(tmp_path / "m").synthesis(a[0, 0].numpy(), b[0].numpy(), mixing=mixing)
    with torch.no_grad():
        expected = G.synthesis(ws, noise_mode="const")[0].numpy()
    Report(f"blended, {target}").add_all({"img": got}, {"img": expected}, NETWORK_TOLERANCE).check()


# -- isolated: each module alone, fed with torch's numbers ---------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("part", ["mapping", "synthesis"])
@pytest.mark.parametrize("name", NETWORKS)
def test_each_module_alone(name: str, part: str, target: str) -> None:
    whole = part_of(name, part)
    graph, values, expected = whole.graph, whole.values, whole.expected
    # What feeds the modules is torch's, not only the references': the two agree at every tap.
    Report("references").add_all({p: values[v] for p, v in graph.taps.items()}, expected, NETWORK_TOLERANCE).check()
    report = Report(f"{name}, {target}, isolated")
    for path in dict.fromkeys(p.partition(":")[0] for p in graph.taps):
        alone, sources = module_graph(graph, path)
        model = nb.compile_graph(alone, target)
        got = run_emitted(model, {k: values[v] for k, v in sources.items()}, list(alone.outputs))
        results = [p for p in graph.taps if p.partition(":")[0] == path]
        named = dict(zip(results, got.values(), strict=True))
        report.add_all(named, {p: expected[p] for p in results}, NETWORK_TOLERANCE)
    report.check()
    assert len(report.comparisons) == len(graph.taps)


# -- controls: what is wrong has to be found, where it is ---------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("skip", "synthesis.b8.conv1"),
        ("skip", "synthesis.b16.torgb"),
        ("skip", "synthesis.b4.conv1.affine"),
        ("t", "synthesis.input"),
        ("t", "synthesis.L5_52_20.affine"),
        ("r", "synthesis.L13_32_8"),
    ],
)
def test_a_changed_module_is_the_first_divergence(name: str, path: str) -> None:
    G = network(name)
    _, ws = latents(G)
    graph = synthesis_graph(G)
    with torch.no_grad():
        expected = torch_taps(G.synthesis, lambda: G.synthesis(ws, noise_mode="const"), graph.taps, "synthesis")
    state = {k: v.clone() for k, v in G.state_dict().items()}
    changed = checkpoint.build_generator(*NETWORKS[name], state, "copy")
    with torch.no_grad():
        changed.get_submodule(path).weight.view(-1)[0] += 1.0
    got = taps_on_ncnn(synthesis_graph(changed), "reference", synthesis_inputs(G, ws))
    report = Report("changed").add_all(got, expected, NETWORK_TOLERANCE)
    assert report.first_divergence is not None and report.first_divergence.name == path
    with pytest.raises(nb.ParityError, match="the first is"):
        report.check()


def test_bisect_finds_the_node() -> None:
    G = network("orig")
    _, ws = latents(G)
    graph, inputs = synthesis_graph(G), synthesis_inputs(G, ws)
    assert smallest_failure(graph, inputs, run_emitted) is None

    def broken(model: nb.EmittedModel, given: Any, outputs: list[str]) -> dict[str, Any]:
        results = run_emitted(model, given, outputs)
        return {k: v * 1.01 for k, v in results.items()} if "FconvTranspose2d" in model.param else results

    finding = smallest_failure(graph, inputs, broken)
    assert finding is not None and finding.node.scope == "synthesis.b8.conv0"
    assert finding.node.spec.type == "modulated_conv2d" and len(finding.graph.nodes) == 1
