"""How long OpenMP's threads wait awake for each other.

GNU's library lets a thread that waits spin for some 6 ms before it sleeps. Where other work has taken the core of the
one that is waited for, that is processor time taken from it: several threads were then slower than one. What the
library does is read from the environment, once, when it is loaded, which is with the extension.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

SPIN = "GOMP_SPINCOUNT"
# Turns of some 20 to 40 ns: longer than threads of an idle machine wait for each other, or take to wake up.
COUNT = "2000"


def environment() -> dict[str, str]:
    """That of a process whose threads do not spin for long; the user's own word on it stands."""
    given = dict(os.environ)
    return given if SPIN in given or "OMP_WAIT_POLICY" in given else {**given, SPIN: COUNT}


@contextmanager
def short() -> Iterator[None]:
    """While it lasts, this process has that environment. Programs that it starts later decide for themselves."""
    added = SPIN in environment() and SPIN not in os.environ
    if added:
        os.environ[SPIN] = COUNT
    try:
        yield
    finally:
        if added:
            del os.environ[SPIN]
