"""`python -m ncnn_builder convert` and `export`: the arguments, progress, the table."""

from __future__ import annotations

import argparse
import inspect
import json
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..emit import STORAGES
from ..errors import BuildError
from ..targets import TARGETS

if TYPE_CHECKING:
    from .convert import Converted

_EXAMPLES = ("py", "cpp")
_CHECKPOINTS = (".pth", ".pt", ".ckpt", ".safetensors")


def add_parsers(commands: Any) -> None:
    """Add both commands to the subparsers of ``python -m ncnn_builder``."""
    _add(
        commands,
        "convert",
        "convert a torch module, or a file of torch.export, to a net that is proven equal",
        "Capture a torch module by torch.export, compile it, run the net with plain ncnn and compare it with torch,"
        " outputs and modules; only then write OUT.param, OUT.bin and OUT.json.",
        own=False,
    )
    _add(
        commands,
        "export",
        "the same, asking the module's own export_ncnn() where it has one",
        "As convert, but where the module has export_ncnn(g, inputs), that is asked for the graph.",
        own=True,
    )


def _add(commands: Any, name: str, help: str, description: str, *, own: bool) -> None:
    p = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog="Exit codes: 0 written, 2 it cannot be converted, or is not equal: nothing is written then.",
    )
    told = "MODULE:CALLABLE that returns a torch module, or a file.pt2"
    if not own:
        told += "; or a checkpoint (.pth, .pt, .ckpt, .safetensors) of a restorer that the package spandrel recognises"
    p.add_argument("model", metavar="MODEL", help=told)
    p.add_argument("--out", metavar="DIR/NAME", required=True, type=Path, help="the files without suffix")
    p.add_argument(
        "--input",
        metavar="NAME=SHAPE",
        action="append",
        default=[],
        help="an input of forward(), as in x=1,3,224,224; ids=1,12:int100 are whole numbers below 100; or a file.npz of"
        " arrays by these names. Once for each input, or not at all for a .pt2, which holds examples",
    )
    if not own:
        p.add_argument(
            "--dynamic",
            metavar="NAME=AXIS:SIZE,...",
            action="append",
            default=[],
            help="open sizes of an input, as in x=2:h,3:w, x=2:h=64..512 with bounds, x=2:8*h for multiples of 8",
        )
        p.add_argument(
            "--size",
            metavar="H,W",
            help="of a checkpoint: the one size of pictures that the net is for, or ..512 for all up to that; default:"
            " all that the network takes",
        )
        p.add_argument(
            "--noise",
            choices=("fixed", "input"),
            help="of a checkpoint: what the network draws is held by the net (default), or are inputs noise0, ...",
        )
    p.add_argument("--target", choices=sorted(TARGETS), default="stock", help="default: stock, which any ncnn runs")
    p.add_argument("--weights", choices=sorted(set(STORAGES) - {"as read"}), default="fp32", help="default: fp32")
    p.add_argument("--inputs", metavar="A,B", help="names of the input blobs; default: in0, in1, ...")
    p.add_argument("--outputs", metavar="A,B", help="names of the output blobs; default: out0, out1, ...")
    p.add_argument("--tolerance", metavar="T", type=float, help="of each output's largest magnitude; default: 1e-4")
    p.add_argument("--example", metavar="py,cpp", default="", help="write OUT.py and OUT.cpp too, which run the net")
    if not own:
        p.add_argument(
            "--forward-only",
            action="store_true",
            help="capture what forward() computes also of modules inside that have export_ncnn()",
        )
    p.add_argument(
        "--dump-passes",
        metavar="DIR",
        help="write the graph as text, before and after every step of the compiler, and why a pattern was not found",
    )
    p.add_argument("--no-check", action="store_true", help="do not run and compare the net")
    p.add_argument("--json", action="store_true", help="for programs: the manifest, and what was compared")
    p.set_defaults(command=lambda arguments: run(arguments, own=own))


def run(arguments: argparse.Namespace, *, own: bool) -> int:
    """Raises NcnnBuilderError for what cannot be converted, or is not equal."""
    examples = _split(arguments.example) or []
    if not set(examples) <= set(_EXAMPLES):
        raise BuildError("no such example", argument="--example", expected="py, cpp", got=arguments.example)
    options: dict[str, Any] = {
        "target": arguments.target,
        "weights": arguments.weights,
        "check": not arguments.no_check,
        "tolerance": arguments.tolerance,
        "examples": examples,
        "dump_passes": arguments.dump_passes,
        "progress": _told if sys.stderr.isatty() and not arguments.json else None,
    }
    done = (
        _restorer(arguments, options)
        if not own and arguments.model.lower().endswith(_CHECKPOINTS)
        else _any(arguments, own, options)
    )
    print(json.dumps(done.as_json(), indent=1) if arguments.json else done)
    return 0


