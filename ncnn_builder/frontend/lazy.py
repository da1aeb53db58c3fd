"""Constants whose shape is open: numbers that follow from sizes alone, as positions, masks, first rows of a table.

They are computed when somebody asks for them at certain sizes. A net has them at the largest, of which it crops the
part that is needed: right where the smaller ones are the beginnings of the largest, or its ends, which is tried at
several sizes. What is one number everywhere, or in the middle, has no largest (stretched.py). Where they are neither,
the net computes them of what they are made of.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_flatten

from ..errors import BuildError
from ..ir import Graph
from ..open_shapes import evaluated, shape_at, some_sizes
from ..ops.resampling.resample import interpolate
from ..ops.shapes.crop import crop
from ..sizes import OpenSizeError, Size, names_of
from .blobs import constant
from .layout import Shape, Tensor, tensor
from .stretched import stretched

LARGEST = 1 << 24
"""Numbers of such a constant."""


@dataclass(frozen=True)
class Lazy:
    """make: what it is where the names have these values; shape, dtype: torch's, with open sizes. again: the operator
    that gives it, in the net; None where it is made of sizes alone. held: the blob, once somebody has asked."""

    make: Callable[[Mapping[str, int]], torch.Tensor]
    shape: Shape
    dtype: Any
    again: Callable[[], Any] | None = None
    held: list[Any] = field(default_factory=list, compare=False)


def call_key(target: Any, args: Any, kwargs: Any) -> Any:
    """What is the same for calls that give the same: each block of a network makes the mask of its windows anew."""
    leaves, structure = tree_flatten((args, kwargs))
    try:
        return target, structure, tuple(map(_leaf_key, leaves))
    except TypeError:  # of something that has no hash
        return object()


def _leaf_key(x: Any) -> Any:
    if isinstance(x, Lazy):
        return Lazy, id(x)
    if isinstance(x, torch.Tensor):
        return (x.dtype, x.shape, tuple(x.flatten().tolist())) if x.numel() <= _FEW else object()
    hash(x)
    return type(x), x


_FEW = 64
"""Numbers of a constant that are compared."""


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


def in_net(g: Graph, x: Lazy) -> Any:
    """It as a blob. Raises BuildError for one without a largest, or that no constant and no layers say."""
    if not x.held:
        try:
            x.held.append(_part(g, x))
        except OpenSizeError as error:
            if x.again is None:
                raise
            try:
                x.held.append(x.again())
            except BuildError:
                raise error from None  # what it is, not of what it is made
    return x.held[0]


def _part(g: Graph, x: Lazy) -> Tensor:
    """A part of a constant."""
    dims: Sequence[int] = [n for n in x.shape if n != 1] or [1]
    outer, picture = ([1] * (3 - len(dims)) + list(dims))[:-2], dims[-2:]
    number = _everywhere(x) if len(outer) == 1 and not isinstance(outer[0], Size) else None
    if number is not None:
        one = constant(g, torch.full((outer[0], 1, 1), number), [outer[0], 1, 1])
        size = (picture[0], picture[1]) if len(picture) > 1 else (1, picture[0])
        return tensor(interpolate(g, one, size, None, "nearest")[0], x.shape, x.dtype)
    if (repeated := stretched(g, x.make, x.shape, x.dtype)) is not None:
        return repeated
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
    axes = [i for i, n in enumerate(x.shape) if isinstance(n, Size)]
    tried = some_sizes(x.shape)
    fitting = [ends for ends in itertools.product((False, True), repeat=len(axes)) if _fits(x, axes, ends, tried)]
    count = math.prod(shape_at(x.shape, most))
    if fitting and count > LARGEST:
        raise OpenSizeError("a constant of too many numbers", expected=f"{LARGEST} at most", got=count)
    whole = x.make(most) if fitting else None
    ends = next((ends for ends in fitting if _fits(x, axes, ends, tried, whole)), None)
    if whole is None or ends is None:
        raise OpenSizeError(
            "numbers that follow from a size in a way which no part of a constant says",
            expected="that those of a smaller size are the first, or the last, of a larger one's",
            got=list(x.shape),
        )
    blob = constant(g, whole, [n for n in shape_at(dims, most)])
    at = [i for i, n in enumerate(dims) if isinstance(n, Size)]
    first = [
        blob_size - dims[i] if end else 0 for i, end in zip(at, ends, strict=True) for blob_size in [blob.shape[i]]
    ]
    value = crop(g, blob, first, [b + dims[i] for b, i in zip(first, at, strict=True)], at)[0]
    return tensor(value, x.shape, x.dtype)


def _fits(
    x: Lazy, axes: Sequence[int], ends: Sequence[bool], tried: Sequence[Mapping[str, int]], whole: Any = None
) -> bool:
    """Whether it is, at each of these sizes, the first or the last numbers along each of these axes of what it is at
    the largest, or in the whole."""
    if whole is None:
        *tried, last = tried
        whole = x.make(last)
    for at in tried:
        part, shape = x.make(at), shape_at(x.shape, at)
        if tuple(part.shape) != shape or any(n > m for n, m in zip(shape, whole.shape, strict=True)):
            return False
        inside = [slice(None)] * whole.dim()
        for axis, end in zip(axes, ends, strict=True):
            inside[axis] = slice(whole.shape[axis] - shape[axis], None) if end else slice(shape[axis])
        if not torch.equal(part, whole[tuple(inside)]):
            return False
    return True
