"""A net in a process of its own: what goes wrong there is an exception here.

It is a guard against the faults of ncnn's layers, not a wall against code: a file that took the process over could do
what its user can do.
"""

from __future__ import annotations

import mmap
import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .._ncnn import layer_libraries
from ..errors import NcnnError, OptionError, ParamError
from ..values import FloatArray
from .messages import Reader, Writer, ask
from .process import Layer, Process, shared_memory

Result = TypeVar("Result")

RUN, MEMORY, TIMES = 0, 1, 2  # of Ask in src/serve.cpp
HEADER = 4096  # bytes before inputs and outputs: the number of the layer that runs
ALIGNMENT = 64  # of arrays; as many bytes behind each may be read by ncnn
FLAGS = ("fp16_storage", "fp16_packed", "fp16_arithmetic", "bf16_storage", "bf16_arithmetic", "winograd", "sgemm",
         "packing", "lightmode", "vulkan", "guard", "any_shape")  # fmt: skip


class Caller:
    """One way into the process, for one run at a time: a socket, and memory that both see."""

    def __init__(self, control: socket.socket) -> None:
        self._socket, other = socket.socketpair()
        self._file = shared_memory("ncnn arrays", HEADER)
        self._memory = mmap.mmap(self._file.fileno(), HEADER)
        self._layer = np.frombuffer(self._memory, np.int32, 1)
        self._layer[0] = -1
        self._stop = np.frombuffer(self._memory, np.uint8, 1, offset=4)  # of Progress in src/net.h
        with other:
            socket.send_fds(control, [b"."], [other.fileno(), self._file.fileno()])

    @property
    def layer(self) -> int:
        """The number of the layer that runs; -1 where none does."""
        return int(self._layer[0])

    def run(
        self, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str], deadline: float | None
    ) -> dict[str, FloatArray]:
        answer = self._asked(RUN, inputs, outputs, deadline)
        results = {}
        for name in outputs:
            place, shape = answer.number(), answer.numbers()
            results[name] = np.ndarray(shape, np.float32, self._memory, place).copy()
        return results

    def times(
        self, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str], deadline: float | None
    ) -> list[float]:
        return [nanoseconds / 1e9 for nanoseconds in self._asked(TIMES, inputs, outputs, deadline).numbers()]

    def _asked(
        self, what: int, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str], deadline: float | None
    ) -> Reader:
        """The answer behind the size of the memory."""
        places, end = [], HEADER
        for array in inputs.values():
            places.append(end)
            end += -(-(array.nbytes + ALIGNMENT) // ALIGNMENT) * ALIGNMENT
        self._see(end)
        self._stop[0] = 0
        message = Writer().number(what, len(self._memory), end, len(inputs))
        for (name, array), place in zip(inputs.items(), places, strict=True):
            np.ndarray(array.shape, array.dtype, self._memory, place)[...] = array
            message.text(name.encode()).number(place, array.ndim, *array.shape)
        answer = ask(self._socket, message.texts(outputs), deadline)
        self._see(answer.number())
        return answer

    def stop(self) -> None:
        """The run ends before its next layer; of another thread."""
        self._stop[0] = 1

    def memory(self, deadline: float | None) -> tuple[int, int]:
        answer = ask(self._socket, Writer().number(MEMORY), deadline)
        return answer.number(), answer.number()

    def _see(self, size: int) -> None:
        """So many bytes of the memory, which either side may have made larger."""
        if size > len(self._memory):
            if os.fstat(self._file.fileno()).st_size < size:
                self._file.truncate(size)
            self._memory = mmap.mmap(self._file.fileno(), size)


class IsolatedNet:
    """What ``_ncnn.Net`` is, in a process of its own. After a crash, and after fork(), the next run loads it again."""

    def __init__(
        self, param: str, bin: str, *, timeout: float | None, threads: int, memory_limit: int, **flags: bool
    ) -> None:
        first = Writer().text(os.fsencode(param)).text(os.fsencode(bin)).number(threads)
        libraries = [os.fspath(library) for library in layer_libraries()]
        self._first = first.number(*(int(flags[name]) for name in FLAGS)).number(memory_limit).texts(libraries)
        self._param, self._directory, self._timeout = param, os.getcwd(), timeout
        self.forget()
        process = self._process()
        self._digest = process.answer.digest
        self._describe(process.answer)
        _living.add(self)

    def _describe(self, answer: Reader) -> None:
        lines = [
            (answer.number(), answer.text(), answer.text(), answer.texts(), answer.texts()) for _ in answer.count()
        ]
        self._lines = [Layer(line, type_, name) for line, type_, name, _, _ in lines]
        self._layers = [line[1:] for line in lines]
        inputs = [(answer.text(), answer.number(), answer.numbers()) for _ in answer.count()]
        self._inputs = {name: shape or None for name, _, shape in inputs}
        self._index_inputs = [name for name, index, _ in inputs if index]
        self._outputs, self._blobs = answer.texts(), answer.texts()

    def forget(self) -> None:
        """As in a process that was forked: this one has no process of the net yet, and no other thread."""
        self._lock = threading.Lock()
        self._running: Process | None = None
        self._callers: list[Caller] = []  # of this process, that nobody uses
        self._active: list[Caller] = []

    def _deadline(self) -> float | None:
        return None if self._timeout is None else time.monotonic() + self._timeout

    def _process(self) -> Process:
        with self._lock:
            process = self._running
            if process is None or not process.alive:
                self._callers = []
                self._running = process = Process(self._first, self._directory, self._deadline(), self._param)
            return process

    def _call(self, use: Callable[[Caller], Result]) -> Result:
        process, callers = self._process(), self._callers
        if process.answer.digest != self._digest:
            raise ParamError("the file has changed since the net was loaded", file=self._param)
        caller: Caller | None = None

        def exchange() -> Result:
            nonlocal caller
            caller = callers.pop() if callers else Caller(process.control)
            self._active.append(caller)
            try:
                return use(caller)
            finally:
                self._active.remove(caller)

        def place() -> Layer | None:
            number = -1 if caller is None else caller.layer
            return self._lines[number] if 0 <= number < len(self._lines) else None

        try:
            result = process.guarded(exchange, place, "it ran")
        except NcnnError:
            if process.alive and caller is not None:
                callers.append(caller)
            raise
        if caller is not None:
            callers.append(caller)
        return result

    def run(self, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]) -> dict[str, FloatArray]:
        return self._call(lambda caller: caller.run(inputs, outputs, self._deadline()))

    def times(self, inputs: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]) -> list[float]:
        return self._call(lambda caller: caller.times(inputs, outputs, self._deadline()))

    def memory(self) -> tuple[int, int]:
        return self._call(lambda caller: caller.memory(self._deadline()))

    def stop(self, gently: bool = False) -> None:
        if gently:
            for caller in list(self._active):
                caller.stop()
        elif (process := self._running) is not None:
            process.end("it was told to stop")

    def layers(self) -> list[tuple[str, str, list[str], list[str]]]:
        return self._layers

    def inputs(self) -> dict[str, tuple[int, ...] | None]:
        return dict(self._inputs)

    def index_inputs(self) -> list[str]:
        return self._index_inputs

    def outputs(self) -> list[str]:
        return self._outputs

    def blobs(self) -> list[str]:
        return list(self._blobs)


def _forget_all() -> None:
    for net in list(_living):
        net.forget()


_living: weakref.WeakSet[IsolatedNet] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def check_possible() -> None:
    """Raises OptionError where a net cannot have a process of its own."""
    if os.name != "posix":
        raise OptionError("isolate=True needs a POSIX system")
