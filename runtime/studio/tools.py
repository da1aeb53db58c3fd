"""What `python -m ncnn_builder` says of nets as files, each time in a process of its own: what a stranger's file does
to it is an error here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NcnnError
from .feeds import Arrays, Shape

SECONDS = 120.0
MOST_BYTES = 1 << 28
"""Of what a command says."""
PROGRAM = "import sys; from ncnn_builder.tools.cli import main; sys.exit(main(sys.argv[1:]))"


class ToolError(NcnnError):
    """A command that failed; its own words."""


async def said(*arguments: str, seconds: float | None = SECONDS) -> Any:
    """The JSON that a command writes. Raises ToolError for one that fails or takes longer; ended where nobody waits."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=os.name == "posix",
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), seconds)
    except TimeoutError:
        raise ToolError(f"{arguments[0]} took longer than {seconds:.0f} seconds and was ended") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    lines = err.decode(errors="replace").strip().splitlines()
    if process.returncode not in (0, 1) or len(out) > MOST_BYTES:
        told = next((line[7:] for line in lines if line.startswith("error: ")), lines[-1] if lines else "")
        raise ToolError(told[:1000] or f"{arguments[0]} ended with status {process.returncode}")
    try:
        return json.loads(out)
    except ValueError:
        raise ToolError((lines[-1] if lines else f"{arguments[0]} said nothing")[:1000]) from None


async def shown(param: Path, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """The layers of a net, and what they cost."""
    words = [f"--shape={name}={','.join(map(str, shape))}" for name, shape in shapes.items()]
    found: dict[str, Any] = await said("show", "--json", *words, "--", os.fspath(param))
    return found


async def compared(a: Path, b: Path, given: Arrays) -> dict[str, Any]:
    """What differs: "diff" as `diff` says it, "doctor" as `doctor` does, with the numbers that are given; null, with a
    line in "problems", where it cannot be said."""
    found: dict[str, Any] = {"diff": None, "doctor": None, "problems": []}
    pair = [os.fspath(a.resolve()), os.fspath(b.resolve())]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "inputs.npz")
        np.savez(data, **{name: array for name, array in given.items()})  # type: ignore[arg-type]
        for name, words, seconds in (
            ("diff", ["diff", "--json", *pair], SECONDS),
            ("doctor", ["doctor", "--json", "--no-cure", f"--data={data}", *pair], None),
        ):
            try:
                found[name] = await said(*words, seconds=seconds)
            except ToolError as error:
                found["problems"].append(str(error))
    return found
