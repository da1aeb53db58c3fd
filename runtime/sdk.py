"""`python -m runtime.sdk`: where the CMake package and the header are that layers of your own are built with.

cmake -S . -B build -DCMAKE_PREFIX_PATH="$(python -m runtime.sdk)"
"""

from __future__ import annotations

import sys
from pathlib import Path

from .errors import OptionError


def sdk_dir() -> Path:
    """For CMAKE_PREFIX_PATH: the folder in which find_package(ncnn_builder_layers) finds what layers are built with."""
    for place in sys.modules[__name__.rpartition(".")[0] or "runtime"].__path__:
        folder = Path(place) / "cpp"
        if (folder / "cmake" / "ncnn_builder_layersConfig.cmake").exists():
            return folder.resolve()
    raise OptionError("this installation of runtime has no folder cpp", fix="install the project with `pip install .`")


if __name__ == "__main__":
    print(sdk_dir())
