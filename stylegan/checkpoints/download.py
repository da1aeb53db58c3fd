"""Official checkpoint files: where they are kept, and fetching them without ever hanging."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import queue
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from stylegan.errors import CheckpointError, PackageMissing, needs

try:
    import fcntl
except ModuleNotFoundError:  # on Windows: nothing is kept there
    fcntl = None  # type: ignore[assignment]

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


@dataclass(frozen=True)
class _Answer:
    """What a server says of the bytes that it is about to send: the first one, how many the file has, which file."""

    start: int
    size: int | None
    validator: str | None


class _Reader(threading.Thread):
    """Reads a URL in the background into `items`: an _Answer, chunks, then b'' or an exception.

    have: the answer of an interrupted fetch, its start being the bytes that are there; the rest is asked for, of the
    same file only. A server that cannot, or has another file by now, answers from 0.

    A thread, because a socket's timeout covers neither resolving the name nor several addresses tried in
    turn. It is a daemon and may be abandoned at any moment: `stop` lets it end.
    """

    def __init__(self, url: str, timeout: float, have: _Answer | None) -> None:
        super().__init__(daemon=True)
        self.url, self.timeout, self.have = url, timeout, have
        self.items: queue.Queue[bytes | _Answer | Exception] = queue.Queue(maxsize=16)
        self.stop = threading.Event()

    def _put(self, item: bytes | _Answer | Exception) -> None:
        while not self.stop.is_set():
            try:
                return self.items.put(item, timeout=0.2)
            except queue.Full:
                continue

    def run(self) -> None:
        try:
            if self.have is None or not self._read(self.have):
                self._read(None)
        except Exception as error:
            self._put(error)

    def _read(self, have: _Answer | None) -> bool:
        """Whether the server answered to the purpose; False before anything is put, where the rest cannot be had."""
        request = urllib.request.Request(self.url)
        if have is not None:
            request.add_header("Range", f"bytes={have.start}-")
            if have.validator is not None:
                request.add_header("If-Range", have.validator)
        try:
            response = urllib.request.urlopen(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            if have is not None and error.code in (412, 416):
                return False
            raise
        with response:
            answer = _answer(response)
            if have is not None and answer.start and answer != have:
                return False
            self._put(answer)
            while not self.stop.is_set():
                chunk = response.read1(CHUNK)
                self._put(chunk)
                if not chunk:
                    break
        return True


def _answer(response: http.client.HTTPResponse) -> _Answer:
    tag, length = response.headers.get("ETag"), response.headers.get("Content-Length")
    validator = response.headers.get("Last-Modified") if tag is None or tag.startswith("W/") else tag
    if response.status != 206:
        return _Answer(0, None if length is None else int(length), validator)
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range") or "")
    if found is None:
        raise ValueError("the server sent a part without saying which")
    return _Answer(int(found[1]), int(found[2]), validator)


class _Partial:
    """The bytes of a fetch that is not complete, .NAME.partial, and beside it in .NAME.partial.json what they are of.

    Another process may be fetching the same: who holds the lock of the latter resumes; others have files of their own,
    which are not kept.
    """

    def __init__(self, dest: Path, url: str) -> None:
        self.url = url
        stem = f".{dest.name}.partial"
        self.note = dest.with_name(f"{stem}.json").open("a+")
        try:
            if fcntl is None:
                raise OSError
            fcntl.flock(self.note, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.kept = os.path.samestat(os.fstat(self.note.fileno()), os.stat(self.note.name))  # not deleted since
        except OSError:
            self.kept = False
        if not self.kept:
            stem = f".{dest.name}.{os.getpid()}.partial"
        self.path = dest.with_name(stem)
        self.file = self.path.open("a+b" if self.kept else "w+b")

    def have(self) -> _Answer | None:
        """What an earlier fetch of this URL left; None where nothing can be resumed."""
        if not self.kept:
            return None
        self.note.seek(0)
        try:
            said = json.loads(self.note.read())
            start, size, validator = self.file.seek(0, os.SEEK_END), said["size"], said["validator"]
            good = said["url"] == self.url and type(size) is int and 0 < start < size
            return _Answer(start, size, validator) if good and isinstance(validator, str | None) else None
        except (ValueError, LookupError, TypeError):
            return None

    def begin(self, answer: _Answer) -> None:
        """Go to the answer's first byte, drop what is behind it, and note what comes."""
        self.file.truncate(answer.start)
        self.file.seek(answer.start)
        if self.kept:
            self.note.truncate(0)
            json.dump({"url": self.url, "size": answer.size, "validator": answer.validator}, self.note)
            self.note.flush()

    def close(self, done: Path | None) -> None:
        """done: the whole file's place; None keeps the bytes where they can be resumed."""
        empty = self.file.tell() == 0
        self.file.close()
        if done is not None:
            os.replace(self.path, done)
        elif empty or not self.kept:
            self.path.unlink(missing_ok=True)
        if self.kept and (done is not None or empty):
            Path(self.note.name).unlink(missing_ok=True)
        self.note.close()


def fetch(url: str, dest_dir: str | os.PathLike[str], timeout: float = 10.0) -> Path:
    """Download `url` into dest_dir under its own name, with a progress bar, and return the path.

    Gives up after `timeout` seconds in all without an answer (resolving, connecting and redirects together),
    and after as long a silence later. The file appears whole or not at all; what came of it is kept in a hidden file
    and resumed by the next fetch if the server still has the same file (its ETag, date or, without both, its size
    tell). Raises CheckpointError.
    """
    dest = Path(dest_dir) / file_name(url)
    partial: _Partial | None = None
    reader: _Reader | None = None
    try:
        dest.parent.mkdir(parents=True, exist_ok=True)
        partial = _Partial(dest, url)
        reader = _Reader(url, timeout, partial.have())
        reader.start()
        answer = reader.items.get(timeout=timeout)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, _Answer)
        partial.begin(answer)
        deadline = time.monotonic() + timeout
        received = answer.start
        with tqdm(total=answer.size, initial=received, unit="B", unit_scale=True, desc=dest.name) as bar:
            while chunk := reader.items.get(timeout=max(0.0, deadline - time.monotonic())):
                if isinstance(chunk, Exception):
                    raise chunk
                assert isinstance(chunk, bytes)
                partial.file.write(chunk)
                bar.update(len(chunk))
                received += len(chunk)
                deadline = time.monotonic() + timeout
        if answer.size is not None and received != answer.size:
            raise CheckpointError(f"cannot fetch {url}: it ended after {received} of {answer.size} bytes")
        partial.close(dest)
        partial = None
    except queue.Empty:
        raise CheckpointError(f"cannot fetch {url}: nothing arrived for {timeout:g} s") from None
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise CheckpointError(f"cannot fetch {url}: {_reason(error)}") from error
    finally:
        if reader is not None:
            reader.stop.set()
        if partial is not None:
            with contextlib.suppress(OSError):  # of the same fault, mostly
                partial.close(None)
    return dest


def _reason(error: Exception) -> str:
    cause = error if isinstance(error, urllib.error.HTTPError) else getattr(error, "reason", error)
    return " ".join(str(cause).split()) or type(error).__name__
