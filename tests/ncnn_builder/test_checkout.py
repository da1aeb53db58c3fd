"""An installed package knows no checkout but the one that it is worked with in, and writes into no other folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ncnn_builder import checkout

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as site-packages is, with the package alone."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "ncnn_builder", folder / "ncnn_builder", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def run(installed: Path, cwd: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Python that finds this package, and those that the tests have; -S: not the checkout by way of a .pth file."""
    paths = [str(installed), *(path for path in sys.path if path and not Path(path).is_relative_to(ROOT / "tests"))]
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {paths!r}\n{code}"]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def test_this_is_one() -> None:
    assert checkout.ROOT == ROOT
    assert checkout.path("docs/ops.md").is_file()


@pytest.mark.parametrize("arguments", [["ncnn_builder.codegen"], ["ncnn_builder.docs", "api"]])
def test_nothing_is_written_where_there_is_none(installed: Path, tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "api.md").write_text("mine")
    start = f"import runpy; sys.argv = {arguments!r}; runpy.run_module(sys.argv[0], run_name='__main__')"
    done = run(installed, tmp_path, start)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "is a file of the project's sources, and they are not here. Run it in a checkout" in done.stderr
    assert (tmp_path / "docs" / "api.md").read_text() == "mine" and not (installed / "docs").exists()


def test_the_tests_of_a_checkout_find_it_with_an_installed_package(installed: Path) -> None:
    for cwd in (ROOT, ROOT / "tests"):
        done = run(
            installed, cwd, "from ncnn_builder import checkout, codegen; print(checkout.__file__, codegen.HEADER)"
        )
        found, header = done.stdout.split()
        assert Path(found).is_relative_to(installed) and Path(header) == ROOT / "custom_layers" / "param_ids.h"
