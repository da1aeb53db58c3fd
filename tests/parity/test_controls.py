"""Every control of the networks through export, manifest and Model, against torch and the goldens."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from golden_files import load_golden
from network_support import GOLDENS, NETWORK_TOLERANCE, NETWORKS, TARGETS, golden_generator, latents, network

import runtime
from ncnn_builder.parity import Report
from runtime import Model
from stylegan import v2ada
from stylegan.checkpoints import checkpoint
from stylegan.export import export_generator
from stylegan.networks.v2ada_layers import SynthesisLayer

SCHEMA = json.loads(Path(runtime.__file__).with_name("manifest.schema.json").read_text())
NOISY = ["skip", "resnet", "orig"]


def with_planes(name: str, planes: dict[str, np.ndarray], strength: float = 1.0) -> v2ada.Generator:
    """The network with these planes as its own, and all strengths multiplied."""
    state = {key: value.clone() for key, value in network(name).state_dict().items()}
    for layer, plane in planes.items():
        state[f"synthesis.{layer}.noise_const"] = torch.from_numpy(plane)
    for key in state:
        if key.endswith("noise_strength"):
            state[key] *= strength
    return checkpoint.build_generator(*NETWORKS[name], state, name)


def random_planes(G: v2ada.Generator, seed: int) -> dict[str, np.ndarray]:
    draw = np.random.RandomState(seed)
    layers = [(name, m) for name, m in G.synthesis.named_modules() if isinstance(m, SynthesisLayer)]
    return {name: draw.randn(*m.noise_const.shape).astype(np.float32) for name, m in layers}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("mode", ["random", "input"])
@pytest.mark.parametrize("name", NOISY)
def test_noise_that_is_drawn_when_running(name: str, mode: str, target: str, tmp_path: Path) -> None:
    G = network(name)
    manifest = export_generator(G, tmp_path / "m", target, noise_mode=mode)
    m, (_, ws) = Model(tmp_path / "m"), latents(G)
    w, planes = ws[0].numpy(), random_planes(G, 7)
    assert list(manifest["noise"]["layers"]) == list(planes)
    one = next(iter(planes))
    cases = {
        "random": (m.synthesis(w, noise="random", noise_seed=7), with_planes(name, planes)),
        "half": (m.synthesis(w, noise="random", noise_seed=7, noise_strength=0.5), with_planes(name, planes, 0.5)),
        "given": (m.synthesis(w, noise=planes, noise_strength=-2.0), with_planes(name, planes, -2.0)),
        "none": (m.synthesis(w, noise="none"), with_planes(name, planes, 0.0)),
    }
    if mode == "input":
        cases["own"] = (m.synthesis(w), G)
        cases["own, stronger"] = (m.synthesis(w, noise="const", noise_strength=3.0), with_planes(name, {}, 3.0))
        cases["one layer"] = (m.synthesis(w, noise={one: planes[one]}), with_planes(name, {one: planes[one]}))
    report = Report(f"{name}, {mode}, {target}")
    for case, (got, generator) in cases.items():
        with torch.no_grad():
            expected = generator.synthesis(ws, noise_mode="const")[0].numpy()
        report.add_all({case: got}, {case: expected}, NETWORK_TOLERANCE)
    report.check()
    fresh = [m.synthesis(w, noise="random") for _ in range(2)]
    assert np.abs(fresh[0] - fresh[1]).max() > 1e-3  # without a seed, new noise for every picture
    assert np.array_equal(cases["random"][0], m.synthesis(w, noise="random", noise_seed=7))


def test_the_export_itself_makes_no_random_choice(tmp_path: Path) -> None:
    for name in ("a/m", "b/m"):
        export_generator(network("skip"), tmp_path / name, noise_mode="input")
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / d).iterdir()} for d in "ab")
    assert first == second and "m_noise.bin" in first
    jsonschema.validate(json.loads(first["m.json"]), SCHEMA)


@pytest.mark.parametrize("name", GOLDENS)
def test_cutoff_and_truncation_against_the_golden(name: str, tmp_path: Path) -> None:
    golden, G = load_golden(name), golden_generator(name)
    tensors = {k: v.numpy() for k, v in golden.tensors.items()}
    export_generator(G, tmp_path / "m")
    m = Model(tmp_path / "m")
    got, expected = {}, {}
    for i in (0, 1):
        label = {"c": tensors["c"][i]} if G.c_dim else {}
        got[f"mapping {i}"] = m.mapping(tensors["z"][i], psi=0.5, cutoff=4, **label)
        got[f"truncate {i}"] = m.truncate(tensors["ws_psi1"][i], 0.5, cutoff=4)
        got[f"of one {i}"] = m.truncate(tensors["ws_psi1"][i, 0], 0.5, cutoff=4)
        expected |= {f"{kind} {i}": tensors["ws_psi0.5_cutoff4"][i] for kind in ("mapping", "truncate", "of one")}
        got[f"psi {i}"] = m.truncate(tensors["ws_psi1"][i], 0.7)
        expected[f"psi {i}"] = tensors["ws_psi0.7"][i]
        got[f"all {i}"] = m.mapping(tensors["z"][i], psi=0.7, cutoff=G.num_ws, **label)
        expected[f"all {i}"] = tensors["ws_psi0.7"][i]
        got[f"no style {i}"] = m.mapping(tensors["z"][i], psi=0.7, cutoff=0, **label)
        expected[f"no style {i}"] = tensors["ws_psi1"][i]
    got["w_avg"], expected["w_avg"] = m.w_avg, tensors["state/mapping.w_avg"]
    Report(name).add_all(got, expected, NETWORK_TOLERANCE).check()
