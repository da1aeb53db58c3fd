"""Pooling whose windows follow an open size: torch's operators for it take numbers, and would take the example's.

    F.adaptive_max_pool2d(x, (h // 8, w // 8))    ->  ncnn_builder::fitted_pool2d(x, [h // 8, w // 8], False)
    F.avg_pool2d(x, x.shape[2:])                  ->  ncnn_builder::fitted_pool2d(x, [1, 1], True)

While torch.export runs forward(), such calls become an operator of our own that takes sizes. What is none of these
goes torch's own way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.fx.experimental.symbolic_shapes import statically_known_true
from torch.overrides import TorchFunctionMode

from .marks import library

FITTED = "ncnn_builder.fitted_pool{dims}d"
"""Our operators: (tensor, as many windows along each of its last axes, average or maximum)."""


def _fitted(x: torch.Tensor, size: Sequence[int], average: bool) -> torch.Tensor:
    made: torch.Tensor = getattr(F, f"adaptive_{'avg' if average else 'max'}_pool{len(size)}d")(x, list(size))
    return made


def _shape_only(x: torch.Tensor, size: Sequence[int], average: bool) -> torch.Tensor:
    return x.new_empty((*x.shape[: x.dim() - len(size)], *size))


for _dims in (1, 2, 3):
    _name = f"fitted_pool{_dims}d"
    library.define(f"{_name}(Tensor x, SymInt[] size, bool average) -> Tensor")
    library.impl(_name, _fitted, "CompositeExplicitAutograd")
    library.impl(_name, _shape_only, "Meta")


def _called(x: Any, size: Sequence[Any], average: bool) -> Any:
    return getattr(torch.ops.ncnn_builder, f"fitted_pool{len(size)}d")(x, size, average)


def _each(numbers: Any, dims: int) -> list[Any]:
    given = list(numbers) if isinstance(numbers, (list, tuple)) else [numbers]
    return given * dims if len(given) == 1 else given


def _is_open(numbers: Any) -> bool:
    return any(isinstance(n, torch.SymInt) for n in (numbers if isinstance(numbers, (list, tuple)) else [numbers]))


def _adaptive(dims: int, average: bool, input: Any, output_size: Any, return_indices: bool = False) -> Any:
    sizes = [input.shape[i - dims] if m is None else m for i, m in enumerate(_each(output_size, dims))]
    if return_indices or not _is_open(sizes):
        return NotImplemented
    return _called(input, sizes, average)


def _averages(
    dims: int,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Any:
    if divisor_override is not None:
        return NotImplemented
    rest = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    return _windows(dims, input, kernel_size, stride, padding, average=True, rest=rest)


def _maxima(
    dims: int,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    if return_indices or any(n != 1 for n in _each(dilation, dims)):
        return NotImplemented
    return _windows(dims, input, kernel_size, stride, padding, average=False, rest={"ceil_mode": ceil_mode})


def _windows(
    dims: int, x: Any, kernel_size: Any, stride: Any, padding: Any, *, average: bool, rest: dict[str, Any]
) -> Any:
    """Where the window of an axis is open, side by side with the next, and fills the axis: so many windows."""
    if not _is_open(kernel_size):
        return NotImplemented
    kernel, border = _each(kernel_size, dims), _each(padding, dims)
    steps = ([] if stride is None else _each(stride, dims)) or list(kernel)
    into: list[Any] = list(x.shape[-dims:])
    for i, k in enumerate(kernel):
        if isinstance(k, torch.SymInt):
            n, beside = x.shape[i - dims], steps[i] == k
            into[i] = n // k
            fits = (into[i] * k == n, border[i] == 0, beside | (into[i] == 1))
            if not all(statically_known_true(fact) for fact in fits):
                return NotImplemented
            kernel[i] = steps[i] = 1
    y = _called(x, into, average)
    own = getattr(F, f"{'avg' if average else 'max'}_pool{dims}d")
    return y if all(k == 1 for k in (*kernel, *steps)) else own(y, kernel, steps, border, **rest)


_POOLS: dict[Any, Callable[..., Any]] = {}
for _dims in (1, 2, 3):
    for _kind, _of_windows in (("avg", _averages), ("max", _maxima)):
        _of = f"{_kind}_pool{_dims}d"
        for _name in (f"adaptive_{_of}", f"adaptive_{_of}_with_indices"):
            if hasattr(F, _name):
                _POOLS[getattr(F, _name)] = functools.partial(_adaptive, _dims, _kind == "avg")
        _own = getattr(F, _of)
        for _function in {_own, getattr(torch, _of, _own)}:
            _POOLS[_function] = functools.partial(_of_windows, _dims)


class OpenPools(TorchFunctionMode):
    """Calls of torch's pooling functions whose sizes are open become one of ours."""

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _POOLS:
            made = _POOLS[func](*args, **(kwargs or {}))
            if made is not NotImplemented:
                return made
        return func(*args, **(kwargs or {}))
