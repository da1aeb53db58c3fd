"""Convert a checkpoint of any kind: `python -m stylegan.convert afhqcat.pkl afhqcat.safetensors`, and back to .pkl."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import ncnn_builder as nb
from stylegan import command_line
from stylegan.errors import CheckpointError
from stylegan.networks.configs import WHICH

if TYPE_CHECKING:
    from torch import Tensor


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stylegan.convert",
        description="Convert the generator of a checkpoint to a .safetensors file that holds its init_kwargs too, or "
        "all networks of a checkpoint, or of a training of ours, to a .pkl that the official code reads. Nothing in "
        "the checkpoint is executed.",
    )
    parser.add_argument(
        "source",
        metavar="IN",
        help="file or http(s) URL: .pkl, .pt, .pth, .safetensors or another of docs/checkpoints.md",
    )
    parser.add_argument("out", metavar="OUT", type=Path, help="a name that ends in .safetensors or .pkl")
    parser.add_argument(
        "--to",
        choices=("safetensors", "pkl"),
        help="pkl: for stylegan2-ada-pytorch and stylegan3, of whose checkout it takes the code (default: what OUT "
        "ends in)",
    )
    parser.add_argument(
        "--which", default="G_ema", choices=WHICH, help="network of a file with several (default %(default)s)"
    )
    parser.add_argument(
        "--delta", metavar="FILE", type=Path, help="what stylegan.project --tune added to the weights of IN"
    )
    parser.add_argument("--sha256", metavar="HEX", help="what the sha256 of IN must be")
    parser.add_argument(
        "--weights", default="fp32", choices=nb.STORAGES, help="fp16 halves the file (default %(default)s)"
    )
    return parser


def _to_safetensors(args: argparse.Namespace) -> tuple[str, ...]:
    from stylegan.checkpoints.convert import convert

    return convert(args.source, args.out, args.which, args.sha256, args.weights, _change(args))


def _change(args: argparse.Namespace) -> Callable[[dict[str, Tensor]], dict[str, Tensor]] | None:
    if args.delta is None:
        return None
    from stylegan.projector.tuning import added, read_delta

    return lambda state: added(state, read_delta(args.delta, state))


def _to_pkl(args: argparse.Namespace) -> tuple[str, ...]:
    if args.delta is not None:
        raise CheckpointError(f"--delta {args.delta}: it is added to one network: convert to .safetensors first")
    for name, value, usual in (("--which", args.which, "G_ema"), ("--weights", args.weights, "fp32")):
        if value != usual:
            raise CheckpointError(f"{name} {value}: a .pkl has all networks, in fp32: leave it out")
    from stylegan.checkpoints.convert import convert_to_pkl, write_pkl
    from stylegan.checkpoints.official_files import Networks
    from stylegan.training import saved

    path = Path(args.source)
    if not saved.is_state(path):
        return convert_to_pkl(args.source, args.out, args.sha256)
    if args.sha256 is not None:
        raise CheckpointError("--sha256: it is about a checkpoint, and this is the state of a training")
    state = saved.read_state(path)
    parts = {
        name: {key[len(name) + 1 :]: value for key, value in state.tensors.items() if key.startswith(f"{name}/")}
        for name in ("G", "G_ema", "D")
    }
    return write_pkl(args.out, Networks(state.family, state.init_kwargs, **parts))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 2 after one message for anything the user can mend."""
    args = _parser().parse_args(argv)

    def work() -> None:
        kind = args.to or ("pkl" if args.out.suffix.lower() == ".pkl" else "safetensors")
        for note in _to_pkl(args) if kind == "pkl" else _to_safetensors(args):
            print(f"{args.source}: {note}")
        print(f"{args.out}  {args.out.stat().st_size / 1e6:.1f} MB")

    return command_line.exit_code("stylegan.convert", work)


if __name__ == "__main__":
    sys.exit(main())
