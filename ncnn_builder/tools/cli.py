"""The command line: `python -m ncnn_builder convert | export | lint | fix | diff | show | draw | doctor |
quantize | verify`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from ..doctor.cli import add_parser as add_doctor
from ..emit import binary, write_files
from ..emit.load import read_bytes, read_file
from ..emit.text import LINT
from ..errors import BuildError, NcnnBuilderError, ReadError
from ..frontend.cli import add_parsers as add_frontend
from ..ir import Shape
from ..precision.quantise_cli import add_parsers as add_precision
from ..strangers import printable
from .bundle import bundle_shapes
from .cost import cost
from .diff import diff
from .draw import drawn
from .finding import told
from .fix import fix
from .lint import lint
from .net import Net, read_net
from .repairs import Options
from .rules import RULES
from .show import as_json, table

CLEAN, FOUND, BAD_INPUT = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 where all is well, 1 where something was found or differs, 2 for bad input (one line on stderr)."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        code = command(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLEAN
    except (NcnnBuilderError, OSError) as error:
        print(printable(f"error: {error}"), file=sys.stderr)
    except MemoryError:
        print("error: out of memory", file=sys.stderr)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return BAD_INPUT


def _say(*lines: object, end: str = "\n") -> None:
    """On the terminal, where names and words that a file holds do nothing."""
    print(printable("\n".join(map(str, lines))), end=end)


def _lint(arguments: argparse.Namespace) -> int:
    net = _net(arguments)
    unknown = set(arguments.ignore) - KNOWN
    if unknown:
        raise BuildError("no such rule", argument="--ignore", expected=sorted(KNOWN), got=sorted(unknown))
    findings = lint(net, arguments.ignore)
    worth = [f for f in findings if f.severity != "note"]
    if arguments.json:
        print(json.dumps({"file": net.path, "findings": [f.as_json() for f in findings]}, indent=1))
    else:
        for finding in findings:
            _say(told(finding, net.path, net.file.source), end="\n\n")
        errors = sum(f.severity == "error" for f in findings)
        _say(f"{net.path}: {len(net.layers)} layers, {errors} errors, {len(worth) - errors} warnings")
    return FOUND if worth else CLEAN


KNOWN = {
    *(set(RULES) - {"syntax", "wiring"}),
    *("counts", "short-line", "bad-count", "bad-parameter", "long-name"),
    *("duplicate-layer", "duplicate-blob", "no-producer", "order", "fan-out"),
}
"""Ids of findings."""


def _fix(arguments: argparse.Namespace) -> int:
    path: Path = arguments.param
    out = path if arguments.in_place else arguments.out
    if out is not None and binary.is_binary(read_bytes(path)) and out == path:
        raise BuildError("the repaired file is a text", argument="--in-place", fix="Give another name with -o")
    fixed = fix(read_file(path), str(path), dict(arguments.shape), Options(arguments.old_axes))
    if out is not None:
        write_files({out: [fixed.text.encode()]})
    left = [f for f in lint(fixed.net) if f.severity != "note"]
    _say(*(f"fixed: {what}" for what in fixed.done), *([] if fixed.done else ["nothing to repair"]))
    for finding in left:
        _say(f"left:  line {finding.line}: {finding.type} {finding.layer}: {finding.what} [{finding.rule}]")
    if fixed.done:
        _say(f"written to {out}" if out else "nothing is written: say where with -o OUT, or --in-place")
    return FOUND if left else CLEAN


def _diff(arguments: argparse.Namespace) -> int:
    a, b = (_with_weights(path, arguments.no_weights) for path in (arguments.a, arguments.b))
    found = diff(a, b, arguments.tolerance)
    if arguments.json:
        weights = [asdict(w) for w in found.weights]
        said = {"structure": found.structure, "weights": weights, "equal_weights": found.equal}
        print(json.dumps({**said, "pairs": found.pairs, "changed": found.changed}, indent=1))
        return FOUND if found else CLEAN
    _say(*found.structure, *found.weights, end="\n" if found else "")
    compared = f"{found.equal} weights equal" if a.has_bin and b.has_bin else "weights not compared"
    _say(f"{len(found.structure)} differences of structure, {len(found.weights)} of weights; {compared}")
    return FOUND if found else CLEAN


def _with_weights(path: Path, without: bool) -> Net:
    """A net and the .bin beside it, if there is one."""
    beside = path.with_name(path.name.removesuffix(".bin").removesuffix(".param") + ".bin")
    net = read_net(path, None if without or not beside.is_file() else beside)
    if net.unread is not None or net.left:
        raise ReadError(f"{path} and the .bin beside it do not belong together", fix=LINT)
    return net


def _show(arguments: argparse.Namespace) -> int:
    net = _net(arguments)
    _say_misfits(net)
    found = cost(net)
    if arguments.json:
        print(json.dumps(as_json(net, found), indent=1))
    else:
        _say(table(net, found, arguments.by_module or arguments.depth is not None, arguments.depth))
    return CLEAN


def _draw(arguments: argparse.Namespace) -> int:
    net = _net(arguments)
    _say_misfits(net)
    out = arguments.out or Path(Path(arguments.param).name.removesuffix(".bin").removesuffix(".param") + ".svg")
    write_files({out: [drawn(net, cost(net), out)]})
    _say(out)
    return CLEAN


def _say_misfits(net: Net) -> None:
    for layer, reason in net.shapes.problems[:3]:
        said = f"note: {layer.spec.in_files} {layer.name} does not fit its inputs: {reason}"
        print(printable(said), file=sys.stderr)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 1")
    return int(text)


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of at least 0")
    return value


def _net(arguments: argparse.Namespace) -> Net:
    return read_net(arguments.param, arguments.bin, {**bundle_shapes(arguments.param), **dict(arguments.shape)})


def _shape(text: str) -> tuple[str, Shape]:
    name, equals, numbers = text.rpartition("=")
    try:
        shape = tuple(int(n) for n in numbers.split(","))
    except ValueError:
        shape = ()
    if not equals or not name or not 1 <= len(shape) <= 4 or min(shape) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not like in0=3,224,224")
    return name, shape


def _files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("param", metavar="FILE.param", type=Path, help="text or binary (.param.bin)")
    parser.add_argument("bin", metavar="FILE.bin", type=Path, nargs="?", help="its weights, if they shall be looked at")
    _shapes(parser)


def _shapes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shape",
        metavar="BLOB=C,H,W",
        type=_shape,
        action="append",
        default=[],
        help="shape of an input that the file leaves open, outermost dimension first; may be repeated",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ncnn_builder",
        description="Tools for ncnn nets as files.",
        epilog="Exit codes: 0 all is well, 1 something was found or differs, 2 bad input.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    p = commands.add_parser(
        "lint",
        help="say what is wrong with a net, or will be",
        description="Look for mistakes, and for what old files have and ncnn reads differently today.",
        epilog=f"Ids of findings: {', '.join(sorted(KNOWN))}.",
    )
    _files(p)
    p.add_argument("--ignore", metavar="ID", action="append", default=[], help="leave these findings out")
    p.add_argument("--json", action="store_true", help="for programs")
    p.set_defaults(command=_lint)

    p = commands.add_parser(
        "fix",
        help="repair what can be repaired without a doubt",
        description="Repair a .param file so that it makes the same numbers, or loads at all. Its .bin stays as it is."
        " Without -o and --in-place it only says what it would do.",
    )
    p.add_argument("param", metavar="FILE.param", type=Path, help="text or binary (.param.bin)")
    where = p.add_mutually_exclusive_group()
    where.add_argument("-o", "--out", metavar="OUT", type=Path, help="where the repaired file goes")
    where.add_argument("--in-place", action="store_true", help="the repaired file takes the place of the old one")
    p.add_argument(
        "--old-axes",
        choices=("with-batch", "without-batch"),
        help="how Reduction and Softmax layers number axes that do not say so (5=1, 1=1): files of ncnn's converters of"
        " before 2022 count the batch; the predecessor's do not",
    )
    _shapes(p)
    p.set_defaults(command=_fix)

    p = commands.add_parser(
        "diff",
        help="compare two nets, their structure and their weights",
        description="Layers are matched by name and type, the others by their place. The .bin files beside the .param"
        " files are compared where both are there.",
    )
    p.add_argument("a", metavar="A.param", type=Path)
    p.add_argument("b", metavar="B.param", type=Path)
    p.add_argument(
        "--tolerance",
        metavar="T",
        type=_tolerance,
        default=0.0,
        help="weights are equal up to this part of their largest magnitude, in whatever form they are stored",
    )
    p.add_argument("--no-weights", action="store_true", help="compare the structure only")
    p.add_argument("--json", action="store_true", help="for programs")
    p.set_defaults(command=_diff)

    p = commands.add_parser(
        "show",
        help="list the layers: shapes, products (MACs), parameters, memory",
        description="A table of the layers and what they cost. MACs are products that are added up, of convolutions,"
        " matrix products and filters; what works number by number has none.",
    )
    _files(p)
    p.add_argument(
        "--by-module", action="store_true", help="a row per module: the path that a layer's name begins with"
    )
    p.add_argument("--depth", metavar="N", type=_positive, help="likewise, the paths cut after N parts")
    p.add_argument("--json", action="store_true", help="for programs")
    p.set_defaults(command=_show)

    p = commands.add_parser(
        "draw",
        help="a picture of the net: modules, shapes, and where the products are",
        description="Draw the net with Graphviz: a box per layer, the redder the more products (MACs) it has, grouped"
        " by module; hover for names.",
    )
    _files(p)
    p.add_argument("-o", "--out", metavar="NET.svg", type=Path, help=".svg, .png, .pdf, or .dot for Graphviz's input")
    p.set_defaults(command=_draw)

    add_frontend(commands)
    add_doctor(commands, _tolerance)
    add_precision(commands, _positive)
    return parser
