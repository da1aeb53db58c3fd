"""Who waits for pictures: one is made at a time, and of each page the newest wish alone counts."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ..errors import NcnnError

MOST_WAITING = 512


class Superseded(Exception):
    """A newer wish of the same page took the place of this one, or the page has gone."""


class Busy(Exception):
    """More wait than is sensible."""


@dataclass(eq=False)
class Ticket:
    """A wish. client: the page. work: makes the answer. stop: ends the work, from another thread."""

    client: str
    work: Callable[[], Any]
    stop: Callable[[], None]
    answer: Future[Any] = field(default_factory=Future)
    dropped: bool = False

    def drop(self) -> None:
        self.dropped = True
        if not self.answer.done():
            self.answer.set_exception(Superseded())


class Desk:
    """One thread that does what it is asked for: first what pages show (`view`), then the rest in its order.

    `view` takes the place of the page's wish that still waits. What is being made goes on, so that who drags a slider
    sees pictures on the way; with now=True, for what somebody has settled on, it is stopped too.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._views: dict[str, Ticket] = {}
        self._others: deque[Ticket] = deque()
        self._running: Ticket | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="studio desk", daemon=True)
        self._thread.start()

    def view(self, ticket: Ticket, now: bool = False) -> Ticket:
        with self._changed:
            self._room(len(self._views))
            if old := self._views.pop(ticket.client, None):
                old.drop()
            running = self._running
            if now and running and running.client == ticket.client and not running.dropped:
                running.drop()
                running.stop()
            self._views[ticket.client] = ticket
            self._changed.notify()
        return ticket

    def other(self, ticket: Ticket) -> Ticket:
        with self._changed:
            self._room(len(self._others))
            self._others.append(ticket)
            self._changed.notify()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Nobody waits for it any more."""
        with self._changed:
            if ticket.answer.done():
                return
            ticket.drop()
            if self._views.get(ticket.client) is ticket:
                del self._views[ticket.client]
            elif ticket in self._others:
                self._others.remove(ticket)
            elif self._running is ticket:
                ticket.stop()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            for ticket in (*self._views.values(), *self._others, *([self._running] if self._running else [])):
                ticket.drop()
            if self._running:
                self._running.stop()
            self._changed.notify()
        self._thread.join(timeout=5)

    def _room(self, waiting: int) -> None:
        if self._closed or waiting >= MOST_WAITING:
            raise Busy()

    def _take(self) -> Ticket | None:
        with self._changed:
            self._running = None
            while not self._closed and not self._views and not self._others:
                self._changed.wait()
            if self._closed:
                return None
            self._running = self._views.pop(next(iter(self._views))) if self._views else self._others.popleft()
            return self._running

    def _work(self) -> None:
        while (ticket := self._take()) is not None:
            try:
                result = ticket.work()
            except BaseException as error:
                self._answer(ticket, None, error)
            else:
                self._answer(ticket, result, None)
            ticket = None

    def _answer(self, ticket: Ticket, result: Any, error: BaseException | None) -> None:
        with self._changed:
            if ticket.answer.done():  # dropped
                return
            if error is None:
                ticket.answer.set_result(result)
            elif isinstance(error, (NcnnError, OSError, MemoryError)):
                ticket.answer.set_exception(error)
            else:
                ticket.answer.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))
