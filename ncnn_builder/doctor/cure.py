"""The fewest layers whose feature mask (id 31) makes the net equal again, proven by running it, and its price."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ..emit import emit_graph
from ..features import features_of, mask_of
from ..ir import Graph, Node
from ..parity import loaded
from .lab import Lab
from .options import SWITCHES, Options

Item = TypeVar("Item")
TRIALS, SECONDS = 80, 8.0
"""What the search for few layers may take: runs of the whole net, and time."""


@dataclass(frozen=True)
class MaskedLayer:
    """A layer to be masked: its name and type in the .param file, its module, and the call in the DSL."""

    name: str
    type: str
    scope: str
    source: str


@dataclass(frozen=True)
class Cure:
    """A mask for some layers, with which the whole net was run and is equal.

    features         what they do without: names for ncnn_builder.without()
    mask             the same as a number, for ``31=``
    layers, of       those layers, and how many the net has
    required         the tolerance that the cured net needs
    seconds_before   a run of the net without, seconds_after with the masks: medians of some runs
    """

    features: tuple[str, ...]
    mask: int
    layers: tuple[MaskedLayer, ...]
    of: int
    required: float
    seconds_before: float
    seconds_after: float


def find_cure(
    lab: Lab,
    lowered: Graph,
    inputs: Mapping[str, Any],
    expected: Mapping[str, Any],
    options: Options,
    switches: Sequence[str],
    culprit: str,
) -> Cure | None:
    """Masks that cure what these switches do; None where no mask does.

    The culprit's layers are tried first, then all; of those that cure, the fewest that the trials allow.
    """
    features = tuple(dict.fromkeys(f for f in map(SWITCHES.get, switches) if f is not None))
    mask = mask_of(features)
    if not mask:
        return None

    def cures(nodes: Sequence[Node]) -> bool:
        with _masked(nodes, mask):
            return lab.equal(lab.attempt(lowered, inputs, options), expected)

    own = [n for n in lowered.nodes if n.scope == culprit or n.scope.startswith(f"{culprit}.")]
    start = next((nodes for nodes in (own, lowered.nodes) if cures(nodes)), None)
    if start is None:
        return None
    end = time.perf_counter() + SECONDS
    nodes = fewest(start, cures, TRIALS, lambda: time.perf_counter() > end)
    with _masked(nodes, mask):
        results = lab.compare(lab.attempt(lowered, inputs, options), expected)
    before, after = _seconds(lab, lowered, inputs, options, nodes, mask)
    layers = tuple(MaskedLayer(n.name, n.spec.in_files, n.scope, n.source) for n in nodes)
    required = max(c.required for c in results.values())
    return Cure(tuple(features_of(mask)), mask, layers, len(lowered.nodes), required, before, after)


def fewest(
    items: Sequence[Item], good: Callable[[Sequence[Item]], bool], trials: int, late: Callable[[], bool] = lambda: False
) -> list[Item]:
    """Items without which `good` fails: chunks are left out, large ones first, as long as it holds."""
    kept, size = list(items), max(len(items) // 2, 1)
    while trials > 0 and not late():
        start = 0
        while start < len(kept) and trials > 0 and len(kept) > 1 and not late():
            rest = kept[:start] + kept[start + size :]
            trials -= 1
            if rest and good(rest):
                kept = rest
            else:
                start += size
        if size == 1:
            break
        size = (size + 1) // 2
    return kept


class _masked:
    """The nodes with these features off, for as long as the block lasts."""

    def __init__(self, nodes: Sequence[Node], mask: int) -> None:
        self.nodes, self.mask = nodes, mask
        self.before = [node.mask for node in nodes]

    def __enter__(self) -> None:
        for node in self.nodes:
            node.mask |= self.mask

    def __exit__(self, *_: object) -> None:
        for node, mask in zip(self.nodes, self.before, strict=True):
            node.mask = mask


def _seconds(
    lab: Lab, lowered: Graph, inputs: Mapping[str, Any], options: Options, nodes: Sequence[Node], mask: int
) -> tuple[float, float]:
    """A run without and with the masks, in turn, so that a busy moment hits both."""
    model = emit_graph(lowered)
    plain = loaded(model, lab.net, **options.keywords())
    with _masked(nodes, mask):
        cured = loaded(emit_graph(lowered), lab.net, **options.keywords())
    times: dict[str, list[float]] = {"plain": [], "cured": []}
    begin = time.perf_counter()
    while len(times["cured"]) < 5 or (len(times["cured"]) < 50 and time.perf_counter() - begin < 0.3):
        for name, net in (("plain", plain), ("cured", cured)):
            start = time.perf_counter()
            net.run(dict(inputs), list(model.outputs))
            times[name].append(time.perf_counter() - start)
    return statistics.median(times["plain"][1:]), statistics.median(times["cured"][1:])
