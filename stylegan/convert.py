"""Convert a checkpoint of any kind to safetensors: `python -m stylegan.convert afhqcat.pkl afhqcat.safetensors`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import ncnn_builder as nb
from stylegan import command_line
from stylegan.errors import CheckpointError
from stylegan.networks.configs import WHICH

if TYPE_CHECKING:
    from stylegan._torch import Tensor


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
    from stylegan.checkpoints import checkpoint, readers

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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stylegan.convert",
        description="Convert the generator of a checkpoint to a .safetensors file that holds its init_kwargs too. "
        "Nothing in the checkpoint is executed.",
    )
    parser.add_argument(
        "source",
        metavar="IN",
        help="file or http(s) URL: .pkl, .pt, .pth, .safetensors or another of docs/checkpoints.md",
    )
    parser.add_argument("out", metavar="OUT.safetensors", type=Path)
    parser.add_argument(
        "--which", default="G_ema", choices=WHICH, help="network of a file with several (default %(default)s)"
    )
    parser.add_argument("--sha256", metavar="HEX", help="what the sha256 of IN must be")
    parser.add_argument(
        "--weights", default="fp32", choices=nb.STORAGES, help="fp16 halves the file (default %(default)s)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 2 after one message for anything the user can mend."""
    args = _parser().parse_args(argv)

    def work() -> None:
        for note in convert(args.source, args.out, args.which, args.sha256, args.weights):
            print(f"{args.source}: {note}")
        print(f"{args.out}  {args.out.stat().st_size / 1e6:.1f} MB")

    return command_line.exit_code("stylegan.convert", work)


if __name__ == "__main__":
    sys.exit(main())
