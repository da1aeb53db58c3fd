"""Ops that move numbers and compute nothing: split, concat, crop, reshape, coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from ...builder import ValueLike, append, inputs_of, integer, integers, one
from ...errors import BuildError
from ...ir import Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, dsl, functions, register, spec_of
from ..common import FEATURE_MAPS, by_axis, elements, functional, need, need_rank, over_shapes, shape_id
from .expression import evaluate


@register
class Input(OpSpec):
    """An input of the net. All dimensions 0: any shape. ncnn: input.cpp. Emitted from Graph.inputs, not called."""

    type = "Input"
    inputs = ()
    params = (
        Param("w", 0, "int", "innermost dimension"),
        Param("h", 1, "int", "second dimension, 0 where there is none"),
        Param("c", 2, "int", "channels, 0 below three dimensions"),
        Param("d", 11, "int", "depth, 0 below four dimensions"),
    )
    limits = ()

    def samples(self) -> list[Sample]:
        return over_shapes("input", lambda g, x: x, lambda x: x)


@register
class Split(OpSpec):
    """x, `num` times. ncnn: split.cpp. The emitter inserts what it needs; an author rarely has to."""

    type = "Split"
    outputs = ("y*",)
    limits = ()

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0]]

    def samples(self) -> list[Sample]:
        return over_shapes("split", lambda g, x: split(g, x, 3), lambda x: (x, x, x))


@dsl
def split(g: Graph, bottom_names: ValueLike, num: SupportsFloat) -> Values:
    """x, `num` times. A Value may be used any number of times without it: Split layers come with emission."""
    count = integer(num, "num")
    need(count >= 1, "bad count", argument="num", expected=">= 1", got=count)
    return Values([one(bottom_names)] * count)


@register
class Concat(OpSpec):
    """The inputs, joined along `axis`. ncnn: concat.cpp."""

    type = "Concat"
    inputs = ("x", "x*")
    params = (Param("axis", 0, "int", "axis, outer first, without batch", 0),)
    checked_in_cpp = True
    limits = ("-4 <= axis <= 3", "x.bits != 8")

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        first = inputs[0]
        axis = params["axis"] + len(first) if params["axis"] < 0 else params["axis"]
        need(
            0 <= axis < len(first),
            "bad axis",
            argument="dim",
            expected=f"an axis of {list(first)}",
            got=axis + 1,
        )
        for other in inputs[1:]:
            fits = len(other) == len(first) and all(
                m == n for i, (m, n) in enumerate(zip(first, other, strict=True)) if i != axis
            )
            need(fits, f"the inputs differ outside axis {axis}", expected=list(first), got=list(other))
        return [tuple(sum(s[axis] for s in inputs) if i == axis else n for i, n in enumerate(first))]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        return [torch.cat(list(inputs), params["axis"])]

    def samples(self) -> list[Sample]:
        import torch

        cases: tuple[tuple[int, tuple[Shape, ...]], ...] = (
            (1, ((3,), (5,))),
            (1, ((2, 5), (3, 5))),
            (2, ((3, 5), (3, 1))),
            (1, ((5, 3, 7), (1, 3, 7), (2, 3, 7))),
            (2, ((5, 3, 7), (5, 1, 7))),
            (3, ((5, 3, 7), (5, 3, 2))),
            (1, ((8, 4, 4), (8, 4, 4))),
            (-1, ((3,), (4,))),
            (2, ((2, 3, 4, 5), (2, 1, 4, 5))),
            (4, ((2, 3, 4, 5), (2, 3, 4, 2))),
        )
        return [
            Sample(
                f"concat-{dim}-{'-'.join(map(shape_id, shapes))}",
                shapes,
                lambda g, *v, dim=dim: concat(g, v, dim),
                lambda *v, dim=dim: torch.cat(v, dim),
            )
            for dim, shapes in cases
        ]


@dsl
def concat(g: Graph, bottom_names: ValueLike, dim: SupportsFloat) -> Values:
    """The inputs joined along `dim`, which counts the batch dimension as torch does."""
    values, axis = inputs_of(bottom_names), integer(dim, "dim")
    axis = axis + len(values[0].shape) if axis < 0 and values else axis - 1
    need(axis >= 0, "bad axis", argument="dim", expected="an axis of the inputs, not the batch", got=dim)
    return append(g, spec_of("Concat"), values, {"axis": axis})


@register
class Crop(OpSpec):
    """x[starts:ends] along some axes. Negative numbers count from the end, -233 or 0 as an end is "to the end".

    ncnn: crop.cpp, its array form (ids 9, 10, 11).
    """

    type = "Crop"
    left_out = {
        **dict.fromkeys((0, 1, 2, 13), "offsets: what starts says as well"),
        **dict.fromkeys((3, 4, 5, 14), "output sizes: what ends says as well"),
        **dict.fromkeys((6, 7, 8, 15), "offsets from the end: what ends says as well"),
        **dict.fromkeys((19, 20, 21), "expressions of the sizes of other blobs; here shapes are known"),
    }
    params = (
        Param("starts", 9, "ints", "first element, per axis", ()),
        Param("ends", 10, "ints", "one past the last element, per axis", ()),
        Param("axes", 11, "ints", "axes, outer first, without batch", ()),
    )
    checked_in_cpp = True
    limits = (
        "len(axes) <= 4 and all(-4 <= a <= 3 for a in axes)",
        "len(starts) <= 4 and len(ends) == len(starts)",
        "len(axes) == 0 or len(axes) == len(starts)",
        "x.bits != 8",
    )

    inputs = ("x", "like?")

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Offsets and sizes instead of starts and ends, the size of another blob, expressions; axes that are left out
        or count from the end."""
        x, rank = inputs[0], len(inputs[0])
        starts, ends, axes = params["starts"], params["ends"], params["axes"]
        if extra.get(19) and extra.get(20):
            starts, ends = (tuple(evaluate(extra[i], inputs)) for i in (19, 20))
            axes = tuple(evaluate(extra[21], inputs)) if extra.get(21) else ()
        elif starts and ends and len(inputs) == 1 and axes and min(axes) >= 0:
            return None
        if starts and ends:
            need(len(inputs) == 1 or bool(extra.get(19)), "starts and ends take one input", expected=1, got=len(inputs))
            axes = tuple(a + rank if a < 0 else a for a in axes) or tuple(range(rank))
            n = len(axes)
            given = {"starts": starts[:n], "ends": ends[:n], "axes": axes}
            return self.infer([x], given, {})
        offsets = by_axis(extra, (0, 1, 13, 2), rank)
        if extra.get(0, 0) == -233 and len(inputs) == 2:
            return [()]  # numbers of the second input say it
        if len(inputs) == 2:
            like = inputs[1]
            w, h, d = like[-1], like[-2] if len(like) > 1 else 1, like[-3] if len(like) == 4 else 1
            c = like[0] if len(like) == rank else x[0]
            sizes = {1: [w], 2: [h, w], 3: [c, h, w], 4: [c, d, h, w]}[rank]
        else:
            behind = by_axis(extra, (6, 7, 15, 8), rank)
            wanted = by_axis(extra, (3, 4, 14, 5), rank)
            # without any of these, ncnn reads a second input
            need(any(extra.get(i, 0) for i in (3, 4, 5, 6, 7, 8, 14, 15)), "the second input is missing", got=1)
            rest = [n - a - b for n, a, b in zip(x, offsets, behind, strict=True)]
            sizes = [r if m == -233 else min(m, r) for m, r in zip(wanted, rest, strict=True)]
        inside = all(o >= 0 and m > 0 and o + m <= n for o, m, n in zip(offsets, sizes, x, strict=True))
        need(inside, "it reaches outside", expected=f"part of {list(x)}", got={"offsets": offsets, "sizes": sizes})
        return [tuple(sizes)]

    def ranges(self, x: Shape, params: Any) -> list[tuple[int, int]]:
        ranges = [(0, n) for n in x]
        for start, end, axis in zip(params["starts"], params["ends"], params["axes"], strict=True):
            n = x[axis]
            first = 0 if start == -233 else start if start >= 0 else n + start
            last = n if end == -233 else min(n, end if end > 0 else n + end)
            ranges[axis] = (first, last)
        return ranges

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x = inputs[0]
        counts = {len(params[k]) for k in ("starts", "ends", "axes")}
        need(
            len(counts) == 1
            and len(set(params["axes"])) == len(params["axes"])
            and all(0 <= a < len(x) for a in params["axes"]),
            "starts, ends and axes do not fit",
            expected=f"as many of each, axes of {list(x)}",
            got={k: list(v) for k, v in params.items()},
        )
        ranges = self.ranges(x, params)
        need(
            all(0 <= a < b for a, b in ranges),
            "nothing is left of an axis",
            got=ranges,
            expected=f"part of {list(x)}",
        )
        return [tuple(b - a for a, b in ranges)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0][tuple(slice(a, b) for a, b in self.ranges(tuple(inputs[0].shape), params))]]

    def samples(self) -> list[Sample]:
        return [
            Sample("crop-1d", ((9,),), lambda g, x: crop(g, x, "1,2", "1,7", "1,0"), lambda x: x[:, 2:7]),
            Sample("crop-2d", ((4, 9),), lambda g, x: crop(g, x, "1,1", "1,-2", "1,1"), lambda x: x[:, :, 1:-2]),
            Sample(
                "crop-3d",
                ((5, 6, 7),),
                lambda g, x: crop(g, x, "2,1,2", "2,-233,5", "2,1,2"),
                lambda x: x[:, :, 1:, 2:5],
            ),
            # by halves, and no GLU: that layer departs from torch
            Sample("glu", ((6, 8),), lambda g, x: functions["glu"](g, x), lambda x: functional().glu(x)),
            Sample("crop-channels", ((16, 3, 5),), lambda g, x: crop(g, x, [-5], [16], [0]), lambda x: x[:, -5:]),
            Sample(
                "crop-4d",
                ((2, 3, 4, 5),),
                lambda g, x: crop(g, x, "3,1,0,1", "3,3,3,4", "3,1,2,3"),
                lambda x: x[:, :, 1:3, 0:3, 1:4],
            ),
        ]


