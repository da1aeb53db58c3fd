"""A bar with rate and time left on a terminal, and nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

Item = TypeVar("Item")


def progress(items: Iterable[Item], total: int, what: str, unit: str, quiet: bool, done: int = 0) -> Iterable[Item]:
    """The items themselves. done: how many of the total were there before."""
    if quiet or total < 2 or not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    bar: Iterable[Item] = tqdm(items, desc=what, total=total, initial=done, unit=unit, dynamic_ncols=True)
    return bar
