"""Parts: slice, and copy into."""

from __future__ import annotations

import builtins
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from ...builder import ValueLike, append, inputs_of, integer, integers, one
from ...ir import Graph, Params, Shape, Value, Values
from ...opspec import OpSpec, Param, Sample, dsl, register, spec_of
from ...sizes import Size, is_open
from ..common import by_axis, need, shape_id
from .crop import crop


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
    limits = ("-4 <= axis <= 3", "x.bits != 8")
    checked_in_cpp = True

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
        fits = all(n > 0 for n in sizes) and sum(sizes) <= x[axis]
        need(fits, "the parts do not fit", argument="sizes", expected=f"{x[axis]} at most", got=sizes)
        return [_part(x, axis, size) for size in sizes]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, axis = inputs[0], params["axis"]
        need(0 <= axis < len(x), "bad axis", argument="dim", expected=f"an axis of {list(x)}", got=axis)
        sizes = self._sizes(x[axis], params)
        fits = len(sizes) > 0 and all(n > 0 for n in sizes) and sum(sizes) == x[axis]
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
    """torch's split: parts of a size (the last may be smaller), or of these sizes; dim counts the batch. Where the
    axis is open, their number has to be known, and sizes may be open as well.

    (split() here is the predecessor's: the same Value several times.)
    """
    x = one(bottom_names)
    axis = axis_of(dim, len(x.shape))
    n = x.shape[axis]
    if hasattr(split_size_or_sections, "__len__"):
        return _cut(g, x, axis, [_size(size, "split_size_or_sections") for size in split_size_or_sections])
    size = _size(split_size_or_sections, "split_size_or_sections")
    need(size >= 1, "bad size", argument="split_size_or_sections", expected=">= 1", got=size)
    return _cut(g, x, axis, (*(size,) * (n // size), *((n % size,) if n % size else ())))


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
        if is_open((n,)) and n % parts == 0:
            return _cut(g, x, axis, (n // parts,) * parts)
        cuts = tuple(i * (n // parts) + min(i, n % parts) for i in range(1, parts))
    if not cuts:
        return Values([x])
    return append(g, spec_of("Slice"), x, {"slices": (), "axis": axis, "indices": cuts})


def _size(n: Any, argument: str) -> int:
    return n if isinstance(n, Size) else integer(n, argument)


def _cut(g: Graph, x: Value, axis: int, sizes: Sequence[int]) -> Values:
    """Parts of these sizes. Open ones are shares of the rest, or begin at a place that is known from one of the ends;
    else each part is a Crop of its own."""
    if not is_open(sizes):
        return append(g, spec_of("Slice"), x, {"slices": tuple(sizes), "axis": axis, "indices": ()})
    n, begins = x.shape[axis], list(itertools.accumulate(sizes, initial=0))
    need(begins[-1] == n, "the parts do not fit", argument="sizes", expected=f"{n} together", got=list(sizes))
    shares = [
        (n - begin) // (len(sizes) - i) == size for i, (begin, size) in enumerate(zip(begins, sizes, strict=False))
    ]
    if all(share or not is_open((size,)) for share, size in zip(shares, sizes, strict=True)):
        slices = tuple(-233 if is_open((size,)) else size for size in sizes)
        return append(g, spec_of("Slice"), x, {"slices": slices, "axis": axis, "indices": ()})
    cuts = tuple(begin - n if is_open((begin,)) else begin for begin in begins[1:-1])
    if not is_open(cuts):
        return append(g, spec_of("Slice"), x, {"slices": (), "axis": axis, "indices": cuts})
    return Values(crop(g, x, [begin], [end], [axis])[0] for begin, end in itertools.pairwise(begins))


@register
class CopyTo(OpSpec):
    """`x` with `part` written over it, from `starts` on. ncnn: copyto.cpp, its array form (ids 9, 11)."""

    type = "CopyTo"
    inputs = ("x", "part")
    params = (
        Param("starts", 9, "ints", "first element, per axis", ()),
        Param("axes", 11, "ints", "axes, outer first, without batch", ()),
    )
    left_out = dict.fromkeys((0, 1, 2, 13), "offsets: what starts says as well")
    limits = (
        "len(axes) <= 4 and all(-4 <= a <= 3 for a in axes)",
        "len(starts) <= 4",
        "len(starts) == 0 or len(axes) == 0 or len(axes) == len(starts)",
    )
    checked_in_cpp = True

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
