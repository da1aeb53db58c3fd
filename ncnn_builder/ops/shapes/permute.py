"""Dimensions in another order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ...builder import ValueLike, append, integers, one
from ...ir import Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, dsl, register, spec_of
from ..common import need, shape_id
from .shape import really_reshape

# ncnn numbers permutations by where each output dimension, innermost first, comes from (the comment in
# permute.cpp): (w, h), (w, h, c) and (w, h, d, c) are order 0.
_ORDERS: dict[int, tuple[str, ...]] = {
    1: ("w",),
    2: ("wh", "hw"),
    3: ("whc", "hwc", "wch", "cwh", "hcw", "chw"),
    4: (
        "whdc",
        "hwdc",
        "wdhc",
        "dwhc",
        "hdwc",
        "dhwc",
        "whcd",
        "hwcd",
        "wchd",
        "cwhd",
        "hcwd",
        "chwd",
        "wdch",
        "dwch",
        "wcdh",
        "cwdh",
        "dcwh",
        "cdwh",
        "hdcw",
        "dhcw",
        "hcdw",
        "chdw",
        "dchw",
        "cdhw",
    ),
}


def permutation(rank: int, order: int) -> tuple[int, ...]:
    """ncnn's order number -> perm over axes, outer first: y axis i is x axis perm[i]."""
    inner_first = _ORDERS[rank][order]
    identity = _ORDERS[rank][0]
    return tuple(rank - 1 - identity.index(letter) for letter in reversed(inner_first))


def order_of(perm: tuple[int, ...]) -> int:
    """The inverse of permutation(): ncnn's order number."""
    rank = len(perm)
    return next(i for i in range(len(_ORDERS[rank])) if permutation(rank, i) == perm)


@register
class Permute(OpSpec):
    """Dimensions in another order; order_type as ncnn numbers them. ncnn: permute.cpp."""

    type = "Permute"
    params = (Param("order_type", 0, "int", "which permutation", 0),)
    limits = (
        "0 <= order_type <= 23",
        "x.bits != 8",
        "order_type < (1, 24, 2, 6, 24)[x.rank]",
    )

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Of a vector, which any order leaves as it is."""
        return [inputs[0]] if len(inputs[0]) == 1 and params["order_type"] else None

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x = inputs[0]
        need(
            0 <= params["order_type"] < len(_ORDERS[len(x)]),
            "bad order",
            argument="order_type",
            got=params["order_type"],
        )
        return [tuple(x[i] for i in permutation(len(x), params["order_type"]))]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].permute(permutation(inputs[0].ndim, params["order_type"]))]

    def samples(self) -> list[Sample]:
        return [
            Sample(
                f"permute-{shape_id(x)}-{perm}",
                (x,),
                lambda g, v, p=perm: permute(g, v, str((0, *(i + 1 for i in p)))),
                lambda v, p=perm: v.permute(0, *(i + 1 for i in p)),
            )
            for x in ((3, 5), (5, 3, 7), (8, 1, 4), (2, 3, 4, 5))
            for perm in itertools.permutations(range(len(x)))
        ] + [
            Sample("matrix", ((3, 5),), lambda g, v: permute(g, v, "(1, 0)"), lambda v: v.permute(0, 2, 1)),
            Sample(
                "batch", ((5, 3, 7),), lambda g, v: permute(g, v, "(1, 0, 2, 3)"), lambda v: v.permute(1, 0, 2, 3)[None]
            ),
        ]


@dsl
def permute(g: Graph, bottom_names: ValueLike, perm: Any) -> Values:
    """torch's permute: `perm` counts the batch dimension, e.g. "(0, 2, 3, 1)" or the numbers; any order.

    With one number for each of ncnn's own axes and no 0 in front, as "(1, 0)" for a matrix, there is no batch in it:
    it is really_permute(). A batch that goes elsewhere, as in "(1, 0, 2, 3)" for (C, H, W), becomes an axis of one
    among the others: (C, 1, H, W).
    """
    x, numbers = one(bottom_names), integers(perm, "perm")
    if numbers[:1] == (0,):
        return really_permute(g, x, tuple(n - 1 for n in numbers[1:]))
    if len(numbers) == len(x.shape) + 1 <= 4:
        x = really_reshape(g, x, (1, *x.shape))[0]
    return really_permute(g, x, numbers)


@dsl
def really_permute(g: Graph, bottom_names: ValueLike, perm: Any) -> Values:
    """Permute over ncnn's own axes: outer first, without batch. Any order of 1 to 4 dimensions."""
    x, numbers = one(bottom_names), integers(perm, "perm")
    rank = len(x.shape)
    need(
        sorted(numbers) == list(range(rank)),
        "not a permutation",
        argument="perm",
        expected=f"the numbers 0 to {rank - 1}",
        got=list(numbers),
    )
    return append(g, spec_of("Permute"), x, {"order_type": order_of(numbers)})
