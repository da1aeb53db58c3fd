"""The process in which ncnn's wheel runs, nothing of ours in it: started once, since to import ncnn takes longer than
most nets, and started anew when a net has ended it."""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

from ..errors import ParityError

_JOBS = Path(__file__).with_name("wheel_jobs.py")
_TIMEOUT = 900.0
"""Seconds that the jobs of one folder may take."""


class _Wheel:
    """wheel_jobs.py, which answers each folder with a line. It ends when its input does: with us, however we end."""

    def __init__(self) -> None:
        self.owner = os.getpid()  # a fork of ours has no part in it
        self.lock = threading.Lock()
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(_JOBS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            encoding="utf-8",
        )

    def serves(self) -> bool:
        return self.owner == os.getpid() and self.process.poll() is None

    def run(self, folder: Path) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        begin = os.fstat(self.errors.fileno()).st_size
        late = threading.Timer(_TIMEOUT, self.process.kill)
        late.start()
        try:
            answer = ""
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(f"{folder}\n")
                self.process.stdin.flush()
                answer = self.process.stdout.readline()
        except BaseException:  # interrupted: what it answers now would be taken for the next answer
            self.end()
            raise
        finally:
            late.cancel()
        if answer != "done\n":
            code = self.process.wait()
            self.errors.seek(begin)
            said = (answer + self.errors.read().decode(errors="replace")).strip()[-500:] or "nothing said"
            raise ParityError(f"the process with the ncnn wheel broke off with code {code}", got=said)

    def end(self) -> None:
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()


_wheel: _Wheel | None = None
_starting = threading.Lock()


def start() -> _Wheel:
    """The process, which imports ncnn meanwhile: for who will have jobs for it soon."""
    global _wheel
    with _starting:
        if _wheel is None or not _wheel.serves():
            _wheel = _Wheel()
        return _wheel


@atexit.register
def _end() -> None:
    if _wheel is not None:
        _wheel.end()


def run_jobs(folder: Path) -> None:
    """Does the jobs that lie in the folder, see wheel_jobs.py. Raises ParityError where the process breaks off."""
    wheel = start()
    with wheel.lock:
        wheel.run(folder)
