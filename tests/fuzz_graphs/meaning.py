"""What the outputs of a graph are, and how far from that a faithful net may be.

The meaning is the references of the ops in double precision. Beside it the same is computed with an error behind each
op as large as its declaration allows: how far that moves a result is what the tolerances of all ops come to, in this
graph, with these numbers. A result that it moves by more than MOST of its magnitude says nothing about the compiler,
and is not compared: cancellation, a division by almost nothing, a number beside the edge of a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import ncnn_builder as nb
from ncnn_builder.ops.activations.fused_activation import fused_activation_reference
from ncnn_builder.ops.arithmetic.binary import BINARY
from ncnn_builder.ops.arithmetic.unary import UNARY

MOST = 1e-2
MARGIN = 4.0
"""The largest of few errors drawn at random is not the largest of all: so much more is allowed."""
ROUNDING = 2.0**-23
"""A layer that adds up is off in proportion to its addends, not to their sum: so is what comes into it moved."""
SATURATED = 15.0
"""Beyond, different numbers have one sigmoid in float32. Boxes of one score come in any order."""
HUGE, TINY = 1e15, 1e-15
"""Beyond these a float32 product of two may leave its range."""

EXACT = frozenset(
    (
        *("AbsVal", "Abs", "Clamp", "Clip", "Concat", "CopyTo", "Crop", "DeepCopy", "Diag", "Down2", "ExpandDims"),
        *("Flatten", "Flip", "Input", "MemoryData", "Noop", "Padding", "Permute", "PixelShuffle", "Reorg", "Reshape"),
        *("Shell", "ShuffleChannel", "Slice", "Split", "Squeeze", "Threshold", "Tile", "Up2", "Up4", "Packing"),
    )
)
"""Ops that move numbers, and compute none."""

_UNARY_JUMPS = frozenset(UNARY.index(op) for op in ("floor", "ceil", "round", "trunc", "sign"))
_BINARY_JUMPS = frozenset(i for i, op in enumerate(BINARY) if op.endswith(("FMod", "FloorDivide", "Remainder")))
JUMPS = frozenset(
    ("GridSample", "PSROIPooling", "Quantize", "Requantize", "ROIAlign", "ROIPooling", "Shrink", "Threshold")
)


FUNCTIONS = frozenset(
    (
        *("BNLL", "BiasAct", "CELU", "ELU", "Erf", "Exp", "GELU", "GLU", "Log", "Mish", "Power", "SELU", "Sigmoid"),
        *("Sin", "Softplus", "Swish", "TanH", "UnaryOp", "bias_act", "fully_connected", "GRU", "LSTM", "RNN"),
    )
)
"""Ops that ncnn computes by approximations, which are off at 0 as well: tanh(0) is 6e-8."""
ABSOLUTE = 2e-7
GATES = frozenset(("GELU", "Mish", "Swish"))
"""Products of a number and a function of it, which is off as those above are, and by so much of the number."""
WAVES = frozenset(("Spectrogram", "InverseSpectrogram"))
"""Products with sines of a table in float32, where that of pi is no 0: what cancels leaves a rounding."""
SUBNORMAL = 2.0**-14
"""Numbers in float16 that ncnn keeps, or makes 0, by where they lie in a row."""
MISH = 5
"""As an activation inside a layer (ncnn's fused_activation.h)."""


def jumps(node: nb.Node) -> bool:
    """Whether a small error of an input may be a large one of the result: steps, ranks, places."""
    op = node.params.get("op")
    return (
        node.spec.open_length
        or node.spec.type in JUMPS
        or (node.spec.type == "UnaryOp" and op in _UNARY_JUMPS)
        or (node.spec.type == "BinaryOp" and op in _BINARY_JUMPS)
    )


@dataclass(frozen=True)
class Expected:
    """A result, and the error that is allowed; None where it cannot be compared."""

    numbers: np.ndarray
    allowed: float | None


class Errors:
    """Numbers from -1 to 1: those of a draw, or the opposite ones, so that what jumps does so in one of the two.

    in_common: one number for all that an op computes. Equal numbers are off by equal errors, which no sum averages out.
    """

    def __init__(self, seed: int, draw: int, sign: int, in_common: bool = False) -> None:
        self.sign = sign
        self.in_common = in_common
        self.generator = torch.Generator().manual_seed(2 * seed + draw)

    def drawn(self, *shape: int) -> torch.Tensor:
        drawn = torch.rand(() if self.in_common else shape, generator=self.generator, dtype=torch.float64)
        return (self.sign * (drawn * 2 - 1)).expand(shape)


DRAWN = ((0, 1), (0, -1), (1, 1))
"""Draw and sign of the errors that are tried. The second draw is for results of so few numbers that one says little."""
FIRST = DRAWN[:1]
"""What is enough for a result that is right: no further draw allows less, or makes one that says nothing say more."""
MORE = tuple((draw, sign, in_common) for in_common in (False, True) for draw in range(2, 10) for sign in (1, -1))
"""Those that are tried before a result is called wrong: of a sum of large numbers that a clip lets through in few
places, three draws may all be small."""


def evaluate(graph: nb.Graph, inputs: Mapping[str, Any], rng: Errors | None = None) -> dict[nb.Value, torch.Tensor]:
    """Every value, in double; with a generator, each with an error as its op's tolerance allows.

    Raises what torch raises where the sizes of open inputs do not fit.
    """
    values = {v: torch.from_numpy(np.asarray(inputs[v.name])).double() for v in graph.inputs}
    with torch.no_grad():
        for node in graph.nodes:
            weights = {k: torch.tensor(w, dtype=torch.float64) for k, w in node.weights.items()}
            given = [values[v] for v in node.inputs]
            moved = rng is not None and node.spec.type not in EXACT
            if rng is not None and jumps(node):
                given = [_disturbed(x, 1e-6, rng) for x in given]
            elif rng is not None and moved and not node.spec.integer_input:
                given = [_disturbed(x, ROUNDING, rng) for x in given]
            results = _results(node, given, weights, rng if moved else None)
            moves = node.spec.type in EXACT and not jumps(node)
            # NaN is on no side of a step, at no place, and times a 0 of a filter what the filter's loops make of it.
            if not moves and any(x.isnan().any() for x in given):
                results = [torch.full_like(r, torch.nan) for r in results]
            if rng is not None and node.spec.open_length and any(_no_order(v, values[v]) for v in node.inputs):
                results = [torch.full_like(r, torch.nan) for r in results]
            if rng is not None:  # NaN from here on: it says nothing, whatever becomes of it
                results = [r.masked_fill(r.abs() > HUGE, torch.nan) for r in results]
            if rng is not None and moved and node.spec.type in FUNCTIONS:
                gate = given[0].abs() if node.spec.type in GATES else 0
                results = [r + ABSOLUTE * (1 + gate) * rng.drawn(*r.shape) for r in results]
            if rng is not None and node.spec.type in WAVES:
                results = [r + ROUNDING * r.abs().max() * rng.drawn(*r.shape) for r in results]
            if rng is not None and node.spec.type == "Cast":
                results = [r + SUBNORMAL * rng.drawn(*r.shape) * (r.abs() < SUBNORMAL) for r in results]
            values.update(zip(node.outputs, results, strict=True))
    return values


def _results(
    node: nb.Node, given: list[torch.Tensor], weights: Mapping[str, torch.Tensor], rng: Errors | None
) -> list[torch.Tensor]:
    """What the node makes of it; with a generator, with an error, which lies before an activation inside of it."""
    if rng is None:
        return node.spec.reference(given, node.params, weights)
    inside = node.params.get("activation_type") and not jumps(node)
    plain = {**node.params, "activation_type": 0} if inside else node.params
    made = node.spec.reference(given, plain, weights)
    made = [_disturbed(r, node.spec.tolerance.fp32, rng) for r in made]
    if node.spec.type in PARTS:
        made = [made[0] + _of_the_mean(node, given[0], rng)]
    if not inside:
        return made
    gate = ABSOLUTE if node.params["activation_type"] == MISH else 0.0
    return [fused_activation_reference(r, node.params) + gate * r.abs() * rng.drawn(*r.shape) for r in made]


PARTS: dict[str, Callable[[nb.Node, torch.Tensor], torch.Tensor]] = {
    "GroupNorm": lambda node, x: x.reshape(node.params["group"], -1),
    "InstanceNorm": lambda node, x: x.flatten(1),
    "LayerNorm": lambda node, x: x.reshape(-1, node.params["affine_size"]),
    "MVN": lambda node, x: x.reshape(1 if node.params["across_channels"] else len(x), -1),
}
"""Layers that take away a mean: rows of the numbers that have one mean."""


def _of_the_mean(node: nb.Node, x: torch.Tensor, rng: Errors) -> torch.Tensor:
    """The mean of a part is off by a rounding of its numbers, and all of the part with it: nothing averages it out."""
    rows = PARTS[node.spec.type](node, x)
    off = ROUNDING * rows.abs().amax(1) * rng.drawn(len(rows))
    variance, eps = rows.var(1, unbiased=False), node.params["eps"]
    if rng.in_common:  # equal numbers one after another are rounded to the same side: with MARGIN n - 1 such roundings
        off = torch.where(variance < (1e-3 * rows.mean(1)) ** 2, off * max(1.0, rows.shape[1] / (2 * MARGIN)), off)
    if node.spec.type != "MVN":
        off = off / (variance + eps).clamp(min=1e-12).sqrt()
    elif node.params["normalize_variance"]:
        off = off / (variance.sqrt() + eps).clamp(min=1e-6)
    off = off * float(np.abs(node.weights["gamma"]).max() if "gamma" in node.weights else 1.0)
    return off[:, None].expand(rows.shape).reshape(x.shape)


def _no_order(value: nb.Value, x: torch.Tensor) -> bool:
    """Whether scores made of these inputs of the net may be equal."""
    return value.producer is None and bool(x.abs().max() > SATURATED or x.unique().numel() < x.numel())


def _disturbed(x: torch.Tensor, tolerance: float, rng: Errors) -> torch.Tensor:
    """Errors in proportion to each number, and to the largest; what is exactly 0 stays."""
    if not x.numel():
        return x
    noise = rng.drawn(2, *x.shape)
    return x + tolerance * (x * noise[0] + 0.3 * x.abs().max() * noise[1] * (x != 0))


def meaning(
    graph: nb.Graph, inputs: Mapping[str, Any], seed: int, draws: Sequence[tuple[int, ...]] = DRAWN
) -> dict[str, Expected]:
    """Output or ``tap PATH`` -> what it is."""
    exact = evaluate(graph, inputs)
    disturbed = [evaluate(graph, inputs, Errors(seed, *which)) for which in draws]
    found = {}
    for name, value in {**graph.outputs, **{f"tap {path}": v for path, v in graph.taps.items()}}.items():
        found[name] = _expected(exact[value], [d[value] for d in disturbed])
    return found


def _expected(exact: torch.Tensor, disturbed: list[torch.Tensor]) -> Expected:
    numbers = exact.numpy()
    if not numbers.size or not np.isfinite(numbers).all() or any(d.shape != exact.shape for d in disturbed):
        return Expected(numbers, None)
    scale = float(np.abs(numbers).max())
    moved = max(float((d - exact).abs().max()) for d in disturbed)
    allowed = MARGIN * moved + 1e-6 * scale
    if scale < 1e-5 and allowed < ABSOLUTE:  # nothing but zeros
        return Expected(numbers, MARGIN * ABSOLUTE)
    comparable = allowed <= MOST * scale and TINY < scale < HUGE
    return Expected(numbers, allowed if comparable else None)
