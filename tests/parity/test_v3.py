"""What only StyleGAN3 has: the transform; and its configurations at full size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from golden_files import load_golden
from network_support import (
    GOLDENS,
    NETWORK_TOLERANCE,
    NETWORKS,
    TARGETS,
    golden_generator,
    in_torch,
    latents,
    network,
    synthesis_inputs,
    taps_on_ncnn,
)

from ncnn_builder.parity import Report, torch_taps
from runtime import Model
from stylegan.checkpoints import checkpoint
from stylegan.export import export_generator, synthesis_graph
from stylegan.networks.configs import get_config

V3_GOLDENS = [name for name, family in GOLDENS.items() if family == "v3"]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", V3_GOLDENS)
def test_the_transform_is_built_in(name: str, target: str, tmp_path: Path) -> None:
    golden = load_golden(name)
    state = {**golden.group("state/"), "synthesis.input.transform": golden.tensors["transform_20deg"]}
    G = checkpoint.build_generator("v3", golden.meta["init_kwargs"], state, name)
    export_generator(G, tmp_path / "m", target)
    got = Model(tmp_path / "m").synthesis(golden.tensors["ws_psi1"][0].numpy())
    expected = golden.tensors["img_transform_20deg_85"][0].numpy()
    Report(f"{name}, {target}").add_all({"img": got}, {"img": expected}, NETWORK_TOLERANCE).check()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", V3_GOLDENS)
def test_the_transform_is_an_input(name: str, target: str, tmp_path: Path) -> None:
    golden, G = load_golden(name), golden_generator(name)
    manifest = export_generator(G, tmp_path / "m", target, transform_input=True)
    assert manifest["graphs"]["synthesis"]["inputs"]["transform"] == [3, 3]
    assert manifest["transform"] == np.eye(3).tolist()
    m, ws = Model(tmp_path / "m"), golden.tensors["ws_psi1"][0].numpy()
    got = {"own": m.synthesis(ws), "20": m.synthesis(ws, transform=golden.tensors["transform_20deg"].numpy())}
    expected = {
        "own": golden.tensors["img_const_85"][0].numpy(),
        "20": golden.tensors["img_transform_20deg_85"][0].numpy(),
    }
    Report(f"{name}, {target}").add_all(got, expected, NETWORK_TOLERANCE).check()
    difference = np.abs(got["own"] - got["20"]).max() / np.abs(got["own"]).max()
    assert difference > 0.1  # the transform did something


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", ["t", "r"])
def test_every_tap_with_the_transform_as_an_input(name: str, target: str) -> None:
    """A transform that rotates, scales, shears and moves: nothing in the graph relies on a rotation."""
    own = network(name)
    matrix = torch.tensor([[0.9, 0.4, 0.13], [-0.2, 1.1, -0.07], [0, 0, 1]])
    state = {**own.state_dict(), "synthesis.input.transform": matrix}
    G = checkpoint.build_generator(*NETWORKS[name], state, name)
    _, ws = latents(G)
    graph = synthesis_graph(own, transform_input=True)
    got = taps_on_ncnn(graph, target, {**synthesis_inputs(G, ws), "transform": matrix.numpy()})
    with torch.no_grad():
        expected = torch_taps(G.synthesis, lambda: G.synthesis(ws), graph.taps, "synthesis")
    Report(f"{name}, {target}").add_all(got, expected, NETWORK_TOLERANCE).check()


def in_full(cfg: str, target: str, tmp_path: Path) -> None:
    """fp32 within 1e-3 of torch relative to its largest magnitude, uint8 pictures within 1 level."""
    G, inputs, ws, expected = in_torch(cfg)
    export_generator(G, tmp_path / "m", target, config=get_config(cfg))
    m = Model(tmp_path / "m")
    w = m.mapping(inputs["z"])
    got = m.synthesis(w)
    Report(cfg).add_all({"w": w, "img": got}, {"w": ws[0, 0].numpy(), "img": expected}, 1e-3).check()
    pictures = [np.clip(x * 127.5 + 128, 0, 255).astype(np.uint8).astype(int) for x in (got, expected)]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1


@pytest.mark.parametrize("target", TARGETS)
def test_v3_s_256_custom(target: str, tmp_path: Path) -> None:
    in_full("v3_s_256_custom", target, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("cfg", ["v3_t_512_afhqv2", "v3_r_256_custom"])
def test_in_full(cfg: str, tmp_path: Path) -> None:
    in_full(cfg, "fused", tmp_path)
