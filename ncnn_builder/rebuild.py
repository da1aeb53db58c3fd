"""The one way in which lowerings and passes change a graph: build it anew, node by node."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from .errors import VerifyError
from .ir import Graph, Node, Shape, Value
from .sizes import is_open

Rewrite = Callable[[Graph, Node, list[Value]], "Sequence[Value] | None"]
"""(new graph, old node, its inputs in the new graph) -> its outputs there, or None to keep the node as it is."""


def rebuild(
    graph: Graph,
    rewrite: Rewrite,
    made_by: str,
    drop: Collection[Node] = (),
    mapping: dict[Value, Value] | None = None,
    shapes: Mapping[str, Shape] | None = None,
) -> Graph:
    """A new graph in which `rewrite` has replaced nodes. Scopes, source lines, outputs and taps carry over,
    and so do the names of what stays.

    drop: nodes that are left out; nothing that stays may need them. mapping: a dict that is filled with old Value ->
    new Value as the graph grows, for a `rewrite` that looks further back than at the inputs. shapes: inputs that have
    this shape from now on.
    """
    new = Graph(graph.name)
    new.avoid(graph.names())
    mapping = {} if mapping is None else mapping
    for value in graph.inputs:
        shape = (shapes or {}).get(value.name)
        any_shape = value.any_shape and shape is None
        mapping[value] = new.input(value.name, shape or value.shape or None, any_shape=any_shape)
    masked = any(node.mask for node in graph.nodes)
    for node in graph.nodes:
        if node in drop:
            continue
        inputs = [mapping[v] for v in node.inputs]
        with new.scope(node.scope):
            new.source, new.made_by, new.mask = node.source, made_by, node.mask
            begin = len(new.nodes)
            outputs = rewrite(new, node, inputs)
            if outputs is None:
                outputs = copy_node(new, node, inputs)
            else:
                _need_open_sizes(node, outputs, made_by)
                if masked:
                    _swallow(new.nodes[begin:], node, mapping)
        mapping.update(zip(node.outputs, outputs, strict=True))
    new.source, new.made_by, new.mask = None, None, 0
    for name, value in graph.outputs.items():
        new.output(name, mapping[value])
    new.taps = {path: mapping[value] for path, value in graph.taps.items() if value in mapping}
    new.loose = graph.loose & new.taps.keys()
    return new


def _need_open_sizes(node: Node, outputs: Sequence[Value], made_by: str) -> None:
    """Raises VerifyError where an open size has become another one, or a known one: a fault of the rewrite."""
    for old, value in zip(node.outputs, outputs, strict=True):
        if is_open(old.shape) and value.shape != old.shape:
            raise VerifyError(
                f"{made_by}: what takes the place of {old.name} has another shape",
                **dict(op=node.spec.type, node=node.name, scope=node.scope or None, source=node.source),
                expected=list(old.shape),
                got=list(value.shape),
                fix="It takes a size for known that is open",
            )


def _swallow(made: list[Node], node: Node, mapping: Mapping[Value, Value]) -> None:
    """What takes the place of `node` gets the feature masks of all that it takes the place of."""
    read = {value for new in made for value in new.inputs}
    for old in between(node, lambda value: mapping[value] in read):
        for new in made:
            new.mask |= old.mask


def between(node: Node, read: Callable[[Value], bool]) -> list[Node]:
    """The nodes on the way back from `node`, itself first, to the values of which `read` is true."""
    found = [node]
    seen = {node}
    for old in found:
        for value in old.inputs:
            maker = value.producer
            if maker is not None and maker not in seen and not read(value):
                seen.add(maker)
                found.append(maker)
    return found


def copy_node(new: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """Append a copy of `node` with other inputs; its parameters and weights are shared, its names are the same."""
    copy = Node(
        node.spec,
        node.name,
        inputs,
        node.params,
        node.weights,
        node.scope,
        node.source,
        node.made_by,
        node.stored,
        node.mask,
    )
    same = all(a.others == b.others for a, b in zip(inputs, node.inputs, strict=True))
    others = [v.others for v in node.outputs] if same else None
    outputs = new.adopt(copy, [(v.name, v.shape) for v in node.outputs], others)
    for value, old in zip(outputs, node.outputs, strict=True):
        value.data = old.data
    return outputs
