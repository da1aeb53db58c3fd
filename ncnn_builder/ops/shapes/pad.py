"""Padding and, where a border is negative, cropping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from ...builder import ValueLike, append, array, integer, number, one
from ...errors import BuildError
from ...ir import Array, Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, Weight, dsl, register, spec_of
from ..common import functional, need, shape_id
from .crop import crop

_PAD_MODES = ("constant", "edge", "reflect")


@register
class Padding(OpSpec):
    """Adds a border: top, bottom, left, right, and front, behind in the outermost dimension (4-D: the second).

    mode: 0 constant, 1 edge, 2 reflect. ncnn: padding.cpp. A border that is negative never comes here: pad()
    makes a Crop of it.
    """

    type = "Padding"
    params = (
        Param("top", 0, "int", "rows above"),
        Param("bottom", 1, "int", "rows below"),
        Param("left", 2, "int", "columns before"),
        Param("right", 3, "int", "columns after"),
        Param("mode", 4, "int", "0 constant, 1 edge, 2 reflect"),
        Param("value", 5, "float", "the constant", 0.0),
        Param("per_channel_pad_data_size", 6, "int", "channels of the result; 0: one constant for all"),
        Param("front", 7, "int", "channels (4-D: depth slices) before"),
        Param("behind", 8, "int", "channels (4-D: depth slices) after"),
    )
    weights = (Weight("per_channel_pad_data", False, "[channels of the result]: a constant for each"),)
    limits = (
        "mode in (0, 1, 2)",
        "per_channel_pad_data_size >= 0",
    )
    checked_in_cpp = True

    def weight_sizes(self, params: Params) -> dict[str, int]:
        size = params["per_channel_pad_data_size"]
        return {"per_channel_pad_data": size} if size else {}

    def _borders(self, x: Shape, params: Any) -> list[tuple[int, int]]:
        """(before, after) per dimension, innermost first: torch's order."""
        borders = [(params["left"], params["right"]), (params["top"], params["bottom"])]
        if len(x) > 2:
            borders.append((params["front"], params["behind"]))
        return borders[: len(x)]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x = inputs[0]
        borders = self._borders(x, params)
        given = [params[k] for k in ("top", "bottom", "left", "right", "front", "behind")]
        need(
            sum(given) == sum(a + b for a, b in borders),
            "a border in a dimension that x does not have",
            got=list(x),
        )
        need(min(given) >= 0, "negative border", got=given)
        if params["mode"] == 2:
            for (before, after), n in zip(borders, reversed(x), strict=False):
                need(max(before, after) < n, "reflection wider than x", expected=f"< {n}", got=(before, after))
        shape = list(x)
        for i, (before, after) in enumerate(borders):
            shape[-1 - i] += before + after
        if params["per_channel_pad_data_size"]:
            need(len(x) > 2 and params["mode"] == 0, "a constant per channel", argument="value", got=list(x))
            got = list(weights["per_channel_pad_data"].shape)
            need(got == [shape[0]], "a constant per channel", argument="value", expected=shape[:1], got=got)
        return [tuple(shape)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x = inputs[0]
        borders = self._borders(tuple(x.shape), params)
        if params["per_channel_pad_data_size"]:
            y = functional().pad(x, [n for b in borders for n in b])
            outside = functional().pad(x.new_zeros(x.shape), [n for b in borders for n in b], value=1.0)
            return [y + outside * weights["per_channel_pad_data"].reshape(-1, *(1,) * (x.ndim - 1))]
        if params["mode"] == 0:
            return [functional().pad(x, [n for b in borders for n in b], value=params["value"])]
        for i, (before, after) in enumerate(borders):  # by index: torch has no such modes for every rank
            axis, n = x.ndim - 1 - i, x.shape[-1 - i]
            index = [_border_index(j, n, params["mode"]) for j in range(-before, n + after)]
            x = x[(slice(None),) * axis + (index,)]
        return [x]

    def samples(self) -> list[Sample]:
        F = functional()

        def padded(shape: Shape, mode: str, value: float = 0.0, **sides: int) -> Sample:
            name = "-".join(f"{k}{v}" for k, v in sides.items())
            order = [sides.get(k, 0) for k in ("left", "right", "top", "bottom", "front", "behind")]
            torch_mode = {"edge": "replicate"}.get(mode, mode)
            extra = {"value": value} if mode == "constant" else {}
            rank = 1 + any(order[2:]) + any(order[4:])
            return Sample(
                f"pad-{shape_id(shape)}-{mode}-{name}",
                (shape,),
                lambda g, x: pad(g, x, **sides, value=value, mode=mode),
                lambda x: F.pad(x, order[: 2 * rank], mode=torch_mode, **extra),
            )

        maps = [
            padded(s, m, top=1, bottom=2, left=0, right=3)
            for s in ((1, 4, 6), (5, 3, 7), (8, 4, 4))
            for m in ("constant", "edge")
        ]
        return [
            *maps,
            padded((5, 3, 7), "reflect", top=2, bottom=1, left=6, right=2),
            padded((8, 4, 4), "reflect", top=1, bottom=1, left=1, right=1),
            padded((7,), "constant", left=2, right=1),
            padded((3, 5), "constant", 1.5, top=1, bottom=0, left=2, right=1),
            padded((5, 3, 7), "constant", -2.0, front=1, behind=3),
            padded((2, 3, 4, 5), "constant", front=1, behind=2, left=1),
            padded((5, 6, 7), "constant", top=-1, bottom=2, left=3, right=-2),
            padded((5, 6, 7), "constant", top=-1, bottom=-1, left=-2, right=-3),
            padded((8, 6, 7), "edge", top=2, bottom=-3, left=1, right=0),
            padded((5, 6, 7), "constant", front=-1, behind=2),
            padded((9,), "constant", left=-3, right=4),
            *(_per_channel(shape) for shape in ((5, 3, 7), (8, 2, 3), (4, 2, 3, 5))),
        ]


def _per_channel(shape: Shape) -> Sample:
    values = [0.5 * c - 1 for c in range(shape[0])]

    def each(x: Any) -> Any:
        import torch

        parts = [functional().pad(x[:, c : c + 1], (1, 2, 0, 1), value=v) for c, v in enumerate(values)]
        return torch.cat(parts, 1)

    return Sample(
        f"pad-{shape_id(shape)}-each",
        (shape,),
        lambda g, x: pad(g, x, bottom=1, left=1, right=2, value=values),
        each,
    )


def _border_index(j: int, n: int, mode: int) -> int:
    if mode == 1:
        return min(max(j, 0), n - 1)
    j = -j if j < 0 else j
    return 2 * (n - 1) - j if j >= n else j


@dsl
def pad(
    g: Graph,
    bottom_names: ValueLike,
    top: SupportsFloat = 0,
    bottom: SupportsFloat = 0,
    left: SupportsFloat = 0,
    right: SupportsFloat = 0,
    front: SupportsFloat = 0,
    behind: SupportsFloat = 0,
    value: Any = 0.0,
    mode: str = "constant",
) -> Values:
    """Pad where a number is positive, crop where it is negative, as torch's F.pad does; signs may differ.

    front and behind pad the channels of a 3-D input and the depth of a 4-D one. mode: constant, edge, reflect.
    value: the constant, or one for each channel of the result where the input is 3-D or 4-D. Emits nothing
    when all borders are 0. Raises BuildError for an unknown mode or a border that does not fit.
    """
    if mode not in _PAD_MODES:
        raise BuildError("unknown mode", op="Padding", argument="mode", expected=list(_PAD_MODES), got=mode)
    sides = {"front": front, "behind": behind, "top": top, "bottom": bottom, "left": left, "right": right}
    numbers = {k: integer(v, k) for k, v in sides.items()}
    x = one(bottom_names)
    rank = len(x.shape)
    axis_of = {
        "left": rank - 1,
        "right": rank - 1,
        "top": rank - 2,
        "bottom": rank - 2,
        "front": rank - 3,
        "behind": rank - 3,
    }
    for side, n in numbers.items():
        need(
            n == 0 or axis_of[side] >= 0,
            "a border in a dimension that the input does not have",
            argument=side,
            expected=0,
            got=n,
        )
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for before, after in (("front", "behind"), ("top", "bottom"), ("left", "right")):
        if numbers[before] < 0 or numbers[after] < 0:
            axis = axis_of[before]
            starts[axis] = max(0, -numbers[before])
            less = max(0, -numbers[after])
            ends[axis] = x.shape[axis] - less
            need(
                starts[axis] < ends[axis],
                "nothing is left",
                argument=f"{before}, {after}",
                expected=f"less than {x.shape[axis]}",
                got=(numbers[before], numbers[after]),
            )
            if x.open:  # counted from the end, which may be another
                ends[axis] = -less or -233
    if starts:
        x = crop(g, x, list(starts.values()), list(ends.values()), list(starts))[0]
    positive = {k: max(0, n) for k, n in numbers.items()}
    if not any(positive.values()):
        return Values([x])
    each = array(value, "value", 1) if hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0 else None
    return append(
        g,
        spec_of("Padding"),
        x,
        {
            **positive,
            "mode": _PAD_MODES.index(mode),
            "per_channel_pad_data_size": 0 if each is None else each.size,
            "value": number(value, "value") if each is None else 0.0,
        },
        {"per_channel_pad_data": each},
    )
