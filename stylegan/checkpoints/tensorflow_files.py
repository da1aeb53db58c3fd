"""Generators of the official TensorFlow code, StyleGAN2 and StyleGAN2-ADA, as ours.

A file is a pickle of three networks, G, D and Gs (the averaged G), each with its keywords, variables of its own, and
those of its components `mapping` and `synthesis`. Their source, which is there too, is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from stylegan._torch import Tensor, torch
from stylegan.checkpoints.official import is_name, plain
from stylegan.checkpoints.pickle_values import Stray
from stylegan.checkpoints.torch_files import Array
from stylegan.errors import CheckpointError
from stylegan.networks.functional import setup_filter

_OLDEST = 4
"""The version of the networks' format that has all keywords; StyleGAN1's is older."""

# TensorFlow's keyword -> ours and the default; the third entry is what None means.
_TOP = {
    "latent_size": ("z_dim", 512),
    "label_size": ("c_dim", 0),
    "dlatent_size": ("w_dim", 512),
    "resolution": ("img_resolution", 1024),
    "num_channels": ("img_channels", 3),
}
_MAPPING = {
    "mapping_layers": ("num_layers", 8),
    "label_fmaps": ("embed_features", None),
    "mapping_fmaps": ("layer_features", None),
    "mapping_nonlinearity": ("activation", "lrelu"),
    "mapping_lrmul": ("lr_multiplier", 0.01),
    "w_avg_beta": ("w_avg_beta", 0.995),
}
_SYNTHESIS = {
    "fmap_base": ("channel_base", 16384),
    "fmap_max": ("channel_max", 512),
    "num_fp16_res": ("num_fp16_res", 0),
    "conv_clamp": ("conv_clamp", None),
    "architecture": ("architecture", "skip"),
    "resample_kernel": ("resample_filter", [1, 3, 3, 1]),
    "use_noise": ("use_noise", True),
    "nonlinearity": ("activation", "lrelu"),
}
_IDLE = ("truncation_psi", "truncation_cutoff", "style_mixing_prob", "structure", "conditioning", "fused_modconv")
"""Keywords of training and of drawing, which make no other network."""

_DENSE: dict[str, Callable[[Any], Any]] = {"weight": lambda w: w.transpose(), "bias": lambda b: b}
_PARTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "weight": ("weight", lambda w: w.transpose(3, 2, 0, 1)),
    "mod_weight": ("affine.weight", lambda w: w.transpose()),
    "mod_bias": ("affine.bias", lambda b: b + 1),
    "bias": ("bias", lambda b: b),
    "noise_strength": ("noise_strength", lambda s: s),
}
_LAYERS = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb", "Skip": "skip"}


def converted(network: Stray, size: int) -> tuple[dict[str, Any], dict[str, Tensor], list[str]]:
    """Keywords of v2ada.Generator, its state_dict, and notes. size: the bytes of the file. Raises CheckpointError."""
    state = network.content
    version = state.get("version")
    if type(version) is not int or version < _OLDEST:
        shown = version if type(version) is int else "unknown"
        raise CheckpointError(
            f"a TensorFlow network of format {shown}, as StyleGAN and Progressive GAN have it: only StyleGAN2 and "
            f"StyleGAN2-ADA (format {_OLDEST} and newer) can be read"
        )
    kwargs, idle = _keywords(plain(state.get("static_kwargs", {}), "static_kwargs"))
    arrays = _variables(network)
    if sum(array.nbytes for array in arrays.values()) > size:
        raise CheckpointError(f"its variables overlap and hold more than the file's {size} bytes")
    tensors = _state(arrays, kwargs)
    notes = ["converted from TensorFlow"]
    if idle:
        notes.append(f"keywords that change no network are left out: {', '.join(idle)}")
    return kwargs, tensors, notes


def discriminator(network: Stray, size: int) -> dict[str, Tensor]:
    """The discriminator's weights under our names, without the filters. size: the bytes of the file."""
    arrays = _variables(network)
    if sum(array.nbytes for array in arrays.values()) > size:
        raise CheckpointError(f"its variables overlap and hold more than the file's {size} bytes")
    layers = {"FromRGB": "fromrgb", "Conv0": "conv0", "Conv1_down": "conv1", "Skip": "skip", "Conv": "conv"}
    state = {}
    for name, value in arrays.items():
        dense = value.transpose() if value.ndim == 2 else value
        if found := re.fullmatch(r"(\d{1,5})x\1/(\w+)/(weight|bias)", name):
            layer = layers.get(found[2], "fc" if found[2] == "Dense0" else "")
            if layer:
                new = value.transpose(3, 2, 0, 1) if value.ndim == 4 else dense
                state[f"b{found[1]}.{layer}.{found[3]}"] = new
        elif found := re.fullmatch(r"(?:(LabelEmbed)|Mapping(\d{1,2}))/(weight|bias)", name):
            state[f"mapping.{'embed' if found[1] else f'fc{found[2]}'}.{found[3]}"] = dense
        elif found := re.fullmatch(r"Output/(weight|bias)", name):
            state[f"b4.out.{found[1]}"] = dense
    return _tensors(state)


def _tensors(state: dict[str, Any]) -> dict[str, Tensor]:
    return {key: torch.from_numpy(np.array(value, np.float32, order="C")) for key, value in state.items()}


