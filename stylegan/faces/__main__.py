"""A data set of drawn faces: `python -m stylegan.faces OUT.zip --count 10000 --resolution 64`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from runtime import stopping
from stylegan import command_line
from stylegan.dataset.archive import encoded, writing
from stylegan.errors import DatasetError
from stylegan.faces.drawing import draw
from stylegan.faces.parameters import EARS, parameters

_LARGEST = {"count": 100_000_000, "resolution": 4096, "seed": 2**63}  # the first: names have eight digits


def write(out: Path, count: int, resolution: int, seed: int = 0, labels: bool = False, quiet: bool = True) -> None:
    """Write the faces 0 to count - 1 of a seed as a data set, OUT.zip or a folder.

    labels: with classes, the kind of ears (of EARS). Equal arguments give equal bytes. Raises DatasetError.
    """
    for name, value, least in (("count", count, 1), ("resolution", resolution, 4), ("seed", seed, 0)):
        if not least <= value <= _LARGEST[name]:
            raise DatasetError(f"--{name} {value}: expected {least} to {_LARGEST[name]}")
    with writing(out) as archive:
        for index in tqdm(range(count), desc=out.name, unit="face", disable=quiet or None):
            stopping.check_stop()
            face = parameters(index, seed)
            archive.add(encoded(draw(face, resolution)), face.label if labels else None)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stylegan.faces",
        description="Draw a data set of animal faces, for training without data of one's own. Shape, pose and colour "
        "vary independently of each other.",
    )
    parser.add_argument("out", metavar="OUT.zip|DIR", type=Path, help="a zip, or a new folder")
    parser.add_argument("--count", type=int, default=10000, metavar="N", help="default %(default)s")
    parser.add_argument("--resolution", type=int, default=64, metavar="N", help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="other faces (default %(default)s)")
    kinds = ", ".join(f"{number} {name}" for number, name in enumerate(EARS))
    parser.add_argument("--labels", action="store_true", help=f"with the kind of ears as the class: {kinds}")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 2 after one message for anything the user can mend."""
    args = _parser().parse_args(argv)
    if argv is None:
        stopping.unwind_on_sigterm()

    def work() -> None:
        write(args.out, args.count, args.resolution, args.seed, args.labels, args.quiet)
        print(f"{args.out}  {args.count} pictures of {args.resolution}x{args.resolution}")

    return command_line.exit_code("stylegan.faces", work)


if __name__ == "__main__":
    sys.exit(main())
