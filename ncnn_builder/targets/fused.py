"""The `fused` target: our fused layers where there are any, `reference` elsewhere. The fastest on CPUs.

Picture filters run as polyphase filters, without the zeros of the definition and without temporaries of the size of
the upsampled picture. Modulated convolutions scale the activations instead of the weights, which then are transformed
once: conv(w * s, x) * d = d * conv(w, s * x). Bias and activation join them in passes/fuse_modulated.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ..ir import Array, Graph, Node, Value
from ..ops.generators.filters import FilteredLrelu, Upfirdn2d
from ..ops.generators.fir import paddings
from ..ops.generators.modulated import ModulatedConv2d
from . import reference


def separated(f: Array | None) -> Array | None:
    """A filter [n, n] as the [n] whose outer product it is, where there is one: 2 n products instead of n^2."""
    if f is None or f.ndim == 1 or f.shape[0] != f.shape[1] or f.sum() <= 0:
        return f
    line: Array = (f.sum(axis=1, dtype=np.float64) / np.sqrt(f.sum(dtype=np.float64))).astype(np.float32)
    return line if np.allclose(np.outer(line, line), f, rtol=0, atol=1e-7 * np.abs(f).max()) else f


def _upfirdn2d(
    g: Graph,
    x: Value,
    f: Array | None,
    up: tuple[int, int],
    down: tuple[int, int],
    padding: tuple[int, int, int, int],
    gain: float,
    flip: bool,
) -> Value:
    if f is None and not any(padding) and up == down == (1, 1) and gain == 1:
        return x
    return Upfirdn2d(g, x, separated(f), up, down, padding, flip, gain)[0]


def filtered_lrelu(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    p, fu, fd = node.params, node.weights.get("fu"), node.weights.get("fd")
    padding = paddings(p)
    if fu is None and fd is None and p["up"] == p["down"] == 1 and not any(padding):
        return reference.filtered_lrelu(g, node, inputs)  # bias and activation alone, or nothing
    b, flip = node.weights.get("b"), bool(p["flip_filter"])
    fu, fd = separated(fu), separated(fd)
    return FilteredLrelu(g, inputs, fu, fd, b, p["up"], p["down"], padding, p["gain"], p["slope"], p["clamp"], flip)


def modulated_conv2d(g: Graph, node: Node, inputs: list[Value]) -> Sequence[Value]:
    """One layer; `reference` where it does not fit: up above 2, another kernel than 3x3 upsampled, an odd filter."""
    p, weight, f = node.params, node.weights["weight"], node.weights.get("resample_filter")
    up, line = p["up"], separated(f)
    if up > 2 or (up == 2 and (weight.shape[2:] != (3, 3) or (line is not None and line.ndim == 2))):
        return reference.modulated_conv2d(g, node, inputs, fir=_upfirdn2d)
    if bool(p["flip_weight"]) == (up == 2):  # a transposed convolution flips by itself
        weight = weight[:, :, ::-1, ::-1]
    if up == 1:
        line = None
    elif line is None:
        line = np.ones(1, np.float32)
    noise = node.weights.get("noise")
    return ModulatedConv2d(
        g,
        inputs,
        np.ascontiguousarray(weight),
        line,
        up=up,
        padding=p["padding"],
        demodulate=bool(p["demodulate"]),
        gain=p["gain"],
        noise=None if noise is None else noise.reshape(noise.shape[-2:]),
    )


LOWERINGS: dict[str, Callable[[Graph, Node, list[Value]], Sequence[Value]]] = {
    **reference.LOWERINGS,
    "filtered_lrelu": filtered_lrelu,
    "modulated_conv2d": modulated_conv2d,
    "upfirdn2d": partial(reference.upfirdn2d, fir=_upfirdn2d),
}
