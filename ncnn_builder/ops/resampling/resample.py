"""Interpolation, and the zero-inserting and pixel-dropping layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ...builder import ValueLike, append, is_sequence, number, one, pair
from ...errors import BuildError
from ...ir import Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, dsl, register, spec_of
from ...sizes import OpenSizeError, Size, is_open
from ..common import FEATURE_MAPS, functional, need, need_rank, over_shapes, shape_id
from ..shapes.expression import evaluate
from ..shapes.sized import resize_to

_INTERP = {"nearest": 1, "bilinear": 2, "bicubic": 3}


@register
class Interp(OpSpec):
    """Resizes (C, H, W) to a size or by a scale, or the rows of (C, W). ncnn: interp.cpp."""

    type = "Interp"
    inputs = ("x", "size?")
    params = (
        Param("resize_type", 0, "int", "1 nearest, 2 bilinear, 3 bicubic"),
        Param("height_scale", 1, "float", "used where output_height is 0", 1.0),
        Param("width_scale", 2, "float", "used where output_width is 0", 1.0),
        Param("output_height", 3, "int", "height, or 0"),
        Param("output_width", 4, "int", "width, or 0"),
        Param("dynamic_target_size", 5, "int", "0; 1 would take the size of a second input"),
        Param("align_corner", 6, "int", "1: corners fall on corners"),
    )
    left_out = {9: "size_expr: an output size computed from the sizes of other blobs; here shapes are known"}
    limits = ("0 <= resize_type <= 3",)
    checked_in_cpp = True
    tolerance = Tolerance(2e-5)

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """A vector, each number of which becomes a plane; the size of another blob, or one that is computed from sizes;
        the size of one side only, which is none."""
        p, x = params, inputs[0]
        need(p["resize_type"] in (1, 2, 3), "ncnn writes nothing then", argument="resize_type", got=p["resize_type"])
        half = (p["output_height"] == 0) != (p["output_width"] == 0)
        expression = extra.get(9)
        if len(x) in (2, 3) and len(inputs) == 1 and not half and not expression and not p["dynamic_target_size"]:
            return None
        more = bool(expression or p["dynamic_target_size"])
        need(len(inputs) == 1 or more, "a second input that nothing asks for", expected=1, got=len(inputs))
        h, w = self._size(x, p)[1:]
        if expression:
            sizes = evaluate(expression, inputs)
            need(len(sizes) in (1, 2), "an output size has one number or two", argument="size_expr", got=sizes)
            w, h = sizes if len(sizes) == 2 else (sizes[0], x[-2] if len(x) > 1 else 1)
        elif p["dynamic_target_size"]:
            need(len(inputs) == 2, "the second input is missing", expected=2, got=len(inputs))
            need_rank(inputs[1], (3, 4), "size")  # packing shrinks the side of others, as it likes
            h, w = inputs[1][-2:]
        need(h > 0 and w > 0, "nothing is left", argument="size, scale_factor", got=[h, w])
        need_rank(x, (1, 2, 3), "x")
        return [(x[0], w) if len(x) == 2 else (x[0], h, w)]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (2, 3), "x")
        size = self._size(inputs[0], params)
        need(all(n > 0 for n in size), "nothing is left", argument="size, scale_factor", got=list(size))
        return [size if len(inputs[0]) == 3 else (size[0], size[2])]

    def _size(self, x: Shape, params: Params) -> Shape:
        """Of x, a vector being planes of one pixel: as the parameters say it, by scale unless both sides are said."""
        if params["output_height"] and params["output_width"]:
            return (x[0], params["output_height"], params["output_width"])
        h, w = {1: (1, 1), 2: (1, x[-1])}.get(len(x), x[-2:])
        scales = np.float32(params["height_scale"]), np.float32(params["width_scale"])
        return (x[0], _scaled(h, scales[0]), _scaled(w, scales[1]))

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        mode, x = {i: name for name, i in _INTERP.items()}[params["resize_type"]], inputs[0]
        rows = x.ndim == 2  # as the pixels of pictures of one row, whose height stays
        kwargs: dict[str, Any] = {} if mode == "nearest" else {"align_corners": bool(params["align_corner"])}
        if params["output_height"]:
            kwargs["size"] = (1 if rows else params["output_height"], params["output_width"])
        else:
            kwargs["scale_factor"] = (1.0 if rows else params["height_scale"], params["width_scale"])
        y = functional().interpolate((x[:, None] if rows else x)[None], mode=mode, **kwargs)[0]
        return [y[:, 0] if rows else y]

    def samples(self) -> list[Sample]:
        F = functional()

        def sample(shape: Shape, mode: str, **kwargs: Any) -> Sample:
            name = "-".join(f"{k}{v}" for k, v in kwargs.items()).replace(" ", "")
            return Sample(
                f"{mode}-{shape_id(shape)}-{name}",
                (shape,),
                lambda g, x: interpolate(g, x, mode=mode, **kwargs),
                lambda x: F.interpolate(x, mode=mode, **kwargs),
            )

        return [
            *(
                sample(s, m, scale_factor=f)
                for s in ((1, 4, 6), (5, 3, 7), (16, 8, 8))
                for m in _INTERP
                for f in (2, 1.5)
            ),
            *(sample((5, 6, 7), m, size=s) for m in _INTERP for s in ((3, 4), (12, 9), 5)),
            *(sample((5, 6, 7), m, scale_factor=2.0, align_corners=True) for m in ("bilinear", "bicubic")),
            *(
                Sample(
                    f"rows-{mode}-{shape_id(x)}-{'-'.join(map(str, kw.values()))}",
                    (x,),
                    lambda g, v, mode=mode, kw=kw: interpolate(g, v, mode=mode, **kw),
                    lambda v, mode=mode, kw=kw: _rows(v, mode, **kw),
                )
                for mode in _INTERP
                for x in ((5, 7), (8, 4), (1, 9))
                for kw in ({"size": 11}, {"scale_factor": 1.5}, {"size": 3})
            ),
            sample((5, 6, 8), "bilinear", scale_factor=(0.5, 2.0), recompute_scale_factor=True),
            sample((5, 6, 8), "bilinear", size=(11, 3), align_corners=True),
        ]


def _scaled(n: int, scale: Any) -> int:
    """As ncnn multiplies, in float32: exact, of an open size, where the factor has few digits, as 2, 1.5, 0.25."""
    if not isinstance(n, Size):
        return int(np.float32(n) * scale)
    over, under = float(scale).as_integer_ratio()
    if over > 1 << 10:
        raise OpenSizeError("a factor that is rounded", argument="scale_factor", expected="as 2 or 0.5", got=scale)
    return n * over // under


def _rows(x: Any, mode: str, size: int | None = None, scale_factor: float | None = None) -> Any:
    """Rows [N, C, W] resized as pictures of one row."""
    to = {"size": (1, size)} if size else {"scale_factor": (1.0, scale_factor)}
    return functional().interpolate(x[:, :, None], mode=mode, **to)[:, :, 0]


@dsl
def interpolate(
    g: Graph,
    bottom_names: ValueLike,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Values:
    """torch's interpolate of (C, H, W): mode nearest, bilinear or bicubic; size or scale_factor, one number or two.

    A size may be an open one, as those of another Value's shape are.

    Of a matrix (C, W) the rows, with one number: bilinear is then torch's linear.

    Raises BuildError for another mode, or unless exactly one of size and scale_factor is given.
    """
    if mode not in _INTERP:
        raise BuildError("unknown mode", op="Interp", argument="mode", expected=list(_INTERP), got=mode)
    x = one(bottom_names)
    need_rank(x.shape, (2, 3), "x")
    if len(x.shape) == 2:
        size, scale_factor = _of_rows(size, "size", 1), _of_rows(scale_factor, "scale_factor", 1.0)
    need(
        (size is None) != (scale_factor is None),
        "give either size or scale_factor",
        argument="size, scale_factor",
        got=(size, scale_factor),
    )
    need(
        mode != "nearest" or align_corners is None,
        "align_corners has no meaning for nearest",
        argument="align_corners",
        expected=None,
        got=align_corners,
    )
    scales, sizes = (1.0, 1.0), (0, 0)
    if size is not None:
        sides = tuple(size) if is_sequence(size) else (size, size)
        sizes = (sides[0], sides[1]) if len(sides) == 2 and is_open(sides) else pair(size, "size")
    else:
        both = scale_factor if isinstance(scale_factor, (list, tuple)) else (scale_factor, scale_factor)
        need(len(both) == 2, "bad scale", argument="scale_factor", expected="one number or two", got=scale_factor)
        scales = (number(both[0], "scale_factor"), number(both[1], "scale_factor"))
        if recompute_scale_factor:
            height = _recomputed(x.shape[1], scales[0]) if len(x.shape) == 3 else 1
            sizes, scales = (height, _recomputed(x.shape[-1], scales[1])), (1.0, 1.0)
    params = {
        "resize_type": _INTERP[mode],
        "height_scale": scales[0],
        "width_scale": scales[1],
        "output_height": sizes[0],
        "output_width": sizes[1],
        "dynamic_target_size": 0,
        "align_corner": int(bool(align_corners)),
    }
    if is_open(sizes):
        return Values([resize_to(g, x, sizes, params | {"output_height": 0, "output_width": 0})])
    return append(g, spec_of("Interp"), x, params)


def _recomputed(n: int, scale: float) -> int:
    return _scaled(n, scale) if isinstance(n, Size) else int(n * scale)


def _of_rows(number: Any, argument: str, height: Any) -> Any:
    """One number for rows, as the pair that the layer takes."""
    if number is None:
        return None
    given = tuple(number) if isinstance(number, (list, tuple)) else (number,)
    need(len(given) == 1, "one number for rows", argument=argument, expected=1, got=number)
    return (height, given[0])


@register
class Down2(OpSpec):
    """Keeps every second pixel of (C, H, W): 0, 2, 4, ..."""

    type = "Down2"
    custom = True

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        c, h, w = inputs[0]
        return [(c, (h + 1) // 2, (w + 1) // 2)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0][:, ::2, ::2]]

    def samples(self) -> list[Sample]:
        return over_shapes("down2", down2, lambda x: x[:, :, ::2, ::2], FEATURE_MAPS)


class _Up(OpSpec):
    custom = True
    factor: ClassVar[int]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3,), "x")
        c, h, w = inputs[0]
        return [(c, h * self.factor, w * self.factor)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        y = x.new_zeros(self.infer([tuple(x.shape)], {}, {})[0])
        y[:, :: self.factor, :: self.factor] = x
        return [y]


@register
class Up2(_Up):
    """Inserts zeros: x at (2i, 2j) of (C, 2H, 2W)."""

    type = "Up2"
    factor = 2

    def samples(self) -> list[Sample]:
        return over_shapes("up2", up2, shapes=FEATURE_MAPS)


@register
class Up4(_Up):
    """Inserts zeros: x at (4i, 4j) of (C, 4H, 4W)."""

    type = "Up4"
    factor = 4

    def samples(self) -> list[Sample]:
        return over_shapes("up4", up4, shapes=FEATURE_MAPS)


@dsl
def down2(g: Graph, bottom_names: ValueLike) -> Values:
    """Every second pixel of (C, H, W)."""
    return append(g, spec_of("Down2"), bottom_names)


@dsl
def up2(g: Graph, bottom_names: ValueLike) -> Values:
    """(C, H, W) with zeros inserted: (C, 2H, 2W)."""
    return append(g, spec_of("Up2"), bottom_names)


@dsl
def up4(g: Graph, bottom_names: ValueLike) -> Values:
    """(C, H, W) with zeros inserted: (C, 4H, 4W)."""
    return append(g, spec_of("Up4"), bottom_names)
