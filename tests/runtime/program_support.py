"""What the tests of the C++ programs share: where they are, how they are called, bundles for them."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SEEDS = (85, 458)


def cpp_build(file: str) -> Path:
    """A file of `make cpp`: in the folder NCNN_BUILDER_CPP, where it must be, or else in build/cpp-OFF, or it skips."""
    given = os.environ.get("NCNN_BUILDER_CPP")
    path = Path(given or REPOSITORY / "build" / "cpp-OFF").resolve() / file
    if not path.is_file():
        if given:
            pytest.fail(f"NCNN_BUILDER_CPP={given}: there is no {path}")
        pytest.skip(f"`make cpp` has not built {path}")
    return path


def nets(name: str = "b") -> list[str]:
    return [f"{name}_{part}.{kind}" for part in ("mapping", "synthesis") for kind in ("param", "bin")]


def limited(size: int) -> Callable[[], None]:
    """For preexec_fn: no file may grow beyond `size` bytes, as on a disk that is nearly full."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def call(
    program: Path, place: Path, *arguments: object, file_size: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs it in the working directory `place`."""
    return subprocess.run(
        [str(program), *map(str, arguments)],
        cwd=place,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=120,
        preexec_fn=None if file_size is None else limited(file_size),
    )


def listing(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*")}


def check_refused(done: subprocess.CompletedProcess[str]) -> str:
    """One message, exit status 2, nothing else said; returns the message."""
    assert done.returncode == 2, (done.returncode, done.stderr[-3000:])
    assert done.stdout == "" and done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1 and len(done.stderr) < 1500, done.stderr
    return done.stderr