def _any(arguments: argparse.Namespace, own: bool, options: dict[str, Any]) -> Converted:
    from .convert import convert

    if not own:
        _need_none(arguments, ("size", "noise"), "for checkpoints: of a module say --input and --dynamic")
    model = _model(arguments.model)
    return convert(
        model,
        _inputs(model, arguments.input),
        arguments.out,
        inputs=_split(arguments.inputs),
        outputs=_split(arguments.outputs),
        own=own,
        forward_only=not own and arguments.forward_only,
        dynamic=None if own else dict(map(_dynamic, arguments.dynamic)) or None,
        **options,
    )


def _restorer(arguments: argparse.Namespace, options: dict[str, Any]) -> Converted:
    from ..restorers import convert_restorer

    given = ("input", "dynamic", "inputs", "outputs", "forward_only")
    _need_none(arguments, given, "not for checkpoints, whose blobs are data and output: --size says their sizes")
    noise = arguments.noise or "fixed"
    return convert_restorer(arguments.model, arguments.out, size=arguments.size, noise=noise, **options)


def _need_none(arguments: argparse.Namespace, names: Sequence[str], why: str) -> None:
    for name in names:
        if getattr(arguments, name):
            raise BuildError(why, argument="--" + name.replace("_", "-"), got=arguments.model)


def _dynamic(text: str) -> tuple[str, dict[int, str]]:
    """x=2:h,3:w -> what convert() takes."""
    name, sign, rest = text.partition("=")
    axes = [re.fullmatch(r"(\d+):(.+)", part) for part in rest.split(",")]
    if not sign or not name or None in axes:
        raise BuildError("bad open sizes", argument="--dynamic", expected="as x=2:h,3:w", got=text)
    return name, {int(m[1]): m[2] for m in axes if m}


def _told(step: str) -> None:
    print(f"\r\x1b[K{step}" + (" ..." if step else ""), end="", file=sys.stderr, flush=True)


def _split(names: str | None) -> list[str] | None:
    return [n.strip() for n in names.split(",") if n.strip()] if names else None


def _model(text: str) -> Any:
    if not text.endswith(".pt2"):
        from ..doctor.load_model import make_model
        from .given import need_module

        model = make_model(text, "MODEL")
        need_module(model)
        return model.eval()
    import torch

    if not Path(text).is_file():
        raise BuildError("no such file", got=text)
    log = logging.getLogger("torch.export")  # where torch 2.14 writes the traceback of each way that it tried
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        return torch.export.load(text)
    except Exception as error:  # whatever torch says of a file that is none
        said = " ".join(str(error).split())[:200]
        raise BuildError(f"{text} is no file of torch.export: {type(error).__name__}: {said}") from error
    finally:
        log.setLevel(before)


def _inputs(model: Any, given: Sequence[str]) -> Any:
    """The tensors, in the order of forward()'s parameters; None for a .pt2 that brings its own."""
    import torch

    forward = getattr(model, "forward", None)
    if not given and forward is None:
        return None
    tensors: dict[str, Any] = {}
    for i, text in enumerate(given):
        if text.endswith(".npz") and "=" not in text:
            from ..doctor.load_model import read_arrays

            tensors |= {name: torch.from_numpy(array.copy()) for name, array in read_arrays(Path(text)).items()}
        else:
            name, tensor = _drawn(text, i)
            tensors[name] = tensor
    names = list(inspect.signature(forward).parameters) if forward is not None else list(tensors)
    unknown = [n for n in tensors if n not in names and not n.startswith("arr_")]
    if unknown:
        raise BuildError("forward() has no such input", argument="--input", expected=names, got=unknown)
    if not tensors:
        raise BuildError("no input", argument="--input", expected=f"a shape for {', '.join(names)}")
    return tuple(sorted_by(tensors, names))


def sorted_by(tensors: dict[str, Any], names: Sequence[str]) -> list[Any]:
    """Those of forward()'s names in its order; the others as they came."""
    order = {n: i for i, n in enumerate(names)}
    given = [n for n in names if n in tensors] or list(tensors)
    if sorted(order.get(n, i) for i, n in enumerate(given)) != list(range(len(given))):
        raise BuildError("an input is left out", argument="--input", expected=list(names), got=list(tensors))
    return [tensors[n] for n in given]


def _drawn(text: str, seed: int) -> tuple[str, Any]:
    import torch

    found = re.fullmatch(r"([^=]+)=(\d+(?:,\d+)*)?(?::int(\d*))?", text)
    if not found:
        raise BuildError("bad input", argument="--input", expected="NAME=1,3,224,224 or NAME=1,12:int100", got=text)
    shape = [int(n) for n in (found[2] or "").split(",") if n]
    g = torch.Generator().manual_seed(seed)
    whole = ":int" in text
    numbers = torch.randint(0, int(found[3] or 2), shape, generator=g) if whole else torch.randn(shape, generator=g)
    return found[1], numbers
