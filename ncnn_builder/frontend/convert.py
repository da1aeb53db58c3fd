"""nb.convert(): capture, compile, run, compare, and only then write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from ..emit import EmittedModel, compile_graph, write_files
from ..errors import BuildError, ParityError
from ..ir import Graph
from ..opspec import registry
from ..parity.compare import Comparison
from ..parity.installed import expect_jobs
from .capture import Captured, Port, asked, captured
from .cause import Found, cause_of
from .check import Checked, checked, draws_of
from .examples import EXAMPLES
from .layout import Tensor
from .manifest import as_text, manifest
from .symbols import Dynamic

TOLERANCE = {"fp32": 1e-4, "fp16": 2e-2}
"""Of each output's largest magnitude, by how the weights are stored."""


@dataclass(frozen=True)
class Converted:
    """What convert() did. str() is a table.

    path         the three files without suffix
    graph        what was captured
    model        what is in the files
    checked      outputs and modules, ncnn against torch; None where nothing was run
    manifest     what is in PATH.json
    """

    path: Path
    graph: Graph
    model: EmittedModel
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    checked: Checked | None
    manifest: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """For programs: the manifest, and the tolerance that each module would have needed."""
        modules = {} if self.checked is None else {c.name: c.required for c in self.checked.modules}
        return {**self.manifest, "modules": modules, "files": str(self.path)}

    def __str__(self) -> str:
        rows = [f"{self.path}.param  {self.model.layers} layers, {len(self.model.bin) / 1e6:.1f} MB"]
        rows += [f"  in   {p.name:<12} {list(p.shape)} {str(p.dtype).removeprefix('torch.')}" for p in self.inputs]
        rows += [f"  out  {p.name:<12} {list(p.shape)}" for p in self.outputs]
        if self.checked is None:
            return "\n".join([*rows, "  not compared with torch"])
        return "\n".join([*rows, *(f"  {c}" for c in (*self.checked.modules, *self.checked.outputs))])


def convert(
    module: torch.nn.Module,
    args: Any,
    path: str | PathLike[str],
    *,
    kwargs: Mapping[str, Any] | None = None,
    target: str = "stock",
    weights: str = "fp32",
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    check: bool | str = True,
    tolerance: float | None = None,
    examples: Sequence[str] = (),
    own: bool = False,
    forward_only: bool = False,
    dump_passes: str | PathLike[str] | None = None,
    progress: Callable[[str], None] | None = None,
    dynamic: Dynamic | None = None,
    about: Callable[[Sequence[Port], Sequence[Port]], Mapping[str, Any]] | None = None,
) -> Converted:
    """Convert any module of torch to PATH.param, PATH.bin and PATH.json, proven equal by running them.

    args: a tensor, or a tuple of what forward() takes, by which its shapes are known; kwargs likewise. The blobs are
    in0, in1, ... and out0, out1, ... unless `inputs` and `outputs` name them. target: "stock" runs on any ncnn.
    weights: "fp32" or "fp16". check=False writes without running, check="outputs" compares no modules, of which a large
    net has more numbers than memory holds, so that it is run many times. tolerance: of each output's largest magnitude.
    examples: "py", "cpp": programs PATH.py and PATH.cpp that run the net with plain ncnn. own: ask the module's own
    export_ncnn(), where it has one; forward_only: do not even ask those of the modules inside, as is done otherwise,
    but capture what their forward() computes. dump_passes: a folder for the graph as text before and after every step,
    and for why a pattern of a pass was not found. progress: told what is done, "" at the end. module may be what
    torch.export made, with args None for its example.
    dynamic: sizes that are known only when the net runs: ``{"x": {2: "h", 3: "w=64..512"}}`` gives axes of forward()'s
    argument x names, which mean one size wherever they stand, and bounds, where not every size from 2 on will do;
    ``"8*h"`` is for multiples. The net is then compared at the example's sizes, at the smallest, at others, and where
    torch took something for granted that does not hold for all sizes, at sizes where it does not hold.
    about: asked, with the ports of the inputs and of the outputs, what else PATH.json says.
    Raises BuildError for what cannot be converted and ParityError for what is not equal; nothing is written then.
    """
    if check not in (True, False, "outputs"):
        raise BuildError("no such check", argument="check", expected="True, False or 'outputs'", got=check)
    bound = TOLERANCE.get(weights, 1e-4) if tolerance is None else tolerance
    place, told = Path(path), progress or (lambda step: None)
    unknown = sorted(set(examples) - set(EXAMPLES))
    if unknown:
        raise BuildError("no such example", argument="examples", expected=sorted(EXAMPLES), got=unknown)
    if place.suffix in (".param", ".bin", ".json"):
        fix = f"Write {str(place.with_suffix(''))!r}: all files get this name"
        raise BuildError("the path has a suffix", argument="path", got=str(path), fix=fix)
    if own and forward_only:
        raise BuildError("either its own export_ncnn() or forward() only", argument="forward_only", got="own too")
    try:
        module, args, named, program = asked(module, args, kwargs)
        told("capturing")
        if check and target == "stock":  # else layers of ours may be in it, which the wheel does not have
            expect_jobs()
        made = captured(
            module,
            args,
            named,
            inputs,
            outputs,
            program=program,
            own=own,
            forward_only=forward_only,
            lent=True,
            dynamic=dynamic,
        )
        more = about(made.inputs, made.outputs) if about is not None else {}
        told("compiling")
        model = _compiled(made, target, weights, dump_passes)
        if examples:
            _need_plain_ncnn(model)
        if check:
            told("comparing with torch")
        outputs_alone = check == "outputs"
        report = checked(module, made, model, args, named, bound, modules_too=not outputs_alone) if check else None
        if report is not None and report.first is not None:
            told("looking for the cause")
            raise _unequal(module, made, report, report.first, args, named, target, weights)
        content = {
            **manifest(
                model,
                made.inputs,
                made.outputs,
                target=target,
                tolerance=bound,
                errors=None if report is None else _errors(made, report),
            ),
            **more,
        }
        files = {".param": model.param.encode(), ".bin": model.bin, ".json": as_text(content)}
        for kind in examples:
            text = EXAMPLES[kind](place.name, made.inputs, made.outputs, made.sizes_of(args, named))
            files[f".{kind}"] = text.encode()
        write_files({place.with_name(place.name + suffix): [data] for suffix, data in files.items()})
        made.graph.keep()
        return Converted(place, made.graph, model, tuple(made.inputs), tuple(made.outputs), report, content)
    finally:
        told("")


