"""A module as torch.export sees it: operators in a row, with nothing that writes in place."""

from __future__ import annotations

import inspect
import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stderr
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.export.graph_signature import ConstantArgument
from torch.fx._lazy_graph_module import _use_lazy_graph_module

from ..errors import BuildError
from .assigned import assignments
from .baked import Baked, baked_sizes, need_none
from .given import need_known_sizes
from .inplace import without_writes
from .kept import spared
from .literals import literals
from .marks import Leaf, marked
from .masked import Places, without_masks
from .open_pools import OpenPools
from .shapes_only import shapes_only
from .symbols import Dynamic, Symbols, arguments_of, checked, dynamic_shapes
from .views import plain_views
from .where import author_line, forward_line, python_line
from .whole_numbers import sizes_stay_sizes


@dataclass(frozen=True)
class Program:
    """What torch.export made of a module.

    graph     the torch.fx graph: placeholders, calls of operators, output
    given     placeholder -> its constant (parameter, buffer, ...), or None for an input
    inputs    names of the placeholders that are inputs, in the order of the flat arguments
    module    the graph's own module, which holds submodules of higher-order operators
    leaves    calls of modules that have export_ncnn(), by their number in the program
    sizes     what its open sizes are
    """

    graph: torch.fx.Graph
    given: dict[str, Any]
    inputs: tuple[str, ...]
    module: Any
    leaves: tuple[Leaf, ...] = ()
    sizes: Symbols = field(default_factory=Symbols)


def export(
    module: torch.nn.Module,
    args: Sequence[Any],
    kwargs: dict[str, Any] | None = None,
    *,
    forward_only: bool = False,
    dynamic: Dynamic | None = None,
) -> Program:
    """By torch.export, without Python's own analysis and, where that fails, with it.

    forward_only: modules inside that have export_ncnn() are looked into like all others. dynamic: open sizes of inputs.
    Raises BuildError for a module that torch cannot export, with torch's reason and the author's line.
    """
    need_eval(module)
    failed: Exception | None = None
    shapes = checked(dynamic, module.forward, args, kwargs or {}) if dynamic else None
    given = arguments_of(module.forward, args, kwargs or {})
    options = {} if shapes is None else {"dynamic_shapes": dynamic_shapes(shapes, given), **_DEFERRED}
    for strict in (False, True):
        baked: list[Baked] = []
        try:
            marks = marked(module, args, dict(kwargs or {}), strict=strict, forward_only=forward_only or bool(dynamic))
            seen: list[Any] = [Places()] if shapes is None else [Places(), OpenPools()]
            assigned = nullcontext() if strict else assignments(module, *seen)
            numbers = nullcontext(baked) if shapes is None else baked_sizes(shapes)
            views = nullcontext() if shapes is None else plain_views(shapes)
            ints = nullcontext() if strict or shapes is None else sizes_stay_sizes(module, shapes)
            # Without gradients: as a net is run, should it ask.
            as_run = (_quiet(), torch.no_grad(), shapes_only(), views, literals(), spared(module), assigned, ints)
            with ExitStack() as stack:
                for context in as_run:
                    stack.enter_context(context)
                leaves, baked = stack.enter_context(marks), stack.enter_context(numbers)
                exported = torch.export.export(module, tuple(args), dict(kwargs or {}), strict=strict, **options)
            program = program_of(exported, leaves, shapes)
            need_none(baked, type(module).__name__)
            return program
        except BuildError:
            raise
        except Exception as error:  # whatever forward() may raise
            need_none(baked, type(module).__name__)
            failed = failed or error
    assert failed is not None
    raise _refusal(module, failed) from failed


_DEFERRED: dict[str, Any] = (
    {"prefer_deferred_runtime_asserts_over_guards": True}
    if "prefer_deferred_runtime_asserts_over_guards" in inspect.signature(torch.export.export).parameters
    else {}
)
"""What torch cannot prove of all sizes becomes a condition in the program, which check.py tries, and no error."""


