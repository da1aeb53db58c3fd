"""The networks that can be named on a command line, as data."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan.errors import ConfigError

WHICH = ("G_ema", "G")
"""The networks of a checkpoint: the one with averaged weights, for pictures, and the trained one."""


@dataclass(frozen=True)
class Config:
    """`init_kwargs` build the family's Generator; `url` is the official checkpoint (None: there is none)."""

    name: str
    family: str
    init_kwargs: Mapping[str, Any]
    url: str | None

    @property
    def shipped(self) -> Path:
        """Where this package has weights of its own for it, if it has any."""
        return Path(__file__).parents[1] / "models" / f"{self.name}.safetensors"


def _faces(family: str, resolution: int) -> Config:
    """Small networks for the drawings of stylegan.faces: less than a million parameters, and the official z_dim."""
    init_kwargs: dict[str, Any] = {
        "z_dim": 512,
        "c_dim": 0,
        "w_dim": 128,
        "img_resolution": resolution,
        "img_channels": 3,
        "mapping_kwargs": {"num_layers": 2},
    }
    if family == "v2ada":
        init_kwargs["synthesis_kwargs"] = {"channel_base": 16 * resolution, "channel_max": 128, "conv_clamp": 256}
    else:
        init_kwargs |= {"channel_base": 16 * resolution, "channel_max": 32, "num_layers": 8}
    return Config(f"{'v3_t' if family == 'v3' else family}_{resolution}_faces", family, init_kwargs, None)


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


def _v3(name: str, resolution: int, kind: str, file: str | None = None) -> Config:
    """kind: t; r, which doubles the channels of 1x1 convolutions between radial filters; s, a small t."""
    base, most = {"t": (32768, 512), "r": (65536, 1024), "s": (8192, 256)}[kind]
    init_kwargs = {
        "z_dim": 512,
        "c_dim": 0,
        "w_dim": 512,
        "img_resolution": resolution,
        "img_channels": 3,
        "mapping_kwargs": {"num_layers": 2},
        "channel_base": base,
        "channel_max": most,
    }
    if kind == "r":
        init_kwargs |= {"conv_kernel": 1, "use_radial_filters": True}
    url = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan3/versions/1/files/"
    return Config(name, "v3", init_kwargs, None if file is None else url + file)


CONFIGS = {
    config.name: config
    for config in (
        _v2ada("v2ada_512_afhqcat", 512, "afhqcat.pkl"),
        _v2ada("v2ada_1024_metfaces", 1024, "metfaces.pkl"),
        _v2ada("v2ada_1024_ffhq", 1024, "ffhq.pkl"),
        _faces("v2ada", 64),
        _v2ada("v2ada_32_custom", 32),
        _v2ada("v2ada_128_custom", 128),
        _v2ada("v2ada_256_custom", 256),
        _v2ada("v2ada_256_uppercloth", 256),
        _v2ada("v2ada_512_custom", 512),
        _faces("v3", 64),
        _v3("v3_t_512_afhqv2", 512, "t", "stylegan3-t-afhqv2-512x512.pkl"),
        _v3("v3_t_1024_ffhq", 1024, "t", "stylegan3-t-ffhq-1024x1024.pkl"),
        _v3("v3_t_1024_metfaces", 1024, "t", "stylegan3-t-metfaces-1024x1024.pkl"),
        _v3("v3_t_256_custom", 256, "t"),
        _v3("v3_r_512_afhqv2", 512, "r", "stylegan3-r-afhqv2-512x512.pkl"),
        _v3("v3_r_1024_ffhq", 1024, "r", "stylegan3-r-ffhq-1024x1024.pkl"),
        _v3("v3_r_32_custom", 32, "r"),
        _v3("v3_r_128_custom", 128, "r"),
        _v3("v3_r_256_custom", 256, "r"),
        _v3("v3_s_256_custom", 256, "s"),
    )
}


def get_config(name: str) -> Config:
    """The configuration of that name. Raises ConfigError that lists the nearest names and all names."""
    if name in CONFIGS:
        return CONFIGS[name]
    near = difflib.get_close_matches(name, CONFIGS)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ConfigError(f"unknown configuration {name!r}: {hint}Known: {', '.join(CONFIGS)}")
