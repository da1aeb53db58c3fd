"""Compiling and running graphs in many ways, without harm to the original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..emit import EmittedModel, emit_graph
from ..ir import Graph
from ..parity import Comparison, compare, duplicate, loaded
from ..parity.runner import NetClass
from ..pipeline import Observe, lower_and_optimise
from .options import Options

INFINITE = float("inf")


@dataclass
class Lab:
    """A runtime, a target and a tolerance, and what can be done with them."""

    net: NetClass
    target: str
    tolerance: float

    def lowered(self, graph: Graph, observe: Observe | None = None) -> Graph:
        """A copy of the graph, on the layers of the target. Raises NcnnBuilderError."""
        return lower_and_optimise(duplicate(graph), self.target, observe)

    def run(self, lowered: Graph, inputs: Mapping[str, Any], options: Options) -> dict[str, Any]:
        """Tap path -> what the runtime computes. Raises whatever the runtime does."""
        model = emit_graph(lowered)
        return self.taps(model, loaded(model, self.net, **options.keywords()), inputs)

    @staticmethod
    def taps(model: EmittedModel, net: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        blobs = net.run(dict(inputs), list(dict.fromkeys(model.taps.values())))
        return {tap: blobs[blob] for tap, blob in model.taps.items()}

    def compare(self, got: Mapping[str, Any] | str, expected: Mapping[str, Any]) -> dict[str, Comparison]:
        """Every expected tap compared; where there is no result, `got` may be the sentence that says why."""
        problem = got if isinstance(got, str) else "there is no such result"
        return {
            tap: compare(tap, got[tap], array, self.tolerance)
            if not isinstance(got, str) and tap in got
            else Comparison(tap, INFINITE, INFINITE, self.tolerance, problem)
            for tap, array in expected.items()
        }

    def equal(self, got: Mapping[str, Any] | str, expected: Mapping[str, Any]) -> bool:
        return all(c.ok for c in self.compare(got, expected).values())

    def attempt(self, lowered: Graph, inputs: Mapping[str, Any], options: Options) -> dict[str, Any] | str:
        """As run(); what the runtime raises is the sentence that comes back."""
        try:
            return self.run(lowered, inputs, options)
        except MemoryError:
            raise
        except Exception as error:  # a runtime that is handed in has exceptions of its own
            return " ".join(str(error).split()) or type(error).__name__
