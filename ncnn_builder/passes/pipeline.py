"""The way from a built graph to a lowered one: the one ordered list of passes, and the reason for each place.

    built graph -> BUILT passes -> lowering to the target -> LOWERED passes -> lowered graph

A pass says on which targets it runs. `reference` is the oracle that the other targets are compared with, so it stays
what the author wrote: nothing but dead code is taken from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..ir import Graph
from ..targets import lower
from ..verify import verify
from .dead_code import dead_code

ORACLE = "reference"


def everywhere(target: str) -> bool:
    return True


def but_the_oracle(target: str) -> bool:
    return target != ORACLE


def only(*targets: str) -> Callable[[str], bool]:
    """For a pass that makes layers which only these targets may have."""
    return targets.__contains__


@dataclass(frozen=True)
class Pass:
    """A rewrite Graph -> Graph, which returns the very graph it was given where it finds nothing to do.

    on: whether it runs when compiling for this target.
    """

    name: str
    run: Callable[[Graph], Graph]
    on: Callable[[str], bool] = but_the_oracle


BUILT: tuple[Pass, ...] = ()
"""On the graph that the author built, where composite ops say what is meant."""

LOWERED: tuple[Pass, ...] = (
    # Last: what other passes leave without a reader goes here.
    Pass("dead_code", dead_code, everywhere),
)
"""On the layers that will be emitted."""


Observe = Callable[[str, Graph, Graph], None]
"""(name of the step, graph before, graph after): told of every step, before its result is verified."""


def run_passes(
    graph: Graph, passes: Sequence[Pass], target: str, *, lowered: bool = False, observe: Observe | None = None
) -> Graph:
    """Those of `passes` that run on this target, in order; verified after each."""
    for each in passes:
        if each.on(target):
            before, graph = graph, each.run(graph)
            if observe is not None:
                observe(each.name, before, graph)
            verify(graph, stage=f"after pass {each.name}", lowered=lowered)
    return graph


def lower_and_optimise(graph: Graph, target: str, observe: Observe | None = None) -> Graph:
    """The whole way: verified, passes on the built graph, lowered, passes on the layers.

    Raises BuildError for an unknown target, VerifyError where a step breaks a rule of the IR.
    """
    verify(graph, stage="after building")
    built = run_passes(graph, BUILT, target, observe=observe)
    lowered = lower(built, target)
    if observe is not None:
        observe(f"lower_to_{target}", built, lowered)
    return run_passes(lowered, LOWERED, target, lowered=True, observe=observe)
