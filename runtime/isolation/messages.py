"""Words of messages to and from the process of an isolated net, as ../src/messages.h has them."""

from __future__ import annotations

import hashlib
import socket
import struct
import time
from collections.abc import Sequence

from ..errors import BlobError, InputError, LayerError, NcnnError, OptionError, ParamError, WeightsError

# In the order of Kind in src/fault.h.
KINDS: tuple[type[NcnnError], ...] = (ParamError, WeightsError, InputError, BlobError, LayerError, OptionError)
NUMBER, LENGTH = struct.Struct("=Q"), struct.Struct("=I")
DONE = 0  # of Answer in src/serve.cpp


class Writer:
    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def number(self, *values: int) -> Writer:
        self._parts += map(NUMBER.pack, values)
        return self

    def text(self, value: bytes) -> Writer:
        self._parts += (NUMBER.pack(len(value)), value)
        return self

    def texts(self, values: Sequence[str]) -> Writer:
        self.number(len(values))
        for value in values:
            self.text(value.encode(errors="surrogateescape"))
        return self

    def message(self) -> bytes:
        body = b"".join(self._parts)
        return LENGTH.pack(len(body)) + body


class Reader:
    """Raises ValueError or struct.error where the message ends too early: the process that wrote it may be out of its
    mind.
    """

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._position = 0

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self._message).digest()

    def number(self) -> int:
        (value,) = NUMBER.unpack_from(self._message, self._position)
        self._position += NUMBER.size
        return int(value)

    def count(self) -> range:
        """Of the things that follow, none of which is without bytes."""
        count = self.number()
        if count > len(self._message):
            raise ValueError("a message ends too early")
        return range(count)

    def numbers(self) -> tuple[int, ...]:
        return tuple(self.number() for _ in self.count())

    def text(self) -> str:
        size = self.number()
        part = self._message[self._position : self._position + size]
        if len(part) != size:
            raise ValueError("a message ends too early")
        self._position += size
        return part.decode(errors="backslashreplace")

    def texts(self) -> list[str]:
        return [self.text() for _ in self.count()]

    def fault(self) -> NcnnError:
        kind, line = KINDS[self.number()], self.number()
        names = ("file", "layer", "layer_type", "expected", "got", "reason", "fix")
        what = self.text()
        return kind(what, line=line or None, **{name: self.text() or None for name in names})


def ask(to: socket.socket, message: Writer, deadline: float | None) -> Reader:
    """What the other side answers; raises the fault that it reports.

    Raises EOFError or OSError where it is gone, TimeoutError at the deadline of time.monotonic().
    """
    _limit(to, deadline)
    to.sendall(message.message())
    (size,) = LENGTH.unpack(_receive(to, LENGTH.size, deadline))
    answer = Reader(_receive(to, size, deadline))
    if answer.number() != DONE:
        raise answer.fault()
    return answer


def _receive(source: socket.socket, size: int, deadline: float | None) -> bytes:
    parts = []
    while size:
        _limit(source, deadline)
        part = source.recv(min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _limit(end: socket.socket, deadline: float | None) -> None:
    if deadline is None:
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    end.settimeout(left)
