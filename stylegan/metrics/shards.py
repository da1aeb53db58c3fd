"""Features of very many pictures, in shards: by one process or several, and what was stopped goes on with those there.

Shards lie in the cache until all are there. What comes of them depends neither on who made them nor on when.
"""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from runtime.batching.cluster import made_by_ray
from runtime.batching.stores import Folder
from runtime.batching.workers import made_by_workers
from runtime.errors import NcnnError
from runtime.stopping import check_stop
from stylegan._torch import Tensor, torch
from stylegan.dataset.pictures import PictureDataset
from stylegan.errors import MetricError
from stylegan.metrics.painters import Painter

SHARD = 1000
"""Pictures of a shard, about."""
Arrays = dict[str, npt.NDArray[np.float32]]
Shown = Callable[[Tensor], Tensor]
"""What pictures are shown to: features, or as_they_are."""


class Asked(Protocol):
    """What is computed of pictures, by key; another process calls it too, so it is pickled."""

    def __call__(self) -> Mapping[str, Shown]: ...

    def elsewhere(self) -> Asked:
        """The same, for the processes of other machines."""


def as_they_are(samples: Tensor) -> Tensor:
    return samples


class Pictures(Protocol):
    """Pictures in an order: `count`, in batches of `batch`, and shards of `shard`."""

    count: int
    batch: int
    shard: int

    def elsewhere(self) -> Pictures:
        """The same, for the processes of other machines."""

    def feed(self, shards: Sequence[int], device: torch.device, readers: int) -> Iterator[Tensor]:
        """The batches of these shards, uint8 [N, C, H, W]. readers: processes that read ahead."""


class DataPictures:
    """Of a data set, in an order of chance, so that the first ones are of all classes."""

    def __init__(self, data: PictureDataset, batch: int) -> None:
        self.data, self.count, self.batch, self.shard = data, len(data), batch, whole_batches(batch)

    def elsewhere(self) -> DataPictures:
        return DataPictures(data_elsewhere(self.data), self.batch)

    def feed(self, shards: Sequence[int], device: torch.device, readers: int) -> Iterator[Tensor]:
        order = np.random.RandomState(0).permutation(self.count).tolist()
        batches = [order[first : first + self.batch] for shard in shards for first in starts(self, shard)]
        own = torch.Generator()  # without it a loader draws from the random numbers of a training that goes on
        loader = torch.utils.data.DataLoader(self.data, batch_sampler=batches, num_workers=readers, generator=own)
        return (pictures for pictures, _ in loader)


