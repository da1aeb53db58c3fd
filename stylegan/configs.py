"""The networks that can be named on a command line, as data."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stylegan.errors import ConfigError


@dataclass(frozen=True)
class Config:
    """`init_kwargs` build the family's Generator; `url` is the official checkpoint (None: there is none)."""

    name: str
    family: str
    init_kwargs: Mapping[str, Any]
    url: str | None


def _v2ada(name: str, resolution: int, file: str | None = None) -> Config:
    init_kwargs = {
        "z_dim": 512,
        "c_dim": 0,
        "w_dim": 512,
        "img_resolution": resolution,
        "img_channels": 3,
        "mapping_kwargs": {"num_layers": 8},
        "synthesis_kwargs": {"channel_base": 32768, "channel_max": 512, "conv_clamp": 256},
    }
    base = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/"
    return Config(name, "v2ada", init_kwargs, None if file is None else base + file)


CONFIGS = {
    config.name: config
    for config in (
        _v2ada("v2ada_512_afhqcat", 512, "afhqcat.pkl"),
        _v2ada("v2ada_1024_metfaces", 1024, "metfaces.pkl"),
        _v2ada("v2ada_1024_ffhq", 1024, "ffhq.pkl"),
        _v2ada("v2ada_32_custom", 32),
        _v2ada("v2ada_128_custom", 128),
        _v2ada("v2ada_256_custom", 256),
        _v2ada("v2ada_256_uppercloth", 256),
        _v2ada("v2ada_512_custom", 512),
    )
}


def get_config(name: str) -> Config:
    """The configuration of that name. Raises ConfigError that lists the nearest names and all names."""
    if name in CONFIGS:
        return CONFIGS[name]
    near = difflib.get_close_matches(name, CONFIGS)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ConfigError(f"unknown configuration {name!r}: {hint}Known: {', '.join(CONFIGS)}")
