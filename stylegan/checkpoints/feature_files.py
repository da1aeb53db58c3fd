"""Networks of features as TorchScript files: one that the user named, or an official one that is known by its hash.

A TorchScript file is a program: only bytes of a file that the user named, or of a known hash, are loaded here.
"""

from __future__ import annotations

import hashlib
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

from stylegan._torch import torch
from stylegan.errors import CheckpointError, StyleganError

_METRICS = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/"


class FeatureFileError(StyleganError):
    """A file of features cannot be had, or is not what it should be."""


@dataclass(frozen=True)
class Official:
    """word: what a command line calls it; description: with its file's name, for reports."""

    word: str
    url: str
    sha256: str
    description: str


VGG16 = Official(
    "vgg16",
    _METRICS + "vgg16.pt",
    "b437eb095feaeb0b83eb3fa11200ebca4548ee39a07fb944a417ddc516cc07c3",
    "vgg16.pt, the official VGG16",
)
INCEPTION = Official(
    "inception",
    _METRICS + "inception-2015-12-05.pt",
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
    "inception-2015-12-05.pt, the official Inception",
)


@dataclass(frozen=True)
class FeatureFile:
    """The bytes of a TorchScript file; name is for reports, sha256 of the bytes."""

    data: bytes
    name: str
    sha256: str


def named(path: Path) -> FeatureFile:
    """The file that a user named. Raises FeatureFileError."""
    data = _read(path)
    return FeatureFile(data, path.name, hashlib.sha256(data).hexdigest())


def elsewhere(name: str | None) -> str | None:
    """The same file or word, for the processes of other machines."""
    return name if name is None or not Path(name).exists() else str(Path(name).absolute())


def official(which: Official) -> tuple[FeatureFile | None, str]:
    """The official file, from the cache or the network; or None and why not.

    Raises FeatureFileError where what is in its place is another file.
    """
    from stylegan.checkpoints import download

    try:
        path = download.cached_file(which.url) or download.fetch(which.url, download.cache_dir())
    except CheckpointError as error:
        return None, str(error)
    data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    if digest != which.sha256:
        raise FeatureFileError(
            f"features {path}: expected sha256 {which.sha256}, got {digest}: it is not the official file and was not "
            "executed; remove it"
        )
    return FeatureFile(data, which.description, digest), ""


def load(file: FeatureFile) -> torch.jit.ScriptModule:
    """The network, in eval mode and without gradients of its own, on the CPU. Raises FeatureFileError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of TorchScript: the official files are such
            network = torch.jit.load(io.BytesIO(file.data), map_location="cpu").eval()
    except Exception as error:  # of any kind
        raise FeatureFileError(f"features {file.name}: expected a TorchScript file: {first_line(error)}") from None
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    found: torch.jit.ScriptModule = network
    return found


def first_line(error: Exception) -> str:
    """What an error of torch says before its stacks of C++ and TorchScript."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(("The following operation", "Traceback", "File "))]
    return (useful or lines or [type(error).__name__])[0][:200]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, MemoryError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or str(error) or "no memory"
        raise FeatureFileError(f"features {path}: cannot be read: {reason}") from None
