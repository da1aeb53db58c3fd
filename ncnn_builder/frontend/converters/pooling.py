"""Pooling: by windows, and into a given number of parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ir import Graph, Value
from ...ops.common import need
from ...ops.pools.fitted import fitted_pool
from ...ops.pools.pool_nd import global_pool
from ...ops.pools.pool_windows import pool_windows
from ..open_pools import FITTED
from ..registry import Call, Missing, converts

_NO_INDICES = "ncnn's pooling gives no indices of the maxima"


def _max_pool(dims: int) -> None:
    def convert(
        g: Graph,
        node: Call,
        x: Value,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Any,
        dilation: Any,
        ceil: bool,
    ) -> Value:
        need(set(_each(dilation, dims)) == {1}, "ncnn's pooling has no dilation", argument="dilation", got=dilation)
        return pool_windows(g, x, *_sizes(kernel, stride, padding, dims), ceil=ceil)

    converts(f"aten.max_pool{dims}d", rank=dims + 1)(convert)
    converts(f"aten.max_pool{dims}d_with_indices", rank=dims + 1)(
        lambda g, node, x, kernel, stride, padding, dilation, ceil: (
            convert(g, node, x, kernel, stride, padding, dilation, ceil),
            Missing(_NO_INDICES),
        )
    )


def _avg_pool(dims: int) -> None:
    def convert(
        g: Graph,
        node: Call,
        x: Value,
        kernel: Sequence[int],
        stride: Sequence[int],
        padding: Any,
        ceil: bool,
        border_counts: bool,
        divisor: int | None = None,
    ) -> Value:
        sizes = _sizes(kernel, stride, padding, dims)
        return pool_windows(g, x, *sizes, average=True, ceil=ceil, border_counts=border_counts, divisor=divisor)

    converts(f"aten.avg_pool{dims}d", rank=dims + 1)(convert)


def _adaptive(dims: int) -> None:
    def parts(g: Graph, x: Value, size: Sequence[int], average: bool) -> Value:
        sizes = _each(size, dims)
        if set(sizes) == {1}:
            return global_pool(g, x, "AveragePool" if average else "MaxPool")[0]
        return fitted_pool(g, x, sizes, average=average)

    names = [f"aten.adaptive_avg_pool{dims}d", *([] if dims == 1 else [f"aten._adaptive_avg_pool{dims}d"])]
    converts(*names, rank=dims + 1)(lambda g, node, x, size: parts(g, x, size, True))
    converts(f"aten.adaptive_max_pool{dims}d", rank=dims + 1)(
        lambda g, node, x, size: (parts(g, x, size, False), Missing(_NO_INDICES))
    )
    converts(FITTED.format(dims=dims), rank=dims + 1)(lambda g, node, x, size, average: parts(g, x, size, average))


def _each(numbers: int | Sequence[int], dims: int) -> tuple[int, ...]:
    given = (numbers,) if isinstance(numbers, int) else tuple(numbers)
    return given * dims if len(given) == 1 else given


def _sizes(kernel: Any, stride: Any, padding: Any, dims: int) -> tuple[tuple[int, ...], ...]:
    """Kernel, stride (empty: as the kernel) and padding of each axis."""
    return _each(kernel, dims), _each(stride or kernel, dims), _each(padding, dims)


for _dims in (1, 2, 3):
    _max_pool(_dims)
    _avg_pool(_dims)
    _adaptive(_dims)
