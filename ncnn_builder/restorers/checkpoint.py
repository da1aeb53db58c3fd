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
    except pickle.UnpicklingError as error:
        said = " ".join(str(error).split())[:200]
        fix = "It holds more than tensors, and what it holds is not executed: save its state_dict() alone"
        raise BuildError(f"{path} is no file of weights", got=said, fix=fix) from error
    except Exception as error:  # whatever the readers say of a file that is none
        said = " ".join(str(error).split())[:200]
        raise BuildError(f"{path} cannot be read: {type(error).__name__}: {said}") from error
    if not isinstance(found, dict):
        raise BuildError(f"{path} holds no state dict", expected="names and tensors", got=type(found).__name__)
    return found
