"""The checkout of the project: what the declarations generate lies there. An installed package does without."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .errors import NcnnBuilderError

MARKS = ("ncnn_builder/checkout.py", "custom_layers/CMakeLists.txt", "docs/ops.md")
"""Files that no other folder has all of."""


def _around() -> Iterator[Path]:
    """Where the package lies; where an installed one is worked with, such as by the tests."""
    yield Path(__file__).resolve().parent.parent
    with suppress(OSError):  # the working directory is gone
        yield from (here := Path.cwd(), *here.parents)


ROOT = next((folder for folder in _around() if all((folder / mark).is_file() for mark in MARKS)), None)


def path(name: str) -> Path:
    """Of a file of the checkout, such as "docs/ops.md"; without a checkout it is beside the package, and not there."""
    return (ROOT or Path(__file__).resolve().parent.parent) / name


def write(file: Path, text: str) -> Path:
    """Writes a generated file. Raises NcnnBuilderError where there is no checkout that it belongs to."""
    if not file.parent.is_dir():
        raise NcnnBuilderError(
            f"{file.name} is a file of the project's sources, and they are not here", fix="Run it in a checkout"
        )
    file.write_text(text)
    return file
