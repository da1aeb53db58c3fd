from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .sample import Sample, samples

_PICTURE, _VOLUME = (1, 3, 6, 7), (1, 2, 4, 5, 6)
_FLAT = F.affine_grid(torch.tensor([[[0.7, 0.2, 0.1], [-0.3, 0.8, 0.0]]]), [1, 1, 4, 5], align_corners=False)


def _grid(mode: str, border: str, align: bool) -> Any:
    return lambda x, grid: F.grid_sample(x, grid * 0.6, mode, border, align)


def _deform(groups: int, offset_groups: int, mask: bool, **sizes: Any) -> Sample:
    """Offsets of x's own channels, repeated: torch's operator is torchvision's, see _declare()."""
    weight = torch.linspace(-1, 1, 6 * (4 // groups) * 6).view(6, 4 // groups, 3, 2)
    _declare()

    def forward(x: torch.Tensor, offset: torch.Tensor, weights: torch.Tensor) -> Any:
        op = torch.ops.torchvision.deform_conv2d
        return op(x, weight, offset, weights, torch.linspace(0, 1, 6), 1, 1, 1, 0, 1, 2, groups, offset_groups, mask)

    size = (7, 6)
    shapes = ((1, 4, 7, 8), (1, 12 * offset_groups, *size), (1, 6 * offset_groups, *size))
    return Sample(f"deform-{groups}-{offset_groups}-{mask}", forward, shapes)


def _declare() -> None:
    """torchvision's operator, where torchvision is not installed: as its documentation has it, by grid_sample."""
    if hasattr(torch.ops.torchvision, "deform_conv2d"):
        return
    torch.library.define(
        "torchvision::deform_conv2d",
        "(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w,"
        " SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups,"
        " bool use_mask) -> Tensor",
    )
    torch.library.impl("torchvision::deform_conv2d", "CompositeExplicitAutograd")(_deformed)
    torch.library.register_fake("torchvision::deform_conv2d")(
        lambda x, weight, offset, *rest: x.new_empty(x.shape[0], weight.shape[0], *offset.shape[2:])
    )


def _deformed(x: Any, weight: Any, offset: Any, mask: Any, bias: Any, *sizes: Any) -> Any:
    sh, sw, ph, pw, dh, dw, groups, offset_groups, use_mask = sizes
    (n, c, h, w), (out, _, kh, kw), (oh, ow) = x.shape, weight.shape, offset.shape[2:]
    moved = offset.view(n, offset_groups, kh * kw, 2, oh, ow)
    columns = []
    for tap in range(kh * kw):
        parts = []
        for k, part in enumerate(x.chunk(offset_groups, 1)):
            y = torch.arange(oh)[:, None] * sh - ph + tap // kw * dh + moved[:, k, tap, 0]
            z = torch.arange(ow)[None, :] * sw - pw + tap % kw * dw + moved[:, k, tap, 1]
            grid = torch.stack([(2 * z + 1) / w - 1, (2 * y + 1) / h - 1], -1)
            taken = F.grid_sample(part, grid, align_corners=False)
            weights = mask.view(n, offset_groups, kh * kw, oh, ow)[:, k, tap, None]
            parts.append(taken * weights if use_mask else taken)
        columns.append(torch.cat(parts, 1))
    stacked = torch.stack(columns, 2).view(n, groups, c // groups * kh * kw, oh * ow)
    y = torch.einsum("gok,ngkp->ngop", weight.reshape(groups, out // groups, -1), stacked)
    return y.reshape(n, out, oh, ow) + bias[:, None, None]


def _shuffled(x: torch.Tensor, r: int, first: bool = False) -> torch.Tensor:
    """Pixel shuffle by hand, the channels [C, r, r] or [r, r, C]."""
    n, c, h, w = x.shape
    if first:
        return x.view(n, r, r, c // r // r, h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // r // r, h * r, w * r)
    return x.view(n, c // r // r, r, r, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // r // r, h * r, w * r)


def _unshuffled(x: torch.Tensor, r: int, first: bool = False) -> torch.Tensor:
    n, c, h, w = x.shape
    axes = (0, 3, 5, 1, 2, 4) if first else (0, 1, 3, 5, 2, 4)
    return x.view(n, c, h // r, r, w // r, r).permute(axes).reshape(n, c * r * r, h // r, w // r)


def _groups(x: torch.Tensor, groups: int) -> torch.Tensor:
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


BY_HAND = (
    ("PixelShuffle", lambda x: _shuffled(x, 2), ((1, 12, 3, 5), (1, 4, 3, 5))),
    ("PixelShuffle", lambda x: _shuffled(x, 2, True), ((1, 12, 3, 5), (1, 4, 3, 5))),
    ("Reorg", lambda x: _unshuffled(x, 2), ((1, 3, 4, 6), (1, 1, 4, 6))),
    ("Reorg", lambda x: _unshuffled(x, 3, True), ((1, 2, 6, 9), (1, 1, 6, 9))),
    ("ShuffleChannel", lambda x: _groups(x, 3), ((1, 6, 4, 5), (1, 6, 1, 1))),
)
"""(layer, forward, shapes of x): one layer of ncnn each."""

SAMPLES: list[Sample] = [
    *(
        Sample(f"by-hand-batch-{i}", lambda x, f=f: f(F.max_pool2d(x, 1)), ((2, *shapes[0][1:]),))
        for i, (_, f, shapes) in enumerate(BY_HAND)
    ),
    *(
        s
        for i, (kind, f, shapes) in enumerate(BY_HAND)
        for s in samples(f"by-hand-{kind}-{i}", f, *((x,) for x in shapes))
    ),
    *(
        Sample(f"grid-{mode}-{border}-{align}", _grid(mode, border, align), (_PICTURE, (1, 4, 5, 2)))
        for mode in ("bilinear", "nearest", "bicubic")
        for border in ("zeros", "border", "reflection")
        for align in (False, True)
    ),
    *(
        Sample(f"grid-3d-{mode}-{border}", _grid(mode, border, False), (_VOLUME, (1, 3, 4, 5, 3)))
        for mode in ("bilinear", "nearest")
        for border in ("zeros", "border", "reflection")
    ),
    Sample("grid-batch", _grid("bilinear", "zeros", False), ((2, 3, 6, 7), (2, 4, 5, 2))),
    Sample(
        "grid-constant", lambda x: F.grid_sample(x, _FLAT.expand(2, -1, -1, -1), align_corners=True), ((2, 3, 6, 7),)
    ),
    Sample(
        "grid-of-channels",
        lambda x, y: F.grid_sample(x, y.permute(0, 2, 3, 1), align_corners=False),
        (_PICTURE, (1, 2, 4, 5)),
    ),
    *samples("inner-grid-2d", lambda x, y: torch.ops.aten.grid_sampler_2d(x, y, 0, 0, False), (_PICTURE, (1, 4, 5, 2))),
    *samples(
        "inner-grid-3d", lambda x, y: torch.ops.aten.grid_sampler_3d(x, y, 0, 0, False), (_VOLUME, (1, 3, 4, 5, 3))
    ),
    *(Sample(f"affine-{a}", lambda t, a=a: F.affine_grid(t, [1, 3, 4, 5], a), ((1, 2, 3),)) for a in (False, True)),
    Sample("affine-3d", lambda t: F.affine_grid(t, [2, 3, 4, 5, 6], False), ((2, 3, 4),)),
    Sample(
        "transformer",
        lambda x, t: F.grid_sample(x, F.affine_grid(t * 0.3, list(x.shape), False), align_corners=False),
        (_PICTURE, (1, 2, 3)),
    ),
    *samples("shuffle", nn.PixelShuffle(2), ((1, 12, 3, 4),), ((12, 3, 4),), ((2, 4, 3, 4),)),
    *samples("unshuffle", nn.PixelUnshuffle(2), ((1, 3, 4, 6),), ((3, 4, 6),), ((2, 3, 4, 6),)),
    *samples("channels", nn.ChannelShuffle(3), ((1, 6, 4, 5),), ((1, 6, 4),), ((2, 6, 4, 5),), ((1, 6, 2, 3, 4),)),
    Sample("inner-channels", lambda x: torch.ops.aten.native_channel_shuffle(x, 2), ((1, 6, 4, 5),)),
    *samples("unfold", nn.Unfold((2, 3), (1, 2), (1, 0), (2, 1)), ((1, 3, 6, 7),), ((3, 6, 7),), ((2, 3, 6, 7),)),
    *samples("fold", nn.Fold((5, 6), (2, 3), padding=1, stride=(2, 1)), ((1, 12, 18),), ((12, 18),), ((2, 12, 18),)),
    *(_deform(groups, offsets, mask) for groups in (1, 2) for offsets in (1, 2, 4) for mask in (False, True)),
]
