"""`python -m ncnn_builder doctor a.param b.param --data x.npz`: the arguments of pairs, and what is printed."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from ..doctor.options import Options
from ..emit import write_files
from ..errors import BuildError, NcnnBuilderError
from .data import Pixels, read_samples
from .net_files import read_net_files, runtime
from .onnx_net import OnnxNet
from .pair import examine
from .pair_html import as_html
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
    parser.add_argument(
        "--against",
        metavar="onnx:FILE",
        help="of one net: the ONNX file it came from, on onnxruntime, is right; pip install ncnn-builder[onnx]",
    )
    parser.add_argument(
        "--no-cure",
        action="store_true",
        help="of nets as files: does not look for what cures it, which takes the longest",
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
    nets, against = arguments.nets, arguments.against
    if len(nets) > 2 - bool(against):
        raise BuildError("too many nets", expected="one" if against else "one or two", got=len(nets))
    if len(nets) == 1 and not arguments.options and not against:
        raise BuildError(
            "one net, and nothing to compare it with",
            fix="Give a second net, --against onnx:FILE, or --options, as in --options fp16",
        )
    if against and not against.startswith("onnx:"):
        raise BuildError("unknown kind of net", argument="--against", expected="onnx:FILE", got=against)
    if not arguments.data:
        raise BuildError("no data", argument="--data", fix="FILE.npz, a folder, or MODULE:FUNCTION")
    options = Options.parse(arguments.options)
    if options.vulkan:
        _check_vulkan()
    b = read_net_files(nets[-1])
    one = read_net_files(nets[0]) if len(nets) == 2 else b
    samples = read_samples(one, arguments.data, pixels_of(arguments))
    a = OnnxNet(Path(against.removeprefix("onnx:")), options.threads) if against else one
    try:
        found = examine(a, b, samples, options, arguments.tolerance, cure=not arguments.no_cure)
    except runtime().NcnnError as error:
        raise NcnnBuilderError(f"{a.path} cannot be run: {error}") from None
    if arguments.html is not None:
        write_files({arguments.html: [as_html(found).encode()]})
    if arguments.json:
        print(json.dumps(as_json(found), indent=1))
        return EQUAL if found.equal else DIFFERENT
    print(COLUMNS)
    print(*(row(result, found.tolerance) for result in found.layers), sep="\n")
    print(conclusion(found))
    if arguments.html is not None:
        print(f"written to {arguments.html}")
    return EQUAL if found.equal else DIFFERENT


def _check_vulkan() -> None:
    """Raises BuildError where nothing runs on Vulkan here."""
    with tempfile.TemporaryDirectory() as folder:
        param = Path(folder, "one.param")
        param.write_text("7767517\n1 1\nInput in 0 1 in\n")
        param.with_suffix(".bin").write_bytes(b"")
        try:
            runtime().Net(param, param.with_suffix(".bin"), vulkan=True)
        except runtime().OptionError as error:
            raise BuildError(str(error), argument="--options") from None
