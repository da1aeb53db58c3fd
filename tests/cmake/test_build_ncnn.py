"""cmake/build_ncnn.py with a cmake and an unearth that only pretend: what goes wrong at set-up, and the second run."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "cmake" / "build_ncnn.py"
pytestmark = pytest.mark.skipif(os.name == "nt", reason="starts scripts by their first line: another system")

CMAKE = """#!{python}
import json, os, sys, time
from pathlib import Path
here, mode = Path(__file__).parent, os.environ.get("MODE", "")
if sys.argv[1] == "-S":
    lists = Path(sys.argv[2], "src/CMakeLists.txt").read_text()
    with open(here / "configured", "a") as file:
        file.write(json.dumps([sys.argv, os.environ.get("CXXFLAGS"), lists]))
elif sys.argv[1] == "--build":
    for step in range(4):
        print(f"[{{step + 1}}/4] Building x.o", flush=True)
        time.sleep(0.6 if mode == "slow" else 0)
    if mode == "hang":
        (here / "hangs").touch()
        time.sleep(600)
    if mode.startswith("say "):
        print(mode[4:])
        sys.exit(1)
else:
    Path(sys.argv[2]).parent.joinpath("install", "lib").mkdir(parents=True)
"""

UNEARTH = """
import json, os, sys
from pathlib import Path
here = Path(__file__).parent
asked = [sys.argv[1:], os.environ.get("HTTPS_PROXY"), os.environ.get("SSL_CERT_FILE")]
(here / "unearth.json").write_text(json.dumps(asked))
if not (here / "index.tar.gz").exists():
    sys.exit("ConnectError: [Errno 111] Connection refused")
folder = Path(sys.argv[sys.argv.index("--download") + 1])
(folder / "ncnn-9.0.tar.gz").write_bytes((here / "index.tar.gz").read_bytes())
"""


class Setup:
    """A cache, its programs, and a run of the script."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "cache"
        self.prefix = self.root / "ncnn-9.0-abc"
        lists = folder / "CMakeLists.txt"
        lists.write_text("# ncnn's\n")
        self.archive = folder / "index.tar.gz"
        with tarfile.open(self.archive, "w:gz") as archive:
            archive.add(lists, "ncnn-9.0/src/CMakeLists.txt")
        self.sha256 = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        (folder / "cmake").write_text(CMAKE.format(python=sys.executable))
        (folder / "cmake").chmod(0o755)
        (folder / "unearth.py").write_text(UNEARTH)

    def command(self) -> list[str]:
        return [sys.executable, str(SCRIPT), "--version", "9.0", "--sha256", self.sha256, "--prefix", str(self.prefix),
                "--include", "/ours.cmake", "--cmake", str(self.folder / "cmake"), "--", "-DX=1"]  # fmt: skip

    def env(self, mode: str = "", **more: str) -> dict[str, str]:
        given = {k: v for k, v in os.environ.items() if k != "SSL_CERT_FILE"}
        return given | {"MODE": mode, "PYTHONPATH": str(self.folder)} | more

    def run(self, mode: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(), capture_output=True, text=True, env=self.env(mode, **more), timeout=120)

    def works(self) -> None:
        """A run from here on does all there is to do, without a word."""
        done = self.run()
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert (self.prefix / "lib").is_dir()
        assert sorted(p.name for p in self.root.iterdir()) == ["ncnn-9.0-abc", "ncnn-9.0-abc.lock", "sources"]
        assert [p.name for p in (self.root / "sources").iterdir()] == ["ncnn-9.0.tar.gz"]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path)


def test_is_built_once_without_flags_of_the_caller(setup: Setup) -> None:
    done = setup.run(CXXFLAGS="-march=native")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    arguments, flags, lists = json.loads((setup.folder / "configured").read_text())
    assert arguments[-1] == "-DX=1" and flags is None
    assert lists == '# ncnn\'s\n\ninclude("/ours.cmake")\n'
    setup.works()
    json.loads((setup.folder / "configured").read_text())  # once


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            "FAILED: a.o\nx.cpp:3:10: fatal error: y.h: No such file",
            "cmake failed:\n  FAILED: a.o\n  x.cpp:3:10: fatal",
        ),
        ("as: cannot write: No space left on device", "no space left on the disk"),
        ("g++: fatal error: Killed signal terminated program cc1plus", "CMAKE_BUILD_PARALLEL_LEVEL=1"),
    ],
)
def test_what_stops_a_build_is_told(setup: Setup, said: str, message: str) -> None:
    done = setup.run("say " + said)
    assert done.returncode == 1 and done.stderr.startswith("ncnn 9.0 could not be built: ")
    assert message in done.stderr and "Traceback" not in done.stderr
    log = setup.prefix.with_name("ncnn-9.0-abc.log")
    assert str(log) in done.stderr and said in log.read_text()
    setup.works()


def test_no_network(setup: Setup) -> None:
    setup.archive.rename(setup.folder / "later")
    done = setup.run()
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "could not be fetched from the package index: ConnectError: [Errno 111] Connection refused" in done.stderr
    assert "HTTPS_PROXY" in done.stderr and str(setup.root / "sources") in done.stderr
    (setup.folder / "later").rename(setup.archive)
    setup.works()


def test_another_source_than_the_pinned_one(setup: Setup) -> None:
    right, got = setup.archive.read_bytes(), b"another"
    setup.archive.write_bytes(got)
    done = setup.run()
    assert done.returncode == 1 and hashlib.sha256(got).hexdigest() in done.stderr and setup.sha256 in done.stderr
    setup.archive.write_bytes(right)
    setup.works()


