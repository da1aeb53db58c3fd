"""Convert a checkpoint of any kind to safetensors: `python -m stylegan.convert afhqcat.pkl afhqcat.safetensors`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import ncnn_builder as nb
from stylegan import command_line
from stylegan.networks.configs import WHICH


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
        from stylegan.checkpoints.convert import convert

        for note in convert(args.source, args.out, args.which, args.sha256, args.weights):
            print(f"{args.source}: {note}")
        print(f"{args.out}  {args.out.stat().st_size / 1e6:.1f} MB")

    return command_line.exit_code("stylegan.convert", work)


if __name__ == "__main__":
    sys.exit(main())
