"""python -m runtime.upscale of folders: nothing that was made is made again, whatever stopped it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from batch_support import Deadly
from PIL import Image
from upscale_nets import load, photo, save, write_net

from runtime import CrashError
from runtime.batching.stores import alone
from runtime.upscale import main
from runtime.upscaling import upscaler as module
from runtime.upscaling.arguments import parse
from runtime.upscaling.folder import find_pictures
from runtime.upscaling.job import restored, upscaler_of

NOTES = ("upscaled.json", "upscaled.jsonl")
QUICK = ("model=x2", "threads=1", "isolate=false")
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a net x2 and four pictures in a folder."""
    write_net(tmp_path / "x2")
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for i, name in enumerate(("a.png", "b.jpg", "c.webp", "sub/a.png")):
        save(tmp_path / "in" / name, photo(9 + i, 12))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_folder_becomes_a_folder(here: Path, capsys: Captured) -> None:
    (here / "in" / "notes.txt").write_text("no picture")
    save(here / "in" / ".hidden.png", photo(9, 9))
    assert main(["in", "out", *QUICK]) == 0
    assert files(here / "out") == {"a.png", "b.jpg", "c.webp", "sub/a.png", *NOTES}
    assert load(here / "out" / "sub" / "a.png").shape == (24, 24, 3)
    out, err = capsys.readouterr()
    assert out == "out\n" and err == "1 files of in are no pictures by their names, and left out\n"
    assert main(["in/sub/a.png", "a.png", *QUICK]) == 0
    np.testing.assert_array_equal(load(here / "a.png"), load(here / "out" / "sub" / "a.png"))


def test_one_format_for_all(here: Path, capsys: Captured) -> None:
    assert main(["in", "out", "format=png", *QUICK]) == 0
    assert files(here / "out") == {"a.png", "b.png", "c.png", "sub/a.png", *NOTES}
    save(here / "in" / "a.bmp", photo(9, 9))
    assert main(["in", "out2", "format=png", *QUICK]) == 2
    assert "two pictures would become out2/a.png" in capsys.readouterr().err and not (here / "out2").exists()


