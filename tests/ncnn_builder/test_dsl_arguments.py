"""What a graph refuses, and numbers, weights and orders of every kind, which are taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ncnn_builder as nb


def test_the_scope_is_named() -> None:
    g = nb.Graph()
    with g.scope("synthesis.b8.conv0"), pytest.raises(nb.BuildError, match=r"Down2 in synthesis\.b8\.conv0 "):
        nb.down2(g, g.input("x", (3,)))


def test_a_refused_call_leaves_the_graph_as_it_was() -> None:
    g = nb.Graph()
    x = g.input("x", (3,))
    with pytest.raises(nb.BuildError):
        nb.down2(g, x)
    assert g.nodes == [] and x.uses == []


@pytest.mark.parametrize("shape", [(), (0,), (-1,), (1, 2, 3, 4, 5), (3, 0)])
def test_a_wrong_shape_of_an_input_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(nb.BuildError, match="1 to 4 positive numbers"):
        nb.Graph().input("x", shape)


@pytest.mark.parametrize("shape", ["abc", (3, None), (2.5,), 7])
def test_a_shape_that_is_no_list_of_whole_numbers_is_refused(shape: Any) -> None:
    with pytest.raises(nb.BuildError, match="input x"):
        nb.Graph().input("x", shape)


def test_taken_names_are_refused() -> None:
    g = nb.Graph()
    x = g.input("x", (3,))
    with pytest.raises(nb.BuildError, match="taken"):
        g.input("x", (3,))
    g.output("y", x)
    with pytest.raises(nb.BuildError, match="taken"):
        g.output("y", x)
    with pytest.raises(nb.BuildError, match="taken"):
        g.output("x", x)
    with pytest.raises(nb.BuildError, match="one Value"):
        g.output("z", [x, x])


def test_an_unknown_target_is_refused() -> None:
    g = nb.Graph()
    g.output("y", nb.square(g, g.input("x", (3,))))
    with pytest.raises(nb.BuildError, match=r"unknown target.*reference.*warp"):
        nb.compile_graph(g, "warp")


# -- what is accepted -------------------------------------------------------------------------------------------------

NUMBERS = {
    "python": lambda n: n,
    "numpy scalar": np.float64,
    "numpy 0-d": lambda n: np.array(n),
    "tensor": lambda n: torch.tensor(float(n)),
    "tensor with gradient": lambda n: torch.tensor(float(n), requires_grad=True),
    "parameter": lambda n: nn.Parameter(torch.tensor(float(n))),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_every_kind_are_taken(kind: str) -> None:
    make = NUMBERS[kind]
    g = nb.Graph()
    x = g.input("x", (5, 6, 7))
    (y,) = nb.MulConstant(g, x, make(0.5), make(2))
    (y,) = nb.pad(g, y, top=make(1), value=make(3))
    (y,) = nb.rsqrt(g, nb.square(g, y), eps=make(0.25), scale=make(4))
    (y,) = nb.binaryOp(g, [y, make(1.5)], "Mul")
    (y,) = nb.BiasAct(g, [y], make(2), make(0.25), make(1.25), make(8))
    (y,) = nb.softmax(g, y, make(1))
    assert y.shape == (5, 7, 7)
    params = [node.params for node in g.nodes]
    assert params[0] == {"scale": 0.5, "bias": 2.0}
    assert (params[1]["top"], params[1]["value"]) == (1, 3.0)
    assert params[3] == {"eps": 0.25, "scale": 4.0}
    assert params[4]["b"] == 1.5
    assert (params[5]["act"], params[5]["alpha"], params[5]["gain"], params[5]["clamp"]) == (2, 0.25, 1.25, 8.0)
    assert all(type(v) in (int, float, tuple) for p in params for v in p.values())


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_of_every_kind_are_taken_where_a_pair_may_stand(kind: str) -> None:
    make = NUMBERS[kind]
    g = nb.Graph()
    x, w = g.input("x", (5, 6, 7)), g.input("w", (4, 5, 3, 3))
    (y,) = nb.Fconv2d(g, [x, w], stride=make(2), padding=make(1), dilation=make(1), groups=make(1))
    assert y.shape == (4, 3, 4)
    assert nb.upfirdn2d(g, y, None, up=make(2), down=make(1), padding=make(1))[0].shape == (4, 8, 10)
    assert nb.interpolate(g, x, scale_factor=make(2))[0].shape == (5, 12, 14)
    assert nb.interpolate(g, x, size=make(3))[0].shape == (5, 3, 3)
    assert nb.adaptive_avg_pool2d(g, x, make(2))[0].shape == (5, 2, 2)
    assert nb.really_reduction(g, x, "ReduceSum", make(1))[0].shape == (5, 7)


@pytest.mark.parametrize(
    "weight",
    [
        torch.ones(4, 5),
        torch.ones(4, 5, requires_grad=True),
        torch.ones(4, 5, dtype=torch.float16),
        torch.ones(4, 5, dtype=torch.bfloat16),
        torch.ones(5, 4).T,
        nn.Parameter(torch.ones(4, 5)),
        np.ones((4, 5), np.float64),
        np.asfortranarray(np.ones((4, 5))),
        [[1] * 5] * 4,
    ],
    ids=["tensor", "gradient", "half", "bfloat16", "transposed", "parameter", "float64", "fortran", "list"],
)
def test_weights_of_every_kind_are_taken(weight: Any) -> None:
    g = nb.Graph()
    (y,) = nb.fully_connected(g, g.input("x", (5,)), weight)
    data = g.nodes[0].weights["weight"]
    assert y.shape == (4,) and data.dtype == np.float32 and data.flags.c_contiguous and (data == 1).all()


def test_lists_of_lists_are_taken_as_the_predecessor_did() -> None:
    g = nb.Graph()
    x = g.input("x", (5,))
    held = nb.shell(g, [x], np.ones((3, 5, 1, 1)), np.ones(3))
    assert nb.Fmatmul(g, [x, held], (3, 5))[0].shape == (3,)
    assert nb.binaryOp(g, [[x], nb.square(g, [x])], "Add")[0].shape == (5,)


@pytest.mark.parametrize(
    "perm", ["(0, 3, 1, 2)", "[0,3,1,2]", (0, 3, 1, 2), np.array([0, 3, 1, 2]), torch.Size([0, 3, 1, 2])]
)
def test_permutations_of_every_kind_are_taken(perm: Any) -> None:
    g = nb.Graph()
    assert nb.permute(g, g.input("x", (5, 6, 7)), perm)[0].shape == (7, 5, 6)
