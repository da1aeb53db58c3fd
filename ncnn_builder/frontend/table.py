"""docs/operators.md: what each operator of torch becomes, as the samples of the converters show it.

What they measured is not known here, as nothing is run: it is handed in, or stays as the page has it.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import checkout
from ..opspec import registry
from ..targets import lower
from ..traced import Traced
from .complex_numbers import COMPLEX
from .registry import CONVERTERS

if TYPE_CHECKING:
    from .capture import Captured
    from .samples import Sample

PAGE = checkout.path("docs/operators.md")
LAYOUT = {"Reshape", "Permute", "MemoryData", "really_reshape", "really_permute", "memorydata"}
"""What brings a tensor, or a constant, to where it is needed: an operator's own only where it is always there."""

UNTRIED = {
    "aten.lift_fresh": "of constants, which are computed; torch 2.4 leaves it of others",
    "aten.rnn_relu.input": "refused, whatever it is called with",
}
"""Converters without a sample -> why."""


@dataclass(frozen=True)
class Shown:
    """What a sample shows of a converter: the functions of the DSL that it called, the types of its layers on ncnn."""

    functions: tuple[str, ...]
    layers: tuple[str, ...]


def sampled(sample: Sample) -> tuple[Captured, dict[str, Shown]]:
    """The net of a sample, and what it shows of each converter that was asked, by the converter's name."""
    from .capture import captured

    graph = Traced()
    net = captured(sample.module(), sample.tensors(), into=graph)
    functions = {node: calls[:1] for calls, node in graph.made}
    layers = _layers(graph)
    return net, {
        name: Shown(
            tuple(sorted({f for node in nodes for f in functions[node]})),
            tuple(sorted({layer for node in nodes for layer in layers[node]})),
        )
        for name, nodes in net.converters.items()
    }


def _layers(graph: Traced) -> dict[Any, set[str]]:
    """Node -> the types of the layers that it becomes on plain ncnn."""
    sources = [node.source for node in graph.nodes]
    try:
        for i, node in enumerate(graph.nodes):
            node.source = str(i)  # it carries over to what a lowering makes of the node
        made: dict[str, set[str]] = {}
        for node in lower(graph, "stock").nodes:
            made.setdefault(node.source, set()).add(node.spec.in_files)
        return {node: made.get(str(i), set()) for i, node in enumerate(graph.nodes)}
    finally:
        for node, source in zip(graph.nodes, sources, strict=True):
            node.source = source


def families() -> dict[str, dict[str, Callable[..., Any]]]:
    """Family -> name of a converter of this package -> its function."""
    from . import converters as converters  # fills the registries

    found: dict[str, dict[str, Callable[..., Any]]] = {}
    known = {name: converter.function for name, converter in CONVERTERS.items()}
    known |= {f"complex {name}": function for name, function in COMPLEX.items()}
    for name, function in sorted(known.items()):
        package, _, family = function.__module__.rpartition(".")
        if package.startswith(__name__.rpartition(".")[0]):  # not an operator of a user's
            found.setdefault(family, {})[name] = function
    return dict(sorted(found.items()))


def rounded_up(error: float) -> str:
    """An error as the power of ten above it: stable from one machine to the next."""
    return "0" if error == 0 else f"1e{math.ceil(math.log10(error) - 1e-9):d}"


def measured_in(text: str) -> dict[str, str]:
    """What a page says was measured: name of a converter -> figure."""
    return dict(re.findall(r"^\| `([^`]+)` \|.*\| ([0-9e-]+) \|$", text, re.MULTILINE))


Family: TypeAlias = str


def reached_by(shown: Iterable[tuple[Family, Sample, Mapping[str, Any]]]) -> dict[str, list[tuple[Sample, Any]]]:
    """Name of a converter -> the samples that speak for it, and what they show: those of its own family, else all."""
    own = {name: family for family, members in families().items() for name in members}
    all_of: dict[str, list[tuple[Sample, Any]]] = {}
    own_of: dict[str, list[tuple[Sample, Any]]] = {}
    for family, sample, each in shown:
        for name, what in each.items():
            all_of.setdefault(name, []).append((sample, what))
            if own.get(name) == family:
                own_of.setdefault(name, []).append((sample, what))
    return {**all_of, **own_of}


def page(shown: Iterable[tuple[Family, Sample, Mapping[str, Shown]]], measured: Mapping[str, str]) -> str:
    """The text of docs/operators.md. shown: each sample, its family, and what it shows; measured: name of a converter
    -> figure."""
    by_name = reached_by(shown)
    count = sum(map(len, families().values()))
    intro = (
        f"The {count} operators that have a converter in `ncnn_builder/frontend/converters`. Each is run by its samples"
        " on plain ncnn and compared with torch (`tests/frontend/test_converters.py`). The functions are those of"
        " [the DSL](ops.md) that a converter calls, the layers what the target `stock` makes of them before the passes:"
        " all that occur in the samples, of which one call takes some. `Reshape`, `Permute` and `MemoryData`, which"
        " bring a tensor or a constant to where a layer takes it, are there only where an operator always is one. A"
        " name without an overload stands for all of them. Samples are those of the operator's own family that reach"
        " it, or all that do where none of these does. Allowed and measured: the largest error over them, relative to"
        " the largest magnitude of each result, the measured one rounded up to a power of ten. `complex` are converters"
        " for tensors of complex numbers."
    )
    more = (
        "torch's own table takes apart what has no converter, one step at a time, into operators that have one. What"
        " then is left is an error with the line of your `forward()`: [converting any module](convert.md)."
    )
    lines = ["# Every operator of torch", "", "Generated by `python -m ncnn_builder.docs`; do not edit.", ""]
    lines += [*textwrap.wrap(intro, 115), "", *textwrap.wrap(more, 115), ""]
    lines += [f"- `{name}` has no sample: {why}." for name, why in UNTRIED.items()]
    for family, members in families().items():
        lines += ["", f"## {family}", ""]
        lines += ["| operator | functions | layers | samples | allowed | measured |", "|---|---|---|---|---|---|"]
        lines += [_row(name, by_name.get(name, []), measured.get(name)) for name in members]
    return "\n".join(lines) + "\n"


def _row(name: str, found: Sequence[tuple[Sample, Shown]], figure: str | None) -> str:
    functions = [f"`{f}`" for f in _named([what.functions for _, what in found])]
    layers = [f"[{t}](ops.md#{t.lower()})" if t in registry else t for t in _named([w.layers for _, w in found])]
    bound = f"{max(sample.tolerance for sample, _ in found):.0e}".replace("e-0", "e-") if found else "-"
    cells = (", ".join(functions) or "-", ", ".join(layers) or "none", str(len(found)), bound, figure or "-")
    return f"| `{name}` | {' | '.join(cells)} |"


def _named(seen: Sequence[Sequence[str]]) -> list[str]:
    every = set(seen[0]).intersection(*seen) if seen else set()
    return sorted({name for names in seen for name in names if name not in LAYOUT or name in every})
