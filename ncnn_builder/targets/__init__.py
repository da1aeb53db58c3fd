"""Targets: what ops are made of. A target is a table of lowerings; an op that is not in it stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, TypeVar

from ..consumed import Consumed
from ..errors import BuildError
from ..ir import Array, Graph, Node, Shape, Value
from ..openness import others_of
from ..opspec import OpSpec, spec_of
from ..rebuild import rebuild
from ..sizes import OpenSizeError
from ..verify import same_sizes, verify
from . import fused, reference, stock

Lowering = Callable[[Graph, Node, list[Value]], "Sequence[Value] | None"]
"""(graph to build into, node, its inputs there) -> its outputs there, or None to keep the node as it is."""

TARGETS: dict[str, dict[str, Lowering]] = {
    "fused": {**fused.LOWERINGS},
    "reference": {**reference.LOWERINGS},
    "stock": {**stock.LOWERINGS},
}

ONLY_NCNN = {"stock"}
"""Targets in which no layer of ours may be left. One of the user's own may: whoever runs the net has it."""

_DEEP = 10
"""Lowerings of what lowerings made: more than anybody needs."""

_Lowering = TypeVar("_Lowering", bound=Lowering)


def lowers(op_type: str, *targets: str) -> Callable[[_Lowering], _Lowering]:
    """Decorator: this function (graph, node, inputs) says what an op becomes on these targets.

    It builds into the graph with functions of the DSL and returns the Values that take the place of the node's
    outputs, or None to keep the node as it is: inputs are the node's, in that graph; node.params and node.weights say
    the rest. A parameter that is off its default and was not looked at is an error. A later registration replaces an
    earlier one, those of this package too. Raises BuildError for an op that is not declared, and for an unknown target.

        @nb.lowers("Median", "stock")
        def median(g, node, inputs):
            return my_median_of_plain_layers(g, inputs, node.params["radius"])
    """
    spec_of(op_type)
    unknown = [t for t in targets if t not in TARGETS]
    if unknown or not targets:
        raise BuildError("unknown target", argument="targets", expected=sorted(TARGETS), got=unknown or "none")

    def put(function: _Lowering) -> _Lowering:
        for target in targets:
            TARGETS[target][op_type] = function
        return function

    return put


def lower(graph: Graph, target: str, finite: dict[int, Array] | None = None) -> Graph:
    """Replace every op that the target has a lowering for, among them all composite ones. finite: as of verify().

    Raises BuildError for an unknown target, for an op that it cannot lower, that has a parameter which the lowering
    does not know, or whose lowering would hold for the sizes of today where those of an input are open.
    """
    if target not in TARGETS:
        raise BuildError("unknown target", argument="target", expected=sorted(TARGETS), got=target)
    table = TARGETS[target]

    def rewrite(new: Graph, node: Node, inputs: list[Value]) -> Sequence[Value] | None:
        lowering = table.get(node.spec.type)
        seen = copy(node)
        seen.params = params = Consumed(node.params)
        try:
            outputs = lowering(new, seen, inputs) if lowering is not None else None
        except OpenSizeError as error:
            fix = "Give that input of the graph its size; or compile for another target"
            got = ", ".join(map(repr, inputs))
            what = f"makes this op for one size only, and that of its input is open: {error.what}"
            raise _error(target, node, what, expected="inputs of known sizes", got=got, fix=fix) from error
        if outputs is not None:
            _need_all_known(target, node, params)
            _need_all_sizes(target, node, inputs, outputs)
        elif _must_go(node.spec, target):
            raise _error(target, node, "has no lowering for this op")
        return outputs

    shapes = _one_shape_each(graph) if target in ONLY_NCNN else {}
    lowered = rebuild(graph, rewrite, f"target {target}", shapes=shapes)
    for _ in range(_DEEP):
        if not any(_must_go(node.spec, target) for node in lowered.nodes):
            break
        lowered = rebuild(lowered, rewrite, f"target {target}")  # a user's lowering may make ops that are lowered too
    for node in lowered.nodes:
        if _must_go(node.spec, target):
            raise _error(target, node, "has lowerings that make each other's ops, without end")
    verify(lowered, stage=f"after lowering to {target}", lowered=True, finite=finite)
    same_sizes(graph, lowered, stage=f"after lowering to {target}")
    return lowered


def _must_go(spec: OpSpec, target: str) -> bool:
    return spec.composite or (spec.custom and target in ONLY_NCNN)


def _one_shape_each(graph: Graph) -> dict[str, Shape]:
    """The inputs of any shape that layers of ncnn alone can be made for one of only, and this one."""
    return {
        node.inputs[position].name: shape
        for node in graph.nodes
        for position, shape in node.spec.one_shape([v.shape for v in node.inputs]).items()
        if node.inputs[position].any_shape
    }


def _need_all_known(target: str, node: Node, params: Consumed) -> None:
    ignored = params.ignored(node.spec)
    if ignored:
        raise _error(
            target,
            node,
            "does not know a parameter of this op",
            argument=", ".join(ignored),
            expected="ncnn's default",
            got=ignored,
            fix="Compile for the target reference, which keeps the layer",
        )


def _need_all_sizes(target: str, node: Node, inputs: Sequence[Value], outputs: Sequence[Value]) -> None:
    shapes = [v.shape for v in node.outputs]
    meant = others_of(node.spec, inputs, node.params, node.weights, shapes)
    if [v.others for v in outputs] != meant:
        raise _error(
            target,
            node,
            "makes this op for one size only, and that of its input is open",
            argument=", ".join(v.name for v in inputs if v.others),
            expected="inputs of a known shape",
            got=", ".join(v.name for v in node.outputs[0].graph.inputs if v.any_shape),
            fix="Give that input of the graph its shape, without any_shape; or compile for another target",
        )


def _error(target: str, node: Node, what: str, **fields: Any) -> BuildError:
    where: dict[str, Any] = dict(op=node.spec.type, node=node.name, scope=node.scope or None, source=node.source)
    return BuildError(f"target {target} {what}", **where, **fields)
