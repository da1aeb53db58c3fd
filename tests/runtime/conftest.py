"""Makes runtime_nets.py importable, and skips nothing: without the extension module these tests fail."""

from __future__ import annotations

import sys
from pathlib import Path

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
