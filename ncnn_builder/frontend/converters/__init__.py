"""Converters by family; importing them fills the registry."""

from . import convolution, elementwise, inert, linear, norm, padding, pooling, shape

__all__ = ["convolution", "elementwise", "inert", "linear", "norm", "padding", "pooling", "shape"]
