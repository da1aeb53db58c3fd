"""int() of an open size is the size: int(np.ceil(h / 8) * 8 - h).

Python's int() has to give a number, that of the example. While torch.export runs with open sizes, the files of the
author's modules find another int: it gives a size as torch.sym_int() does, and is Python's in all else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from .baked import always


class _LikeInt(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, int)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, int)

    def __eq__(cls, other: object) -> bool:
        return other is cls or other is int

    def __hash__(cls) -> int:
        return hash(int)


@contextmanager
def sizes_stay_sizes(module: torch.nn.Module, shapes: Mapping[str, Sequence[int]]) -> Iterator[None]:
    """While torch.export runs forward() of this module. shapes: those of forward()'s arguments; what is the same at all
    of their sizes becomes a number."""

    class Int(int, metaclass=_LikeInt):
        def __new__(cls, x: Any = 0, *base: Any) -> Any:
            if not isinstance(x, (torch.SymInt, torch.SymFloat)):
                return int(x, *base)
            size = _sym_int(x)
            return int(size) if isinstance(size, torch.SymInt) and always(size.node, shapes) else size

    files = {kind.__module__ for part in module.modules() for kind in type(part).__mro__}
    written = [vars(sys.modules[name]) for name in files if name in sys.modules and name.split(".")[0] not in _OTHERS]
    changed = [names for names in written if "int" not in names]
    for names in changed:
        names["int"] = Int
    try:
        yield
    finally:
        for names in changed:
            del names["int"]


_OTHERS = ("builtins", "torch", "ncnn_builder")
_sym_int: Any = torch.sym_int
