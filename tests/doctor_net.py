"""A small network in which every kind of fault can be planted: `doctor_net:make`, inputs x and w."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import ncnn_builder as nb


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    return {
        "x": rng.standard_normal((1, 3, 12, 12)).astype(np.float32),
        "w": rng.standard_normal((1, 10)).astype(np.float32),
    }


class Conv(torch.nn.Module):
    """A convolution with padding on the given sides."""

    def __init__(self, i: int, o: int, k: int, pad: tuple[int, int, int, int] = (0, 0, 0, 0)) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(o, i, k, k) / (i * k * k) ** 0.5)
        self.bias = torch.nn.Parameter(torch.randn(o))
        self.pad = pad  # left, right, top, bottom

    def forward(self, x: Any) -> Any:
        return F.conv2d(F.pad(x, self.pad), self.weight, self.bias)

    def export_ncnn(self, g: nb.Graph, x: Any) -> Any:
        left, right, top, bottom = self.pad
        x = nb.pad(g, x, top, bottom, left, right)
        return nb.Fconv2d(g, [*x, *nb.shell(g, x, self.weight, self.bias)])


class Act(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return F.leaky_relu(x, 0.2) * 2**0.5

    def export_ncnn(self, g: nb.Graph, x: Any) -> Any:
        x = nb.activation(g, x, "leaky_relu", {"negative_slope": 0.2})
        return nb.MulConstant(g, x, 2**0.5)


class Norm(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return x * (x.square().mean(dim=[1, 2, 3], keepdim=True) + 0.5).rsqrt()

    def export_ncnn(self, g: nb.Graph, x: Any) -> Any:
        mean = nb.really_reduction(g, nb.square(g, x), "ReduceMean", (0, 1, 2), True)
        return nb.binaryOp(g, [*x, *nb.rsqrt(g, mean, eps=0.5)], "Mul")


class Crop(torch.nn.Module):
    def forward(self, x: Any) -> Any:
        return x[:, :, 2:10, 2:10]

    def export_ncnn(self, g: nb.Graph, x: Any) -> Any:
        return nb.crop(g, x, [2, 2], [10, 10], [1, 2])


class Difference(torch.nn.Module):
    def forward(self, a: Any, b: Any) -> Any:
        return a - 0.5 * b

    def export_ncnn(self, g: nb.Graph, ab: Any) -> Any:
        a, b = ab
        return nb.binaryOp(g, [a, *nb.MulConstant(g, b, 0.5)], "Sub")


class GainedConv(Conv):
    def forward(self, x: Any) -> Any:
        return super().forward(x) * 3

    def export_ncnn(self, g: nb.Graph, x: Any) -> Any:
        return nb.MulConstant(g, super().export_ncnn(g, x), 3.0)


class Twins(torch.nn.Module):
    """Two convolutions with one weight, the second with a gain."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.first, self.second = Conv(n, n, 1), GainedConv(n, n, 1)
        self.second.weight = self.first.weight

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x))

    def export_ncnn(self, g: nb.Graph, x: Any) -> Any:
        return nb.child(g, self, "second", nb.child(g, self, "first", x))


class Linear(torch.nn.Module):
    def __init__(self, i: int, o: int) -> None:
        super().__init__()
        self.weight, self.bias = torch.nn.Parameter(torch.randn(o, i) / i**0.5), torch.nn.Parameter(torch.randn(o))

    def forward(self, x: Any) -> Any:
        return F.linear(x, self.weight, self.bias)

    def export_ncnn(self, g: nb.Graph, x: Any) -> Any:
        return nb.fully_connected(g, x, self.weight, self.bias)


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.act, self.norm, self.crop = Conv(3, 6, 2, (1, 0, 1, 0)), Act(), Norm(), Crop()
        self.mix, self.twins, self.difference = Conv(6, 6, 3, (1, 1, 1, 1)), Twins(6), Difference()
        self.style = torch.nn.Sequential(Linear(10, 10), Linear(10, 6))
        self.rgb = Conv(6, 3, 1)

    def forward(self, x: Any, w: Any) -> Any:
        x = self.crop(self.norm(self.act(self.stem(x))))
        y = self.twins(self.mix(x))
        x = self.difference(x, y)
        x = x * self.style(w)[:, :, None, None]
        return self.rgb(x)

    def export_ncnn(self, g: nb.Graph, inputs: Any) -> Any:
        x, w = inputs
        for name in ("stem", "act", "norm", "crop"):
            x = nb.child(g, self, name, x)
        y = nb.child(g, self, "twins", nb.child(g, self, "mix", x))
        x = nb.child(g, self, "difference", [*x, *y])
        s = nb.child(g, self, "style.1", nb.child(g, self, "style.0", w))
        x = nb.binaryOp(g, [*x, *nb.really_reshape(g, s, (6, 1, 1))], "Mul")
        return nb.child(g, self, "rgb", x)


def make() -> Net:
    torch.manual_seed(3)
    return Net().eval()
