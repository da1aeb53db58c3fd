"""What the machine allows: cores and memory."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from . import _ncnn

MAX_DEFAULT_THREADS = 16


def default_threads() -> int:
    """The physical cores that this process may use, at most 16: beyond that batch 1 gains nothing."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _ncnn.physical_cores(), MAX_DEFAULT_THREADS))


def memory_limit() -> int:
    """Bytes that blobs may take: the physical memory, or the container's limit where that is lower.

    Beyond it a request is refused, and becomes a Python exception. The system itself would often grant it and
    then kill the process.
    """
    limit = sys.maxsize
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        limit = min(limit, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = min(limit, int(Path(name).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return limit
