"""A restorer of faces like GFPGAN: an encoder of torch's modules, a StyleGAN2 decoder that its features modulate.

The encoder exports itself. The decoder is what no converter handles well: weights that depend on the input; its author
says modulated_conv2d(), and every target knows what that is made of.
`python examples/gfpgan_like.py` writes gfpgan_like.param and .bin for any ncnn, and proves them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

import ncnn_builder as nb
from stylegan.networks.functional import bias_act, modulated_conv2d


class StyleConv(nn.Module):
    """StyleGAN2's layer: x [N, C, H, W] and w [N, w_dim] -> [N, out, H, W], twice as large where up."""

    def __init__(
        self, channels: int, out: int, w_dim: int, up: bool = False, kernel: int = 3, act: str = "lrelu"
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, channels, kernel, kernel) / (channels * kernel**2) ** 0.5)
        self.bias, self.affine = nn.Parameter(torch.zeros(out)), nn.Linear(w_dim, channels)
        nn.init.ones_(self.affine.bias)
        self.up, self.padding, self.act, self.demodulate = up, kernel // 2, act, kernel > 1

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = functional.interpolate(x, scale_factor=2, mode="bilinear") if self.up else x
        y = modulated_conv2d(x, self.weight, self.affine(w), padding=self.padding, demodulate=self.demodulate)
        return bias_act(y, self.bias, self.act)

    def export_ncnn(self, g: nb.Graph, inputs: nb.ValueLike) -> list[nb.Value]:
        x, w = nb.check_bottom_names(inputs)
        styles = nb.child(g, self, "affine", w)
        if self.up:
            (x,) = nb.interpolate(g, x, scale_factor=2, mode="bilinear")
        y = nb.modulated_conv2d(g, [x, *styles], self.weight, padding=self.padding, demodulate=self.demodulate)
        return nb.bias_act(g, y, self.bias, self.act)


class Restorer(nn.Module):
    """A damaged picture [N, 3, R, R] -> a restored one, R = 8 * 2^levels."""

    def __init__(self, width: int = 32, w_dim: int = 64, levels: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.ModuleList(
            nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(width, width, 3, 2, padding=1)) for _ in range(levels)
        )
        self.style = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(width * 16, w_dim))
        self.convs = nn.ModuleList(StyleConv(width, width, w_dim, up=True) for _ in range(levels))
        self.factors = nn.ModuleList(self._condition(width, width // 2) for _ in range(levels))
        self.addends = nn.ModuleList(self._condition(width, width // 2) for _ in range(levels))
        self.rgbs = nn.ModuleList(StyleConv(width, 3, w_dim, kernel=1, act="linear") for _ in range(levels))

    @staticmethod
    def _condition(channels: int, out: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.SiLU(), nn.Conv2d(channels, out, 1))

    def forward(self, x: Tensor) -> Tensor:
        features = [self.first(x)]
        for down in self.down:
            features.append(down(features[-1]))
        x = features.pop()
        w, picture = self.style(x), None
        for conv, factor, addend, rgb in zip(self.convs, self.factors, self.addends, self.rgbs, strict=True):
            condition = features.pop()
            kept, moved = conv(x, w).chunk(2, 1)  # half of the channels take the details of the input
            x = torch.cat([kept, moved * factor(condition) + addend(condition)], 1)
            shown = rgb(x, w)
            if picture is not None:
                shown = shown + functional.interpolate(picture, scale_factor=2, mode="bilinear")
            picture = shown
        return picture

    def export_ncnn(self, g: nb.Graph, inputs: nb.ValueLike) -> nb.Value:
        features = [nb.child(g, self, "first", inputs)]
        for i in range(len(self.down)):
            features.append(nb.child(g, self, f"down.{i}", features[-1]))
        x = features.pop()
        w, picture = nb.child(g, self, "style", x), None
        for i in range(len(self.convs)):
            condition = features.pop()
            kept, moved = nb.slice(g, nb.child(g, self, f"convs.{i}", [x, w]), len(self.convs[i].bias) // 2, dim=1)
            factor = nb.child(g, self, f"factors.{i}", condition)
            addend = nb.child(g, self, f"addends.{i}", condition)
            x = nb.concat(g, [kept, moved * factor + addend], dim=1)
            shown = nb.child(g, self, f"rgbs.{i}", [x, w])
            if picture is not None:
                shown = shown + nb.interpolate(g, picture, scale_factor=2, mode="bilinear")
            picture = shown
        return picture


def example(width: int = 32) -> tuple[nn.Module, dict[str, Tensor]]:
    torch.manual_seed(0)
    return Restorer(width).eval(), {"picture": torch.rand(1, 3, 64, 64) * 2 - 1}


if __name__ == "__main__":
    from proof import main

    main(*example(), "gfpgan_like")
