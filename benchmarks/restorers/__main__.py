"""Every architecture of spandrel with random weights: `python -m benchmarks.restorers` writes docs/restorers.md.

Needs spandrel, spandrel_extra_arches and ncnn's wheel. Each network becomes a checkpoint that spandrel recognises, and
goes through the door that users take (benchmarks.restorers.trial). `python -m benchmarks.restorers SPAN HAT` tries
these again and leaves the other rows as they are; --page only writes the page of the results that are there. Files
are written when all were tried, or Ctrl-C has ended it; with --json, which is for trials, that file and no page.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks.restorers.networks import NETWORKS
from benchmarks.restorers.page import page
from benchmarks.restorers.trial import trial
from benchmarks.trials import Table, fill

TABLE = Table("restorers", tuple(NETWORKS), ("spandrel", "spandrel_extra_arches"), trial, page)


def main(argv: Sequence[str] | None = None) -> int:
    return fill(TABLE, __doc__, argv)


if __name__ == "__main__":
    sys.exit(main())
