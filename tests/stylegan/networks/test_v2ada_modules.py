"""Arguments, options and errors of the StyleGAN2-ADA modules that the goldens do not reach."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch

from stylegan import v2ada
from stylegan.networks.v2ada_layers import Conv2dLayer, SynthesisLayer, ToRGBLayer

SMALL: dict[str, Any] = {"z_dim": 8, "c_dim": 0, "w_dim": 8, "img_resolution": 16, "img_channels": 3}
FEW: dict[str, Any] = {"channel_base": 64, "channel_max": 8}


def generator(**synthesis_kwargs: Any) -> v2ada.Generator:
    return v2ada.Generator(**SMALL, synthesis_kwargs=FEW | synthesis_kwargs).eval()


def test_noise_modes() -> None:
    network = generator()
    for module in network.modules():
        if isinstance(module, SynthesisLayer):
            module.noise_strength.data.fill_(0.5)
    ws = torch.randn(2, network.num_ws, 8)
    images = {mode: [network.synthesis(ws, noise_mode=mode) for _ in range(2)] for mode in ("const", "none", "random")}
    assert torch.equal(*images["const"])
    assert torch.equal(*images["none"])
    assert not torch.allclose(*images["random"])
    assert not torch.allclose(images["const"][0], images["none"][0])
    with pytest.raises(ValueError, match="noise_mode must be one of random, const, none, got 'loud'"):
        network.synthesis(ws, noise_mode="loud")


def test_a_network_without_noise_has_no_noise_in_its_state() -> None:
    network = generator(use_noise=False)
    assert not [key for key in network.state_dict() if "noise" in key]
    ws = torch.randn(1, network.num_ws, 8)
    assert torch.equal(network.synthesis(ws), network.synthesis(ws, noise_mode="const"))


def test_fp16_keywords_change_nothing() -> None:
    torch.manual_seed(0)
    plain = generator()
    torch.manual_seed(0)
    official = generator(num_fp16_res=4, fp16_channels_last=True)
    ws = torch.randn(1, plain.num_ws, 8)
    a, b = plain.synthesis(ws, noise_mode="const"), official.synthesis(ws, noise_mode="const")
    assert torch.equal(a, b)
    assert b.dtype == torch.float32


def test_conv_clamp_limits_what_a_layer_returns() -> None:
    layer = SynthesisLayer(4, 4, 8, 8, conv_clamp=0.25)
    x = layer(torch.randn(1, 4, 8, 8), torch.randn(1, 8), noise_mode="none", gain=0.5)
    assert x.abs().max() == 0.125
    rgb = ToRGBLayer(4, 3, 8, conv_clamp=0.25)
    assert rgb(100 * torch.randn(1, 4, 8, 8), torch.randn(1, 8)).abs().max() == 0.25
    conv = Conv2dLayer(4, 4, 3, activation="relu", conv_clamp=0.25)
    assert conv(100 * torch.randn(1, 4, 8, 8), gain=2).max() == 0.5


def test_mapping_for_a_discriminator_uses_labels_only() -> None:
    mapping = v2ada.MappingNetwork(z_dim=0, c_dim=5, w_dim=8, num_ws=None, num_layers=2, w_avg_beta=None)
    assert "w_avg" not in mapping.state_dict()
    assert mapping(None, torch.eye(5)).shape == (5, 8)
    with pytest.raises(ValueError, match="this network keeps no w_avg"):
        mapping(None, torch.eye(5), truncation_psi=0.5)


def test_mapping_sizes() -> None:
    mapping = v2ada.MappingNetwork(8, 5, 16, 3, num_layers=3, embed_features=7, layer_features=9)
    assert mapping.embed.weight.shape == (7, 5)
    assert [mapping.get_parameter(f"fc{i}.weight").shape for i in range(3)] == [(9, 15), (9, 9), (16, 9)]


def test_gradients_reach_every_parameter() -> None:
    network = generator(architecture="resnet")
    network(torch.randn(2, 8), noise_mode="const").square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("resolution", [0, 2, 3, 24, 100])
def test_bad_resolution(resolution: int) -> None:
    with pytest.raises(ValueError, match=f"a power of two of at least 4, got {resolution}"):
        v2ada.SynthesisNetwork(8, resolution, 3, **FEW)


def test_bad_keywords() -> None:
    with pytest.raises(ValueError, match="architecture must be one of orig, skip, resnet, got 'unet'"):
        generator(architecture="unet")
    with pytest.raises(ValueError, match="activation 'gelu' is unknown"):
        generator(activation="gelu")
    with pytest.raises(TypeError, match="channel_bases"):
        generator(channel_bases=3)
    with pytest.raises(TypeError, match="layers"):
        v2ada.Generator(**SMALL, mapping_kwargs={"layers": 3})


def test_bad_shapes() -> None:
    network = generator()
    with pytest.raises(ValueError, match=r"mapping: z must have shape \[N, 8\], got \[1, 9\]"):
        network.mapping(torch.randn(1, 9))
    with pytest.raises(ValueError, match=r"synthesis: ws must have shape \[N, 6, 8\], got \[1, 8\]"):
        network.synthesis(torch.randn(1, 8))


FORKS = {"init_res": (4, 4)}
"""A keyword of forks, with which pictures need not be square; at this value it changes nothing."""


def test_keywords_are_the_official_ones() -> None:
    def keywords(cls: type) -> dict[str, Any]:
        parameters = list(inspect.signature(cls).parameters.values())
        return {p.name: p.default for p in parameters if p.default is not p.empty}

    assert keywords(v2ada.MappingNetwork) == {
        "num_layers": 8,
        "embed_features": None,
        "layer_features": None,
        "activation": "lrelu",
        "lr_multiplier": 0.01,
        "w_avg_beta": 0.995,
    }
    assert keywords(v2ada.SynthesisNetwork) == FORKS | {
        "channel_base": 32768,
        "channel_max": 512,
        "num_fp16_res": 0,
    }
    assert keywords(v2ada.SynthesisBlock) == FORKS | {
        "architecture": "skip",
        "resample_filter": (1, 3, 3, 1),
        "conv_clamp": None,
        "use_fp16": False,
        "fp16_channels_last": False,
    }
    assert keywords(SynthesisLayer) == FORKS | {
        "kernel_size": 3,
        "up": 1,
        "use_noise": True,
        "activation": "lrelu",
        "resample_filter": (1, 3, 3, 1),
        "conv_clamp": None,
        "channels_last": False,
    }
