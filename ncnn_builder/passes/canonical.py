"""Spell parameters as the DSL does, so that the other passes and the lowerings meet one spelling.

before:  y = Reduction(x, axes=[-1, 1]); z = Convolution(y, activation_type=1, activation_params=[0.3])
after:   y = Reduction(x, axes=[2, 1]); z = Convolution(y, activation_type=1, activation_params=[])

What a file may say in several ways, each declaration brings into one: OpSpec.canonical(). Exact: the layer is the same,
as ncnn's load_param has it. Nothing is refused; a layer whose weights or parameters are kept as they were read
(emit/foreign.py) is none that a pass knows.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..ir import Graph, Node, Params, Value
from ..rebuild import copy_node, rebuild


def canonical(graph: Graph) -> Graph:
    spelled = {
        node: params
        for node in graph.nodes
        if not node.spec.foreign and node.inputs and (params := _spelled(node)) != node.params
    }
    if not spelled:
        return graph

    def rewrite(new: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
        outputs = copy_node(new, node, inputs)
        new.nodes[-1].params = spelled.get(node, node.params)
        return outputs

    return rebuild(graph, rewrite, "pass canonical")


def _spelled(node: Node) -> Params:
    shapes = [v.shape for v in node.inputs]
    if any(len(other) != len(v.shape) for v in node.inputs for other in v.others):
        return node.params  # nobody knows what the end is that axes are counted from
    return node.spec.canonical(shapes, node.params)
