"""Converters by family; importing them fills the registry."""

from . import (
    convolution,
    elementwise,
    indexing,
    inert,
    linear,
    matrix,
    norm,
    padding,
    parts,
    pooling,
    reduce,
    shape,
)

__all__ = [
    "convolution",
    "elementwise",
    "indexing",
    "inert",
    "linear",
    "matrix",
    "norm",
    "padding",
    "parts",
    "pooling",
    "reduce",
    "shape",
]
