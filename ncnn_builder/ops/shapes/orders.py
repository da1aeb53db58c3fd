"""Copies and orders: tile, flip, diagonals, channels in another order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from ...builder import ValueLike, append, integer, integers, one
from ...ir import Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, dsl, register, spec_of
from ..common import ANY_SHAPES, axes_from_end, need, need_rank, shape_id
from .shape import really_reshape
from .slices import axis_of


@register
class Tile(OpSpec):
    """x repeated along its axes, as numpy.tile. ncnn: tile.cpp.

    repeats: one number per axis of x; or `tiles` times along `axis`, where repeats is empty. ncnn takes more repeats
    than axes as well, but gets 3-D to 4-D wrong: it repeats the depth where the channels are meant.
    """

    type = "Tile"
    params = (
        Param("axis", 0, "int", "axis, outer first, without batch"),
        Param("tiles", 1, "int", "how often along it", 1),
        Param("repeats", 2, "ints", "how often along each axis, instead", ()),
    )
    limits = (
        "len(repeats) > 0 or (0 <= axis <= 3 and tiles >= 1)",
        "len(repeats) <= 4 and all(r >= 1 for r in repeats)",
        "x.total * (prod(r for r in repeats) if len(repeats) > 0 else tiles) <= int_max",
    )

    def _repeats(self, rank: int, params: Any) -> tuple[int, ...]:
        return params["repeats"] or tuple(params["tiles"] if i == params["axis"] else 1 for i in range(rank))

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """More or fewer numbers than there are axes, which are the inner ones, as numpy has it."""
        x, repeats = inputs[0], params["repeats"]
        if len(repeats) in (0, len(x)):
            return None
        wrong = len(x) == 3 and len(repeats) == 4 and repeats[0] > 1
        need(not wrong, "ncnn repeats the depth where the channels are meant", argument="repeats", got=list(repeats))
        rank = max(len(x), len(repeats))
        wide = ((1,) * (rank - len(x)) + x, (1,) * (rank - len(repeats)) + repeats)
        return [tuple(n * r for n, r in zip(*wide, strict=True))]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x = inputs[0]
        repeats = self._repeats(len(x), params)
        need(0 <= params["axis"] < len(x), "bad axis", argument="axis", got=params["axis"])
        fits = len(repeats) == len(x) and min(repeats) >= 1
        need(fits, "bad repeats", argument="repeats", expected=f"{len(x)} numbers >= 1", got=list(repeats))
        return [tuple(n * r for n, r in zip(x, repeats, strict=True))]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].repeat(self._repeats(inputs[0].ndim, params))]

    def samples(self) -> list[Sample]:
        cases: tuple[tuple[Shape, tuple[int, ...]], ...] = (
            ((7,), (3,)),
            ((3, 5), (2, 3)),
            ((8, 2), (1, 2)),
            ((5, 3, 7), (2, 1, 2)),
            ((8, 2, 4), (2, 3, 1)),
            ((1, 4, 6), (4, 1, 1)),
            ((2, 3, 4, 5), (2, 1, 3, 2)),
            ((8, 2, 2, 2), (1, 2, 1, 1)),
            ((5, 3), (2, 1, 3)),
            ((5, 3, 7), (2, 3, 1, 1)),
            ((7,), (2, 1, 1, 2)),
            ((3, 5), (1, 1)),
        )
        return [
            *(
                Sample(
                    f"tile-{shape_id(x)}-{shape_id(r)}",
                    (x,),
                    lambda g, v, r=r: tile(g, v, r),
                    lambda v, r=r: v[0].repeat(r)[None],
                )
                for x, r in cases
            ),
            *(
                Sample(
                    f"axis-{shape_id(x)}-{axis}",
                    (x,),
                    lambda g, v, axis=axis: append(g, self, v, {"axis": axis, "tiles": 3, "repeats": ()}),
                )
                for x in ((7,), (3, 5), (5, 3, 7), (8, 2, 3, 4))
                for axis in range(len(x))
            ),
        ]


@dsl
def tile(g: Graph, bottom_names: ValueLike, repeats: Any) -> Values:
    """numpy's tile, without batch: how often along each axis, outer first; fewer than axes are for the inner ones."""
    x, times = one(bottom_names), integers(repeats, "repeats")
    need(1 <= len(times) <= 4, "bad repeats", argument="repeats", expected="1 to 4 numbers", got=list(times))
    if len(times) > len(x.shape):
        x = really_reshape(g, x, (*(1,) * (len(times) - len(x.shape)), *x.shape))[0]
    times = (*(1,) * (len(x.shape) - len(times)), *times)
    return append(g, spec_of("Tile"), x, {"axis": 0, "tiles": 1, "repeats": times})


