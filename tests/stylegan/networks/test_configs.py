"""The configurations, against the table that they come from."""

from __future__ import annotations

import pytest
import torch

from stylegan import v2ada, v3
from stylegan.errors import ConfigError
from stylegan.networks.configs import CONFIGS, get_config

OFFICIAL = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/"
TABLE = {  # resolution, num_ws, official file
    "v2ada_512_afhqcat": (512, 16, "afhqcat.pkl"),
    "v2ada_1024_metfaces": (1024, 18, "metfaces.pkl"),
    "v2ada_1024_ffhq": (1024, 18, "ffhq.pkl"),
    "v2ada_32_custom": (32, 8, None),
    "v2ada_128_custom": (128, 12, None),
    "v2ada_256_custom": (256, 14, None),
    "v2ada_256_uppercloth": (256, 14, None),
    "v2ada_512_custom": (512, 16, None),
}


FACES = {"v2ada_64_faces": 10, "v3_t_64_faces": 10}  # num_ws


def test_no_v2ada_configuration_is_missing_or_extra() -> None:
    names = {name for name, config in CONFIGS.items() if config.family == "v2ada"}
    assert names - FACES.keys() == TABLE.keys()
    assert all(name == config.name for name, config in CONFIGS.items())


@pytest.mark.parametrize("name", TABLE)
def test_v2ada_configuration(name: str) -> None:
    resolution, num_ws, file = TABLE[name]
    config = get_config(name)
    assert config.url == (None if file is None else OFFICIAL + file)
    network = v2ada.Generator(**config.init_kwargs)
    assert (network.z_dim, network.c_dim, network.w_dim, network.img_channels) == (512, 0, 512, 3)
    assert network.img_resolution == resolution
    assert network.num_ws == network.mapping.num_ws == num_ws
    assert network.mapping.num_layers == 8
    last = getattr(network.synthesis, f"b{resolution}")
    assert last.conv1.weight.shape == (min(32768 // resolution, 512),) * 2 + (3, 3)
    assert last.conv1.conv_clamp == last.torgb.conv_clamp == 256
    assert last.architecture == "skip"


NGC = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan3/versions/1/files/"
V3_TABLE = {  # resolution, config, channel_base, channel_max, official file
    "v3_t_512_afhqv2": (512, "t", 32768, 512, "stylegan3-t-afhqv2-512x512.pkl"),
    "v3_t_1024_ffhq": (1024, "t", 32768, 512, "stylegan3-t-ffhq-1024x1024.pkl"),
    "v3_t_1024_metfaces": (1024, "t", 32768, 512, "stylegan3-t-metfaces-1024x1024.pkl"),
    "v3_t_256_custom": (256, "t", 32768, 512, None),
    "v3_r_512_afhqv2": (512, "r", 65536, 1024, "stylegan3-r-afhqv2-512x512.pkl"),
    "v3_r_1024_ffhq": (1024, "r", 65536, 1024, "stylegan3-r-ffhq-1024x1024.pkl"),
    "v3_r_32_custom": (32, "r", 65536, 1024, None),
    "v3_r_128_custom": (128, "r", 65536, 1024, None),
    "v3_r_256_custom": (256, "r", 65536, 1024, None),
    "v3_s_256_custom": (256, "t", 8192, 256, None),
}
# L{index}_{size}_{channels} of whole networks, from the facts' formulas by hand.
LAYERS = {
    "v3_t_512_afhqv2": "L0_36_512 L1_36_512 L2_52_512 L3_52_512 L4_84_512 L5_84_512 L6_148_512 L7_148_483 L8_276_323 "
    "L9_276_215 L10_532_144 L11_532_96 L12_532_64 L13_512_64 L14_512_3",
    "v3_s_256_custom": "L0_36_256 L1_36_256 L2_36_256 L3_52_256 L4_52_256 L5_84_256 L6_84_256 L7_148_181 L8_148_128 "
    "L9_148_91 L10_276_64 L11_276_45 L12_276_32 L13_256_32 L14_256_3",
}


def test_no_v3_configuration_is_missing_or_extra() -> None:
    assert {name for name, config in CONFIGS.items() if config.family == "v3"} - FACES.keys() == V3_TABLE.keys()


@pytest.mark.parametrize("name", FACES)
def test_a_configuration_for_the_drawings(name: str) -> None:
    """Small enough for a package and for two cores, and with the seeds of the official networks."""
    config = get_config(name)
    network = (v2ada if config.family == "v2ada" else v3).Generator(**config.init_kwargs)
    assert config.url is None and name.startswith(config.family)
    assert (network.z_dim, network.c_dim, network.img_resolution, network.img_channels) == (512, 0, 64, 3)
    assert network.num_ws == FACES[name]
    assert sum(p.numel() for p in network.parameters()) < 1.5e6


@pytest.mark.parametrize("name", V3_TABLE)
def test_v3_configuration(name: str) -> None:
    resolution, kind, base, most, file = V3_TABLE[name]
    config = get_config(name)
    assert config.url == (None if file is None else NGC + file)
    with torch.device("meta"):  # 100 million random numbers would take seconds
        network = v3.Generator(**config.init_kwargs)
    assert (network.z_dim, network.c_dim, network.w_dim, network.img_channels) == (512, 0, 512, 3)
    assert network.img_resolution == resolution
    assert network.num_ws == network.mapping.num_ws == 16
    assert network.mapping.num_layers == 2
    layers = [network.synthesis.get_submodule(layer) for layer in network.synthesis.layer_names]
    channels = [min(round(base / 2 / (2 * (resolution / 4) ** min(i / 12, 1))), most) for i in range(14)]
    assert [layer.out_channels for layer in layers] == [*channels, 3]
    assert {layer.conv_clamp for layer in layers} == {256}
    assert {layer.conv_kernel for layer in layers[:-1]} == {1 if kind == "r" else 3} and layers[-1].conv_kernel == 1
    dimensions = [2 if kind == "r" and i < 12 else 1 for i in range(14)]  # the last two are critically sampled
    assert [layer.down_filter.ndim for layer in layers[:-1]] == dimensions
    assert {layer.up_filter.ndim for layer in layers[:-1]} == {1}
    assert layers[-1].up_filter is layers[-1].down_filter is None
    assert " ".join(network.synthesis.layer_names) == LAYERS.get(name, " ".join(network.synthesis.layer_names))


def test_unknown_name() -> None:
    with pytest.raises(ConfigError) as caught:
        get_config("v2ada_512_afhqcats")
    message = str(caught.value)
    assert "unknown configuration 'v2ada_512_afhqcats': did you mean v2ada_512_afhqcat" in message
    assert all(name in message for name in CONFIGS)
    assert "\n" not in message
    with pytest.raises(ConfigError, match="unknown configuration 'zzz': Known: v2ada_512_afhqcat, "):
        get_config("zzz")
