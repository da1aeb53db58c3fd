"""`python -m ncnn_builder doctor`: the arguments, the table as it grows, the page."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..emit import write_files
from ..errors import BuildError
from ..precision.doctor_cli import add_arguments, run_pair
from ..targets import TARGETS
from .options import Options

EQUAL, DIFFERENT = 0, 1


def add_parser(commands: Any, tolerance: Callable[[str], float]) -> None:
    """Add the command to the subparsers of ``python -m ncnn_builder``. tolerance: reads a number of at least 0."""
    p = commands.add_parser(
        "doctor",
        help="compare an export with torch, or two nets, layer by layer, and say why they differ",
        description="Of two nets as files, or of one with --options (fp16, bf16, winograd, packing): the first layer"
        " that differs, why, which mask or which layers cure it, and what that costs; needs no torch. With --model:"
        " export a torch module, run it in torch and on ncnn, and report module by module the tolerance that"
        " is needed, in the net and alone on torch's inputs. Where they differ: the first wrong module, whether the"
        " export, a pass, a layer or an option of the runtime is the cause, the line of export_ncnn(), and the feature"
        " mask that cures it.",
        epilog="inputs.npz holds arrays as forward() takes them, with a batch of 1. An array is given to the parameter"
        " of forward() of its name, or by position where there is none (numpy.savez(file, x) calls it arr_0); it is"
        " the graph input of the same name, without the batch, and export_ncnn(g, inputs) gets them in the order of"
        " the file. A StyleGAN Generator takes z (and c, coeff), or ws [1, num_ws, w_dim]. Exit codes: 0 equal, 1"
        " different, 2 bad input.",
    )
    p.add_argument(
        "--model",
        metavar="MODULE:CALLABLE",
        help="what returns a torch module that has export_ncnn(g, inputs) or exports itself, as in mypkg.net:make",
    )
    p.add_argument("--inputs", metavar="FILE.npz", type=Path, help="its inputs, see below")
    p.add_argument(
        "--target", choices=sorted(TARGETS), nargs="+", default=["fused"], help="one or several; default: fused"
    )
    p.add_argument(
        "--options",
        metavar="WORDS",
        default="",
        help="what the app runs with, such as fp16,no-winograd,threads=4; default: full precision. fp16 is ncnn's own"
        " default. Words: fp16, bf16, fp16-storage, fp16-packed, fp16-arithmetic, winograd, sgemm, packing, vulkan,"
        " each with no- before it; threads=N",
    )
    p.add_argument(
        "--tolerance",
        metavar="T",
        type=tolerance,
        help="part of a tensor's largest magnitude; default: 1e-4, with fp16 2e-2, with bf16 1e-1; of files with"
        " weights in fp16 2e-3, bf16 or tables 2e-2, int8 1e-1",
    )
    add_arguments(p)
    p.add_argument("--html", metavar="REPORT.html", type=Path, help="one page with charts and pictures, without links")
    p.add_argument("--json", action="store_true", help="for programs")
    p.set_defaults(command=run)


def run(arguments: argparse.Namespace) -> int:
    """Returns 0 where all targets are equal, else 1. Raises NcnnBuilderError for bad input."""
    if arguments.nets:
        if arguments.model or arguments.inputs:
            raise BuildError("--model and --inputs are for modules", got="nets as files", fix="Give --data")
        return run_pair(arguments)
    if arguments.against:
        raise BuildError("--against is for nets as files", got="no net", fix="Give NET.param")
    if not arguments.model or not arguments.inputs:
        raise BuildError("nothing to examine", expected="--model and --inputs, or one or two nets and --data")
    from .diagnose import diagnose
    from .html import as_html
    from .load_model import load_case
    from .report import as_json

    options = Options.parse(arguments.options)
    case = load_case(arguments.model, arguments.inputs)
    net = _runtime()
    found = []
    for target in arguments.target:
        with _table(not arguments.json) as observe:
            found.append(diagnose(case, net, target, options, arguments.tolerance, observe))
        if not arguments.json:
            from .text import conclusion

            print(conclusion(found[-1]), end="\n\n" if target != arguments.target[-1] else "\n")
    if arguments.json:
        print(json.dumps([as_json(d) for d in found], indent=1))
    if arguments.html is not None:
        write_files({arguments.html: [as_html(found).encode()]})
        if not arguments.json:
            print(f"written to {arguments.html}")
    return EQUAL if all(d.equal for d in found) else DIFFERENT


def _runtime() -> Any:
    """The runtime's Net, each in a process of its own: what crashes it is a finding, and no end of the examination."""
    try:
        return partial(importlib.import_module("runtime").Net, isolate=os.name == "posix")
    except ImportError as error:
        raise BuildError(f"the runtime is not installed: {error}", fix="pip install . builds it") from None


@contextmanager
def _table(wanted: bool) -> Iterator[Any]:
    """Something that shows rows as they come: a live table on a terminal that has rich, plain lines else."""
    from .text import COLUMNS, mark, needed, remark, row

    if not wanted:
        yield None
        return
    rich = _rich() if sys.stdout.isatty() else None
    if rich is None:
        print(COLUMNS)
        yield lambda result: print(row(result), flush=True)
        return
    live, tables, markup = rich
    table = tables.Table("", "module", "in the net", "alone", "", box=None, header_style="bold")
    styles = {"ok": "green", "bad": "yellow", "BAD": "bold red"}
    with live.Live(table, refresh_per_second=8, vertical_overflow="visible"):
        yield lambda m: table.add_row(
            *map(markup.escape, (mark(m), m.path, needed(m.chained), needed(m.isolated), remark(m))),
            style=styles[mark(m)],
        )


def _rich() -> tuple[Any, ...] | None:
    """rich's live displays, tables and markup, where it is installed."""
    try:
        return tuple(importlib.import_module(f"rich.{name}") for name in ("live", "table", "markup"))
    except ImportError:
        return None