@register
class Flip(OpSpec):
    """x with some axes in reverse. ncnn: flip.cpp."""

    type = "Flip"
    params = (Param("axes", 0, "ints", "axes, outer first, without batch", ()),)
    limits = (
        "len(axes) <= 4",
        "all(-x.rank <= a < x.rank for a in axes)",
    )

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        return axes_from_end(self, inputs, params)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, axes = inputs[0], params["axes"]
        fits = len(axes) > 0 and len(set(axes)) == len(axes) and all(0 <= a < len(x) for a in axes)
        need(fits, "bad axes", argument="dims", expected=f"distinct axes of {list(x)}", got=list(axes))
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].flip(params["axes"])]

    def samples(self) -> list[Sample]:
        return [
            Sample(
                f"flip-{shape_id(x)}-{dims}",
                (x,),
                lambda g, v, dims=dims: flip(g, v, dims),
                lambda v, dims=dims: v.flip(dims),
            )
            for x in ANY_SHAPES
            for dims in sorted({(1,), (-1,), tuple(range(1, len(x) + 1))})
        ]


@dsl
def flip(g: Graph, bottom_names: ValueLike, dims: Any) -> Values:
    """torch's flip; dims count the batch."""
    x = one(bottom_names)
    axes = tuple(axis_of(d, len(x.shape), "dims") for d in integers(dims, "dims"))
    return append(g, spec_of("Flip"), x, {"axes": axes})


@register
class Diag(OpSpec):
    """A vector as the diagonal of a matrix of zeros, or the diagonal of a matrix. ncnn: diag.cpp.

    diagonal: above the main one by so much, or below.
    """

    type = "Diag"
    params = (Param("diagonal", 0, "int", "which diagonal"),)
    limits = (
        "x.rank <= 2",
        "(x.w + abs(diagonal))**2 <= int_max if x.rank == 1 else -x.h < diagonal < x.w",
    )

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, k = inputs[0], params["diagonal"]
        need_rank(x, (1, 2), "x")
        if len(x) == 1:
            return [(x[0] + abs(k),) * 2]
        length = min(x[0] + min(k, 0), x[1] - max(k, 0))
        need(length > 0, "there is no such diagonal", argument="diagonal", expected=f"one of {list(x)}", got=k)
        return [(min(length, *x),)]

    def cut_short(self, inputs: Sequence[Shape], others: Sequence[Shape], params: Params) -> list[set[int]]:
        return [{0}]  # of a matrix, as long as the shorter of its sides is

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].diag(params["diagonal"])]

    def samples(self) -> list[Sample]:
        return [
            Sample(
                f"diag-{shape_id(x)}-{k}",
                (x,),
                lambda g, v, k=k: diag(g, v, k),
                lambda v, k=k: v[0].diag(k)[None],
            )
            for x in ((5,), (8,), (1,), (4, 4), (3, 7), (8, 5))
            for k in (-2, 0, 1)
            if len(x) == 1 or -x[0] < k < x[1]
        ]


@dsl
def diag(g: Graph, bottom_names: ValueLike, diagonal: SupportsFloat = 0) -> Values:
    """torch's diag, without batch: a vector as the diagonal of a matrix, or the diagonal of a matrix."""
    return append(g, spec_of("Diag"), one(bottom_names), {"diagonal": integer(diagonal, "diagonal")})


@register
class ShuffleChannel(OpSpec):
    """Channels [group, C / group] as [C / group, group], of (C, H, W). ncnn: shufflechannel.cpp.

    torch's channel_shuffle; reverse 1 undoes it.
    """

    type = "ShuffleChannel"
    params = (Param("group", 0, "int", "groups", 1), Param("reverse", 1, "int", "1: undo it"))
    limits = ("group >= 1",)
    checked_in_cpp = True

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, groups = inputs[0], params["group"]
        need_rank(x, (3,), "x")
        need(groups >= 1 and x[0] % groups == 0, "bad groups", argument="groups", expected=x[0], got=groups)
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, groups = inputs[0], params["group"]
        first = x.shape[0] // groups if params["reverse"] else groups
        return [x.reshape(first, -1, *x.shape[1:]).transpose(0, 1).reshape(x.shape)]

    def samples(self) -> list[Sample]:
        import torch

        shapes: tuple[tuple[Shape, int], ...] = (
            ((6, 3, 7), 2),
            ((8, 4, 4), 4),
            ((5, 2, 3), 1),
            ((12, 1, 5), 3),
            ((16, 3, 3), 2),
            ((32, 2, 2), 8),
        )
        return [
            *(
                Sample(
                    f"shuffle-{shape_id(x)}-{n}",
                    (x,),
                    lambda g, v, n=n: channel_shuffle(g, v, n),
                    lambda v, n=n: torch.nn.functional.channel_shuffle(v, n),
                )
                for x, n in shapes
            ),
            *(
                Sample(f"back-{shape_id(x)}-{n}", (x,), lambda g, v, n=n: channel_shuffle(g, v, n, reverse=True))
                for x, n in shapes
            ),
        ]


@dsl
def channel_shuffle(g: Graph, bottom_names: ValueLike, groups: SupportsFloat, reverse: bool = False) -> Values:
    """torch's channel_shuffle of (C, H, W): channels [groups, C / groups] become [C / groups, groups]; or back."""
    params = {"group": integer(groups, "groups"), "reverse": int(reverse)}
    return append(g, spec_of("ShuffleChannel"), one(bottom_names), params)
