"""Parts of all axes at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...builder import ValueLike, append, integers, is_sequence, one
from ...errors import BuildError
from ...ir import Graph, Params, Shape, Values
from ...open_shapes import lesser
from ...opspec import OpSpec, Param, Sample, dsl, functions, register, spec_of
from ...sizes import Size, is_open
from ..common import by_axis, functional, need
from .expression import evaluate
from .sized import crop_to


@register
class Crop(OpSpec):
    """x[starts:ends] along some axes. Negative numbers count from the end, -233 or 0 as an end is "to the end".

    ncnn: crop.cpp, its array form (ids 9, 10, 11).
    """

    type = "Crop"
    inputs = ("x", "like?")
    params = (
        Param("starts", 9, "ints", "first element, per axis", ()),
        Param("ends", 10, "ints", "one past the last element, per axis", ()),
        Param("axes", 11, "ints", "axes, outer first, without batch", ()),
    )
    left_out = {
        **dict.fromkeys((0, 1, 2, 13), "offsets: what starts says as well"),
        **dict.fromkeys((3, 4, 5, 14), "output sizes: what ends says as well"),
        **dict.fromkeys((6, 7, 8, 15), "offsets from the end: what ends says as well"),
        **dict.fromkeys((19, 20, 21), "expressions of the sizes of other blobs; here shapes are known"),
    }
    limits = (
        "len(axes) <= 4 and all(-4 <= a <= 3 for a in axes)",
        "len(starts) <= 4 and len(ends) == len(starts)",
        "len(axes) == 0 or len(axes) == len(starts)",
        "x.bits != 8",
    )
    checked_in_cpp = True

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

    def ranges(self, x: Shape, params: Any) -> list[tuple[int, int]]:
        ranges = [(0, n) for n in x]
        for start, end, axis in zip(params["starts"], params["ends"], params["axes"], strict=True):
            n = x[axis]
            first = 0 if start == -233 else start if start >= 0 else n + start
            last = n if end == -233 else lesser(n, end if end > 0 else n + end)
            ranges[axis] = (first, last)
        return ranges

    def cut_short(self, inputs: Sequence[Shape], others: Sequence[Shape], params: Params) -> list[set[int]]:
        ends = dict(zip(params["axes"], params["ends"], strict=True))
        return [{a for a, end in ends.items() if end > 0 and inputs[0][a] != others[0][a]}]

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
    if is_sequence(value) and is_open(value):
        return tuple(value)
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


def _from_the_end(n: int, size: int) -> int:
    """A place on an axis of an open size, counted from its end where that is a number."""
    behind = size - n
    if not isinstance(n, Size) or isinstance(behind, Size) or behind < 0:
        return n
    return -behind or -233


@dsl
def crop(g: Graph, bottom_names: ValueLike, starts: Any, ends: Any, axes: Any) -> Values:
    """x[starts:ends] along `axes` (ncnn's own: outer first, without batch).

    Each is a list of numbers, or the text "n,a,b,..." with the count first. -233 as an end is "to the end". A start or
    an end may be an open size, as those of another Value's shape are.
    """
    params = {
        "starts": _counted(starts, "starts"),
        "ends": _counted(ends, "ends"),
        "axes": _counted(axes, "axes"),
    }
    rank = len(one(bottom_names).shape)
    params["axes"] = tuple(a + rank if a < 0 else a for a in params["axes"])
    x = one(bottom_names)
    if is_open((*params["starts"], *params["ends"])):
        need(len({*map(len, params.values())}) == 1, "not as many of each", got={k: len(v) for k, v in params.items()})
        for key in ("starts", "ends"):
            params[key] = tuple(_from_the_end(n, x.shape[a]) for n, a in zip(params[key], params["axes"], strict=True))
    if is_open((*params["starts"], *params["ends"])):
        return Values([crop_to(g, x, params["starts"], params["ends"], params["axes"])])
    return append(g, spec_of("Crop"), bottom_names, params)
