"""Small forward()s for every converter, by family: the tests compare each with torch, and the docs list them.

A family is a file here with a list SAMPLES; nothing has to name it.
"""

from __future__ import annotations

import importlib
import pkgutil

from .sample import Sample, samples

FAMILIES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "sample"))
"""As converters/ has them."""


def of(family: str) -> list[Sample]:
    """The samples of a family."""
    found: list[Sample] = importlib.import_module(f".{family}", __name__).SAMPLES
    return found


__all__ = ["FAMILIES", "Sample", "of", "samples"]
