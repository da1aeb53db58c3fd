"""The keywords of generators of forks, as our generators take them: what they change is carried, or refused."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from stylegan.errors import CheckpointError
from stylegan.networks import class_mapping, v2ada, v2ada_layers, v3, v3_layers

_CLASSES: dict[str, tuple[type, ...]] = {
    "v2ada": (v2ada.SynthesisNetwork, v2ada.SynthesisBlock, v2ada_layers.SynthesisLayer),
    "v3": (v3.SynthesisNetwork, v3_layers.SynthesisLayer),
}
_MAPPINGS: dict[str, tuple[type, ...]] = {
    "v2ada": (v2ada.MappingNetwork,),
    "v3": (v3.MappingNetwork, class_mapping.ClassMapping),
}

_ANY = "any"
_IDLE: dict[str, Any] = {
    # of training: which weights are left as they are, and how long it went on
    "freeze_layers": _ANY,
    "freeze_embed": _ANY,
    "trainable": _ANY,
    "epochs": _ANY,
    # ways to compute the same
    "fused_modconv": _ANY,
    "fused_modconv_default": _ANY,
    "force_fp32": _ANY,
    "verbose": _ANY,
    "class_name": _ANY,
    # of several pictures in one frame, and of a frame of another size than the network's
    "countHW": [1, 1],
    "latmask": None,
    "size": None,
    "splitfine": _ANY,
    "scale_type": _ANY,
}
"""Keywords of forks that change no picture, at any value or at this one."""


def settled(family: str, said: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The keywords without those that change nothing, and the names of these.

    said: top keywords, mapping_kwargs, synthesis_kwargs (v2ada) or the synthesis network's own among the top ones.
    Raises CheckpointError for one that is not known: what it changes cannot be told.
    """
    idle: list[str] = []

    def kept(keywords: Mapping[str, Any], owners: tuple[type, ...], also: tuple[str, ...] = ()) -> dict[str, Any]:
        known = {*also, *(name for owner in owners for name in inspect.signature(owner).parameters)}
        good = {}
        for name, value in keywords.items():
            if name in known:
                good[name] = value
            elif name in _IDLE and _IDLE[name] in (_ANY, value):
                idle.append(name)
            else:
                shown = " ".join(str(value).split())[:60]
                raise CheckpointError(
                    f"its init_kwargs build no generator: the keyword {name[:60]} = {shown} is not of the official "
                    "code, and what it changes is not known here"
                )
        return good

    top = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
    new: dict[str, Any] = {name: said[name] for name in top if name in said}
    new["mapping_kwargs"] = kept(said.get("mapping_kwargs") or {}, _MAPPINGS[family])
    rest = {name: value for name, value in said.items() if name not in (*top, "mapping_kwargs", "synthesis_kwargs")}
    rest |= said.get("synthesis_kwargs") or {}
    if family == "v2ada" and type(rest.get("square")) is bool:  # StyleGAN-Human's word
        rest["init_res"] = [4, 4] if rest.pop("square") else [4, 2]
    synthesis = kept(rest, _CLASSES[family])
    new |= {"synthesis_kwargs": synthesis} if family == "v2ada" else synthesis
    return new, list(dict.fromkeys(idle))
