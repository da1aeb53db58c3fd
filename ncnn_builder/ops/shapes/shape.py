"""Ops that move numbers and compute nothing: split, concat, reshape, coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from ...builder import ValueLike, append, inputs_of, integer, integers, is_sequence, one
from ...errors import BuildError
from ...ir import Graph, Params, Shape, Value, Values
from ...opspec import OpSpec, Param, Sample, dsl, register, spec_of
from ...sizes import Size, is_open
from ..common import FEATURE_MAPS, elements, need, need_rank, over_shapes, shape_id
from .expression import evaluate
from .sized import reshape_to


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
    limits = ("-4 <= axis <= 3", "x.bits != 8")
    checked_in_cpp = True

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
class Reshape(OpSpec):
    """The same numbers in another shape; dimensions that the shape lacks are -233. ncnn: reshape.cpp."""

    type = "Reshape"
    inputs = ("x", "size*")
    params = (
        Param("w", 0, "int", "innermost dimension", -233),
        Param("h", 1, "int", "second dimension, or -233", -233),
        Param("c", 2, "int", "outermost of three or four, or -233", -233),
        Param("d", 11, "int", "third of four, or -233", -233),
    )
    left_out = {
        6: "shape_expr: a shape computed from the sizes of other blobs; here shapes are known",
        12: "input_batch_axis: there is no batch here",
        13: "output_batch_axis: there is no batch here",
    }
    off_at = {12: 233, 13: 233}
    limits = ("x.bits != 8",)
    checked_in_cpp = True

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
            all(n > 0 for n in shape) and elements(shape) == elements(inputs[0]),
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
    numbers = tuple(shape) if is_sequence(shape) and is_open(shape) else integers(shape, "shape")
    if not numbers or numbers[0] not in (1, -1):
        raise BuildError(
            "the batch is one picture", op="Reshape", argument="shape", expected="1 or -1 first", got=shape
        )
    return really_reshape(g, bottom_names, numbers[1:])


@dsl
def really_reshape(g: Graph, bottom_names: ValueLike, shape: Any) -> Values:
    """Reshape to ncnn's own dimensions: 1 to 4 numbers, outer first, without batch; one may be -1.

    They may be open sizes, as those of another Value's shape are.
    """
    x = one(bottom_names)
    if is_sequence(shape) and is_open(shape):
        return Values([_to_open(g, x, tuple(shape))])
    numbers = list(integers(shape, "shape"))
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


def _to_open(g: Graph, x: Value, shape: Shape) -> Value:
    """A shape of which sizes are open: one of them is the rest, more are computed of the sizes of blobs."""
    rest = tuple(n for n in shape if n != -1)
    need(
        1 <= len(shape) <= 4 and len(rest) >= len(shape) - 1,
        "bad shape",
        argument="shape",
        expected="1 to 4 numbers, at most one -1",
        got=list(shape),
    )
    if len(rest) < len(shape):
        shape = tuple(elements(x.shape) // elements(rest) if n == -1 else n for n in shape)
    expected = f"{elements(x.shape)} elements"
    need(elements(shape) == elements(x.shape), "the shape does not fit", expected=expected, got=list(shape))
    if sum(isinstance(n, Size) for n in shape) > 1:
        return reshape_to(g, x, shape)
    return really_reshape(g, x, [-1 if isinstance(n, Size) else n for n in shape])[0]


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
