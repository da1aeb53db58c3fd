"""Which generator a state_dict belongs to: what shapes can tell, and the keywords that give such shapes."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from stylegan._torch import Tensor
from stylegan.checkpoints import xl
from stylegan.errors import CheckpointError

MARKS = {"v2ada": "synthesis.b4.conv1.weight", "v3": "synthesis.input.freqs"}
"""A key that the state_dict of every generator of the family has, and of no other."""

ROSINALITY = "conv1.conv.modulation.weight"
"""Likewise of rosinality's stylegan2-pytorch, whose tensors stylegan.checkpoints.rosinality converts."""

FOREIGN = {
    r"(^|\.)(S|G|SE|GE)\.(net|blocks|initial_block)": "lucidrains' stylegan2-pytorch, whose generator is another "
    "network: two convolutions with a bilinear upsampling in a block, and noise of its own for each channel",
    r"(^|\.)synthesis\.layer\d+\.(conv\.|style\.|weight)": "genforce or a kin of it, whose layers have other names and "
    "shapes than the official ones",
    r"(^|\.)progression\.\d+\.conv": "rosinality's style-based-gan-pytorch, which is StyleGAN1: its styles are "
    "instance norms",
}
"""A pattern of a key that generators have which none of ours can carry, and what they are."""

State = Mapping[str, Tensor]


def marked(keys: Iterable[str]) -> list[tuple[str, str]]:
    """(layout, prefix) of each generator among the names of tensors. layout: a family, or "rosinality"."""
    keys = list(keys)
    if _foreign(keys) is not None:
        return []
    marks = {**MARKS, "rosinality": ROSINALITY}
    return [
        (layout, key.removesuffix(mark))
        for key in keys
        for layout, mark in marks.items()
        if key == mark or key.endswith("." + mark)
    ]


def _foreign(keys: Iterable[str]) -> str | None:
    return next((what for key in keys for mark, what in FOREIGN.items() if re.search(mark, key)), None)


def why_not(keys: Collection[str]) -> str | None:
    """One sentence about names of tensors of which `marked` finds no generator's; None where there are none."""
    foreign = _foreign(keys)
    if foreign is not None:
        return f"a generator of {foreign}"
    if any(re.search(r"(^|\.)(b4\.conv1\.weight|input\.freqs)$", key) for key in keys):
        return ALONE
    if any(re.search(r"(^|\.)b4\.out\.weight$", key) for key in keys):
        return "a discriminator, which makes no pictures"
    if keys and all(re.match(r"(\w+\.)?(mapping\.)?(fc\d|embed|w_avg)", key) for key in keys):
        return "a mapping network alone: it makes styles, and no pictures of them"
    some = ", ".join(list(keys)[:3])
    marks = " nor ".join(MARKS.values())
    return f"no StyleGAN generator: neither {marks} is among its {len(keys)} tensors ({some}...)" if keys else None


ALONE = (
    "a synthesis network alone: no seed makes a picture of it without the mapping network that it was trained with; "
    "save the whole generator's state_dict()"
)


def family_of(state: State) -> str:
    """The family of the state_dict's generator. Raises CheckpointError where it is no generator's."""
    found = next((layout for layout, prefix in marked(state) if not prefix and layout in MARKS), None)
    if found is None:
        raise CheckpointError(why_not(state) or "no StyleGAN generator: it has no tensors")
    return found


def infer(state: State) -> tuple[str, dict[str, Any]]:
    """(family, init_kwargs) of a generator with such a state_dict.

    Shapes do not tell everything: conv_clamp is taken to be 256, activations, gains and StyleGAN3's constants to be
    the official ones. Raises CheckpointError where a key is missing or no official numbers give the shapes.
    """
    family = family_of(state)
    if not any(key.startswith("mapping.") for key in state):
        raise CheckpointError(ALONE)
    top, mapping = _mapping(state)
    return (family, _v2ada(state, top, mapping)) if family == "v2ada" else (family, _v3(state, top, mapping))


