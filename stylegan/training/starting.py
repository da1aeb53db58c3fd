"""The weights that a training begins with."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from stylegan._torch import Tensor, nn
from stylegan.checkpoints import agreement, checkpoint, readers
from stylegan.checkpoints.pickle_values import Refused
from stylegan.errors import CheckpointError, NetworkMissing
from stylegan.networks.configs import Config
from stylegan.training import saved
from stylegan.training.trainer import Trainer

ADVICE = "Give the --cfg that the checkpoint is of, or another --ckpt"
FILTERS = "_filter"
"""The end of the names of filters, which follow from a network's resolution: another's do not belong into it."""
BUILT = ("noise_const", "transform", "freqs", "phases")
"""Ends of the names of what else is not trained: where nothing but this fits, nothing does."""


def load(trainer: Trainer, config: Config, path: str) -> str:
    """Put the networks of a checkpoint into the trainer; what came of them, as one sentence.

    path: the state of a training, an official .pkl, a predecessor's .pth, or any file with a generator, whose
    discriminator begins anew. A network of another resolution or width gives those weights whose name and shape are the
    same; the others begin anew, and the sentence names them. Raises CheckpointError for another family, for damage, and
    where nothing fits.
    """
    config = dataclasses.replace(config, init_kwargs=trainer.init_kwargs)  # with the labels of the data
    parts = _of_state(path, config) if saved.is_state(Path(path)) else _of_networks(path, config)
    said = [
        _put(name, network, weights, Path(path).name)
        for name, network, weights in zip(NAMES, (trainer.G, trainer.G_ema, trainer.D), parts, strict=True)
    ]
    return "; ".join(filter(None, (said[0], said[2])))


NAMES = ("the generator", "its average", "the discriminator")
Parts = tuple[Mapping[str, Tensor], Mapping[str, Tensor], Mapping[str, Tensor]]
"""States of G, G_ema and D, the last one empty where there is none."""


def _of_state(path: str, config: Config) -> Parts:
    state = saved.read_state(Path(path))
    _refuse_another_family(path, config, state.family, state.init_kwargs)
    G, G_ema, D = (
        {key.removeprefix(f"{name}/"): value for key, value in state.tensors.items() if key.startswith(f"{name}/")}
        for name in ("G", "G_ema", "D")
    )
    return G, G_ema, D


def load_one(path: str) -> checkpoint.Checkpoint:
    """The averaged generator of a file, or the only one. Raises StyleganError."""
    try:
        return checkpoint.load(path, "G_ema")
    except NetworkMissing:
        return checkpoint.load(path, "G")


def _of_networks(path: str, config: Config) -> Parts:
    try:
        G_ema = checkpoint.load_whatever(config, path, "G_ema")
    except NetworkMissing:  # a file of one network, which is both
        G = G_ema = checkpoint.load_whatever(config, path, "G")
    else:
        try:
            G = checkpoint.load_whatever(config, path, "G")
        except NetworkMissing:
            G = G_ema
    for loaded in (G, G_ema):
        _refuse_another_family(path, config, loaded.family, loaded.init_kwargs)
    return G.state, G_ema.state, discriminator(path)


def _refuse_another_family(path: str, config: Config, family: str, init_kwargs: Mapping[str, object]) -> None:
    if family != config.family:
        faults = "; ".join(agreement.contradictions(config, family, init_kwargs))
        raise CheckpointError(f"checkpoint {path} is not of configuration {config.name}: {faults}. {ADVICE}")


def _put(name: str, network: nn.Module, weights: Mapping[str, Tensor], source: str) -> str:
    """What fits into the network, by name and shape; what came of it, as a phrase."""
    if not weights:
        return f"{name} begins anew: the checkpoint has none"
    own = {key: value for key, value in network.state_dict().items() if not key.endswith(FILTERS)}
    fits = {key: weights[key] for key in own if key in weights and weights[key].shape == own[key].shape}
    if not any(not key.endswith(BUILT) for key in fits):
        raise CheckpointError(f"checkpoint {source}: nothing of {name} fits, by name and shape. {ADVICE}")
    # The check of the numbers is checkpoint's; the parameters themselves stay those that the optimiser holds.
    checkpoint.load_into(copy.deepcopy(network).cpu(), {**_on_cpu(network), **fits}, source)
    network.load_state_dict(fits, strict=False)
    anew = [key for key in own if key not in fits]
    if not anew:
        return f"{name} is of the checkpoint"
    left = ", ".join(anew)
    return f"{name} is of the checkpoint as far as it fits, {len(fits)} of {len(own)} tensors; these begin anew: {left}"


def _on_cpu(network: nn.Module) -> dict[str, Tensor]:
    return {key: value.cpu() for key, value in network.state_dict().items()}


def discriminator(path: str) -> Mapping[str, Tensor]:
    """Its state_dict in a file, empty where that has none."""
    local = Path(path)
    if path.lower().startswith(("http://", "https://")):
        from stylegan.checkpoints import download

        local = download.cached(path)
    try:
        return readers.read_discriminator(local.read_bytes()) or {}
    except Refused as error:
        raise CheckpointError(f"checkpoint {path}: its discriminator cannot be read: {error}") from None
