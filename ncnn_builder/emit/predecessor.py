"""Files of the predecessor, and what of them ncnn reads otherwise today.

Its layers are called layer_00000000 and so on. It ran on an ncnn of its own, in which the axes of a Reduction never
counted the batch, so it did not write the 5=1 that today says so; id 31 of a FconvTranspose2d was the number of input
channels, which follows from the weight as well, in the order that the predecessor has: [out, in, kh, kw].
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .layers import Layer

NAME = re.compile(r"layer_\d{8}")


def is_predecessors(names: Iterable[str]) -> bool:
    """Whether layers of these names are its. runtime/src/predecessor.cpp asks the same."""
    names = list(names)
    return bool(names) and all(NAME.fullmatch(name) for name in names)


def as_today(layers: Sequence[Layer]) -> None:
    """Say in today's terms what the file of the predecessor means."""
    if not is_predecessors(layer.name for layer in layers):
        return
    for layer in layers:
        if layer.spec.type == "Reduction":
            layer.params = {**layer.params, "version": 1}
        if layer.spec.type == "FconvTranspose2d":
            layer.mask = 0
