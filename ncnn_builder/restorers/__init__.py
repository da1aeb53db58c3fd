"""Restorers: state dicts of the networks that the package `spandrel` recognises, as nets of any size.

`python -m ncnn_builder convert x4plus.pth --out x4plus` and `convert_restorer()` are the doors. `checkpoint` reads the
file, in which nothing is executed; spandrel says which network its tensors are; `network` makes one module of an image
of it, `noise` what it draws, `picture_sizes` which sizes it takes.
"""

from .door import convert_restorer

__all__ = ["convert_restorer"]
