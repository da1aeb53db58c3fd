"""The weights that a training begins with."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from stylegan import checkpoint, readers
from stylegan._torch import Tensor
from stylegan.configs import Config
from stylegan.errors import CheckpointError
from stylegan.pickles import Refused
from stylegan.training import saved
from stylegan.training.trainer import Trainer

ADVICE = "Give the --cfg that the checkpoint is of, or another --ckpt"


def load(trainer: Trainer, config: Config, path: str) -> str:
    """Put the networks of a checkpoint into the trainer; what came of the discriminator, as one sentence.

    path: the state of a training, an official .pkl, or any file with a generator, whose discriminator begins anew.
    Raises CheckpointError.
    """
    config = dataclasses.replace(config, init_kwargs=trainer.init_kwargs)  # with the labels of the data
    if saved.is_state(Path(path)):
        state = saved.read_state(Path(path))
        parts: list[Mapping[str, Tensor]] = [
            {key.removeprefix(f"{name}/"): value for key, value in state.tensors.items() if key.startswith(f"{name}/")}
            for name in ("G", "G_ema", "D")
        ]
        G, G_ema, D = parts
    else:
        G, G_ema = (checkpoint.load_for(config, path, which, advice=ADVICE).state for which in ("G", "G_ema"))
        D = _discriminator(path)
    for network, weights in ((trainer.G, G), (trainer.G_ema, G_ema), (trainer.D, D)):
        if weights:  # the check puts them into the network itself, whose parameters the optimiser holds
            checkpoint.load_into(copy.deepcopy(network).cpu(), weights, Path(path).name)
    trainer.load_networks(G, G_ema, D or None)
    return f"the discriminator {'is of the checkpoint' if D else 'begins anew: the checkpoint has none'}"


def _discriminator(path: str) -> Mapping[str, Tensor]:
    """Empty where the file has none."""
    local = Path(path)
    if path.lower().startswith(("http://", "https://")):
        from stylegan import download

        local = download.cached(path)
    if local.suffix.lower() != ".pkl":
        return {}
    try:
        return readers.read_discriminator(local.read_bytes()) or {}
    except Refused as error:
        raise CheckpointError(f"checkpoint {path}: its discriminator cannot be read: {error}") from None
