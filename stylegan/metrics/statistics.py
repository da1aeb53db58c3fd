"""Features of many pictures: of a data set, which are kept in the cache, and of a generator."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

import ncnn_builder as nb
from stylegan._torch import torch
from stylegan.checkpoints import download
from stylegan.dataset.pictures import PictureDataset
from stylegan.metrics.features import Features
from stylegan.metrics.painters import Painter
from stylegan.metrics.samples import Samples
from stylegan.metrics.shards import (
    Arrays,
    Asked,
    DataPictures,
    GeneratedPictures,
    Shown,
    as_they_are,
    features_of,
    key_of,
)
from stylegan.metrics.shards import to_uint8 as to_uint8

MOST_KEPT = 200_000
"""Features that are kept one by one: as many as the official precision and recall compare."""


class Statistics:
    """Of features [N, n]: count, mean, covariance; and the first `keep` of them as they are."""

    def __init__(self, keep: int) -> None:
        self.keep, self.count = keep, 0
        self._sum: npt.NDArray[np.float64] | None = None
        self._products: npt.NDArray[np.float64] | None = None
        self._kept: list[npt.NDArray[np.float32]] = []

    def add(self, features: npt.NDArray[np.float32]) -> None:
        """features: [N, n], more of them."""
        exact = features.astype(np.float64)
        if self._sum is None or self._products is None:
            self._sum, self._products = exact.sum(0), exact.T @ exact
        else:
            self._sum += exact.sum(0)
            self._products += exact.T @ exact
        missing = self.keep - min(self.count, self.keep)
        if missing:
            self._kept.append(features[:missing])
        self.count += len(features)

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """[n]."""
        assert self._sum is not None
        return self._sum / self.count

    @property
    def covariance(self) -> npt.NDArray[np.float64]:
        """[n, n], divided by the count, as the official figures have it."""
        assert self._products is not None
        found: npt.NDArray[np.float64] = self._products / self.count - np.outer(self.mean, self.mean)
        return found

    @property
    def kept(self) -> npt.NDArray[np.float32]:
        """[min(count, keep), n]."""
        return np.concatenate(self._kept)

    def to_bytes(self) -> bytes:
        """As an .npz file."""
        assert self._sum is not None and self._products is not None
        data = io.BytesIO()
        kept = self.kept if self.keep else np.zeros((0, len(self._sum)), np.float32)
        np.savez(data, count=np.array(self.count), sum=self._sum, products=self._products, kept=kept)
        return data.getvalue()

    @classmethod
    def from_file(cls, path: Path, keep: int) -> Statistics | None:
        """What to_bytes() made; None where it is not there, or damaged."""
        try:
            with np.load(path, allow_pickle=False) as said:
                found = cls(keep)
                found.count, found._sum, found._products = int(said["count"]), said["sum"], said["products"]
                found._kept = [said["kept"]] if keep else []
            n = len(found._sum)
            good = found._products.shape == (n, n) and found.count > 0
            good = good and (not keep or found.kept.shape == (min(keep, found.count), n))
            return found if good and np.isfinite(found._products).all() else None
        except Exception:  # of a file that was cut or is another
            return None


def _cache_file(digest: str, features: Features, keep: int) -> Path:
    key = hashlib.sha256(f"1 {digest} {features.key} {keep}".encode()).hexdigest()
    return download.cache_dir().parent / "metrics" / f"{key}.npz"


def of_data(
    data: PictureDataset,
    chosen: dict[str, Features],
    keep: dict[str, int],
    asked: Asked,
    batch: int,
    device: torch.device,
    workers: int = 0,
    processes: int = 1,
    quiet: bool = True,
    ray: str | None = None,
) -> dict[str, Statistics]:
    """By the keys of `chosen`: from the cache, or computed and put there. Raises MetricError and DatasetError."""
    found: dict[str, Statistics] = {}
    digest = data.digest()
    for key, features in chosen.items():
        for enough in {keep[key], MOST_KEPT}:  # more than what is needed serves too
            cached = Statistics.from_file(_cache_file(digest, features, enough), enough)
            if cached is not None:
                found[key] = cached
    missing = {key: features for key, features in chosen.items() if key not in found}
    if not missing:
        return found
    parts = _parts(digest, sorted(missing), batch)
    pictures = DataPictures(data, batch)
    shards = features_of(pictures, missing, asked, parts, device, workers, processes, "data", quiet, ray)
    made = _gather(shards, missing, keep)
    for key, statistics in made.items():
        try:
            nb.write_files({_cache_file(digest, chosen[key], keep[key]): [statistics.to_bytes()]})
        except nb.NcnnBuilderError as error:  # the figures are as good without
            tqdm.write(f"stylegan.metrics: not kept for the next time: {error}")
    return found | made


def of_generator(
    painter: Painter,
    num: int,
    labels: PictureDataset | None,
    chosen: dict[str, Features],
    keep: dict[str, int],
    asked: Asked,
    batch: int,
    device: torch.device,
    seed: int = 0,
    processes: int = 1,
    quiet: bool = True,
    ray: str | None = None,
) -> dict[str, Statistics]:
    """Of `num` pictures, with labels of these data by chance, or without. Raises MetricError."""
    pictures = GeneratedPictures(painter, num, batch, seed, labels)
    of_labels = labels.digest() if labels is not None else ""
    several = num > pictures.shard  # or nothing is written, as for the metrics of a training
    parts = _parts(painter.digest, num, batch, seed, of_labels, sorted(chosen)) if several else Path()
    with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        shards = features_of(pictures, chosen, asked, parts, device, 0, processes, "generated", quiet, ray)
        return _gather(shards, chosen, keep)


def of_samples(
    samples: Samples,
    what: str,
    features_key: str,
    device: torch.device,
    processes: int = 1,
    quiet: bool = True,
    ray: str | None = None,
) -> npt.NDArray[np.float32]:
    """All of them, [N, columns]. features_key: of what they are compared by, if anything. Raises MetricError."""
    of_labels = samples.labels.digest() if samples.labels is not None else ""
    several = samples.count > samples.shard
    said = (samples.painter.digest, what, features_key, samples.count, samples.seed, of_labels)
    parts = _parts(*said) if several else Path()
    with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        shards = features_of(samples, _SAMPLES, _AsTheyAre(), parts, device, 0, processes, what, quiet, ray)
        return np.concatenate([arrays[_KEY] for arrays in shards])


_KEY = "samples"
_SAMPLES: dict[str, Shown] = {_KEY: as_they_are}


class _AsTheyAre:
    def __call__(self) -> dict[str, Shown]:
        return _SAMPLES

    def elsewhere(self) -> _AsTheyAre:
        return self


def _parts(*said: object) -> Path:
    key = hashlib.sha256(key_of(*said).encode()).hexdigest()
    return download.cache_dir().parent / "metrics" / f"{key}.parts"


def _gather(shards: Iterator[Arrays], chosen: dict[str, Features], keep: dict[str, int]) -> dict[str, Statistics]:
    found = {key: Statistics(keep[key]) for key in chosen}
    for arrays in shards:
        for key in chosen:
            found[key].add(arrays[key])
    return found
