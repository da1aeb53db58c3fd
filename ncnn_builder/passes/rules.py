"""How a pass is written: rules, each of which finds a pattern by its last node, checks it, and makes something else.

    fuse_relu = Rules("fuse_relu")

    @fuse_relu.on(ReLU)
    def _into_convolution(m: Matcher, relu: Node) -> Made:
        conv = m.maker(relu.inputs[0], Convolution)                                 # the pattern: NoMatch without it
        need(conv.params["activation_type"] == Fused.NONE, "another activation")    # a check: Refused, and why
        return m.again(conv, activation_type=Fused.RELU)                            # the rewrite

A rule that raises NoMatch, or returns None, leaves its node to the next one. What is Refused, and what match.py refuses
by itself, `--dump-passes` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ..ir import Graph, Node, Value
from ..opspec import OpSpec
from .match import Matcher, NoMatch, rewrite_all

Made: TypeAlias = "Sequence[Value] | None"
"""What takes the place of a node's outputs; None: it stays."""
Rule = Callable[[Matcher, Node], Made]


class Rules:
    """A pass: Graph -> Graph, the very graph that it was given where no rule finds anything to do."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._rules: dict[type[OpSpec], list[Rule]] = {}

    def on(self, *ops: type[OpSpec]) -> Callable[[Rule], Rule]:
        """Decorator: a rule for nodes of these ops; of any, where it is OpSpec."""

        def put(rule: Rule) -> Rule:
            for op in ops:
                self._rules.setdefault(op, []).append(rule)
            return rule

        return put

    def __call__(self, graph: Graph) -> Graph:
        if OpSpec not in self._rules and not any(type(node.spec) in self._rules for node in graph.nodes):
            return graph
        return rewrite_all(graph, self._ask, self.name)

    def refusals(self, graph: Graph) -> dict[str, str]:
        """Name of a node that a rule looked at -> why it stays as it is."""
        why: dict[str, str] = {}
        rewrite_all(graph, self._ask, self.name, why)
        return why

    def _ask(self, new: Graph, node: Node, matcher: Matcher) -> Made:
        for rule in (*self._rules.get(type(node.spec), ()), *self._rules.get(OpSpec, ())):
            try:
                made: Made = rule(matcher, node)
            except NoMatch as reason:
                matcher.why = matcher.why or str(reason)
            else:
                if made is not None:
                    return made
        return None
