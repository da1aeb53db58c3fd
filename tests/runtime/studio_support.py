"""A studio as its user starts it, and requests to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np


class Started:
    """`python -m runtime.studio` in a directory. said: the lines of its stderr so far."""

    def __init__(self, place: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "runtime.studio", "open=false", *arguments]
        root = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
        self.place = place
        self.process = subprocess.Popen(
            command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.said: list[str] = []
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=lambda: [lines.put(line) for line in self.process.stdout or ()], daemon=True).start()
        threading.Thread(target=lambda: self.said.extend(self.process.stderr or ()), daemon=True).start()
        self.address = lines.get(timeout=60).strip()
        self.port = urlsplit(self.address).port or 0
        self.path = urlsplit(self.address).path

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=20)

    def ask(
        self, path: str, body: object = None, headers: dict[str, str] | None = None, method: str | None = None
    ) -> tuple[int, bytes]:
        """path: behind the token, or from the root where it begins with a slash. body: what becomes JSON, or bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
            address = path if path.startswith("/") else self.path + path
            method = method or ("GET" if body is None else "POST")
            connection.request(method, address, data, {"content-type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def picture(self, recipe: dict[str, Any], **more: Any) -> tuple[dict[str, Any], bytes]:
        """The head of a picture and its pixels. Asserts that there is one."""
        status, data = self.ask("api/picture", {"model": "tiny", "client": "a", "recipe": recipe, **more})
        assert status == 200, data
        length = int.from_bytes(data[:4], "little")
        return json.loads(data[4 : 4 + length]), data[4 + length :]

    def error(self, path: str, body: object = None, **more: Any) -> tuple[int, str]:
        """Status and message. Asserts that it is an error in JSON."""
        status, data = self.ask(path, body, **more)
        assert status >= 400, data
        return status, str(json.loads(data)["error"]["message"])


@contextlib.contextmanager
def running(place: Path, *arguments: str) -> Iterator[Started]:
    """Until the tests are done; asserts that it then ends as Ctrl-C ends it, and that it complained of nothing."""
    started = Started(place, *arguments)
    try:
        yield started
    finally:
        code = started.stop()
    assert code == 130
    assert not [line for line in started.said if "Traceback" in line or "error:" in line], started.said


def write_chain(path: Path, length: int, shape: str = "0=5 1=6 2=3", changed: int = -1) -> None:
    """PATH.param and .bin: convolutions of 1 x 1 behind each other, in modules; changed: one that has other weights."""
    lines, weights = [f"Input x 0 1 x {shape}".rstrip()], b""
    for i in range(length):
        source = f"y{i - 1}" if i else "x"
        lines.append(f"Convolution body.{i}/Convolution_{i} 1 1 {source} y{i} 0=3 1=1 5=0 6=9")
        numbers = np.eye(3, dtype="<f4") * (1.0 if i == changed else 0.7) + np.float32(0.1)
        weights += bytes(4) + numbers.tobytes()
    path.with_suffix(".param").write_text(f"7767517\n{len(lines)} {len(lines)}\n" + "\n".join(lines) + "\n")
    path.with_suffix(".bin").write_bytes(weights)
