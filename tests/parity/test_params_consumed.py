"""Every parameter of every op, off its default: each target computes what it means, or refuses it.

The meaning is the layer itself, which ncnn runs as a file says it; of a composite op, its lowering to `reference`. It
stands between what the passes look for: a factor in front, a factor and an activation behind. So neither a lowering
nor a pass may take an op for what it was before one parameter was changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from parity_support import build, draw, named, run_emitted

import ncnn_builder as nb
from ncnn_builder.ir import Node, Value
from ncnn_builder.opspec import Param
from ncnn_builder.parity import Report
from runtime.errors import NcnnError

torch.manual_seed(0)
SPECS = [s for s in nb.registry.values() if s.params and not s.off and not s.integer_input and s.inputs]
SURPRISES = (nb.BuildError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
ACTIVATIONS = ((1, ()), (2, (0.3,)), (3, (-0.4, 0.6)), (4, ()), (5, ()), (6, (0.2, 0.5)))
OPTIMISED = sorted(set(nb.TARGETS) - {"reference"})
Change = Mapping[str, Any]


def others(param: Param, value: Any) -> list[Any]:
    """What a file could say as well."""
    if param.kind == "int":
        return [n for n in (value + 1, 0, -1, 2) if n != value]
    if param.kind == "float":
        return [value * 2 + 0.25, -0.5 * value]
    if param.kind == "ints":
        return [tuple(a - 4 for a in value), tuple(n + 1 for n in value), value[:-1], value[::-1]] if value else []
    return [tuple(2 * n + 0.25 for n in value), (0.25,)]


def changes_of(spec: nb.OpSpec, node: Node) -> Iterator[Change]:
    yield {}
    for param in spec.params:
        for value in others(param, node.params[param.name]):
            yield {param.name: value}
    if "activation_type" in node.params:
        for kind, given in ACTIVATIONS:
            yield {"activation_type": kind, "activation_params": given}


def graph_of(g: nb.Graph, spec: nb.OpSpec, tried: list[tuple[Change, bool]]) -> nb.Graph:
    """The graph once for each change of the first node of this op, with something around that node where it says so.

    Raises SURPRISES where a declaration refuses it.
    """
    new, inputs = nb.Graph("changed"), {}
    for value in g.inputs:
        inputs[value] = new.input(value.name, value.shape)
    for number, (change, around) in enumerate(tried):
        there = dict(inputs)
        done = False
        for node in g.nodes:
            given, params, first = [there[v] for v in node.inputs], dict(node.params), node.spec is spec and not done
            if first:
                done, params = True, {**params, **change}
                given = [nb.binaryOp(new, [given[0], 0.75], "Mul")[0], *given[1:]] if around and given else given
            made = _node(new, node, given, params)
            made = [_behind(new, made[0]), *made[1:]] if first and around else made
            there.update(zip(node.outputs, made, strict=True))
        for name, value in g.outputs.items():
            new.output(f"{name}_{number}", there[value])
    return new


def _node(g: nb.Graph, node: Node, inputs: list[Value], params: dict[str, Any]) -> list[Value]:
    shapes = node.spec.infer([v.shape for v in inputs], params, node.weights)
    if len(shapes) != len(node.outputs) or any(n < 1 for s in shapes for n in s):
        raise nb.BuildError("another number of results")
    made = Node(node.spec, g.fresh_name(node.spec.type), inputs, params, node.weights, "", "here", None)
    values = list(g.add(made, shapes))
    for value, old in zip(values, node.outputs, strict=True):
        value.data = old.data
    return values


def _behind(g: nb.Graph, y: Value) -> Value:
    """A factor and an addend for each channel, an activation, a factor."""
    n = y.shape[0]
    y = nb.scale(g, y, np.linspace(0.5, 1.5, n, dtype=np.float32), np.linspace(-1, 1, n, dtype=np.float32))[0]
    y = nb.activation(g, nb.binaryOp(g, [y, 1.25], "Mul"), "leaky_relu", {"negative_slope": 0.1})[0]
    return nb.binaryOp(g, [y, 0.5], "Mul")[0]


def run(g: nb.Graph, target: str, inputs: dict[str, np.ndarray]) -> dict[str, Any] | None:
    """None where the target refuses, or ncnn."""
    try:
        return run_emitted(nb.compile_graph(g, target), inputs, list(g.outputs))
    except (nb.NcnnBuilderError, NcnnError):
        return None


def meanings(g: nb.Graph, spec: nb.OpSpec, inputs: dict[str, np.ndarray]) -> dict[int, tuple[Any, dict[str, Any]]]:
    """What ncnn computes for each change that it takes: number -> (change, whether something is around it), results."""
    node = next(node for node in g.nodes if node.spec is spec)
    found: dict[int, tuple[Any, dict[str, Any]]] = {}
    for change in changes_of(spec, node):
        for around in (True, False):
            try:
                results = run(graph_of(g, spec, [(change, around)]), "reference", inputs)
            except SURPRISES:
                continue  # no layer of ncnn
            if results is not None and all(_compares(a) for a in results.values()):
                found[len(found)] = (change, around), results
                break
    return found


def _compares(a: np.ndarray) -> bool:
    return bool(a.size and np.isfinite(a).all() and np.abs(a).max() < 1e6)


@pytest.mark.parametrize("spec", SPECS, ids=[s.type for s in SPECS])
def test_no_target_ignores_a_parameter(spec: nb.OpSpec) -> None:
    graphs = [(s, build(s)[0]) for s in spec.samples()]
    graphs = [(s, g) for s, g in graphs if any(node.spec is spec for node in g.nodes)]
    sample, graph = graphs[len(graphs) // 2]
    inputs = named(draw(sample))
    found = meanings(graph, spec, inputs)
    assert found
    for target in OPTIMISED:
        together = run(graph_of(graph, spec, [tried for tried, _ in found.values()]), target, inputs)
        compared = 0
        for number, (tried, expected) in found.items():
            if together is not None:
                got: dict[str, Any] | None = {name: together[name.replace("_0", f"_{number}")] for name in expected}
            else:  # it refuses one of them
                got = run(graph_of(graph, spec, [tried]), target, inputs)
            if got is not None:
                Report(f"{spec.type} {sample.id} {tried} {target}").add_all(
                    got, expected, 100 * spec.tolerance.fp32
                ).check()
                compared += 1
        assert compared


@pytest.mark.parametrize("target", list(nb.TARGETS))
def test_a_slope_that_the_activation_does_not_have_is_nothing(target: str) -> None:
    g = nb.Graph()
    g.output("y", nb.bias_act(g, g.input("x", (3, 4, 5)), alpha=0.3) * 2.0)
    nb.compile_graph(g, target)


def test_one_that_is_dropped_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Control: a lowering that has looked at everything, and forgets the activation all the same."""
    from ncnn_builder.targets.stock import elementwise

    monkeypatch.setattr(elementwise, "fused_activation", lambda g, y, p: [y, dict(p)][0])
    with pytest.raises(nb.ParityError, match="activation_type"):
        test_no_target_ignores_a_parameter(nb.registry["Fmatmul"])
