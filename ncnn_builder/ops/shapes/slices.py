"""Parts, copies and orders: slice, tile, flip, copy into, diagonals, channels in another order."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from ...builder import ValueLike, append, inputs_of, integer, integers, one
from ...ir import Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, dsl, register, spec_of
from ..common import ANY_SHAPES, axes_from_end, by_axis, need, need_rank, shape_id
from .shape import really_reshape


def axis_of(dim: Any, rank: int, argument: str = "dim") -> int:
    """An axis without the batch from a `dim` that counts it, or a negative one. Raises BuildError for the batch."""
    number = integer(dim, argument)
    axis = number + rank if number < 0 else number - 1
    need(0 <= axis < rank, "bad axis", argument=argument, expected=f"1 to {rank}, or -1 to -{rank}", got=dim)
    return axis


def _part(shape: Shape, axis: int, size: int) -> Shape:
    return tuple(size if i == axis else n for i, n in enumerate(shape))


@register
class Slice(OpSpec):
    """x cut along `axis` into as many parts as there are results. ncnn: slice.cpp.

    slices: the size of each part, -233: an equal share of the rest; or, if there are any, indices: where each part but
    the first begins.
    """

    type = "Slice"
    outputs = ("y*",)
    params = (
        Param("slices", 0, "ints", "sizes of the parts", ()),
        Param("axis", 1, "int", "axis, outer first, without batch"),
        Param("indices", 2, "ints", "where the parts after the first begin, instead of slices", ()),
    )
    checked_in_cpp = True
    limits = ("-4 <= axis <= 3", "x.bits != 8")

    def _sizes(self, n: int, params: Any) -> list[int]:
        if params["indices"]:
            cuts = [0, *(i + n if i < 0 else i for i in params["indices"]), n]
            return [b - a for a, b in itertools.pairwise(cuts)]
        sizes: list[int] = []
        for i, size in enumerate(params["slices"]):
            rest = n - sum(sizes)
            sizes.append(rest // (len(params["slices"]) - i) if size == -233 else size)
        return sizes

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """An axis that counts from the end, and parts that leave out the rest of it."""
        x, axis, cuts = inputs[0], params["axis"], params["indices"]
        axis += len(x) * (axis < 0)
        need(0 <= axis < len(x), "bad axis", argument="axis", expected=f"an axis of {list(x)}", got=params["axis"])
        need(len(cuts) == count - 1 or (not cuts and len(params["slices"]) >= count), "too few parts", got=dict(params))
        sizes: list[int] = []
        for i in range(count):
            done, rest = sum(sizes), count - i
            if cuts:
                end = x[axis] if rest == 1 else cuts[i] + x[axis] * (cuts[i] < 0)
                sizes.append(end - done)
            else:
                size = params["slices"][i]
                sizes.append((x[axis] - done) // rest if size == -233 else size)
        if params["axis"] == axis and sum(sizes) == x[axis]:
            return None
        fits = min(sizes) > 0 and sum(sizes) <= x[axis]
        need(fits, "the parts do not fit", argument="sizes", expected=f"{x[axis]} at most", got=sizes)
        return [_part(x, axis, size) for size in sizes]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, axis = inputs[0], params["axis"]
        need(0 <= axis < len(x), "bad axis", argument="dim", expected=f"an axis of {list(x)}", got=axis)
        sizes = self._sizes(x[axis], params)
        fits = len(sizes) > 0 and min(sizes) > 0 and sum(sizes) == x[axis]
        need(fits, "the parts do not fit", argument="sizes", expected=f"{x[axis]} together, 1 or more each", got=sizes)
        return [_part(x, axis, size) for size in sizes]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, axis = inputs[0], params["axis"]
        return list(x.split(self._sizes(x.shape[axis], params), axis))

    def samples(self) -> list[Sample]:
        import torch

        cases: tuple[tuple[Shape, int, Any], ...] = (
            ((9,), 1, [2, 3, 4]),
            ((5, 7), 1, [1, 4]),
            ((5, 7), 2, [3, 4]),
            ((16, 3, 5), 1, [8, 8]),
            ((5, 3, 7), 1, [2, 3]),
            ((5, 6, 7), 2, 2),
            ((5, 6, 7), 3, 4),
            ((8, 3, 4, 5), 1, [4, 4]),
            ((2, 5, 4, 5), 2, [2, 3]),
            ((2, 3, 4, 5), 4, 2),
        )
        return [
            *(
                Sample(
                    f"split-{shape_id(x)}-{dim}-{sizes}",
                    (x,),
                    lambda g, v, dim=dim, sizes=sizes: slice(g, v, sizes, dim),
                    lambda v, dim=dim, sizes=sizes: v.split(sizes, dim),
                )
                for x, dim, sizes in cases
            ),
            *(
                Sample(
                    f"tensor-split-{shape_id(x)}-{dim}-{at}",
                    (x,),
                    lambda g, v, dim=dim, at=at: tensor_split(g, v, at, dim),
                    lambda v, dim=dim, at=at: torch.tensor_split(v, at, dim),
                )
                for x, dim, at in (((9,), 1, (2, 5)), ((5, 6, 7), -1, (1, -2)), ((8, 2, 3), 1, (4,)), ((7, 3), 1, 3))
            ),
        ]


@dsl
def slice(g: Graph, bottom_names: ValueLike, split_size_or_sections: Any, dim: SupportsFloat = 0) -> Values:
    """torch's split: parts of a size (the last may be smaller), or of these sizes; dim counts the batch.

    (split() here is the predecessor's: the same Value several times.)
    """
    x = one(bottom_names)
    axis = axis_of(dim, len(x.shape))
    n = x.shape[axis]
    if hasattr(split_size_or_sections, "__len__"):
        sizes = integers(split_size_or_sections, "split_size_or_sections")
    else:
        size = integer(split_size_or_sections, "split_size_or_sections")
        need(size >= 1, "bad size", argument="split_size_or_sections", expected=">= 1", got=size)
        sizes = (*(size,) * (n // size), *((n % size,) if n % size else ()))
    return append(g, spec_of("Slice"), x, {"slices": sizes, "axis": axis, "indices": ()})


@dsl
def tensor_split(g: Graph, bottom_names: ValueLike, indices_or_sections: Any, dim: SupportsFloat = 0) -> Values:
    """torch's tensor_split: so many parts, larger ones first, or cut before these indices; dim counts the batch."""
    x = one(bottom_names)
    axis = axis_of(dim, len(x.shape))
    n = x.shape[axis]
    if hasattr(indices_or_sections, "__len__"):
        cuts = integers(indices_or_sections, "indices_or_sections")
    else:
        parts = integer(indices_or_sections, "indices_or_sections")
        need(1 <= parts <= n, "bad number", argument="indices_or_sections", expected=f"1 to {n}", got=parts)
        cuts = tuple(i * (n // parts) + min(i, n % parts) for i in range(1, parts))
    if not cuts:
        return Values([x])
    return append(g, spec_of("Slice"), x, {"slices": (), "axis": axis, "indices": cuts})


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
class CopyTo(OpSpec):
    """`x` with `part` written over it, from `starts` on. ncnn: copyto.cpp, its array form (ids 9, 11)."""

    type = "CopyTo"
    inputs = ("x", "part")
    left_out = dict.fromkeys((0, 1, 2, 13), "offsets: what starts says as well")
    params = (
        Param("starts", 9, "ints", "first element, per axis", ()),
        Param("axes", 11, "ints", "axes, outer first, without batch", ()),
    )
    checked_in_cpp = True
    limits = (
        "len(axes) <= 4 and all(-4 <= a <= 3 for a in axes)",
        "len(starts) <= 4",
        "len(starts) == 0 or len(axes) == 0 or len(axes) == len(starts)",
    )

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Offsets instead of starts; axes that are left out, or some of them, or count from the end; a part as large
        as x, which takes its place."""
        x, part = inputs
        rank, starts, axes = len(x), params["starts"], params["axes"]
        if part == x:
            return [x]
        if starts and axes == tuple(range(rank)) and min(starts) >= 0:
            return None
        offsets = by_axis(extra, (0, 1, 13, 2), rank)
        if starts:
            offsets = [0] * rank
            for start, axis in zip(starts, axes or range(rank), strict=False):
                first = 0 if start == -233 else start
                offsets[axis] = first if first >= 0 else x[axis] + first
        return self.infer(inputs, {"starts": tuple(offsets), "axes": tuple(range(rank))}, {})

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, part = inputs
        need(len(part) == len(x), "the ranks differ", argument="part", expected=list(x), got=list(part))
        axes, starts = params["axes"], params["starts"]
        need(axes == tuple(range(len(x))) and len(starts) == len(x), "a start per axis", argument="starts", got=starts)
        fits = all(s >= 0 and s + m <= n for s, m, n in zip(starts, part, x, strict=True))
        need(fits, "the part reaches outside", argument="starts", expected=f"inside {list(x)}", got=list(starts))
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        y = inputs[0].clone()
        where = [builtins.slice(s, s + n) for s, n in zip(params["starts"], inputs[1].shape, strict=True)]
        y[tuple(where)] = inputs[1]
        return [y]

    def samples(self) -> list[Sample]:
        cases: tuple[tuple[Shape, Shape, tuple[int, ...]], ...] = (
            ((9,), (4,), (2,)),
            ((5, 7), (2, 7), (3, 0)),
            ((5, 7), (2, 3), (1, 4)),
            ((8, 5, 7), (4, 5, 7), (4, 0, 0)),
            ((5, 6, 7), (2, 3, 4), (1, 2, 3)),
            ((5, 6, 7), (5, 6, 7), (0, 0, 0)),
            ((4, 3, 4, 5), (2, 2, 1, 3), (1, 1, 2, 2)),
        )
        return [
            Sample(f"copy-{shape_id(x)}-{shape_id(p)}", (x, p), lambda g, *v, s=s: copyto(g, v, s)) for x, p, s in cases
        ]


@dsl
def copyto(g: Graph, bottom_names: ValueLike, starts: Any) -> Values:
    """Inputs [x, part]: x with part written over it, from the place `starts` on (outer first, without batch)."""
    values, first = inputs_of(bottom_names), integers(starts, "starts")
    return append(g, spec_of("CopyTo"), values, {"starts": first, "axes": tuple(range(len(first)))})


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
    checked_in_cpp = True
    limits = ("group >= 1",)

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
