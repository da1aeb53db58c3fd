"""What the parity tests share: drawing inputs, building samples, running emitted models on our runtime."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ncnn_builder as nb
from ncnn_builder.parity import Report, compare_edges, edge, interpret, nudged
from runtime import Net

Oracle = Callable[[nb.Sample, list[np.ndarray]], dict[str, np.ndarray]]


def draw(sample: nb.Sample) -> list[np.ndarray]:
    """The inputs of a sample: the same numbers at every run."""
    rng = np.random.default_rng(zlib.crc32(sample.id.encode()))
    kinds = {
        "normal": rng.standard_normal,
        "positive": lambda shape: rng.random(shape) * 2 + 0.1,
        "unit": rng.random,
        "integer": lambda shape: rng.integers(-100, 101, shape),
        "index": lambda shape: rng.integers(0, 10, shape),
    }
    dtype = np.int32 if sample.draw in ("integer", "index") else np.float32
    return [kinds[sample.draw](shape).astype(dtype) for shape in sample.inputs]


def draw_edge(sample: nb.Sample, kind: str) -> list[np.ndarray]:
    """Likewise, of one of EDGES."""
    rng = np.random.default_rng(zlib.crc32(f"{sample.id} {kind}".encode()))
    if sample.draw not in ("integer", "index"):
        return [edge(kind, shape, rng) for shape in sample.inputs]
    low, high = (-100, 100) if sample.draw == "integer" else (0, 9)
    kinds = {"negative": [low], "zeros": [0], "large": [high], "constant": [3], "mixed": [low, 0, 1, high]}
    return [rng.choice(kinds[kind], shape).astype(np.int32) for shape in sample.inputs]


def spread(samples: list[nb.Sample], most: int) -> list[nb.Sample]:
    """So many of the samples, spread over all of them."""
    count = len(samples)
    return samples if count <= most else [samples[i * (count - 1) // (most - 1)] for i in range(most)]


def build(sample: nb.Sample) -> tuple[nb.Graph, list[nb.Value]]:
    """The graph of a sample, its outputs y0, y1, ... and their Values."""
    g = nb.Graph()
    values = nb.check_bottom_names(sample.build(g, *(g.input(f"x{i}", s) for i, s in enumerate(sample.inputs))))
    for i, value in enumerate(values):
        g.output(f"y{i}", value)
    return g, values


def named(arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"x{i}": a for i, a in enumerate(arrays)}


@cache
def _scratch() -> tuple[tempfile.TemporaryDirectory[str], Iterator[int]]:
    """One folder for all models: to make one for each takes longer than many of the nets."""
    return tempfile.TemporaryDirectory(), itertools.count()


@contextlib.contextmanager
def as_files(model: nb.EmittedModel) -> Iterator[tuple[Path, Path]]:
    """The model as .param and .bin, which a Net needs no longer once it is loaded."""
    folder, numbers = _scratch()
    param = Path(folder.name, f"{next(numbers)}.param")
    weights = param.with_suffix(".bin")
    try:
        param.write_bytes(model.param.encode())
        weights.write_bytes(model.bin)
        yield param, weights
    finally:
        param.unlink(missing_ok=True)
        weights.unlink(missing_ok=True)


def load_emitted(model: nb.EmittedModel, threads: int = 1) -> Net:
    """The model through files, on our runtime."""
    with as_files(model) as (param, weights):
        return Net(param, weights, threads=threads)


def run_emitted(
    model: nb.EmittedModel, inputs: Mapping[str, Any], outputs: list[str], threads: int = 1
) -> dict[str, Any]:
    """A parity Runner."""
    return load_emitted(model, threads).run(dict(inputs), outputs)


def distinct(models: Mapping[str, nb.EmittedModel]) -> dict[str, nb.EmittedModel]:
    """Target -> model, without those whose files are the same as another target's: they run once."""
    return {target: model for (target, model) in {(m.param, m.bin): (t, m) for t, m in models.items()}.values()}


@lru_cache(maxsize=4)  # several draws of one sample stand side by side
def _built(sample: nb.Sample) -> tuple[nb.Graph, list[nb.Value]]:
    """For who only reads it."""
    return build(sample)


def oracle(sample: nb.Sample, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """y0, y1, ... of a sample: what its torch code says, or else the reference of its ops."""
    if sample.torch is None:
        g, values = _built(sample)
        results = interpret(g, named(arrays))
        return {f"y{i}": results[v] for i, v in enumerate(values)}
    with torch.no_grad():
        results = sample.torch(*(torch.from_numpy(a)[None] for a in arrays))
    results = results if isinstance(results, (tuple, list)) else [results]
    return {f"y{i}": t[0].numpy() for i, t in enumerate(results)}


def referenced(sample: nb.Sample, arrays: list[np.ndarray]) -> dict[str, np.ndarray]:
    """y0, y1, ... by the references of its ops."""
    return oracle(dataclasses.replace(sample, torch=None), arrays)


def edge_report(
    spec: nb.OpSpec, sample: nb.Sample, kind: str, got: Mapping[str, Any], says: Oracle = referenced
) -> Report:
    """What came of an edge draw, and what the oracle says of it."""
    arrays = draw_edge(sample, kind)
    expected = says(sample, arrays)
    whole = sample.draw in ("integer", "index")
    others = [] if whole else [says(sample, other) for other in nudged(arrays, np.random.default_rng(2))]
    report = Report(f"{spec.type} {sample.id}, {kind}")
    for name, wanted in expected.items():
        moved = [other[name] for other in others]
        report.add(compare_edges(name, got[name], wanted, spec.tolerance.fp32, moved))
    return report


def measured_error(spec: nb.OpSpec, sample: nb.Sample) -> float:
    """The error of a sample on the target `reference` and one thread, relative to its oracle's largest magnitude."""
    return check_sample(spec, sample, ["reference"], [1])[0].worst.required


def check_sample(spec: nb.OpSpec, sample: nb.Sample, targets: Sequence[str], threads: Sequence[int]) -> list[Report]:
    """Run a sample on the runtime for each of the targets and numbers of threads: every output against its oracle."""
    arrays = draw(sample)
    graph = build(sample)[0]
    expected = oracle(sample, arrays)
    reports = []
    for target in targets:
        with as_files(nb.compile_graph(graph, target)) as (param, weights):
            nets = [Net(param, weights, threads=count) for count in threads]
        for count, net in zip(threads, nets, strict=True):
            got = net.run(named(arrays), list(expected))
            report = Report(f"{spec.type} {sample.id}, {target}, {count} threads")
            reports.append(report.add_all(got, expected, spec.tolerance.fp32).check())
    return reports
