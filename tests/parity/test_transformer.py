"""A network that is no StyleGAN, written as an author would: words, attention, an LSTM; by modules and by nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from parity_support import run_emitted
from torch import nn

import ncnn_builder as nb
from ncnn_builder.parity import Report, isolated_nodes, torch_taps


class Block(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(size), nn.RMSNorm(size, eps=1e-6)
        self.attention = nn.MultiheadAttention(size, heads, batch_first=True)
        self.up, self.down = nn.Linear(size, 4 * size), nn.Linear(4 * size, size)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, attn_mask=mask, need_weights=False)[0]
        return x + 0.5 * self.down(nn.functional.gelu(self.up(self.norm2(x))))

    def export_ncnn(self, g: nb.Graph, x: nb.Value, mask: nb.Value) -> list[nb.Value]:
        y = nb.layer_norm(g, x, self.norm1)
        x = x + nb.multihead_attention(g, [*y, mask], self.attention, attn_mask=True)[0]
        y = nb.linear(g, nb.rms_norm(g, x, self.norm2), self.up)
        return [x + 0.5 * nb.linear(g, nb.activation(g, y, "gelu"), self.down)[0]]


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 12)
        self.blocks = nn.ModuleList([Block(12, 3), Block(12, 2)])
        self.memory = nn.LSTM(12, 7, batch_first=True, bidirectional=True)
        self.register_buffer("mask", torch.triu(torch.full((6, 6), -1e4), 1))

    def forward(self, words: torch.Tensor) -> Any:
        x = self.embedding(words)
        for block in self.blocks:
            x = block(x, self.mask)
        y, (hidden, _) = self.memory(x, tuple(torch.zeros(2, 1, 7) for _ in range(2)))
        return y[:, -1, 2:9].softmax(1), hidden

    def export_ncnn(self, g: nb.Graph, words: nb.Value) -> list[nb.Value]:
        (x,) = nb.embedding(g, words, self.embedding)
        (mask,) = nb.memorydata(g, self.mask)
        for i in range(len(self.blocks)):
            (x,) = nb.child(g, self, f"blocks.{i}", x, mask)
        zeros = [nb.memorydata(g, np.zeros((2, 7))) for _ in range(2)]
        y, hidden, _ = nb.lstm(g, [x, *zeros], self.memory)
        return [*nb.softmax(g, y[-1, 2:9], 1), hidden]


WORDS = np.array([3, 9, 0, 1, 1, 7])


@pytest.fixture
def network() -> Words:
    torch.manual_seed(4)
    return Words().eval()


def exported(network: Words) -> nb.Graph:
    g = nb.Graph("words")
    for name, value in zip(("odds", "hidden"), network.export_ncnn(g, g.input("words", (6,))), strict=True):
        g.output(name, value)
    return g


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_the_network_and_its_modules(network: Words, target: str) -> None:
    words = torch.from_numpy(WORDS)[None]
    with torch.no_grad():
        odds, hidden = network(words)
        model = nb.compile_graph(exported(network), target)
        expected = torch_taps(network, lambda: network(words), model.taps)
    got = run_emitted(model, {"words": WORDS}, ["odds", "hidden", *model.taps.values()])
    report = Report(target).add_all({path: got[blob] for path, blob in model.taps.items()}, expected, 2e-5)
    assert [c.name for c in report.comparisons] == ["blocks.0", "blocks.1"]
    report.add_all(got, {"odds": odds[0].numpy(), "hidden": hidden[:, 0].numpy()}, 2e-5).check()


def test_every_node_alone(network: Words) -> None:
    findings = list(isolated_nodes(exported(network), {"words": WORDS}, run_emitted))
    types = [f.node.spec.type for f in findings]
    assert types.count("MultiHeadAttention") == 2 and types.count("LSTM") == 3  # one for each of its results
    assert all(f.comparison.ok for f in findings), [str(f) for f in findings if not f.comparison.ok]
