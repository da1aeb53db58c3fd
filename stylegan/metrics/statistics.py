"""Features of many pictures: of a data set, which are kept in the cache, and of a generator."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

import ncnn_builder as nb
from runtime.stopping import check_stop
from stylegan._torch import Tensor, torch
from stylegan.checkpoints import download
from stylegan.dataset.pictures import PictureDataset
from stylegan.errors import MetricError
from stylegan.metrics.features import Features
from stylegan.networks.random_weights import Generator

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
    batch: int,
    device: torch.device,
    workers: int = 0,
    quiet: bool = True,
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
    # In an order of chance, so that those that are kept are of all classes.
    order = np.random.RandomState(0).permutation(len(data)).tolist()
    own = torch.Generator()  # without it a loader draws from the random numbers of a training that goes on
    loader = torch.utils.data.DataLoader(data, batch, sampler=order, num_workers=workers, generator=own)
    pictures = (batched for batched, _ in loader)
    made = _gather(pictures, len(data), missing, keep, device, "data", quiet)
    for key, statistics in made.items():
        try:
            nb.write_files({_cache_file(digest, chosen[key], keep[key]): [statistics.to_bytes()]})
        except nb.NcnnBuilderError as error:  # the figures are as good without
            tqdm.write(f"stylegan.metrics: not kept for the next time: {error}")
    return found | made


def of_generator(
    G: Generator,
    num: int,
    label: Callable[[int], npt.NDArray[np.float32]] | None,
    chosen: dict[str, Features],
    keep: dict[str, int],
    batch: int,
    device: torch.device,
    seed: int = 0,
    quiet: bool = True,
) -> dict[str, Statistics]:
    """Of `num` pictures, with labels of label(number) for numbers of chance, or without. Raises MetricError."""

    def pictures() -> Iterator[Tensor]:
        random = np.random.RandomState(seed)
        for first in range(0, num, batch):
            count = min(batch, num - first)
            z = torch.from_numpy(random.randn(count, G.z_dim).astype(np.float32)).to(device)
            c = None
            if label is not None:
                c = torch.from_numpy(np.stack([label(int(n)) for n in random.randint(2**31, size=count)])).to(device)
            yield to_uint8(G(z, c))

    was_training = G.training
    G.eval().to(device)
    try:
        with torch.no_grad(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)  # of StyleGAN2's noise
            return _gather(pictures(), num, chosen, keep, device, "generated", quiet)
    finally:
        G.train(was_training)


def to_uint8(pictures: Tensor) -> Tensor:
    """What a network makes, about -1 to 1, as pictures. Raises MetricError where it is not finite."""
    if not pictures.isfinite().all():
        raise MetricError("the network makes pictures with NaN or infinite values")
    return (pictures * 127.5 + 128).clamp(0, 255).to(torch.uint8)


def _gather(
    pictures: Iterator[Tensor],
    num: int,
    chosen: dict[str, Features],
    keep: dict[str, int],
    device: torch.device,
    what: str,
    quiet: bool,
) -> dict[str, Statistics]:
    """Every picture is made once, and shown to all features."""
    found = {key: Statistics(keep[key]) for key in chosen}
    with tqdm(total=num, desc=what, unit="picture", disable=quiet or None) as bar:
        for batch in pictures:
            check_stop()
            for key, features in chosen.items():
                found[key].add(features(batch.to(device)).cpu().numpy())
            bar.update(len(batch))
    return found
