"""What happens where torch is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BLOCKER = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoTorch())
"""


LIGHT = [
    "stylegan",
    "stylegan.bundle",
    "stylegan.checkpoints",
    "stylegan.checkpoints.download",
    "stylegan.checkpoints.file_kinds",
    "stylegan.checkpoints.official",
    "stylegan.checkpoints.pickle_values",
    "stylegan.checkpoints.pickles",
    "stylegan.checkpoints.strays",
    "stylegan.checkpoints.torch_files",
    "stylegan.command_line",
    "stylegan.convert",
    "stylegan.dataset",
    "stylegan.dataset.__main__",
    "stylegan.dataset.archive",
    "stylegan.dataset.convert",
    "stylegan.dataset.picture_files",
    "stylegan.dataset.source",
    "stylegan.export",
    "stylegan.bundle.write",
    "stylegan.bundle.rounding",
    "stylegan.bundle.seeds",
    "stylegan.faces",
    "stylegan.faces.__main__",
    "stylegan.faces.canvas",
    "stylegan.faces.drawing",
    "stylegan.faces.parameters",
    "stylegan.inspect",
    "stylegan.metrics",
    "stylegan.metrics.__main__",
    "stylegan.networks",
    "stylegan.networks.configs",
    "stylegan.networks.graphs",
    "stylegan.project",
    "stylegan.stopping",
    "stylegan.train",
    "stylegan.training",
    "stylegan.training.options",
    "stylegan.training.recipes",
    "stylegan.training.wavelets",
]


def run(code: str) -> subprocess.CompletedProcess[str]:
    repository = Path(__file__).parents[2]
    command = [sys.executable, "-c", BLOCKER + code]
    return subprocess.run(command, capture_output=True, text=True, cwd=repository, timeout=60)


def torch_modules() -> list[str]:
    """Every module of the package but those that promise to do without torch."""
    import stylegan

    light = {name.removeprefix("stylegan.") for name in LIGHT} | {"__init__", "_torch", "errors"}
    names = set()
    for directory in map(Path, stylegan.__path__):
        for path in directory.rglob("*.py"):
            names.add(".".join(path.relative_to(directory).with_suffix("").parts).removesuffix(".__init__"))
    return sorted(names - light)


@pytest.mark.parametrize("name", LIGHT)
def test_light_modules_import(name: str) -> None:
    result = run(f"import {name}; assert 'torch' not in sys.modules")
    assert result.returncode == 0, result.stderr


def test_there_are_torch_modules() -> None:
    assert {"checkpoints.checkpoint", "networks.layers", "v2ada", "projector", "projector.run"} <= set(torch_modules())


@pytest.mark.parametrize("name", torch_modules())
@pytest.mark.parametrize("statement", ["import {0}.{1}", "from {0} import {1}"])
def test_torch_modules_say_one_sentence(name: str, statement: str) -> None:
    package, _, module = f"stylegan.{name}".rpartition(".")
    code = f"""
from stylegan.errors import StyleganError, TorchMissing
try:
    {statement.format(package, module)}
except StyleganError as error:
    assert isinstance(error, TorchMissing) and isinstance(error, ImportError)
    print(error)
"""
    result = run(code)
    assert result.returncode == 0, result.stderr
    assert result.stdout == (
        'stylegan needs torch: pip install "ncnn-builder[stylegan]" (from a checkout: pip install ".[stylegan]")\n'
    )
