"""What the passes share: strict matching on the old graph, and rewriting until nothing more is found.

A pattern is looked for on the graph as it is, from its last node backwards. The rewrite makes the value of this last
node in another way and leaves the others alone; those that nobody reads any longer are dropped afterwards. So every
value that is left, a tap above all, holds what it held.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..builder import filled
from ..ir import Array, Graph, Node, Value
from .dead_code import dead_code
from .rebuild import rebuild

ROUNDS = 100
"""More than any chain of rewrites needs: a pass that never comes to an end is a bug."""


class Refused(Exception):
    """A pattern that is almost there; the text says what is in the way."""


class Matcher:
    """Questions about the graph that a pass is looking at, and the new Values of old ones."""

    def __init__(self, graph: Graph) -> None:
        self._pinned = graph.kept()
        self._new: dict[Value, Value] = {}

    def private(self, value: Value) -> bool:
        """One use, and neither output nor tap: nobody misses it."""
        return len(value.uses) == 1 and value not in self._pinned

    def readers(self, value: Value) -> int:
        """How many use it; an output or tap counts as one more."""
        return len(value.uses) + (value in self._pinned)

    def unread(self, value: Value) -> bool:
        """No use, and neither output nor tap."""
        return not value.uses and value not in self._pinned

    def interior(self, value: Value, *types: str) -> Node | None:
        """The producer of a private value, if it is of one of these types and has this one output."""
        node = value.producer
        if node is None or node.spec.type not in types or len(node.outputs) != 1 or not self.private(value):
            return None
        return node

    def new(self, value: Value) -> Value:
        """The Value in the graph that is being built."""
        return self._new[value]

    def move(self, value: Value, to: Value) -> None:
        """From here on `to` holds what `value` held: a tap or output of it goes there."""
        self._new[value] = to


Rewrite = Callable[[Graph, Node, Matcher], "Sequence[Value] | None"]
"""(graph that is built, old node, matcher) -> the new Values of its outputs, or None to leave it as it is."""


def rewrite_all(graph: Graph, rewrite: Rewrite, name: str) -> Graph:
    """Rewrite wherever it is possible, until it is no longer; `graph` itself where it never was."""
    for _ in range(ROUNDS):
        matcher = Matcher(graph)
        count = 0

        def counted(new: Graph, node: Node, inputs: list[Value], matcher: Matcher = matcher) -> Sequence[Value] | None:
            nonlocal count
            outputs = rewrite(new, node, matcher)
            count += outputs is not None
            return outputs

        rebuilt = rebuild(graph, counted, f"pass {name}", mapping=matcher._new)
        if not count:
            return graph
        graph = dead_code(rebuilt)
    raise AssertionError(f"pass {name} finds something to do after {ROUNDS} rounds")


def constant(value: Value) -> Array | None:
    """The numbers of a value that is known when compiling."""
    return value.data


def at_default(node: Node, *given: str) -> bool:
    """Whether every parameter that is not listed is what the declaration says by default."""
    defaults = filled(node.spec, **{name: node.params[name] for name in given})
    return all(node.params[name] == default for name, default in defaults.items())