class GeneratedPictures:
    """Of a generator, by latents of RandomState(seed), with labels of `labels` by chance, or without.

    The noise of StyleGAN2, which is drawn as a shard is made, is that of (seed, shard).
    """

    def __init__(self, G: Painter, count: int, batch: int, seed: int, labels: PictureDataset | None) -> None:
        self.G, self.seed, self.labels = G, seed, labels
        self.count, self.batch, self.shard = count, batch, whole_batches(batch)
        self._random, self._drawn = np.random.RandomState(seed), 0

    def elsewhere(self) -> GeneratedPictures:
        labels = None if self.labels is None else data_elsewhere(self.labels)
        return GeneratedPictures(self.G.elsewhere(), self.count, self.batch, self.seed, labels)

    def feed(self, shards: Sequence[int], device: torch.device, readers: int) -> Iterator[Tensor]:
        for shard in shards:
            torch.manual_seed(self.seed + (shard << 32))
            for first in starts(self, shard):
                z, c = (None if array is None else torch.from_numpy(array).to(device) for array in self._inputs(first))
                assert z is not None
                yield to_uint8(self.G.paint(z, c))

    def _inputs(self, first: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """z and c of the batch that begins at a picture; those before it are drawn too."""
        if first < self._drawn:
            self._random, self._drawn = np.random.RandomState(self.seed), 0
        while True:
            count = min(self.batch, self.count - self._drawn)
            z = self._random.randn(count, self.G.z_dim).astype(np.float32)
            numbers = None if self.labels is None else self._random.randint(2**31, size=count)
            begun, self._drawn = self._drawn, self._drawn + count
            if begun == first:
                if self.labels is None or numbers is None:
                    return z, None
                return z, np.stack([self.labels.label(int(n) % len(self.labels)) for n in numbers])


def data_elsewhere(data: PictureDataset) -> PictureDataset:
    found = copy(data)
    found.source = data.source.absolute()
    return found


def to_uint8(pictures: Tensor) -> Tensor:
    """What a network makes, about -1 to 1, as pictures. Raises MetricError where it is not finite."""
    if not pictures.isfinite().all():
        raise MetricError("the network makes pictures with NaN or infinite values")
    return (pictures * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def whole_batches(batch: int) -> int:
    """Pictures of a shard."""
    return batch * max(1, round(SHARD / batch))


def starts(pictures: Pictures, shard: int) -> range:
    """Of each batch of a shard, the number of its first picture."""
    first = shard * pictures.shard
    return range(first, min(first + pictures.shard, pictures.count), pictures.batch)


@dataclass(frozen=True)
class Work:
    """What a process has to know. asked: gives all features; keys: of those that are wanted."""

    pictures: Pictures
    asked: Asked
    keys: tuple[str, ...]
    place: Path
    threads: int

    def maker(self) -> FeatureMaker:
        torch.set_num_threads(self.threads)
        chosen = {key: shown for key, shown in self.asked().items() if key in self.keys}
        return FeatureMaker(self.pictures, chosen, self.place)

    def says(self, shard: int) -> str:
        return f"the shard of pictures {starts(self.pictures, shard).start} on"


@dataclass(frozen=True)
class FeatureMaker:
    """In a process of its own, on the CPU."""

    pictures: Pictures
    chosen: Mapping[str, Shown]
    place: Path

    def make(self, shard: int, tell: Callable[[int], object]) -> None:
        cpu = torch.device("cpu")
        with torch.no_grad():
            batches = self.pictures.feed([shard], cpu, 0)
            found = _features(batches, self.pictures, shard, self.chosen, cpu, tell)
        _write(Folder(str(self.place)), shard, found)


def features_of(
    pictures: Pictures,
    chosen: Mapping[str, Shown],
    asked: Asked,
    place: Path,
    device: torch.device,
    readers: int,
    processes: int,
    what: str,
    quiet: bool,
    ray: str | None = None,
) -> Iterator[Arrays]:
    """Of shard after shard, by the keys of `chosen`: [n, features].

    asked: as another process gets what is chosen. place: a folder of the cache, for these pictures and features
    alone; a single shard is not written. processes: with more than one, on a CPU, each makes shards; with ray, the
    address of a cluster, shards at the same time there, 0 for one on each of its cores. Raises MetricError, and
    DatasetError.
    """
    shards = range(-(-pictures.count // pictures.shard))
    if len(shards) == 1:
        with tqdm(total=pictures.count, desc=what, unit="picture", disable=quiet or None) as bar:
            batches = pictures.feed(shards, device, readers)
            yield _features(batches, pictures, 0, chosen, device, lambda count: bar.update(count - bar.n))
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    store = Folder(str(place))
    try:
        with store.held():
            store.sweep()
            missing = [shard for shard in shards if _title(shard) not in store.names()]
            done = sum(_count(pictures, shard) for shard in shards) - sum(_count(pictures, shard) for shard in missing)
            count = min(processes, len(missing))
            counts: Any
            if ray is not None and missing:
                counts = _abroad(pictures, chosen, asked, place, missing, ray, processes or None)
            elif count > 1:
                threads = max(1, torch.get_num_threads() // count)
                work = Work(pictures, asked, tuple(chosen), place, threads)
                counts = made_by_workers(work, missing, count)
            else:
                counts = _one_by_one(pictures, chosen, store, missing, device, readers)
            bar = tqdm(total=pictures.count, initial=done, desc=what, unit="picture", disable=quiet or None)
            try:
                with bar, closing(counts):
                    for _ in counts:
                        check_stop()
                        bar.update()
            except BaseException:
                store.sweep()
                kept = sum(_count(pictures, shard) for shard in shards if _title(shard) in store.names())
                if kept:
                    said = f"{kept} of {pictures.count} pictures ({what}) are kept: the same command goes on with them"
                    sys.stderr.write(f"stylegan.metrics: {said}\n")
                raise
            if set(missing) & {shard for shard in shards if _title(shard) not in store.names()}:
                why = ": with --ray the cache has to be the same folder on all machines" if ray is not None else ""
                raise MetricError(f"the features of pictures ({what}) were made, but are not in {place}{why}")
            for shard in shards:
                yield _read(store, shard, list(chosen))
    except NcnnError as error:  # another process makes them, or workers die
        raise MetricError(str(error)) from None
    except OSError as error:
        raise MetricError(f"the features of pictures ({what}) cannot be kept in {place}: {error}") from None
    shutil.rmtree(place, ignore_errors=True)


def _abroad(
    pictures: Pictures,
    chosen: Mapping[str, Shown],
    asked: Asked,
    place: Path,
    shards: Sequence[int],
    ray: str,
    workers: int | None,
) -> Iterator[int]:
    """By a Ray cluster, with a thread each; gives 1 for each picture."""
    work = Work(pictures.elsewhere(), asked.elsewhere(), tuple(chosen), place.absolute(), 1)
    with closing(made_by_ray(work, shards, ray, workers)) as counts:
        for count in counts:
            yield from (1 for _ in range(count))


def _one_by_one(
    pictures: Pictures,
    chosen: Mapping[str, Shown],
    store: Folder,
    shards: Sequence[int],
    device: torch.device,
    readers: int,
) -> Iterator[int]:
    """As workers do it, in this process and on any device; gives 1 for each picture."""
    batches = pictures.feed(shards, device, readers)
    for shard in shards:
        told: list[int] = [0]
        _write(store, shard, _features(batches, pictures, shard, chosen, device, told.append))
        yield from (1 for _ in range(told[-1]))


def _features(
    batches: Iterator[Tensor],
    pictures: Pictures,
    shard: int,
    chosen: Mapping[str, Shown],
    device: torch.device,
    tell: Callable[[int], object],
) -> Arrays:
    """Every picture is made once, and shown to all features. tell: how many there are."""
    found: dict[str, list[npt.NDArray[np.float32]]] = {key: [] for key in chosen}
    count = 0
    for _ in starts(pictures, shard):
        batch = next(batches)
        check_stop()
        for key, features in chosen.items():
            found[key].append(features(batch.to(device)).cpu().numpy())
        count += len(batch)
        tell(count)
    return {key: np.concatenate(arrays) for key, arrays in found.items()}


def _count(pictures: Pictures, shard: int) -> int:
    return min(pictures.shard, pictures.count - starts(pictures, shard).start)


def _write(store: Folder, shard: int, arrays: Arrays) -> None:
    with store.file(_title(shard)) as path, path.open("wb") as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]


def _read(store: Folder, shard: int, keys: Sequence[str]) -> Arrays:
    """Raises OSError, also where the disk gives back something else."""
    try:
        with store.open(_title(shard)) as stream, np.load(stream, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in keys}
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise OSError(f"{_title(shard)} is damaged ({error}); delete that folder") from None


def _title(shard: int) -> str:
    return f"{shard:06d}.npz"


def key_of(*parts: object) -> str:
    """What tells one job from every other, as text."""
    return json.dumps(["shards 1", *parts], default=str)
