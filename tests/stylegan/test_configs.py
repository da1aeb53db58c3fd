"""The configurations, against the table that they come from."""

from __future__ import annotations

import pytest

from stylegan import v2ada
from stylegan.configs import CONFIGS, get_config
from stylegan.errors import ConfigError

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


def test_no_v2ada_configuration_is_missing_or_extra() -> None:
    assert {name for name, config in CONFIGS.items() if config.family == "v2ada"} == TABLE.keys()
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


def test_unknown_name() -> None:
    with pytest.raises(ConfigError) as caught:
        get_config("v2ada_512_afhqcats")
    message = str(caught.value)
    assert "unknown configuration 'v2ada_512_afhqcats': did you mean v2ada_512_afhqcat" in message
    assert all(name in message for name in CONFIGS)
    assert "\n" not in message
    with pytest.raises(ConfigError, match="unknown configuration 'zzz': Known: v2ada_512_afhqcat, "):
        get_config("zzz")
