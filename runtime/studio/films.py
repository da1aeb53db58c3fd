"""Videos of the timeline: `python -m runtime.run mode=a2b` in a process of its own; one that was stopped goes on."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import arguments
from ..errors import UsageError
from ..films.journey import frame_count
from ..progress import LINES
from .painter import KEYS, check_files
from .shelf import Shelf

FILM_KEYS = (*KEYS, "stops", "frames", "fps", "loop", "ease")
SUFFIXES = (".mp4", ".webm", ".gif")
MOST_FRAMES = 100_000
SAID = re.compile(rb"progress ([0-9]+)/([0-9]+)")


@dataclass
class Film:
    """A video that is being made, or was. state: running, done, stopped or failed; said: of one that failed why."""

    name: str
    total: int
    state: str = "running"
    done: int = 0
    said: str = ""
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    def about(self) -> dict[str, object]:
        folder = os.fspath(Path.cwd())
        return {key: getattr(self, key) for key in ("name", "total", "state", "done", "said")} | {"folder": folder}


class Films:
    """One video at a time. Its file is in the working directory, with a name that follows from its recipe: the same one
    wished again goes on where it was stopped."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self.film: Film | None = None
        self._watch: asyncio.Task[None] | None = None

    async def begin(self, model: str, wanted: Mapping[str, str], suffix: str) -> Film:
        """Raises UsageError for what is no recipe of a video, or while another is being made."""
        if self.film and self.film.state == "running":
            raise UsageError("another video is being made", expected="one at a time", got=self.film.name)
        if suffix not in SUFFIXES:
            raise UsageError("an unknown kind of video", expected=" ".join(SUFFIXES), got=suffix[:20])
        self._shelf.manifest(model)
        words = [f"{key}={wanted[key]}" for key in FILM_KEYS if key in wanted]
        words.insert(1, f"model={model}")
        request = arguments.parse(words)
        if request.mode != "a2b":
            raise UsageError("the timeline is a video", expected="mode=a2b", got=f"mode={request.mode}")
        check_files(request)
        total = frame_count(len(request.stops or request.seeds), request.frames, request.loop)
        if total > MOST_FRAMES:
            raise UsageError("the video is too long", expected=f"at most {MOST_FRAMES} frames", got=str(total))
        name = f"film-{hashlib.sha256(' '.join(words).encode()).hexdigest()[:8]}{suffix}"
        film = self.film = Film(name, total)
        film.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "runtime.run", *words, f"out={name}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, LINES: "1"},
        )
        self._watch = asyncio.create_task(self._follow(film, film.process))
        return film

    async def _follow(self, film: Film, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            if found := SAID.match(line):
                film.done = int(found[1])
            elif line.startswith(b"error: "):
                film.said = line[7:].decode(errors="replace").strip()
        code = await process.wait()
        if code == 0:
            film.state, film.done = "done", film.total
        elif film.state != "stopped":
            film.state, film.said = "failed", film.said or f"its process ended with status {code}"

    def stop(self) -> None:
        """What is there of it stays, for the next time."""
        film = self.film
        if film and film.state == "running" and film.process and film.process.returncode is None:
            film.state = "stopped"
            with contextlib.suppress(ProcessLookupError):
                os.kill(film.process.pid, signal.SIGTERM)  # also where the loop has ended

    def file(self, name: str) -> Path:
        """Of the video that is done. Raises UsageError for any other."""
        if self.film is None or self.film.state != "done" or name != self.film.name:
            raise UsageError("no such video", expected="one that is done")
        return Path(name)
