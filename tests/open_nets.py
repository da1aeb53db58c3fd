"""Networks of open sizes, of the kinds that ncnn's users run: what each takes, and which sizes are open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class Restorer(nn.Module):
    """Convolutions, and a picture four times as large."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 1, 1)
        self.body = nn.ModuleList(nn.Conv2d(8, 8, 3, 1, 1) for _ in range(2))
        self.up = nn.Conv2d(8, 12, 3, 1, 1)

    def forward(self, x: Any) -> Any:
        y = z = self.first(x)
        for conv in self.body:
            z = F.leaky_relu(conv(z), 0.2) + z
        z = F.interpolate(z + y, scale_factor=2, mode="nearest")
        return F.pixel_shuffle(self.up(z), 2) + F.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False)


class UNet(nn.Module):
    """Each level resized to the one that it came from, whatever its size."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 16, 3, 2, 1), nn.Conv2d(16, 16, 3, 2, 1)
        self.norm = nn.GroupNorm(4, 16)
        self.up, self.last = nn.Conv2d(32, 8, 3, 1, 1), nn.Conv2d(16, 3, 3, 1, 1)

    def forward(self, x: Any) -> Any:
        a = F.relu(self.a(x))
        b = F.silu(self.norm(self.b(a)))
        y = F.interpolate(F.gelu(self.c(b)), size=b.shape[2:], mode="bilinear", align_corners=False)
        y = F.interpolate(self.up(torch.cat([y, b], 1)), size=a.shape[2:], mode="nearest")
        return torch.sigmoid(self.last(torch.cat([y, a], 1)))


class Denoiser(nn.Module):
    """A picture, and how noisy it is, which is one number everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 3, 3, 1, 1)

    def forward(self, x: Any) -> Any:
        level = torch.zeros(1, 1, *x.shape[2:]).to(x) + 15 / 255
        return self.conv(torch.cat([x, level], 1)) + torch.full((x.shape[3],), 0.5)


class Detector(nn.Module):
    """Boxes and scores of two grids, one behind the other."""

    def __init__(self) -> None:
        super().__init__()
        parts = [nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.SiLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, 2, 1)]
        self.fine, self.coarse = nn.Sequential(*parts, nn.SiLU()), nn.Conv2d(16, 16, 3, 2, 1)
        self.heads = nn.ModuleList([nn.Conv2d(16, 9, 1), nn.Conv2d(16, 9, 1)])

    def forward(self, x: Any) -> Any:
        fine = self.fine(x)
        grids = zip((fine, self.coarse(fine)), self.heads, strict=True)
        rows = torch.cat([head(grid).flatten(2).permute(0, 2, 1) for grid, head in grids], 1)
        return rows[..., :4].exp(), rows[..., 4:].sigmoid()


