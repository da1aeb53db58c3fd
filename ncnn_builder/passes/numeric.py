"""The meaning of simple ops in numpy, in double: what constant folding computes with.

Not the ops' own references, which need torch: whether it is installed must not change a byte of what is emitted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..ir import Node
from ..ops.shapes.crop import Crop
from ..ops.shapes.permute import permutation

Numbers = list[Any]


def _reduction(node: Node, x: Numbers) -> Any:
    p, keep = node.params, bool(node.params["keepdims"])
    axes = None if p["reduce_all"] else tuple(p["axes"])
    table: dict[int, Callable[[Any], Any]] = {
        0: lambda a: a.sum(axes, keepdims=keep),
        2: lambda a: np.square(a).sum(axes, keepdims=keep),
        3: lambda a: a.mean(axes, keepdims=keep),
        4: lambda a: a.max(axes, keepdims=keep),
        5: lambda a: a.min(axes, keepdims=keep),
        7: lambda a: np.abs(a).sum(axes, keepdims=keep),
        8: lambda a: np.sqrt(np.square(a).sum(axes, keepdims=keep)),
    }
    function = table.get(p["operation"])
    return None if function is None else (function(x[0]) * p["coeff"]).reshape(node.outputs[0].shape)


def _binary(node: Node, x: Numbers) -> Any:
    a, b = x[0], node.params["b"] if node.params["with_scalar"] else x[1]
    table: dict[int, Callable[[], Any]] = {
        0: lambda: a + b,
        1: lambda: a - b,
        2: lambda: a * b,
        3: lambda: a / b,
        4: lambda: np.maximum(a, b),
        5: lambda: np.minimum(a, b),
        7: lambda: b - a,
        8: lambda: b / a,
    }
    return table[node.params["op"]]() if node.params["op"] in table else None


def _along(node: Node, x: Numbers) -> Any:
    a, v = x
    v = v.reshape([-1 if i == node.params["dim"] else 1 for i in range(4)])
    return (lambda: a * v, lambda: a / v, lambda: a + v, lambda: a - v)[node.params["op"]]()


def _permute(node: Node, x: Numbers) -> Any:
    return x[0].transpose(permutation(x[0].ndim, node.params["order_type"]))


def _crop(node: Node, x: Numbers) -> Any:
    assert isinstance(node.spec, Crop)
    return x[0][tuple(slice(a, b) for a, b in node.spec.ranges(x[0].shape, node.params))]


_UNARY: dict[int, Callable[[Any], Any]] = {
    0: np.abs,
    1: np.negative,
    4: np.square,
    5: np.sqrt,
    6: lambda a: 1 / np.sqrt(a),
    15: np.reciprocal,
}


def _unary(node: Node, x: Numbers) -> Any:
    function = _UNARY.get(node.params["op"])
    return None if function is None else function(x[0])


def _limits(node: Node, x: Numbers) -> Any:
    return np.clip(x[0], node.params["min"], node.params["max"])


EVALUATE: dict[str, Callable[[Node, Numbers], Any]] = {
    "Abs": lambda n, x: np.abs(x[0]),
    "BinaryOp": _binary,
    "Clamp": _limits,
    "Clip": _limits,
    "Concat": lambda n, x: np.concatenate(x, n.params["axis"]),
    "Crop": _crop,
    "F4DOp1D": _along,
    "MulConstant": lambda n, x: x[0] * n.params["scale"] + n.params["bias"],
    "Permute": _permute,
    "ReLU": lambda n, x: np.where(x[0] > 0, x[0], x[0] * n.params["slope"]),
    "Reduction": _reduction,
    "Reshape": lambda n, x: x[0].reshape(n.outputs[0].shape),
    "Rsqrt": lambda n, x: 1 / np.sqrt(x[0] * n.params["scale"] + n.params["eps"]),
    "Sqrt": lambda n, x: np.sqrt(x[0] + n.params["eps"]),
    "Square": lambda n, x: np.square(x[0]),
    "UnaryOp": _unary,
}
"""Op type -> (node, inputs in double) -> its output, or None where this case is not covered."""


def evaluate(node: Node) -> Any | None:
    """The one output of a node whose inputs are all known, as float32; None where it cannot be computed or is no
    finite number."""
    function = EVALUATE.get(node.spec.type)
    inputs = [v.data for v in node.inputs]
    if function is None or not inputs or any(data is None for data in inputs) or len(node.outputs) != 1:
        return None
    with np.errstate(all="ignore"):
        result = function(node, [data.astype(np.float64) for data in inputs if data is not None])
        if result is None:
            return None
        single = np.ascontiguousarray(result, dtype=np.float32)
    return single if np.isfinite(single).all() else None
