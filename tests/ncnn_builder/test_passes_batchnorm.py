"""fold_scales with a BatchNorm: into what, along which axis, what is refused; and taps that do not stand in its way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from module_support import Net, graph_of, randomise
from pass_support import fires, refuses, same_on_ncnn, types
from pass_support import graph_of as graph
from torch import nn

import ncnn_builder as nb
from ncnn_builder.passes.fold_scales import fold_scales
from ncnn_builder.passes.fuse_activation import fuse_activation
from ncnn_builder.pipeline import lower_and_optimise

PICTURE, SIGNAL, VOLUME = (4, 5, 6), (4, 9), (4, 3, 5, 4)


def ready(module: Any) -> Any:
    randomise(module)
    return module.eval()


LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    *((nn.Conv2d(4, 6, 3, bias=bias, padding=1), PICTURE) for bias in (True, False)),
    *((nn.Conv2d(4, 6, 3, groups=2), PICTURE), (nn.ConvTranspose2d(4, 6, 3, 2), PICTURE)),
    (nn.ConvTranspose2d(4, 6, 3, groups=2, output_padding=1, stride=2), PICTURE),
    *((nn.Conv1d(4, 6, 3), SIGNAL), (nn.Conv1d(4, 6, 3, groups=2), SIGNAL), (nn.ConvTranspose1d(4, 6, 3), SIGNAL)),
    *((nn.ConvTranspose1d(4, 6, 3, groups=2), SIGNAL), (nn.Linear(7, 6), (7,))),
    *((nn.Conv3d(4, 6, 2), VOLUME), (nn.Conv3d(4, 6, 2, groups=2), VOLUME)),
    *((nn.ConvTranspose3d(4, 6, 2), VOLUME), (nn.ConvTranspose3d(4, 6, 2, groups=2), VOLUME)),
]
NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}


@pytest.mark.parametrize(("module", "shape"), LAYERS, ids=lambda v: str(v)[:50])
@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_goes_into_the_layer_in_front(module: nn.Module, shape: tuple[int, ...], affine: bool) -> None:
    module, norm = ready(module), ready(NORMS[len(shape)](6, eps=1e-3, affine=affine))
    g = graph(lambda g, x: nb.batch_norm(g, nb.export_module(g, module, x), norm), shape)
    layer = types(g)[0]
    same_on_ncnn(g, fires(fold_scales, g, [layer], tolerance=5e-6))


def test_rows_of_a_matrix_product_are_no_channels() -> None:
    """BatchNorm1d of (C, W) is along the rows, a bias of nn.Linear along the columns."""
    linear, norm = ready(nn.Linear(7, 4)), ready(nn.BatchNorm1d(4))
    refuses(fold_scales, graph(lambda g, x: nb.batch_norm(g, nb.linear(g, x, linear), norm), (4, 7)))
    conv = ready(nn.Conv1d(4, 4, 3))
    for shape in ((1, 7), (4, 1)):  # a factor for each column, and for each channel
        numbers = np.linspace(1, 2, max(shape)).astype(np.float32).reshape(shape)

        def build(g: nb.Graph, x: nb.Value, numbers: np.ndarray = numbers) -> list[nb.Value]:
            return nb.binaryOp(g, [*nb.conv1d(g, x, conv), *nb.memorydata(g, numbers)], "Mul")

        if shape == (1, 7):
            refuses(fold_scales, graph(build, SIGNAL))
        else:
            fires(fold_scales, graph(build, SIGNAL), ["Convolution1D"], tolerance=5e-6)


def test_what_is_refused() -> None:
    conv, norm, big = ready(nn.Conv2d(4, 4, 3)), ready(nn.BatchNorm2d(4)), ready(nn.BatchNorm2d(4))
    with torch.no_grad():
        big.running_var.fill_(-1.0)

    def used_twice(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        y = nb.conv2d(g, x, conv)
        return [*nb.batch_norm(g, y, norm), *y]

    refuses(fold_scales, graph(used_twice, PICTURE))
    refuses(fold_scales, graph(lambda g, x: nb.batch_norm(g, nb.conv2d(g, x, conv), big), PICTURE))  # NaN
    # behind an activation, and in front of a layer: there is an addend
    refuses(fold_scales, graph(lambda g, x: nb.conv2d(g, nb.batch_norm(g, x, norm), conv), PICTURE))
    fused = fuse_activation(graph(lambda g, x: nb.activation(g, nb.conv2d(g, x, conv), "relu"), PICTURE))
    assert types(fused) == ["Convolution"]
    by_value = graph(lambda g, x, w: nb.batch_norm(g, nb.Fconv2d(g, [x, w]), norm), PICTURE, (4, 4, 3, 3))
    refuses(fold_scales, by_value)


# -- taps -------------------------------------------------------------------------------------------------------

BLOCK = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_a_block_of_torch_is_one_layer(target: str) -> None:
    """Taps of torch's own modules give way, but on `reference`, which compares each."""
    g = graph_of(Net(BLOCK), PICTURE)
    lowered = lower_and_optimise(g, target)
    if target == "reference":
        assert types(lowered) == ["Convolution", "BatchNorm", "ReLU"] and lowered.taps.keys() == g.taps.keys()
    else:
        assert types(lowered) == ["Convolution"] and list(lowered.taps) == ["part.2", "part"]
        assert lowered.nodes[0].params["activation_type"] == 1


def test_a_tap_of_an_authors_module_stays() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = BLOCK[0]

        def forward(self, x: torch.Tensor) -> Any:
            return self.conv(x)

        def export_ncnn(self, g: nb.Graph, inputs: Any) -> Any:
            return nb.child(g, self, "conv", inputs)

    lowered = lower_and_optimise(graph_of(Net(nn.Sequential(Own(), BLOCK[1], BLOCK[2])), PICTURE), "stock")
    assert types(lowered) == ["Convolution", "BatchNorm", "ReLU"]
    assert list(lowered.taps) == ["part.0.conv", "part.0", "part.1", "part.2", "part"]


def test_a_loose_tap_keeps_nothing_alive() -> None:
    g = nb.Graph()
    x = g.input("x", PICTURE)
    with g.scope("unread"):
        g.tap(*nb.export_module(g, nn.Tanh(), x), loose=True)
    with g.scope("kept"):
        g.tap(*nb.export_module(g, nn.Tanh(), x))
    g.output("y", nb.export_module(g, nn.ReLU(), x))
    lowered = lower_and_optimise(g, "reference")
    assert list(lowered.taps) == ["kept"] and types(lowered) == ["TanH", "ReLU"] and not lowered.loose
