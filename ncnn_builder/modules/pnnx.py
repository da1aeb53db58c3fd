"""Modules that pnnx converts: traced, converted in another process, read back, compared with torch, and spliced in.

pnnx is ncnn's own converter, a program in the wheel of this name. It is right for most plain networks, and for some it
is wrong without saying so: hence nothing of it gets into a graph that was not compared.
"""

from __future__ import annotations

import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..builder import ValueLike, inputs_of
from ..emit import compile_graph, load
from ..emit.foreign import Foreign, undeclared
from ..errors import BuildError, NcnnBuilderError, ParityError
from ..ir import Graph, Node, Shape, Value, Values
from ..opspec import caller
from ..parity.bisect import Runner
from ..parity.compare import Report
from ..parity.edges import EDGES, compare_edges, edge, nudged
from ..parity.installed import Batch, installed_ncnn, one_by_one
from ..parity.interpret import interpret
from ..parity.taps import drop_batch
from .pnnx_forms import right_forms, shaped_results
from .traceable import without_steps
from .walk import need_eval

BY = "pnnx"
NORMAL = "normal"
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
    front, and has to return one tensor, or several, with a batch of one. What pnnx makes of it is read, run on ncnn,
    and compared with torch at once: for three other random inputs, and for such that are negative, zero, large (10 to
    1000), one number everywhere, and a mixture of these. Layers that ncnn computes wrongly at some inputs, such as
    powers, are replaced by the DSL's forms. Then it becomes part of the graph, in the current scope.
    timeout: seconds that pnnx may take. tolerance: largest difference, relative to the largest magnitude. run: runs an
    emitted model; None takes our runtime where it is installed, and else the ncnn wheel in a process of its own.

        nb.exports(Encoder)(nb.from_pnnx)    # from now on child() and export_module() convert an Encoder so

    Raises BuildError where pnnx or any ncnn is not installed, where pnnx takes too long, breaks off, leaves a layer
    that ncnn does not have, or makes layers that do not fit each other; ParityError, with the difference, where its
    result is another one.
    """
    values = inputs_of(inputs)
    for part in module.modules():
        need_eval(g, part)
    where: dict[str, Any] = {"op": type(module).__name__, "scope": g.current_scope or None, "source": caller()}
    try:
        ncnn = installed_ncnn() if run is None else one_by_one(run)
    except BuildError as error:
        raise error.located(where["op"], where["scope"], where["source"]) from None
    with tempfile.TemporaryDirectory() as folder:
        files = _convert(module, values, Path(folder), timeout, where)
        part = _read(files, values, ncnn, where)
    _compare(part, module, values, tolerance, ncnn, where)
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
        with torch.no_grad(), without_steps(), warnings.catch_warnings():
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


def _read(files: Path, values: Sequence[Value], ncnn: Batch, where: Mapping[str, Any]) -> Graph:
    """What pnnx wrote, as a graph with the inputs in0, in1, ...; shapes that only ncnn knows are asked of it."""
    param = files.with_suffix(".ncnn.param")
    words = param.read_text().split()
    used = {f"in{i}": v.shape for i, v in enumerate(values) if f"in{i}" in words}
    try:
        part = load(param, files.with_suffix(".ncnn.bin"), shapes=used)
        known = _measured(part, used, ncnn)
        part = load(param, files.with_suffix(".ncnn.bin"), shapes={**used, **known}) if known else part
    except NcnnBuilderError as error:
        what = "pnnx made layers that do not fit each other"
        said = error.what.replace(f"{param.parent}/", "")
        raise BuildError(what, got=said, expected=error.expected, fix=_INSTEAD, **where) from error
    unknown = sorted({_unknown(node.spec) for node in part.nodes if isinstance(node.spec, Foreign) and _open(node)})
    if unknown:
        what = "pnnx left layers that ncnn does not have, or with parameters that nobody could check"
        raise BuildError(what, got=unknown, fix=_INSTEAD, **where)
    return right_forms(part)


def _measured(part: Graph, inputs: Mapping[str, Shape], ncnn: Batch) -> dict[str, Shape]:
    """Shapes of results of ncnn's layers that nobody infers, from a run; nothing where ncnn does not run the net."""
    makers = [node for node in part.nodes if node.spec.foreign and not undeclared(node.spec)]
    blobs = [value.name for node in makers for value in node.outputs if not value.shape]
    if not blobs:
        return {}
    rng = np.random.default_rng(0)
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in inputs.items()}
    try:
        (results,) = ncnn(compile_graph(part, "reference"), [arrays], blobs)
    except Exception:  # whatever a runtime may raise: the layers are refused by name
        return {}
    return {name: array.shape for name, array in results.items()}


