"""Dimensions that come and go, and pixels that become channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from ...builder import ValueLike, append, integer, integers, one
from ...ir import Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, dsl, register, spec_of
from ..common import ANY_SHAPES, elements, functional, need, need_rank, over_shapes, shape_id
from .slices import axis_of


@register
class Flatten(OpSpec):
    """All numbers in one dimension. ncnn: flatten.cpp."""

    type = "Flatten"
    limits = ()

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        return [(elements(inputs[0]),)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].reshape(-1)]

    def samples(self) -> list[Sample]:
        return over_shapes("flatten", flatten, lambda x: x.flatten(1), (*ANY_SHAPES, (16, 3, 3), (8, 5)))


@dsl
def flatten(g: Graph, bottom_names: ValueLike) -> Values:
    """torch's flatten(1): all but the batch in one dimension."""
    return append(g, spec_of("Flatten"), one(bottom_names))


@register
class Squeeze(OpSpec):
    """x without some of its dimensions of size 1; the last one stays. ncnn: squeeze.cpp, its array form (id 3)."""

    type = "Squeeze"
    params = (Param("axes", 3, "ints", "axes, outer first, without batch", ()),)
    left_out = dict.fromkeys((0, 1, 2, 11), "a switch per dimension: what axes says as well")
    limits = ()

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """A switch per dimension; axes that count from the end, or that are not 1 and stay."""
        x, rank = inputs[0], len(inputs[0])
        if params["axes"]:
            axes = {a + rank if a < 0 else a for a in params["axes"]}
        else:
            ids = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}[rank]
            axes = {i for i, number in enumerate(ids) if extra.get(number)}
        chosen = tuple(i for i in range(rank) if i in axes and x[i] == 1)
        if chosen and chosen == tuple(params["axes"]):
            return None
        return [tuple(n for i, n in enumerate(x) if i not in chosen) or (1,)]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, axes = inputs[0], params["axes"]
        fits = len(axes) > 0 and len(set(axes)) == len(axes) and all(0 <= a < len(x) for a in axes)
        need(fits, "bad axes", argument="dim", expected=f"distinct axes of {list(x)}", got=list(axes))
        need(all(x[a] == 1 for a in axes), "a dimension is not 1", argument="dim", expected=1, got=[x[a] for a in axes])
        return [tuple(n for i, n in enumerate(x) if i not in axes) or (1,)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        return [x.reshape(self.infer([tuple(x.shape)], params, {})[0])]

    def samples(self) -> list[Sample]:
        cases: tuple[tuple[Shape, Any], ...] = (
            ((1, 5), 1),
            ((5, 1), 2),
            ((1, 4, 6), 1),
            ((8, 1, 9), 2),
            ((16, 6, 1), -1),
            ((1, 1, 7), (1, 2)),
            ((7, 1, 1), (2, 3)),
            ((1, 7, 1), (1, 3)),
            ((1, 3, 4, 5), 1),
            ((2, 1, 4, 5), 2),
            ((2, 3, 1, 5), 3),
            ((2, 3, 4, 1), 4),
            ((8, 1, 1, 5), (2, 3)),
            ((8, 1, 4, 1), (2, 4)),
            ((1, 3, 1, 1), (1, 3, 4)),
        )
        return [
            Sample(
                f"squeeze-{shape_id(x)}-{dim}",
                (x,),
                lambda g, v, dim=dim: squeeze(g, v, dim),
                lambda v, dim=dim: v.squeeze(dim),
            )
            for x, dim in cases
        ]


@dsl
def squeeze(g: Graph, bottom_names: ValueLike, dim: Any) -> Values:
    """torch's squeeze of dimensions of size 1, which count the batch; nothing is left of [1] but itself."""
    x = one(bottom_names)
    axes = tuple(axis_of(d, len(x.shape)) for d in integers(dim, "dim"))
    return append(g, spec_of("Squeeze"), x, {"axes": axes})


@register
class ExpandDims(OpSpec):
    """x with more dimensions, of size 1. ncnn: expanddims.cpp."""

    type = "ExpandDims"
    params = (Param("axes", 3, "ints", "where they are in the result, outer first, without batch", ()),)
    limits = (
        "all(-4 <= a <= 3 for a in axes)",
        "x.rank + len(axes) <= 4",
    )

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """None, which leaves x as it is, or some that count from the end."""
        rank = len(inputs[0]) + len(params["axes"])
        if params["axes"] and min(params["axes"]) >= 0:
            return None
        axes = tuple(a + rank if a < 0 else a for a in params["axes"])
        return self.infer(inputs, {"axes": axes}, {}) if axes else [inputs[0]]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, axes = inputs[0], params["axes"]
        rank = len(x) + len(axes)
        need(rank <= 4, "too many dimensions", argument="dim", expected="4 at most", got=rank)
        fits = len(axes) > 0 and len(set(axes)) == len(axes) and all(0 <= a < rank for a in axes)
        need(fits, "bad axes", argument="dim", expected=f"distinct axes of {rank}", got=list(axes))
        rest = iter(x)
        return [tuple(1 if i in axes else next(rest) for i in range(rank))]

    def canonical(self, inputs: Sequence[Shape], params: Any) -> Any:
        return params  # these axes are the result's

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        return [x.reshape(self.infer([tuple(x.shape)], params, {})[0])]

    def samples(self) -> list[Sample]:
        cases: tuple[tuple[Shape, tuple[int, ...]], ...] = (
            *(((7,), dim) for dim in ((1,), (2,), (1, 2), (1, 3), (2, 3), (1, 2, 3), (1, 3, 4), (2, 3, 4), (1, 2, 4))),
            *(((8, 5), dim) for dim in ((1,), (2,), (3,), (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4))),
            *(((5, 3, 7), dim) for dim in ((1,), (2,), (3,), (4,))),
            *(((8, 2, 3), dim) for dim in ((1,), (4,))),
        )

        def torch(v: Any, dims: tuple[int, ...]) -> Any:
            for dim in dims:  # ascending: each is its place in the result
                v = v.unsqueeze(dim)
            return v

        return [
            Sample(
                f"unsqueeze-{shape_id(x)}-{dims}",
                (x,),
                lambda g, v, dims=dims: unsqueeze(g, v, dims),
                lambda v, dims=dims: torch(v, dims),
            )
            for x, dims in cases
        ]


@dsl
def unsqueeze(g: Graph, bottom_names: ValueLike, dim: Any) -> Values:
    """torch's unsqueeze: a dimension of size 1 at `dim`, which counts the batch; or several, as they are in the end."""
    x, dims = one(bottom_names), integers(dim, "dim")
    rank = len(x.shape) + len(dims)
    return append(g, spec_of("ExpandDims"), x, {"axes": tuple(axis_of(d, rank) for d in dims)})


@register
class Reorg(OpSpec):
    """(C, H, W) -> (C * r * r, H / r, W / r): pixels become channels; rest rows and columns go. ncnn: reorg.cpp.

    mode 0: channel c * r * r + i * r + j is channel c at rows i, i + r, ... and columns j, j + r, ..., torch's
    pixel_unshuffle; mode 1: channel (i * r + j) * C + c.
    """

    type = "Reorg"
    params = (Param("stride", 0, "int", "r", 1), Param("mode", 1, "int", "order of the channels"))
    limits = (
        "mode in (0, 1)",
        "stride >= 1",
        "x.d == 1",
        "stride <= min(x.w, x.h)",
    )

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, r = inputs[0], params["stride"]
        need_rank(x, (3,), "x")
        need(
            r >= 1 and all(n >= r for n in x[1:]),
            "bad factor",
            argument="downscale_factor",
            expected=f"1 to {x[1]} and to {x[2]}",
            got=r,
        )
        need(params["mode"] in (0, 1), "unknown mode", argument="mode", expected="0 or 1", got=params["mode"])
        return [(x[0] * r * r, x[1] // r, x[2] // r)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        r, (c, h, w) = params["stride"], inputs[0].shape
        y = functional().pixel_unshuffle(inputs[0][:, : h // r * r, : w // r * r], r)
        return [y.reshape(c, r * r, *y.shape[1:]).transpose(0, 1).reshape(y.shape) if params["mode"] else y]

    def samples(self) -> list[Sample]:
        F = functional()
        shapes: tuple[tuple[Shape, int], ...] = (((5, 4, 6), 2), ((1, 6, 3), 3), ((8, 4, 4), 2), ((4, 2, 2), 1))
        return [
            *(
                Sample(
                    f"unshuffle-{shape_id(x)}-{r}",
                    (x,),
                    lambda g, v, r=r: pixel_unshuffle(g, v, r),
                    lambda v, r=r: F.pixel_unshuffle(v, r),
                )
                for x, r in shapes
            ),
            *(
                Sample(f"mode1-{shape_id(x)}-{r}", (x,), lambda g, v, r=r: pixel_unshuffle(g, v, r, mode=1))
                for x, r in (*shapes, ((3, 5, 7), 2))
            ),
        ]


@dsl
def pixel_unshuffle(g: Graph, bottom_names: ValueLike, downscale_factor: SupportsFloat, mode: int = 0) -> Values:
    """torch's pixel_unshuffle: (C, H, W) -> (C * r * r, H / r, W / r). mode 1: the channels are [r * r, C]."""
    params = {"stride": integer(downscale_factor, "downscale_factor"), "mode": integer(mode, "mode")}
    return append(g, spec_of("Reorg"), one(bottom_names), params)
