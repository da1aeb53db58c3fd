"""SIGTERM unwinds the process, so that no temporary file is left."""

from __future__ import annotations

import atexit
import signal
import sys

CODE = 128 + signal.SIGTERM
_asked = False


def unwind_on_sigterm() -> None:
    """From now on SIGTERM raises SystemExit(143): for processes of their own."""
    signal.signal(signal.SIGTERM, _stop)
    # What comes while Python ends comes too late: an exception within atexit's functions would only be printed.
    atexit.register(signal.signal, signal.SIGTERM, signal.SIG_IGN)


def _stop(*_: object) -> None:
    global _asked
    _asked = True
    sys.exit(CODE)


def check_stop() -> None:
    """Raises SystemExit once more: libraries in C may have dropped the first one, as they look for attributes."""
    if _asked:
        sys.exit(CODE)
