"""Which parameters of a node somebody looked at: what is not looked at has to be at its default.

A lowering, a pass or a reference that does not know a parameter does not read it. Where that parameter is off its
default, what is made of the node has another meaning than the node, and no line of code would say so. So the
parameters that are handed out note who asked for what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .ir import Params
from .opspec import Derived, OpSpec

SIZES = frozenset(
    (
        *("num_output", "num_input", "kernel_w", "kernel_h", "kernel_d", "weight_data_size", "bias_data_size"),
        *("bias_term", "scale_data_size", "channels", "filter_size", "f_w", "f_h", "fu_w", "fu_h", "fd_w", "fd_h"),
        *("w", "h", "d", "c", "size", "height", "width", "version"),
    )
)
"""Parameters that say what weights, or shapes, say as well: shape rules hold the two against each other. And the
version of a layer, which says how a file is read, and by itself means nothing."""


class Consumed(Mapping[str, Any]):
    """Parameters of a node; `read` are those that somebody has asked for. Whoever copies them has asked for all.

    touched: a list that gets these parameters as soon as one of them is asked for.
    """

    __slots__ = ("plain", "read", "touched")

    def __init__(self, plain: Params, touched: list[Consumed] | None = None) -> None:
        self.plain = plain
        self.read: set[str] = set()
        self.touched = touched

    def __getitem__(self, name: str) -> Any:
        if self.touched is not None and not self.read:
            self.touched.append(self)
        self.read.add(name)
        return self.plain[name]

    def __contains__(self, name: object) -> bool:
        return name in self.plain

    def __iter__(self) -> Iterator[str]:
        return iter(self.plain)

    def __len__(self) -> int:
        return len(self.plain)

    def __repr__(self) -> str:
        return repr(self.plain)

    def ignored(self, spec: OpSpec) -> dict[str, Any]:
        """Name -> value of those that are off their default and that nobody has asked for."""
        return {
            p.name: self.plain[p.name]
            for p in spec.params
            if p.name not in SIZES
            and p.name not in self.read
            and self.plain[p.name] != (p.default.of(self.plain) if isinstance(p.default, Derived) else p.default)
        }
