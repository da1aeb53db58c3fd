"""The metrics as formulas on features; the sources are named at each.

They are written here and not taken from a library: torchmetrics has no precision and recall, torch-fidelity and
clean-fid bring networks and files of their own, and each counts and samples otherwise than the official figures do. On
the same features torch-fidelity 0.4 finds the same: fid to 1e-11, kid to 1e-7, precision and recall exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stylegan._torch import Tensor, torch

Array = npt.NDArray[np.float64]
NEIGHBOURS = 3
SUBSETS, SUBSET_SIZE = 100, 1000
SPLITS = 10
TRIMMED = 1, 99
"""Percentiles of a path's lengths that the mean is taken between."""
_MOST_DISTANCES = 2**25  # at the same time: 128 MB


def frechet_distance(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """Squared Frechet distance of two Gaussians: |m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)).

    means [n], covariances [n, n], also singular ones. Heusel et al. 2017 ("GANs trained by a two time-scale update
    rule converge to a local Nash equilibrium"). The trace of the root comes from C_a^(1/2) C_b C_a^(1/2), which has the
    same eigenvalues and is symmetric: scipy.linalg.sqrtm, which the official code calls, is slow, and inexact where
    there are fewer pictures than features.
    """
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    common = np.linalg.eigvalsh(root @ cov_b @ root)
    trace = np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(common.clip(0)).sum()
    return float(np.square(mean_a - mean_b).sum() + trace)


def kernel_distance(
    a: npt.NDArray[np.float32],
    b: npt.NDArray[np.float32],
    subsets: int = SUBSETS,
    size: int = SUBSET_SIZE,
    seed: int = 0,
) -> float:
    """Squared maximum mean discrepancy with the kernel (x . y / n + 1)^3, unbiased: the mean over random subsets.

    a, b: features [N, n], two or more each. Binkowski et al. 2018 ("Demystifying MMD GANs").
    """
    random = np.random.RandomState(seed)
    m = min(size, len(a), len(b))
    total = 0.0
    for _ in range(subsets):
        x, y = (f[random.choice(len(f), m, replace=False)].astype(np.float64) for f in (a, b))
        xx, yy, xy = (_cubes(p @ q.T / a.shape[1] + 1) for p, q in ((x, x), (y, y), (x, y)))
        within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (m * (m - 1))
        total += within - 2 * xy.mean()
    return float(total / subsets)


def _cubes(x: Array) -> Array:
    return x * x * x  # np.power takes ten times as long


def precision_recall(real: Tensor, generated: Tensor, neighbours: int = NEIGHBOURS) -> tuple[float, float]:
    """Which part of the generated pictures is like real ones, and the other way round.

    real [N, n], generated [M, n]: features, more than `neighbours` each; they are compared where they lie. A picture is
    like those of a set if it is nearer to one of them than that one's third neighbour in the set. Kynkaanniemi et al.
    2019 ("Improved precision and recall metric for assessing generative models").
    """
    return _inside(generated, real, neighbours), _inside(real, generated, neighbours)


def _inside(probes: Tensor, of: Tensor, neighbours: int) -> float:
    """The part of `probes` inside of the balls around `of`."""
    # The nearest neighbour of each is itself.
    radii = torch.cat([found.kthvalue(neighbours + 1, dim=1).values for found in _distances(of, of)])
    inside = [(found <= radii).any(dim=1) for found in _distances(probes, of)]
    return float(torch.cat(inside).double().mean())


def _distances(a: Tensor, b: Tensor) -> Iterator[Tensor]:
    """Of rows of a from all of b, a few rows at a time."""
    for rows in a.split(max(1, _MOST_DISTANCES // len(b))):
        yield torch.cdist(rows, b)


def inception_score(probabilities: npt.NDArray[np.float32], splits: int = SPLITS) -> tuple[float, float]:
    """exp of the mean divergence of a picture's classes from those of all: the mean over parts, and their deviation.

    probabilities [N, classes], N of `splits` or more: in each part, KL(p(y | x) || p(y)). A class without probability
    adds nothing. Salimans et al. 2016 ("Improved techniques for training GANs").
    """
    bounds = [len(probabilities) * i // splits for i in range(splits + 1)]
    scores = []
    for first, last in pairwise(bounds):
        part = probabilities[first:last].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = part * (np.log(part) - np.log(part.mean(axis=0)))
        scores.append(np.exp(np.where(part > 0, terms, 0).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def path_length(lengths: npt.NDArray[np.float32]) -> float:
    """The mean of squared lengths [N], without the smallest and the largest hundredth.

    Karras et al. 2019 ("A style-based generator architecture"), section 4.1, in the form of the official code.
    """
    low, high = TRIMMED
    least = np.percentile(lengths, low, method="lower")
    most = np.percentile(lengths, high, method="higher")
    return float(lengths[(lengths >= least) & (lengths <= most)].mean(dtype=np.float64))


def peak_signal_to_noise(squares: float, count: float, peak: float = 2.0) -> float:
    """In decibels, of the sum of squared differences of so many numbers; infinite where there are none."""
    return float(20 * np.log10(peak) - 10 * np.log10(squares / count)) if squares else float("inf")
