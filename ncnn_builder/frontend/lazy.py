"""Constants whose shape is open: numbers that follow from sizes alone, as positions, masks, first rows of a table.

They are computed when somebody asks for them at certain sizes. A net has them at the largest, of which it crops the
part that is needed: right where the smaller ones are the beginnings of the largest, which is tried at several sizes.
What is one number everywhere has no largest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import BuildError
from ..ir import Graph
from ..open_shapes import evaluated, shape_at, some_sizes
from ..ops.resampling.resample import interpolate
from ..ops.shapes.crop import crop
from ..sizes import OpenSizeError, Size, names_of
from .blobs import constant
from .layout import Shape, Tensor, tensor

LARGEST = 1 << 24
"""Numbers of such a constant."""


@dataclass(frozen=True)
class Lazy:
    """make: what it is where the names have these values; shape, dtype: torch's, with open sizes."""

    make: Callable[[Mapping[str, int]], torch.Tensor]
    shape: Shape
    dtype: Any


def at_sizes(item: Any, at: Mapping[str, int]) -> Any:
    """Arguments where the names have these values."""
    if isinstance(item, Lazy):
        return item.make(at)
    if isinstance(item, Size):
        return evaluated(item, at)
    if isinstance(item, (list, tuple)):
        return type(item)(at_sizes(part, at) for part in item)
    if isinstance(item, dict):
        return {name: at_sizes(part, at) for name, part in item.items()}
    return item


def _everywhere(x: Lazy) -> float | None:
    """The number that it is everywhere, at all sizes that are tried."""
    found = {number for at in some_sizes(x.shape) for number in set(x.make(at).flatten().tolist())}
    return float(found.pop()) if len(found) == 1 else None


def in_net(g: Graph, x: Lazy) -> Tensor:
    """It as a blob. Raises BuildError for one without a largest, or whose smaller ones are not the beginning of it."""
    dims: Sequence[int] = [n for n in x.shape if n != 1] or [1]
    outer, picture = ([1] * (3 - len(dims)) + list(dims))[:-2], dims[-2:]
    number = _everywhere(x) if len(outer) == 1 and not isinstance(outer[0], Size) else None
    if number is not None:
        one = constant(g, torch.full((outer[0], 1, 1), number), [outer[0], 1, 1])
        size = (picture[0], picture[1]) if len(picture) > 1 else (1, picture[0])
        return tensor(interpolate(g, one, size, None, "nearest")[0], x.shape, x.dtype)
    names = names_of(*x.shape)
    unbounded = [n.name for n in names if n.most is None]
    if unbounded:
        raise OpenSizeError(
            f"numbers that follow from the size {', '.join(unbounded)}, which has no largest",
            expected="an upper bound, up to which the net has them",
            got=list(x.shape),
            fix=f'Give it one, as in "{unbounded[0]}=2..512"',
        )
    most = {n.name: n.most or 0 for n in names}
    count = 1
    for n in shape_at(x.shape, most):
        count *= n
    if count > LARGEST:
        raise BuildError("a constant of too many numbers", expected=f"{LARGEST} at most", got=count)
    whole = x.make(most)
    for at in (*some_sizes(x.shape), most):
        part = x.make(at)
        begin = whole[tuple(slice(n) for n in part.shape)]
        if tuple(part.shape) != shape_at(x.shape, at) or not torch.equal(part, begin):
            raise OpenSizeError(
                "numbers that follow from a size in a way which no part of a constant says",
                expected="that those of a smaller size are the first of a larger one's",
                got=list(x.shape),
            )
    blob = constant(g, whole, [n for n in shape_at(dims, most)])
    axes = [i for i, n in enumerate(dims) if isinstance(n, Size)]
    value = crop(g, blob, [0] * len(axes), [dims[i] for i in axes], axes)[0]
    return tensor(value, x.shape, x.dtype)
