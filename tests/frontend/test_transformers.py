"""Transformers of the forms that the field uses, small: each converted whole, run by ncnn and compared with torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ncnn_builder as nb
from ncnn_builder.frontend.samples.sample import seeded


class WindowAttention(nn.Module):
    """Swin's: heads within windows, a bias by relative place, and a mask for windows that were shifted together."""

    def __init__(self, dim: int, window: int, heads: int) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.table = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads))
        places = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        away = (places[:, :, None] - places[:, None]).permute(1, 2, 0) + window - 1
        self.register_buffer("index", away[..., 0] * (2 * window - 1) + away[..., 1])
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        windows, rows, dim = x.shape
        q, k, v = self.qkv(x).reshape(windows, rows, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        scores = q * (dim // self.heads) ** -0.5 @ k.transpose(-2, -1)
        scores = scores + self.table[self.index.view(-1)].view(rows, rows, -1).permute(2, 0, 1)[None]
        if mask is not None:
            count = mask.shape[0]
            scores = scores.view(windows // count, count, self.heads, rows, rows) + mask[None, :, None]
            scores = scores.view(-1, self.heads, rows, rows)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(windows, rows, dim))


class SwinBlock(nn.Module):
    def __init__(self, size: int = 8, dim: int = 12, window: int = 4, shift: int = 2) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = WindowAttention(dim, window, 3)
        self.mlp = nn.Sequential(nn.Linear(dim, 24), nn.GELU(), nn.Linear(24, dim))
        regions = torch.zeros(1, size, size, 1)
        cuts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
        for i, (h, w) in enumerate((h, w) for h in cuts for w in cuts):
            regions[:, h, w] = i
        flat = self.windows(regions).view(-1, window * window)
        mask = flat[:, None] - flat[:, :, None]
        self.register_buffer("mask", mask.masked_fill(mask != 0, -100.0).masked_fill(mask == 0, 0.0) if shift else None)

    def windows(self, x: torch.Tensor) -> torch.Tensor:
        n, h, w, c = x.shape
        x = x.view(n, h // self.window, self.window, w // self.window, self.window, c)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, self.window * self.window, c)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, h, w, c = x.shape
        y = torch.roll(self.norm1(x), (-self.shift, -self.shift), (1, 2))
        y = self.attention(self.windows(y), self.mask)
        y = y.view(n, h // self.window, w // self.window, self.window, self.window, c)
        y = y.permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        x = x + torch.roll(y, (self.shift, self.shift), (1, 2))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(48), nn.Linear(48, 24, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, h, w, c = x.shape
        x = x.reshape(n, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 4, 2, 5).flatten(3)
        return self.reduction(self.norm(x))


class RMSNorm(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


class Llama(nn.Module):
    """Rotary positions, groups of heads, a causal mask, gated layers, by tokens."""

    def __init__(self, dim: int = 32, heads: int = 4, groups: int = 2) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, dim // heads
        self.embed, self.norm1, self.norm2 = nn.Embedding(50, dim), RMSNorm(dim), RMSNorm(dim)
        self.q, self.o = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.k, self.v = (nn.Linear(dim, groups * self.size, bias=False) for _ in "kv")
        self.gate, self.up, self.down = nn.Linear(dim, 48), nn.Linear(dim, 48), nn.Linear(48, dim)

    def turned(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        first, second = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
        return x * cos + torch.cat((-second, first), -1) * sin

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        n, rows = ids.shape
        x = self.embed(ids)
        inverse = 1.0 / 10000 ** (torch.arange(0, self.size, 2).float() / self.size)
        angles = torch.arange(rows)[:, None].float() * inverse
        angles = torch.cat((angles, angles), -1)
        cos, sin = angles.cos()[None, None], angles.sin()[None, None]
        h = self.norm1(x)
        q = self.turned(self.q(h).view(n, rows, self.heads, -1).transpose(1, 2), cos, sin)
        k = self.turned(self.k(h).view(n, rows, self.groups, -1).transpose(1, 2), cos, sin)
        v = self.v(h).view(n, rows, self.groups, -1).transpose(1, 2)
        k, v = (
            t[:, :, None].expand(n, self.groups, self.heads // self.groups, rows, self.size).reshape(*q.shape)
            for t in (k, v)
        )
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(n, rows, -1))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class T5(nn.Module):
    """A bias by buckets of relative places, no scale, scores in einsum."""

    def __init__(self, dim: int = 16, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.bias = nn.Embedding(8, heads)
        self.norm = RMSNorm(dim)
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim, bias=False) for _ in "qkvo")

    def buckets(self, rows: int) -> torch.Tensor:
        away = torch.arange(rows)[None] - torch.arange(rows)[:, None]
        size = away.abs().clamp(min=1).float()
        far = 2 + (torch.log(size / 2) / math.log(8) * 2).long().clamp(max=1)
        return (away > 0).long() * 4 + torch.where(away.abs() < 2, away.abs(), far)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.norm(x)
        q, k, v = (m(h).unflatten(-1, (self.heads, -1)) for m in (self.q, self.k, self.v))
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) + self.bias(self.buckets(x.shape[1])).permute(2, 0, 1)[None]
        y = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v)
        return x + self.o(y.flatten(2))


class Bert(nn.Module):
    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        self.words, self.places, self.kinds = nn.Embedding(30, dim), nn.Embedding(12, dim), nn.Embedding(2, dim)
        self.norm = nn.LayerNorm(dim)
        layer = nn.TransformerEncoderLayer(dim, 4, 32, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        places = torch.arange(ids.shape[1])[None]
        x = self.words(ids) + self.places(places) + self.kinds(torch.zeros_like(ids))
        return self.encoder(self.norm(x))


class ViT(nn.Module):
    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, dim, 4, 4)
        self.token, self.place = nn.Parameter(torch.zeros(1, 1, dim)), nn.Parameter(torch.zeros(1, 17, dim))
        layer = nn.TransformerEncoderLayer(dim, 4, 32, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(dim, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.place
        return self.head(self.encoder(x)[:, 0])


class CrossCovariance(nn.Module):
    """XCiT's: attention between channels, of normalised rows."""

    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        self.qkv, self.temperature = nn.Linear(dim, 3 * dim), nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, rows, dim = x.shape
        q, k, v = self.qkv(x).reshape(n, rows, 3, 4, dim // 4).permute(2, 0, 3, 4, 1).unbind(0)
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1) * self.temperature
        return (scores.softmax(-1) @ v).permute(0, 3, 1, 2).reshape(n, rows, dim)


_DRAWN = torch.Generator().manual_seed(11)
_IDS = torch.randint(0, 30, (1, 9), generator=_DRAWN)


def _drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=_DRAWN)


CASES = {
    "swin": (SwinBlock, _drawn(1, 8, 8, 12)),
    "swin-not-shifted": (lambda: SwinBlock(shift=0), _drawn(1, 8, 12, 12)),
    "swin-batch": (SwinBlock, _drawn(2, 8, 8, 12)),
    "patch-merging": (PatchMerging, _drawn(1, 6, 4, 12)),
    "llama": (Llama, _IDS),
    "llama-batch": (Llama, torch.randint(0, 30, (2, 7), generator=_DRAWN)),
    "t5": (T5, _drawn(1, 9, 16)),
    "bert": (Bert, _IDS),
    "vit": (ViT, _drawn(1, 3, 16, 16)),
    "xcit": (CrossCovariance, _drawn(1, 7, 16)),
}


@pytest.mark.parametrize("name", CASES)
def test_transformer(name, tmp_path):
    make, x = CASES[name]
    done = nb.convert(seeded(make()), (x,), tmp_path / "net")
    assert done.checked is not None
    assert all(c.required < 1e-4 for c in done.checked.outputs)
    assert (tmp_path / "net.param").exists()
