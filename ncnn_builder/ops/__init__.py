"""The declarations of all ops and the DSL functions, one module per family. Importing it fills the registry."""

from . import (
    activation,
    alias_free,
    composite,
    conv,
    deconv,
    elementwise,
    filters,
    linear,
    modulated,
    pad,
    reduce,
    resample,
    shape,
    stock,
    stylegan,
    weights,
)

__all__ = [
    "activation",
    "alias_free",
    "composite",
    "conv",
    "deconv",
    "elementwise",
    "filters",
    "linear",
    "modulated",
    "pad",
    "reduce",
    "resample",
    "shape",
    "stock",
    "stylegan",
    "weights",
]
