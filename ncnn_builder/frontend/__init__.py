"""The front end: any module of torch becomes a graph, by torch.export and a converter for each operator.

Nothing here imports torch before it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .registry import CONVERTERS, Call, converts, on_tensors

if TYPE_CHECKING:
    from ..ir import Graph
    from .convert import Converted


def capture(
    module: Any,
    args: Any,
    kwargs: dict[str, Any] | None = None,
    *,
    forward_only: bool = False,
    dynamic: Any = None,
) -> Graph:
    """The Graph of what the module computes of inputs like these: see frontend.capture."""
    from .capture import capture as run

    return run(module, args, kwargs, forward_only=forward_only, dynamic=dynamic)


def convert(module: Any, args: Any, path: Any, **options: Any) -> Converted:
    """Convert any module of torch to PATH.param, PATH.bin and PATH.json, proven equal: see frontend.convert."""
    from .convert import convert as run

    return run(module, args, path, **options)


def export(module: Any, args: Any, path: Any, **options: Any) -> Converted:
    """As convert(), by the module's own export_ncnn(g, inputs) where it has one: the same front door for both ways."""
    from .convert import convert as run  # whose module has taken the place of the function's name above

    return run(module, args, path, own=True, **options)


__all__ = ["CONVERTERS", "Call", "capture", "convert", "converts", "export", "on_tensors"]
