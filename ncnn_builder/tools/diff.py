"""`python -m ncnn_builder diff`: what two nets differ in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from ..emit.layers import Layer
from .net import Net


@dataclass(frozen=True)
class WeightDifference:
    """Of one weight: the largest difference, and that relative to the largest magnitude in the first net."""

    layer: str
    weight: str
    absolute: float
    relative: float
    numbers: int

    def __str__(self) -> str:
        return (
            f"{self.layer} {self.weight}: {self.numbers} numbers differ by {self.absolute:.3g} at most,"
            f" {self.relative:.3g} of the largest"
        )


@dataclass
class Difference:
    """structure: sentences. weights: of matched layers, those that differ. equal: how many weights do not.

    pairs: places of matched layers in both files; changed: in the first file, those of matched layers that differ.
    """

    structure: list[str] = field(default_factory=list)
    weights: list[WeightDifference] = field(default_factory=list)
    equal: int = 0
    pairs: list[tuple[int, int]] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.structure or self.weights)


def diff(a: Net, b: Net, tolerance: float = 0.0) -> Difference:
    """Compare structure and weights, the weights as far as both nets have them.

    Layers are matched by name and type, those that are left by their place among them; Split layers are looked through.
    tolerance: a weight is equal where its relative difference is not larger; above 0 the form in which it is stored
    does not count either.
    """
    result = Difference()
    pairs = match(_real(a), _real(b))
    matched = {id(x): y for x, y in pairs}
    partners = {id(y) for _, y in pairs}
    result.structure += [f"only in {a.path}: {_name(x)}" for x in _real(a) if id(x) not in matched]
    result.structure += [f"only in {b.path}: {_name(y)}" for y in _real(b) if id(y) not in partners]
    places = {id(layer): i for net in (a, b) for i, layer in enumerate(net.layers)}
    for x, y in pairs:
        before = len(result.structure) + len(result.weights)
        result.structure += _parameters(x, y)
        result.structure += _wiring(a, b, x, y, matched)
        if a.has_bin and b.has_bin:
            _weights(x, y, tolerance, result)
        result.pairs.append((places[id(x)], places[id(y)]))
        if len(result.structure) + len(result.weights) > before:
            result.changed.append(places[id(x)])
    return result


def match(a: Sequence[Layer], b: Sequence[Layer]) -> list[tuple[Layer, Layer]]:
    """Layers of both that are taken for the same, in the order of the first."""
    by_name = {layer.name: layer for layer in b}
    pairs = [(x, by_name[x.name]) for x in a if x.name in by_name and by_name[x.name].spec.type == x.spec.type]
    if 2 * sum(_signature(x) == _signature(y) for x, y in pairs) < len(pairs):
        pairs = []  # names that mean nothing, such as those of a binary file, agree by chance
    taken = {id(x) for pair in pairs for x in pair}
    rest_a, rest_b = ([x for x in layers if id(x) not in taken] for layers in (a, b))
    # First where everything but the name is the same, then where at least the type is.
    for signature in (_signature, lambda layer: layer.spec.type):
        found = SequenceMatcher(None, [*map(signature, rest_a)], [*map(signature, rest_b)], autojunk=False)
        blocks = [(rest_a[i + k], rest_b[j + k]) for i, j, n in found.get_matching_blocks() for k in range(n)]
        pairs += blocks
        taken = {id(x) for pair in blocks for x in pair}
        rest_a, rest_b = ([x for x in rest if id(x) not in taken] for rest in (rest_a, rest_b))
    place = {id(x): i for i, x in enumerate(a)}
    return sorted(pairs, key=lambda pair: place[id(pair[0])])


def _signature(layer: Layer) -> str:
    return f"{layer.spec.type} {sorted(_said(layer).items())!r}"


def _said(layer: Layer) -> dict[str, Any]:
    """Parameters by name; those of a layer that is kept word for word as words."""
    words = {f"word {i}": w for i, w in enumerate(getattr(layer.spec, "verbatim", ()))}
    return {**layer.params, **words, "feature mask": layer.mask}


def _real(net: Net) -> list[Layer]:
    return [layer for layer in net.layers if layer.spec.type != "Split"]


def _name(layer: Layer) -> str:
    return f"{layer.spec.in_files} {layer.name}"


def _parameters(x: Layer, y: Layer) -> list[str]:
    a, b = _said(x), _said(y)
    names = [k for k in sorted(a.keys() | b.keys()) if a.get(k) != b.get(k)]
    return [f"{_name(x)}: {k} is {_shown(a.get(k))}, then {_shown(b.get(k))}" for k in names]


def _shown(value: Any) -> Any:
    """A float with the digits that tell it from its neighbours in float32, as which it was read."""
    if isinstance(value, tuple | list):
        return [_shown(v) for v in value]
    return float(str(np.float32(value))) if isinstance(value, float) else value


def _source(net: Net, blob: str) -> tuple[Layer | None, int]:
    """The layer that makes what a blob holds, looking through Splits, and which of its outputs that is."""
    for _ in range(len(net.layers)):
        producer = net.producers.get(blob)
        if producer is None or producer.spec.type != "Split" or not producer.inputs:
            break
        blob = producer.inputs[0]
    producer = net.producers.get(blob)
    return producer, 0 if producer is None else producer.outputs.index(blob)


def _wiring(a: Net, b: Net, x: Layer, y: Layer, matched: dict[int, Layer]) -> list[str]:
    if len(x.inputs) != len(y.inputs):
        return [f"{_name(x)}: {len(x.inputs)} inputs, then {len(y.inputs)}"]
    found = []
    for i, (p, q) in enumerate(zip(x.inputs, y.inputs, strict=True)):
        (from_a, at_a), (from_b, at_b) = _source(a, p), _source(b, q)
        same = (from_a is None) == (from_b is None) and at_a == at_b
        if not same or (from_a is not None and matched.get(id(from_a)) is not from_b):
            sources = [f"output {at} of {_name(s)}" if s else "nowhere" for s, at in ((from_a, at_a), (from_b, at_b))]
            found.append(f"{_name(x)}: input {i} comes from {sources[0]}, then from {sources[1]}")
    return found


def _weights(x: Layer, y: Layer, tolerance: float, result: Difference) -> None:
    for name in sorted(x.weights.keys() | y.weights.keys()):
        p, q = x.weights.get(name), y.weights.get(name)
        if p is None or q is None or p.size != q.size:
            sizes = [0 if w is None else w.size for w in (p, q)]
            result.structure.append(f"{_name(x)}: {name} has {sizes[0]} numbers, then {sizes[1]}")
            continue
        forms = [layer.stored.get(name, "fp32") for layer in (x, y)]
        if forms[0] != forms[1] and not tolerance:
            result.structure.append(f"{_name(x)}: {name} is stored as {forms[0]}, then as {forms[1]}")
        p, q = p.reshape(-1).astype(np.float64), q.reshape(-1).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            gap = np.where((p == q) | (np.isnan(p) & np.isnan(q)), 0.0, np.abs(p - q))
            gap = np.where(np.isnan(gap), np.inf, gap)
            absolute = float(gap.max(initial=0.0))
            largest = float(np.abs(p).max(initial=0.0))
        relative = absolute / largest if largest and np.isfinite(largest) else absolute and float("inf")
        if relative > tolerance:
            result.weights.append(WeightDifference(x.name, name, absolute, float(relative), int((gap > 0).sum())))
        else:
            result.equal += 1