def _open(node: Node) -> bool:
    """Whether ncnn has no layer of this type, or nobody knows the shapes of its results."""
    return undeclared(node.spec) or any(not v.shape for v in node.outputs)


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
    ncnn: Batch,
    where: Mapping[str, Any],
) -> None:
    """Raises ParityError unless ncnn computes what torch does, and on normal draws the layers' references too."""
    trials = list(_trials(module, values))
    shaped_results(part, {name: result.shape for name, result in trials[0].expected.items()})
    arrays = [{v.name: trial.given[_number(v)] for v in part.inputs} for trial in trials]
    try:
        results = ncnn(compile_graph(part, "stock"), arrays, list(part.outputs))
    except Exception as error:  # whatever a runtime may raise
        raise BuildError("ncnn cannot run what pnnx made", got=_brief(str(error)), fix=_INSTEAD, **where) from error
    report = Report(where["op"])
    for trial, inputs, got in zip(trials, arrays, results, strict=True):
        title = f"{trial.kind} inputs on ncnn"
        if trial.kind != NORMAL:
            for name, wanted in trial.expected.items():
                others = [other[name] for other in trial.moved]
                report.add(compare_edges(f"{name} of {title}", got[name], wanted, tolerance, others))
            continue
        report.add_all(_named(got, title), _named(trial.expected, title), tolerance)
        if any(node.spec.foreign for node in part.nodes):
            continue  # such a layer has no reference
        try:
            computed = interpret(part, inputs)
        except (RuntimeError, ParityError) as error:
            what = "what pnnx made cannot be computed"
            raise BuildError(what, got=_brief(str(error)), fix=_INSTEAD, **where) from error
        title = f"{trial.kind} inputs by the references of the layers"
        by_reference = {name: computed[value] for name, value in part.outputs.items()}
        report.add_all(_named(by_reference, title), _named(trial.expected, title), tolerance)
    worst = report.worst
    if not worst.ok:
        raise ParityError(
            "pnnx converted the module into something else",
            expected=f"within {tolerance:.0e} of the largest magnitude",
            got=worst.problem or f"{worst.required:.2e} in {worst.name}, a difference of {worst.max_abs:.3g}",
            fix=_INSTEAD,
            **where,
        )


class _Trial(NamedTuple):
    """A kind of draw, inputs, what torch makes of them, and of inputs that are moved by as much as float32 rounds."""

    kind: str
    given: list[Any]
    expected: dict[str, Any]
    moved: list[dict[str, Any]]


def _trials(module: Any, values: Sequence[Value]) -> Iterator[_Trial]:
    rng = np.random.default_rng(1)

    def says(arrays: Sequence[Any]) -> dict[str, Any]:
        import torch

        with torch.no_grad():
            result = module(*(torch.from_numpy(a.copy())[None] for a in arrays))
        tensors = result if isinstance(result, (tuple, list)) else [result]
        return {f"out{i}": drop_batch(tensor) for i, tensor in enumerate(tensors)}

    for _ in range(TRIALS):
        given = [rng.standard_normal(v.shape).astype(np.float32) for v in values]
        yield _Trial(NORMAL, given, says(given), [])
    for kind in EDGES:
        given = [edge(kind, v.shape, rng) for v in values]
        yield _Trial(kind, given, says(given), [says(other) for other in nudged(given, rng)])


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
