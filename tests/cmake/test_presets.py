"""CMakePresets.json: CMake reads it, and what a preset says of Android reaches the build of ncnn."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CMAKE = shutil.which("cmake", path=str(Path(sys.executable).parent)) or "cmake"
PYTHON = """#!{python}
import json, os, sys
if sys.argv[1].endswith("build_ncnn.py"):
    with open(os.environ["TOLD"], "w") as file:
        json.dump(sys.argv, file)
    sys.exit("told")
os.execv({python!r}, [{python!r}, *sys.argv[1:]])
"""


def test_every_preset_is_listed_or_for_another_system() -> None:
    done = subprocess.run([CMAKE, "--list-presets"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
    for preset in presets:
        of_macos = preset.get("inherits") == "apple"
        seen = not preset.get("hidden") and (sys.platform == "darwin" or not of_macos)
        assert (f'"{preset["name"]}"' in done.stdout) == seen


@pytest.mark.skipif(os.name == "nt", reason="starts scripts by their first line: another system")
def test_ncnn_is_told_the_platform(tmp_path: Path) -> None:
    """The NDK's toolchain file is none of ours; any will do for what is handed on."""
    folder = tmp_path / "ndk" / "build" / "cmake"
    folder.mkdir(parents=True)
    (folder / "android.toolchain.cmake").write_text("set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)\n")
    python = tmp_path / "python3"
    python.write_text(PYTHON.format(python=sys.executable))
    python.chmod(0o755)
    env = {**os.environ, "ANDROID_NDK": str(tmp_path / "ndk"), "TOLD": str(tmp_path / "told")}
    env["NCNN_BUILDER_CACHE"] = str(tmp_path / "cache")
    command = [CMAKE, "--preset", "android-arm64", "-B", str(tmp_path / "build"), f"-DPython_EXECUTABLE={python}"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode != 0 and "told" in done.stderr, done.stdout + done.stderr
    told = json.loads((tmp_path / "told").read_text())
    wanted = {"-DANDROID_ABI=arm64-v8a", "-DANDROID_PLATFORM=android-24"}
    toolchain = folder / "android.toolchain.cmake"
    assert wanted | {f"-DCMAKE_TOOLCHAIN_FILE={toolchain}"} <= set(told), told
