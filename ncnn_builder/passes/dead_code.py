"""Drop nodes that no output and no tap needs.

before:  w, b = Shell(); y = Fmatmul(x, w); z = Square(x); return y
after:   w, b = Shell(); y = Fmatmul(x, w); return y

Exact: nothing that is left reads what is dropped. A node stays when any one of its outputs is needed, and one that
has none, as a Noop of a file that silences blobs, stays with all that it reads: who wrote it wanted it so.
"""

from __future__ import annotations

from ..ir import Graph, Node
from ..rebuild import rebuild


def dead_code(graph: Graph) -> Graph:
    needed = graph.kept()
    dead: set[Node] = set()
    for node in reversed(graph.nodes):
        if len(node.outputs) > 0 and needed.isdisjoint(node.outputs):
            dead.add(node)
        else:
            needed.update(node.inputs)
    if not dead:
        return graph
    return rebuild(graph, lambda new, node, inputs: None, "dead_code", drop=dead)
