"""raise_norms: the arithmetic of torch's functions becomes LRN and Normalize; what is almost that does not."""

from __future__ import annotations

import pytest
from pass_support import fires, graph_of, refuses, same_on_ncnn

import ncnn_builder as nb
from ncnn_builder.ops.pools.pool_windows import pool_windows
from ncnn_builder.ops.shapes.shape import really_reshape
from ncnn_builder.passes.raise_norms import raise_norms

PICTURE = (6, 4, 5)


def response(g, x, size=3, alpha=0.2, k=1.5, beta=0.6, **other):
    """torch's local_response_norm(), step by step."""
    given = {
        "square": lambda x: x * x,
        "front": size // 2,
        "value": 0.0,
        "kernel": (size, 1, 1),
        "least": None,
        **other,
    }
    squares = really_reshape(g, given["square"](x), (1, *x.shape))[0]
    sides = given.get("sides") or {"front": given["front"], "behind": size - 1 - given["front"]}
    padded = nb.pad(g, squares, **sides, value=given["value"])[0]
    mean = pool_windows(g, padded, given["kernel"], (1, 1, 1), (0, 0, 0), average=not given.get("maximum"))
    base = mean * alpha + k
    if given["least"] is not None:
        base = nb.clamp(g, base, given["least"], 3.4028234663852886e38)[0]
    below = really_reshape(g, nb.binaryOp(g, [base, beta], "Pow")[0], x.shape)[0]
    return x / below, *([base] if given.get("read") else [])


def length(g, x, axes=(1,), eps=1e-3, op="ReduceL2", keepdim=True):
    total = nb.reduction(g, x, op, len(x.shape) + 1, axes, keepdim=keepdim)[0]
    return x / nb.binaryOp(g, [total, eps], "Max")[0]


@pytest.mark.parametrize("size", [1, 3, 4, 5])
def test_a_response_norm(size):
    g = graph_of(lambda g, x: response(g, x, size), PICTURE)
    if size == 1:  # without a border that is a product
        refuses(raise_norms, g)
        return
    same_on_ncnn(g, fires(raise_norms, g, ["LRN"]))


def test_a_response_norm_behind_a_clamp_that_does_nothing():
    g = graph_of(lambda g, x: response(g, x, least=1e-30), PICTURE)
    assert fires(raise_norms, g, ["LRN"]).nodes[0].params["bias"] == 1.5


@pytest.mark.parametrize(
    "other",
    [
        {"least": 2.0},
        {"k": -1.0},
        {"alpha": -0.1},
        {"front": 0},
        {"front": 2},
        {"value": 1.0},
        {"kernel": (1, 3, 1), "sides": {"top": 1, "bottom": 1}},
        {"maximum": True},
        {"read": True},
        {"square": lambda x: x * 2},
    ],
    ids=lambda other: "-".join(f"{k}={v}" for k, v in other.items() if not callable(v)) or "square",
)
def test_no_response_norm(other):
    refuses(raise_norms, graph_of(lambda g, x: response(g, x, **other), PICTURE))


@pytest.mark.parametrize(("shape", "axes"), [(PICTURE, (1,)), (PICTURE, (2, 3)), ((6, 2, 4, 5), (1,))])
def test_a_length(shape, axes):
    g = graph_of(lambda g, x: length(g, x, axes), shape)
    same_on_ncnn(g, fires(raise_norms, g, ["Normalize"]))


@pytest.mark.parametrize(
    ("shape", "other"),
    [
        (PICTURE, {"axes": (2,)}),
        (PICTURE, {"op": "ReduceL1"}),
        (PICTURE, {"eps": -1.0}),
        ((6, 8), {}),
        ((6, 4, 4), {"keepdim": False}),
    ],
    ids=str,
)
def test_no_length(shape, other):
    refuses(raise_norms, graph_of(lambda g, x: length(g, x, **other), shape))


def test_a_length_of_something_else():
    def build(g, x, y):
        total = nb.reduction(g, y, "ReduceL2", 4, (1,), keepdim=True)[0]
        return x / nb.binaryOp(g, [total, 1e-3], "Max")[0]

    refuses(raise_norms, graph_of(build, PICTURE, PICTURE))


def test_a_length_that_somebody_reads():
    def build(g, x):
        total = nb.binaryOp(g, [*nb.reduction(g, x, "ReduceL2", 4, (1,), keepdim=True), 1e-3], "Max")[0]
        return x / total, total

    refuses(raise_norms, graph_of(build, PICTURE))
