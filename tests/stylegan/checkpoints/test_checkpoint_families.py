"""StyleGAN-XL's and EG3D's files: their networks are ours, their keywords are told from tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_support import assert_same, read, refusal
from network_support import NETWORKS, TARGETS, network
from official_pickles import Persistent, dumps, official_network

from runtime import Model
from stylegan import v3
from stylegan.bundle.write import export_generator
from stylegan.checkpoints import checkpoint

STEM = {**NETWORKS["xl"][1], "img_resolution": 8, "heads": []}


def grown(**changes: Any) -> checkpoint.Generator:
    kwargs = {**NETWORKS["xl"][1], **changes}
    return checkpoint.build_generator("v3", kwargs, checkpoint.random_state("v3", kwargs, 4), "xl")


def test_stylegan_xl(tmp_path: Path) -> None:
    """A stem, which says its keywords but for the mapping's; one with two heads, which says those of the last; their
    state_dicts; with twice the channels and radial filters; and heads of other sizes."""
    R = dict(conv_kernel=1, use_radial_filters=True)
    for G, heads in (
        (grown(img_resolution=8, heads=[]), None),
        (network("xl"), [[2, 3], [2, 4]]),
        (grown(**R), [[2, 3], [2, 4]]),
        (grown(img_resolution=64, heads=[[8, 6]]), [[8, 6]]),
        (grown(img_resolution=64, num_layers=5, heads=[[2, 4], [4, 5]]), [[2, 4], [4, 5]]),
    ):
        said = {"img_resolution": G.img_resolution, "path_stem": "stem.pkl", "head_layers": 4, "up_factor": 2}
        pickled = official_network("v3", G, said)
        for content in (dumps({"G": None, "D": None, "G_ema": pickled}), G.state_dict()):
            found = read(tmp_path, content)
            assert found.family == "v3" and found.init_kwargs.get("heads") == heads, found.init_kwargs
            assert found.init_kwargs["mapping_kwargs"] == {"num_layers": 2, "embed_features": 7, "embeddings": 5}
            assert_same(found, G)
    state = network("xl").state_dict()
    name = next(key for key in state if "L6_" in key and key.endswith("up_filter"))
    assert "no stem and heads of StyleGAN-XL" in refusal(tmp_path, {**state, name: state[name] + 0.1})
    assert "expected mapping.w_avg with 2" in refusal(tmp_path, {**state, "mapping.w_avg": torch.zeros(24)})


def test_every_class_has_a_mean_style(tmp_path: Path) -> None:
    """Which truncation goes towards, in torch and in a bundle of every target; the mean style is the mean of them."""
    G = network("xl")
    G.mapping.w_avg.copy_(torch.randn(3, 24, generator=torch.Generator().manual_seed(1)))
    z = np.random.RandomState(1).randn(1, 16).astype(np.float32)
    want = {}
    with torch.no_grad():
        for label in range(3):
            c = torch.eye(3)[label][None]
            whole, half, none = (G.mapping(torch.from_numpy(z), c, psi)[0, 0] for psi in (1, 0.5, 0))
            assert torch.equal(none, G.mapping.w_avg[label])
            torch.testing.assert_close(half, (whole + none) / 2)
            cut = G.mapping(torch.from_numpy(z), c, 0.5, 2)[0]
            assert torch.equal(cut[1], half) and torch.equal(cut[2], whole)
            want[label] = half.numpy()
        assert not np.allclose(want[0], want[1], atol=0.1)
        before = G.mapping.w_avg.clone()  # training moves that of the class alone
        w = G.mapping(torch.from_numpy(z), torch.eye(3)[1][None], update_emas=True)[0, 0]
        torch.testing.assert_close(G.mapping.w_avg[1], w.lerp(before[1], 0.998))
        assert torch.equal(G.mapping.w_avg[[0, 2]], before[[0, 2]])
    for target in TARGETS:
        G = network("xl")
        G.mapping.w_avg.copy_(torch.randn(3, 24, generator=torch.Generator().manual_seed(1)))
        export_generator(G, tmp_path / target, target)
        model = Model(tmp_path / target)
        for label, w in want.items():
            np.testing.assert_allclose(model.mapping(z[0], 0.5, np.eye(3)[label]), w, atol=1e-5)
        np.testing.assert_allclose(model.w_avg, G.mapping.w_avg.mean(dim=0).numpy(), atol=1e-6)


def test_what_cannot_be_built() -> None:
    for changes, message in (
        ({"heads": [[3, 4]]}, "must make pictures of 2, 4, 8, 16 times the size"),
        ({"heads": [[2]]}, "heads must be pairs"),
        ({"heads": [[2, 2]]}, "heads: layers must be a whole number of at least 3"),
        ({"heads": [[16, 4]]}, "a stem of 4 pixels, got 2"),
        ({"num_critical": 0}, "need num_critical of 1 or more"),
        ({"c_dim": 6}, "c_dim must be 1 to 5, the rows of the table, got 6"),
    ):
        with pytest.raises(ValueError, match=message):
            v3.Generator(**{**NETWORKS["xl"][1], **changes})


def test_eg3d_draws_planes(tmp_path: Path) -> None:
    """The StyleGAN2 inside, with as many channels as the planes have; the camera is its label, scaled."""
    kwargs: dict[str, Any] = {
        **dict(z_dim=8, c_dim=25, w_dim=8, img_resolution=16, img_channels=12, mapping_kwargs=dict(num_layers=2)),
        "synthesis_kwargs": dict(channel_base=64, channel_max=8, conv_clamp=256),
    }
    G = checkpoint.build_generator("v2ada", kwargs, checkpoint.random_state("v2ada", kwargs, 5), "eg3d")

    def file(**rendering: Any) -> bytes:
        parts = {"backbone": official_network("v2-by-v3", G, kwargs), "decoder": Persistent("OSGDecoder", empty())}
        around = {**empty(), "_modules": parts, "rendering_kwargs": rendering, "neural_rendering_resolution": 64}
        return dumps({"G": None, "D": None, "G_ema": Persistent("TriPlaneGenerator", around)})

    z, c = torch.randn(1, 8), torch.randn(1, 25)
    for rendering, scale in (
        ({"c_scale": 0.5, "c_gen_conditioning_zero": False}, 0.5),
        ({"c_scale": 1, "c_gen_conditioning_zero": True}, 0),
        ({}, 0),
    ):
        found = read(tmp_path, file(**rendering))
        assert any("draws the planes of a scene" in note for note in found.notes)
        built = checkpoint.build_generator(found.family, found.init_kwargs, found.state, found.source)
        with torch.no_grad():
            want = G(z, c * scale, noise_mode="const")
            got = built(z, c, noise_mode="const")
        assert got.shape == (1, 12, 16, 16)
        torch.testing.assert_close(got, want)
    export_generator(built, tmp_path / "planes")
    model = Model(tmp_path / "planes")
    drawn = model.synthesis(model.mapping(z[0].numpy(), c=c[0].numpy()))
    np.testing.assert_allclose(drawn, want[0].numpy(), atol=1e-4 * float(want.abs().max()))
    state = {f"backbone.{key}": value for key, value in G.state_dict().items()} | {"decoder.net.0.bias": torch.ones(2)}
    found = read(tmp_path, state)
    assert any("labels are taken as they are" in note for note in found.notes)
    assert_same(found, G)
    assert "c_scale is 'x', expected a number" in refusal(tmp_path, file(c_scale="x"))


def empty() -> dict[str, Any]:
    return {"_modules": {}, "_parameters": {}, "_buffers": {}}
