"""Networks of diffusers, transformers and timm: `python -m benchmarks.networks` writes docs/networks.md.

Needs the three, torchvision, and ncnn's wheel. Each goes through the door that users take, nb.convert().
`python -m benchmarks.networks UVit2DModel WhisperModel` tries these again and leaves the other rows as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.networks.page import page
from benchmarks.networks.trial import NETWORKS, trial
from benchmarks.trials import Table, fill

TABLE = Table("networks", tuple(NETWORKS), ("ncnn_builder", "diffusers", "transformers", "timm"), trial, page)


def main(argv: Sequence[str] | None = None) -> int:
    return fill(TABLE, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