def _shape(state: State, key: str, dims: int) -> list[int]:
    if key not in state or state[key].ndim != dims or 0 in state[key].shape:
        got = list(state[key].shape) if key in state else "none"
        raise CheckpointError(f"cannot tell its init_kwargs: expected {key} with {dims} dimensions, got {got}")
    return list(state[key].shape)


def _indices(state: State, pattern: str) -> list[int]:
    """The numbers that keys have in the pattern's group, sorted."""
    return sorted({int(found[1]) for key in state if (found := re.match(pattern, key)) and len(found[1]) < 6})


def _mapping(state: State) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sizes z_dim, c_dim, w_dim; and mapping_kwargs."""
    layers = _indices(state, r"mapping\.fc(\d+)\.")
    if "mapping.embed_proj.weight" in state:
        return xl.mapping(state, len(layers), _shape)
    embed, c_dim = _shape(state, "mapping.embed.weight", 2) if "mapping.embed.weight" in state else (0, 0)
    if layers:
        first = _shape(state, "mapping.fc0.weight", 2)
        w_dim = _shape(state, f"mapping.fc{layers[-1]}.weight", 2)[0]
    else:
        w_dim = _shape(state, "mapping.w_avg", 1)[0]
        first = [w_dim, w_dim]
    kwargs: dict[str, Any] = {"num_layers": len(layers)}
    if len(layers) > 1 and first[0] != w_dim:
        kwargs["layer_features"] = first[0]
    if c_dim and embed != w_dim:
        kwargs["embed_features"] = embed
    if "mapping.w_avg" not in state:
        kwargs["w_avg_beta"] = None
    return {"z_dim": first[1] - embed, "c_dim": c_dim, "w_dim": w_dim}, kwargs


def _v2ada(state: State, top: dict[str, Any], mapping: dict[str, Any]) -> dict[str, Any]:
    sizes = _indices(state, r"synthesis\.b(\d+)\.")
    conv = {res: _shape(state, f"synthesis.b{res}.conv1.weight", 4) for res in sizes}
    last = sizes[-1]
    img_channels = _shape(state, f"synthesis.b{last}.torgb.weight", 4)[0]
    base, most = _channels({res: shape[0] for res, shape in conv.items()}, lambda base, res: base // res, _floor)
    kwargs: dict[str, Any] = {"channel_base": base, "channel_max": most, "conv_clamp": 256}
    if len(sizes) > 1 and "synthesis.b4.torgb.weight" not in state:
        kwargs["architecture"] = "resnet" if f"synthesis.b{last}.skip.weight" in state else "orig"
    if "synthesis.b4.conv1.noise_strength" not in state:
        kwargs["use_noise"] = False
    first = _shape(state, "synthesis.b4.const", 3)[1:]
    if first != [4, 4]:
        kwargs["init_res"] = first
    if conv[4][2] != 3:
        kwargs["kernel_size"] = conv[4][2]
    taps = _taps(state, f"synthesis.b{last}.resample_filter")
    if taps is not None:
        kwargs["resample_filter"] = taps
    return {
        **top,
        "img_resolution": last,
        "img_channels": img_channels,
        "mapping_kwargs": mapping,
        "synthesis_kwargs": kwargs,
    }


def _taps(state: State, key: str) -> list[Any] | None:
    """Of a filter that is not the usual one: a row, of which the file may have the outer product, or a square."""
    f = state.get(key)
    if f is None or f.ndim not in (1, 2) or 0 in f.shape or len(f) > 64:
        return None
    taps = f.sum(dim=1) if f.ndim == 2 else f
    if f.ndim == 2 and (f.shape[0] != f.shape[1] or (f - taps[:, None] * taps).abs().max() > 1e-3 * f.abs().max()):
        square: list[Any] = f.tolist()
        return square
    usual = len(taps) == 4 and (taps * 8 - taps.new_tensor([1, 3, 3, 1])).abs().max() < 0.01
    return None if usual else [round(float(tap), 9) for tap in taps]


def _v3(state: State, top: dict[str, Any], mapping: dict[str, Any]) -> dict[str, Any]:
    names = {m[1]: m for key in state if (m := re.match(r"synthesis\.(L(\d{1,3})_(\d{1,6})_(\d{1,6}))\.weight$", key))}
    layers = sorted(((int(m[2]), int(m[3]), int(m[4]), name) for name, m in names.items()), key=lambda row: row[0])
    if len(layers) < 3:
        raise CheckpointError(f"cannot tell its init_kwargs: expected layers synthesis.L0_... to L14_..., got {layers}")
    if [i for i, *_ in layers] != list(range(len(layers))):  # the fork leaves a number out behind a stem
        found = xl.synthesis(layers, _channels, state, _kinds(state, layers[0][3]))
        return {**top, "mapping_kwargs": mapping, **found}
    num_layers, resolution, img_channels, _ = layers[-1]
    square = layers[0][1] * 2 - 20 not in (16, 32, 64)  # else a half of a sampling rate with two margins of 10
    if not square:  # names have the width
        resolution *= 2
    if resolution < 8 or num_layers < 3:
        raise CheckpointError(f"cannot tell its init_kwargs: {layers[-1][3]} is of no official resolution")

    def cutoff(i: int) -> float:  # as SynthesisNetwork with its default constants
        return float(2 * (resolution / 2 / 2) ** min(i / (num_layers - 2), 1))

    base, most = _channels(
        {i: channels for i, _, channels, _ in layers[:-1]},
        lambda base, i: round(base / 2 / cutoff(i)),
        lambda c, i: (math.ceil(2 * cutoff(i) * (c - 0.5)), math.floor(2 * cutoff(i) * (c + 0.5))),
    )
    kwargs: dict[str, Any] = {"channel_base": base, "channel_max": most}
    if not square:
        kwargs["square"] = False
    if num_layers != 14:
        kwargs["num_layers"] = num_layers
    kwargs |= _kinds(state, layers[0][3])
    return {**top, "img_resolution": resolution, "img_channels": img_channels, "mapping_kwargs": mapping, **kwargs}


def _kinds(state: State, first: str) -> dict[str, Any]:
    """What tells configuration R from T."""
    kwargs: dict[str, Any] = {}
    kernel = _shape(state, f"synthesis.{first}.weight", 4)[2]
    if kernel != 3:
        kwargs["conv_kernel"] = kernel
    if any(key.endswith("down_filter") and value.ndim == 2 for key, value in state.items()):
        kwargs["use_radial_filters"] = True
    return kwargs


def _floor(channels: int, res: int) -> tuple[int, int]:
    """The smallest and largest channel_base that `base // res` makes `channels` of."""
    return channels * res, (channels + 1) * res - 1


def _channels(channels: dict[int, int], count: Any, bounds: Any) -> tuple[int, int]:
    """channel_base and channel_max that give these channels: of several bases 32768, else a power of two.

    count(base, key): the channels before the limit; bounds(channels, key): the bases that give that many.
    """
    most = max(channels.values())
    low, high = 1, 2**31
    for key, n in channels.items():
        first, last = bounds(n, key)
        low, high = max(low, first), high if n == most else min(high, last)
    for base in (32768, 1 << (low - 1).bit_length(), low, low + 1):
        if low <= base <= high and all(min(count(base, key), most) == n for key, n in channels.items()):
            return base, most
    raise CheckpointError(
        f"cannot tell its init_kwargs: no channel_base and channel_max give the channels {list(channels.values())}"
    )


def discriminator(state: State) -> dict[str, Any]:
    """Fields of the training's settings that give a discriminator such tensors. Raises CheckpointError."""
    sizes = [res for res in _indices(state, r"b(\d+)\.conv0\.weight$") if res > 4]
    end = _shape(state, "b4.conv.weight", 4)
    channels = {4: end[0], **{res: _shape(state, f"b{res}.conv0.weight", 4)[0] for res in sizes}}
    base, most = _channels(channels, lambda base, res: base // res, _floor)
    if sizes and f"b{sizes[0]}.skip.weight" in state:
        architecture = "resnet"
    else:
        architecture = "skip" if "b4.fromrgb.weight" in state else "orig"
    found = {"d_architecture": architecture, "d_channel_base": base, "d_channel_max": most}
    return found if end[1] > end[0] else {**found, "mbstd_group": 0}