def _need_plain_ncnn(model: EmittedModel) -> None:
    """Raises BuildError for a net that the programs of `examples` could not load."""
    types = {line.split()[0] for line in model.param.splitlines()[2:]}
    foreign = sorted(t for t in types if t in registry and (registry[t].custom or registry[t].outside))
    if foreign:
        what = "these programs are for plain ncnn, which does not have all layers of the net"
        fix = "Take target='stock', or leave examples out and register the layers in a program of your own"
        raise BuildError(what, argument="examples", got=foreign, fix=fix)


def _compiled(made: Captured, target: str, weights: str, dump: str | PathLike[str] | None) -> EmittedModel:
    """The files, whose taps are all modules that are blobs, whatever their layout."""
    graph, own = made.graph, dict(made.graph.taps)
    more = {path: t.value for path, t in made.taps.items() if isinstance(t, Tensor) and path not in own}
    graph.taps.update(more)
    graph.loose.update(more)
    try:
        return compile_graph(graph, target, weights=weights, dump=dump)
    finally:
        graph.taps = own
        graph.loose.difference_update(more)


def _errors(made: Captured, report: Checked) -> dict[str, float]:
    """Per output, the tolerance that it would have needed."""
    return {p.name: max(c.required for c in report.outputs if c.name.startswith(f"{p.name} ")) for p in made.outputs}


def _why(
    module: torch.nn.Module,
    made: Captured,
    report: Checked,
    first: Comparison,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    target: str,
    weights: str,
) -> Found:
    """The cause, at the first inputs of those compared at which something differs."""
    if weights != "fp32":
        plain = checked(module, made, _compiled(made, target, "fp32", None), args, kwargs, first.tolerance)
        if plain.first is None:
            return Found(f"weights={weights!r} rounds the weights: with fp32 the net is equal")
    title = first.name.partition(" ")[2]
    if first not in report.modules and "=" in title:
        what = f"the sizes: nothing differs at those of the example, and at {title} it does"
        return Found(f"{what}; forward() goes another way there, which a net cannot")
    draw = 0 if first in report.modules or first.name.endswith(" given") else int(first.name.rpartition(" ")[2])
    return cause_of(module, made, *draws_of(args, kwargs)[draw], target, first.tolerance)


def _unequal(
    module: torch.nn.Module,
    made: Captured,
    report: Checked,
    first: Comparison,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    target: str,
    weights: str,
) -> ParityError:
    """Which module differs first, why, and where its author wrote what became of it."""
    inside = first in report.modules
    node = made.taps[first.name].value.producer if inside else None
    wrong = [c.name for c in (*report.modules, *report.outputs) if not c.ok]
    cause = _why(module, made, report, first, args, kwargs, target, weights)
    return ParityError(
        f"{type(module).__name__} differs from torch, first in {'module' if inside else 'output'} {first.name}",
        source=cause.source or (node.source if node is not None else None),
        expected=f"within {first.tolerance:.0e} of the largest magnitude",
        got=first.problem or f"{first.required:.2e}",
        fix=f"The cause: {cause.what}. Nothing was written. What differs: {', '.join(wrong[:8])}"
        f"{' ...' if len(wrong) > 8 else ''}",
    )
