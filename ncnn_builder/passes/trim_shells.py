"""A Shell of which only the bias is read need not hold the weight.

before:  w, b = Shell(weight [256, 256, 3, 3], bias [256]); y = BiasAct(x, b)
after:   b = Shell(weight [1, 1, 1, 256]); y = BiasAct(x, b)

Exact: the same numbers in the same shape. It happens where another pass has put the weight into the layer that used it.
Refused: where the weight has a reader, is an output or a tap.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Graph, Node, Value
from ..ops.weights import shell
from .match import Matcher, rewrite_all


def trim_shells(graph: Graph) -> Graph:
    return rewrite_all(graph, _rewrite, "trim_shells")


def _rewrite(new: Graph, node: Node, matcher: Matcher) -> Sequence[Value] | None:
    if node.spec.type != "Shell" or len(node.outputs) != 2 or not matcher.unread(node.outputs[0]):
        return None
    bias = shell(new, [], node.weights["bias"][None, None, None], None, 1)[0]
    return [bias, bias]  # nobody asks for the first
