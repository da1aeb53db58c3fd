"""The nets that the page looks into: which ones it may, and those of them that are loaded."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NcnnError, UsageError
from ..manifest import load_manifest
from ..model import Model
from ..net import Net
from .blobs import picture
from .feeds import Arrays, Feed, arrays_for, check_inside
from .shelf import Shelf

KEPT = 2
SUFFIXES = (".param", ".param.bin")
MOST_NAMES = 300
DEPTH = 3  # of folders that are looked through
RUNS = (3, 20)  # that times are the median of, at least and at most
ENOUGH = 2.0  # seconds of runs
SECONDS = 300.0
"""What a run may take: a file of a stranger may never end."""


@dataclass(frozen=True)
class Opened:
    """A net in memory, and what its files were by then."""

    net: Net
    stamp: tuple[tuple[int, int], ...]


class Nets:
    """Names -> nets: those of the command line, those of the models that the page offers, and whatever lies beneath the
    working directory. Each runs in a process of its own, where the system has such: a file may be of a stranger.

    All but `names` and `stop` is called by one thread.
    """

    def __init__(self, given: Sequence[str], shelf: Shelf, threads: int | None) -> None:
        self._shelf, self._threads = shelf, threads
        self._open: OrderedDict[tuple[str, bool], Opened] = OrderedDict()
        self._lock = threading.Lock()
        self.first = [os.fspath(Path(name)) for name in given]
        for name in self.first:
            _beside(Path(name))

    def names(self) -> list[str]:
        here: list[str] = []
        for depth in range(DEPTH):
            found = sorted(Path.cwd().glob("*/" * depth + "*.param"))
            here += [os.fspath(path.relative_to(Path.cwd())) for path in found[: MOST_NAMES - len(here)]]
        return list(dict.fromkeys([*self.first, *here, *self._bundled()]))

    def _bundled(self) -> dict[str, tuple[Path, str, str]]:
        """Name -> file, model, mapping or synthesis: of the models that are offered."""
        found = {}
        for model in self._shelf.names():
            try:
                manifest = load_manifest(model)
            except NcnnError:
                continue
            for part, files in manifest.graphs.items():
                path = manifest.file(files.param)
                here = path.resolve()
                inside = here.is_relative_to(Path.cwd().resolve())
                name = os.fspath(here.relative_to(Path.cwd().resolve())) if inside else path.name
                found[name] = (path, model, part)
        return found

    def path(self, name: str) -> Path:
        """The .param file. Raises UsageError for a name that is none of them."""
        if name in self.first:
            return Path(name)
        if name in (bundled := self._bundled()):
            return bundled[name][0]
        return check_inside(name, SUFFIXES, "net")

    def load(self, name: str, any_shape: bool = False) -> Net:
        """From memory, or anew where a file has changed since; any_shape as of Net. Raises NcnnError."""
        path = self.path(name)
        binary = _beside(path)
        stamp = tuple((found.st_mtime_ns, found.st_size) for found in map(os.stat, (path, binary)))
        with self._lock:
            known = self._open.get((name, any_shape))
            if known is not None and known.stamp == stamp:
                self._open.move_to_end((name, any_shape))
                return known.net
            self._open.pop((name, any_shape), None)
        isolate = os.name == "posix"
        net = Net(
            path,
            binary,
            threads=self._threads,
            any_shape=any_shape,
            isolate=isolate,
            timeout=SECONDS if isolate else None,
        )
        with self._lock:
            self._open[name, any_shape] = Opened(net, stamp)
            while len(self._open) > KEPT:
                self._open.popitem(last=False)
        return net

    def stop(self, *names: str) -> None:
        """Ends what is being computed, from another thread."""
        with self._lock:
            found = [opened.net for (name, _), opened in self._open.items() if name in names]
        for net in found:
            net.stop()

    def given(self, name: str, feed: Feed) -> tuple[Net, Arrays]:
        """The net, and what it is given. Raises NcnnError."""
        net = self.load(name, any_shape=bool(feed.shapes))
        if feed.of:
            return net, self.for_both(feed.of, name, replace(feed, of=""))
        model, part = self._owner(name)
        return net, arrays_for(net, self.path(name), feed, model, part)

    def for_both(self, name: str, other: str, feed: Feed) -> Arrays:
        """What both nets are given: one style for all layers is one for each, where the second net wants it so."""
        _, given = self.given(name, feed)
        wanted = self.load(other).inputs
        return {
            blob: np.array(np.broadcast_to(array, shape))
            if (shape := wanted.get(blob)) and len(shape) == array.ndim + 1 and shape[1:] == array.shape
            else array
            for blob, array in given.items()
        }

    def _owner(self, name: str) -> tuple[Model | None, str]:
        """The bundle that the net is of, whose seeds it then takes."""
        bundled = self._bundled()
        if name in self.first:
            name = next((n for n, (path, _, _) in bundled.items() if path.resolve() == Path(name).resolve()), name)
        if name not in bundled:
            return None, ""
        _, model, part = bundled[name]
        return self._shelf.load(model).model, part

    def blob(
        self, name: str, blob: str, feed: Feed, first: int, each: bool, other: tuple[str, str] | None = None
    ) -> tuple[dict[str, Any], bytes]:
        """A picture of a blob, see blobs.picture. other: a second net and its blob, which is taken off.

        Raises NcnnError; UsageError where the two blobs have other shapes.
        """
        net, given = self.given(name, feed)
        if other:
            given = self.for_both(name, other[0], feed)
        values = net.run(given, [blob])[blob]
        if other:
            theirs, its_blob = self.load(other[0], any_shape=bool(feed.shapes)), other[1]
            second = theirs.run({k: v for k, v in given.items() if k in theirs.inputs}, [its_blob])[its_blob]
            if second.shape != values.shape:
                shapes = f"{list(values.shape)} and {list(second.shape)}"
                raise UsageError("the blob has another shape in the other net", expected="one shape", got=shapes)
            values = values - second
        if values.size == 0:
            raise UsageError(f"blob '{blob}' is empty")
        return picture(values, first, each)

    def times(self, name: str, feed: Feed) -> list[float]:
        """Seconds of each layer, in the order of the file: the median of some runs behind a first one."""
        net, given = self.given(name, feed)
        net.times(given)
        begun, runs = time.monotonic(), list[list[float]]()
        while len(runs) < RUNS[0] or (len(runs) < RUNS[1] and time.monotonic() - begun < ENOUGH):
            runs.append(net.times(given))
        return [float(n) for n in np.median(np.array(runs), axis=0)]


def _beside(param: Path) -> Path:
    """The .bin of a .param. Raises UsageError where one of the two is missing."""
    binary = param.with_name(param.name.removesuffix(".bin").removesuffix(".param") + ".bin")
    for path in (param, binary):
        if not path.is_file():
            raise UsageError("no such file", expected="NAME.param with NAME.bin beside it", got=str(path))
    return binary