def program_of(
    exported: torch.export.ExportedProgram,
    leaves: Sequence[Leaf] = (),
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> Program:
    """The program of what torch.export made, where nothing writes in place: see inplace.py, or by torch's own means."""
    if any(_writes(node) for node in exported.graph.nodes) and not without_writes(exported.graph):
        with _quiet():
            exported = exported.run_decompositions({})
    without_masks(exported.graph)
    signature = exported.graph_signature
    need_known_sizes(exported.graph, signature.user_inputs)
    if signature.user_inputs_to_mutate:
        raise BuildError(
            "forward() writes into its input",
            source=_line_of(exported.graph, signature.user_inputs_to_mutate),
            got=", ".join(sorted(signature.user_inputs_to_mutate.values())),
            fix="A net cannot give that back: write into a copy, as in x = x.clone()",
        )
    if signature.buffers_to_mutate:
        raise BuildError(
            "forward() writes into a buffer of the module",
            source=_line_of(exported.graph, signature.buffers_to_mutate),
            got=", ".join(sorted(signature.buffers_to_mutate.values())),
            fix="A net keeps nothing from one run to the next: make it an input and an output of forward()",
        )
    held: dict[str, Any] = {**exported.state_dict, **exported.constants}
    given: dict[str, Any] = {}
    inputs: list[str] = []
    sizes = Symbols()
    vals = {node.name: node.meta.get("val") for node in exported.graph.nodes if node.op == "placeholder"}
    order = iter((shapes or {}).items())
    for spec in signature.input_specs:
        kind = spec.kind.name
        if kind == "USER_INPUT" and isinstance(spec.arg, ConstantArgument):
            given[spec.arg.name] = spec.arg.value  # a number, a word, None: what forward() does with it is in the graph
        elif kind == "USER_INPUT":
            given[spec.arg.name] = None
            inputs.append(spec.arg.name)
            if shapes is not None:
                sizes.placeholder(spec.arg.name, vals[spec.arg.name], next(order)[1])
        elif kind in ("PARAMETER", "BUFFER", "CONSTANT_TENSOR"):
            given[spec.arg.name] = held[spec.target].detach()
        else:
            raise BuildError("an input that no net can have", got=f"{spec.arg.name}: {kind}")
    sizes.conditions = [
        node.args[0].meta["val"].node.expr
        for node in exported.graph.nodes
        if str(node.target).startswith("aten._assert_scalar") and isinstance(node.args[0], torch.fx.Node)
    ]
    return Program(exported.graph, given, tuple(inputs), exported.graph_module, tuple(leaves), sizes)


def need_eval(module: torch.nn.Module) -> None:
    """Raises BuildError for a module that computes something else in training mode, and is in it."""
    for name, part in module.named_modules():
        if part.training and (not list(part.children()) or part is module):
            raise BuildError(
                "the module is in training mode",
                op=type(part).__name__,
                scope=name or None,
                fix="Call .eval() on the network first",
            )


def _line_of(graph: torch.fx.Graph, written: Mapping[str, str]) -> str | None:
    """The author's line that made the first of these results."""
    return next((author_line(node) for node in graph.nodes if node.name in written), None)


def _writes(node: torch.fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return schema is not None and schema.is_mutable


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's warnings and logs: an error here says it all, and what forward() assigns the comparison sees."""
    fast = torch.backends.mha.get_fastpath_enabled()
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    torch.backends.mha.set_fastpath_enabled(False)  # one operator for a whole encoder layer, which nobody can read
    try:
        # Programs of a graph, which torch writes in Python after each of its steps, are written for nobody.
        # Nor is what it prints of a program at which it stops.
        with warnings.catch_warnings(), _use_lazy_graph_module(True), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        logging.disable(disabled)


def _refusal(module: torch.nn.Module, error: Exception) -> BuildError:
    said = " ".join(str(error).split("\n")[0].split())[:300]
    name = type(error).__name__
    where: dict[str, Any] = {"op": type(module).__name__, "source": python_line(error) or forward_line(module)}
    if "DataDependent" in name or "data-dependent" in str(error) or ("UserError" in name and "cond" in str(error)):
        return BuildError(
            "forward() decides by numbers that are known only when the net runs",
            got=said,
            fix="A net has no branches: compute both and choose with torch.where(), or give the part that decides its"
            " own export_ncnn()",
            **where,
        )
    if "Constraints violated" in str(error) or "Specializations unexpectedly required" in str(error):
        return _too_many_sizes(str(error), where)
    fix = None
    if "pytree" in str(error):
        said = said.split(". ")[0]  # what follows is torch's own advice, cut somewhere
        fix = "Return tensors, or lists and dicts of them, or tell torch of your class: export.register_dataclass()"
        if "Cache" in said:
            fix = 'Ask for none, as of models of transformers by kwargs={"use_cache": False}'
    return BuildError("torch.export cannot export the module", got=f"{name}: {said}", fix=fix, **where)


def _too_many_sizes(said: str, where: dict[str, Any]) -> BuildError:
    """Of torch's message: which sizes forward() does not take, and what torch suggests."""
    lines = [line.strip() for line in said.splitlines()]
    reasons = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    begin = lines.index("Suggested fixes:") + 1 if "Suggested fixes:" in lines else len(lines)
    fixes = ", ".join(line for line in lines[begin:] if re.match(r"\w+ = ", line))
    how = 'bounds are written as "h=3..", multiples as "8*h"'
    return BuildError(
        "forward() does not take all sizes that dynamic allows",
        argument="dynamic",
        got="; ".join(reasons)[:600],
        fix=f"torch suggests {fixes}: {how}" if fixes else how,
        **where,
    )
