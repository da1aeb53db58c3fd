"""`python -m ncnn_builder doctor a.param b.param --data x.npz`: the arguments of pairs, and what is printed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..doctor.options import Options
from ..errors import BuildError, NcnnBuilderError
from .data import Pixels, read_samples
from .net_files import read_net_files, runtime
from .pair import examine
from .pair_text import COLUMNS, as_json, conclusion, row

EQUAL, DIFFERENT = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of pairs of files."""
    parser.add_argument(
        "nets",
        metavar="NET.param",
        type=Path,
        nargs="*",
        help="in place of --model: two nets, the first of which is right, or one, which --options are tried on;"
        " their .bin beside them",
    )
    add_data(parser)


def add_data(parser: argparse.ArgumentParser, **more: Any) -> None:
    parser.add_argument(
        "--data",
        metavar="DATA",
        help="of nets as files: FILE.npz with an array for each input, of its shape or with an axis for samples"
        " before it; a folder of such files, of .npy files or of pictures; MODULE:FUNCTION, which returns samples; or"
        " BUNDLE.json of a StyleGAN, whose seeds are samples of its synthesis",
        **more,
    )
    for name, default, what in (("mean", "0", "subtracted from"), ("norm", "0.0039215687", "then multiplied with")):
        parser.add_argument(
            f"--{name}",
            metavar="N[,N,N]",
            type=_numbers,
            default=_numbers(default),
            help=f"{what} the pixels of pictures, which are 0 to 255; one number or one a channel; default {default}",
        )
    parser.add_argument("--bgr", action="store_true", help="pictures go in as blue, green, red")


def pixels_of(arguments: argparse.Namespace) -> Pixels:
    return Pixels(arguments.mean, arguments.norm, arguments.bgr)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(word) for word in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(abs(n) < 1e9 for n in found):
        raise argparse.ArgumentTypeError(f"{text!r} is not like 123.7,116.3,103.5")
    return found


def run_pair(arguments: argparse.Namespace) -> int:
    """Returns 0 where they are equal, else 1. Raises NcnnBuilderError for bad input."""
    if len(arguments.nets) > 2:
        raise BuildError("too many nets", expected="one or two", got=len(arguments.nets))
    if len(arguments.nets) == 1 and not arguments.options:
        raise BuildError(
            "one net, and nothing to compare it with", fix="Give a second net, or --options, as in --options fp16"
        )
    if not arguments.data:
        raise BuildError("no data", argument="--data", fix="FILE.npz, a folder, or MODULE:FUNCTION")
    options = Options.parse(arguments.options)
    a = read_net_files(arguments.nets[0])
    b = read_net_files(arguments.nets[1]) if len(arguments.nets) == 2 else a
    samples = read_samples(a, arguments.data, pixels_of(arguments))
    try:
        found = examine(a, b, samples, options, arguments.tolerance)
    except runtime().NcnnError as error:
        raise NcnnBuilderError(f"{a.path} cannot be run: {error}") from None
    if arguments.json:
        print(json.dumps(as_json(found), indent=1))
        return EQUAL if found.equal else DIFFERENT
    print(COLUMNS)
    print(*(row(result, found.tolerance) for result in found.layers), sep="\n")
    print(conclusion(found))
    return EQUAL if found.equal else DIFFERENT
