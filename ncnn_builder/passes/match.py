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

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from ..builder import ValueLike, append, filled
from ..consumed import Consumed
from ..errors import BuildError
from ..ir import Array, Graph, Node, Value, Values
from ..opspec import OpSpec, spec_of
from ..rebuild import between, rebuild
from .dead_code import dead_code

MOST = 100
"""Rewrites for each node of a graph, and sweeps: a pass that never comes to an end is a bug."""


class NoMatch(Exception):
    """A pattern that is not there."""


class Refused(NoMatch):
    """A pattern that is almost there; the text says what is in the way."""


def expect(condition: object) -> None:
    """For what makes the pattern: raises NoMatch."""
    if not condition:
        raise NoMatch


def need(condition: object, reason: str) -> None:
    """For what has to hold where the pattern is: raises Refused."""
    if not condition:
        raise Refused(reason)


def is_a(node: Node | None, *ops: type[OpSpec]) -> bool:
    return node is not None and type(node.spec) in ops


class Matcher:
    """Questions about the graph that a pass is looking at, and what it builds there.

    new: the graph to build into. why: why the node that was last looked at stays; "" where it is no pattern's.
    """

    def __init__(self, graph: Graph) -> None:
        self.pinned = graph.kept()
        self.new = graph
        self.why = ""
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

    def maker(self, value: Value, *ops: type[OpSpec]) -> Node:
        """The node of one of these ops whose one output a value is. Raises NoMatch where it is another's, and Refused
        where somebody else reads it."""
        node = value.producer
        if node is None or not is_a(node, *ops) or len(node.outputs) != 1:
            raise NoMatch
        need(self.private(value), f"somebody else reads {value.name}")
        return node

    def maybe(self, value: Value, *ops: type[OpSpec]) -> Node | None:
        """Likewise, or None: for what may be missing."""
        try:
            return self.maker(value, *ops)
        except NoMatch:
            return None

    def interior(self, value: Value, *types: str) -> Node | None:
        """As maybe(), of types by their names: for a user's pass, of ops of their own too."""
        try:
            return self.maker(value, *(type(spec_of(name)) for name in types))
        except NoMatch as reason:
            self.why = self.why or str(reason)
            return None

    def need(self, condition: object, reason: str) -> None:
        """For what has to hold where the pattern is: where it does not, a user's pass leaves the node as it is."""
        need(condition, reason)

    def make(
        self, op: type[OpSpec], inputs: ValueLike, weights: Mapping[str, Array | None] | None = None, /, **params: Any
    ) -> Values:
        """A new node; parameters that are not given have ncnn's default."""
        spec = spec_of(op.type)
        return append(self.new, spec, inputs, filled(spec, **params), weights)

    def again(
        self,
        node: Node,
        inputs: ValueLike | None = None,
        weights: Mapping[str, Array | None] | None = None,
        **params: Any,
    ) -> Values:
        """A node as this one, but for what is given. A weight that stays is stored as it was."""
        given = node.inputs if inputs is None else inputs
        changed = {**node.params, **params}
        kept = node.weights if weights is None else weights
        made = append(self.new, node.spec, given, changed, kept)
        maker = made[0].producer
        if maker is not None:
            same = {name: how for name, how in node.stored.items() if kept.get(name) is node.weights.get(name)}
            maker.stored.update(same)
        return made

    def move(self, value: Value, to: Value) -> None:
        """From here on `to` holds what `value` held: a tap or output of it goes there."""
        self.moves.append((value, to))


Rewrite = Callable[[Graph, Node, Matcher], "Sequence[Value] | None"]
"""(graph, node in it, matcher) -> what takes the place of its outputs, appended to the graph; None to leave it."""


def rewrite_all(graph: Graph, rewrite: Rewrite, name: str, why: dict[str, str] | None = None) -> Graph:
    """Rewrite wherever it is possible, until it is no longer; `graph` itself where it never was.

    why: gets the reasons of what was refused: name of the node -> why it stays.
    """
    if why is None and not _begins(graph, rewrite):
        return graph
    work = _Work(graph, rewrite, f"pass {name}")
    for _ in range(MOST):
        if not work.sweep():
            if why is not None:
                why.update(work.why)
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
    probe = _Probe()
    matcher = Matcher(graph)
    matcher.new = probe
    for node in graph.nodes:
        try:
            if rewrite(probe, node, matcher) is not None:
                return True
        except (BuildError, NoMatch):
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
        self.why: dict[str, str] = {}
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
        self.why.clear()
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
        result = dead_code(self.graph)
        if result is not self.graph:
            self.graph.let_go(result)
        return result

    def _visit(self, node: Node) -> list[Node]:
        """What takes the place of a node; nothing where it stays."""
        g, begin = self.graph, len(self.graph.nodes)
        self.matcher.moves.clear()
        self.matcher.why = ""
        for params in self.touched:
            params.read.clear()
        self.touched.clear()
        with g.scope(node.scope):
            g.source, g.made_by, g.mask = node.source, self.made_by, node.mask
            try:
                outputs = self.rewrite(g, node, self.matcher)
            except (BuildError, NoMatch) as error:  # a declaration refuses what would be made, or the rewrite does
                outputs, self.matcher.why = None, str(error)
        made = g.nodes[begin:]
        if outputs is not None:
            self.matcher.why = self._loses(node, outputs, made)
        if outputs is None or self.matcher.why:
            g.forget(begin)
            if self.matcher.why:
                self.why[node.name] = self.matcher.why
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

    def _loses(self, node: Node, outputs: Sequence[Value], made: list[Node]) -> str:
        """What a rewrite would lose of the nodes that it does away with; masks carry over where that is nothing."""
        read = {*outputs, *(v for new in made for v in new.inputs)}
        gone = between(node, read.__contains__)
        for old in gone:
            constant_values = all(v.data is not None for v in old.outputs)  # their numbers are all that they mean
            ignored = {} if constant_values else _consumed(old).ignored(old.spec)
            if ignored:
                return f"{', '.join(f'{name}={value}' for name, value in ignored.items())} of {old.name}"
        for new_value, value in zip(outputs, node.outputs, strict=True):
            same = (new_value.shape, new_value.others) == (value.shape, value.others)
            if not same and not self.matcher.unread(value):
                return f"{value.name} follows an input of any shape in another way"
        for new in made:
            for old in gone:
                new.mask |= old.mask
        return ""

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
            node.weights.clear()
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
