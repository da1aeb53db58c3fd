"""A studio as its user starts it, and requests to it."""

from __future__ import annotations

import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Started:
    """`python -m runtime.studio` in a directory. said: the lines of its stderr so far."""

    def __init__(self, place: Path, *arguments: str) -> None:
        command = [sys.executable, "-m", "runtime.studio", "open=false", *arguments]
        root = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
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
