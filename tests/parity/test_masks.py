"""Constants that hold -inf, as causal masks do, through every pass to ncnn; NaN and infinite weights are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from parity_support import run_emitted
from torch import nn

import ncnn_builder as nb
from ncnn_builder.parity import Report

CAUSAL = np.triu(np.full((5, 5), -np.inf, np.float32), 1)
HELD: dict[str, Callable[[nb.Graph, np.ndarray], Any]] = {
    "memorydata": lambda g, m: nb.memorydata(g, m),
    "reshaped": lambda g, m: nb.really_reshape(g, nb.memorydata(g, m.reshape(1, *m.shape)), m.shape),
}


def masked(hold: Callable[[nb.Graph, np.ndarray], Any], mask: np.ndarray) -> nb.Graph:
    """softmax(x x' / 2 + mask) x, with factors on the mask for passes to find."""
    g = nb.Graph()
    x = g.input("x", (5, 8))
    scores = nb.matmul(g, [x, nb.really_permute(g, x, (1, 0))]) * 0.5
    scores = (scores + hold(g, mask) * 2.0 * 1.0) * 0.25 * 4.0
    g.output("y", nb.matmul(g, [nb.softmax(g, scores, -1), x]))
    return g


@pytest.mark.parametrize("weights", nb.STORAGES)
@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_a_causal_mask(target: str, held: str, weights: Any) -> None:
    x = np.random.default_rng(0).standard_normal((5, 8)).astype(np.float32)
    t = torch.from_numpy(x)
    expected = {"y": ((t @ t.T * 0.5 + torch.from_numpy(CAUSAL)).softmax(-1) @ t).numpy()}
    model = nb.compile_graph(masked(HELD[held], CAUSAL), target, weights=weights)
    Report("mask").add_all(run_emitted(model, {"x": x}, ["y"]), expected, 1e-5).check()


@pytest.mark.parametrize("held", HELD)
def test_nan_is_refused(held: str) -> None:
    with pytest.raises(nb.VerifyError, match="holds 1 numbers that are NaN"):
        nb.compile_graph(masked(HELD[held], np.where(np.arange(25).reshape(5, 5) == 3, np.nan, CAUSAL)))


def test_a_shell_holds_weights() -> None:
    with pytest.raises(nb.VerifyError, match="holds 10 numbers that are NaN or infinite"):
        nb.compile_graph(masked(lambda g, m: nb.shell(g, [], m.reshape(1, 1, *m.shape), None), CAUSAL))


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_an_infinite_weight_is_refused(target: str) -> None:
    """Of a layer that multiplies by it: 0 * inf is NaN."""
    conv = nn.Conv2d(2, 3, 1)
    with torch.no_grad():
        conv.weight[0, 0] = -torch.inf
    g = nb.Graph()
    g.output("y", nb.conv2d(g, g.input("x", (2, 4, 4)), conv))
    with pytest.raises(nb.VerifyError, match="NaN or infinite"):
        nb.compile_graph(g, target)


def test_the_same_array_may_be_a_constant_and_not_a_weight() -> None:
    """An array that was looked at for a constant is looked at again for a weight."""
    array = np.full((3, 2, 1, 1), -np.inf, np.float32)
    g = nb.Graph()
    x = g.input("x", (2, 4, 4))
    y = nb.conv2d(g, x, nn.Conv2d(2, 3, 1, bias=False))
    g.output("y", y)
    g.output("z", nb.memorydata(g, array))
    y[0].producer.weights["weight"] = array  # type: ignore[union-attr]
    next(n for n in g.nodes if n.spec.type == "MemoryData").weights["data"] = array
    g.nodes.reverse()
    with pytest.raises(nb.VerifyError, match="NaN or infinite"):
        nb.compile_graph(g)


def test_from_pnnx_takes_a_causal_mask() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mask", torch.from_numpy(CAUSAL))
            self.query = nn.Conv1d(5, 5, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q = self.query(x)
            return (q @ x.transpose(1, 2) + self.mask).softmax(-1) @ x

    g = nb.Graph()
    (y,) = nb.from_pnnx(g, Attention().eval(), g.input("x", (5, 8)))
    assert y.shape == (5, 8) and any(n.spec.type == "MemoryData" for n in g.nodes)
