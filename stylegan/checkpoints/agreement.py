"""Whether a checkpoint is of the configuration that the user named."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from stylegan.networks import v2ada, v2ada_layers, v3, v3_layers
from stylegan.networks.configs import Config

_CLASSES: dict[str, tuple[type, ...]] = {
    "v2ada": (v2ada_layers.SynthesisLayer, v2ada.SynthesisBlock, v2ada.SynthesisNetwork),
    "v3": (v3_layers.SynthesisLayer, v3.SynthesisNetwork),
}
"""Where a family's synthesis keywords have their defaults; the later class wins."""

_MAPPINGS: dict[str, type] = {"v2ada": v2ada.MappingNetwork, "v3": v3.MappingNetwork}
_TOP = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
_IDLE = ("num_fp16_res", "use_fp16", "fp16_channels_last", "channels_last", "w_avg_beta", "magnitude_ema_beta", "up")
"""Keywords that change no picture in fp32, and the one that a network sets itself."""


def contradictions(config: Config, family: str, init_kwargs: Mapping[str, Any]) -> list[str]:
    """What the checkpoint says otherwise than the configuration, each as one phrase that shows both.

    Keywords left out have their defaults; different channel_base and channel_max are none where they give the same
    channels.
    """
    if family != config.family:
        return [_phrase("family", family, config.family)]
    ours, theirs = _effective(family, config.init_kwargs), _effective(family, init_kwargs)
    return [
        _phrase(key, theirs.get(key), ours.get(key))
        for key in sorted({*ours, *theirs})
        if _comparable(theirs.get(key)) != _comparable(ours.get(key))
    ]


def _phrase(key: str, checkpoint: Any, config: Any) -> str:
    shown = " ".join(str(checkpoint).split())[:100]
    return f"{key} is {shown} in the checkpoint and {config} in the configuration"


def _comparable(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _defaults(owner: type) -> dict[str, Any]:
    parameters = inspect.signature(owner).parameters.items()
    return {key: parameter.default for key, parameter in parameters if parameter.default is not parameter.empty}


def _effective(family: str, init_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Every keyword that changes the picture, with the defaults filled in; channels in place of their formula."""
    said = {key: init_kwargs.get(key) for key in _TOP}
    synthesis = {key: value for key, value in init_kwargs.items() if key not in (*_TOP, "mapping_kwargs")}
    synthesis |= synthesis.pop("synthesis_kwargs", None) or {}
    for owner in _CLASSES[family]:
        said |= _defaults(owner)
    said |= synthesis
    mapping = _defaults(_MAPPINGS[family]) | dict(init_kwargs.get("mapping_kwargs") or {})
    if not said["c_dim"]:
        mapping.pop("embed_features", None)
    for key in ("embed_features", "layer_features"):
        if key in mapping and mapping[key] is None:
            mapping[key] = said["w_dim"]
    said |= {f"mapping_kwargs.{key}": value for key, value in mapping.items()}
    base, most = said.pop("channel_base"), said.pop("channel_max")
    said["channels (channel_base, channel_max)"] = _Channels(base, most, said["img_resolution"])
    return {key: value for key, value in said.items() if key.rpartition(".")[2] not in _IDLE}


class _Channels:
    """channel_base and channel_max at a resolution; equal to others that give the same channels.

    In both families a layer for details of 1 / f of the picture has about base / f channels, at most channel_max; f
    goes up to the resolution. So the base matters as far as channel_max does not cut it, and the other way round.
    """

    def __init__(self, base: Any, most: Any, resolution: Any) -> None:
        self.base, self.most, self.resolution = base, most, resolution

    def channels(self) -> list[Any]:
        try:
            sizes = [2**i for i in range(2, int(self.resolution).bit_length())]
            return [min(self.base // size, self.most) for size in sizes]
        except (TypeError, ValueError, OverflowError):
            return [self.base, self.most]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Channels) and self.channels() == other.channels()

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"{self.base}, {self.most}"
