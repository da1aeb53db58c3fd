"""examples/own_layer: a layer of a user's own, built outside of the project as its page says, and what goes wrong."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.sdk import sdk_dir

ROOT = Path(__file__).resolve().parents[2]
LISTS = """cmake_minimum_required(VERSION 3.24)
project(others LANGUAGES CXX)
find_package(ncnn_builder_layers REQUIRED)
add_subdirectory(own_layer)
ncnn_builder_add_layers(same own_layer/median.cpp own_layer/library.cpp)
ncnn_builder_add_layers(ncnns taken.cpp)
ncnn_builder_add_layers(lazy lazy.cpp)
add_library(older MODULE older.cpp)
add_library(nothing MODULE nothing.cpp)
set_target_properties(older nothing PROPERTIES PREFIX "")
"""
TAKEN = """#include <ncnn_builder/layers.h>
NCNN_BUILDER_LAYERS(ncnn_builder::layer<ncnn::Layer>("ReLU"))
"""
LAZY = """#include <ncnn_builder/layers.h>
struct Lazy : public ncnn::Layer { // leaves the last number unwritten
    Lazy() { one_blob_only = true; }
    int forward(const ncnn::Mat& from, ncnn::Mat& to, const ncnn::Option& opt) const override
    {
        to.create(from.w, sizeof(float), opt.blob_allocator);
        for (int i = 0; i + 1 < from.w; i++)
            to[i] = from[i];
        return 0;
    }
};
NCNN_BUILDER_LAYERS(ncnn_builder::layer<Lazy>("Lazy"))
"""
OLDER = """struct Library { const char* built_with; const void* entries; unsigned long count; };
extern "C" const void* ncnn_builder_layers_1()
{
    static const Library library = {"ncnn 1.0.20200101, Vulkan 1", nullptr, 0};
    return &library;
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, and libraries that are none for this runtime, built in a folder of their own."""
    folder = tmp_path_factory.mktemp("own")
    shutil.copytree(ROOT / "examples" / "own_layer", folder / "own_layer")
    texts = {"CMakeLists.txt": LISTS, "taken.cpp": TAKEN, "lazy.cpp": LAZY, "older.cpp": OLDER, "nothing.cpp": ""}
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "text.so").write_text("no library\n")
    cmake = shutil.which("cmake", path=str(Path(sys.executable).parent)) or shutil.which("cmake")
    assert cmake, "the extra [dev] brings cmake"
    asked = subprocess.run([sys.executable, "-m", "runtime.sdk"], capture_output=True, text=True, check=True)
    assert Path(asked.stdout.strip()) == sdk_dir()
    run([cmake, "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={sdk_dir()}"])
    run([cmake, "--build", folder / "build", "--parallel", "2"])
    for library in [*folder.glob("build/*.so"), folder / "build" / "own_layer" / "median.so"]:
        shutil.copy(library, folder)
    return folder


def run(command: list[object], cwd: Path | None = None) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(folder: Path, code: str) -> str:
    """What a program says in a process of its own: what it registers stays there."""
    (folder / "program.py").write_text(f"import sys\nsys.path.insert(0, 'own_layer')\n{code}")
    return run([sys.executable, "program.py"], folder)


NET = """
import numpy as np, runtime
open("m.param", "w").write("7767517\\n2 2\\nInput x 0 1 x\\n{line}\\n")
open("m.bin", "w").close()
"""


def net(line: str = "Median m 1 1 x y 0=1") -> str:
    return NET.format(line=line)


def refused(folder: Path, code: str) -> str:
    """The message of the error that a program ends with."""
    return python(
        folder, f"{net()}\ntry:\n    {code}\nexcept Exception as error:\n    print(type(error).__name__, error)"
    )


def test_the_example_is_equal_to_torch(built: Path) -> None:
    said = run([sys.executable, "own_layer/denoise.py", "median.so", "out/denoise"], built)
    assert "ok   out0 draw 2" in said
    assert "Median " in (built / "out" / "denoise.param").read_text()


def test_the_comparison_sees_the_layer(built: Path) -> None:
    """A layer that computes something else than the operator says is a ParityError."""
    said = python(built, """
import denoise, torch, ncnn_builder as nb
from runtime import add_layers
add_layers("median.so")
nb.registry["Median"].__class__.canonical = lambda self, inputs, params: {"radius": 1}
try:
    nb.convert(denoise.make(), torch.rand(1, 3, 8, 8), "out/wrong")
except nb.ParityError as error:
    print(error)
""")  # fmt: skip
    assert "differs from torch, first in module last" in said
    assert not (built / "out" / "wrong.param").exists()


def test_numbers_are_the_same_in_a_process_of_its_own(built: Path) -> None:
    said = python(built, f"""{net()}
import statistics
print(runtime.add_layers("median.so"), runtime.add_layers("./median.so"))
x = np.random.default_rng(0).standard_normal((2, 5, 6)).astype(np.float32)
here, there = (runtime.Net("m.param", "m.bin", isolate=isolate).run({{"x": x}})["y"] for isolate in (False, True))
assert np.array_equal(here, there)
assert here[1, 2, 3] == np.median(x[1, 1:4, 2:5]) and here[0, 0, 0] == np.median(np.pad(x[0], 1, "edge")[:3, :3])
""")  # fmt: skip
    assert said == "['Median'] ['Median']\n"


def test_a_layer_that_nobody_has_made_known(built: Path) -> None:
    said = refused(built, "runtime.Net('m.param', 'm.bin')")
    assert said.startswith("ParamError m.param:4: layer m (Median): unknown layer type") and "add_layers" in said
    said = python(built, """
import denoise, torch, ncnn_builder as nb
try:
    nb.convert(denoise.make(), torch.rand(1, 3, 8, 8), "out/unknown")
except nb.BuildError as error:
    print(error)
""")  # fmt: skip
    assert "layers of your own (Median) that the runtime does not know" in said and "add_layers" in said
    assert not (built / "out" / "unknown.param").exists()


def test_what_the_layer_says(built: Path) -> None:
    """Of its parameters when it is loaded, of its input when it runs, and what it leaves unwritten."""
    said = python(built, f"""{net("Median m 1 1 x y 0=99")}
runtime.add_layers("median.so")
try:
    runtime.Net("m.param", "m.bin")
except runtime.ParamError as error:
    print(error)
{net()}
try:
    runtime.Net("m.param", "m.bin").run({{"x": np.zeros(4)}})
except runtime.LayerError as error:
    print(error)
{net("Lazy m 1 1 x y")}
runtime.add_layers("lazy.so")
try:
    print(runtime.Net("m.param", "m.bin").run({{"x": np.zeros(4)}}))
except runtime.LayerError as error:
    print(error)
""")  # fmt: skip
    parameters, shape, lazy = said.splitlines()
    assert "layer m (Median)" in parameters and "radius is 99, and has to be 1 to 16" in parameters
    assert "layer m (Median)" in shape and "the input has 1 dimensions, and has to have 3" in shape
    assert "layer m (Lazy)" in lazy and "unwritten" in lazy


@pytest.mark.parametrize(
    "library, words",
    [
        ("missing.so", ["no such library of layers"]),
        ("text.so", ["the library of layers cannot be loaded", "reason"]),
        ("nothing.so", ["no list of layers", "NCNN_BUILDER_LAYERS"]),
        ("older.so", ["another ncnn", "got ncnn 1.0.20200101, Vulkan 1", "expected ncnn 1.0.", "sizes of Layer"]),
        ("ncnns.so", ["there already", "'ReLU'"]),
        ("same.so", ["two libraries have the same type", "'Median'", "median.so"]),
    ],
)
def test_what_is_no_library_of_layers(built: Path, library: str, words: list[str]) -> None:
    said = refused(built, f"runtime.add_layers('median.so'); runtime.add_layers({library!r})")
    assert said.startswith("OptionError") and library in said
    for word in words:
        assert word in said
