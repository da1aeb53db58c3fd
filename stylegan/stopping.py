"""Ctrl-C and SIGTERM between the steps of long work. runtime.stopping is for work that may stop anywhere."""

from __future__ import annotations

import signal
import threading
from typing import Any


class Stop:
    """Inside it the first SIGINT or SIGTERM is noted in `signal`, and a second one acts as it usually does.

    A step that is broken off would leave a state that cannot be continued.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._usual: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self._usual = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _note(self, number: int, _: object) -> None:
        self.signal = number
        self.__exit__()

    def __exit__(self, *_: object) -> None:
        for number, usual in self._usual.items():
            signal.signal(number, usual)
        self._usual = {}
