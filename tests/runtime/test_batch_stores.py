"""Addresses of fsspec as the place of runtime.batch: a store in memory, which every kind of address is like."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batch_support import files, goes_on, made_here

from runtime import UsageError
from runtime.batch import main
from runtime.batching.stores import Bucket, Folder, open_store

fsspec = pytest.importorskip("fsspec", reason="the extra [batch] is not installed")
JOB = ("seeds=3-8", "shard=2")


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def stored(memory: Any) -> dict[str, bytes]:
    return {name.removeprefix("/p/"): memory.cat_file(name) for name in memory.find("/p")}


@pytest.mark.parametrize("format", ["png", "webdataset"])
def test_an_address_holds_what_a_folder_does(place: Path, memory: Any, format: str) -> None:
    made_here(*JOB, "out=p", f"format={format}")
    made_here(*JOB, "out=memory://p", f"format={format}")
    want, found = files("p"), stored(memory)
    assert found.keys() == want.keys()
    assert {name for name in want if want[name] != found[name]} == {"_batch/job.json"}  # its command names the place
    assert main(["--verify", "out=memory://p"]) == 0
    memory.rm_file("/p/_batch/00001.json")
    assert main(["--verify", "out=memory://p"]) == 1


def test_an_upload_that_is_stopped_is_no_shard(place: Path, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ("seeds=3-4", "shard=2", "out=memory://p")
    order = made_here(*job)
    want = stored(memory)
    upload = Bucket._upload
    for count in range(len(want)):
        memory.rm("/p", recursive=True)
        left = count

        def limited(self: Bucket, path: Path, name: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise ConnectionError("the line is dead")
            upload(self, path, name)

        with monkeypatch.context() as patch:
            patch.setattr(Bucket, "_upload", limited)
            with pytest.raises((ConnectionError, UsageError), match="the line is dead"):  # the note is the parent's
                made_here(*job)
        if count:
            assert main(["--verify", "out=memory://p"]) == 1
        goes_on(order)
        assert stored(memory) == want


def test_a_file_address_is_a_folder(place: Path) -> None:
    assert isinstance(open_store("file:///a/b"), Folder) and isinstance(open_store("a/b"), Folder)
    made_here(*JOB, f"out=file://{place}/my%20p")
    assert main(["--verify", "out=my p"]) == 0


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("memory://p", "out=memory://p is memory of this process, and workers are others"),
        ("nosuch://p", "nosuch://p cannot be used; reason: Protocol not known: nosuch"),
    ],
)
def test_mistakes(place: Path, out: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model=tiny", *JOB, f"out={out}"]) == 2
    assert capsys.readouterr().err == f"error: {says}\n"


def test_what_a_store_raises_is_one_line(
    place: Path, memory: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class ClientError(Exception):
        pass

    def refuse(*args: object, **options: object) -> None:
        raise ClientError("Access\nDenied")

    made_here(*JOB, "out=memory://p")
    with monkeypatch.context() as patch:
        patch.setattr(fsspec.implementations.memory.MemoryFile, "read", refuse)
        assert main(["--verify", "out=memory://p"]) == 2
    assert capsys.readouterr().err == "error: memory://p cannot be read; reason: Access Denied\n"
    monkeypatch.setattr(type(memory), "ls", refuse)
    with pytest.raises(Exception, match="memory://p cannot be listed; reason: Access Denied"):
        open_store("memory://p").names()


def test_a_marker_of_the_folder_is_no_file_in_it(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As tools make one in a bucket; and what is hidden is of nothing whole."""
    monkeypatch.setattr(type(memory), "ls", lambda *_, **__: ["/p/", "/p/.DS_Store", "/p/a", "/p/b/"])
    assert open_store("memory://p").names() == {"a", "b"}


def test_fsspec_that_is_missing(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    assert main(["model=tiny", *JOB, "out=s3://bucket/p"]) == 2
    assert "error: out=s3://bucket/p needs the package fsspec" in capsys.readouterr().err
