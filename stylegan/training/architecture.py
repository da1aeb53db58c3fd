"""The networks of a training: of a configuration or a checkpoint, changed as the command line says."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylegan._torch import Tensor
from stylegan.checkpoints import infer
from stylegan.errors import CheckpointError
from stylegan.training import saved, starting
from stylegan.training.recipes import Recipe

OF_D = ("d_architecture", "d_channel_base", "d_channel_max", "mbstd_group")


def of_checkpoint(path: str) -> tuple[Recipe, tuple[str, ...]]:
    """The networks in a file as a recipe; and what is to be said of them, such as what was assumed.

    The discriminator is told from its tensors. Raises StyleganError.
    """
    if saved.is_state(Path(path)):
        head = saved.head(Path(path))
        settings = {key: head["asked"][key] for key in OF_D if key in head["asked"]}
        return Recipe("", head["family"], head["init_kwargs"], settings), ()
    loaded = starting.load_one(path)
    settings = _of_discriminator(starting.discriminator(path))
    return Recipe("", loaded.family, loaded.init_kwargs, settings), loaded.notes


def _of_discriminator(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Settings that build a discriminator with such a state_dict; none where there is none, or another kind."""
    try:
        return infer.discriminator(state) if state else {}
    except CheckpointError:  # starting.load() says what fits and what begins anew
        return {}


def changed(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    """The recipe with other networks. options: those of options.ARCHITECTURE that were given."""
    kwargs, settings = dict(recipe.init_kwargs), dict(recipe.settings)
    v3 = recipe.family == "v3"
    synthesis = kwargs if v3 else dict(kwargs.get("synthesis_kwargs") or {})
    share = 2 if v3 and kwargs.get("use_radial_filters") else 1
    for option, key in (("cbase", "channel_base"), ("cmax", "channel_max")):
        if option in options:
            synthesis[key] = options[option] * share
            settings.pop(f"d_{key}", None)
    if not v3:
        kwargs["synthesis_kwargs"] = synthesis
    for option, key in (("z_dim",) * 2, ("w_dim",) * 2, ("resolution", "img_resolution"), ("channels", "img_channels")):
        if option in options:
            kwargs[key] = options[option]
    if "map_depth" in options:
        kwargs["mapping_kwargs"] = {**(kwargs.get("mapping_kwargs") or {}), "num_layers": options["map_depth"]}
    return dataclasses.replace(recipe, init_kwargs=kwargs, settings=settings)
