"""The models that the page may choose, and those of them that are loaded."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BundleError, NcnnError, UsageError
from ..manifest import SHIPPED, Manifest, is_manifest, load_manifest, manifest_path
from ..model import Model
from ..modes import newest_model
from ..noise import Noise
from ..renderer import load
from .previews import Previews, levels

KEPT = 2
"""Models in memory; a large one takes half a gigabyte."""
SMALL = 128  # pixels


@dataclass(frozen=True)
class Loaded:
    """A model in memory, and what its files were by then."""

    manifest: Manifest
    model: Model
    stamp: tuple[tuple[int, int], ...]


class Shelf:
    """Names of bundles -> models: the one that was asked for, those of the working directory, those of the package.

    No other name is one: the page cannot reach into the machine. `load` is called by one thread.
    """

    def __init__(self, first: str | None, threads: int | None, isolate: bool | None) -> None:
        self._threads, self._isolate = threads, isolate
        self._loaded: OrderedDict[str, Loaded] = OrderedDict()
        self.previews = Previews()
        self.first = self._name_of_first(first)
        load_manifest(self.first)  # a bad one is said before there is a page

    def _name_of_first(self, given: str | None) -> str:
        if given is not None:
            path = Path(given)
            return os.fspath(path.with_suffix("") if path.suffix == ".json" else path)
        try:
            return newest_model(Path.cwd()).stem
        except UsageError:
            return "faces"

    def names(self) -> list[str]:
        here = {path.stem for path in Path.cwd().glob("*.json") if is_manifest(path)}
        package = {path.stem for path in SHIPPED.glob("*.json") if is_manifest(path)}
        return list(dict.fromkeys([self.first, *sorted(here), *sorted(package)]))

    def manifest(self, name: str) -> Manifest:
        """Raises UsageError for a name that is not offered, BundleError for a bad manifest."""
        if name not in self.names():
            raise UsageError("no such model here", expected=", ".join(self.names()), got=repr(name[:100]))
        return load_manifest(name)

    def load(self, name: str) -> Loaded:
        """From memory, or anew where a file has changed since. Raises NcnnError."""
        known = self._loaded.get(name)
        if known is not None and known.stamp == _stamp(known.manifest):
            self._loaded.move_to_end(name)
            return known
        self._loaded.pop(name, None)
        manifest = self.manifest(name)
        stamp = _stamp(manifest)
        model = load(manifest, self._threads_for(manifest), self._isolated(manifest))
        loaded = self._loaded[name] = Loaded(manifest, model, stamp)
        while len(self._loaded) > KEPT:
            self._loaded.popitem(last=False)
        return loaded

    def _threads_for(self, manifest: Manifest) -> int | None:
        """A small picture alone gains nothing by a second thread, which the browser may need."""
        return 1 if self._threads is None and manifest.img_resolution <= SMALL else self._threads

    def _isolated(self, manifest: Manifest) -> bool:
        """A process of its own guards against what a file does to ncnn; those of the package are known."""
        if self._isolate is None:
            return os.name == "posix" and manifest.path.parent != SHIPPED
        return self._isolate

    def stop(self, name: str) -> None:
        """Ends what is being computed, from another thread."""
        if loaded := self._loaded.get(name):
            loaded.model.stop(gently=True)  # its next picture is asked for already

    def about(self) -> list[dict[str, Any]]:
        """Of each model what the page needs to know; of a bad one why it cannot be chosen."""
        return [self._about(name) for name in self.names()]

    def _about(self, name: str) -> dict[str, Any]:
        try:
            m = self.manifest(name)
        except NcnnError as error:
            return {"name": name, "error": str(error)}
        return {
            "name": name,
            "family": m.family,
            "config": m.config,
            "target": m.target,
            "digest": m.digest,
            "resolution": m.img_resolution,
            "channels": m.img_channels,
            "styles": m.num_ws,
            "classes": m.c_dim,
            "truncation": m.truncation,
            "noise": Noise(m).choices(),
            "strength": bool(m.noise.layers),
            "transform": m.transform is not None,
            "previews": bool(levels(m)),
            "random": m.weights.random,
            "shipped": manifest_path(name).parent == SHIPPED,
        }


def _stamp(manifest: Manifest) -> tuple[tuple[int, int], ...]:
    """Raises BundleError where a file has gone."""
    try:
        paths = [manifest.path, *map(manifest.file, manifest.files)]
        return tuple((found.st_mtime_ns, found.st_size) for found in map(os.stat, paths))
    except OSError as error:
        raise BundleError("a file of the model has gone", file=str(error.filename), reason=error.strerror) from None
