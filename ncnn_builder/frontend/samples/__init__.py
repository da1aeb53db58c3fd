"""Small forward()s for every converter, by family: the tests compare each with torch, and the docs list them.

A family is a file with a list SAMPLES; a new file is found by its name in FAMILIES.
"""

from __future__ import annotations

import importlib

from .sample import Sample, samples

FAMILIES = (
    "attention",
    "convolution",
    "elementwise",
    "embedding",
    "fill",
    "indexing",
    "inert",
    "linear",
    "matrix",
    "norm",
    "padding",
    "parts",
    "pooling",
    "quotient",
    "reduce",
    "shape",
    "truth",
)
"""As converters/ has them."""


def of(family: str) -> list[Sample]:
    """The samples of a family."""
    found: list[Sample] = importlib.import_module(f".{family}", __name__).SAMPLES
    return found


__all__ = ["FAMILIES", "Sample", "of", "samples"]
