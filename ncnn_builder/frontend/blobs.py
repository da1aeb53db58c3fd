"""From a layout.Tensor to the blob that a layer needs: the layers Reshape and Permute that this takes, and no more."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import BuildError
from ..ir import Graph, Value
from ..ops.arithmetic.channelwise import memorydata
from ..ops.shapes.permute import really_permute
from ..ops.shapes.shape import really_reshape
from .batch import MOST_SAMPLE_DIMS, into_batch, out_of_batch
from .layout import MOST_DIMS, Shape, Tensor, merged, permuted, steps_to, tensor, viewed
from .orders import by_one_layer


def in_order(g: Graph, t: Tensor) -> Tensor:
    """The same tensor on a blob that holds its numbers in torch's order."""
    if t.in_order:
        return t
    if t.n > 1:
        k = t.samples
        if t.order[:k] != tuple(range(k)):
            return in_order(g, unbatched(g, t))
        inner = Tensor(t.value, t.base[k:], tuple((f - k,) for f in t.order[k:]), t.dtype)
        return tensor(in_order(g, inner).value, t.shape, t.dtype, t.n)
    flat = merged(t)
    shuffled = by_one_layer(g, t.value, flat.base, flat.order)
    if shuffled is not None:
        return tensor(shuffled, t.shape, t.dtype)
    direct = _as_it_is(t.value.shape, flat)
    if direct is not None:  # its own dimensions can be permuted, without a Reshape
        return tensor(really_permute(g, t.value, direct)[0], t.shape, t.dtype)
    value, sizes = t.value, list(flat.base)
    for borders, perm in steps_to(flat.order):
        groups = [sizes[a:b] for a, b in itertools.pairwise((0, *borders, len(sizes)))]
        value = reshaped(g, value, [math.prod(group) for group in groups])
        value = really_permute(g, value, perm)[0]
        sizes = list(itertools.chain.from_iterable(groups[p] for p in perm))
    return tensor(value, t.shape, t.dtype)


def _as_it_is(dims: Shape, flat: Tensor) -> tuple[int, ...] | None:
    """How a blob of these dimensions is permuted into order, if each of them is a part of one factor; else None."""
    runs: list[list[int]] = []  # per factor its dimensions
    left = 1
    factors = iter(flat.base)
    for i, size in enumerate(dims):
        if size != 1 and left == 1:
            left = next(factors)
            runs.append([])
        if left % size != 0:
            return None
        left //= size
        (runs or [[]])[-1].append(i)
    where = [runs[f] for f in flat.order] if len(runs) == len(flat.base) and left == 1 else None
    if where is None or sum(map(len, where)) != len(dims):
        return None
    return tuple(itertools.chain.from_iterable(where))


def stored(g: Graph, t: Tensor, dims: Sequence[int]) -> Value:
    """A blob of these dimensions, outer first, with the numbers in torch's order and nothing in ncnn's batch."""
    return reshaped(g, unbatched(g, in_order(g, t)).value, dims)


def unbatched(g: Graph, t: Tensor) -> Tensor:
    """The same tensor with nothing in ncnn's batch."""
    if t.n == 1:
        return t
    dims = fewer((t.n, *t.value.shape))
    return replace(t, value=out_of_batch(g, t.value, t.n, dims), n=1)


def view(g: Graph, t: Tensor, shape: Sequence[int]) -> Tensor:
    """The tensor with another shape: without a layer, unless its numbers have to be put in order first."""
    return viewed(t, shape) or viewed(in_order(g, t), shape) or _must(viewed(unbatched(g, in_order(g, t)), shape))


def sample(g: Graph, t: Tensor, rank: int | None) -> Value:
    """A blob of the `rank` dimensions of a sample, of a tensor with a batch in front, which is ncnn's batch.

    rank None: all but the batch. A tensor of `rank` dimensions has no batch.
    """
    batched = t.rank > 1 if rank is None else t.rank == rank + 1
    if rank is not None and t.rank not in (rank, rank + 1):
        raise BuildError("wrong number of dimensions", expected=f"{rank}, or {rank + 1} with the batch", got=t.rank)
    if not batched or t.shape[0] == 1:
        return stored(g, t, t.shape[1:] if batched else t.shape or (1,))
    n, dims = t.shape[0], t.shape[1:]
    t = in_order(g, t)
    if t.n != n:
        few = fewer(dims, MOST_SAMPLE_DIMS)
        t = tensor(into_batch(g, unbatched(g, t).value, n, few), t.shape, t.dtype, n)
    return reshaped(g, t.value, dims)


def natural(g: Graph, t: Tensor) -> Value:
    """The blob that a user expects: torch's dimensions without a batch of one, the outer ones joined."""
    shape = t.shape[1:] if t.rank > 1 and t.shape[0] == 1 else t.shape
    return stored(g, t, fewer(shape))


def fewer(shape: Shape, most: int = MOST_DIMS) -> Shape:
    """At most four dimensions, or `most`: those of 1 go first, then the outer ones are joined."""
    sizes = list(shape) or [1]
    while len(sizes) > most and 1 in sizes:
        sizes.remove(1)
    if len(sizes) > most:
        sizes = [math.prod(sizes[: 1 - most]), *sizes[1 - most :]]
    return tuple(sizes)


def elementwise(t: Tensor, layer: Callable[[Value], Any], dtype: Any = None) -> Tensor:
    """What a layer that works number by number makes of a tensor, in whatever order these are."""
    value = layer(t.value)
    return t.on(value if isinstance(value, Value) else value[0], dtype)


def around(g: Graph, t: Tensor, dim: int) -> tuple[Value, int]:
    """A blob [outer, axis, inner] around one of torch's axes, or without those that are 1; and which one it is."""
    outer, size, inner = math.prod(t.shape[:dim]), t.shape[dim], math.prod(t.shape[dim + 1 :])
    dims = [*([outer] if outer != 1 else []), size, *([inner] if inner != 1 else [])]
    return stored(g, t, dims), 0 if outer == 1 else 1


def moved(t: Tensor, dim: int, to: int) -> Tensor:
    """torch's movedim."""
    rest = [i for i in range(t.rank) if i != dim]
    rest.insert(to % t.rank, dim)
    return permuted(t, rest)


def constant(g: Graph, data: Any, dims: Sequence[int] | None = None) -> Value:
    """A constant torch.Tensor as a blob of these dimensions; its own, or fewer of them, where none are said."""
    array = np.asarray(data.detach().cpu().float().numpy(), np.float32)
    return memorydata(g, array.reshape(tuple(dims) if dims is not None else fewer(array.shape)))[0]


def as_tensor(g: Graph, x: Any) -> Tensor:
    """A Tensor of a Tensor, or of a constant torch.Tensor."""
    return x if isinstance(x, Tensor) else tensor(constant(g, x), tuple(x.shape), x.dtype)


def reshaped(g: Graph, value: Value, dims: Sequence[int]) -> Value:
    return value if value.shape == tuple(dims) else really_reshape(g, value, tuple(dims))[0]


def _must(t: Tensor | None) -> Tensor:
    assert t is not None, "a tensor in order takes every shape of its size"
    return t
