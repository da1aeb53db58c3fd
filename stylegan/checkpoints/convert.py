"""A checkpoint of any kind as a safetensors file."""

from __future__ import annotations

from pathlib import Path

import ncnn_builder as nb
from stylegan._torch import Tensor
from stylegan.checkpoints import checkpoint, readers
from stylegan.errors import CheckpointError

LARGEST_HALF = 65504.0


def convert(
    source: str, out: Path, which: str = "G_ema", sha256: str | None = None, weights: str = "fp32"
) -> tuple[str, ...]:
    """Write one network of a checkpoint, file or URL, as a safetensors file: its state_dict. Returns the notes on it.

    weights: one of ncnn_builder.STORAGES. "fp16" rounds to half precision, for a file of half the size; tensors with
    numbers that it does not hold stay float32. Whoever reads the file computes in float32.
    The metadata holds family and init_kwargs, so that the file alone makes the network. It is written only when the
    network could be built of it; equal input gives equal bytes. Raises CheckpointError, PackageMissing and
    ncnn_builder.EmitError; nothing is written then.
    """
    if out.suffix.lower() != ".safetensors":
        raise CheckpointError(f"cannot convert to {out}: expected a name that ends in .safetensors")
    found = checkpoint.load(source, which, sha256)
    network = checkpoint.build_generator(found.family, found.init_kwargs, found.state, found.source)
    state = {key: _stored(value, weights) for key, value in network.state_dict().items()}
    nb.write_files({out: [readers.safetensors_bytes(found.family, found.init_kwargs, state)]})
    return found.notes


def _stored(value: Tensor, weights: str) -> Tensor:
    fits = weights == "fp16" and float(value.abs().max()) <= LARGEST_HALF
    return value.half() if fits else value
