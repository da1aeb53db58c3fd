"""`python -m ncnn_builder quantize` and `verify`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import BuildError, NcnnBuilderError
from .bundle import quantize_bundle
from .calibrate import METHODS
from .doctor_cli import add_data, pixels_of
from .forms import FORMS
from .net_files import runtime
from .quantise import quantize_net
from .verify import verify
from .wish import AIMS


def add_parsers(commands: Any, positive: Any) -> None:
    """The commands, of ``python -m ncnn_builder``. positive: reads a number of at least 1."""
    p = commands.add_parser(
        "quantize",
        help="fewer bits for each layer, under a budget of error, with a certificate",
        description="Choose for each layer fp32, weights of fp16, weights from a table of 256 numbers, or int8, so that"
        " the whole net's error, measured on data that the choice did not see, keeps the budget. Writes OUT.param,"
        " OUT.bin, OUT.json (the certificate) and OUT.html.",
        epilog="Exit codes: 0 written; 2 bad input, or nothing reaches the budget: nothing is written.",
    )
    p.add_argument(
        "param",
        metavar="NET.param",
        type=Path,
        help="in full precision; NET.bin beside it. Or BUNDLE.json of a StyleGAN: its synthesis, in a bundle OUT",
    )
    add_data(p)
    p.add_argument("--out", metavar="OUT", type=Path, required=True, help="name of the files, without suffix")
    p.add_argument(
        "--budget",
        metavar="LIMIT",
        default="psnr=40",
        help="psnr=40 (default), sqnr=30, max=1e-2, relative=1e-2, cosine=0.999 or metric=module:function:drop=0.5;"
        " several with commas",
    )
    p.add_argument("--aim", choices=AIMS, default="time", help="default: time")
    p.add_argument("--forms", metavar="A,B", default=",".join(FORMS), help=f"those allowed; default: {','.join(FORMS)}")
    p.add_argument(
        "--methods",
        metavar="A,B",
        default=",".join(METHODS),
        help=f"rules for where int8 ends, of which the best is taken for each blob; default: {','.join(METHODS)}",
    )
    p.add_argument("--no-equalise", action="store_true", help="leave the scales of channels where they are")
    p.add_argument("--no-correction", action="store_true", help="leave the biases as they are")
    p.add_argument("--threads", metavar="N", type=positive, default=1, help="for the times; default: 1")
    p.add_argument("--device", metavar="FILE.json", type=Path, help="a table of measured times; default: in the cache")
    p.add_argument("--quiet", action="store_true", help="say only what came out")
    p.set_defaults(command=_quantize)

    p = commands.add_parser(
        "verify",
        help="measure a certificate of quantize again",
        description="Run the net of OUT.json and the original on the held-out data: does it keep the budget here, and"
        " are files and data those of the certificate?",
        epilog="Exit codes: 0 it does, 1 it does not, 2 bad input.",
    )
    p.add_argument("out", metavar="OUT", type=Path, help="OUT.json, with OUT.param and OUT.bin beside it")
    p.add_argument("--net", metavar="NET.param", type=Path, help="the original, where it is not where it was")
    p.add_argument("--data", metavar="DATA", help="the data, where they are not where they were")
    p.add_argument("--json", action="store_true", help="for programs")
    p.set_defaults(command=_verify)


def _quantize(arguments: argparse.Namespace) -> int:
    def tell(line: str) -> None:
        if not arguments.quiet:
            print(line, file=sys.stderr)

    bundle = arguments.param.suffix == ".json"
    if not bundle and not arguments.data:
        raise BuildError("no data", argument="--data", fix="FILE.npz, a folder, or MODULE:FUNCTION")
    make: Any = quantize_bundle if bundle else quantize_net
    done = make(
        arguments.param,
        out=arguments.out,
        data=arguments.data or str(arguments.param),
        budget=arguments.budget,
        aim=arguments.aim,
        forms=tuple(arguments.forms.split(",")),
        methods=tuple(arguments.methods.split(",")),
        equalise=not arguments.no_equalise,
        correct=not arguments.no_correction,
        threads=arguments.threads,
        device=arguments.device,
        pixels=pixels_of(arguments),
        tell=tell,
    )
    print(done)
    print(f"written: {', '.join(done.files)}")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    try:
        found = verify(arguments.out, arguments.net, arguments.data)
    except runtime().NcnnError as error:
        raise NcnnBuilderError(f"the net cannot be run: {error}") from None
    if arguments.json:
        print(json.dumps(vars(found), indent=1))
    else:
        print(*(f"changed: {what}" for what in found.changed), sep="\n", end="\n" if found.changed else "")
        print(
            f"{'kept' if found.kept else 'not kept'}: {found.told} here (budget {found.budget};"
            f" certified {found.certified})"
        )
    return 0 if found.kept and not found.changed else 1
