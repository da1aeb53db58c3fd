"""ncnn's feature mask: what a single layer shall not use, whatever the options of the net say (id 31 of its line).

Read by ncnn's src/net.cpp (get_masked_option); bits and meaning as of the pinned version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from .errors import BuildError
from .ir import Graph

FEATURES = {
    "fp16_arithmetic": 0,
    "fp16_storage": 1,  # and fp16_packed: one bit for both
    "bf16": 2,
    "int8": 3,
    "vulkan": 4,
    "sgemm": 5,
    "winograd": 6,
    "threads": 7,  # off: one thread
}
"""Name -> bit of the mask."""


def mask_of(features: Iterable[str]) -> int:
    """The mask that switches these off. Raises BuildError for an unknown name."""
    mask = 0
    for name in features:
        if name not in FEATURES:
            raise BuildError("no such feature", expected=list(FEATURES), got=name)
        mask |= 1 << FEATURES[name]
    return mask


def features_of(mask: int) -> list[str]:
    """Names of what a mask switches off."""
    return [name for name, bit in FEATURES.items() if mask >> bit & 1]


@contextmanager
def without(g: Graph, *features: str) -> Iterator[None]:
    """What is built inside does without these features: ``with nb.without(g, "fp16_storage", "winograd"): ...``.

    The layers that it is lowered to carry the mask, and one that a pass makes of several does without all that any of
    them does without. Raises BuildError for an unknown name; see FEATURES.
    """
    before, mask = g.mask, mask_of(features)
    g.mask |= mask
    try:
        yield
    finally:
        g.mask = before
