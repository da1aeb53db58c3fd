"""What compiling holds in memory: of large networks it is what limits a conversion."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
import torch
from torch import nn

import ncnn_builder as nb
from ncnn_builder.ir import Graph


def network(layers: int, channels: int) -> tuple[Graph, int]:
    """Convolutions with a batch norm behind each, which goes into their weights; and the bytes of these."""
    g = nb.Graph()
    x = g.input("in0", (channels, 4, 4))
    torch.manual_seed(0)
    for _ in range(layers):
        norm = nn.BatchNorm2d(channels).eval()
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        x = nb.batch_norm(g, nb.conv2d(g, x, nn.Conv2d(channels, channels, 3, padding=1).eval()), norm)[0]
    g.output("out0", x)
    return g, 4 * layers * channels * channels * 9


@pytest.mark.parametrize("target", ["stock", "fused"])
def test_a_weight_that_is_folded_is_there_once_until_it_is_written(target: str) -> None:
    g, size = network(8, 128)
    nb.compile_graph(network(1, 4)[0], target)  # what is made once is not counted
    gc.collect()
    gc.disable()  # it may run late
    tracemalloc.start()
    try:
        model = nb.compile_graph(g, target)
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert len(model.bin) > size
    assert most < 1.5 * size, "the folded weights and the file are there at once"
    assert held < 1.2 * size, "graphs that nobody looks at hold weights"
