"""Tensors from a checkpoint, by torch's reader of weights alone or by that of safetensors: nothing is executed."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from ..errors import BuildError


def read(path: Path) -> dict[str, Any]:
    """What the file holds: names and tensors, maybe within other dicts. Raises BuildError."""
    if not path.is_file():
        raise BuildError("no such file", got=str(path))
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        if zipfile.is_zipfile(path) and any(n.endswith("/constants.pkl") for n in zipfile.ZipFile(path).namelist()):
            fix = "It holds a program, which is not run: save its weights, torch.save(model.state_dict(), path)"
            raise BuildError(f"{path} is a TorchScript file", expected="a state dict", fix=fix)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except BuildError:
        raise
    except ModuleNotFoundError as error:
        raise BuildError(f"{path} needs the package {error.name}", fix=f"pip install {error.name}") from error
    except Exception as error:  # whatever the readers say of a file that is none
        raise _unread(path, error) from error
    if not isinstance(found, dict):
        raise BuildError(f"{path} holds no state dict", expected="names and tensors", got=type(found).__name__)
    return found


def _unread(path: Path, error: Exception) -> BuildError:
    """What is wrong with a file that no reader takes."""
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        return BuildError(f"{path} is empty", fix="Download it again")
    if foreign := _foreign(path) if isinstance(error, pickle.UnpicklingError) else "":
        fix = "It holds more than tensors, and what it holds is not executed: save its state_dict() alone"
        return BuildError(f"{path} is no file of weights", got=foreign, fix=fix)
    if zipfile.is_zipfile(path) or not (head.startswith(b"PK") or path.suffix.lower() == ".safetensors"):
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}; it begins with {head!r}"
        return BuildError(f"{path} cannot be read", expected="a file of torch.save() or of safetensors", got=said)
    said = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
    return BuildError(f"{path} is cut short or damaged", got=said, fix="Download it again")


def _foreign(path: Path) -> str:
    """Names of what a file holds beside tensors, by its text alone."""
    try:
        return ", ".join(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path)))[:300]
    except Exception:  # of torch before 2.6, and of files that it cannot take apart
        return ""
