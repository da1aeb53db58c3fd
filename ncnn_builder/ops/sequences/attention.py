"""Attention: with projections (MultiHeadAttention), without (SDPA), and rotary positions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array, inputs_of, number
from ...ir import Array, Graph, Params, Shape, Values
from ...opspec import Derived, OpSpec, Param, Sample, Tolerance, Weight, dsl, register, same_as, spec_of
from ..common import functional, need, need_eval, need_rank, need_shape, shape_id
from ..norms.norm import need_module, randomise

_KV_CACHE = "kv_cache: keys and values from one run to the next, which our runtime does not keep"
_INT8 = "quantised weights are made by ncnn's own tools"


def _default_scale(params: Params) -> float:
    return 1 / math.sqrt(params["embed_dim"] // params["num_heads"])


@register
class MultiHeadAttention(OpSpec):
    """softmax(scale * q k^T + mask) v per head, q, k, v and the result projected. ncnn: multiheadattention.cpp.

    query [T, qdim], key [S, kdim], value [S, vdim] -> [T, qdim]; one input is all three. mask [T, S] or [heads, T, S]
    is added. Weights: q [embed_dim, qdim], k [embed_dim, kdim], v [embed_dim, vdim], out [qdim, embed_dim], each with a
    bias. Source: Vaswani et al. 2017, "Attention Is All You Need".
    """

    type = "MultiHeadAttention"
    inputs = ("query", "key?", "value?", "mask?")
    params = (
        Param("embed_dim", 0, "int", "size of all heads together"),
        Param("num_heads", 1, "int", "heads", 1),
        Param("weight_data_size", 2, "int", "embed_dim * qdim"),
        Param("kdim", 3, "int", "size of a key", same_as("embed_dim")),
        Param("vdim", 4, "int", "size of a value", same_as("embed_dim")),
        Param("attn_mask", 5, "int", "1: the last input is a mask"),
        Param("scale", 6, "float", "factor of q k^T", Derived("1 / sqrt(embed_dim / num_heads)", _default_scale)),
    )
    weights = tuple(
        Weight(f"{name}_{kind}", kind == "weight", doc)
        for name, doc in (
            ("q", "[embed_dim, qdim], [embed_dim]"),
            ("k", "[embed_dim, kdim], [embed_dim]"),
            ("v", "[embed_dim, vdim], [embed_dim]"),
            ("out", "[qdim, embed_dim], [qdim]"),
        )
        for kind in ("weight", "bias")
    )
    left_out = {7: _KV_CACHE, 18: f"quantize_term: {_INT8}"}
    checked_in_cpp = True
    tolerance = Tolerance(2e-5)

    def _shapes(self, p: Any) -> dict[str, Shape]:
        embed, qdim = p["embed_dim"], p["weight_data_size"] // p["embed_dim"]
        sizes = {"q": (embed, qdim), "k": (embed, p["kdim"]), "v": (embed, p["vdim"]), "out": (qdim, embed)}
        shapes: dict[str, Shape] = {}
        for name, shape in sizes.items():
            shapes |= {f"{name}_weight": shape, f"{name}_bias": shape[:1]}
        return shapes

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {name: int(np.prod(shape)) for name, shape in self._shapes(params).items()}

    def _operands(self, inputs: Sequence[Any], params: Any) -> tuple[Any, Any, Any, Any]:
        """query, key, value and mask or None."""
        rest, mask = (list(inputs[:-1]), inputs[-1]) if params["attn_mask"] else (list(inputs), None)
        need(len(rest) in (1, 3), "wrong number of inputs", expected="[q] or [q, k, v], and a mask", got=len(inputs))
        q, k, v = rest * 3 if len(rest) == 1 else rest
        return q, k, v, mask

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Keys that are the values too, without a mask."""
        if len(inputs) != 2 or params["attn_mask"] or any(extra.values()):
            return None
        for shape, size, name in ((inputs[0], params["embed_dim"], "query"), (inputs[1], params["kdim"], "key")):
            need_rank(shape, (2,), name)
            need(shape[1] == size and params["kdim"] == params["vdim"], "wrong size", argument=name, got=list(shape))
        return [inputs[0]]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        q, k, v, mask = self._operands(inputs, params)
        heads, embed = params["num_heads"], params["embed_dim"]
        need(heads >= 1 and embed % heads == 0, "heads do not divide it", argument="num_heads", got=(heads, embed))
        for name, shape in self._shapes(params).items():
            need_shape(weights[name].shape, shape, name)
        qdim = params["weight_data_size"] // embed
        for shape, size, name in ((q, qdim, "query"), (k, params["kdim"], "key"), (v, params["vdim"], "value")):
            need_rank(shape, (2,), name)
            need(shape[1] == size, "wrong size", argument=name, expected=f"[rows, {size}]", got=list(shape))
        need(k[0] == v[0], "as many values as keys", argument="value", expected=k[0], got=v[0])
        if mask is not None:
            expected = ((q[0], k[0]), (1, q[0], k[0]), (heads, q[0], k[0]))
            need(mask in expected, "wrong shape", argument="mask", expected=list(expected), got=list(mask))
        return [(q[0], qdim)]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        """Of the four projections, of the scores, and of the values that they weigh."""
        q, k, v, _ = self._operands(inputs, params)
        embed = params["embed_dim"]
        return int(embed * (2 * q[0] * q[1] + k[0] * k[1] + v[0] * v[1] + 2 * q[0] * k[0]))

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        q, k, v, mask = self._operands(inputs, params)
        w = {name: weights[name].reshape(shape) for name, shape in self._shapes(params).items()}
        heads = params["num_heads"]

        def project(x: Any, name: str) -> Any:  # [heads, rows, size of a head]
            y = x @ w[f"{name}_weight"].T + w[f"{name}_bias"]
            return y.reshape(len(x), heads, -1).transpose(0, 1)

        scores = params["scale"] * project(q, "q") @ project(k, "k").mT
        if mask is not None:
            scores = scores + mask
        y = (scores.softmax(-1) @ project(v, "v")).transpose(0, 1).reshape(len(q), -1)
        return [y @ w["out_weight"].T + w["out_bias"]]

    def samples(self) -> list[Sample]:
        from torch import nn

        def sample(t: int, s: int, embed: int, heads: int, own: bool, mask: bool, **kw: Any) -> Sample:
            module = nn.MultiheadAttention(embed, heads, batch_first=True, **kw)
            randomise(module, t)
            for parameter in module.parameters():
                parameter.data *= 0.3
            sizes = (embed, kw.get("kdim") or embed, kw.get("vdim") or embed)
            shapes: list[Shape] = [(t, embed)] if own else [(t, sizes[0]), (s, sizes[1]), (s, sizes[2])]
            name = "-".join(f"{k}{v}" for k, v in kw.items())

            def torch(*values: Any) -> Any:
                m = values[-1][0] if mask else None
                q, k, v = [values[0]] * 3 if own else values[:3]
                return module(q, k, v, attn_mask=m, need_weights=False)[0]

            return Sample(
                f"mha-{t}-{s}-{embed}-{heads}-{own}-{mask}-{name}",
                (*shapes, *([(t, s)] if mask else [])),
                lambda g, *v: multihead_attention(g, v, module, mask),
                torch,
            )

        return [
            sample(5, 5, 8, 2, True, False),
            sample(5, 5, 8, 2, True, True),
            sample(3, 6, 12, 3, False, False),
            sample(3, 6, 12, 3, False, True),
            sample(1, 1, 4, 1, True, False),
            sample(4, 7, 16, 4, False, True, kdim=6, vdim=5),
            sample(6, 6, 6, 2, True, False, bias=False),
            sample(17, 9, 32, 4, False, False),
        ]