class Proposals(nn.Module):
    """Windows that hang over the end or not, as the size falls, and a softmax over channels of places, of which there
    is one where the picture is smallest."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)
        self.halve = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.padded = nn.MaxPool2d(3, 2, 1, ceil_mode=True)
        self.mean = nn.AvgPool2d(3, 2, 1, ceil_mode=True)
        self.inner = nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)
        self.score, self.box = nn.Conv2d(8, 2, 1), nn.Linear(8, 4)

    def forward(self, x: Any) -> Any:
        x = self.second(self.halve(self.first(x)))
        pooled = [pool(x) for pool in (self.padded, self.mean, self.inner)]
        return torch.cat([self.score(y).softmax(1) for y in pooled], 1), self.box(sum(pooled).permute(0, 2, 3, 1))


class TextEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(100, 32), nn.Embedding(64, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 7)

    def forward(self, ids: Any) -> Any:
        x = self.words(ids) + self.places(torch.arange(ids.shape[1]))[None]
        return self.head(self.body(x))


class Causal(nn.Module):
    """The first rows of a table of places, and a mask that follows the length."""

    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(torch.randn(64, 32))
        self.qkv, self.out = nn.Linear(32, 96), nn.Linear(32, 32)

    def forward(self, x: Any) -> Any:
        n, length, size = x.shape
        x = x + self.places[:length]
        q, k, v = self.qkv(x).view(n, length, 3, 4, 8).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(n, length, size))


class Recurrent(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layers = getattr(nn, kind)(12, 20, batch_first=True, bidirectional=True)
        self.head = nn.Linear(40, 5)

    def forward(self, x: Any) -> Any:
        return self.head(self.layers(x)[0])


class Windows(nn.Module):
    """Attention in windows of 8 x 8."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.up = nn.Conv2d(3, 16, 3, 1, 1), nn.Conv2d(16, 12, 3, 1, 1)
        self.norm, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)

    def forward(self, x: Any) -> Any:
        y = self.first(x)
        n, c, h, w = y.shape
        rows = y.permute(0, 2, 3, 1)
        z = self.norm(rows).view(n, h // 8, 8, w // 8, 8, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 64, c)
        q, k, v = self.qkv(z).reshape(-1, 64, 3, 2, 8).permute(2, 0, 3, 1, 4)
        z = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, 64, c))
        z = z.view(n, h // 8, w // 8, 8, 8, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        return F.pixel_shuffle(self.up((rows + z).permute(0, 3, 1, 2)), 2)


class Shifted(nn.Module):
    """Attention in windows of 4 x 4 that are shifted by 2, as Swin's: a mask that follows from the size says which
    pixels are no neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3, 1, 1), nn.Conv2d(8, 3, 3, 1, 1)
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    @staticmethod
    def windows(x: Any) -> Any:
        n, h, w, c = x.shape
        return x.view(n, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)

    def mask(self, height: int, width: int) -> Any:
        parts = torch.zeros(1, height, width, 1)
        cuts = (slice(0, -4), slice(-4, -2), slice(-2, None))
        for i, rows in enumerate(cuts):
            for j, columns in enumerate(cuts):
                parts[:, rows, columns, :] = 3 * i + j
        part = self.windows(parts).squeeze(-1)
        other = part.unsqueeze(1) - part.unsqueeze(2)
        return other.masked_fill(other != 0, -100.0).masked_fill(other == 0, 0.0)

    def forward(self, x: Any) -> Any:
        rows = self.first(x).permute(0, 2, 3, 1)
        n, h, w, c = rows.shape
        q, k, v = self.qkv(self.windows(rows.roll((-2, -2), (1, 2)))).reshape(-1, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)
        scores = (q * 0.5) @ k.transpose(-2, -1) + self.mask(h, w).unsqueeze(1)
        z = self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, 16, c))
        z = z.view(n, h // 4, w // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        return self.last((rows + z.roll((2, 2), (1, 2))).permute(0, 3, 1, 2))


class Padded(nn.Module):
    """Windows of 4 x 4 that look at each other alone, of a picture of any size: the net puts a border around."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.mix, self.last = nn.Conv2d(3, 4, 3, 1, 1), nn.Linear(16, 16), nn.Conv2d(4, 3, 3, 1, 1)

    def forward(self, x: Any) -> Any:
        height, width = x.shape[2:]
        y = self.first(F.pad(x, (0, (4 - width % 4) % 4, 0, (4 - height % 4) % 4), "reflect"))
        n, c, h, w = y.shape
        z = y.view(n, c, h // 4, 4, w // 4, 4).permute(0, 1, 2, 4, 3, 5).reshape(n, -1, 16)
        z = self.mix(z).view(n, c, h // 4, w // 4, 4, 4).permute(0, 1, 2, 4, 3, 5).reshape(n, c, h, w)
        return self.last(y + z)[:, :, :height, :width]


class Patches(nn.Module):
    """A convolution of pieces of 8 x 8, as many as there are: each is a sample of ncnn's batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, 1, 1)

    def forward(self, x: Any) -> Any:
        n, c, h, w = x.shape
        y = x.reshape(n, c, h // 8, 8, w // 8, 8).permute(0, 2, 4, 1, 3, 5).reshape(-1, c, 8, 8)
        y = F.relu(self.conv(y)).reshape(n, h // 8, w // 8, 5, 8, 8)
        return y.permute(0, 3, 1, 4, 2, 5).reshape(n, 5, h, w)


class Codebook(nn.Module):
    """Each pixel becomes the code that is nearest to it, which a row of zeros and a one takes out of the table."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.codes = nn.Conv2d(3, 4, 3, 2, 1), nn.Embedding(12, 4)

    def forward(self, x: Any) -> Any:
        z = self.before(x).permute(0, 2, 3, 1).contiguous()
        flat = z.view(-1, 4)
        far = flat.pow(2).sum(1, keepdim=True) + self.codes.weight.pow(2).sum(1) - 2 * flat @ self.codes.weight.t()
        nearest = far.min(dim=1)[1].unsqueeze(1)
        chosen = torch.zeros(nearest.shape[0], 12).to(z)
        chosen.scatter_(1, nearest, 1)
        return (chosen @ self.codes.weight).view(z.shape).permute(0, 3, 1, 2).contiguous()


class Pooled(nn.Module):
    """Pooling into parts whose number follows the size, of whole axes, and of one axis alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.rows = nn.Conv2d(3, 3, 3, 1, 1), nn.AdaptiveMaxPool2d((None, 3))

    def forward(self, x: Any) -> Any:
        h, w = x.shape[2:]
        fine = F.adaptive_max_pool2d(x, (h // 4, w // 4))
        coarse = F.adaptive_avg_pool2d(x, (h // 8, 5))
        y = F.interpolate(self.conv(fine), size=(h, w)) + F.interpolate(coarse, size=(h, w))
        gate = F.avg_pool2d(x, x.shape[2:], None, 0, False, True) + F.max_pool2d(input=x, kernel_size=(h, 2)).mean(
            3, True
        )
        columns = F.avg_pool2d(x, (h, 3), (h, 2), (0, 1), ceil_mode=False, count_include_pad=False)
        return y * torch.sigmoid(gate), self.rows(x), columns


@dataclass(frozen=True)
class Net:
    """make: the module; example: a shape; dynamic: as of convert(); whole: whole numbers below 100 are its input."""

    make: Any
    example: tuple[int, ...]
    dynamic: dict[str, dict[int, str]]
    whole: bool = False

    def input(self, shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
        g = torch.Generator().manual_seed(seed)
        return torch.randint(0, 100, shape, generator=g) if self.whole else torch.randn(shape, generator=g)


NETS = {
    "restorer": Net(Restorer, (1, 3, 20, 24), {"x": {2: "h", 3: "w"}}),
    "unet": Net(UNet, (1, 3, 21, 26), {"x": {2: "h=3..", 3: "w=3.."}}),
    "denoiser": Net(Denoiser, (1, 3, 20, 24), {"x": {2: "h", 3: "w"}}),
    "detector": Net(Detector, (1, 3, 64, 96), {"x": {2: "h=16..", 3: "w=16.."}}),
    "proposals": Net(Proposals, (1, 3, 31, 40), {"x": {2: "h=7..", 3: "w=7.."}}),
    "text": Net(TextEncoder, (1, 11), {"ids": {1: "n=2..64"}}, whole=True),
    "causal": Net(Causal, (1, 11, 32), {"x": {1: "n=2..64"}}),
    "gru": Net(lambda: Recurrent("GRU"), (1, 9, 12), {"x": {1: "n"}}),
    "lstm": Net(lambda: Recurrent("LSTM"), (1, 9, 12), {"x": {1: "n"}}),
    "windows": Net(Windows, (1, 3, 24, 32), {"x": {2: "8*h", 3: "8*w"}}),
    "shifted": Net(Shifted, (1, 3, 12, 20), {"x": {2: "4*h=8..256", 3: "4*w=8..256"}}),
    "patches": Net(Patches, (1, 3, 24, 16), {"x": {2: "8*h", 3: "8*w"}}),
    "codebook": Net(Codebook, (1, 3, 12, 14), {"x": {2: "h", 3: "w"}}),
    "pooled": Net(Pooled, (1, 3, 24, 16), {"x": {2: "8*h", 3: "8*w"}}),
    "padded": Net(Padded, (1, 3, 21, 30), {"x": {2: "h=4..", 3: "w=4.."}}),
}
