"""A network with an operator of one's own, which becomes a layer of one's own in C++.

    cmake -S . -B build -DCMAKE_PREFIX_PATH="$(python -m runtime.sdk)" && cmake --build build
    python denoise.py build/median.so out/denoise

Three declarations belong together: the operator for torch, the layer for ncnn_builder, and the converter from the one
to the other. What median.cpp computes is compared with what the operator computes, as with every other layer.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional as F

import ncnn_builder as nb
from runtime import add_layers


@torch.library.custom_op("own_layer::median", mutates_args=())
def median(x: torch.Tensor, radius: int) -> torch.Tensor:
    """[N, C, H, W] -> the same: the median of the window around each number; the border is repeated."""
    size = 2 * radius + 1
    padded = F.pad(x, (radius,) * 4, mode="replicate")
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)  # [N, C, H, W, size, size]
    return windows.flatten(4).median(dim=4).values


@median.register_fake
def _(x: torch.Tensor, radius: int) -> torch.Tensor:
    return torch.empty_like(x)


@nb.register
class Median(nb.OpSpec):
    """The median of the window of `radius` around each number; beyond the border the nearest one counts."""

    type = "Median"  # as the .param file names it, and NCNN_BUILDER_LAYERS
    outside = True
    params = (nb.Param("radius", 0, "int", "of the window: 1 is 3x3", 1),)

    def infer(self, inputs: Sequence[Any], params: Any, weights: Mapping[str, Any]) -> list[Any]:
        if len(inputs[0]) != 3:
            raise nb.BuildError("wrong number of dimensions", expected="[C, H, W]", got=list(inputs[0]))
        return [inputs[0]]

    def reference(self, inputs: Sequence[torch.Tensor], params: Any, weights: Any) -> list[torch.Tensor]:
        return [median(inputs[0][None], params["radius"])[0]]

    def samples(self) -> list[nb.Sample]:
        return [nb.Sample("median", ((3, 5, 7),), lambda g, x: median_filter(g, x, 1))]


@nb.dsl
def median_filter(g: nb.Graph, bottom_names: nb.ValueLike, radius: int) -> nb.Values:
    """The DSL's function, for export_ncnn()."""
    return nb.append(g, nb.registry["Median"], bottom_names, {"radius": radius})


@nb.converts(torch.ops.own_layer.median.default, rank=3)
def _median(g: nb.Graph, node: Any, x: nb.Value, radius: int) -> nb.Values:
    """One sample after the other: [C, H, W] each."""
    return median_filter(g, x, radius)


class Denoise(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.last = torch.nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(median(F.relu(self.first(x)), 2))


def make() -> torch.nn.Module:
    torch.manual_seed(0)
    return Denoise().eval()


if __name__ == "__main__":
    library, out = sys.argv[1:]
    add_layers(library)
    print(nb.convert(make(), torch.rand(1, 3, 32, 24), out))
