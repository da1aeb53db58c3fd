"""Modules that pnnx converts: traced, converted in another process, read back, compared with torch, and spliced in.

pnnx is ncnn's own converter, a program in the wheel of this name. It is right for most plain networks, and for some it
is wrong without saying so: hence nothing of it gets into a graph that was not compared.
"""

from __future__ import annotations

import subprocess
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..builder import ValueLike, inputs_of
from ..emit import compile_graph, load
from ..emit.foreign import Foreign
from ..errors import BuildError, NcnnBuilderError, ParityError
from ..ir import Graph, Node, Value, Values
from ..opspec import caller
from ..parity.bisect import Runner
from ..parity.compare import Report
from ..parity.interpret import interpret
from ..parity.taps import drop_batch
from .walk import need_eval

BY = "pnnx"
TRIALS = 3
TOLERANCE = 1e-4
TIMEOUT = 300.0
_INSTEAD = "Write export_ncnn() beside its forward() instead"


def from_pnnx(
    g: Graph,
    module: Any,
    inputs: ValueLike,
    *,
    timeout: float = TIMEOUT,
    tolerance: float = TOLERANCE,
    run: Runner | None = None,
) -> Values:
    """What the module's forward() computes of these inputs, by layers that pnnx converts it to.

    The module, in eval mode, is traced with one random tensor [1, *shape] for each input, float32 with the batch in
    front, and has to return one tensor, or several, with a batch of one. What pnnx makes of it is read, computed by the
    references of its layers for three other random inputs, and compared with torch at once; with run, which runs an
    emitted model, on ncnn as well. Then it becomes part of the graph, in the current scope.
    timeout: seconds that pnnx may take. tolerance: largest difference, relative to the largest magnitude.

        nb.exports(Encoder)(nb.from_pnnx)    # from now on child() and export_module() convert an Encoder so

    Raises BuildError where pnnx is not installed, takes too long, breaks off, leaves a layer that ncnn does not have,
    or makes layers that do not fit each other; ParityError, with the difference, where its result is another one.
    """
    values = inputs_of(inputs)
    for part in module.modules():
        need_eval(g, part)
    where: dict[str, Any] = {"op": type(module).__name__, "scope": g.current_scope or None, "source": caller()}
    with tempfile.TemporaryDirectory() as folder:
        files = _convert(module, values, Path(folder), timeout, where)
        part = _read(files, values, where)
    _compare(part, module, values, tolerance, run, where)
    return _splice(g, part, values, where["source"])


def _convert(module: Any, values: Sequence[Value], folder: Path, timeout: float, where: Mapping[str, Any]) -> Path:
    """The path of the converted files, without suffix."""
    import torch

    try:
        import pnnx
    except ImportError:
        raise BuildError("pnnx is not installed", fix="Install it: pip install pnnx", **where) from None
    generator = torch.Generator().manual_seed(0)
    examples = tuple(torch.randn(1, *v.shape, generator=generator) for v in values)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what a trace fixes: the comparison finds it
            torch.jit.trace(module, examples, check_trace=False).save(str(folder / "m.pt"))  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever forward() may raise
        raise BuildError("torch cannot trace the module", got=_brief(str(error)), fix=_INSTEAD, **where) from error
    shapes = ",".join(f"[{','.join(map(str, e.shape))}]" for e in examples)
    command = [pnnx.EXEC_PATH, "m.pt", f"inputshape={shapes}", "fp16=0"]
    try:
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise BuildError("pnnx takes too long", expected=f"{timeout:g} s at most", fix=_INSTEAD, **where) from None
    except OSError as error:
        fix = "Install it again: pip install pnnx"
        raise BuildError("pnnx cannot be run", got=str(error), fix=fix, **where) from None
    if done.returncode != 0 or not (folder / "m.ncnn.param").exists():
        said = _brief(done.stdout.decode(errors="replace"))
        raise BuildError(f"pnnx broke off with code {done.returncode}", got=said, fix=_INSTEAD, **where)
    return folder / "m.ncnn"


