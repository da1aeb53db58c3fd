"""Layers with int8 weights, in the forms that ncnn runs. Source: load_model() and forward_int8() of each layer.

Activations of convolutions and inner products have one scale for the whole blob, found by calibration; Gemm,
MultiHeadAttention and the recurrent layers find theirs in each run (a scale a row, a step or a matrix); Embed has none.
Weights have a scale for each output channel (or group); Gemm's B, MultiHeadAttention's last matrix and Embed one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..emit.foreign import QUANTISED, quantised
from ..emit.layers import Layer

CALIBRATED = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
"""Types whose activations need a scale in the file."""
DYNAMIC = ("Gemm", "MultiHeadAttention", "RNN", "GRU", "LSTM")
"""Types that find the scales of their activations as they run."""
STEPS = 127
WINOGRAD_LIMIT = 2**31 / 24**2
"""Sums that ncnn's Winograd F(4,3) of int8 can hold: it computes 24 * 24 times the sum in 32 bits (the parts of it may
wrap around and come back). ncnn's own table therefore gives 3x3 convolutions 6 bits, 31 steps, whatever their sums are.
"""


def can_be_int8(layer: Layer) -> str | None:
    """None, or why ncnn has no int8 form of the layer."""
    kind = layer.spec.type
    if kind not in QUANTISED:
        return f"ncnn has no int8 form of {layer.spec.in_files}"
    if layer.stored and "int8" in layer.stored.values():
        return "it is int8 already"
    p = layer.params
    if p.get("dynamic_weight"):
        return "its weight is computed by the net"
    if kind in ("Convolution", "ConvolutionDepthWise") and p["pad_value"] != 0:
        return "it pads with a number that is not zero, which ncnn would take for an int8"
    if kind == "Gemm" and not (p["constant_a"] or p["constant_b"]):
        return "it has no weights"
    if any(not np.isfinite(w).all() for w in layer.weights.values()):
        return "its weights are not finite"
    return None


def is_int8(layer: Layer) -> bool:
    return layer.spec.in_files in QUANTISED and layer.spec.type != layer.spec.in_files


def winograd(layer: Layer) -> bool:
    """Whether ncnn takes its Winograd transform for the convolution."""
    p = layer.params
    return layer.spec.in_files == "Convolution" and (
        [p[k] for k in ("kernel_w", "kernel_h", "dilation_w", "dilation_h", "stride_w", "stride_h")]
        == [3, 3, 1, 1, 1, 1]
        and (p["num_output"] > 8 or p["weight_data_size"] // p["num_output"] // 9 > 8)
    )


def rounded(values: Any, scale: Any) -> Any:
    """To int8 as ncnn does it: halves away from zero, -127 to 127."""
    scaled = np.asarray(values, np.float32) * np.asarray(scale, np.float32)
    return np.clip(np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled), -STEPS, STEPS).astype(np.int8)


def rows_of(layer: Layer, name: str) -> Any:
    """A weight as [scales, numbers of each]."""
    kind, p, weight = layer.spec.in_files, layer.params, layer.weights[name]
    flat = np.asarray(weight).reshape(-1)
    if kind == "ConvolutionDepthWise":
        return flat.reshape(p["group"], -1)
    if kind in ("Convolution", "InnerProduct"):
        return flat.reshape(p["num_output"], -1)
    if kind == "Gemm" and name == "A":
        matrix = flat.reshape(p["constant_k"], p["constant_m"]).T if p["trans_a"] else flat
        return matrix.reshape(p["constant_m"], -1)
    if kind == "MultiHeadAttention" and name != "out_weight":
        return flat.reshape(p["embed_dim"], -1)
    if kind in ("RNN", "GRU", "LSTM"):
        gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[kind]
        return flat.reshape(gates * p.get("hidden_size", p["num_output"]) * (2 if p["direction"] == 2 else 1), -1)
    return flat.reshape(1, -1)


SCALES_OF = {
    "Convolution": {"weight": "weight_scales"},
    "ConvolutionDepthWise": {"weight": "weight_scales"},
    "InnerProduct": {"weight": "weight_scales"},
    "Embed": {"weight": "weight_scale"},
    "Gemm": {"A": "A_scales", "B": "B_scale"},
    "MultiHeadAttention": {
        "q_weight": "q_scales",
        "k_weight": "k_scales",
        "v_weight": "v_scales",
        "out_weight": "out_scale",
    },
    **{kind: {"weight_xc": "weight_xc_scales", "weight_hc": "weight_hc_scales"} for kind in ("RNN", "GRU", "LSTM")},
}
"""Type -> weight that becomes int8 -> its scales."""


def winograd_steps(rows: Any, reach: float | None = None) -> Any:
    """For each row how many steps its weights may have so that no sum passes WINOGRAD_LIMIT.

    reach: of the int8 inputs of one result, the largest Euclidean length, where it is known; else all may be 127.
    """
    relative = np.abs(rows) / np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-30)
    worst = STEPS * STEPS * relative.sum(axis=1, dtype=np.float64)
    if reach is not None:
        worst = np.minimum(worst, STEPS * np.sqrt((relative.astype(np.float64) ** 2).sum(axis=1)) * reach)
    return np.clip(np.floor(STEPS * WINOGRAD_LIMIT / np.maximum(worst, 1)), 1, STEPS)


def weight_scales(rows: Any, steps: Any = STEPS) -> Any:
    """steps / the largest magnitude of each row; 1 for a row of zeros, which needs none."""
    largest = np.abs(rows).max(axis=1)
    return np.where(largest > 0, steps / np.where(largest > 0, largest, 1), 1).astype(np.float32)


def as_int8(
    layer: Layer,
    input_scale: float | None = None,
    output_scale: float | None = None,
    scales: dict[str, Any] | None = None,
    reach: float | None = None,
) -> Layer:
    """The int8 form of a layer that can_be_int8().

    input_scale: steps of int8 in a unit of the input, of those in CALIBRATED. output_scale: hands its result on as
    int8, to layers that take it (convolutions). scales: weight -> its scales, else by the largest magnitudes
    (and what Winograd's transform bears, see winograd_steps() for reach).
    """
    kind = layer.spec.type
    spec = quantised(layer.spec)
    row = QUANTISED[kind]
    weights, stored = dict(layer.weights), dict(layer.stored)
    for name, called in SCALES_OF[kind].items():
        if name not in layer.weights:
            continue
        rows = rows_of(layer, name)
        steps = winograd_steps(rows, reach) if winograd(layer) and not layer.mask >> 6 & 1 else STEPS
        own = np.asarray((scales or {}).get(name, weight_scales(rows, steps)), np.float32)
        whole = rounded(rows, own[:, None])
        if kind == "Gemm" and name == "A" and layer.params["trans_a"]:
            whole = whole.T
        weights[name] = np.ascontiguousarray(whole).reshape(np.shape(layer.weights[name]))
        stored[name] = "int8"
        weights[called] = own
    term = 1
    if kind in CALIBRATED:
        weights["input_scale"] = np.array([input_scale], np.float32)
        term = 1 if kind == "ConvolutionDepthWise" else 2
    elif kind in ("Gemm", "MultiHeadAttention"):
        term = 2
    if output_scale is not None:
        weights["output_scale"] = np.array([output_scale], np.float32)
        term += 100
    order = [w.name for w in spec.weights]
    assert row.id
    return replace(
        layer,
        spec=spec,
        params={**layer.params, spec.term: term},
        weights={k: weights[k] for k in order if k in weights},
        stored={k: stored[k] for k in order if k in stored},
        line=None,
    )


def as_blocks(layer: Layer, bits: int, block: int = 64) -> Layer:
    """The weights of a Gemm or MultiHeadAttention in blocks of few bits along each row, each with a scale.

    bits: 4, 6 or 8; block: 32, 64 or 128. ncnn widens 4 and 6 bits; with 8 it rounds the input too, block by block.
    """
    spec = quantised(layer.spec)
    params = {**layer.params, spec.term: 100 * bits + {32: 0, 64: 1, 128: 2}[block]}
    weights = dict(layer.weights)
    for name, (rows, width) in spec.packed(params).items():
        matrix = np.asarray(layer.weights[name], np.float32).reshape(rows, width)
        padded = np.pad(matrix, ((0, 0), (0, -width % block))).reshape(rows, -1, block)
        scales = weight_scales(padded.reshape(-1, block), 2 ** (bits - 1) - 1).reshape(rows, -1)
        whole = rounded(padded, scales[:, :, None]).reshape(rows, -1)[:, :width]
        weights[name] = packed_bits(whole, bits).reshape(-1)
        weights[f"{name}_block_scales"] = scales.reshape(-1)
    order = [w.name for w in spec.weights]
    return replace(layer, spec=spec, params=params, weights={k: weights[k] for k in order if k in weights}, line=None)


def packed_bits(whole: Any, bits: int) -> Any:
    """Rows of whole numbers as bytes, each row from a byte of its own on, the lowest bits first."""
    number = (whole.astype(np.int64) & ((1 << bits) - 1))[:, :, None] >> np.arange(bits) & 1
    return np.packbits(number.reshape(len(whole), -1).astype(np.uint8), axis=1, bitorder="little")


def can_be_blocks(layer: Layer) -> str | None:
    """None, or why ncnn has no such form of the layer."""
    p = layer.params
    if layer.spec.type not in ("Gemm", "MultiHeadAttention"):
        return f"ncnn has no weights in blocks of {layer.spec.in_files}"
    if layer.stored:
        return "its weights are stored in another form"
    if layer.spec.type == "Gemm" and (p["constant_a"], p["constant_b"], p["trans_a"], p["trans_b"]) != (0, 1, 0, 1):
        return "only B may be a weight, and transposed"
    if layer.spec.type == "Gemm" and p["output_transpose"]:
        return "its result is transposed"
    return None


def float_weight(layer: Layer, name: str) -> Any:
    """A weight as rows of numbers that it stands for, whatever form it has."""
    rows = rows_of(layer, name)
    if rows.dtype != np.int8:
        return rows.astype(np.float32)
    kind = layer.spec.in_files
    own = np.asarray(layer.weights[SCALES_OF[kind][name]], np.float32).reshape(-1, 1)
    return np.where(own == 0, 0, rows / np.where(own == 0, 1, own)).astype(np.float32)
