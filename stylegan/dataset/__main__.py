"""A data set of any pictures: `python -m stylegan.dataset photos cats.zip --resolution 256x256 --crop center`."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ncnn_builder.strangers import printable
from runtime import stopping
from stylegan import command_line
from stylegan.dataset.convert import CROPS, LABELS, Report, Settings, convert
from stylegan.dataset.sets import open_source
from stylegan.dataset.verify import verify
from stylegan.errors import DatasetError

MOST_LINES = 50
_OF_A_CONVERSION = ("resolution", "crop", "labels", "channels", "max_size", "ray")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stylegan.dataset",
        description="Make a data set for training: PNG files of one size, and dataset.json where there are labels. "
        "Pictures that cannot be read are left out and listed at the end.",
    )
    parser.add_argument(
        "source",
        metavar="IN",
        help="a folder, with all folders in it, or a zip of pictures; or CIFAR's cifar-10-python.tar.gz, MNIST's "
        "train-images-idx3-ubyte.gz, LSUN's folder with data.mdb, by what is in them",
    )
    parser.add_argument("out", nargs="?", metavar="OUT.zip|DIR", type=Path, help="a zip, or a new folder")
    parser.add_argument("--resolution", metavar="WxH", help="such as 256x256; without it the pictures have to fit")
    parser.add_argument(
        "--crop",
        choices=CROPS,
        help="of pictures that are not square, center takes the middle; center-wide of a WxH wider than high, which "
        "goes between black bars into a square; rectangle takes the middle of any WxH, for a network that makes such",
    )
    parser.add_argument(
        "--labels",
        default="auto",
        choices=LABELS,
        help="auto: those of IN's dataset.json; folders: a class for each folder in IN (default %(default)s)",
    )
    parser.add_argument(
        "--channels", type=int, metavar="N", help="1 grey, 3 colour, 4 with alpha (default: 1 if all are grey, else 3)"
    )
    parser.add_argument("--max-size", type=int, metavar="N", help="only the first N pictures")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes (default: the cores of this machine, or with --ray of the cluster)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="convert on a Ray cluster: auto for the one that is there, HOST:PORT, local for one of this machine; IN "
        "and OUT have to be the same places on all its machines",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="of a data set, IN: reads all of it, and says what is wrong, with exit status 1: a number or a label "
        "without a picture, a picture that cannot be read or is of another size, a file of no picture",
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    return parser


def _resolution(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,5})[x*]([0-9]{1,5})", text.strip().lower())
    if found is None:
        raise DatasetError(f"--resolution {text}: expected WIDTHxHEIGHT, such as 256x256")
    return int(found[1]), int(found[2])


def _tell(report: Report) -> None:
    for fault, phrases in (
        ("left out, as they cannot be used", report.left_out),
        ("changed to the kind of the others", report.changed),
    ):
        if phrases:
            sys.stderr.write(f"stylegan.dataset: {len(phrases)} pictures {fault}:\n  " + "\n  ".join(phrases) + "\n")


def _work(args: argparse.Namespace) -> int:
    if args.workers is not None and args.workers < 1:
        raise DatasetError(f"--workers {args.workers}: expected 1 or more")
    if args.verify:
        return _verify(args)
    if args.out is None:
        raise DatasetError("OUT is missing: expected IN and OUT.zip, or a folder")
    _convert(args)
    return 0


def _verify(args: argparse.Namespace) -> int:
    others = {"out", *_OF_A_CONVERSION}
    given = [name for name, value in vars(args).items() if name in others and value != _parser().get_default(name)]
    if given:
        raise DatasetError(f"--verify takes a data set alone, not {given[0].replace('_', '-')}")
    sentence, faults = verify(args.source, args.workers or os.cpu_count() or 1, args.quiet)
    if not faults:
        print(printable(f"{args.source}  {sentence}"))
        return 0
    more = [f"and {len(faults) - MOST_LINES} more"] if len(faults) > MOST_LINES else []
    head = f"{args.source}  {len(faults)} {'fault' if len(faults) == 1 else 'faults'}:"
    print(printable("\n".join([head, *faults[:MOST_LINES], *more])))
    return 1


def _convert(args: argparse.Namespace) -> None:
    settings = Settings(_resolution(args.resolution), args.crop, args.channels, args.labels, args.max_size)
    workers = args.workers if args.ray is not None else args.workers or os.cpu_count() or 1
    report = convert(open_source(args.source), args.out, settings, workers, args.quiet, args.ray)
    _tell(report)
    width, height = report.resolution
    shape = f"{width}x{height}, {report.channels} channels"
    print(f"{args.out}  {report.count} pictures of {shape}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, 1 where --verify finds faults, or 2 after one message for anything
    the user can mend."""
    args = _parser().parse_args(argv)
    if argv is None:
        stopping.unwind_on_sigterm()
    return command_line.exit_code("stylegan.dataset", lambda: _work(args))


if __name__ == "__main__":
    sys.exit(main())
