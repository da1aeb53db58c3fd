"""raise_attention and fuse_attention: what is written out becomes one layer, what is almost that does not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pass_support import fires, graph_of, normal, refuses, same_on_ncnn

import ncnn_builder as nb
from ncnn_builder.ops.sequences.attention import scaled_dot_product_attention
from ncnn_builder.ops.shapes.permute import really_permute
from ncnn_builder.ops.shapes.shape import really_reshape
from ncnn_builder.ops.stock import inner_product
from ncnn_builder.passes.fuse_attention import fuse_attention
from ncnn_builder.passes.raise_attention import raise_attention

HEADS, ROWS, KEYS, SIZE = 2, 5, 7, 4
SHAPES = ((HEADS, ROWS, SIZE), (HEADS, KEYS, SIZE), (HEADS, KEYS, 3))


def attention(g: Any, q: Any, k: Any, v: Any, **other: Any) -> Any:
    """The arithmetic of it; `other` says what is done in another way."""
    given = {"scale": 0.5, "axis": 3, "mask": None, "late": False, "front": None, "read": None, **other}
    if given["front"]:
        q = nb.binaryOp(g, [q, given["front"]], "Mul")[0]
    scores = nb.matmul(g, [q, k], transpose_b=True)[0]
    seen = {"product": scores}
    if given["scale"] and not given["late"]:
        scores = nb.binaryOp(g, [scores, given["scale"]], given.get("op", "Mul"))[0]
    if given["mask"] is not None:
        added = nb.memorydata(g, given["mask"])[0]
        scores = nb.binaryOp(g, [added, scores] if given.get("swapped") else [scores, added], "Add")[0]
    if given["scale"] and given["late"]:
        scores = nb.binaryOp(g, [scores, given["scale"]], "Mul")[0]
    weights = nb.softmax(g, scores, dim=given["axis"])[0]
    seen["weights"] = weights
    y = nb.matmul(g, [weights, v])[0]
    return [y, *([seen[given["read"]]] if given["read"] else [])]


def mask(*shape: int) -> np.ndarray:
    return normal(*shape)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"scale": None},
        {"front": 0.3},
        {"front": 0.3, "scale": None},
        {"scale": 2.0, "op": "Div"},
        {"mask": mask(1, ROWS, KEYS)},
        {"mask": mask(HEADS, ROWS, KEYS), "swapped": True},
        {"mask": mask(HEADS, ROWS, KEYS), "scale": None},
        {"axis": -1},
    ],
    ids=lambda other: "-".join(other) or "plain",
)
def test_products_and_a_softmax_are_attention(other: dict[str, Any]) -> None:
    g = graph_of(lambda g, *x: attention(g, *x, **other), *SHAPES)
    constants = ["MemoryData"] if "mask" in other else []
    same_on_ncnn(g, fires(raise_attention, g, [*constants, "SDPA"], tolerance=1e-5))


@pytest.mark.parametrize("turned", ["columns", "axes"])
def test_turned_keys_are_taken_as_they_were(turned: str) -> None:
    def build(g: Any, q: Any, k: Any, v: Any) -> Any:
        if turned == "axes":
            k = really_permute(g, k, (0, 2, 1))
        else:
            k = really_reshape(g, really_permute(g, k, (1, 0)), (HEADS, SIZE, KEYS))
        return nb.matmul(g, [*nb.softmax(g, nb.matmul(g, [q, *k]), dim=-1), v])

    keys = (HEADS, KEYS, SIZE) if turned == "axes" else (KEYS, HEADS * SIZE)
    g = graph_of(build, SHAPES[0], keys, SHAPES[2])
    layers = [] if turned == "axes" else ["Reshape", "Permute"]
    same_on_ncnn(g, fires(raise_attention, g, [*layers, "SDPA"], tolerance=1e-5))


@pytest.mark.parametrize(
    "other",
    [
        {"axis": 2},
        {"axis": 1},
        {"mask": mask(1, ROWS, KEYS), "late": True},
        {"mask": mask(1, 1, KEYS)},
        {"mask": mask(HEADS, 1, KEYS)},
        {"scale": 0.0, "op": "Add", "late": False, "mask": None, "read": "product"},
        {"scale": 2.0, "op": "Add"},
        {"read": "weights"},
        {"read": "product"},
    ],
    ids=lambda other: "-".join(f"{k}" for k in other),
)
def test_no_attention(other: dict[str, Any]) -> None:
    refuses(raise_attention, graph_of(lambda g, *x: attention(g, *x, **other), *SHAPES))


def test_open_lengths_are_attention() -> None:
    g = nb.Graph()
    shapes = ((HEADS, "t", SIZE), (HEADS, "s", SIZE), (HEADS, "s", 3))
    g.output("y", attention(g, *(g.input(name, shape) for name, shape in zip("qkv", shapes, strict=True)))[0])
    made = raise_attention(g)
    assert [node.spec.type for node in made.nodes] == ["SDPA"] and made.outputs["y"].shape == g.outputs["y"].shape


def test_heads_that_are_broadcast_are_no_attention() -> None:
    refuses(raise_attention, graph_of(attention, SHAPES[0], (1, KEYS, SIZE), (1, KEYS, 3)))


# -- with projections ------------------------------------------------------------------------------------------------

DIM = HEADS * SIZE


def turned(g: Any, x: Any, rows: int, order: tuple[int, ...] = (1, 0, 2)) -> Any:
    return really_permute(g, really_reshape(g, x, (rows, HEADS, SIZE)), order)[0]


def projected(g: Any, x: Any, memory: Any = None, **other: Any) -> Any:
    """Self-attention of x, or of x and a memory; `other` says what is done in another way."""
    given = {"form": "three", "bias": True, "mask": None, "scale": 0.7, "out": None, **other}
    bias = lambda n: normal(n) if given["bias"] else None
    source = x if memory is None else memory
    rows, keys = x.shape[0], source.shape[0]
    if given["form"] == "three":
        flat = [inner_product(g, v, normal(DIM, v.shape[1]), bias(DIM)) for v in (x, source, source)]
    else:
        whole = inner_product(
            g, x, normal(given.get("columns", 3 * DIM), x.shape[1]), bias(given.get("columns", 3 * DIM))
        )
        cuts = given.get("cuts", [(i * DIM, (i + 1) * DIM) for i in range(3)])
        if given["form"] == "slice":
            flat = list(nb.slice(g, whole, [b - a for a, b in cuts], dim=2))[:3]
        else:
            flat = [whole[:, a:b] for a, b in cuts]
    if given.get("act"):
        flat[0] = nb.activation(g, flat[0], "relu")[0]
    read = [flat[0]] if given.get("read") == "flat" else []
    q = turned(g, flat[0], rows, given.get("order", (1, 0, 2)))
    k, v = turned(g, flat[1], keys), turned(g, flat[2], keys)
    read += [k] if given.get("read") == "heads" else []
    added = [] if given["mask"] is None else nb.memorydata(g, given["mask"])
    y = scaled_dot_product_attention(g, [q, k, v, *added], given["scale"])[0]
    y = really_reshape(g, really_permute(g, y, (1, 0, 2)), (rows, DIM))[0]
    return [inner_product(g, y, normal(given["out"] or x.shape[1], DIM), bias(given["out"] or x.shape[1])), *read]


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"bias": False},
        {"scale": None},
        {"mask": mask(ROWS, ROWS)},
        {"mask": mask(HEADS, ROWS, ROWS)},
        {"form": "slice"},
        {"form": "crop"},
        {"form": "crop", "cuts": [(DIM, 2 * DIM), (2 * DIM, 3 * DIM), (0, DIM)]},
        {"form": "slice", "bias": False, "mask": mask(1, ROWS, ROWS)},
    ],
    ids=lambda other: "-".join(map(str, (v for v in other.values() if isinstance(v, (str, bool))))) or "plain",
)
@pytest.mark.parametrize("columns", [DIM, 6])
def test_products_around_attention_are_its_projections(other: dict[str, Any], columns: int) -> None:
    g = graph_of(lambda g, x: projected(g, x, **other), (ROWS, columns))
    constants = ["MemoryData"] if "mask" in other else []
    after = fires(fuse_attention, g, [*constants, "MultiHeadAttention"], tolerance=1e-5)
    same_on_ncnn(g, after, tolerance=2e-5)
    scale = other.get("scale", 0.7)
    assert after.nodes[-1].params["scale"] == pytest.approx(scale or 1 / math.sqrt(SIZE))


def test_keys_of_something_else() -> None:
    g = graph_of(projected, (ROWS, DIM), (KEYS, 6))
    same_on_ncnn(g, fires(fuse_attention, g, ["MultiHeadAttention"], tolerance=1e-5), tolerance=2e-5)


@pytest.mark.parametrize(
    "other",
    [
        {"act": True},
        {"order": (0, 1, 2), "read": "flat"},
        {"read": "flat"},
        {"read": "heads"},
        {"out": DIM + 1},
        {"form": "slice", "columns": 4 * DIM, "cuts": [(i * DIM, (i + 1) * DIM) for i in range(4)]},
        {"form": "crop", "columns": 4 * DIM},
        {"form": "crop", "cuts": [(0, DIM), (0, DIM), (2 * DIM, 3 * DIM)]},
    ],
    ids=lambda other: "-".join(f"{k}={v}" for k, v in other.items() if k != "cuts") + str(len(other)),
)
def test_no_projections(other: dict[str, Any]) -> None:
    if other.get("order"):  # with as many rows as heads another order has the shapes too
        refuses(fuse_attention, graph_of(lambda g, x: projected(g, x, **{**other, "read": None}), (HEADS, DIM)))
    else:
        refuses(fuse_attention, graph_of(lambda g, x: projected(g, x, **other), (ROWS, DIM)))


def test_another_weight_is_another_layer() -> None:
    """What the comparison on ncnn would not see, nobody would: a weight of each projection counts."""
    g = graph_of(projected, (ROWS, DIM))
    after = fuse_attention(g)
    for name in after.nodes[0].weights:
        weights = dict(after.nodes[0].weights)
        weights[name] = weights[name] + 0.1
        changed = fuse_attention(g)
        changed.nodes[0].weights = weights
        if name == "k_bias":  # the same for all keys of a query: no softmax sees it
            same_on_ncnn(g, changed, tolerance=2e-5)
            continue
        with pytest.raises(nb.ParityError):
            same_on_ncnn(g, changed, tolerance=2e-5)
