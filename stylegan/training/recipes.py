"""What --cfg of a training names: a configuration, or a recipe of the official code or the predecessor.

Nothing here imports torch: a wrong name is refused at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stylegan.errors import ConfigError, TrainingError
from stylegan.networks.configs import CONFIGS

BY_RESOLUTION = 0


@dataclass(frozen=True)
class Recipe:
    """A network, and how it is trained.

    init_kwargs: of the family's Generator; img_resolution and img_channels that are missing are the data's, and the
    channel_base BY_RESOLUTION is 32768 from 512 pixels on and half of that below. settings: fields of
    TrainSettings where they differ from default_settings(). rates: learning rates of G and D for each picture of a
    step. at_once: at most so many pictures at once in a process. mirror: every picture also mirrored. kimg: its length.
    """

    name: str
    family: str
    init_kwargs: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    rates: tuple[float, float] | None = None
    at_once: int | None = None
    mirror: bool = False
    kimg: float = 25000

    def network(self, resolution: int, channels: int, first: Sequence[int] = (4, 4)) -> dict[str, Any]:
        """init_kwargs for pictures of that kind; first: [H, W] of the first block, where the recipe leaves it open.

        Raises TrainingError where its family has no such network.
        """
        found = {**self.init_kwargs, "img_resolution": resolution, "img_channels": channels}
        if list(first) != [4, 4] and self.family == "v3":
            if list(first) != [4, 2]:
                raise TrainingError(f"{self.name}: StyleGAN3 makes squares, and pictures half as wide as high")
            found["square"] = False
        elif list(first) != [4, 4]:
            found["synthesis_kwargs"] = {**(found.get("synthesis_kwargs") or {}), "init_res": list(first)}
        synthesis = found.get("synthesis_kwargs") or {}
        if synthesis.get("channel_base") == BY_RESOLUTION:
            found["synthesis_kwargs"] = {**synthesis, "channel_base": 32768 if resolution >= 512 else 16384}
        return found

    def changes(self, named: Mapping[str, Any], processes: int) -> dict[str, Any]:
        """The settings, and in their place those that were named, which may be `batch`."""
        found = {**self.settings, **named}
        if self.rates is not None:
            found = {"g_lr": self.rates[0] * found["batch"], "d_lr": self.rates[1] * found["batch"], **found}
        if self.at_once is not None and "batch" in found:
            share = max(1, found["batch"] // processes)
            most = max(n for n in range(1, min(self.at_once, share) + 1) if share % n == 0)
            found = {"batch_gpu": most, **found}
        return found


def _sizes(layers: int, **others: Any) -> dict[str, Any]:
    return {"z_dim": 512, "c_dim": 0, "w_dim": 512, "mapping_kwargs": {"num_layers": layers}, **others}


def _v2(layers: int, base: int) -> dict[str, Any]:
    return _sizes(layers, synthesis_kwargs={"channel_base": base, "channel_max": 512, "conv_clamp": 256})


def _ada(name: str, base: int, batch: int, at_once: int, rate: float, gamma: float, ema: float) -> Recipe:
    """Of StyleGAN2-ADA's train.py. A group of the minibatch standard deviation is what a GPU has at once."""
    settings = dict(batch=batch, mbstd_group=at_once, g_lr=rate, d_lr=rate, gamma=gamma, ema_kimg=ema, ema_rampup=None)
    return Recipe(name, "v2ada", _v2(8, base), settings, at_once=at_once)


_CIFAR = dict(batch=64, mbstd_group=32, g_lr=0.0025, d_lr=0.0025, gamma=0.01, ema_kimg=500)
_WITHOUT = dict(pl_weight=0, style_mixing_prob=0, d_architecture="orig")
_OFFICIAL = (
    Recipe("auto", "v2ada", _v2(2, BY_RESOLUTION)),
    _ada("stylegan2", 32768, batch=32, at_once=4, rate=0.002, gamma=10, ema=10),
    _ada("paper256", 16384, batch=64, at_once=8, rate=0.0025, gamma=1, ema=20),
    _ada("paper512", 32768, batch=64, at_once=8, rate=0.0025, gamma=0.5, ema=20),
    _ada("paper1024", 32768, batch=32, at_once=4, rate=0.002, gamma=2, ema=10),
    Recipe("cifar", "v2ada", _v2(2, 32768), {**_CIFAR, **_WITHOUT}, at_once=32, kimg=100000),
    Recipe("stylegan3-t", "v3", _sizes(2, channel_base=32768, channel_max=512)),
    Recipe(
        "stylegan3-r",
        "v3",
        _sizes(2, channel_base=65536, channel_max=1024, conv_kernel=1, use_radial_filters=True),
    ),
)


def _exp(name: str, batch: int, gamma: float, ema: float = 20, group: int | None = None) -> Recipe:
    """exps/stylegan.../styleganNAME.py of the predecessor; batch: what its learning rates were for."""
    config = CONFIGS[name]
    v3 = config.family == "v3"
    rate = 0.002 if not v3 and config.init_kwargs["img_resolution"] >= 1024 else 0.0025
    settings: dict[str, Any] = dict(batch=batch, gamma=gamma, mbstd_group=group, ema_rampup=None, ada_kimg=100)
    if not v3:
        settings["ema_kimg"] = ema
    rates = (rate / batch, (0.002 if v3 else rate) / batch)
    return Recipe(f"stylegan{name}", config.family, config.init_kwargs, settings, rates, mirror=v3)


_PREDECESSOR = (
    _exp("v2ada_32_custom", 8, 0.5),
    *(_exp(name, 16, 0.5) for name in ("v2ada_128_custom", "v2ada_256_custom", "v2ada_256_uppercloth")),
    _exp("v2ada_512_custom", 16, 0.5, group=8),
    _exp("v2ada_512_afhqcat", 64, 0.5, group=8),
    _exp("v2ada_1024_metfaces", 32, 2, ema=10),
    _exp("v3_r_32_custom", 16, 6.6),
    *(_exp(name, 16, 1) for name in ("v3_r_128_custom", "v3_r_256_custom", "v3_t_256_custom", "v3_s_256_custom")),
    *(_exp(name, 32, 16.4) for name in ("v3_t_512_afhqv2", "v3_r_512_afhqv2")),
    *(_exp(name, 32, 6.6) for name in ("v3_t_1024_ffhq", "v3_t_1024_metfaces", "v3_r_1024_ffhq")),
)

OFFICIAL = tuple(recipe.name for recipe in _OFFICIAL)
PREDECESSOR = tuple(recipe.name for recipe in _PREDECESSOR)


def get_recipe(name: str) -> Recipe:
    """The recipe of that name. Raises ConfigError that lists the nearest names and all names."""
    if name in CONFIGS:
        return Recipe(name, CONFIGS[name].family, CONFIGS[name].init_kwargs)
    recipes = {recipe.name: recipe for recipe in (*_OFFICIAL, *_PREDECESSOR)}
    if name in recipes:
        return recipes[name]
    known = (*CONFIGS, *recipes)
    near = difflib.get_close_matches(name, known)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ConfigError(f"unknown configuration {name!r}: {hint}Known: {', '.join(known)}")