def _counted(value: Any, argument: str) -> tuple[int, ...]:
    """A list of numbers, or the predecessor's text "n,a,b,..." whose first number counts the others."""
    numbers = integers(value, argument)
    if not isinstance(value, str):
        return numbers
    if not numbers or numbers[0] != len(numbers) - 1:
        raise BuildError(
            "bad array text",
            op="Crop",
            argument=argument,
            expected='"n,a,b,..." with n numbers after n',
            got=repr(value),
        )
    return numbers[1:]


@dsl
def crop(g: Graph, bottom_names: ValueLike, starts: Any, ends: Any, axes: Any) -> Values:
    """x[starts:ends] along `axes` (ncnn's own: outer first, without batch).

    Each is a list of numbers, or the text "n,a,b,..." with the count first. -233 as an end is "to the end".
    """
    params = {
        "starts": _counted(starts, "starts"),
        "ends": _counted(ends, "ends"),
        "axes": _counted(axes, "axes"),
    }
    rank = len(one(bottom_names).shape)
    params["axes"] = tuple(a + rank if a < 0 else a for a in params["axes"])
    return append(g, spec_of("Crop"), bottom_names, params)


@register
class Reshape(OpSpec):
    """The same numbers in another shape; dimensions that the shape lacks are -233. ncnn: reshape.cpp."""

    type = "Reshape"
    left_out = {
        6: "shape_expr: a shape computed from the sizes of other blobs; here shapes are known",
        12: "input_batch_axis: there is no batch here",
        13: "output_batch_axis: there is no batch here",
    }
    off_at = {12: 233, 13: 233}
    params = (
        Param("w", 0, "int", "innermost dimension", -233),
        Param("h", 1, "int", "second dimension, or -233", -233),
        Param("c", 2, "int", "outermost of three or four, or -233", -233),
        Param("d", 11, "int", "third of four, or -233", -233),
    )
    checked_in_cpp = True
    limits = ("x.bits != 8",)

    inputs = ("x", "size*")

    def _shape(self, x: Shape, params: Any) -> Shape:
        """What the parameters say, a -1 being the rest; the first dimension that is not there ends it."""
        names = next(
            (n for n, last in (("", "w"), ("w", "h"), ("hw", "c"), ("chw", "d")) if params[last] == -233), "cdhw"
        )
        shape = [params[k] for k in names]
        known = elements(tuple(n for n in shape if n != -1))
        if shape.count(-1) == 1 and known > 0 and elements(x) % known == 0:
            shape[shape.index(-1)] = elements(x) // known
        return tuple(shape)

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Dimensions that stay as they are (0), and shapes that are computed from sizes."""
        x = inputs[0]
        if any(extra.get(i, 233) != 233 for i in (12, 13)):
            return [()]  # with a batch
        p = dict(params)
        if extra.get(6):
            sizes = evaluate(extra[6], inputs)
            need(1 <= len(sizes) <= 4, "bad shape", argument="shape_expr", expected="1 to 4 numbers", got=sizes)
            names = ("w", "wh", "whc", "whdc")[len(sizes) - 1]
            p = {**dict.fromkeys("cdhw", -233), **dict(zip(names, sizes, strict=True))}
        elif 0 not in params.values():
            return None
        axes = dict(zip({1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(x)], x, strict=True))
        return self.infer([x], {k: axes.get(k, 1) if n == 0 else n for k, n in p.items()}, {})

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need(len(inputs) == 1, "more inputs than an expression of sizes needs", expected=1, got=len(inputs))
        shape = self._shape(inputs[0], params)
        need(len(shape) >= 1, "no width, so no shape", argument="shape", got=dict(params))
        need(
            min(shape) > 0 and elements(shape) == elements(inputs[0]),
            "wrong number of elements",
            argument="shape",
            expected=f"{elements(inputs[0])} for {list(inputs[0])}",
            got=list(shape),
        )
        return [shape]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].reshape(self._shape(tuple(inputs[0].shape), params))]

    def samples(self) -> list[Sample]:
        cases: tuple[tuple[Shape, Shape], ...] = (
            ((12,), (3, 4)),
            ((12,), (2, 3, 2)),
            ((12,), (1, 2, 3, 2)),
            ((3, 4), (12,)),
            ((5, 3, 7), (105,)),
            ((5, 3, 7), (7, 15)),
            ((5, 3, 7), (3, 5, 7)),
            ((2, 3, 4, 5), (6, 4, 5)),
            ((2, 3, 4, 5), (120,)),
            ((5, 3, 7), (-1, 7)),
            ((16, 2, 3), (8, -1)),
            ((1, 1, 1), (1,)),
            ((8, 3, 3), (4, 2, 3, 3)),
        )
        return [
            *(
                Sample(
                    f"reshape-{shape_id(a)}-{b}",
                    (a,),
                    lambda g, x, b=b: reshape(g, x, (1, *b)),
                    lambda x, b=b: x.reshape(1, *b),
                )
                for a, b in cases
            ),
            Sample(
                "really-reshape",
                ((6, 4),),
                lambda g, x: really_reshape(g, x, (3, -1, 2)),
                lambda x: x.reshape(1, 3, 4, 2),
            ),
        ]


@dsl
def reshape(g: Graph, bottom_names: ValueLike, shape: Any) -> Values:
    """torch's reshape: the first number is the batch, 1 or -1; one of the others may be -1."""
    numbers = integers(shape, "shape")
    if not numbers or numbers[0] not in (1, -1):
        raise BuildError(
            "the batch is one picture", op="Reshape", argument="shape", expected="1 or -1 first", got=shape
        )
    return really_reshape(g, bottom_names, numbers[1:])


