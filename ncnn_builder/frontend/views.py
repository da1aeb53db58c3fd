"""Views of tensors with open sizes have, while torch.export runs, the shape that forward() asks for.

    x.view(1, h // 8, 8, w // 8, 8, c)

torch splits and joins axes one by one, so that its 8 is h // (h // 8), and grows with every view of a view; what it
then decides of such sizes takes most of the time of a net with windows. Where it is sure by our own sizes that the
numbers are as many as before, the shape is taken as it is said, and -1 stands for the factors that are left.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from ..sizes import OpenSizeError
from .symbols import Symbols

_NAME = "_reshape_view_helper"


@contextmanager
def plain_views(shapes: Mapping[str, Sequence[int]]) -> Iterator[None]:
    """While it is entered, views of contiguous tensors are as said. shapes: those of forward()'s arguments."""
    refs: Any = torch._refs
    own: Callable[..., Any] | None = getattr(refs, _NAME, None)
    contiguous = getattr(torch._prims_common, "is_contiguous_or_false", None)
    if own is None or contiguous is None:  # before torch 2.7
        yield
        return
    known: dict[Any, int | None] = {}

    def size(n: Any) -> int | None:
        """Our size of torch's."""
        if not isinstance(n, torch.SymInt):
            return int(n)
        e = n.node.expr
        if e not in known:
            known[e] = Symbols.within(e, n.node.shape_env, shapes)
        return known[e]

    def view(a: Any, *shape: Any, **options: Any) -> Any:
        dims = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else list(shape)
        opened = dims and a.dim() and any(isinstance(n, torch.SymInt) for n in (*a.shape, *dims))
        found = _dims(a, dims, size) if opened and contiguous(a) else None
        if found is None:
            return own(a, *shape, **options)
        strides = [math.prod(found[i + 1 :]) for i in range(len(found))]
        return torch.as_strided(a, found, strides)

    setattr(refs, _NAME, view)
    try:
        yield
    finally:
        setattr(refs, _NAME, own)


def _dims(a: Any, dims: list[Any], size: Callable[[Any], int | None]) -> list[Any] | None:
    """The shape of the view; None where it is not sure, or no shape."""
    numbers = [n for n in dims if not isinstance(n, torch.SymInt)]
    left = [i for i, n in enumerate(dims) if not isinstance(n, torch.SymInt) and n < 0]
    if len(left) > 1 or any(n == 0 or n < -1 for n in numbers) or 0 in [n for n in a.shape if isinstance(n, int)]:
        return None
    rest = [n for i, n in enumerate(dims) if i not in left]
    sizes = [size(n) for n in a.shape], [size(n) for n in rest]
    if None in sizes[0] or None in sizes[1]:
        return None
    whole, part = (math.prod(n for n in side if n is not None) for side in sizes)
    if not left:
        return dims if whole == part else None
    try:
        more = whole // part
    except OpenSizeError:
        return None
    if more * part != whole:
        return None
    made = more if isinstance(more, int) else _cancelled(a.shape, rest)
    return None if made is None else [made if i in left else n for i, n in enumerate(dims)]


def _cancelled(over: Sequence[Any], under: Sequence[Any]) -> Any:
    """Torch's size that is the product of the first by that of the others, as factors that are left; None where one is
    made of no factors of the first."""
    left, number, hint, env = Counter[Any](), 1, 1, None
    for sizes, sign in ((over, 1), (under, -1)):
        for n in sizes:
            if not isinstance(n, torch.SymInt):
                number, hint = _times(number, int(n), sign), _times(hint, int(n), sign)
                continue
            if n.node.hint is None:
                return None
            env, hint = n.node.shape_env, _times(hint, int(n.node.hint), sign)
            for factor in n.node.expr.as_ordered_factors():
                if factor.is_Integer:
                    number = _times(number, int(factor), sign)
                else:
                    left[factor] += sign
            if not number or not hint:
                return None
    if not number or not hint or env is None or any(count < 0 for count in left.values()):
        return None
    e = math.prod(factor**count for factor, count in left.items() if count) * number
    return env.create_symintnode(e, hint=hint)


def _times(n: int, by: int, sign: int) -> int:
    """The product, or the quotient, which is 0 where it is no whole number."""
    return n * by if sign > 0 else 0 if n % by else n // by