def test_a_damaged_source_in_the_cache_is_fetched_again(setup: Setup) -> None:
    (setup.root / "sources").mkdir(parents=True)
    (setup.root / "sources" / "ncnn-9.0.tar.gz").write_bytes(b"half")
    setup.works()


def test_index_proxy_and_certificate_are_those_of_pip(setup: Setup) -> None:
    (setup.folder / "cert").touch()
    settings = {
        "PIP_INDEX_URL": "https://index.invalid/simple",
        "PIP_PROXY": "http://proxy.invalid:1",
        "PIP_CERT": str(setup.folder / "cert"),
        "PIP_TRUSTED_HOST": "index.invalid",
    }
    done = setup.run(**settings)
    assert done.returncode == 0, done.stderr
    arguments, proxy, certificate = json.loads((setup.folder / "unearth.json").read_text())
    assert arguments[:2] == ["ncnn==9.0", "--no-binary"]
    assert arguments[arguments.index("-i") + 1] == "https://index.invalid/simple"
    assert arguments[arguments.index("--trusted-host") + 1] == "index.invalid"
    assert (proxy, certificate) == ("http://proxy.invalid:1", str(setup.folder / "cert"))


def test_a_cache_that_cannot_be_written_to(setup: Setup) -> None:
    setup.root.write_text("")  # a file: root may write into any folder
    done = setup.run()
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"the cache {setup.root} cannot be written to" in done.stderr and "NCNN_BUILDER_CACHE" in done.stderr
    setup.root.unlink()
    setup.works()


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_ncnn", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = script()
    monkeypatch.setattr(module, "DISK", 1 << 60)
    with pytest.raises(
        module.SetupError, match=r"MB are free: make room, or name another folder by NCNN_BUILDER_CACHE"
    ):
        module.check_cache(tmp_path)


def test_two_at_once(setup: Setup) -> None:
    runs = [subprocess.Popen(setup.command(), env=setup.env("slow")) for _ in range(2)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    json.loads((setup.folder / "configured").read_text())  # once
    setup.works()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_stopped_in_the_middle(setup: Setup, sent: signal.Signals) -> None:
    run = subprocess.Popen(setup.command(), env=setup.env("hang"), start_new_session=True, stderr=subprocess.PIPE)
    while not (setup.folder / "hangs").exists():
        assert run.poll() is None
        time.sleep(0.01)
    os.killpg(run.pid, sent)
    _, said = run.communicate(timeout=120)
    assert run.returncode == (130 if sent == signal.SIGINT else -sent) and said == b""
    assert not setup.prefix.exists()
    setup.works()


def test_progress_on_a_terminal(setup: Setup) -> None:
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        env = setup.env("slow")
        env.pop("CI", None)
        os.execve(sys.executable, setup.command(), env)
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # its other end was closed
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = shown.decode()
    assert "ncnn 9.0: configuring" in text and "of 4 files, 0:0" in text
    assert text.rstrip().rpartition("\033[K")[2].startswith("ncnn 9.0: built in 0:0")


def test_lines_of_make_and_ninja(monkeypatch: pytest.MonkeyPatch) -> None:
    module = script()
    clock, shown = [0.0], list[str]()
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    terminal = module.Terminal()
    monkeypatch.setattr(terminal, "show", shown.append)
    progress = module.Progress(terminal, "ncnn")
    for at, line in ((1, "[1/200] Building"), (60, "[100/200] Building"), (61, "warning"), (90, "[ 75%] Built")):
        clock[0] = at
        progress.line(line)
    assert shown == [
        "ncnn: 1 of 200 files, 0:01",
        "ncnn: 100 of 200 files, 1:00, about 1:00 left",
        "ncnn: 75 %, 1:30, about 0:30 left",
    ]


def test_layers_that_are_left_out(tmp_path: Path) -> None:
    """Kept is what is wanted, what ncnn makes, and what these make: by a header, for one processor, in turn."""
    files = {
        "src/CMakeLists.txt": "".join(
            f"ncnn_add_layer({name})\n"
            for name in ("Input", "Split", "Packing", "Pooling", "Convolution", "Padding", "ReLU", "Gemm", "SDPA")
        ),
        "src/mat.cpp": "op = create_layer(LayerType::Packing); if (index == LayerType::SDPA) {}",
        "src/layer/sdpa.cpp": "create_layer_cpu(ncnn::LayerType::Gemm);",
        "src/layer/x86/convolution_x86.cpp": '#include "convolution_x86.h"\n#include "activation.h"\n',
        "src/layer/convolution.cpp": "ncnn::create_layer_cpu(ncnn::LayerType::Padding);",
        "src/layer/activation.h": "create_layer(LayerType::ReLU);",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    module = script()
    off = [f"-DWITH_LAYER_{name}=OFF" for name in ("pooling", "gemm", "sdpa")]
    assert module.left_out(tmp_path / "src", ["Convolution"]) == off
    assert "-DWITH_LAYER_gemm=OFF" not in module.left_out(tmp_path / "src", ["SDPA"])
    with pytest.raises(
        module.SetupError, match=r"no layer Conv: NCNN_BUILDER_NCNN_LAYERS takes some of\n  Input Split"
    ):
        module.left_out(tmp_path / "src", ["Conv"])
