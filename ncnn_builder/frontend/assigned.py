"""Weights that forward() computes of others and writes into a parameter: conv.weight.data = fused.

    forward():      self.conv.weight.data = self.a.weight.data * 2; return self.conv(x)
    the program:    conv2d(x, a.weight.detach() * 2)

Networks that are trained in branches and run as one convolution do this at every call. torch.export does not see the
assignment, and leaves the parameter without numbers. Whoever reads the parameter later is given what was assigned.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

_GET, _SET = torch.Tensor.data.__get__, torch.Tensor.data.__set__  # type: ignore[attr-defined]


class _Assignments(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.held: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}  # by id: which tensor, so that it lives; its value

    def __torch_function__(
        self, func: Any, types: Sequence[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func == _SET:
            target, value = args
            self.held[id(target)] = (target, self._read(value))
            return None
        if self.held:
            args, kwargs = tree_map(self._read, (args, kwargs))
        return args[0].detach() if func == _GET else func(*args, **kwargs)

    def _read(self, x: Any) -> Any:
        found = self.held.get(id(x))
        return x if found is None else found[1]


@contextmanager
def assignments(module: torch.nn.Module, *others: TorchFunctionMode) -> Iterator[None]:
    """While torch.export runs forward() of this module. others: what else sees the calls of torch's functions."""
    own = module.__dict__.get("forward")
    forward = module.forward

    @functools.wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        with ExitStack() as modes:
            for mode in (*others, _Assignments()):
                modes.enter_context(mode)
            return forward(*args, **kwargs)

    module.forward = run
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own
