"""What the passes share: strict matching, and rewriting until nothing more is found.

A pattern is looked for from its last node backwards. The rewrite makes the value of this last node in another way and
leaves the others alone; those that nobody reads any longer go. So every value that is left, a tap above all, holds
what it held.

A rewrite does not take place where it would lose what it does not know: where a node that it does away with has a
parameter off its default that it has not looked at (see consumed.py), or where the shape of the new value follows the
inputs of the net in another way than that of the old one (see openness.py). Nor where what it makes is refused by its
declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from ..consumed import Consumed
from ..errors import BuildError
from ..ir import Graph, Node, Value
from ..rebuild import between, rebuild
from .dead_code import dead_code

MOST = 100
"""Rewrites for each node of a graph, and sweeps: a pass that never comes to an end is a bug."""


class Refused(Exception):
    """A pattern that is almost there; the text says what is in the way."""


class Matcher:
    """Questions about the graph that a pass is looking at."""

    def __init__(self, graph: Graph) -> None:
        self.pinned = graph.kept()
        self.moves: list[tuple[Value, Value]] = []

    def private(self, value: Value) -> bool:
        """One use, and neither output nor tap: nobody misses it."""
        return len(value.uses) == 1 and value not in self.pinned

    def readers(self, value: Value) -> int:
        """How many use it; an output or tap counts as one more."""
        return len(value.uses) + (value in self.pinned)

    def unread(self, value: Value) -> bool:
        """No use, and neither output nor tap."""
        return not value.uses and value not in self.pinned

    def interior(self, value: Value, *types: str) -> Node | None:
        """The producer of a private value, if it is of one of these types and has this one output."""
        node = value.producer
        if node is None or node.spec.type not in types or len(node.outputs) != 1 or not self.private(value):
            return None
        return node

    def move(self, value: Value, to: Value) -> None:
        """From here on `to` holds what `value` held: a tap or output of it goes there."""
        self.moves.append((value, to))


Rewrite = Callable[[Graph, Node, Matcher], "Sequence[Value] | None"]
"""(graph, node in it, matcher) -> what takes the place of its outputs, appended to the graph; None to leave it."""


def rewrite_all(graph: Graph, rewrite: Rewrite, name: str) -> Graph:
    """Rewrite wherever it is possible, until it is no longer; `graph` itself where it never was."""
    if not _begins(graph, rewrite):
        return graph
    work = _Work(graph, rewrite, f"pass {name}")
    for _ in range(MOST):
        if not work.sweep():
            return work.done() if work.count else graph
    raise AssertionError(f"pass {name} finds something to do after {MOST} sweeps")


class _Builds(Exception):
    """A rewrite has found what it is for, and begins to build."""


class _Probe(Graph):
    """In the place of the graph that a rewrite builds into: whatever it is asked for, the answer is _Builds."""

    def __init__(self) -> None:
        pass

    def __getattribute__(self, name: str) -> NoReturn:
        raise _Builds


def _begins(graph: Graph, rewrite: Rewrite) -> bool:
    """Whether a rewrite finds anything that it might change. Most passes find nothing in most graphs, and to look costs
    a tenth of the copy that a rewrite works on."""
    probe, matcher = _Probe(), Matcher(graph)
    for node in graph.nodes:
        try:
            if rewrite(probe, node, matcher) is not None:
                return True
        except BuildError:
            continue
        except _Builds:
            return True
    return False


class _Work:
    """A copy of a graph, which a rewrite changes in place.

    Nodes are visited in order, and what a rewrite has made is visited at once: a chain of any length, of which each
    link goes into the one before or behind it, is one sweep.
    """

    def __init__(self, graph: Graph, rewrite: Rewrite, made_by: str) -> None:
        self.graph = rebuild(graph, lambda new, node, inputs: None, made_by)
        self.rewrite, self.made_by = rewrite, made_by
        self.matcher = Matcher(self.graph)
        self.count = 0
        self.most = MOST * (len(graph.nodes) + 1)
        self.touched: list[Consumed] = []
        self.instead: dict[Node, list[Node]] = {}  # what stands where a node stood; nothing where it is only gone
        self.names: dict[Value, list[tuple[dict[str, Value], str]]] = {}  # the outputs and taps that a value is
        for table in (self.graph.outputs, self.graph.taps):
            for path, value in table.items():
                self.names.setdefault(value, []).append((table, path))
        self._watch(self.graph.nodes)

    def sweep(self) -> bool:
        """Once over all nodes; whether anything was rewritten."""
        before = self.count
        for first in list(self.graph.nodes):
            stack = [first]
            while stack:
                node = stack.pop()
                if node not in self.instead:
                    stack += reversed(self._visit(node))
        if self.count > before:
            self._in_order()
        return self.count > before

    def done(self) -> Graph:
        for node in self.graph.nodes:
            node.params = _consumed(node).plain
        self.graph.source, self.graph.made_by, self.graph.mask = None, None, 0
        self.graph.loose &= self.graph.taps.keys()
        return dead_code(self.graph)

    def _visit(self, node: Node) -> list[Node]:
        """What takes the place of a node; nothing where it stays."""
        g, begin = self.graph, len(self.graph.nodes)
        self.matcher.moves.clear()
        for params in self.touched:
            params.read.clear()
        self.touched.clear()
        with g.scope(node.scope):
            g.source, g.made_by, g.mask = node.source, self.made_by, node.mask
            try:
                outputs = self.rewrite(g, node, self.matcher)
            except BuildError:  # a declaration refuses what would be made
                outputs = None
        made = g.nodes[begin:]
        if outputs is None or not self._keeps(node, outputs, made):
            g.forget(begin)
            return []
        del g.nodes[begin:]
        self.count += 1
        assert self.count <= self.most, f"{self.made_by} finds something to do after {self.count} rewrites"
        self._watch(made)
        self.instead[node] = made
        for old, new_value in (*zip(node.outputs, outputs, strict=True), *self.matcher.moves):
            self._replace(old, new_value)
        self._drop([node, *(v.producer for v, _ in self.matcher.moves if v.producer is not None)])
        return made

    def _keeps(self, node: Node, outputs: Sequence[Value], made: list[Node]) -> bool:
        """Whether the rewrite has looked at all that the nodes say which it does away with; then masks carry over."""
        read = {*outputs, *(v for new in made for v in new.inputs)}
        gone = between(node, read.__contains__)
        for old in gone:
            constant_values = all(v.data is not None for v in old.outputs)  # their numbers are all that they mean
            if not constant_values and _consumed(old).ignored(old.spec):
                return False
        for new_value, value in zip(outputs, node.outputs, strict=True):
            same = (new_value.shape, new_value.others) == (value.shape, value.others)
            if not same and not self.matcher.unread(value):
                return False
        for new in made:
            for old in gone:
                new.mask |= old.mask
        return True

    def _watch(self, nodes: Iterable[Node]) -> None:
        for node in nodes:
            node.params = Consumed(node.params, self.touched)

    def _replace(self, old: Value, new: Value) -> None:
        if new is old:
            return
        for node, _ in old.uses:
            node.inputs = tuple(new if value is old else value for value in node.inputs)
        new.uses += old.uses
        old.uses = []
        for table, path in self.names.pop(old, []):
            table[path] = new
            self.names.setdefault(new, []).append((table, path))
        if old in self.matcher.pinned:
            self.matcher.pinned.remove(old)
            self.matcher.pinned.add(new)

    def _drop(self, stack: list[Node]) -> None:
        """Take away these nodes, which nobody reads any longer, and what nobody reads without them."""
        while stack:
            node = stack.pop()
            self.instead.setdefault(node, [])
            for value in node.outputs:  # a tap that may go goes
                for table, path in self.names.pop(value, []):
                    del table[path]
            _unlink(node)
            for value in node.inputs:
                maker = value.producer
                if maker is not None and maker not in self.instead and all(map(self.matcher.unread, maker.outputs)):
                    stack.append(maker)

    def _in_order(self) -> None:
        """Nodes, and the uses of values, in the order in which they run."""
        nodes: list[Node] = []
        stack = self.graph.nodes[::-1]
        while stack:
            node = stack.pop()
            if node in self.instead:
                stack += reversed(self.instead[node])
            else:
                nodes.append(node)
        self.graph.nodes = nodes
        for value in self.graph.values():
            value.uses = []
        for node in nodes:
            for position, value in enumerate(node.inputs):
                value.uses.append((node, position))


def _unlink(node: Node) -> None:
    for position, value in enumerate(node.inputs):
        if (node, position) in value.uses:
            value.uses.remove((node, position))


def _consumed(node: Node) -> Consumed:
    assert isinstance(node.params, Consumed)
    return node.params