@dsl
def multihead_attention(g: Graph, bottom_names: ValueLike, module: Any, attn_mask: bool = False) -> Values:
    """An nn.MultiheadAttention without batch, inputs [x] or [query, key, value], and a mask if attn_mask.

    x [T, embed_dim]; query [T, embed_dim], key [S, kdim], value [S, vdim] -> [T, embed_dim]; mask [T, S] or
    [heads, T, S], float, is added to the scores. Raises BuildError for add_bias_kv and add_zero_attn.
    """
    need_module(module, "module", "an nn.MultiheadAttention", "embed_dim", "num_heads", "out_proj", "in_proj_bias")
    plain = module.bias_k is None and not module.add_zero_attn
    need(plain, "ncnn has neither add_bias_kv nor add_zero_attn", argument="module", got=type(module).__name__)
    if module.dropout:
        need_eval(module, "module")
    embed = module.embed_dim
    if module.in_proj_weight is not None:
        q, k, v = np.split(array(module.in_proj_weight, "in_proj_weight", 2), 3)
    else:
        q, k, v = (array(getattr(module, f"{n}_proj_weight"), f"{n}_proj_weight", 2) for n in "qkv")
    none: Array = np.zeros(3 * embed, np.float32)
    biases = np.split(none if module.in_proj_bias is None else array(module.in_proj_bias, "in_proj_bias", 1), 3)
    out_bias = none[:embed] if module.out_proj.bias is None else array(module.out_proj.bias, "out_proj.bias", 1)
    params = {
        "embed_dim": embed,
        "num_heads": module.num_heads,
        "weight_data_size": q.size,
        "kdim": k.shape[1],
        "vdim": v.shape[1],
        "attn_mask": int(attn_mask),
        "scale": 1 / math.sqrt(embed // module.num_heads),
    }
    weights = {
        "q_weight": q,
        "q_bias": biases[0],
        "k_weight": k,
        "k_bias": biases[1],
        "v_weight": v,
        "v_bias": biases[2],
        "out_weight": array(module.out_proj.weight, "out_proj.weight", 2),
        "out_bias": out_bias,
    }
    return append(g, spec_of("MultiHeadAttention"), inputs_of(bottom_names), params, weights)


@register
class SDPA(OpSpec):
    """softmax(scale * q k^T + mask) v, for each head. ncnn: sdpa.cpp.

    q [heads, T, size], k [groups, S, size], v [groups, S, size'] -> [heads, T, size']; groups divides heads, which
    share keys and values in order. mask [T, S], [1, T, S] or [heads, T, S] is added. scale 0 is 1 / sqrt(size).
    """

    type = "SDPA"
    inputs = ("query", "key", "value", "mask?")
    params = (
        Param("attn_mask", 5, "int", "1: the fourth input is a mask"),
        Param("scale", 6, "float", "factor of q k^T; 0: 1 / sqrt(size)", 0.0),
    )
    left_out = {7: _KV_CACHE, 18: f"int8_scale_term: {_INT8}"}
    checked_in_cpp = True
    tolerance = Tolerance(2e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        q, k, v = inputs[:3]
        for shape, name in ((q, "query"), (k, "key"), (v, "value")):
            need_rank(shape, (3,), name)
        need(q[2] == k[2], "the sizes differ", argument="key", expected=f"[groups, S, {q[2]}]", got=list(k))
        need(k[:2] == v[:2], "keys and values differ", argument="value", expected=list(k[:2]), got=list(v))
        need(q[0] % k[0] == 0, "groups do not divide the heads", argument="key", expected=q[0], got=k[0])
        need((len(inputs) == 4) == bool(params["attn_mask"]), "mask and inputs disagree", got=len(inputs))
        if len(inputs) == 4:
            expected = ((q[1], k[1]), (1, q[1], k[1]), (q[0], q[1], k[1]))
            need(inputs[3] in expected, "wrong shape", argument="mask", expected=list(expected), got=list(inputs[3]))
        return [(q[0], q[1], v[2])]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        q, k, v = inputs[:3]
        return q[0] * q[1] * k[1] * (q[2] + v[2])

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        q, k, v = inputs[:3]
        k, v = (t.repeat_interleave(len(q) // len(k), 0) for t in (k, v))
        scores = (params["scale"] or 1 / math.sqrt(q.shape[2])) * q @ k.mT
        return [(scores + inputs[3] if len(inputs) == 4 else scores).softmax(-1) @ v]

    def samples(self) -> list[Sample]:
        F = functional()

        def sample(q: Shape, k: Shape, size: int, mask: Shape | None = None, **kw: Any) -> Sample:
            def attention(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
                k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], 1) for t in (k, v))  # torch 2.4 has no enable_gqa
                return F.scaled_dot_product_attention(q, k, v, mask, **kw)

            return Sample(
                f"sdpa-{shape_id(q)}-{shape_id(k)}-{size}-{mask}-{kw}".replace(" ", ""),
                (q, k, (*k[:2], size), *([mask] if mask else [])),
                lambda g, *v: scaled_dot_product_attention(g, v, **kw),
                attention,
            )

        return [
            sample((4, 5, 8), (4, 6, 8), 8),
            sample((4, 5, 8), (4, 6, 8), 8, (5, 6)),
            sample((4, 5, 8), (4, 6, 8), 8, (4, 5, 6)),
            sample((4, 5, 8), (4, 6, 8), 8, (1, 5, 6)),
            sample((4, 5, 8), (2, 6, 8), 8),
            sample((3, 7, 5), (1, 4, 5), 6, (7, 4)),
            sample((1, 1, 1), (1, 1, 1), 1),
            sample((2, 17, 16), (2, 17, 16), 16, scale=0.1),
        ]


@dsl
def scaled_dot_product_attention(g: Graph, bottom_names: ValueLike, scale: SupportsFloat | None = None) -> Values:
    """torch's function without batch, inputs [q, k, v] or [q, k, v, mask]: q [heads, T, size], k [groups, S, size].

    Several heads share a group of keys and values (torch: enable_gqa). mask, float, is added to the scores: [T, S],
    [1, T, S] or [heads, T, S].
    """
    values = inputs_of(bottom_names)
    factor = 0.0 if scale is None else number(scale, "scale")
    need(scale is None or factor != 0, "0 is ncnn's word for 1 / sqrt(size)", argument="scale", expected="not 0", got=0)
    return append(g, spec_of("SDPA"), values, {"attn_mask": int(len(values) == 4), "scale": factor})


@register
class RotaryEmbed(OpSpec):
    """Pairs of numbers of each row, turned by the angles of this row. ncnn: rotaryembed.cpp.

    x [heads, T, size], cos and sin [T, size / 2] -> [heads, T, size]. A pair is (j, j + size / 2), or with interleaved
    (2 j, 2 j + 1). Where pairs are halves, cos and sin may be [T, size]: of each half its own.
    Source: Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding".
    """

    type = "RotaryEmbed"
    inputs = ("x", "cos", "sin")
    params = (Param("interleaved", 0, "int", "1: pairs are neighbours"),)
    checked_in_cpp = True

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, cos, sin = inputs
        need_rank(x, (3,), "x")
        need(x[2] % 2 == 0, "no pairs", argument="x", expected="an even size", got=list(x))
        widths = (x[2] // 2,) if params["interleaved"] else (x[2] // 2, x[2])
        expected = [[x[1], w] for w in widths]
        fits = list(cos) in expected and cos == sin
        need(fits, "wrong shape", argument="cos, sin", expected=expected, got=[cos, sin])
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        x, cos, sin = inputs
        half = x.shape[2] // 2
        if params["interleaved"]:
            a, b = x[..., ::2], x[..., 1::2]
            return [torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)]
        a, b = x[..., :half], x[..., half:]
        low, high = (cos[:, :half], sin[:, :half]), (cos[:, -half:], sin[:, -half:])
        return [torch.cat([a * low[0] - b * low[1], a * high[1] + b * high[0]], -1)]

    def samples(self) -> list[Sample]:
        import torch

        def expected(x: Any, cos: Any, sin: Any, interleaved: bool) -> Any:
            """By complex numbers."""
            pairs = x.unflatten(-1, (-1, 2)) if interleaved else x.unflatten(-1, (2, -1)).transpose(-1, -2)
            turned = torch.complex(pairs[..., 0], pairs[..., 1]) * torch.complex(cos, sin)[:, None]
            y = torch.view_as_real(turned)
            return y.flatten(-2) if interleaved else y.transpose(-1, -2).flatten(-2)

        shapes: tuple[Shape, ...] = ((2, 5, 8), (3, 1, 6), (1, 7, 2), (8, 4, 16), (4, 9, 32))
        return [
            *(
                Sample(
                    f"rotary-{shape_id(x)}-{turned}",
                    (x, (x[1], x[2] // 2), (x[1], x[2] // 2)),
                    lambda g, *v, turned=turned: rotary_embed(g, v, turned),
                    lambda x, cos, sin, turned=turned: expected(x, cos, sin, turned),
                )
                for x in shapes
                for turned in (False, True)
            ),
            *(
                Sample(f"rotary-full-{shape_id(x)}", (x, x[1:], x[1:]), lambda g, *v: rotary_embed(g, v))
                for x in shapes[:3]
            ),
        ]


@dsl
def rotary_embed(g: Graph, bottom_names: ValueLike, interleaved: bool = False) -> Values:
    """Rotary positions, inputs [x, cos, sin]: x [heads, T, size], cos and sin [T, size / 2].

    interleaved: pairs are neighbours, else number j of the first half and j of the second; then cos and sin may be
    [T, size], of each half its own.
    """
    return append(g, spec_of("RotaryEmbed"), bottom_names, {"interleaved": int(interleaved)})