def test_what_is_there_is_not_made_again(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    made: list[int] = []
    upscale = module.Upscaler.upscale
    monkeypatch.setattr(module.Upscaler, "upscale", lambda self, p, *more: made.append(1) or upscale(self, p, *more))
    assert main(["in", "out", *QUICK]) == 0 and len(made) == 4
    (here / "out" / "b.jpg").unlink()
    (here / "out" / ".c-0123abcd.webp").write_bytes(b"half a picture")  # as kill -9 leaves it
    later = time.time() + 5
    os.utime(here / "in" / "sub" / "a.png", (later, later))
    capsys.readouterr()
    assert main(["in", "out", *QUICK]) == 0 and len(made) == 6
    assert capsys.readouterr().err == "2 of 4 pictures are there already\n"
    assert files(here / "out") == {"a.png", "b.jpg", "c.webp", "sub/a.png", *NOTES}


def test_other_settings_are_not_mixed_in(here: Path, capsys: Captured) -> None:
    assert main(["in", "out", *QUICK]) == 0
    for change in ("tile=16", "quality=50"):
        assert main(["in", "out", change, *QUICK]) == 2
        assert "holds results of another net or of other settings" in capsys.readouterr().err
    write_net(here / "x2", scale=4)
    assert main(["in", "out", *QUICK]) == 2
    (here / "full").mkdir()
    (here / "full" / "mine.txt").write_text("")
    assert main(["in", "full", *QUICK]) == 2
    assert "full holds other files" in capsys.readouterr().err and files(here / "full") == {"mine.txt"}


def test_folders_in_each_other(here: Path, capsys: Captured) -> None:
    for out in ("in/out", "in", "."):
        assert main(["in", out, *QUICK]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    (here / "none").mkdir()
    assert main(["none", "out", *QUICK]) == 2
    assert "there is no picture in none" in capsys.readouterr().err and not (here / "out").exists()


def test_one_that_cannot_be_read_leaves_the_others(here: Path, capsys: Captured) -> None:
    (here / "in" / "b.jpg").write_bytes((here / "in" / "b.jpg").read_bytes()[:100])
    Image.fromarray(photo(9, 9, 4)).save(here / "in" / "z.png")
    assert main(["in", "out", "format=jpg", *QUICK]) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 3 and err[0].startswith("left out: in/b.jpg: not a picture") and "partly transparent" in err[1]
    assert err[2].startswith("error: 2 of 5 pictures could not be done; got first in/b.jpg")
    assert files(here / "out") == {"a.jpg", "c.jpg", "sub/a.jpg", *NOTES}


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_kill_9_loses_nothing(here: Path) -> None:
    for i in range(40):
        save(here / "in" / f"{i:02d}.png", photo(60, 60 + i))
    command = [sys.executable, "-m", "runtime.upscale", "in", "out", "tile=24", *QUICK]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out = here / "out"
    while len(list(out.glob("[0-9]*.png"))) < 5 and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    there = {path: path.stat().st_mtime_ns for path in out.glob("[0-9a-z]*.png")}
    assert 5 <= len(there) < 42
    assert all(load(path).shape[0] == 120 for path in out.glob("[0-9]*.png"))
    assert main(["in", "out", "tile=24", *QUICK]) == 0
    assert len(files(out)) == 46
    assert {path: path.stat().st_mtime_ns for path in there} == there
    assert main(["--verify", "out"]) == 0  # also those that the killed process had made and not entered


def test_verify(here: Path, capsys: Captured) -> None:
    """It proves what is there, finds each fault by name, and what it finds goes with the same command."""
    assert main(["in", "out", "workers=2", *QUICK]) == 0
    capsys.readouterr()
    right = f"4 pictures of {here}/in: each is there once, every SHA-256 is right"
    assert main(["--verify", "out"]) == 0 and capsys.readouterr().out == right + "\n"
    before = (here / "out" / "a.png").read_bytes()

    (here / "out" / "a.png").write_bytes(b"another")
    (here / "out" / "b.jpg").unlink()
    (here / "out" / "copy.png").write_bytes(before)
    save(here / "in" / "c.webp", photo(20, 20))
    save(here / "in" / "new.png", photo(9, 9))
    with (here / "out" / "upscaled.jsonl").open("a") as book:
        book.write('{"picture": "c.we')  # as a full disk cuts it
    assert main(["--verify", "out"]) == 1
    first, *faults, cure = capsys.readouterr().out.splitlines()
    assert first == "6 faults:" and "python -m runtime.upscale in out " in cure
    assert [faults[0], *sorted(faults[1:4]), *faults[4:]] == [  # workers are done in any order
        "upscaled.jsonl: line 5 cannot be read",
        "a.png: its SHA-256 is not the one that was written",
        "b.jpg: it is missing",
        "c.webp: it was made of another c.webp than is there now",
        "copy.png: it is of no picture",
        "new.png: its result is missing",
    ]
    for name in ("a.png", "copy.png"):
        (here / "out" / name).unlink()
    assert main(["in", "out", "workers=2", *QUICK]) == 0 and main(["--verify", "out"]) == 0
    assert (here / "out" / "a.png").read_bytes() == before

    (here / "in").rename(here / "elsewhere")
    capsys.readouterr()
    assert main(["--verify", "out"]) == 0
    assert capsys.readouterr().out.endswith("every SHA-256 is right; the pictures of 5 are not there any more\n")
    for wrong in (["--verify"], ["--verify", "out", "in"], ["--verify", "out", "tile=16"], ["--verify", "elsewhere"]):
        assert main(wrong) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_several_workers(here: Path, capsys: Captured) -> None:
    """They make what one does, and what is wrong with a picture is said once; one that dies is replaced."""
    (here / "in" / "b.jpg").write_bytes(b"no picture")
    assert main(["in", "out", *QUICK]) == 2
    alone_said = capsys.readouterr().err
    assert main(["in", "out2", "workers=2", *QUICK]) == 2
    assert capsys.readouterr().err == alone_said
    assert files(here / "out2") == files(here / "out") and len(files(here / "out")) == 5
    for name in ("a.png", "c.webp", "sub/a.png"):
        assert (here / "out2" / name).read_bytes() == (here / "out" / name).read_bytes()

    request, folder = parse(["in", "out2", "workers=2", *QUICK]), find_pictures(here / "in", "out2", None)
    for path in (here / "out2").glob("*.[pw]*"):
        path.unlink()
    request.given = {"": Deadly(here / "twice", 2)}  # type: ignore[dict-item]
    assert sorted(map(bool, restored(request, upscaler_of(request), folder))) == [False, False, True]
    assert (here / "out2" / "a.png").read_bytes() == (here / "out" / "a.png").read_bytes()
    request.given = {"": Deadly(here / "often", 9)}  # type: ignore[dict-item]
    (here / "out2" / "a.png").unlink()
    with pytest.raises(CrashError, match=r"in/.* has ended 3 workers; got .*SIGKILL"):
        list(restored(request, upscaler_of(request), folder))


def test_one_job_at_a_time_and_workers_of_folders_alone(here: Path, capsys: Captured) -> None:
    (here / "out").mkdir()
    with alone(here / "out"):
        assert main(["in", "out", *QUICK]) == 2
    assert main(["in/a.png", "a.png", "workers=2", *QUICK]) == 2
    assert main(["in/a.png", "a.png", "ray=auto", *QUICK]) == 2
    held, workers, ray = capsys.readouterr().err.splitlines()
    assert ray == "error: ray= is for folders: a picture or a video has threads="
    assert held.startswith("error: another job is at work in out")
    assert workers == "error: workers= is for folders: a picture or a video has threads="
