"""A graph of restorers as OpenVINO's: the same numbers, from the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from ncnn_builder.ir import Graph, Node
from ncnn_builder.ops.enums import Binary, Fused


def as_openvino(graph: Graph) -> Any:
    """An openvino.Model of inputs and outputs [1, ...]. Raises ValueError for a layer that it does not know."""
    import openvino

    made: dict[Any, Any] = {v: openvino.opset11.parameter([1, *v.shape], np.float32, v.name) for v in graph.inputs}
    inputs = [made[v] for v in graph.inputs]
    for node in graph.nodes:
        make = MAKES.get(node.spec.type)
        if make is None:
            raise ValueError(f"no {node.spec.type} for it")
        made[node.outputs[0]] = make(openvino.opset11, node, *(made[v] for v in node.inputs))
    return openvino.Model([made[v] for v in graph.outputs.values()], inputs)


def _convolution(o: Any, node: Node, x: Any) -> Any:
    p = node.params
    border = ([p["pad_top"], p["pad_left"]], [p["pad_bottom"], p["pad_right"]])
    steps = ([p["stride_h"], p["stride_w"]], *border, [p["dilation_h"], p["dilation_w"]])
    y = o.convolution(x, o.constant(node.weights["weight"]), *steps)
    if p["bias_term"]:
        y = o.add(y, o.constant(node.weights["bias"].reshape(1, -1, 1, 1)))
    kind = p["activation_type"]
    if kind == Fused.RELU:
        return o.relu(y)
    if kind == Fused.LEAKY_RELU:
        return o.prelu(y, o.constant(np.float32(p["activation_params"]).reshape(1)))
    if kind != Fused.NONE:
        raise ValueError(f"no activation {kind} for it")
    return y


def _sum(o: Any, node: Node, x: Any, y: Any) -> Any:
    if node.params["op"] != 1:
        raise ValueError("no Eltwise but a sum for it")
    scaled = [
        v if by == 1 else o.multiply(v, o.constant(np.float32(by)))
        for v, by in zip((x, y), node.params["coeffs"] or (1, 1), strict=True)
    ]
    return o.add(*scaled)


def _binary(o: Any, node: Node, x: Any, y: Any) -> Any:
    if node.params["op"] != Binary.Add:
        raise ValueError("no BinaryOp but Add for it")
    return o.add(x, y)


def _resized(o: Any, node: Node, x: Any) -> Any:
    if node.params["resize_type"] != 1:
        raise ValueError("no Interp but of the nearest pixel for it")
    size = np.int64(node.outputs[0].shape[1:])
    how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return o.interpolate(x, size, "nearest", "sizes", axes=np.int64([2, 3]), **how)


MAKES = {
    "BinaryOp": _binary,
    "Concat": lambda o, node, *parts: o.concat(list(parts), 1 + node.params["axis"]),
    "Convolution": _convolution,
    "Eltwise": _sum,
    "Interp": _resized,
    "PReLU": lambda o, node, x: o.prelu(x, o.constant(node.weights["slope"])),
    "PixelShuffle": lambda o, node, x: o.depth_to_space(x, "depth_first", node.params["factor"]),
}
