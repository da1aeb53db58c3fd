"""Modules of torch.nn that move numbers or leave them alone."""

from __future__ import annotations

from typing import Any

from ..builder import integers, one
from ..ir import Graph, Values
from ..ops.common import elements, need
from ..ops.convolutions.columns import fold, unfold
from ..ops.shapes.pad import pad
from ..ops.shapes.shape import really_reshape
from ..ops.shapes.slices import axis_of
from .walk import exports

_SIDES = ("left", "right", "top", "bottom", "front", "behind")
"""In the order of torch's padding."""


@exports("Identity")
def _identity(g: Graph, module: Any, inputs: Values) -> Values:
    return inputs


@exports(
    *("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"),
    eval_only=True,
)
def _dropout(g: Graph, module: Any, inputs: Values) -> Values:
    return inputs


@exports("Flatten")
def _flatten(g: Graph, module: Any, inputs: Values) -> Values:
    x = one(inputs)
    rank = len(x.shape)
    first, last = axis_of(module.start_dim, rank, "start_dim"), axis_of(module.end_dim, rank, "end_dim")
    need(first <= last, "start_dim is behind end_dim", argument="start_dim", got=(module.start_dim, module.end_dim))
    return really_reshape(g, x, (*x.shape[:first], elements(x.shape[first : last + 1]), *x.shape[last + 1 :]))


@exports("Unflatten")
def _unflatten(g: Graph, module: Any, inputs: Values) -> Values:
    x, sizes = one(inputs), list(integers(module.unflattened_size, "unflattened_size"))
    axis = axis_of(module.dim, len(x.shape), "dim")
    known = elements(tuple(n for n in sizes if n != -1))
    if sizes.count(-1) == 1 and known and x.shape[axis] % known == 0:
        sizes[sizes.index(-1)] = x.shape[axis] // known
    fits = min(sizes) > 0 and elements(tuple(sizes)) == x.shape[axis]
    need(fits, "the sizes do not fit", argument="unflattened_size", expected=f"{x.shape[axis]} together", got=sizes)
    return really_reshape(g, x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))


def _padded(g: Graph, module: Any, inputs: Values, mode: str) -> Values:
    x, sides = one(inputs), integers(module.padding, "padding")
    fits = len(sides) == 2 * (len(x.shape) - 1)
    need(fits, "wrong number of dimensions", argument="x", expected=f"{len(sides) // 2 + 1}-D", got=list(x.shape))
    value = float(getattr(module, "value", 0.0))
    return pad(g, x, **dict(zip(_SIDES, sides, strict=False)), value=value, mode=mode)


@exports(*(f"{kind}Pad{n}d" for kind in ("Zero", "Constant") for n in (1, 2, 3)))
def _constant_pad(g: Graph, module: Any, inputs: Values) -> Values:
    return _padded(g, module, inputs, "constant")


@exports(*(f"ReflectionPad{n}d" for n in (1, 2, 3)))
def _reflection_pad(g: Graph, module: Any, inputs: Values) -> Values:
    return _padded(g, module, inputs, "reflect")


@exports(*(f"ReplicationPad{n}d" for n in (1, 2, 3)))
def _replication_pad(g: Graph, module: Any, inputs: Values) -> Values:
    return _padded(g, module, inputs, "edge")


@exports("Unfold")
def _unfold(g: Graph, module: Any, inputs: Values) -> Values:
    return unfold(g, inputs, module.kernel_size, module.dilation, module.padding, module.stride)


@exports("Fold")
def _fold(g: Graph, module: Any, inputs: Values) -> Values:
    sizes = (module.output_size, module.kernel_size, module.dilation, module.padding, module.stride)
    return fold(g, inputs, *sizes)
