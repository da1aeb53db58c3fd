"""Takes back what users register: ops, functions, lowerings, passes, converters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ncnn_builder as nb
import ncnn_builder.frontend.converters  # ours, which come with the first capture, are nobody's to take back
from ncnn_builder import opspec, pipeline
from ncnn_builder.frontend import CONVERTERS


@contextmanager
def taken_back() -> Iterator[None]:
    tables: list[dict[str, Any]] = [nb.registry, opspec.functions, CONVERTERS, *nb.TARGETS.values()]
    before = [dict(table) for table in tables]
    own = {stage: list(passes) for stage, passes in pipeline.OWN.items()}
    try:
        yield
    finally:
        for table, kept in zip(tables, before, strict=True):
            table.clear()
            table.update(kept)
        pipeline.OWN.update(own)