@dsl
def really_reshape(g: Graph, bottom_names: ValueLike, shape: Any) -> Values:
    """Reshape to ncnn's own dimensions: 1 to 4 numbers, outer first, without batch; one may be -1."""
    x, numbers = one(bottom_names), list(integers(shape, "shape"))
    need(1 <= len(numbers) <= 4, "bad shape", argument="shape", expected="1 to 4 numbers", got=numbers)
    if numbers.count(-1) == 1:
        known = elements(tuple(n for n in numbers if n != -1))
        need(
            known > 0 and elements(x.shape) % known == 0,
            "the shape does not fit",
            argument="shape",
            expected=f"{elements(x.shape)} elements",
            got=numbers,
        )
        if not x.open:  # else ncnn computes it
            numbers[numbers.index(-1)] = elements(x.shape) // known
    need(
        all(n > 0 or (n == -1 and x.open) for n in numbers) and numbers.count(-1) < 2,
        "bad shape",
        argument="shape",
        expected="positive numbers, at most one -1",
        got=numbers,
    )
    names = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}[len(numbers)]
    return append(g, spec_of("Reshape"), x, {**dict.fromkeys("cdhw", -233), **dict(zip(names, numbers, strict=True))})


@register
class CoordConcat(OpSpec):
    """Appends two channels to (C, H, W): the x coordinate, then the y coordinate, each from -1 to 1."""

    type = "CoordConcat"
    custom = True
    params = (Param("axis", 0, "int", "0: of the channels, the only one"),)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        need(params["axis"] == 0, "bad axis", argument="axis", expected=0, got=params["axis"])
        c, h, w = inputs[0]
        return [(c + 2, h, w)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        x = inputs[0]
        _, h, w = x.shape
        xs = torch.linspace(-1, 1, w).expand(1, h, w)
        ys = torch.linspace(-1, 1, h)[:, None].expand(1, h, w)
        return [torch.cat([x, xs, ys])]

    def samples(self) -> list[Sample]:
        return over_shapes("coordconcat", coordconcat, shapes=FEATURE_MAPS)


@dsl
def coordconcat(g: Graph, bottom_names: ValueLike) -> Values:
    """(C, H, W) with its x and y coordinates, -1 to 1, appended as two channels."""
    return append(g, spec_of("CoordConcat"), bottom_names, {"axis": 0})
