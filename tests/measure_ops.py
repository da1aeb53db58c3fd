"""`python tests/measure_ops.py`: runs every sample of every op, and writes what was measured into docs/ops.md."""

from __future__ import annotations

import sys
import warnings

import torch
from parity_support import measured_error

import ncnn_builder as nb
from ncnn_builder import docs

warnings.simplefilter("ignore")


def measure() -> dict[str, str]:
    """Op type -> the largest error over its samples, on the target that keeps the op, rounded up."""
    torch.manual_seed(0)
    found = {}
    for spec in nb.registry.values():
        if not spec.off:
            found[spec.type] = docs.rounded_up(max(measured_error(spec, sample) for sample in spec.samples()))
    return found


if __name__ == "__main__":
    docs.PAGE.write_text(docs.page(measure()))
    sys.stdout.write(f"{docs.PAGE}\n")
