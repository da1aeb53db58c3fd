"""Why a layer differs from its counterpart: one look at its numbers for each kind of fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..doctor.options import PLAIN, Options
from ..emit.layers import Layer
from ..features import features_of
from .halves import BITS, GREATEST, LEAST, Kind, to_halves
from .int8 import SCALES_OF, STEPS, WINOGRAD_LIMIT, float_weight, is_int8, winograd


@dataclass(frozen=True)
class Cause:
    """kind: one word, see KINDS; what: a sentence with the numbers."""

    kind: str
    what: str


KINDS = (
    *("refused", "other-layer", "parameter", "weight", "dead-channel", "weight-scale", "outlier-channel"),
    *("winograd-overflow", "input-scale", "clipped", "coarse", "overflow", "denormal", "cancellation"),
    *("option", "rounding"),
)


@dataclass(frozen=True)
class Case:
    """A layer of the second net (right: of the first), alone on the first net's numbers.

    given: for each sample its inputs; expected, got: for each sample its first output; trial: how far it is off with
    other options of the runtime; nodes: what stands there in ONNX, where the first net is of it.
    """

    right: Layer | None
    layer: Layer
    given: Sequence[Sequence[Any]]
    expected: Sequence[Any]
    got: Sequence[Any]
    options: Options
    emulate: Kind | None
    tolerance: float
    trial: Callable[[Options], float]
    nodes: str = ""


def cause_of(case: Case) -> list[Cause]:
    """What is found, the surest first; never empty."""
    found = [*_other(case), *_weights(case), *_winograd(case), *_activations(case), *_halves(case)]
    if not found:
        found = list(_option(case))
    if not found and not case.got:
        found = [Cause("refused", "the runtime refuses this layer")]
    if not found and case.nodes and case.trial(case.options) > case.tolerance:
        found = [Cause("other-layer", f"of the same inputs it makes other numbers than ONNX by {case.nodes}")]
    return found or [Cause("rounding", "no fault of one layer: what all layers round adds up")]


def _largest(arrays: Sequence[Any]) -> float:
    return max((float(np.abs(a).max()) for a in arrays if a.size), default=0.0)


def _other(case: Case) -> Iterator[Cause]:
    one, layer = case.right, case.layer
    if one is None:
        return
    if one.spec.in_files != layer.spec.in_files:
        yield Cause("other-layer", f"it is a {layer.spec.in_files}, and a {one.spec.in_files} in the first net")
        return
    for name, value in layer.params.items():
        if "scale_term" not in name and name in one.params and one.params[name] != value:
            yield Cause("parameter", f"{name} is {_told(value)}, and {_told(one.params[name])} in the first net")


def _told(value: Any) -> str:
    return ", ".join(f"{v:g}" for v in value) or "none" if isinstance(value, (list, tuple)) else f"{value:g}"


def _weights(case: Case) -> Iterator[Cause]:
    one, layer = case.right, case.layer
    if one is None or one.spec.in_files != layer.spec.in_files:
        return
    quantised = SCALES_OF.get(layer.spec.in_files, {})
    packed = {spec.name for spec in layer.spec.weights if layer.spec.is_packed(spec, layer.params)}
    for name in one.weights:
        if (
            name in packed
            or name not in layer.weights
            or one.weights[name].size != layer.weights[name].size
            or "scale" in name
        ):
            continue
        if name in quantised and layer.weights[name].dtype == np.int8:
            yield from _int8_weights(layer, name, float_weight(one, name), float_weight(layer, name))
        elif name in quantised:
            yield from _float_weights(name, float_weight(one, name), float_weight(layer, name))
        else:
            yield from _float_weights(name, _flat(one.weights[name]), _flat(layer.weights[name]))


def _flat(weight: Any) -> Any:
    return np.ravel(weight).astype(np.float32)[None]


def _int8_weights(layer: Layer, name: str, right: Any, got: Any) -> Iterator[Cause]:
    size = np.abs(right).max(axis=1)
    dead = np.flatnonzero((size > 0) & ~got.any(axis=1))
    if len(dead):
        yield Cause("dead-channel", _dead(name, dead))
    alive = got.any(axis=1) & (size > 0)
    energy = (right * got).sum(axis=1), (got * got).sum(axis=1)
    ratio = np.where(alive, energy[0] / np.where(alive, energy[1], 1), 1.0)
    whole = np.abs(layer.weights[name])
    steps = np.abs(got).max(axis=1) * np.asarray(_scales(layer, name), np.float32).reshape(-1)
    # One scale for channels of very different sizes leaves the small ones a few steps.
    few = alive & (steps < STEPS / 8)
    wrong = np.flatnonzero(alive & ~few & ((ratio > 1.15) | (ratio < 0.85)))
    if len(wrong):
        c = int(wrong[0])
        ends = whole.reshape(len(right), -1)[c] == STEPS if len(right) > 1 else whole == STEPS
        said = "clips its weights" if float(ends.mean()) > 0.05 else "does not belong to its weights"
        what = f"{name}: the scale of channel {c} {said}: {ratio[c]:.3g} times that size ({len(wrong)} such)"
        yield Cause("weight-scale", what)
    elif few.any() and not len(dead):
        c = int(np.argmin(np.where(few, steps, np.inf)))
        what = f"its largest is {size[c]:.3g}, that of all {size.max():.3g}"
        yield Cause("outlier-channel", f"{name}: channel {c} has {steps[c]:.0f} of {STEPS} steps: {what}")


def _dead(name: str, channels: Any) -> str:
    return f"{name}: channel {channels[0]} is all zero ({len(channels)} such), and is not in the first net"


def _scales(layer: Layer, name: str) -> Any:
    return layer.weights[SCALES_OF[layer.spec.in_files][name]]


def _float_weights(name: str, right: Any, got: Any) -> Iterator[Cause]:
    if np.array_equal(right, got):
        return
    dead = np.flatnonzero(right.any(axis=1) & ~got.any(axis=1))
    if len(dead) and len(right) > 1:
        yield Cause("dead-channel", _dead(name, dead))
        return
    for kind in ("fp16", "bf16"):
        if np.array_equal(to_halves(right, kind), got):
            lost = (np.abs(right) < LEAST[kind]) & (right != 0)
            if not np.isfinite(got).all():
                yield Cause("overflow", f"{name} has {_largest([right]):.3g}, and {kind} ends at {GREATEST[kind]:g}")
            elif lost.mean() > 0.05:
                part = f"{100 * lost.mean():.0f} % of its numbers are below {LEAST[kind]:.2g}"
                yield Cause("denormal", f"{name}: {part}, where {kind} loses digits")
            return
    c = int(np.argmax(np.abs(right - got).max(axis=1)))
    part = np.abs(right[c] - got[c]).max() / max(np.abs(right).max(), 1e-30)
    yield Cause("weight", f"{name} differs, most in channel {c}: by {part:.2g} of its largest magnitude")


def _winograd(case: Case) -> Iterator[Cause]:
    """Sums of int8 that the transform cannot hold."""
    layer = case.layer
    if not is_int8(layer) or not winograd(layer) or not case.options.winograd or "winograd" in features_of(layer.mask):
        return
    if case.given and case.trial(replace(case.options, winograd=False)) <= case.tolerance < case.trial(case.options):
        yield Cause(
            "winograd-overflow",
            f"right without Winograd's transform, whose sums end at {WINOGRAD_LIMIT:.3g}: fewer steps for its weights,"
            " or 31=64",
        )


def _activations(case: Case) -> Iterator[Cause]:
    """The scale of the input of an int8 layer, beside the numbers that come."""
    layer = case.layer
    if not is_int8(layer) or "input_scale" not in layer.weights or not case.given:
        return
    scale = float(layer.weights["input_scale"][0])
    values = np.concatenate([np.ravel(arrays[0]) for arrays in case.given]).astype(np.float32)
    largest = float(np.abs(values).max())
    if not largest:
        return
    if not np.isfinite(scale) or scale <= 0:
        yield Cause("input-scale", f"the input's scale is {scale:g}")
        return
    beyond = np.abs(values) * scale > STEPS + 0.5
    reaches = f"its input reaches {largest:.3g}, and its scale ends at {STEPS / scale:.3g}"
    if largest * scale > 1.5 * STEPS and float(beyond.mean()) > 1e-3:
        kind = "input-scale" if beyond.mean() > 0.2 or largest * scale > 16 * STEPS else "clipped"
        yield Cause(kind, f"{reaches}: {100 * beyond.mean():.2g} % of the numbers are cut off")
    elif largest * scale > 1.5 * STEPS:
        yield Cause("clipped", f"{reaches}: few numbers are cut off, and these far")
    elif largest * scale < STEPS / 4:
        yield Cause("coarse", f"{reaches}: {largest * scale:.0f} of {STEPS} steps are used")
    else:
        common = float(np.quantile(np.abs(values), 0.99))
        if common * 32 < largest:
            most = f"99 % of all numbers are below {common:.3g}, which is {common * scale:.0f} steps"
            yield Cause("outlier-channel", f"{_channel(case.given)} of its input reaches {largest:.3g}; {most}")


def _channel(given: Sequence[Sequence[Any]]) -> str:
    sample = max((arrays[0] for arrays in given), key=lambda a: float(np.abs(a).max()))
    return f"channel {int(np.unravel_index(np.argmax(np.abs(sample)), sample.shape)[0])}"


def _halves(case: Case) -> Iterator[Cause]:
    kind = case.emulate
    if kind is None or not case.given:
        return
    inputs = [a for arrays in case.given for a in arrays if a.dtype == np.float32]
    layer = case.layer
    tagged = [spec.name for spec in layer.spec.weights if layer.spec.is_tagged(spec, layer.params)]
    weights = [w for name, w in layer.weights.items() if name in tagged and w.dtype == np.float32]
    for said, arrays in (("its input", inputs), ("its result", case.expected), ("a weight", weights)):
        if _largest(arrays) > GREATEST[kind]:
            what = f"{said} reaches {_largest(arrays):.4g}, and {kind} ends at {GREATEST[kind]:g}"
            yield Cause("overflow", what)
            return
    for said, arrays in (("its input", inputs), ("its weights", weights), ("its result", case.expected)):
        top = _largest(arrays)
        if 0 < top < LEAST[kind] * 2 ** BITS[kind] and any(
            not np.allclose(a, to_halves(a, kind), rtol=2.0 ** -(BITS[kind] - 1), atol=0) for a in arrays
        ):
            yield Cause(
                "denormal", f"{said}: the largest is {top:.3g}, and below {LEAST[kind]:.2g} {kind} loses digits"
            )
            return
    magnitude, result = _largest(inputs), _largest(case.expected)
    if result and magnitude > 4 * result and magnitude * 2.0 ** -BITS[kind] > case.tolerance * result / 4:
        lost = np.log2(magnitude / result)
        bits = f"{lost:.0f} of the {BITS[kind]} bits of {kind} cancel"
        yield Cause("cancellation", f"inputs of magnitude {magnitude:.3g} become a result of {result:.3g}: {bits}")


def _option(case: Case) -> Iterator[Cause]:
    """The switches that are left off when they are turned on one after the other."""
    if case.emulate or not case.given:
        return
    current, guilty = PLAIN, []
    if case.trial(PLAIN) > case.tolerance:
        return
    for switch in case.options.on:
        trial = replace(current, **{switch: getattr(case.options, switch)})
        if case.trial(trial) <= case.tolerance:
            current = trial
        else:
            guilty.append(switch)
    if guilty:
        yield Cause("option", f"right without {', '.join(guilty)}, wrong with it")
