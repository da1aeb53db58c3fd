"""Fetching a file from a server of the test's own."""

from __future__ import annotations

import fcntl
import hashlib
import io
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from stylegan.checkpoints import checkpoint, download
from stylegan.errors import CheckpointError

DATA = bytes(range(256)) * 20000


class Handler(BaseHTTPRequestHandler):
    """The first part of the path says how the server fails; /resume... sends half unless asked for a part."""

    release: threading.Event
    asked: list[tuple[str | None, str | None]]
    tag = '"first"'
    content = DATA

    def do_GET(self) -> None:
        if self.path.startswith("/silent"):
            self.release.wait(20)
            return
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.asked.append((self.headers["Range"], self.headers["If-Range"]))
        if self.path.startswith("/resume"):
            self.resumable()
            return
        self.send_response(200)
        if not self.path.startswith("/nolength"):
            self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        if self.path.startswith(("/cut", "/stall")):
            self.wfile.write(DATA[: len(DATA) // 2])
            self.wfile.flush()
            if self.path.startswith("/stall"):
                self.release.wait(20)
            return
        self.wfile.write(DATA)

    def resumable(self) -> None:
        """/resume-tag has an ETag, /resume-size none, /resume-deaf ignores ranges, /resume-416 refuses them."""
        kind = self.path.split("/")[1].removeprefix("resume-")
        asked, same = self.headers["Range"], self.headers["If-Range"] in (None, self.tag)
        if asked and kind == "416":
            self.send_error(416)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and same and kind != "deaf" else 0
        self.send_response(206 if start else 200)
        if kind != "size":
            self.send_header("ETag", self.tag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        self.send_header("Content-Length", str(len(self.content) - start))
        self.end_headers()
        self.wfile.write(self.content[start:] if asked else self.content[: len(self.content) // 2])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Handler.release, Handler.asked = threading.Event(), []
    Handler.tag, Handler.content = '"first"', DATA
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    Handler.release.set()
    httpd.shutdown()
    httpd.server_close()


@pytest.mark.parametrize("kind", ["plain", "nolength"])
def test_fetch(server: str, tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = download.fetch(f"{server}/{kind}/net.pkl?x=1", tmp_path / "new")
    assert path == tmp_path / "new" / "net.pkl"
    assert path.read_bytes() == DATA
    assert list((tmp_path / "new").iterdir()) == [path]
    assert "net.pkl" in capfd.readouterr().err  # the progress bar


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "404"),
        ("cut", "ended after"),
        ("silent", r"nothing arrived for 0\.5 s|timed out"),
        ("stall", r"nothing arrived for 0\.5 s|timed out"),
    ],
)
def test_failure_leaves_nothing(server: str, tmp_path: Path, kind: str, message: str) -> None:
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=message):
        download.fetch(f"{server}/{kind}/net.pkl", tmp_path, timeout=0.5)
    assert time.monotonic() - start < 5
    left = {path.name for path in tmp_path.iterdir()}
    assert left == ({".net.pkl.partial", ".net.pkl.partial.json"} if kind in ("cut", "stall") else set())


@pytest.mark.parametrize("kind", ["tag", "size", "deaf", "416"])
def test_an_interrupted_fetch_is_resumed(server: str, tmp_path: Path, kind: str) -> None:
    url = f"{server}/resume-{kind}/net.pkl"
    with pytest.raises(CheckpointError, match=f"ended after {len(DATA) // 2} of {len(DATA)} bytes"):
        download.fetch(url, tmp_path)
    assert not (tmp_path / "net.pkl").exists()
    asked = (f"bytes={len(DATA) // 2}-", None if kind == "size" else '"first"')
    if kind == "416":  # then it is asked for anew, and this server interrupts that again
        with pytest.raises(CheckpointError, match="ended after"):
            download.fetch(url, tmp_path)
        assert Handler.asked[1:] == [asked, (None, None)]
        return
    path = download.fetch(url, tmp_path)
    assert path.read_bytes() == DATA
    assert list(tmp_path.iterdir()) == [path]
    assert Handler.asked == [(None, None), asked]


@pytest.mark.parametrize("kind", ["tag", "size"])
def test_a_file_that_changed_meanwhile_is_fetched_anew(server: str, tmp_path: Path, kind: str) -> None:
    url = f"{server}/resume-{kind}/net.pkl"
    with pytest.raises(CheckpointError, match="ended after"):
        download.fetch(url, tmp_path)
    Handler.tag, Handler.content = '"second"', bytes(len(DATA) + 7)
    if kind == "tag":  # the server answers with the whole new file
        assert download.fetch(url, tmp_path).read_bytes() == Handler.content
    else:  # the size tells: nothing of the answer is taken, and the second request is for all of it
        with pytest.raises(CheckpointError, match=f"ended after {len(Handler.content) // 2} of {len(Handler.content)}"):
            download.fetch(url, tmp_path)
        assert download.fetch(url, tmp_path).read_bytes() == Handler.content


def test_two_at_once_do_not_share_a_partial_file(server: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="ended after"):
        download.fetch(f"{server}/resume-tag/net.pkl", tmp_path)
    before = (tmp_path / ".net.pkl.partial").read_bytes()
    with (tmp_path / ".net.pkl.partial.json").open("a+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert download.fetch(f"{server}/plain/net.pkl", tmp_path).read_bytes() == DATA
    assert Handler.asked[-1] == (None, None)
    assert (tmp_path / ".net.pkl.partial").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("note", ["", "{", "[]", '{"url": 3}', '{"url": "URL", "size": "9", "validator": null}'])
def test_a_damaged_note_is_no_reason_to_resume(server: str, tmp_path: Path, note: str) -> None:
    url = f"{server}/plain/net.pkl"
    (tmp_path / ".net.pkl.partial").write_bytes(b"other")
    (tmp_path / ".net.pkl.partial.json").write_text(note.replace("URL", url))
    assert download.fetch(url, tmp_path).read_bytes() == DATA
    assert Handler.asked == [(None, None)]


def test_a_checkpoint_by_its_url(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCNN_BUILDER_CACHE", str(tmp_path))
    kwargs = dict(z_dim=4, c_dim=0, w_dim=4, img_resolution=8, img_channels=1)
    state = checkpoint.random_state("v2ada", kwargs | {"synthesis_kwargs": dict(channel_base=16, channel_max=2)})
    file = io.BytesIO()
    torch.save(state, file)
    monkeypatch.setitem(globals(), "DATA", file.getvalue())
    digest = hashlib.sha256(file.getvalue()).hexdigest()
    for _ in range(2):
        found = checkpoint.load(f"{server}/plain/net.pt", sha256=digest)
        assert found.source == "net.pt" and found.state.keys() == state.keys()
    assert len(Handler.asked) == 1
    with pytest.raises(CheckpointError, match=f"expected sha256 {'0' * 64}, got {digest}"):
        checkpoint.load(f"{server}/plain/net.pt", sha256="0" * 64)


def test_any_url_has_a_place_of_its_own_in_the_cache(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCNN_BUILDER_CACHE", str(tmp_path))
    first, second = (download.cached(f"{server}/{folder}/net.pkl") for folder in ("a", "b"))
    assert first != second and first.read_bytes() == second.read_bytes() == DATA
    assert download.cached(f"{server}/a/net.pkl") == first
    assert len(Handler.asked) == 2


def test_a_name_that_never_resolves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolving hangs longer than any socket timeout: fetch gives up all the same."""
    release = threading.Event()
    monkeypatch.setattr("urllib.request.urlopen", lambda *_args, **_kwargs: release.wait(20))
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=r"nothing arrived for 0\.3 s"):
        download.fetch("https://example.invalid/net.pkl", tmp_path, timeout=0.3)
    assert time.monotonic() - start < 2
    release.set()


def test_unwritable_directory(server: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="cannot fetch"):
        download.fetch(f"{server}/plain/net.pkl", tmp_path / "file" / "below")


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://h/f", "https://host/", "net.pkl"])
def test_bad_url(tmp_path: Path, url: str) -> None:
    with pytest.raises(CheckpointError, match=r"expected http\(s\)"):
        download.fetch(url, tmp_path)


def test_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCNN_BUILDER_CACHE", str(tmp_path))
    assert download.cache_dir() == tmp_path / "checkpoints"
    assert download.cached_file("https://host/a/net.pkl") is None
    download.cache_dir().mkdir()
    (download.cache_dir() / "net.pkl").write_bytes(b"x")
    assert download.cached_file("https://host/a/net.pkl") == tmp_path / "checkpoints" / "net.pkl"
    monkeypatch.delenv("NCNN_BUILDER_CACHE")
    assert "ncnn-builder" in str(download.cache_dir())
