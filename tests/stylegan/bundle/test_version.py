"""The versions that a manifest says: the ncnn that cmake/Ncnn.cmake pins, and the format that the runtime reads."""

from __future__ import annotations

import re
from pathlib import Path

from runtime import manifest
from stylegan.bundle import write
from stylegan.export import NCNN_VERSION


def test_the_format_is_the_runtimes() -> None:
    assert write.FORMAT_VERSION == manifest.FORMAT_VERSION


def test_the_manifest_names_the_pinned_ncnn() -> None:
    cmake = Path(__file__).resolve().parents[3] / "cmake" / "Ncnn.cmake"
    assert re.findall(r'NCNN_PINNED_VERSION "(.*)"', cmake.read_text()) == [NCNN_VERSION]
