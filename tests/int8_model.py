"""What ncnn's int8 layers compute, in whole numbers of numpy: the oracle of the int8 forms. One sample, outer first."""

from __future__ import annotations

from typing import Any

import numpy as np

from ncnn_builder.emit.foreign import BlockForm, block_form
from ncnn_builder.emit.layers import Layer
from ncnn_builder.precision.int8 import SCALES_OF, rounded, rows_of


def predicted(layer: Layer, given: list[Any]) -> Any:
    """The result of an int8 layer, before its activation, which the samples do not have."""
    kind = layer.spec.in_files
    form = block_form(layer.params[layer.spec.term])  # type: ignore[attr-defined]
    if form is not None and kind == "Gemm":
        return _blocks(layer, "B", given[0], form) + layer.weights["C"].reshape(1, -1)
    if form is not None:
        return _attention_of_blocks(layer, given[0], form)
    return {
        "Convolution": _convolution,
        "ConvolutionDepthWise": _convolution,
        "InnerProduct": _inner_product,
        "Gemm": _gemm,
        "Embed": _embed,
        "RNN": _recurrent,
        "GRU": _recurrent,
        "LSTM": _recurrent,
        "MultiHeadAttention": _attention,
    }[kind](layer, *given)


def whole(layer: Layer, name: str) -> tuple[Any, Any]:
    """The rows of an int8 weight, and their scales."""
    rows = rows_of(layer, name)
    assert rows.dtype == np.int8
    return rows.astype(np.int64), layer.weights[SCALES_OF[layer.spec.in_files][name]].astype(np.float64)


