"""Makes runtime_nets.py importable, and skips nothing: without the extension module these tests fail."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model of 3 styles, called tiny, and seeds 1.bin, 2.bin, 3.bin."""
    from runtime_nets import latent, write_bundle, write_seed

    write_bundle(tmp_path)
    for i in (1, 2, 3):
        write_seed(tmp_path / f"{i}.bin", latent(i))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, for the tests of the studio's page."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no browser to open the studio in")
    path = os.environ.get("NCNN_BUILDER_CHROMIUM", "/usr/bin/chromium")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(studio: Any, browser: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The page of the module's studio, which has been started; the working directory is the studio's."""
    from studio_page_support import visited

    monkeypatch.chdir(studio.place)
    with visited(browser, studio.address) as opened:
        yield opened
