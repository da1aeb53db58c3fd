"""Networks of rows of numbers, small: transformers of the forms that the field writes, and recurrent ones."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Packed(nn.Module):
    """Attention with one product for q, k and v, as timm writes it."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        n, rows, dim = x.shape
        q, k, v = self.qkv(x).reshape(n, rows, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(n, rows, dim))


class Heads(nn.Module):
    """Attention with three products for q, k and v, as transformers writes it."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        n, rows, dim = x.shape
        q, k, v = (part(x).view(n, rows, self.heads, -1).transpose(1, 2) for part in (self.q, self.k, self.v))
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(n, rows, dim))


class Written(nn.Module):
    """Attention written out, as BERT had it."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.proj = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        n, rows, dim = x.shape
        q, k, v = (part(x).view(n, rows, self.heads, -1).permute(0, 2, 1, 3) for part in (self.q, self.k, self.v))
        scores = torch.matmul(q, k.transpose(-1, -2)) / (dim // self.heads) ** 0.5
        x = torch.matmul(scores.softmax(-1), v).permute(0, 2, 1, 3).contiguous()
        return self.proj(x.view(n, rows, dim))


class Multi(nn.Module):
    """torch's own attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, need_weights=False)[0]


class Block(nn.Module):
    def __init__(self, dim: int, attention: nn.Module, act: Any = nn.GELU) -> None:
        super().__init__()
        self.norm1, self.attention, self.norm2 = nn.LayerNorm(dim), attention, nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), act(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """ViT-Ti's plan, of half its depth."""

    def __init__(self, attention: Any, dim: int = 192, depth: int = 6, size: int = 224, patch: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, dim, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.places = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, dim) * 0.02)
        self.blocks = nn.Sequential(*(Block(dim, attention(dim, 3)) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.norm(self.blocks(x))[:, 0])


class WindowAttention(nn.Module):
    """Swin's, written out: a bias by relative place, a mask for windows that were shifted together."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.table = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads) * 0.02)
        places = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
        away = (places[:, :, None] - places[:, None]).permute(1, 2, 0) + window - 1
        self.index = nn.Buffer((away[..., 0] * (2 * window - 1) + away[..., 1]).view(-1))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        n, rows, dim = x.shape
        q, k, v = self.qkv(x).reshape(n, rows, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * (dim // self.heads) ** -0.5) @ k.transpose(-2, -1)
        scores = scores + self.table[self.index].view(rows, rows, -1).permute(2, 0, 1).unsqueeze(0)
        if mask is not None:
            count = mask.shape[0]
            scores = scores.view(n // count, count, self.heads, rows, rows) + mask.unsqueeze(1).unsqueeze(0)
            scores = scores.view(n, self.heads, rows, rows)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, rows, dim))


class SwinBlock(nn.Module):
    def __init__(self, dim: int, heads: int, size: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = WindowAttention(dim, heads, window)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        mask = None
        if shift:
            regions = torch.zeros(1, size, size, 1)
            cuts = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
            for i, (h, w) in enumerate((h, w) for h in cuts for w in cuts):
                regions[:, h, w] = i
            flat = self.windows(regions).view(-1, window * window)
            mask = (flat[:, None] != flat[:, :, None]).float() * -100
        self.register_buffer("mask", mask)

    def windows(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        x = x.view(n, h // self.window, self.window, w // self.window, self.window, c)
        return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, self.window * self.window, c)

    def forward(self, x: Tensor) -> Tensor:
        n, h, w, c = x.shape
        y = self.norm1(x)
        if self.shift:
            y = torch.roll(y, (-self.shift, -self.shift), (1, 2))
        y = self.attention(self.windows(y), self.mask)
        y = y.view(n, h // self.window, w // self.window, self.window, self.window, c)
        y = y.permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        if self.shift:
            y = torch.roll(y, (self.shift, self.shift), (1, 2))
        x = x + y
        return x + self.mlp(self.norm2(x))


class Merging(nn.Module):
    """Swin's patch merging: four neighbours by slices."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * dim), nn.Linear(4 * dim, 2 * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)]
        return self.reduction(self.norm(torch.cat(parts, -1)))


class Swin(nn.Module):
    def __init__(self, dim: int = 48, size: int = 28, window: int = 7) -> None:
        super().__init__()
        self.patches, self.norm0 = nn.Conv2d(3, dim, 4, 4), nn.LayerNorm(dim)
        blocks: list[nn.Module] = [SwinBlock(dim, 3, size, window, s) for s in (0, window // 2)]
        blocks += [Merging(dim), *(SwinBlock(2 * dim, 6, size // 2, window, s) for s in (0, window // 2))]
        self.blocks, self.norm, self.head = nn.Sequential(*blocks), nn.LayerNorm(2 * dim), nn.Linear(2 * dim, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm0(self.patches(x).permute(0, 2, 3, 1))
        return self.head(self.norm(self.blocks(x)).mean((1, 2)))


class Recurrent(nn.Module):
    """A tagger: LSTM forward and back, a GRU behind it."""

    def __init__(self, size: int = 64, hidden: int = 96) -> None:
        super().__init__()
        self.lstm = nn.LSTM(size, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(2 * hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 40)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.gru(self.lstm(x)[0])[0]).log_softmax(-1)


class Words(nn.Module):
    """A text encoder."""

    def __init__(self, layers: nn.Module, dim: int = 128, words: int = 1000, rows: int = 64) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, dim), nn.Parameter(torch.randn(1, rows, dim))
        self.layers, self.norm = layers, nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.layers(self.words(x) + self.places))


def encoder(attention: Any, dim: int = 128, depth: int = 3) -> nn.Module:
    return Words(nn.Sequential(*(Block(dim, attention(dim, 4)) for _ in range(depth))))


def torch_encoder(dim: int = 128, depth: int = 3) -> nn.Module:
    layer = nn.TransformerEncoderLayer(dim, 4, 4 * dim, activation="gelu", batch_first=True, norm_first=True)
    return Words(nn.TransformerEncoder(layer, depth, enable_nested_tensor=False))


class Llama(nn.Module):
    """A decoder's block as language models have it: RMS norms, rotary places, grouped heads, a gated MLP."""

    def __init__(self, dim: int = 128, heads: int = 4, groups: int = 2, rows: int = 64) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, dim // heads
        linear = lambda i, o: nn.Linear(i, o, bias=False)
        self.q, self.o = linear(dim, dim), linear(dim, dim)
        self.k, self.v = linear(dim, groups * self.size), linear(dim, groups * self.size)
        self.up, self.gate, self.down = linear(dim, 3 * dim), linear(dim, 3 * dim), linear(3 * dim, dim)
        self.norm1, self.norm2 = nn.Parameter(torch.ones(dim)), nn.Parameter(torch.ones(dim))
        angles = torch.arange(rows)[:, None] / 10000 ** (torch.arange(0, self.size, 2) / self.size)
        turns = torch.cat([angles, angles], -1)
        self.cos, self.sin = nn.Buffer(turns.cos()), nn.Buffer(turns.sin())
        self.mask = nn.Buffer(torch.full((rows, rows), -1e4).triu(1)[None, None])

    @staticmethod
    def rms(x: Tensor, weight: Tensor) -> Tensor:
        return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))

    def turned(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, -1)
        return x * self.cos + torch.cat([-b, a], -1) * self.sin

    def repeated(self, x: Tensor) -> Tensor:
        """Each group of heads as often as there are heads for it."""
        n, groups, rows, size = x.shape
        times = self.heads // groups
        return x[:, :, None].expand(n, groups, times, rows, size).reshape(n, self.heads, rows, size)

    def forward(self, x: Tensor) -> Tensor:
        n, rows, dim = x.shape
        y = self.rms(x, self.norm1)
        q = self.turned(self.q(y).view(n, rows, self.heads, self.size).transpose(1, 2))
        k = self.turned(self.k(y).view(n, rows, self.groups, self.size).transpose(1, 2))
        v = self.v(y).view(n, rows, self.groups, self.size).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, self.repeated(k), self.repeated(v), attn_mask=self.mask)
        x = x + self.o(y.transpose(1, 2).reshape(n, rows, dim))
        y = self.rms(x, self.norm2)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))