def _brief(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "nothing said"


def _read(files: Path, values: Sequence[Value], where: Mapping[str, Any]) -> Graph:
    """What pnnx wrote, as a graph with the inputs in0, in1, ..."""
    param = files.with_suffix(".ncnn.param")
    words = param.read_text().split()
    used = {f"in{i}": v.shape for i, v in enumerate(values) if f"in{i}" in words}
    try:
        part = load(param, files.with_suffix(".ncnn.bin"), shapes=used)
    except NcnnBuilderError as error:
        what = "pnnx made layers that do not fit each other"
        said = error.what.replace(f"{param.parent}/", "")
        raise BuildError(what, got=said, expected=error.expected, fix=_INSTEAD, **where) from error
    unknown = sorted({_unknown(node.spec) for node in part.nodes if isinstance(node.spec, Foreign)})
    if unknown:
        what = "pnnx left layers that ncnn does not have, or with parameters that nobody could check"
        raise BuildError(what, got=unknown, fix=_INSTEAD, **where)
    return part


def _unknown(spec: Foreign) -> str:
    """A layer that no declaration covers, and the parameters for which this is so."""
    left_out = {} if spec.base is None else spec.base.left_out
    words = [word for word in spec.verbatim if word.split("=")[0] in map(str, left_out)]
    return " ".join([spec.in_files, *(["with", *words] if words else [])])


def _compare(
    part: Graph,
    module: Any,
    values: Sequence[Value],
    tolerance: float,
    run: Runner | None,
    where: Mapping[str, Any],
) -> None:
    """Raises ParityError unless both compute the same of random inputs."""
    import torch

    model = None if run is None else compile_graph(part, "reference")
    generator = torch.Generator().manual_seed(1)
    report = Report(where["op"])
    for trial in range(TRIALS):
        given = [torch.randn(1, *v.shape, generator=generator) for v in values]
        with torch.no_grad():
            result = module(*(tensor.clone() for tensor in given))
        tensors = result if isinstance(result, (tuple, list)) else [result]
        expected = {f"out{i}": drop_batch(tensor) for i, tensor in enumerate(tensors)}
        arrays = {v.name: drop_batch(given[_number(v)]) for v in part.inputs}
        try:
            computed = interpret(part, arrays)
        except (RuntimeError, ParityError) as error:
            raise BuildError(
                "what pnnx made cannot be computed", got=_brief(str(error)), fix=_INSTEAD, **where
            ) from error
        got = {key: computed[value] for key, value in part.outputs.items()}
        report.add_all(_named(got, f"trial {trial}"), _named(expected, f"trial {trial}"), tolerance)
        if model is not None and run is not None:
            got, title = run(model, arrays, list(part.outputs)), f"trial {trial} on ncnn"
            report.add_all(_named(got, title), _named(expected, title), tolerance)
    worst = report.worst
    if not worst.ok:
        raise ParityError(
            "pnnx converted the module into something else",
            expected=f"within {tolerance:.0e} of the largest magnitude",
            got=worst.problem or f"{worst.required:.2e} in {worst.name}, a difference of {worst.max_abs:.3g}",
            fix=_INSTEAD,
            **where,
        )


def _named(results: Mapping[str, Any], title: str) -> dict[str, Any]:
    return {f"{name} of {title}": result for name, result in results.items()}


def _number(value: Value) -> int:
    return int(value.name.removeprefix("in"))


def _splice(g: Graph, part: Graph, values: Sequence[Value], source: str) -> Values:
    """The nodes of the part in the current scope, its inputs being these values."""
    new: dict[Value, Value] = {v: values[_number(v)] for v in part.inputs}
    for node in part.nodes:
        inputs = [new[v] for v in node.inputs]
        what = (node.params, node.weights, g.current_scope, source, BY, node.stored, node.mask)
        copy = Node(node.spec, g.fresh_name(node.spec.type), inputs, *what)
        for old, value in zip(node.outputs, g.add(copy, [v.shape for v in node.outputs]), strict=True):
            value.data = old.data
            new[old] = value
    return Values(new[part.outputs[f"out{i}"]] for i in range(len(part.outputs)))
