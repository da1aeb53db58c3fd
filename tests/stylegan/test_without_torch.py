"""What happens where torch is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
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
    "stylegan.configs",
    "stylegan.convert",
    "stylegan.dataset",
    "stylegan.dataset.__main__",
    "stylegan.dataset.archive",
    "stylegan.dataset.batches",
    "stylegan.dataset.convert",
    "stylegan.dataset.job",
    "stylegan.dataset.picture_files",
    "stylegan.dataset.sets",
    "stylegan.dataset.sizes",
    "stylegan.dataset.source",
    "stylegan.dataset.verify",
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
    "stylegan.spectra",
    "stylegan.stopping",
    "stylegan.train",
    "stylegan.training",
    "stylegan.training.options",
    "stylegan.training.recipes",
    "stylegan.training.wavelets",
]


REPOSITORY = Path(__file__).parents[2]

SERVER = (
    BLOCKER
    + """
import contextlib, io, json, os, traceback
import numpy, PIL.Image, ncnn_builder  # what does without torch, and is not stylegan, is imported once

for line in sys.stdin:
    reading, writing = os.pipe()
    if not os.fork():
        said, error = io.StringIO(), ""
        with contextlib.redirect_stdout(said):
            try:
                exec(json.loads(line), {"__name__": "__main__"})
            except BaseException:
                error = traceback.format_exc()
        os.write(writing, json.dumps([said.getvalue(), error]).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as answer:
        print(answer.read(), flush=True)
    os.wait()
"""
)

Run = Callable[[str], tuple[str, str]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Python code -> what it says and the traceback that it ends with, by an interpreter that has imported nothing of
    stylegan: each piece of code gets a copy of it."""
    command = [sys.executable, "-c", SERVER]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # threads would not be copied
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=env
    ) as server:
        assert server.stdin is not None and server.stdout is not None

        def ask(code: str) -> tuple[str, str]:
            assert server.stdin is not None and server.stdout is not None
            server.stdin.write(json.dumps(code) + "\n")
            server.stdin.flush()
            said, error = json.loads(server.stdout.readline())
            return said, error

        yield ask
        server.stdin.close()


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
def test_light_modules_import(name: str, run: Run) -> None:
    _, error = run(f"import sys, {name}; assert 'torch' not in sys.modules")
    assert not error, error


def test_there_are_torch_modules() -> None:
    assert {"checkpoints.checkpoint", "networks.layers", "v2ada", "projector", "projector.run"} <= set(torch_modules())


SENTENCE = 'stylegan needs torch: pip install "ncnn-builder[stylegan]" (from a checkout: pip install ".[stylegan]")\n'


@pytest.mark.parametrize("name", torch_modules())
@pytest.mark.parametrize("statement", ["import {0}.{1}", "from {0} import {1}"])
def test_torch_modules_say_one_sentence(name: str, statement: str, run: Run) -> None:
    package, _, module = f"stylegan.{name}".rpartition(".")
    code = f"""
from stylegan.errors import StyleganError, TorchMissing
try:
    {statement.format(package, module)}
except StyleganError as error:
    assert isinstance(error, TorchMissing) and isinstance(error, ImportError)
    print(error)
"""
    said, error = run(code)
    assert not error, error
    assert said == SENTENCE


def test_in_a_process_of_its_own() -> None:
    code = "import stylegan.faces\ntry:\n    import stylegan.v2ada\nexcept ImportError as error:\n    print(error)"
    command = [sys.executable, "-c", BLOCKER + code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert done.returncode == 0 and done.stdout == SENTENCE, done.stderr
