"""Makes shards, whoever hands them out: the one function of all workers."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..arguments import Request
from ..errors import InputError, UsageError
from ..manifest import Manifest, load_manifest
from ..pictures import encoded
from ..recipe import FIELDS, PREFIX, recipe
from ..renderer import Renderer, Shot
from ..seeds import Seed
from .arguments import Batch
from .formats import Entry
from .job import VERSION, Job, digest
from .stores import open_store

KIND = "ncnn-builder-shard"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
AGAIN = "Make room, and give the same command again"
OF_ONE_PICTURE = ("seeds", "model", "command")  # fields of a recipe


@dataclass(frozen=True)
class Order:
    """All that a worker has to know. request: of a picture, without its seed; model: the manifest; out: the store."""

    request: Request
    model: Path
    out: str
    job: Job

    def maker(self) -> Maker:
        return Maker(self)

    def says(self, shard: int) -> str:
        return self.job.says(shard)


class Maker:
    """A loaded model, for one thread. Raises NcnnError where it is not the job's, or does not fit to the request."""

    def __init__(self, order: Order) -> None:
        self._request, self._job = replace(order.request, model=order.job.model), order.job
        self._store = open_store(order.out)
        self._manifest = load_manifest(order.model)
        if self._manifest.digest != order.job.model_sha256:
            raise UsageError(
                "the model has changed since the job was begun",
                file=str(order.model),
                expected=order.job.model_sha256[:16] + "...",
                got=self._manifest.digest[:16] + "...",
            )
        # The net shares this process: its end is that of a worker, who is replaced.
        alone = replace(order.request, threads=1, isolate=False, quiet=True)
        self._renderer = _renderer(alone, self._manifest, Seed(str(order.job.seeds.largest)))
        if self._renderer.edit_sha256 != order.job.recipe.get("edit_sha256", ""):
            raise UsageError(
                "the files of edit= have changed since the job was begun",
                expected=order.job.recipe.get("edit_sha256"),
                got=self._renderer.edit_sha256,
            )

    def make(self, shard: int, made: Callable[[int], object]) -> None:
        """Writes one shard, the file that says so last. made: is told how many pictures of it there are.

        Raises NcnnError, for a disk that is full too, with the shard and the place.
        """
        try:
            self._make(shard, made)
        except OSError as error:
            if isinstance(error, BrokenPipeError):  # nobody is there to be told
                raise
            reason = error.strerror or str(error)
            what = f"{self._job.says(shard)} cannot be written to out={self._store.out}"
            raise UsageError(what, reason=reason, fix=AGAIN if error.errno in NO_SPACE else None) from None

    def _make(self, shard: int, made: Callable[[int], object]) -> None:
        job = self._job
        hashes: dict[str, str] = {}

        def entries() -> Iterator[Entry]:
            first = shard * job.shard
            for number, seed in enumerate((seed for part in job.seeds_of(shard).ranges for seed in part), first):
                entry = self._entry(number, seed)
                hashes[str(seed)] = hashlib.sha256(entry.data).hexdigest()
                yield entry
                made(len(hashes))

        place, whole = job.place(shard), dict[str, str]()
        with self._store.file(place) if job.form.shard else self._store.folder(place) as path:
            job.form.write(path, entries())
            if job.form.shard:
                with path.open("rb") as written:
                    whole["shard_sha256"] = digest(written)
        index = {
            **{"kind": KIND, "version": VERSION, "key": job.key, "seeds": str(job.seeds_of(shard))},
            **{"model_sha256": job.model_sha256, "recipe": job.recipe, **whole, "sha256": hashes},
        }
        with self._store.file(job.index(shard)) as path:
            path.write_text(json.dumps(index, indent=1), encoding="utf-8")

    def _entry(self, number: int, seed: int) -> Entry:
        """The picture that runtime.run makes of this seed alone, byte for byte. number: of the picture in the job."""
        renderer, mix = self._renderer, self._request.mix
        own = Seed(str(seed))
        shot = Shot(number, renderer.style(own))
        if mix:
            shot = replace(shot, w1=renderer.style(mix), mixing=renderer.mixing())
        text = _recipe(self._request, self._manifest, renderer, own, number)
        try:
            (picture,) = renderer.pictures([shot])
        except InputError as error:
            raise InputError(f"seed {seed}: {error}") from None
        name, suffix = self._job.name(seed), self._job.form.picture
        return Entry(seed, name, encoded(picture, suffix, text), text[PREFIX + "command"])


def plan(batch: Batch, manifest: Manifest) -> Order:
    """Everything that is wrong with the command for this model is said (NcnnError) before anything is computed."""
    request = batch.request
    first = Seed(str(batch.seeds.ranges[0].start))
    renderer = _renderer(request, manifest, first)
    text = _recipe(request, manifest, renderer, first, 0)
    said = {key: text[PREFIX + key] for key in FIELDS if PREFIX + key in text and key not in OF_ONE_PICTURE}
    mixed = renderer.style(request.mix) if request.mix else np.zeros(0)
    if request.mix:
        said["mix"] = request.mix.plain(manifest.z_dim)
    parts = [manifest.digest, str(batch.seeds), batch.shard, batch.format, said, mixed.tolist()]
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    model = text[PREFIX + "model"]
    job = Job(batch.seeds, batch.shard, batch.format, model, manifest.digest, said, key, batch.command)
    out = batch.out if "://" in batch.out else str(Path(batch.out).absolute())  # wherever a worker may be
    edit = [replace(one, path=str(Path(one.path).absolute())) for one in request.edit or []]
    return Order(replace(request, model=None, edit=edit or None), manifest.path.absolute(), out, job)


def _renderer(request: Request, manifest: Manifest, seed: Seed) -> Renderer:
    return Renderer(request, manifest, [seed, *([request.mix] if request.mix else [])], 1)


def _recipe(request: Request, manifest: Manifest, renderer: Renderer, seed: Seed, number: int) -> dict[str, str]:
    """That of mode=image, or with mix= of mode=mix, for which it is the second seed."""
    seeds = [seed, *([request.mix] if request.mix else [])]
    return recipe(replace(request, mix=None), manifest, renderer, seeds=seeds, number=number)
