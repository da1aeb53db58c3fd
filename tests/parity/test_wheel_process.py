"""The process in which the ncnn wheel runs: kept while it is well, and never taken for well when it is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import ncnn_builder as nb
from ncnn_builder.parity import wheel_process, wheel_results

X = np.float32([[-1, 0, 2]])


def result() -> np.ndarray:
    g = nb.Graph()
    g.output("y", nb.relu(g, g.input("x", X.shape)))
    (got,) = wheel_results([(nb.compile_graph(g, "stock"), {"x": X}, ["y"])])
    assert isinstance(got, dict), got
    return got["y"]


def pid() -> int:
    assert wheel_process._wheel is not None
    return wheel_process._wheel.process.pid


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel_process, "_wheel", None)


def test_it_is_started_once() -> None:
    assert (result() == [[0, 0, 2]]).all()
    first = pid()
    assert (result() == [[0, 0, 2]]).all()
    assert pid() == first


def test_one_that_has_ended_is_started_anew() -> None:
    result()
    first = pid()
    os.kill(first, signal.SIGKILL)
    wheel_process._wheel.process.wait()  # type: ignore[union-attr]
    assert (result() == [[0, 0, 2]]).all()
    assert pid() != first


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("print('building', file=sys.stderr); sys.exit(3)", "broke off with code 3; got building"),
        ("os.kill(os.getpid(), 9)", "broke off with code -9; got nothing said"),
        ("print('half an ans', end='')", "broke off with code 0; got half an ans"),
    ],
)
def test_one_that_breaks_off_is_an_error(
    script: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "jobs.py"
    path.write_text(f"import os, sys\nsys.stdin.readline()\n{script}\n")
    with monkeypatch.context() as changed:
        changed.setattr(wheel_process, "_JOBS", path)
        with pytest.raises(nb.ParityError, match=says):
            result()
    assert (result() == [[0, 0, 2]]).all()


def test_one_that_takes_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "jobs.py"
    path.write_text("import sys\nfor line in sys.stdin: pass\n")
    monkeypatch.setattr(wheel_process, "_JOBS", path)
    monkeypatch.setattr(wheel_process, "_TIMEOUT", 0.01)
    with pytest.raises(nb.ParityError, match="broke off with code -9"):
        result()


def test_an_answer_that_was_not_waited_for_is_no_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    result()
    first = wheel_process._wheel
    assert first is not None and first.process.stdout is not None

    def interrupted() -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(first.process.stdout, "readline", interrupted, raising=False)
    with pytest.raises(KeyboardInterrupt):
        result()
    assert first.process.poll() is not None
    assert (result() == [[0, 0, 2]]).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_has_its_own_and_it_ends_with_us(tmp_path: Path) -> None:
    script = tmp_path / "forks.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys
        sys.path[:0] = sys.argv[1:]
        from test_wheel_process import pid, result
        result()
        print(pid(), flush=True)
        if os.fork():
            assert os.wait()[1] == 0
            result()
            print(pid(), flush=True)
        else:
            result()
            print(pid(), flush=True)
        """)
    )
    here = Path(__file__).resolve()
    command = [sys.executable, str(script), str(here.parent), str(here.parents[2]), str(here.parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, fork, again = map(int, done.stdout.split())
    assert first == again != fork
    for each in (first, fork):
        with pytest.raises(ProcessLookupError):
            os.kill(each, 0)
