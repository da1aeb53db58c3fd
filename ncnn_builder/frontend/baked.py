"""Open sizes of which forward(), or torch for it, makes a number: that of the example, in whatever is computed with it.

    int(h), range(h), an operator whose argument is an int and no size: the program has 12 where h // 2 was

torch.export writes down that it took h // 2 for 12, and goes on. Here that is noted with the author's line.
"""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx.experimental.sym_node import SymNode
from torch.fx.experimental.symbolic_shapes import statically_known_true

from ..sizes import OpenSizeError
from .symbols import Symbols, argument_of
from .where import python_frame


@dataclass(frozen=True)
class Baked:
    """size: what became a number, as ``x.shape[2]//2``; source: the author's line."""

    size: str
    number: Any
    source: str | None


@contextlib.contextmanager
def baked_sizes(shapes: Mapping[str, Sequence[int]]) -> Iterator[list[Baked]]:
    """While torch.export runs: gives what became a number. A size that is the same in all sizes is none. shapes: those
    of forward()'s arguments."""
    found: list[Baked] = []
    before = {name: getattr(SymNode, name) for name in ("guard_int", "guard_float")}

    def noted(own: Callable[..., Any]) -> Callable[..., Any]:
        def guard(self: Any, file: str, line: int) -> Any:
            opened = self.expr.free_symbols and self.hint is not None and not always(self, shapes)
            said = _said(self) if opened else None
            number = own(self, file, line)
            if said is not None:
                found.append(Baked(said, number, python_frame(traceback.extract_stack())))
            return number

        return guard

    try:
        for name, own in before.items():
            setattr(SymNode, name, noted(own))
        yield found
    finally:
        for name, own in before.items():
            setattr(SymNode, name, own)


def need_none(found: Sequence[Baked], module: str) -> None:
    """Raises OpenSizeError for the first of them."""
    if found:
        raise OpenSizeError(
            "forward() makes a number of an open size, or calls what takes numbers only: it works for one only",
            op=module,
            source=found[0].source,
            argument="dynamic",
            expected="the size itself, as x.shape has it, in whatever is computed with it",
            got=f"{found[0].number} for {found[0].size}",
            fix="Leave out int() and range() of it, say the argument in another way (scale_factor=2, -1, None), or give"
            " this axis its size",
        )


def always(node: Any, shapes: Mapping[str, Sequence[int]]) -> bool:
    """Whether it is what it is at the example at all sizes: by torch, or by our own sizes, which know quotients."""
    if not node.is_int():
        return False
    size: Any = torch.SymInt(node)  # type: ignore[no-untyped-call]
    if statically_known_true(size == node.hint):
        return True
    ours = Symbols.within(node.expr, node.shape_env, shapes)
    return isinstance(ours, int) and ours == int(node.hint)


def _said(node: Any) -> str:
    """torch's expression, its symbols as the inputs' sizes."""

    names = {str(symbol): argument_of(symbol, node.shape_env) for symbol in node.expr.free_symbols}

    def source(symbol: re.Match[str]) -> str:
        name, axis = names.get(symbol[0], (None, 0))
        return symbol[0] if name is None else f"{name}.shape[{axis}]"

    said = re.sub(r"\bs\d+\b", source, str(node.expr))
    return said[1:-1] if re.fullmatch(r"\([^()]*\)", said) else said