def _convolution(layer: Layer, x: Any) -> Any:
    p = layer.params
    scale = float(layer.weights["input_scale"][0])
    q = np.pad(
        rounded(x, scale).astype(np.int64), ((0, 0), (p["pad_top"], p["pad_bottom"]), (p["pad_left"], p["pad_right"]))
    )
    rows, scales = whole(layer, "weight")
    group, out = p.get("group", 1), p["num_output"]
    weight = rows.reshape(out, -1, p["kernel_h"], p["kernel_w"])
    h, w = (n - p[f"kernel_{k}"] for n, k in ((q.shape[1], "h"), (q.shape[2], "w")))
    h, w = h // p["stride_h"] + 1, w // p["stride_w"] + 1
    sums = np.zeros((out, h, w), np.int64)
    each, made = q.shape[0] // group, out // group
    for o in range(out):
        part = q[o // made * each : (o // made + 1) * each]
        for i in range(p["kernel_h"]):
            for j in range(p["kernel_w"]):
                window = part[:, i :: p["stride_h"], j :: p["stride_w"]][:, :h, :w]
                sums[o] += np.tensordot(weight[o, :, i, j], window, 1)
    per_channel = np.repeat(scales, out // len(scales))[:, None, None]
    return sums / (scale * per_channel) + layer.weights["bias"].reshape(-1, 1, 1)


def _inner_product(layer: Layer, x: Any) -> Any:
    scale = float(layer.weights["input_scale"][0])
    rows, scales = whole(layer, "weight")
    return rounded(x, scale).astype(np.int64).reshape(-1) @ rows.T / (scale * scales) + layer.weights["bias"].reshape(
        -1
    )


def _embed(layer: Layer, x: Any) -> Any:
    rows, scales = whole(layer, "weight")
    return rows.reshape(-1, layer.params["num_output"])[x] / scales[0]


def dynamic(x: Any, axis: int | None) -> tuple[Any, Any]:
    """Rounded with a scale of its own for each row, or one for all; as float64, and the scales."""
    largest = np.abs(x).max(axis=axis, keepdims=axis is not None)
    scale = np.where(largest == 0, 1, np.float32(127) / np.where(largest == 0, 1, largest)).astype(np.float32)
    return rounded(x, scale).astype(np.int64), scale.astype(np.float64)


def _gemm(layer: Layer, a: Any) -> Any:
    """a [M, K] times the transposed B [N, K], and C."""
    assert layer.params["trans_b"] and not layer.params["trans_a"]
    rows, scales = whole(layer, "B")
    q, own = dynamic(a, 1)
    product = q @ rows.reshape(layer.params["constant_n"], -1).T / (own * scales[0])
    return product + layer.weights["C"].reshape(1, -1)


def _recurrent(layer: Layer, x: Any) -> Any:
    xc, xs = whole(layer, "weight_xc")
    hc, hs = whole(layer, "weight_hc")
    hidden = layer.params["num_output"]
    bias = layer.weights["bias_c"].reshape(-1, hidden).astype(np.float64)
    h = c = np.zeros(hidden)
    result = []
    for row in x:
        qx, sx = dynamic(row, None)
        qh, sh = dynamic(h.astype(np.float32), None)
        own = (xc @ qx / (sx * xs)).reshape(-1, hidden)
        past = (hc @ qh / (sh * hs)).reshape(-1, hidden)
        if layer.spec.in_files == "RNN":
            h = np.tanh(bias[0] + own[0] + past[0])
        elif layer.spec.in_files == "GRU":
            r, u = (_sigmoid(bias[i] + own[i] + past[i]) for i in (0, 1))
            n = np.tanh(bias[2] + own[2] + r * (bias[3] + past[2]))
            h = (1 - u) * n + u * h
        else:
            i, f, o, g = bias + own + past
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
        result.append(h)
    return np.array(result)


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _attention(layer: Layer, x: Any) -> Any:
    def projected(name: str) -> Any:
        rows, scales = whole(layer, f"{name}_weight")
        q, own = dynamic(x, None)
        return q @ rows.T / (own * scales) + layer.weights[f"{name}_bias"].reshape(-1)

    heads = layer.params["num_heads"]
    q, k, v = (projected(n).astype(np.float32).reshape(len(x), heads, -1) for n in "qkv")
    q = q * np.float32(layer.params["scale"])
    parts = []
    for i in range(heads):
        (a, sa), (b, sb) = dynamic(q[:, i], 1), dynamic(k[:, i], None)
        scores = a @ b.T / (sa * sb)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        (a, sa), (b, sb) = dynamic(weights, 1), dynamic(v[:, i], None)
        parts.append(a @ b / (sa * sb))
    joined = np.concatenate(parts, axis=1).astype(np.float32)
    rows, scales = whole(layer, "out_weight")
    a, sa = dynamic(joined, 1)
    return a @ rows.reshape(joined.shape[1], -1).T / (sa * scales[0]) + layer.weights["out_bias"].reshape(-1)


def unpacked(layer: Layer, name: str, form: BlockForm) -> tuple[Any, Any]:
    """Rows of whole numbers out of their bytes, and the scale of each number."""
    rows, width = layer.spec.packed(layer.params)[name]  # type: ignore[attr-defined]
    bits = np.unpackbits(layer.weights[name].reshape(rows, -1), axis=1, bitorder="little")
    numbers = bits[:, : width * form.bits].reshape(rows, width, form.bits).astype(np.int64) @ (
        1 << np.arange(form.bits)
    )
    numbers -= (numbers >> form.bits - 1) << form.bits  # the highest bit is the sign
    scales = np.repeat(layer.weights[f"{name}_block_scales"].reshape(rows, -1), form.block, axis=1)
    return numbers, scales[:, :width].astype(np.float64)


def _blocks(layer: Layer, name: str, a: Any, form: BlockForm) -> Any:
    """a [M, K] times the transposed weight [N, K]; with 8 bits a is rounded too, block by block."""
    numbers, scales = unpacked(layer, name, form)
    a = a.astype(np.float32)
    if form.bits == 8:
        parts = []
        for at in range(0, a.shape[1], form.block):
            q, own = dynamic(a[:, at : at + form.block], 1)
            parts.append(q / own)
        a = np.concatenate(parts, axis=1)
    return a @ (numbers / scales).T


def _attention_of_blocks(layer: Layer, x: Any, form: BlockForm) -> Any:
    heads = layer.params["num_heads"]
    q, k, v = (
        (_blocks(layer, f"{n}_weight", x, form) + layer.weights[f"{n}_bias"].reshape(-1)).reshape(len(x), heads, -1)
        for n in "qkv"
    )
    parts = []
    for i in range(heads):
        scores = q[:, i] @ k[:, i].T * layer.params["scale"]
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        parts.append(weights / weights.sum(axis=1, keepdims=True) @ v[:, i])
    joined = np.concatenate(parts, axis=1)
    return _blocks(layer, "out_weight", joined, form) + layer.weights["out_bias"].reshape(-1)
