"""The version of ncnn is pinned in one place, cmake/Ncnn.cmake; what a manifest says has to be that one."""

from __future__ import annotations

import re
from pathlib import Path

from stylegan.export import NCNN_VERSION


def test_the_manifest_names_the_pinned_ncnn() -> None:
    cmake = Path(__file__).resolve().parents[3] / "cmake" / "Ncnn.cmake"
    assert re.findall(r'NCNN_PINNED_VERSION "(.*)"', cmake.read_text()) == [NCNN_VERSION]
