"""Measures a generator against a data set."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.batching.cluster import find
from runtime.errors import NcnnError
from stylegan._torch import torch
from stylegan.dataset.pictures import PictureDataset
from stylegan.errors import MetricError
from stylegan.metrics import formulas, statistics
from stylegan.metrics.features import Features, choose
from stylegan.metrics.statistics import MOST_KEPT, Statistics
from stylegan.networks.random_weights import Generator

METRICS = ("fid", "kid", "pr")
PUBLISHED_NUM = 50_000


@dataclass(frozen=True)
class Result:
    """A metric's figures.

    values: by name: "fid", "kid", or "precision" and "recall". features: what the pictures were compared by.
    not_comparable: why the figures cannot be held against published ones; empty where they can. num, num_real: pictures
    that were counted; seconds: of all metrics together.
    """

    metric: str
    values: dict[str, float]
    features: str
    features_key: str
    not_comparable: list[str]
    num: int
    num_real: int
    seconds: float


def evaluate(
    G: Generator,
    data: PictureDataset,
    metrics: Sequence[str] = ("fid",),
    num: int = PUBLISHED_NUM,
    features: str | None = None,
    batch: int = 32,
    device: torch.device | None = None,
    seed: int = 0,
    workers: int = 0,
    quiet: bool = True,
    processes: int = 1,
    ray: str | None = None,
) -> list[Result]:
    """The metrics, in the order given, of `num` pictures of G and all of the data.

    G: it is moved to the device, and is in the mode afterwards that it was in. metrics: of METRICS. features: as
    features.choose() takes them. device: that of G's parameters by default. seed: of latents, labels and noise. Labels
    are those of the data, drawn by chance; what is computed of the data is kept in the cache. workers: processes that
    read the data; processes: with more than one, on a CPU, they make pictures and compare them, each with its share of
    the threads. ray: the address of a Ray cluster (auto, HOST:PORT, local) that does this work, on `processes` of its
    cores, 0 for all. The figures depend on none of these. More than a thousand pictures are counted in shards, which
    the cache holds until all are there: what was stopped goes on.

    Raises MetricError, and DatasetError for damaged pictures.
    """
    check(metrics, num, batch)
    _check_fit(G, data)
    if device is None:
        device = next(G.parameters()).device
    if (processes > 1 or ray is not None) and device.type != "cpu":
        said = f"processes {processes}" if ray is None else f"ray {ray}"
        raise MetricError(f"{said}: several processes are for a CPU, the device is {device}")
    if ray is not None:
        try:
            find(ray)
        except NcnnError as error:
            raise MetricError(str(error)) from None
    started = time.perf_counter()
    choices = {metric: choose(features, metric) for metric in metrics}
    chosen: dict[str, Features] = {found.key: found for found, _ in choices.values()}
    keep = dict.fromkeys(chosen, 0)
    for metric, (found, _) in choices.items():
        if metric != "fid":
            keep[found.key] = MOST_KEPT
    for found in chosen.values():
        found.to(device)
    labels, asked = data if data.c_dim else None, (features, tuple(metrics))
    real = statistics.of_data(data, chosen, keep, asked, batch, device, workers, processes, quiet, ray)
    made = statistics.of_generator(G, num, labels, chosen, keep, asked, batch, device, seed, processes, quiet, ray)
    results = []
    for metric, (found, reason) in choices.items():
        reasons = [*([reason] if reason else []), *_other_data(data)]
        if num != PUBLISHED_NUM:
            reasons.append(f"{num} generated pictures, published figures are of {PUBLISHED_NUM}")
        values = _values(metric, real[found.key], made[found.key], device)
        seconds = round(time.perf_counter() - started, 3)
        results.append(Result(metric, values, found.description, found.key, reasons, num, len(data), seconds))
    return results


def _other_data(data: PictureDataset) -> list[str]:
    """In what the data differ from those of published figures: all pictures of a set, as they are."""
    reasons = []
    if data.xflip:
        reasons.append("the data are mirrored too, published figures are of the pictures as they are")
    if len(data.names) < len(data.source.names):
        there = len(data.source.names)
        reasons.append(f"{len(data.names)} of {there} pictures of the data, published figures are of all")
    if data.channels == 4:
        reasons.append("transparent pictures, of which the features see the colours alone")
    return reasons


def check(metrics: Sequence[str], num: int, batch: int) -> None:
    """Raise MetricError for settings that cannot be."""
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics or len(set(metrics)) != len(metrics):
        raise MetricError(f"metrics {','.join(metrics)!r}: expected some of {', '.join(METRICS)}, each once")
    if not formulas.NEIGHBOURS < num <= 10**8:
        raise MetricError(f"num {num}: expected {formulas.NEIGHBOURS + 1} to {10**8} pictures")
    if batch < 1:
        raise MetricError(f"batch {batch}: expected 1 or more")


def _check_fit(G: Generator, data: PictureDataset) -> None:
    where = f"data {data.source.path}"
    for what, ours, theirs in (
        ("resolution", data.resolution, G.img_resolution),
        ("channels", data.channels, G.img_channels),
        ("c_dim (labels)", data.c_dim, G.c_dim),
    ):
        if ours != theirs:
            raise MetricError(f"{where}: expected {what} {theirs} as the network has, got {ours}")
    if len(data) <= formulas.NEIGHBOURS:
        raise MetricError(f"{where}: expected more than {formulas.NEIGHBOURS} pictures, got {len(data)}")


def _values(metric: str, real: Statistics, made: Statistics, device: torch.device) -> dict[str, float]:
    if metric == "fid":
        return {"fid": formulas.frechet_distance(real.mean, real.covariance, made.mean, made.covariance)}
    if metric == "kid":
        return {"kid": formulas.kernel_distance(real.kept, made.kept)}
    features = (torch.from_numpy(found.kept).to(device) for found in (real, made))
    precision, recall = formulas.precision_recall(next(features), next(features))
    return {"precision": precision, "recall": recall}
