"""The process of one isolated net: its start, its end, and what its end means."""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from .. import _ncnn
from ..errors import CrashError, NcnnError, OptionError
from ..waiting import environment
from .messages import Writer, ask

if sys.platform != "win32":  # no net is isolated there
    import fcntl

Result = TypeVar("Result")

# Without the packages of the site, numpy among them: the process is there in a few hundredths of a second.
PROGRAM = "import sys; sys.path.append(sys.argv[1]); import _ncnn; _ncnn.serve(int(sys.argv[2]))"
SAID = 2048  # bytes that are kept of what the process says as it dies


class Layer(NamedTuple):
    line: int
    type: str
    name: str


class Process:
    """Loads a net, and lives until it is ended or ends by itself. Raises what loading the net raises.

    first: the message that says what to load; answer: what the net is.
    """

    def __init__(self, first: Writer, directory: str, deadline: float | None, param: str) -> None:
        self._param = param
        self._ended: str | None = None  # why, where it was we who ended it
        self._said = shared_memory("ncnn said", SAID, grows=False)
        self.control, other = socket.socketpair()
        with other:
            self._process = _start(other, self._said, directory)
        finish = weakref.finalize(self, _finish, os.getpid(), self._process, self.control, self._said)
        try:
            self.answer = self.guarded(lambda: ask(self.control, first, deadline), lambda: None, "it was loaded")
        except BaseException:
            finish()
            raise

    def guarded(self, exchange: Callable[[], Result], place: Callable[[], Layer | None], when: str) -> Result:
        """What the exchange gives. Raises a CrashError where the process ends over it.

        What interrupts the exchange ends the process: its answer would be taken for the next one's.
        """
        try:
            return exchange()
        except NcnnError:
            raise
        except TimeoutError:
            self.end("it took longer than its timeout")
        except (OSError, EOFError):  # it is gone
            pass
        except (ValueError, IndexError, TypeError, struct.error) as error:
            self.end(f"its process gave an answer that makes no sense ({error})")
        except BaseException:
            self.end("it was interrupted")
            raise
        raise self._crash(place(), when)

    def _crash(self, layer: Layer | None, when: str) -> CrashError:
        line, type_, name = layer or (None, None, None)
        said = self.end(None)
        if self._ended:
            what, got = f"the net was stopped while {when}: {self._ended}", None
        else:
            what, got = f"the net's process ended while {when}", how_it_ended(self._process.returncode)
        return CrashError(what, file=self._param, line=line, layer=name, layer_type=type_, got=got, reason=said or None)

    def end(self, why: str | None) -> str:
        """Ends it, if it has not ended yet. Returns what it said last."""
        if why and self.alive:
            self._ended = why
        self._process.kill()
        self._process.wait()
        said = os.pread(self._said.fileno(), SAID, 0).partition(b"\0")[0].decode(errors="backslashreplace")
        return "; ".join(" ".join(line.split()) for line in said.splitlines() if line.strip())[:300]

    @property
    def alive(self) -> bool:
        return self._ended is None and self._process.poll() is None


def _start(control: socket.socket, said: BinaryIO, directory: str) -> subprocess.Popen[bytes]:
    if not sys.executable:
        raise OptionError("isolate=True, but sys.executable does not say where Python is")
    folder = str(Path(str(_ncnn.__file__)).parent)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", PROGRAM, folder, str(control.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            pass_fds=[control.fileno()],
            env=environment(),
            cwd=directory,  # of the paths, wherever the caller may be when it starts again
            start_new_session=True,  # signals of the terminal are for the caller
        )
    except OSError as error:
        raise OptionError("isolate=True, but no process can be started", reason=str(error)) from None


def _finish(owner: int, process: subprocess.Popen[bytes], control: socket.socket, said: BinaryIO) -> None:
    control.close()
    said.close()
    if os.getpid() == owner:
        process.kill()
        process.wait()
    else:
        process.returncode = 0  # of the process that this one was forked from, whose business it is


def how_it_ended(code: int) -> str:
    """The exit status of a process, negative for a signal, in words."""
    if code >= 0:
        return f"exit status {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return name + ", as from a system that is out of memory" * (name == "SIGKILL")


def shared_memory(name: str, size: int, grows: bool = True) -> BinaryIO:
    """Memory as a file without a name, which two processes can see, of `size` bytes."""
    if sys.platform == "linux":
        file: BinaryIO = os.fdopen(os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "r+b", buffering=0)
        file.truncate(size)
        # Memory that shrinks under a reader is a signal for it.
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | (0 if grows else fcntl.F_SEAL_GROW))
    else:
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        file.truncate(size)
    return file
