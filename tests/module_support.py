"""What the tests of exported modules share: a module in a network, its taps on every target, against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from parity_support import run_emitted
from torch import nn

import ncnn_builder as nb
from ncnn_builder.parity import Report, torch_taps

TARGETS = sorted(nb.TARGETS)
TOLERANCE = 2e-5


class Net(nn.Module):
    """A network of one module, so that it has a path."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.part = module
        randomise(self)
        self.eval()

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.part(*inputs)


def randomise(module: nn.Module, seed: int = 0) -> None:
    """Weights and statistics that no default value hides."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            if "var" in name:
                tensor.uniform_(0.5, 2, generator=generator)
            elif tensor.ndim > 1:
                tensor.normal_(0, tensor[0].numel() ** -0.5, generator=generator)
            else:
                tensor.normal_(0.5, 0.5, generator=generator)


def graph_of(net: nn.Module, *shapes: tuple[int, ...]) -> nb.Graph:
    g = nb.Graph()
    inputs = [g.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    result = nb.child(g, net, "part", inputs)
    for i, value in enumerate(nb.check_bottom_names(result)):
        g.output(f"y{i}", value)
    return g


def batched(module: nn.Module, array: np.ndarray) -> torch.Tensor:
    """With N = 1 where this module wants it."""
    return torch.from_numpy(array).unsqueeze(0 if getattr(module, "batch_first", True) else 1)


def check_module(
    module: nn.Module, *shapes: tuple[int, ...], tolerance: float = TOLERANCE, index: int = 0, targets: Any = TARGETS
) -> nb.Graph:
    """Export the module and compare each of its taps with torch on every target. index: inputs are 0 to index - 1."""
    net = Net(module)
    rng = np.random.default_rng(sum(shapes[0]))
    arrays = [
        rng.integers(0, index, s).astype(np.int32) if index else rng.standard_normal(s).astype(np.float32)
        for s in shapes
    ]
    graph = graph_of(net, *shapes)
    tensors = [batched(module, a) for a in arrays]
    with torch.no_grad():
        expected = torch_taps(net, lambda: net(*tensors), graph.taps)
    for target in targets:
        model = nb.compile_graph(graph, target)
        blobs = run_emitted(model, {f"x{i}": a for i, a in enumerate(arrays)}, list(dict.fromkeys(model.taps.values())))
        got = {path: blobs[blob] for path, blob in model.taps.items()}
        assert set(graph.taps) == set(got) if target == "reference" else "part" in " ".join(got)
        Report(f"{type(module).__name__} on {target}").add_all(got, {p: expected[p] for p in got}, tolerance).check()
    return graph
