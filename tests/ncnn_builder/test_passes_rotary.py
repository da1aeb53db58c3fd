"""raise_rotary: positions written as slices, products and sums become one layer, what is almost that does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from pass_support import fires, graph_of, normal, refuses, same_on_ncnn, types
from torch import nn

import ncnn_builder as nb
from ncnn_builder.passes.raise_rotary import raise_rotary
from ncnn_builder.pipeline import lower_and_optimise

ROWS, HEADS, SIZE = 5, 3, 8
BETWEEN = (ROWS, HEADS, SIZE)  # as a projection leaves them
ANGLES = normal(ROWS, SIZE // 2)


def times(g: Any, a: Any, b: Any) -> nb.Value:
    return nb.binaryOp(g, [a, b], "Mul")[0]


def table(g: Any, make: Any, given: dict[str, Any], width: int) -> nb.Value:
    """cos or sin of ANGLES, 1 along the heads."""
    numbers = make(ANGLES)
    if width == SIZE:
        numbers = np.repeat(numbers, 2, 1) if given["neighbours"] else np.concatenate([numbers, numbers], 1)
        if given["differ"]:
            numbers = numbers + 0.1 * np.arange(SIZE, dtype=np.float32)
    shape = given["table"] or ((1, ROWS, width) if given["front"] else (ROWS, 1, width))
    return nb.memorydata(g, numbers[: math.prod(shape[:-1])].reshape(shape))[0]


def halves(g: Any, x: nb.Value, given: dict[str, Any]) -> list[nb.Value]:
    """The two numbers of all pairs."""
    columns = 2 if given["neighbours"] else SIZE
    n = columns // 2
    if given["cut"] == "slice":
        return list(nb.slice(g, nb.really_reshape(g, x, (-1, columns)), n, dim=2))
    cuts = [(0, n), (n, columns)]
    return [nb.crop(g, nb.really_reshape(g, x, (-1, columns)), [a], [b], [1])[0] for a, b in cuts]


def rotary(g: Any, x: nb.Value, *other_x: nb.Value, **other: Any) -> Any:
    """The arithmetic of it; `other` says what is done in another way."""
    plain = {"neighbours": False, "form": "whole", "cut": "slice", "front": False, "differ": False, "swapped": False}
    given = {**plain, "read": None, "sign": "neg", "op": "Add", "table": None, **other}
    a, b = halves(g, other_x[0] if other_x else x, given)
    if given["form"] == "pairs":
        cos, sin = (table(g, f, given, SIZE // 2) for f in (np.cos, np.sin))
        again = table(g, np.tan if given["differ"] else np.cos, {**given, "differ": False}, SIZE // 2)
        shape = (*x.shape[:-1], SIZE // 2)
        a, b = (nb.really_reshape(g, v, shape)[0] for v in (a, b))
        first = nb.binaryOp(g, [times(g, a, cos), times(g, sin, b)], "Sub")[0]
        second = nb.binaryOp(g, [times(g, a, sin), times(g, b, again)], given["op"])[0]
        column = (-1, 1 if given["neighbours"] else SIZE // 2)
        pairs = [nb.really_reshape(g, v, column)[0] for v in (first, second)]
        y = nb.really_reshape(g, nb.concat(g, pairs[::-1] if given["swapped"] else pairs, dim=2), x.shape)
        seen = {"first": first}
    else:
        cos, sin = (table(g, f, given, SIZE) for f in (np.cos, np.sin))
        turned = {
            "neg": lambda v: nb.unaryOp(g, v, "neg")[0],
            "times": lambda v: times(g, v, -1.0),
            "none": lambda v: v,
        }
        parts = [turned[given["sign"]](b), a]
        concat = nb.concat(g, parts[::-1] if given["swapped"] else parts, dim=2)[0]
        crossed = times(g, nb.really_reshape(g, concat, x.shape)[0], sin)
        y = nb.binaryOp(g, [crossed, times(g, cos, x)], given["op"])
        seen = {"concat": concat, "crossed": crossed}
    return [*y, *([seen[given["read"]]] if given["read"] else [])]


@pytest.mark.parametrize("cut", ["slice", "crop"])
@pytest.mark.parametrize("form", ["whole", "pairs"])
@pytest.mark.parametrize("neighbours", [False, True])
@pytest.mark.parametrize("front", [False, True])
def test_products_and_sums_are_rotary_positions(cut: str, form: str, neighbours: bool, front: bool) -> None:
    shape = (HEADS, ROWS, SIZE) if front else BETWEEN
    other = {"cut": cut, "form": form, "neighbours": neighbours, "front": front}
    g = graph_of(lambda g, x: rotary(g, x, **other), shape)
    after = raise_rotary(g)
    inner = [kind for kind in types(after) if kind not in ("MemoryData", "Reshape")]
    assert inner == ([] if front else ["Permute"]) + ["RotaryEmbed"] + ([] if front else ["Permute"])
    fires(raise_rotary, g, types(after))
    node = next(n for n in after.nodes if n.spec.type == "RotaryEmbed")
    assert (node.params["interleaved"], node.inputs[1].shape) == (int(neighbours), (ROWS, SIZE // 2))
    same_on_ncnn(g, after)


def test_the_check_sees_pairs_and_angles_that_are_others() -> None:
    g = graph_of(rotary, BETWEEN)
    after = raise_rotary(g)
    node = next(n for n in after.nodes if n.spec.type == "RotaryEmbed")
    node.params = {**node.params, "interleaved": 1}
    with pytest.raises(nb.ParityError):
        same_on_ncnn(g, after)
    node.params = {**node.params, "interleaved": 0}
    same_on_ncnn(g, after)
    sin = node.inputs[2]
    assert sin.producer is not None and sin.data is not None
    sin.data = -sin.data
    sin.producer.weights = {"data": sin.data}
    with pytest.raises(nb.ParityError):
        same_on_ncnn(g, after)


def test_halves_may_have_angles_of_their_own() -> None:
    g = graph_of(lambda g, x: rotary(g, x, differ=True, sign="times"), BETWEEN)
    after = raise_rotary(g)
    assert [n.inputs[1].shape for n in after.nodes if n.spec.type == "RotaryEmbed"] == [(ROWS, SIZE)]
    same_on_ncnn(g, fires(raise_rotary, g, types(after)))


@pytest.mark.parametrize(
    ("shape", "angles"),
    [
        ((ROWS, SIZE), (ROWS, SIZE)),
        ((2, ROWS, HEADS, SIZE), (1, ROWS, 1, SIZE)),
        ((ROWS, 1, SIZE), (ROWS, 1, SIZE)),
        ((2, 2, HEADS, SIZE), (2, 2, 1, SIZE)),  # rows and columns of a picture
        ((HEADS, 2, SIZE), (1, 1, SIZE)),  # one place
    ],
)
def test_any_dimensions(shape: tuple[int, ...], angles: tuple[int, ...]) -> None:
    g = graph_of(lambda g, x: rotary(g, x, table=angles), shape)
    after = raise_rotary(g)
    assert "RotaryEmbed" in types(after)
    same_on_ncnn(g, fires(raise_rotary, g, types(after)))


def computed(g: Any, x: Any, cos: Any, sin: Any, neighbours: bool = False) -> Any:
    """By cos and sin that are inputs."""
    b = {"neighbours": neighbours, "cut": "slice"}
    first, second = halves(g, x, b)
    concat = nb.concat(g, [*nb.unaryOp(g, second, "neg"), first], dim=2)
    crossed = times(g, nb.really_reshape(g, concat, x.shape)[0], sin)
    return nb.binaryOp(g, [times(g, x, cos), crossed], "Add")


def test_angles_that_are_computed() -> None:
    angles = (ROWS, 1, SIZE)
    g = graph_of(computed, BETWEEN, angles, angles)
    after = raise_rotary(g)
    assert "RotaryEmbed" in types(after)
    same_on_ncnn(g, fires(raise_rotary, g, types(after)))
    g = graph_of(lambda g, *x: computed(g, *x, neighbours=True), BETWEEN, angles, angles)
    refuses(raise_rotary, g, "neighbours whose cos and sin differ, or may differ")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"op": "Sub"}, None),
        ({"op": "Mul"}, None),
        ({"sign": "none"}, None),
        ({"swapped": True}, None),
        ({"read": "concat"}, None),
        ({"read": "crossed"}, None),
        ({"neighbours": True, "differ": True}, "neighbours whose cos and sin differ"),
        ({"form": "pairs", "op": "Sub"}, None),
        ({"form": "pairs", "swapped": True}, None),
        ({"form": "pairs", "differ": True}, None),
        ({"form": "pairs", "read": "first"}, "somebody else reads"),
    ],
    ids=str,
)
def test_no_rotary_positions(other: dict[str, Any], reason: str | None) -> None:
    refuses(raise_rotary, graph_of(lambda g, x: rotary(g, x, **other), BETWEEN), reason)


def test_halves_of_another_value_are_none() -> None:
    refuses(raise_rotary, graph_of(rotary, BETWEEN, BETWEEN))


def test_an_input_of_any_shape_is_left() -> None:
    g = nb.Graph("open")
    x = g.input("x", (ROWS, SIZE), any_shape=True)
    for i, y in enumerate(rotary(g, x, table=(ROWS, SIZE))):
        g.output(f"y{i}", y)
    assert "RotaryEmbed" not in types(raise_rotary(g))


class Attention(nn.Module):
    """Of the kinds of Llama, GPT-NeoX (half of the numbers are turned) and GPT-J."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.q, self.k = kind, nn.Linear(16, 16), nn.Linear(16, 16)
        size = 4 if kind == "neox" else 8
        angles = torch.arange(5.0)[:, None] * 100 ** -(torch.arange(0, size, 2) / size)
        self.angles = angles.repeat_interleave(2, -1) if kind == "gptj" else torch.cat((angles, angles), -1)

    def turned(self, x: torch.Tensor) -> torch.Tensor:
        if self.kind == "gptj":
            other = torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2)
        else:
            other = torch.cat((-x[..., x.shape[-1] // 2 :], x[..., : x.shape[-1] // 2]), -1)
        return x * self.angles.cos() + other * self.angles.sin()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k = (m(x).view(1, 5, 2, 8).transpose(1, 2) for m in (self.q, self.k))
        if self.kind == "neox":
            q, k = (torch.cat((self.turned(v[..., :4]), v[..., 4:]), -1) for v in (q, k))
        else:
            q, k = self.turned(q), self.turned(k)
        return (q @ k.transpose(-2, -1) * 0.3).softmax(-1)


@pytest.mark.parametrize("kind", ["llama", "neox", "gptj"])
def test_captured_attention(kind: str) -> None:
    g = nb.capture(Attention(kind).eval(), [torch.randn(1, 5, 16)])
    after = lower_and_optimise(g, "stock")
    assert types(after).count("RotaryEmbed") == 2 and "UnaryOp" not in types(after)
    same_on_ncnn(g, after)
    if kind != "neox":  # nothing is left between the projections and the layer but the way of the heads to the front
        assert set(types(after)) <= {*("Gemm", "InnerProduct", "Reshape", "Permute", "MemoryData"), "RotaryEmbed"} | {
            *("MatMul", "Softmax", "BinaryOp")
        }
