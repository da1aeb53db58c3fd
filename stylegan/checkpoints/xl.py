"""What the tensors of a StyleGAN-XL generator tell of its networks: which of them say it is nowhere in its files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from stylegan._torch import Tensor
from stylegan.errors import CheckpointError
from stylegan.networks import v3
from stylegan.networks.v3_stages import UP_FACTORS, Layer, layers_of

CRITICAL, MARGIN = 2, 10
TOLERANCE = 2e-3
_OFFICIAL = (CRITICAL, 2.0, 2**2.1, 2**0.3, MARGIN)
"""num_critical, first_cutoff, first_stopband, last_stopband_rel, margin_size: no file of the fork has others."""


def mapping(
    state: Mapping[str, Tensor], num_layers: int, shape: Callable[[Mapping[str, Tensor], str, int], list[int]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sizes z_dim, c_dim, w_dim; and mapping_kwargs. Raises CheckpointError."""
    embeddings, features = shape(state, "mapping.embed.weight", 2)
    c_dim, w_dim = shape(state, "mapping.w_avg", 2)
    z_dim = shape(state, "mapping.embed_proj.weight", 2)[0]
    kwargs = {"num_layers": num_layers, "embed_features": features, "embeddings": embeddings}
    return {"z_dim": z_dim, "c_dim": c_dim, "w_dim": w_dim}, kwargs


def synthesis(
    layers: Sequence[tuple[int, int, int, str]],
    channels: Callable[..., tuple[int, int]],
    state: Mapping[str, Tensor],
    kinds: Mapping[str, Any],
) -> dict[str, Any]:
    """img_resolution, img_channels and keywords of a network with such layers: (number, size, channels, name) of each.

    Numbers and sizes stand in the names: those stems and heads are looked for that give the same, and the channels and
    filters that are there. kinds: further keywords. Raises CheckpointError where none does.
    """
    resolution, img_channels = layers[-1][1], layers[-1][2]
    wanted = [(number, size) for number, size, *_ in layers]
    num_layers = next(i for i, (number, _) in enumerate(wanted) if number != i) + CRITICAL
    names = [name for *_, name in layers]
    for heads in _chains(wanted, resolution, num_layers):
        made = _layers(resolution, num_layers, heads)
        try:
            base, most = channels(*_bounds(made, [n for _, _, n, _ in layers]))
        except CheckpointError:
            continue
        found = {"num_layers": num_layers, "heads": [list(head) for head in heads], **kinds}
        network = v3.SynthesisNetwork(1, resolution, 1, channel_base=1 << 30, channel_max=1, **found)
        if all(_same(network, own, name, state) for own, name in zip(network.layer_names, names, strict=True)):
            sizes = {"img_resolution": resolution, "img_channels": img_channels}
            return {**sizes, "channel_base": base, "channel_max": most, **found}
    raise CheckpointError(f"cannot tell its init_kwargs: no stem and heads of StyleGAN-XL give the layers {names}")


def _same(network: v3.SynthesisNetwork, own: str, name: str, state: Mapping[str, Tensor]) -> bool:
    """Whether a layer has the filters of another; files without filters have all."""
    for kind in ("up_filter", "down_filter"):
        there, ours = state.get(f"synthesis.{name}.{kind}"), getattr(getattr(network, own), kind)
        if there is None or ours is None:
            if there is not None:
                return False
        elif there.shape != ours.shape or not (there - ours).abs().max() <= TOLERANCE * ours.abs().max():
            return False
    return True


def _layers(resolution: int, num_layers: int, heads: Sequence[Sequence[int]]) -> list[Layer]:
    """With channels that are no network's."""
    return layers_of(resolution, 1, 1 << 30, 1, num_layers, *_OFFICIAL, heads)


def _chains(wanted: list[tuple[int, int]], resolution: int, num_layers: int) -> Iterator[list[tuple[int, int]]]:
    """The heads that give just these numbers and sizes: what begins otherwise is not gone on with."""

    def grown(size: int, heads: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
        try:
            made = _layers(size, num_layers, heads)
        except ValueError:
            return
        if size == resolution:
            if heads and [(layer.index, layer.after.size) for layer in made] == wanted:
                yield heads
            return
        kept = [(layer.index, layer.after.size) for layer in made if not layer.critical]
        if kept != wanted[: len(kept)]:
            return
        for up in UP_FACTORS:
            if size * up <= resolution:
                for count in range(CRITICAL + 1, len(wanted) - len(kept)):
                    yield from grown(size * up, [*heads, (up, count)])

    size = 4
    while size < resolution:
        yield from grown(size, [])
        size *= 2


def _bounds(made: Sequence[Layer], there: Sequence[int]) -> tuple[Any, Any, Any]:
    """What infer's _channels() takes. A head's first layer has the channels of what it stands on."""
    own = [i for i, layer in enumerate(made[:-1]) if i == 0 or layer.before != layer.after]
    cutoffs = [layer.after.cutoff for layer in made]

    def count(base: int, i: int) -> int:
        return round(base / 2 / cutoffs[i])

    def bounds(n: int, i: int) -> tuple[int, int]:
        return math.ceil(2 * cutoffs[i] * (n - 0.5)), math.floor(2 * cutoffs[i] * (n + 0.5))

    return {i: there[i] for i in own}, count, bounds
