"""A bar with rate and time left on a terminal, lines for a program that wants them, and nothing elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
LINES = "NCNN_BUILDER_PROGRESS"
"""Where the environment has it, stderr gets a line for each item: `progress 3/120`."""


def progress(items: Iterable[Item], total: int, what: str, unit: str, quiet: bool, done: int = 0) -> Iterable[Item]:
    """The items themselves. done: how many of the total were there before."""
    if os.environ.get(LINES):
        return _lines(items, total, done)
    if quiet or total < 2 or not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    bar: Iterable[Item] = tqdm(items, desc=what, total=total, initial=done, unit=unit, dynamic_ncols=True)
    return bar


def _lines(items: Iterable[Item], total: int, done: int) -> Iterator[Item]:
    for i, item in enumerate(items, done):
        print(f"progress {i}/{total}", file=sys.stderr, flush=True)
        yield item
