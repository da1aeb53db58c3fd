"""A training on disk: safetensors files, nothing of which is executed, each written whole or not at all."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ncnn_builder as nb
from stylegan._torch import Tensor, safetensors_torch
from stylegan.checkpoints import readers
from stylegan.errors import TrainingError
from stylegan.training.settings import TrainSettings
from stylegan.training.trainer import Trainer

STATE = "training-state.safetensors"
METADATA = "stylegan-training"


@dataclass(frozen=True)
class Saved:
    """tensors: Trainer.state(). number, seen: the steps and the pictures so far. asked, named: what it was to do."""

    tensors: Mapping[str, Tensor]
    number: int
    seen: int
    family: str
    init_kwargs: Mapping[str, Any]
    asked: Mapping[str, Any]
    named: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def asked_of(trainer: Trainer, data: str) -> dict[str, Any]:
    """What must be the same where a training goes on; data: a hash of the pictures."""
    return {"data": data, **dataclasses.asdict(trainer.settings)}


def write_state(folder: Path, trainer: Trainer, data: str, named: Mapping[str, Any] | None = None) -> None:
    """All that goes on, as STATE in the folder. Raises ncnn_builder.EmitError, PackageMissing.

    named: what the command line named that is neither network nor setting: cfg, mirror, cond.
    """
    said = {
        "number": trainer.number,
        "seen": trainer.seen,
        "family": trainer.family,
        "init_kwargs": trainer.init_kwargs,
        "asked": asked_of(trainer, data),
        "named": dict(named or {}),
    }
    content = safetensors_torch().save(trainer.state(), {METADATA: json.dumps(said, sort_keys=True)})
    nb.write_files({folder / STATE: [content]})


def network_bytes(trainer: Trainer) -> bytes:
    """The averaged generator as a checkpoint that every command of this package reads."""
    return readers.safetensors_bytes(trainer.family, trainer.init_kwargs, trainer.G_ema.state_dict())


def is_state(path: Path) -> bool:
    """Whether write_state() wrote it, from its first bytes."""
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return False
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return METADATA.encode() in file.read(min(length, 2**24))


def read_state(path: Path) -> Saved:
    """Raises TrainingError for a file that write_state() did not write, PackageMissing."""
    load = safetensors_torch().load
    try:
        return Saved(tensors=load(path.read_bytes()), **_said(path))
    except Exception as error:  # the reader raises many kinds on a damaged file
        raise _unreadable(path, error) from None


def head(path: Path) -> dict[str, Any]:
    """The fields of Saved but for tensors, which are not read. Raises TrainingError as read_state()."""
    try:
        return _said(path)
    except Exception as error:
        raise _unreadable(path, error) from None


def _said(path: Path) -> dict[str, Any]:
    """What write_state() said of the tensors, which are not read."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(min(length, path.stat().st_size)))  # of a damaged file it may be any number
    said: dict[str, Any] = json.loads(header["__metadata__"][METADATA])
    return said


def _unreadable(path: Path, error: Exception) -> TrainingError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return TrainingError(f"state of a training {path}: it cannot be read: {reason}")


def settings_of(asked: Mapping[str, Any], changes: Mapping[str, Any], processes: int) -> TrainSettings:
    """The settings of a training that was saved, but for those that somebody names now: resume() compares them.

    Raises TrainingError where so many processes cannot go on with them.
    """
    try:
        settings = TrainSettings(**{**{key: value for key, value in asked.items() if key != "data"}, **changes})
    except TypeError as error:
        raise TrainingError(f"{STATE}: it is of another version of this program: {error}") from None
    settings.check(processes)
    return settings


def resume(trainer: Trainer, path: Path, data: str) -> None:
    """Put what was saved into the trainer. Raises TrainingError where it was asked for something else."""
    saved = read_state(path)
    now = {**asked_of(trainer, data), "family": trainer.family, "init_kwargs": trainer.init_kwargs}
    there = {**saved.asked, "family": saved.family, "init_kwargs": saved.init_kwargs}
    other = [
        f"{key} is {there.get(key)} there and {now.get(key)} now"
        for key in {**now, **there}
        if _plain(there.get(key)) != _plain(now.get(key))
    ]
    if other:
        raise TrainingError(f"{path}: the training there is another: {'; '.join(other)}. Choose another --out")
    try:
        trainer.load_state(saved.tensors, saved.number, saved.seen)
    except (KeyError, ValueError) as error:
        raise TrainingError(f"{path}: it is damaged: {error}") from None


def _plain(value: Any) -> Any:
    """As it comes back from JSON."""
    return json.loads(json.dumps(value))
