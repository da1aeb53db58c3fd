"""Measures a generator, against a data set or by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from runtime.batching.cluster import find
from runtime.errors import NcnnError
from stylegan._torch import torch
from stylegan.dataset.pictures import PictureDataset
from stylegan.errors import MetricError
from stylegan.metrics import formulas, statistics
from stylegan.metrics.features import Choice, Features, choose
from stylegan.metrics.kinds import COMPARED, SHOWN, check_data, check_names, metric_of
from stylegan.metrics.kinds import METRICS as METRICS
from stylegan.metrics.kinds import PUBLISHED_NUM as PUBLISHED_NUM
from stylegan.metrics.painters import Painter, TorchPainter
from stylegan.metrics.samples import MOVES, PATHS, MovedSamples, PathSamples, distance
from stylegan.metrics.statistics import MOST_KEPT, Statistics
from stylegan.networks.random_weights import Generator


@dataclass(frozen=True)
class Result:
    """A metric's figures.

    values: by name: "fid", "kid", "precision" and "recall", "is_mean" and "is_std", "ppl2_wend" ..., "eqt_int" ... (in
    decibels). features: what the pictures were compared by. not_comparable: why the figures cannot be held against
    published ones; empty where they can. num, num_real: pictures that were counted; seconds: from the begin to this
    metric's end.
    """

    metric: str
    values: dict[str, float]
    features: str
    features_key: str
    not_comparable: list[str]
    num: int
    num_real: int
    seconds: float


@dataclass(frozen=True)
class Job:
    """What all metrics of a call have in common."""

    painter: Painter
    data: PictureDataset | None
    num: int
    features: str | None
    batch: int
    device: torch.device
    seed: int
    workers: int
    processes: int
    quiet: bool
    ray: str | None

    @property
    def labels(self) -> PictureDataset | None:
        return self.data if self.painter.c_dim else None


def evaluate(
    G: Generator | Painter,
    data: PictureDataset | None,
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

    G: it is moved to the device, and is in the mode afterwards that it was in; or painters.NcnnPainter(path), a bundle.
    data: may be None for metrics that need none: is, ppl2_wend, ppl_..., eqt_..., eqr, of a network without labels.
    metrics: names of kinds.WORDS; those that look at the same pictures see them once. features: as features.choose()
    takes them. device: that of G's parameters by default. seed: of latents, labels and noise. Labels
    are those of the data, drawn by chance; what is computed of the data is kept in the cache. workers: processes that
    read the data; processes: with more than one, on a CPU, they make pictures and compare them, each with its share of
    the threads. ray: the address of a Ray cluster (auto, HOST:PORT, local) that does this work, on `processes` of its
    cores, 0 for all. The figures depend on none of these. More than a thousand pictures are counted in shards, which
    the cache holds until all are there: what was stopped goes on.

    Raises MetricError, and DatasetError for damaged pictures.
    """
    check(metrics, num, batch)
    painter = TorchPainter(G) if isinstance(G, torch.nn.Module) else G
    if device is None:
        device = next(G.parameters()).device if isinstance(G, torch.nn.Module) else torch.device("cpu")
    _check_fit(painter, data, metrics)
    if (processes > 1 or ray is not None) and device.type != "cpu":
        said = f"processes {processes}" if ray is None else f"ray {ray}"
        raise MetricError(f"{said}: several processes are for a CPU, the device is {device}")
    if ray is not None:
        try:
            find(ray)
        except NcnnError as error:
            raise MetricError(str(error)) from None
    started = time.perf_counter()
    job = Job(painter, data, num, features, batch, device, seed, workers, processes, quiet, ray)
    painter.to(device)
    check_features(painter, metrics, features)
    with _evaluating(G):
        values = _shown(job, tuple(name for name in map(metric_of, metrics) if name in SHOWN))
        found: list[Result] = []
        moved: dict[str, Result] = {}
        for name in metrics:
            metric = metric_of(name)
            if metric in SHOWN:
                result = values(metric)
            elif metric in PATHS:
                result = _path(job, metric)
            else:
                moved = moved or _moved(job, tuple(other for other in MOVES if other in map(metric_of, metrics)))
                result = moved[metric]
            found.append(
                Result(
                    name,
                    result.values,
                    result.features,
                    result.features_key,
                    result.not_comparable,
                    num,
                    len(data) if data is not None and metric in COMPARED else 0,
                    round(time.perf_counter() - started, 3),
                )
            )
    return found


@contextmanager
def _evaluating(G: Generator | Painter) -> Iterator[None]:
    was_training = isinstance(G, torch.nn.Module) and G.training
    try:
        if isinstance(G, torch.nn.Module):
            G.eval()
        yield
    finally:
        if isinstance(G, torch.nn.Module):
            G.train(was_training)


