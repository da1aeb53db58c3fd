"""Geometric transformation of pictures without aliasing, and twice differentiable."""

from __future__ import annotations

from typing import Any

from stylegan._torch import Tensor, functional, torch
from stylegan.networks.functional import upfirdn2d, upsample2d
from stylegan.training import matrices


def resample(images: Tensor, G_inv: Tensor, f: Tensor) -> Tensor:
    """images [N, C, H, W] -> the same shape; pixel x of the result is pixel G_inv @ x of the picture.

    G_inv [N, 3, 3], in pixels from the middle. Around the picture are its mirror images, as far as needed and at most
    one on each side. f [taps]: a wavelet's low-pass filter, by which the picture is doubled before and halved after
    the bilinear look-up, so that neither blurs. Source: appendix B of the ADA paper, "Geometric transformations".
    """
    n, c, h, w = images.shape
    extra = len(f) // 4  # pixels around the result that the last filter needs
    x0, y0, x1, y1 = _margins(G_inv, h, w, extra)
    images = functional.pad(images, [x0, x1, y0, y1], mode="reflect")
    like = G_inv[:, 0, 0]
    G_inv = matrices.translate2d((x0 - x1) / 2, (y0 - y1) / 2, like) @ G_inv
    images = upsample2d(images, f, 2)
    # Pixels are half as wide now, and the filter of even length puts them half a pixel to the side.
    half, double = matrices.scale2d(0.5, 0.5, like), matrices.scale2d(2, 2, like)
    G_inv = double @ G_inv @ half
    G_inv = matrices.translate2d(-0.5, -0.5, like) @ G_inv @ matrices.translate2d(0.5, 0.5, like)
    out_h, out_w = (h + extra * 2) * 2, (w + extra * 2) * 2
    # torch's grids count from -1 to 1 over the picture.
    to_unit = matrices.scale2d(2 / images.shape[3], 2 / images.shape[2], like)
    G_inv = to_unit @ G_inv @ matrices.scale2d(out_w / 2, out_h / 2, like)
    grid = functional.affine_grid(G_inv[:, :2], [n, c, out_h, out_w], align_corners=False)
    images = grid_sample(images, grid)
    taps = len(f)
    before, after = (taps - 1) // 2 - extra * 2, (taps - 2) // 2 - extra * 2
    return upfirdn2d(images, f, down=2, padding=[before, after, before, after], flip_filter=True)


def _margins(G_inv: Tensor, h: int, w: int, extra: int) -> tuple[int, int, int, int]:
    """How many pixels left, above, right and below the pictures the results look at."""
    cx, cy = (w - 1) / 2, (h - 1) / 2
    corners = G_inv.new_tensor([[-cx, cx, cx, -cx], [-cy, -cy, cy, cy], [1, 1, 1, 1]])
    seen = (G_inv @ corners)[:, :2]  # [N, (x, y), corner]
    ends = torch.cat([-seen.amin(dim=(0, 2)), seen.amax(dim=(0, 2))])  # left, top, right, bottom
    ends = ends + ends.new_tensor([extra * 2 - cx, extra * 2 - cy] * 2)
    ends = ends.clamp(min=0).minimum(ends.new_tensor([w - 1, h - 1] * 2)).ceil()
    x0, y0, x1, y1 = (int(x) for x in ends.tolist())
    return x0, y0, x1, y1


def grid_sample(images: Tensor, grid: Tensor) -> Tensor:
    """torch's grid_sample, bilinear and 0 outside, of which torch has no second derivative: here it has every one.

    images [N, C, H, W], grid [N, OH, OW, 2], which takes no gradient -> [N, C, OH, OW].
    """
    result: Tensor = _Sample.apply(images, grid)
    return result


class _Sample(torch.autograd.Function):
    """Linear in the pictures: its derivative is the adjoint, and the adjoint's derivative is the look-up again."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Adjoint.apply(grads[0], grid, ctx.shape), None


class _Adjoint(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, grads: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        values = grads.new_zeros(shape)  # only the shape counts: the look-up is linear
        bilinear, zeros = 0, 0
        result: Tensor = torch.ops.aten.grid_sampler_2d_backward(
            grads, values, grid, bilinear, zeros, False, (True, False)
        )[0]
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return grid_sample(grads[0], grid), None, None
