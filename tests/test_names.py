"""Names that pages give to others lead somewhere: commands, imports, functions of the DSL, files of this house."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import ncnn_builder as nb

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]
OURS = "ncnn_builder|runtime|stylegan|benchmarks|tests|examples"

COMMAND = re.compile(rf"-m ((?:{OURS})[\w.]*)")
IMPORT = re.compile(rf"^(?:from|import) (?:{OURS})\b.*$", re.MULTILINE)
DSL = re.compile(r"\bnb\.(\w+)\(")
FILE = re.compile(rf"`((?:{OURS}|custom_layers|cmake|docs)/[a-z0-9_./]*)`")

CONTRACT = [
    "from stylegan import v2ada, v3",
    "from stylegan.v2ada import Generator, MappingNetwork, SynthesisNetwork",
    "from stylegan.v3 import Generator, MappingNetwork, SynthesisNetwork",
    "from stylegan.export import export_generator",
    "from stylegan.checkpoint import build_generator, load, random_state",
    "from stylegan.configs import get_config",
    "from stylegan.dataset import PictureDataset",
    "from ncnn_builder.parity import runner, torch_taps",
    "from ncnn_builder.passes.pipeline import lower_and_optimise",
    "from ncnn_builder.doctor import case_of, diagnose",
    "from ncnn_builder.tools.lint import lint",
    "from ncnn_builder.tools.net import read_net",
    "from runtime.stopping import unwind_on_sigterm",
    "from runtime import Model, Net",
    "from ncnn_builder import Graph, activation, capture, convert, export, registry, save",
]
"""What users call, and what must not move."""


def broken(text: str) -> list[str]:
    """What a page names that is not there."""
    found = []
    for name in COMMAND.findall(text):
        path = ROOT / name.rstrip(".").replace(".", "/")
        command = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        if not command.is_file() or "__main__" not in command.read_text(encoding="utf-8"):
            found.append(f"-m {name}")
    found += [name for name in (*IMPORT.findall(text),) if not imports(name)]
    found += [f"nb.{name}" for name in DSL.findall(text) if not hasattr(nb, name)]
    return found + [name for name in FILE.findall(text) if not (ROOT / name).exists()]


def imports(statement: str) -> bool:
    (node,) = ast.parse(statement).body
    if isinstance(node, ast.Import):
        return all(importlib.import_module(alias.name) for alias in node.names)
    assert isinstance(node, ast.ImportFrom) and node.module
    module = importlib.import_module(node.module)
    return all(
        hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}") for alias in node.names
    )


@pytest.mark.parametrize("page", PAGES)
def test_names_on_pages_are_there(page: str) -> None:
    assert broken((ROOT / page).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("statement", CONTRACT)
def test_the_contract_stays(statement: str) -> None:
    assert imports(statement)


def test_a_name_that_is_not_there_is_found() -> None:
    wrong = "`stylegan/nothing.py` nb.nothing(g) python -m stylegan.networks, nb.concat(g, x) `stylegan/v3.py`"
    assert broken(wrong) == ["-m stylegan.networks", "nb.nothing", "stylegan/nothing.py"]
    assert broken("from runtime import Net\nfrom ncnn_builder import Graph") == []
    with pytest.raises(ImportError):
        broken("from runtime import Nothing")
