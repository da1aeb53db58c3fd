"""The forms that a layer can have in a file, and the layer in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..emit.blob import MOST_IN_TABLE
from ..emit.layers import Layer
from .halves import GREATEST
from .int8 import CALIBRATED, as_blocks, as_int8, can_be_blocks, can_be_int8

FORMS = ("fp32", "fp16", "bf16", "table", "int8", "block8", "block6", "block4")
"""fp32: as it is. fp16: weights of 16 bits, widened when loaded. bf16: the same, where fp16
cannot hold them. table: each weight one of 256 numbers, a byte each,
looked up when loaded. int8: weights and products of 8 bits. block8, block6, block4: of Gemm and MultiHeadAttention,
weights of so many bits in blocks with a scale each."""
COMPUTED = ("int8", "block8", "block6", "block4")
"""Those that the layer computes with, and that take another time."""
BLOCK = 64
LEAST = 256
"""Weights of fewer numbers stay as they are: they are a thousandth of a file."""
LEAST_TABLE = 4096
"""A table has 1024 bytes itself."""


@dataclass(frozen=True)
class Int8:
    """How a layer becomes int8. reach: see int8.winograd_steps(); correction: added to its bias, a number a channel."""

    input_scale: float | None = None
    reach: float | None = None
    correction: Any = None


def weights_of(layer: Layer, least: int) -> list[str]:
    """Its float32 weights that can be stored in another way."""
    return [
        spec.name
        for spec in layer.spec.weights
        if (data := layer.weights.get(spec.name)) is not None
        and data.dtype == np.float32
        and data.size >= least
        and layer.spec.is_tagged(spec, layer.params)
        and spec.name not in layer.stored
    ]


def forms_of(layer: Layer, wanted: Sequence[str] = FORMS) -> dict[str, str]:
    """Form -> "" where the layer can have it, else why not."""
    found = {}
    for form in wanted:
        if form == "fp32":
            found[form] = ""
        elif form == "int8":
            found[form] = can_be_int8(layer) or ""
        elif form in COMPUTED:
            found[form] = can_be_blocks(layer) or ""
        else:
            names = weights_of(layer, LEAST_TABLE if form == "table" else LEAST)
            found[form] = "" if names else "it has no large weights"
            largest = max((float(np.abs(layer.weights[n]).max()) for n in names), default=0.0)
            beyond = not largest <= GREATEST["fp16"]
            if form == "fp16" and beyond:
                found[form] = f"a weight has {largest:.3g}, and fp16 ends at {GREATEST['fp16']:g}"
            if form == "bf16" and names and not beyond:
                found[form] = "fp16 holds its weights, and is nearer"
            if not all(np.isfinite(layer.weights[n]).all() for n in names):
                found[form] = "its weights are not finite"
    return found


def in_form(layer: Layer, form: str, int8: Int8 | None = None) -> Layer:
    """The layer in a form that it can have."""
    if form == "fp32":
        return layer
    if form == "int8":
        int8 = int8 or Int8()
        made = as_int8(layer, int8.input_scale if layer.spec.type in CALIBRATED else None, reach=int8.reach)
        return made if int8.correction is None else corrected(made, int8.correction)
    if form in COMPUTED:
        return as_blocks(layer, int(form.removeprefix("block")), BLOCK)
    names = weights_of(layer, LEAST_TABLE if form == "table" else LEAST)
    weights = dict(layer.weights)
    if form == "table":
        weights.update((name, tabled(weights[name])) for name in names)
    return replace(layer, weights=weights, stored={**layer.stored, **dict.fromkeys(names, form)})


def corrected(layer: Layer, correction: Any) -> Layer:
    """The layer with this added to its bias, which it gets where it has none."""
    old = layer.weights.get("bias", np.zeros(len(correction), np.float32))
    order = [w.name for w in layer.spec.weights]
    weights = {**layer.weights, "bias": (old.reshape(-1) + correction).astype(np.float32)}
    params = {**layer.params, "bias_term": 1}
    return replace(layer, params=params, weights={k: weights[k] for k in order if k in weights})


def tabled(data: Any, rounds: int = 60) -> Any:
    """Each number replaced by one of 256, so that the squared errors are small (Lloyd 1982; a number
    of the table that nothing is near to goes where the errors are the largest)."""
    flat = np.ravel(data)
    numbers = np.sort(flat.astype(np.float64))
    if len(np.unique(numbers)) <= MOST_IN_TABLE:
        return np.asarray(data, np.float32)
    sums, squares = (np.concatenate([[0.0], np.cumsum(x)]) for x in (numbers, numbers**2))
    # As dense as the third root of how many there are, which is the best for many levels (Panter and Dite 1951).
    counts, edges = np.histogram(numbers, 4096)
    dense = np.concatenate([[0.0], np.cumsum(np.cbrt(counts))])
    table = np.interp((np.arange(MOST_IN_TABLE) + 0.5) / MOST_IN_TABLE * dense[-1], dense, edges)
    for _ in range(rounds):
        ends = np.concatenate([[0], np.searchsorted(numbers, (table[1:] + table[:-1]) / 2), [len(numbers)]])
        counts = np.maximum(np.diff(ends), 1)
        means = np.diff(sums[ends]) / counts
        errors = np.diff(squares[ends]) - counts * means**2
        empty = np.flatnonzero(np.diff(ends) == 0)
        worst = np.argsort(-errors, kind="stable")[: len(empty)]
        means[empty] = means[worst] + np.sqrt(np.maximum(errors[worst], 0) / counts[worst])
        table = np.sort(means)
    table = table.astype(np.float32)
    places = np.searchsorted((table[1:].astype(np.float64) + table[:-1]) / 2, flat)
    return table[places].reshape(np.shape(data))
