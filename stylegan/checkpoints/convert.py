"""A checkpoint of any kind as a safetensors file, or as an official .pkl."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import ncnn_builder as nb
from stylegan._torch import Tensor
from stylegan.checkpoints import checkpoint, official_files, readers
from stylegan.checkpoints.pickle_values import Refused
from stylegan.errors import CheckpointError, NetworkMissing

LARGEST_HALF = 65504.0


def convert(
    source: str,
    out: Path,
    which: str = "G_ema",
    sha256: str | None = None,
    weights: str = "fp32",
    change: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None,
) -> tuple[str, ...]:
    """Write one network of a checkpoint, file or URL, as a safetensors file: its state_dict. Returns the notes on it.

    weights: one of ncnn_builder.STORAGES. "fp16" rounds to half precision, for a file of half the size; tensors with
    numbers that it does not hold stay float32. Whoever reads the file computes in float32. change: what is made of the
    state_dict first, if anything.
    The metadata holds family and init_kwargs, so that the file alone makes the network. It is written only when the
    network could be built of it; equal input gives equal bytes. Raises CheckpointError, PackageMissing and
    ncnn_builder.EmitError; nothing is written then.
    """
    if out.suffix.lower() != ".safetensors":
        raise CheckpointError(f"cannot convert to {out}: expected a name that ends in .safetensors")
    found = checkpoint.load(source, which, sha256)
    network = checkpoint.build_generator(found.family, found.init_kwargs, found.state, found.source)
    changed = network.state_dict() if change is None else change(network.state_dict())
    state = {key: _stored(value, weights) for key, value in changed.items()}
    nb.write_files({out: [readers.safetensors_bytes(found.family, found.init_kwargs, state)]})
    return found.notes


def _stored(value: Tensor, weights: str) -> Tensor:
    fits = weights == "fp16" and float(value.abs().max()) <= LARGEST_HALF
    return value.half() if fits else value


def convert_to_pkl(source: str, out: Path, sha256: str | None = None) -> tuple[str, ...]:
    """Write all networks of a checkpoint as a .pkl that the official code reads. Returns the notes on it.

    A file with one generator gives G and G_ema alike; without a discriminator of the official kind, that of the .pkl
    begins anew where it is read. Raises CheckpointError, also for networks that the official code has not, and
    ncnn_builder.EmitError; nothing is written then.
    """
    _check_pkl(out)
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise CheckpointError(f"cannot convert to {out}: it is the checkpoint itself: choose another name")
    try:
        found = checkpoint.load(source, "G_ema", sha256)
        raw = _or_none(source, "G", sha256)
    except NetworkMissing:
        found, raw = checkpoint.load(source, "G", sha256), None
    network = checkpoint.build_generator(found.family, found.init_kwargs, found.state, found.source)
    G = found if raw is None else raw
    checkpoint.build_generator(G.family, G.init_kwargs, G.state, G.source)
    states = {"G": {key: G.state[key] for key in network.state_dict()}, "G_ema": network.state_dict()}
    notes = write_pkl(out, official_files.Networks(found.family, found.init_kwargs, **states, D=_discriminator(source)))
    return (*found.notes, *notes)


def write_pkl(out: Path, networks: official_files.Networks) -> tuple[str, ...]:
    """Whole or not at all. Returns the notes on it; raises as convert_to_pkl()."""
    _check_pkl(out)
    data, notes = official_files.pkl_bytes(networks)
    nb.write_files({out: [data]})
    return notes


def _check_pkl(out: Path) -> None:
    if out.suffix.lower() != ".pkl":
        raise CheckpointError(f"cannot convert to {out}: expected a name that ends in .pkl")


def _or_none(source: str, which: str, sha256: str | None) -> checkpoint.Checkpoint | None:
    try:
        return checkpoint.load(source, which, sha256)
    except NetworkMissing:
        return None


def _discriminator(source: str) -> Mapping[str, Tensor] | None:
    path = Path(source)
    if source.lower().startswith(("http://", "https://")):
        from stylegan.checkpoints import download

        path = download.cached(source)
    try:
        return readers.read_discriminator(path.read_bytes()) or None
    except Refused as error:
        raise CheckpointError(f"checkpoint {source}: its discriminator cannot be read: {error}") from None