def _shown(job: Job, metrics: tuple[str, ...]) -> Callable[[str], Result]:
    """Of pictures that features see: each is made once, whatever is asked of it."""
    choices = {metric: choose(job.features, metric) for metric in metrics}
    chosen: dict[str, Features] = {found.key: found for found, _ in choices.values()}
    keep = dict.fromkeys(chosen, 0)
    for metric, (found, _) in choices.items():
        if metric != "fid":
            keep[found.key] = MOST_KEPT if metric != "is" else job.num
    for found in chosen.values():
        found.to(job.device)
    asked = Choice(job.features, metrics)
    of_data = {found.key: found for metric, (found, _) in choices.items() if metric in COMPARED}
    real: dict[str, Statistics] = {}
    made: dict[str, Statistics] = {}
    if of_data:
        assert job.data is not None
        how = (job.batch, job.device, job.workers, job.processes, job.quiet, job.ray)
        real = statistics.of_data(job.data, of_data, keep, asked, *how)
    if chosen:
        how = (job.batch, job.device, job.seed, job.processes, job.quiet, job.ray)
        made = statistics.of_generator(job.painter, job.num, job.labels, chosen, keep, asked, *how)

    def result(metric: str) -> Result:
        found, reason = choices[metric]
        reasons = [reason] if reason else []
        if metric in COMPARED and job.data is not None:
            reasons += _other_data(job.data)
        values = _values(metric, real.get(found.key), made[found.key], job.device)
        return _result(job, metric, values, found.description, found.key, reasons)

    return result


def _path(job: Job, metric: str) -> Result:
    found, reason = distance(job.features, job.painter.img_channels)
    key = found.sha256 or found.description
    path = PATHS[metric]
    samples = PathSamples(job.painter, job.num, job.seed, job.labels, path, job.features)
    lengths = statistics.of_samples(samples, metric, key, job.device, job.processes, job.quiet, job.ray)
    reasons = [reason or f"lengths by {found.description}, published ones are by the official vgg16.pt"]
    if found.is_official:
        reasons = []
    values = {metric: formulas.path_length(lengths[:, 0])}
    return _result(job, metric, values, found.description, key, reasons)


def _moved(job: Job, moves: tuple[str, ...]) -> dict[str, Result]:
    samples = MovedSamples(job.painter, job.num, job.seed, job.labels, moves)
    found = statistics.of_samples(samples, ", ".join(moves), "", job.device, job.processes, job.quiet, job.ray)
    sums = found.sum(0, "float64")
    results = {}
    for i, move in enumerate(moves):
        values = {move: formulas.peak_signal_to_noise(float(sums[2 * i]), float(sums[2 * i + 1]))}
        results[move] = _result(job, move, values, "pixels", "", [])
    return results


def _result(job: Job, metric: str, values: dict[str, float], features: str, key: str, reasons: list[str]) -> Result:
    reasons = [*reasons, *job.painter.remarks]
    if job.num != PUBLISHED_NUM:
        reasons.append(f"{job.num} generated pictures, published figures are of {PUBLISHED_NUM}")
    return Result(metric, values, features, key, reasons, job.num, 0, 0.0)


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
    check_names(metrics, num)
    least = formulas.SPLITS if "is" in map(metric_of, metrics) else formulas.NEIGHBOURS + 1
    if not least <= num <= 10**8:
        raise MetricError(f"num {num}: expected {least} to {10**8} pictures")
    if batch < 1:
        raise MetricError(f"batch {batch}: expected 1 or more")


def check_features(G: Generator | Painter, metrics: Sequence[str], features: str | None) -> None:
    """Raise MetricError for what the pictures cannot be shown to, and networks that a metric cannot move or turn."""
    painter = TorchPainter(G) if isinstance(G, torch.nn.Module) else G
    turning = [name for name in metrics if metric_of(name) in MOVES]
    if turning and not painter.turns:
        raise MetricError(
            f"metrics {','.join(turning)}: the network takes no transform: expected StyleGAN3, of engine ncnn exported "
            "with --transform-input"
        )
    for name in map(metric_of, metrics):
        if name in SHOWN:
            choose(features, name)
        elif name in PATHS:
            distance(features, painter.img_channels)


def _check_fit(painter: Painter, data: PictureDataset | None, names: Sequence[str]) -> None:
    comparing = [name for name in names if metric_of(name) in COMPARED]
    if data is None:
        if comparing or painter.c_dim:
            what = f"metrics {','.join(comparing)} compare with" if comparing else "the network's labels are drawn from"
            raise MetricError(f"data (--data): {what} a data set, and none is given")
        return
    where = f"data {data.source.path}"
    for what, ours, theirs in (
        ("resolution", data.resolution, painter.img_resolution),
        ("channels", data.channels, painter.img_channels),
        ("c_dim (labels)", data.c_dim, painter.c_dim),
    ):
        if ours != theirs:
            raise MetricError(f"{where}: expected {what} {theirs} as the network has, got {ours}")
    if len(data) <= formulas.NEIGHBOURS:
        raise MetricError(f"{where}: expected more than {formulas.NEIGHBOURS} pictures, got {len(data)}")
    check_data(names, len(data), data.xflip, len(data.names) == len(data.source.names))


def _values(metric: str, real: Statistics | None, made: Statistics, device: torch.device) -> dict[str, float]:
    if metric == "is":
        mean, deviation = formulas.inception_score(made.kept)
        return {"is_mean": mean, "is_std": deviation}
    assert real is not None
    if metric == "fid":
        return {"fid": formulas.frechet_distance(real.mean, real.covariance, made.mean, made.covariance)}
    if metric == "kid":
        return {"kid": formulas.kernel_distance(real.kept, made.kept)}
    features = (torch.from_numpy(found.kept).to(device) for found in (real, made))
    precision, recall = formulas.precision_recall(next(features), next(features))
    return {"precision": precision, "recall": recall}
