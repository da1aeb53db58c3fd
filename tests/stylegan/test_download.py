"""Fetching a file from a server of the test's own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stylegan import download
from stylegan.errors import CheckpointError

DATA = bytes(range(256)) * 20000


class Handler(BaseHTTPRequestHandler):
    release: threading.Event

    def do_GET(self) -> None:
        if self.path.startswith("/silent"):
            self.release.wait(20)
            return
        if self.path.startswith("/missing"):
            self.send_error(404)
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

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Handler.release = threading.Event()
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
    assert list(tmp_path.iterdir()) == []


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
