"""What files may do that a stranger has made: nothing. They are read when they are regular files, and only so far;
their text reaches a terminal as text.

ncnn_builder/strangers.py is the same for the package that imports nothing of this one; a test holds the two together.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import IO


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """A regular file, to read. Raises OSError, also for a pipe, a device or a folder: open() waits for a pipe for ever,
    and a device never ends. ValueError for a path with a zero character."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "It is no regular file", os.fspath(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
    """All bytes of a regular file. Raises OSError as open_regular(), and for more than `most` bytes."""
    with open_regular(path) as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"It has more than {most} bytes", os.fspath(path))
    return data


def printable(text: str, keep: str = "\n\t") -> str:
    """The text with what a terminal would obey, or would not show, as escapes: ESC becomes \\x1b.

    That is control characters, marks that turn the direction of writing, invisible ones, and halves of surrogates.
    keep: those that stay; "" for one line, which no newline in a file's text may break.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode("ascii") for c in text)
