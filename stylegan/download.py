"""Official checkpoint files: where they are kept, and fetching them without ever hanging."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import queue
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from stylegan.errors import CheckpointError, PackageMissing, needs

try:
    import platformdirs
    from tqdm import tqdm
except ModuleNotFoundError as error:
    raise PackageMissing(needs(error.name)) from None

CHUNK = 1 << 20


def cache_dir() -> Path:
    """Where checkpoints are kept: "checkpoints" under NCNN_BUILDER_CACHE or the user's cache directory."""
    base = os.environ.get("NCNN_BUILDER_CACHE") or platformdirs.user_cache_dir("ncnn-builder")
    return Path(base) / "checkpoints"


def file_name(url: str) -> str:
    """The last part of the URL's path. Raises CheckpointError if there is none or the URL is not http(s)."""
    parts = urllib.parse.urlsplit(url)
    name = parts.path.rpartition("/")[2]
    if parts.scheme not in ("http", "https") or not name:
        raise CheckpointError(f"cannot fetch {url!r}: expected http(s)://host/.../file")
    return name


def cached_file(url: str) -> Path | None:
    """The file that an earlier fetch of this URL into cache_dir() left, or None."""
    path = cache_dir() / file_name(url)
    return path if path.is_file() else None


def cached(url: str) -> Path:
    """The file of any URL, fetched at the first call, in a folder of the cache for that URL alone.

    Raises CheckpointError.
    """
    folder = cache_dir() / hashlib.sha256(url.encode()).hexdigest()[:16]
    path = folder / file_name(url)
    return path if path.is_file() else fetch(url, folder)


class _Reader(threading.Thread):
    """Reads a URL in the background into `items`: the size (None: unknown), chunks, then b'' or an exception.

    A thread, because a socket's timeout covers neither resolving the name nor several addresses tried in
    turn. It is a daemon and may be abandoned at any moment: `stop` lets it end.
    """

    def __init__(self, url: str, timeout: float) -> None:
        super().__init__(daemon=True)
        self.url, self.timeout = url, timeout
        self.items: queue.Queue[bytes | int | Exception | None] = queue.Queue(maxsize=16)
        self.stop = threading.Event()

    def _put(self, item: bytes | int | Exception | None) -> None:
        while not self.stop.is_set():
            try:
                return self.items.put(item, timeout=0.2)
            except queue.Full:
                continue

    def run(self) -> None:
        try:
            with urllib.request.urlopen(self.url, timeout=self.timeout) as response:
                length = response.headers.get("Content-Length")
                self._put(None if length is None else int(length))
                while not self.stop.is_set():
                    chunk = response.read1(CHUNK)
                    self._put(chunk)
                    if not chunk:
                        return
        except Exception as error:
            self._put(error)


def fetch(url: str, dest_dir: str | os.PathLike[str], timeout: float = 10.0) -> Path:
    """Download `url` into dest_dir under its own name, with a progress bar, and return the path.

    Gives up after `timeout` seconds in all without an answer (resolving, connecting and redirects together),
    and after as long a silence later. The file appears whole or not at all. Raises CheckpointError.
    """
    dest = Path(dest_dir) / file_name(url)
    partial = dest.with_name(f".{dest.name}.{os.getpid()}.partial")
    reader = _Reader(url, timeout)
    deadline = time.monotonic() + timeout
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        reader.start()
        size = reader.items.get(timeout=timeout)
        if isinstance(size, Exception):
            raise size
        assert size is None or isinstance(size, int)
        received = 0
        with partial.open("wb") as file, tqdm(total=size, unit="B", unit_scale=True, desc=dest.name) as bar:
            while chunk := reader.items.get(timeout=max(0.0, deadline - time.monotonic())):
                if isinstance(chunk, Exception):
                    raise chunk
                assert isinstance(chunk, bytes)
                file.write(chunk)
                bar.update(len(chunk))
                received += len(chunk)
                deadline = time.monotonic() + timeout
        if size is not None and received != size:
            raise CheckpointError(f"cannot fetch {url}: it ended after {received} of {size} bytes")
        os.replace(partial, dest)
    except queue.Empty:
        raise CheckpointError(f"cannot fetch {url}: nothing arrived for {timeout:g} s") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise CheckpointError(f"cannot fetch {url}: {_reason(error)}") from error
    finally:
        reader.stop.set()
        with contextlib.suppress(OSError):  # mostly it is not there, or its directory is not
            partial.unlink()
    return dest


def _reason(error: Exception) -> str:
    cause = error if isinstance(error, urllib.error.HTTPError) else getattr(error, "reason", error)
    return " ".join(str(cause).split()) or type(error).__name__
