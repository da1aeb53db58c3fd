"""The metrics by name: ours, which take any number of pictures, and the official ones, which say it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from stylegan.errors import MetricError
from stylegan.metrics.samples import MOVES, PATHS

COMPARED = ("fid", "kid", "pr")
"""With the pictures of a data set."""
SHOWN = (*COMPARED, "is")
"""Whose pictures are shown to features."""
METRICS = (*SHOWN, *PATHS, *MOVES)
PUBLISHED_NUM = 50_000
FULL = {"fid50k_full": "fid", "kid50k_full": "kid", "pr50k3_full": "pr", "is50k": "is"}
"""Of all pictures of a data set, as they are."""
FIRST = {"fid50k": "fid", "kid50k": "kid", "pr50k3": "pr"}
"""Of at most PUBLISHED_NUM of them, also mirrored."""
OFFICIAL = {**FULL, **FIRST, "eqt50k_int": "eqt_int", "eqt50k_frac": "eqt_frac", "eqr50k": "eqr"}
ALIASES = {**OFFICIAL, "ppl": "ppl2_wend"}
WORDS = f"{', '.join(SHOWN)}, {', '.join(PATHS)}, ppl (the first of these), {', '.join(MOVES)}, {', '.join(OFFICIAL)}"


def metric_of(name: str) -> str:
    """One of METRICS, for any name that evaluate() takes."""
    return ALIASES.get(name, name)


def check_names(names: Sequence[str], num: int) -> None:
    """Raise MetricError for a name that is unknown or given twice, and an official one whose number is another."""
    known: dict[str, str] = {}
    for name in names:
        metric = metric_of(name)
        if metric not in METRICS:
            near = difflib.get_close_matches(name.lower(), (*METRICS, *ALIASES), 1)
            what = f"there is no {name!r}" + (f" (is it {near[0]}?)" if near else "") if name else "a name is missing"
            raise MetricError(f"metrics {','.join(names)!r}: {what}: expected some of {WORDS}")
        if metric in known:
            other = "twice" if known[metric] == name else f"and {known[metric]}, which is the same metric"
            raise MetricError(f"metrics {','.join(names)!r}: {name} is asked for {other}: expected each once")
        known[metric] = name
    for name in names:
        if name in OFFICIAL and num != PUBLISHED_NUM:
            raise MetricError(
                f"metrics {name}: it is of {PUBLISHED_NUM} pictures, and num is {num}: ask for {OFFICIAL[name]}"
            )


def check_data(names: Sequence[str], count: int, mirrored: bool, whole: bool) -> None:
    """Raise MetricError where an official metric is of other pictures than these `count` of the data.

    whole: whether they are all that the data set has.
    """
    for name in names:
        if name in FULL and (mirrored or not whole):
            which = "they are mirrored too" if mirrored else "these are a part of them"
            raise MetricError(f"metrics {name}: it is of all pictures of the data, and {which}: ask for {FULL[name]}")
        if name in FIRST and count > PUBLISHED_NUM:
            raise MetricError(
                f"metrics {name}: it is of at most {PUBLISHED_NUM} pictures of the data, and there are {count}: give "
                f"max_size (--max-size) {PUBLISHED_NUM}, or ask for {name}_full"
            )
