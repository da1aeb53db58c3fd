"""Which sizes of pictures networks make: squares, and rectangles that come of a small one by doubling."""

from __future__ import annotations


def first_block(width: int, height: int) -> tuple[int, tuple[int, int]] | None:
    """(img_resolution, (height, width) of the first block) of a StyleGAN2 for pictures of that size, which are
    img_resolution / 4 times the first block; None where there is none whose first block has less than 8 pixels a side.

    256 x 256 are (256, (4, 4)); 256 wide and 512 high (512, (4, 2)); 384 x 256 (256, (4, 6)).
    """
    resolution = 1 << max(width, height, 1).bit_length() - 1
    if resolution < 4 or width * 4 % resolution or height * 4 % resolution or min(width, height) < 1:
        return None
    return resolution, (height * 4 // resolution, width * 4 // resolution)
