"""`--cfg` of the official train.py by name: its figures, written down here, beside what a training of ours does."""

from __future__ import annotations

from typing import Any

import pytest

from stylegan.errors import ConfigError
from stylegan.training.recipes import OFFICIAL, get_recipe
from stylegan.training.settings import default_settings, discriminator_kwargs, generator_kwargs

# Of stylegan2-ada-pytorch's train.py, main branch: cfg, resolution, processes -> batch, at once, group of the minibatch
# standard deviation, channel_base, rate, gamma, ema_kimg, ema_rampup, layers of the mapping, kimg. Those of `auto`
# follow from its formulas, worked out by hand.
STYLEGAN2 = {
    ("auto", 32, 1): (32, 32, 4, 16384, 0.0025, 0.0064, 10, 0.05, 2, 25000),
    ("auto", 128, 4): (64, 16, 4, 16384, 0.0025, 0.0512, 20, 0.05, 2, 25000),
    ("auto", 256, 1): (16, 16, 4, 16384, 0.0025, 0.8192, 5, 0.05, 2, 25000),
    ("auto", 512, 8): (64, 8, 4, 32768, 0.0025, 0.8192, 20, 0.05, 2, 25000),
    ("auto", 1024, 1): (4, 4, 4, 32768, 0.002, 52.4288, 1.25, 0.05, 2, 25000),
    ("auto", 1024, 8): (32, 4, 4, 32768, 0.002, 6.5536, 10, 0.05, 2, 25000),
    ("stylegan2", 1024, 8): (32, 4, 4, 32768, 0.002, 10, 10, None, 8, 25000),
    ("paper256", 256, 8): (64, 8, 8, 16384, 0.0025, 1, 20, None, 8, 25000),
    ("paper512", 512, 8): (64, 8, 8, 32768, 0.0025, 0.5, 20, None, 8, 25000),
    ("paper1024", 1024, 8): (32, 4, 4, 32768, 0.002, 2, 10, None, 8, 25000),
    ("cifar", 32, 2): (64, 32, 32, 32768, 0.0025, 0.01, 500, 0.05, 2, 100000),
}

# Of stylegan3's train.py with --gpus 8 --batch 32: channel_base, channel_max, sigma and kimg of the blur; a gamma has
# to be given there, and is that of the authors' table for the resolution.
STYLEGAN3 = {
    ("stylegan3-t", 256): (32768, 512, 0, 0, 2),
    ("stylegan3-t", 1024): (32768, 512, 0, 0, 32),
    ("stylegan3-r", 512): (65536, 1024, 10, 200, 8),
}


def built(name: str, resolution: int, processes: int, **named: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Settings, and the keywords of both networks, as `stylegan.train --cfg` makes them."""
    recipe = get_recipe(name)
    kwargs = {**recipe.network(resolution, 3), "c_dim": 0}
    settings = default_settings(recipe.family, kwargs, processes, **recipe.changes(named, processes))
    return settings, *(make(recipe.family, kwargs, settings) for make in (generator_kwargs, discriminator_kwargs))


def test_every_official_figure() -> None:
    assert {name for name, *_ in (*STYLEGAN2, *STYLEGAN3)} == set(OFFICIAL)
    for (name, resolution, processes), want in STYLEGAN2.items():
        s, G, D = built(name, resolution, processes)
        synthesis = G["synthesis_kwargs"]
        got = (
            *(s.batch, s.batch_gpu, s.group, synthesis["channel_base"], s.g_lr, s.gamma, s.ema_kimg, s.ema_rampup),
            *(G["mapping_kwargs"]["num_layers"], get_recipe(name).kimg),
        )
        assert got == pytest.approx(want), (name, resolution)
        assert s.d_lr == s.g_lr and s.g_betas == s.d_betas == (0, 0.99)
        assert (s.g_reg_interval, s.d_reg_interval) == (4, 16)
        cifar = name == "cifar"
        assert (s.pl_weight, s.style_mixing_prob) == ((0, 0) if cifar else (2, 0.9))
        assert D["architecture"] == ("orig" if cifar else "resnet")
        assert (D["channel_base"], D["channel_max"]) == (synthesis["channel_base"], 512)
        assert synthesis["channel_max"] == 512
        assert synthesis["conv_clamp"] == D["conv_clamp"] == 256
        assert synthesis["num_fp16_res"] == D["num_fp16_res"] == 4
        assert D["epilogue_kwargs"] == {"mbstd_group_size": s.group}
        assert G["z_dim"] == G["w_dim"] == 512 and not get_recipe(name).mirror
        assert (s.aug, s.aug_pipe, s.ada_target, s.ada_kimg) == ("ada", "bgc", 0.6, 500)
    for (name, resolution), (base, most, sigma, fade, gamma) in STYLEGAN3.items():
        s, G, D = built(name, resolution, 8)
        assert (s.batch, s.batch_gpu, s.group, s.gamma, s.g_lr, s.d_lr) == (32, 4, 4, gamma, 0.0025, 0.002)
        assert (s.ema_kimg, s.ema_rampup, s.blur_init_sigma, s.blur_fade_kimg) == (10, 0.05, sigma, fade)
        assert (s.pl_weight, s.style_mixing_prob, G["mapping_kwargs"]["num_layers"]) == (0, 0, 2)
        assert (G["channel_base"], G["channel_max"], D["channel_base"], D["channel_max"]) == (base, most, 32768, 512)
        radial = name == "stylegan3-r"
        assert (G.get("conv_kernel", 3), G.get("use_radial_filters", False)) == ((1, True) if radial else (3, False))
        assert (s.aug, s.aug_pipe, s.ada_target, s.ada_kimg) == ("ada", "bgc", 0.6, 500)


def test_what_is_named_takes_the_place_of_the_recipes() -> None:
    """As there: a batch is spread over the processes, gamma stays; with more or fewer of these a process has another
    share at once; weights to begin with turn the blur, the ramp and ADA's patience off."""
    assert built("paper256", 256, 1, batch=12)[0].batch_gpu == 6
    assert built("paper256", 256, 16)[0].batch_gpu == 4
    assert built("stylegan2", 512, 1, gamma=3.0)[0].gamma == 3
    recipe = get_recipe("stylegan3-r")
    s = default_settings("v3", recipe.network(512, 3), 1, True)
    assert (s.blur_init_sigma, s.ema_rampup, s.ada_kimg) == (0, None, 100)
    for near, name in (("stylegan3_t", "stylegan3-t"), ("paper265", "paper256"), ("cifar10", "cifar")):
        with pytest.raises(ConfigError, match=f"did you mean .*{name}"):
            get_recipe(near)
