"""What only StyleGAN2-ADA has: noise modes, networks without w_avg; and v2ada_512_afhqcat once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from golden_files import load_golden
from network_support import GOLDENS, NETWORK_TOLERANCE, NETWORKS, TARGETS, golden_generator, in_torch, latents

from ncnn_builder.parity import Report
from runtime import Model, NcnnError
from stylegan import v2ada
from stylegan.export import export_generator
from stylegan.networks.configs import get_config


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", [name for name, family in GOLDENS.items() if family == "v2ada"])
def test_no_noise_against_the_golden(name: str, target: str, tmp_path: Path) -> None:
    golden = load_golden(name)
    export_generator(golden_generator(name), tmp_path / "m", target, noise_mode="none")
    got = {"none 85": Model(tmp_path / "m").synthesis(golden.tensors["ws_psi1"][0].numpy())}
    expected = {"none 85": golden.tensors["img_none_85"][0].numpy()}
    Report(f"{name}, {target}").add_all(got, expected, NETWORK_TOLERANCE).check()


def test_a_network_without_mean_style_is_not_truncated_silently(tmp_path: Path) -> None:
    kwargs = {**NETWORKS["skip"][1], "mapping_kwargs": dict(num_layers=2, w_avg_beta=None)}
    G = v2ada.Generator(**kwargs).eval()
    export_generator(G, tmp_path / "m")
    m, (inputs, ws) = Model(tmp_path / "m"), latents(G)
    Report("no w_avg").add_all({"w": m.mapping(inputs["z"])}, {"w": ws[0, 0].numpy()}, NETWORK_TOLERANCE).check()
    with pytest.raises(NcnnError, match="no truncation"):
        m.mapping(inputs["z"], psi=0.5)


def test_v2ada_512_afhqcat(tmp_path: Path) -> None:
    """fp32 within 1e-3 of torch relative to its largest magnitude, uint8 pictures within 1 level."""
    cfg = "v2ada_512_afhqcat"
    G, inputs, ws, expected = in_torch(cfg)
    export_generator(G, tmp_path / "m", config=get_config(cfg))
    m = Model(tmp_path / "m")
    w = m.mapping(inputs["z"])
    got = m.synthesis(w)
    Report("512").add_all({"w": w, "img": got}, {"w": ws[0, 0].numpy(), "img": expected}, 1e-3).check()
    pictures = [np.clip(x * 127.5 + 128, 0, 255).astype(np.uint8).astype(int) for x in (got, expected)]
    assert np.abs(pictures[0] - pictures[1]).max() <= 1
