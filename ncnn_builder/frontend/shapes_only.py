"""Operators whose result torch.export computes by taking them apart, where its shape is all that anybody asks for.

An LSTM over fifty steps is two thousand calls, seconds long, of which the program keeps one. While torch.export runs,
these operators say of tensors without numbers what shape they return, and no more. Whatever looks wrong goes torch's
own way, which has the words for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor

Rule = Callable[..., Any]


def _recurrent(own: Rule, x: Any, hidden: Any, *rest: Any, **kwargs: Any) -> Any:
    """As torch has it, of the first step; the others are like it."""
    if not isinstance(x, FakeTensor) or x.dim() != 3 or kwargs or len(rest) != 7:
        return own(x, hidden, *rest, **kwargs)
    batch_first = rest[-1]
    time = 1 if batch_first else 0
    first, *last = own(x.narrow(time, 0, 1), hidden, *rest)
    if batch_first:  # torch computes with time in front, and turns the result
        whole = first.new_empty((x.shape[1], x.shape[0], first.shape[2])).transpose(0, 1)
    else:
        whole = first.new_empty((x.shape[0], x.shape[1], first.shape[2]))
    return (whole, *last)


def _batch_norm(own: Rule, x: Any, *rest: Any, **kwargs: Any) -> Any:
    fake = isinstance(x, FakeTensor) and x.dim() > 1 and not kwargs and len(rest) > 4 and not rest[4]
    held = rest[:4]  # weight, bias, mean, variance
    if not fake or any(t is not None and t.shape != (x.shape[1],) for t in held) or held[2] is None or held[3] is None:
        return own(x, *rest, **kwargs)
    return torch.empty_like(x)


def _linear(own: Rule, x: Any, weight: Any, bias: Any = None) -> Any:
    fits = isinstance(x, FakeTensor) and x.dim() > 0 and weight.dim() == 2 and x.shape[-1] == weight.shape[1]
    if not fits or x.dtype != weight.dtype or (bias is not None and bias.shape != (weight.shape[0],)):
        return own(x, weight, bias)
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


def _like(own: Rule, x: Any) -> Any:
    return torch.empty_like(x) if isinstance(x, FakeTensor) and x.dtype.is_floating_point else own(x)


_RULES: dict[str, Rule] = {
    **dict.fromkeys(("lstm.input", "gru.input", "rnn_tanh.input", "rnn_relu.input"), _recurrent),
    "batch_norm.default": _batch_norm,
    "linear.default": _linear,
    **dict.fromkeys(("hardswish.default", "hardsigmoid.default"), _like),
}


@contextmanager
def shapes_only() -> Iterator[None]:
    """While it is entered, the operators above are as said. Their real kernels are not touched."""
    keys = torch._C.DispatchKey
    before: list[tuple[Any, dict[Any, Any]]] = []
    try:
        for name, rule in _RULES.items():
            packet, _, overload = name.partition(".")
            operator: Any = getattr(getattr(torch.ops.aten, packet), overload)
            kernels = operator.py_kernels
            before.append((operator, dict(kernels)))
            composite = operator.has_kernel_for_dispatch_key(keys.CompositeImplicitAutograd)
            key = keys.CompositeImplicitAutograd if composite else keys.AutogradCPU
            own = kernels or {key: partial(operator._op_dk, key)}
            kernels.update({key: partial(rule, kernel) for key, kernel in own.items()})
            operator._dispatch_cache.clear()
        yield
    finally:
        for operator, kernels in before:
            operator.py_kernels.clear()
            operator.py_kernels.update(kernels)
            operator._dispatch_cache.clear()
