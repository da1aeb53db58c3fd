"""A Shell of which only the bias is read need not hold the weight.

before:  w, b = Shell(weight [256, 256, 3, 3], bias [256]); y = BiasAct(x, b)
after:   b = Shell(weight [1, 1, 1, 256]); y = BiasAct(x, b)

Exact: the same numbers in the same shape. It happens where another pass has put the weight into the layer that used it.
Refused: where the weight has a reader, is an output or a tap.
"""

from __future__ import annotations

from ..ir import Node
from ..ops.layers import Shell
from ..ops.weights import shell
from .match import Matcher, expect
from .rules import Made, Rules

trim_shells = Rules("trim_shells")


@trim_shells.on(Shell)
def _bias_alone(m: Matcher, node: Node) -> Made:
    expect(len(node.outputs) == 2 and m.unread(node.outputs[0]))
    bias = shell(m.new, [], node.weights["bias"][None, None, None], None, 1)[0]
    return [bias, bias]  # nobody asks for the first