def _keywords(said: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    unknown = sorted(key for key in said if key not in (*_TOP, *_MAPPING, *_SYNTHESIS, *_IDLE))
    if unknown:
        raise CheckpointError(
            f"a TensorFlow network with the keyword {unknown[0]}, which StyleGAN2's have not: "
            "it is of another architecture, such as StyleGAN2's configurations A to D or a comparison method"
        )

    def ours(table: dict[str, tuple[str, Any]]) -> dict[str, Any]:
        return {name: said.get(key, default) for key, (name, default) in table.items()}

    top, mapping, synthesis = ours(_TOP), ours(_MAPPING), ours(_SYNTHESIS)
    if type(synthesis["channel_base"]) is int:
        synthesis["channel_base"] *= 2  # counted from half the resolution there
    if synthesis["resample_filter"] is None:
        synthesis["resample_filter"] = [1]
    kwargs = {**top, "mapping_kwargs": mapping, "synthesis_kwargs": synthesis}
    return kwargs, [key for key in _IDLE if said.get(key) is not None]


def _variables(network: Stray) -> dict[str, np.ndarray[Any, Any]]:
    """Of the network and, behind their names, of its components."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    pending, seen = [("", network)], set[int]()
    while pending:
        path, part = pending.pop()
        if id(part) in seen or len(seen) > 100 or len(found) > 10_000:
            raise CheckpointError("a TensorFlow network whose components hold each other, or too many")
        seen.add(id(part))
        variables, components = part.content.get("variables"), part.content.get("components", {})
        if not isinstance(variables, list) or not isinstance(components, dict):
            raise CheckpointError("a TensorFlow network without its variables")
        for entry in variables:
            good = isinstance(entry, (tuple, list)) and len(entry) == 2 and is_name(entry[0])
            if not good:
                raise CheckpointError("a TensorFlow network whose variables are not names and arrays")
            if isinstance(entry[1], Array) and entry[1].value.dtype.kind in "fiu":
                found[path + entry[0]] = entry[1].value
            elif type(entry[1]) in (int, float):
                found[path + entry[0]] = np.asarray(entry[1], np.float64)
        pending += [
            (f"{path}{name}/", inner)
            for name, inner in components.items()
            if is_name(name) and isinstance(inner, Stray)
        ]
    return found


def _state(arrays: dict[str, np.ndarray[Any, Any]], kwargs: dict[str, Any]) -> dict[str, Tensor]:
    state: dict[str, Any] = {}
    resolution = kwargs["img_resolution"]
    for name, value in arrays.items():
        try:
            new = _converted(name, value, resolution)
        except (ValueError, IndexError):
            raise CheckpointError(f"a TensorFlow network whose variable {name} is {list(value.shape)}") from None
        if new is not None:
            state[new[0]] = new[1]
    if any(re.match(r"synthesis/ToRGB_lod", name) for name in arrays):
        kwargs["synthesis_kwargs"]["architecture"] = "orig"
    tensors = _tensors(state)
    kernel = kwargs["synthesis_kwargs"]["resample_filter"]
    try:
        taps = setup_filter([float(tap) for tap in kernel])
    except (TypeError, ValueError):
        raise CheckpointError(f"a TensorFlow network with the resample_kernel {kernel!r}"[:200]) from None
    for name in list(tensors):
        if match := re.match(r"(synthesis\.b\d+)\.(conv[01]|skip)\.weight$", name):
            tensors[f"{match[1]}.resample_filter"] = taps.clone()
            tensors[f"{match[1]}.{match[2]}.resample_filter"] = taps.clone()
    return tensors


def _converted(name: str, value: Any, resolution: Any) -> tuple[str, Any] | None:
    """Our name of a variable, and its numbers in torch's order; None for what is no part of a generator of ours."""
    if name == "dlatent_avg":
        return "mapping.w_avg", value
    if found := re.fullmatch(r"mapping/Dense(\d{1,3})/(weight|bias)", name):
        return f"mapping.fc{found[1]}.{found[2]}", _DENSE[found[2]](value)
    if found := re.fullmatch(r"mapping/LabelEmbed/(weight|bias)", name):
        return f"mapping.embed.{found[1]}", _DENSE[found[1]](value)
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const", value[0]
    if found := re.fullmatch(r"synthesis/noise(\d{1,3})", name):
        index = int(found[1])
        return f"synthesis.b{4 << min((index + 1) // 2, 20)}.conv{(index + 1) % 2}.noise_const", value[0, 0]
    if found := re.fullmatch(r"synthesis/ToRGB_lod(\d{1,2})/(\w+)", name):
        name = f"synthesis/{resolution >> int(found[1])}x{resolution >> int(found[1])}/ToRGB/{found[2]}"
    if found := re.fullmatch(r"synthesis/(\d{1,5})x\1/(\w+)/(\w+)", name):
        layer, part = _LAYERS.get(found[2]), _PARTS.get(found[3])
        if layer and part:
            if found[2] in ("Conv0_up", "Skip") and part[0] == "weight":
                value = value[::-1, ::-1]  # TensorFlow's transposed convolution turns its kernel round
            return f"synthesis.b{int(found[1])}.{layer}.{part[0]}", part[1](value)
    return None
