"""Data sets of pictures: a folder or a zip, with dataset.json where there are labels.

`python -m stylegan.dataset IN OUT.zip --resolution 256x256` makes one of any pictures; PictureDataset reads it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stylegan.dataset.pictures import PictureDataset as PictureDataset

__all__ = ["PictureDataset"]


def __getattr__(name: str) -> Any:
    # Late, because it imports torch, which the rest of this package does without.
    if name == "PictureDataset":
        from stylegan.dataset.pictures import PictureDataset

        return PictureDataset
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
