"""Why a converted net differs from torch: the first operator, pass or layer that computes something else.

From the top down, each with the numbers of the one before: the program that torch.export made, against forward(); the
graph by the references of its ops, operator by operator, against that program; every step of the compiler, and every
layer alone on ncnn, as the doctor does it.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten

from ..doctor import Case, Cause, Options, case_of, diagnose
from ..doctor.causes import find_cause, guilty_step
from ..doctor.lab import Lab
from ..ir import Graph
from ..parity import compare, interpret
from .capture import Captured, captured, flat_inputs
from .check import feeds_of, in_torch_order
from .exported import Program
from .layout import Tensor
from .marks import LEAF, TAP
from .registry import CONVERTERS, key_of
from .where import author_line, scope_of

ROUNDING = 1e-5
"""Of an operator's largest magnitude: less is what computing in float32 costs, and no fault."""


@dataclass(frozen=True)
class Found:
    """what: a sentence; source: the author's line, where it is known."""

    what: str
    source: str | None = None


def cause_of(
    module: torch.nn.Module,
    made: Captured,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    target: str,
    tolerance: float,
) -> Found:
    """Why what was captured differs from the module at these inputs. Raises nothing: where it cannot be said, it says
    that."""
    try:
        return _cause(module, made, args, kwargs, target, tolerance)
    except MemoryError:
        raise
    except Exception as error:  # of an examination: the error that it was for is the one to tell
        said = " ".join(str(error).split())[:200]
        return Found(f"not found out, as the examination ended with {type(error).__name__}: {said}")


def _cause(
    module: torch.nn.Module,
    made: Captured,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    target: str,
    tolerance: float,
) -> Found:
    feeds, tight = feeds_of(made, args, kwargs), tolerance < ROUNDING
    tolerance = max(tolerance, ROUNDING)
    if any(p.batch_axis is not None and p.shape[p.batch_axis] > 1 for p in (*made.inputs, *made.outputs)):
        return Found("not looked for, as the net has a batch of more than one: convert it with one to be told")
    if made.program is None:
        return _of_its_author(module, feeds, target, tolerance)
    known: dict[torch.fx.Node, Any] = {}
    again = captured(
        module, tuple(args), dict(kwargs), [p.name for p in made.inputs], forward_only=made.forward_only, known=known
    )
    assert again.program is not None
    meant = interpret(again.graph, feeds)
    right = _Meant(again.program).values(flat_inputs(args, dict(kwargs)))
    with torch.no_grad():
        returned = [t for t in tree_flatten(module(*args, **kwargs))[0] if isinstance(t, torch.Tensor)]
    for port, want, got in zip(made.outputs, returned, tree_flatten(right["output"])[0], strict=True):
        if not compare(port.name, np.asarray(got), np.asarray(want), tolerance).ok:
            what = "torch.export made another program of forward(), which depends on something besides its inputs"
            return Found(f"{what}: {port.name} of the program differs")
    for node, result in known.items():
        if node.name not in right or not isinstance(result, Tensor) or str(node.target) == TAP:
            continue
        want = right[node.name]
        if not isinstance(want, torch.Tensor) or want.is_complex() or not want.isfinite().all() or not want.numel():
            continue
        got = in_torch_order(result, meant[result.value])
        comparison = compare(node.name, got, want.to(torch.float32).numpy(), tolerance)
        if not comparison.ok:
            return _of_operator(node, comparison.problem or f"by {comparison.required:.1e}")
    taps = {path: t for path, t in again.taps.items() if isinstance(t, Tensor) and t.value in meant}
    again.graph.taps.update({path: t.value for path, t in taps.items()})
    expected = {path: meant[value] for path, value in again.graph.taps.items()}
    if tight:
        return Found(
            f"the tolerance: computing in float32 alone may cost {ROUNDING:.0e}, and no operator differs by more"
        )
    return _of_compiler(again.graph, feeds, expected, target, tolerance)


def _of_operator(node: torch.fx.Node, how: str) -> Found:
    """The first operator whose Values are something else than torch's."""
    where = f"in {scope_of(node)}, " if scope_of(node) else ""
    if str(node.target) == LEAF or "getitem" in str(node.target):
        return Found(f"{where}export_ncnn() says something else than forward(), {how}", author_line(node))
    key = key_of(node.target)
    converter = f"its converter ({_place(CONVERTERS[key].function)})" if key else "what torch's table makes of it"
    return Found(f"{where}{node.target}: {converter} says something else than torch, {how}", author_line(node))


def _place(function: Any) -> str:
    code = inspect.unwrap(function).__code__
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def _of_compiler(
    graph: Graph, feeds: Mapping[str, Any], expected: Mapping[str, Any], target: str, tolerance: float
) -> Found:
    net = _runtime()
    lab = Lab(net, target, tolerance)
    if net is not None:
        return _told(find_cause(lab, graph, feeds, expected, Options()))
    _, cause = guilty_step(lab, graph, feeds, expected)
    return _told(cause) if cause else Found("a layer of ncnn; which one, the doctor says where runtime is installed")


def _of_its_author(module: Any, feeds: Mapping[str, Any], target: str, tolerance: float) -> Found:
    net = _runtime()
    if net is None:
        return Found("export_ncnn(), a pass or a layer; which one, the doctor says where runtime is installed")
    case: Case = case_of(module, {name: array[None] for name, array in feeds.items()})
    diagnosis = diagnose(case, net, target, tolerance=tolerance)
    if diagnosis.cause is None:
        return Found("not found: the doctor's run of the net is equal")
    told = _told(diagnosis.cause)
    return Found(f"in {diagnosis.culprit}, {told.what}" if diagnosis.culprit else told.what, told.source)


def _told(cause: Cause) -> Found:
    return Found(f"{cause.kind}: {cause.what}", cause.source)


def _runtime() -> Any:
    try:
        return importlib.import_module("runtime").Net
    except (ImportError, AttributeError):  # not there, or a checkout whose extension is not built
        return None


class _Meant(torch.fx.Interpreter):
    """The program run by torch, whose every result is kept by the name of its node. A module with export_ncnn() inside
    gives what it gave at the example."""

    def __init__(self, program: Program) -> None:
        super().__init__(program.module, garbage_collect_values=False, graph=program.graph)
        self.program = program
        self.kept: dict[str, Any] = {}

    def values(self, inputs: Sequence[torch.Tensor]) -> dict[str, Any]:
        given = dict(zip(self.program.inputs, inputs, strict=True))
        placeholders = [n.name for n in self.program.graph.nodes if n.op == "placeholder"]
        with torch.no_grad():
            self.kept["output"] = self.run(*(given.get(n, self.program.given.get(n)) for n in placeholders))
        return self.kept

    def run_node(self, n: torch.fx.Node) -> Any:
        if str(n.target) == LEAF:
            args, _ = self.fetch_args_kwargs_from_env(n)
            result: Any = list(self.program.leaves[args[1]].results)
        elif str(n.target) == TAP:
            result = self.fetch_args_kwargs_from_env(n)[0][0]
        else:
            result = super().run_node(n)
        self.kept[n.name] = result
        return result
