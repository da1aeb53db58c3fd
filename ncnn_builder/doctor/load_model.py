"""`--model mypkg.net:make` and `--inputs inputs.npz` to a Case."""

from __future__ import annotations

import importlib
import sys
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BuildError
from ..strangers import open_regular
from .case import Case, case_of, guarded

MOST_BYTES = 1 << 32
"""Of the arrays of a .npz file, unpacked: a small file may promise any number."""
NOT_ARRAYS = (
    *(OSError, ValueError, TypeError, EOFError, KeyError, SyntaxError, NotImplementedError, RuntimeError),
    *(RecursionError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""What reading a file raises that is no whole .npz file."""


def load_case(model: str, inputs: str | Path) -> Case:
    """The case of a module that ``module:callable`` makes, with the arrays of a .npz file; see case_of().

    The working directory is looked into first, as by ``python -m``. The module is put in evaluation mode.
    Raises BuildError, with one sentence, for a module, a callable or a file that is not there or fails.
    """
    made = make_model(model)
    arrays = read_arrays(Path(inputs))
    if hasattr(made, "eval"):
        made.eval()
    case: Case = guarded("the model", lambda: case_of(made, arrays))
    return case


def make_model(model: str, argument: str = "--model") -> Any:
    """What ``module:callable`` makes. argument: of the command line, for errors."""
    name, colon, attribute = model.partition(":")
    if not name or not colon or not attribute:
        raise BuildError("bad model", argument=argument, expected="MODULE:CALLABLE, as in mypkg.net:make", got=model)
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise BuildError(
                "no such module", argument=argument, got=name, fix="It is looked for in the working directory too"
            ) from None
        raise BuildError(f"importing {name} failed: {error}", argument=argument) from error
    except Exception as error:
        raise BuildError(f"importing {name} raised {type(error).__name__}: {error}", argument=argument) from error
    make: Any = module
    for part in attribute.split("."):
        make = getattr(make, part, None)
    if not callable(make):
        names = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))[:12]
        raise BuildError(f"{name} has no callable {attribute}", argument=argument, expected=names)
    # Someone may name an instance: a module that is made already.
    made = not isinstance(make, type) and (hasattr(make, "named_modules") or hasattr(make, "export_ncnn"))
    return make if made else guarded(f"{model}()", make)


def told(array: Any) -> str:
    """Type and shape, and how many numbers are none."""
    wrong = 0 if array.dtype.kind != "f" else int(np.count_nonzero(~np.isfinite(array)))
    return f"{array.dtype} {list(array.shape)}" + (f", of which {wrong} are NaN or infinite" if wrong else "")


def read_arrays(path: Path, argument: str = "--inputs") -> dict[str, Any]:
    """The arrays of a .npz file, in its order. Nothing in it is executed. Raises BuildError.

    argument: of the command line, for errors.
    """
    try:
        with open_regular(path) as stream:
            if stream.read(6) == b"\x93NUMPY":
                raise ValueError("it is a single array")
        with open_regular(path) as stream, zipfile.ZipFile(stream) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MOST_BYTES:
            raise ValueError(f"its arrays have {size} bytes, more than {MOST_BYTES}")
        with open_regular(path) as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise BuildError("no such file", argument=argument, got=str(path)) from None
    except NOT_ARRAYS as error:
        raise BuildError(
            f"{path} is no .npz file of arrays: {error}", argument=argument, fix="numpy.savez writes one"
        ) from None
    if not arrays:
        raise BuildError("the file holds no array", argument=argument, got=str(path))
    for name, array in arrays.items():
        if array.dtype.kind not in "iuf" or not array.size or not np.isfinite(array).all():
            raise BuildError(f"{path}: input {name}", argument=argument, expected="finite numbers", got=told(array))
        if array.dtype == np.float64:  # what numpy draws, and torch's modules do not take
            arrays[name] = array.astype(np.float32)
    return arrays
