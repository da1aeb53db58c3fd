"""Where a call of an operator comes from: the module path, and the author's line."""

from __future__ import annotations

import inspect
import re
import traceback
from pathlib import Path
from typing import Any

import torch

_TORCH = str(Path(torch.__file__).parent)
_OURS = str(Path(__file__).resolve().parent.parent)
_PYTHON = str(Path(inspect.__file__).parent)
_FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\S+)')


def author_line(node: torch.fx.Node) -> str | None:
    """``file.py:line`` of the author's code that made this call: the innermost line that is not torch's own."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    own = [(file, line) for file, line, _ in frames if not _is_foreign(file)]
    file, line = (own or [(f, n) for f, n, _ in frames] or [("", "")])[-1]
    return f"{Path(file).name}:{line}" if file else None


def python_line(error: BaseException) -> str | None:
    """``file.py:line`` of the author's code that an exception came through, likewise."""
    return python_frame(traceback.extract_tb(error.__traceback__))


def python_frame(stack: traceback.StackSummary) -> str | None:
    """The innermost line of these frames that is the author's."""
    frames = [f for f in stack if not _is_foreign(f.filename)]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else None


def forward_line(module: torch.nn.Module) -> str | None:
    """Where its forward() begins, likewise; None for a wrapper of ours."""
    code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
    if code is None or code.co_filename.startswith(("<", _OURS)):
        return None
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def _is_foreign(file: str) -> bool:
    """Torch's, ours, or Python's own; what is installed beside torch is somebody's network."""
    installed = "site-packages" in file or "dist-packages" in file
    return file.startswith((_TORCH, _OURS, "<")) or (file.startswith(_PYTHON) and not installed)


def scope_of(node: torch.fx.Node) -> str:
    """The module path that it was called in, with the number of the call: ``enc.0#2``; "" in the root."""
    stack: dict[str, tuple[str, Any]] = node.meta.get("nn_module_stack") or {}
    path = ""
    for key, (name, _) in stack.items():
        again = re.search(r"@(\d+)$", key)
        name = re.sub(r"^L\['self'\]\.?|^L__self__\.?", "", str(name))
        if not name:
            continue
        plain = re.sub(r"#\d+(?=\.|$)", "", path)
        rest = name[len(plain) + 1 :] if plain and name.startswith(f"{plain}.") else name
        number = f"#{int(again[1]) + 1}" if again else ""
        path = f"{path}.{rest}{number}" if path and rest is not name else f"{name}{number}"
    return path
