"""The one ordered list of passes, and the reason for each place."""

from __future__ import annotations

from collections.abc import Callable

from ..ir import Graph
from ..verify import verify
from .dead_code import dead_code

PASSES: tuple[tuple[str, Callable[[Graph], Graph]], ...] = (
    # Last: what other passes leave without a reader goes here.
    ("dead_code", dead_code),
)


def run_passes(graph: Graph) -> Graph:
    """All passes, in order, on a lowered graph; verified after each."""
    for name, function in PASSES:
        graph = function(graph)
        verify(graph, stage=f"after pass {name}", lowered=True)
    return graph
