"""Why it differs: the export, a pass, a layer, or an option of the runtime."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..emit import EmittedModel, emit_graph
from ..errors import NcnnBuilderError
from ..ir import Graph
from ..parity import interpret, isolated_nodes, loaded
from .lab import Lab
from .options import PLAIN, Options

Kind = Literal["export", "pass", "layer", "option", "unknown"]


@dataclass(frozen=True)
class Cause:
    """Why a module differs.

    kind      export: export_ncnn() says something else than forward(); pass: a step of the compiler changes the
              result; layer: ncnn's or our layer computes something else than its declaration says; option: a switch of
              the runtime; unknown: none of these alone
    what      one sentence
    name      the step, the layer's name, or the switches
    source    ``file.py:line`` of the call in the DSL, where it is known
    switches  the guilty switches of an option
    """

    kind: Kind
    what: str
    name: str = ""
    source: str | None = None
    switches: tuple[str, ...] = ()


def find_cause(
    lab: Lab, graph: Graph, inputs: Mapping[str, Any], expected: Mapping[str, Any], options: Options
) -> Cause:
    """The first of export, passes, layers and options that makes the graph's taps differ from `expected`."""
    meant = interpret(graph, inputs)
    if not lab.equal({tap: meant[value] for tap, value in graph.taps.items()}, expected):
        return Cause("export", "export_ncnn() says something else than forward()")
    lowered, cause = guilty_step(lab, graph, inputs, expected)
    if cause is not None or lowered is None:
        return cause or Cause("unknown", "it could not be compiled")
    plain = lab.attempt(lowered, inputs, PLAIN)
    if not lab.equal(plain, expected):
        return _guilty_layer(lab, lowered, inputs, plain)
    switches = guilty_switches(lab, lowered, inputs, expected, options)
    if switches:
        return Cause(
            "option", f"right without {', '.join(switches)}, wrong with it", ", ".join(switches), None, switches
        )
    return Cause("unknown", "it is right when it is run again")


def guilty_step(
    lab: Lab, graph: Graph, inputs: Mapping[str, Any], expected: Mapping[str, Any]
) -> tuple[Graph | None, Cause | None]:
    """The lowered graph, and the first step of the compiler behind which the references give something else."""
    found: list[Cause] = []
    last = ["building"]
    weights = [_sums(graph)]

    def watch(step: str, before: Graph, after: Graph) -> None:
        last[0] = step
        sums = _sums(after)
        if not found and (after is not before or sums != weights[0]):
            problem = _problem(lab, after, inputs, expected)
            if problem is not None:
                found.append(_of_step(step, before, after, problem, weights[0], sums))
        weights[0] = sums

    try:
        lowered: Graph | None = lab.lowered(graph, watch)
    except NcnnBuilderError as error:
        lowered = None
        if not found:
            what = f"the compiler stops at step {last[0]}: {error.what}"
            found.append(Cause("pass", what, last[0], error.source))
    return lowered, found[0] if found else None


def _problem(lab: Lab, graph: Graph, inputs: Mapping[str, Any], expected: Mapping[str, Any]) -> str | None:
    """The first tap that differs by the references of the graph's ops."""
    try:
        values = interpret(graph, inputs)
        got = {tap: values[value] for tap, value in graph.taps.items()}
    except (NcnnBuilderError, RuntimeError) as error:
        return str(error)
    except KeyError:  # a graph that does not hang together: verify() says next what is wrong with it
        return None
    comparisons = lab.compare(got, expected)
    return next((str(c.problem or f"{c.name} by {c.required:.1e}") for c in comparisons.values() if not c.ok), None)


Sums = dict[tuple[str, str], int]
"""(node, weight) -> checksum."""


def _sums(graph: Graph) -> Sums:
    return {(n.name, k): zlib.crc32(w.tobytes()) for n in graph.nodes for k, w in n.weights.items()}


def _of_step(step: str, before: Graph, after: Graph, problem: str, old: Sums, new: Sums) -> Cause:
    what = f"step {step} of the compiler changes the result: {problem}"
    written = [key for key, total in new.items() if key in old and old[key] != total]
    if written:
        node, weight = written[0]
        shared = f" and {len(written) - 1} more" if len(written) > 1 else ""
        what += f"; it writes into {weight} of {node}{shared}"
    names = {node.name for node in before.nodes}
    touched = [n for n in after.nodes if n.name not in names or (written and n.name == written[0][0])]
    return Cause("pass", what, step, touched[0].source if touched else None)


def _guilty_layer(lab: Lab, lowered: Graph, inputs: Mapping[str, Any], whole: Mapping[str, Any] | str) -> Cause:
    said: dict[str, str] = {}

    def run(model: EmittedModel, given: Mapping[str, Any], outputs: list[str]) -> dict[str, Any]:
        try:
            results: dict[str, Any] = loaded(model, lab.net, **PLAIN.keywords()).run(dict(given), outputs)
            return results
        except Exception as error:
            said["last"] = " ".join(str(error).split())
            return {}

    for finding in isolated_nodes(lowered, inputs, run, compiled=emit_graph):
        if not finding.comparison.ok:
            node = finding.node
            reason = said.get("last") or finding.comparison.problem or f"by {finding.comparison.required:.1e}"
            what = f"the layer {node.spec.type} alone differs from what its declaration says: {reason}"
            return Cause("layer", what, node.name, node.source)
    if isinstance(whole, str):
        return Cause("layer", f"the runtime refuses the net: {whole}")
    return Cause("unknown", "every layer alone is right, all together are not")


def guilty_switches(
    lab: Lab, lowered: Graph, inputs: Mapping[str, Any], expected: Mapping[str, Any], options: Options
) -> tuple[str, ...]:
    """Switches are turned on one after the other; those that make a difference are left off."""
    current, guilty = PLAIN, []
    for switch in options.on:
        trial = replace(current, **{switch: getattr(options, switch)})
        if lab.equal(lab.attempt(lowered, inputs, trial), expected):
            current = trial
        else:
            guilty.append(switch)
    return tuple(guilty)
