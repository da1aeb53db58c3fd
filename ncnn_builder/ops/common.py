"""What several families share: shape checks, sample shapes, torch on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..errors import BuildError
from ..ir import Params, Shape
from ..opspec import OpSpec, Sample

# C = 1, C not a multiple of 4, a multiple of 8, 1xN, Nx1, non-square; and vectors, matrices, 4-D.
FEATURE_MAPS: tuple[Shape, ...] = ((1, 4, 6), (5, 3, 7), (8, 1, 9), (16, 6, 1), (3, 8, 8))
ANY_SHAPES: tuple[Shape, ...] = ((7,), (16,), (3, 5), *FEATURE_MAPS, (2, 3, 4, 5))
FEW: tuple[Shape, ...] = ((7,), (3, 5), (5, 3, 7), (8, 2, 4))


def functional() -> Any:
    """torch.nn.functional, imported when a reference is computed: building needs no torch, nor does emitting where no
    constant is computed."""
    import torch.nn.functional as F

    return F


def need_rank(shape: Shape, ranks: Sequence[int], argument: str) -> None:
    """Raises BuildError unless the shape has one of these numbers of dimensions."""
    if len(shape) not in ranks:
        expected = " or ".join(f"{r}-D" for r in ranks)
        raise BuildError("wrong number of dimensions", argument=argument, expected=expected, got=list(shape))


def need_shape(shape: Shape, expected: Shape, argument: str) -> None:
    if shape != expected:
        raise BuildError("wrong shape", argument=argument, expected=list(expected), got=list(shape))


def need(
    condition: bool,
    what: str,
    *,
    argument: str | None = None,
    expected: object = None,
    got: object = None,
    fix: str | None = None,
) -> None:
    """Raises BuildError unless the condition holds."""
    if not condition:
        raise BuildError(what, argument=argument, expected=expected, got=got, fix=fix)


def need_eval(module: Any, argument: str) -> None:
    """Raises BuildError for a module in training mode, in which it computes something else."""
    need(
        not getattr(module, "training", False),
        "the module is in training mode",
        argument=argument,
        expected="eval mode",
        got=type(module).__name__,
        fix="Call .eval() on the network before exporting it",
    )


def elements(shape: Shape) -> int:
    count = 1
    for n in shape:
        count *= n
    return count


def windows(n: int, kernel: int, stride: int, pad: int, ceil: bool) -> int:
    """How many windows fit; ceil: one that hangs over the end counts."""
    return (n + pad - kernel + (stride - 1 if ceil else 0)) // stride + 1


SAME_UPPER, SAME_LOWER = -233, -234
"""What a file writes for all borders: as many windows as strides begin, the odd pixel of border behind or before."""


def same_windows(n: int, stride: int) -> int:
    """How many windows there are with such a border, whatever their size."""
    return (n - 1) // stride + 1


def axes_from_end(spec: OpSpec, inputs: Sequence[Shape], params: Params) -> list[Shape] | None:
    """As OpSpec.as_read(): the shapes where `axis` or `axes` of a file count from the end."""
    rank, counted = len(inputs[0]), dict(params)
    if "axis" in params:
        counted["axis"] += rank * (params["axis"] < 0)
    if "axes" in params:
        counted["axes"] = tuple(a + rank if a < 0 else a for a in params["axes"])
    return None if counted == params else spec.infer(inputs, counted, {})


def by_axis(numbers: Mapping[int, Any], ids: tuple[int, int, int, int], rank: int) -> list[int]:
    """What a file says for each axis, outer first, or 0. ids: of width, height, depth and channels."""
    w, h, d, c = ids
    return [numbers.get(i, 0) for i in {1: (w,), 2: (h, w), 3: (c, h, w), 4: (c, d, h, w)}[rank]]


def shape_id(shape: Shape) -> str:
    return "x".join(map(str, shape))


def over_shapes(
    name: str, build: Any, torch: Any = None, shapes: Sequence[Shape] = ANY_SHAPES, draw: Any = "normal"
) -> list[Sample]:
    """One sample per shape for an op of one input."""
    return [Sample(f"{name}-{shape_id(s)}", (s,), build, torch, draw) for s in shapes]


class Unary(OpSpec):
    """Base of ops y = f(x), element by element, of any shape."""

    limits: ClassVar[tuple[str, ...] | None] = ()

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        return [inputs[0]]
