"""The metrics' formulas against closed forms, scipy, and loops over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stylegan.metrics import formulas
from stylegan.metrics.formulas import frechet_distance, kernel_distance, precision_recall


def covariance(n: int, rank: int, seed: int) -> np.ndarray:
    root = np.random.default_rng(seed).standard_normal((n, rank))
    return root @ root.T


@settings(deadline=None, max_examples=40)
@given(st.floats(-5, 5), st.floats(0, 4), st.floats(-5, 5), st.floats(0, 4), st.integers(1, 6), st.integers(0, 99))
def test_two_gaussians(m: float, s: float, p: float, q: float, n: int, seed: int) -> None:
    """(m - p)^2 + (s - q)^2 on every axis; and the same when both are turned."""
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    a, b = (turn @ (np.eye(n) * deviation**2) @ turn.T for deviation in (s, q))
    got = frechet_distance(turn @ np.full(n, m), a, turn @ np.full(n, p), b)
    assert got == pytest.approx(n * ((m - p) ** 2 + (s - q) ** 2), abs=1e-6)


@pytest.mark.parametrize("n", [1, 5, 40])
def test_frechet_is_scipys(n: int) -> None:
    a, b = covariance(n, n + 5, 1), covariance(n, n + 5, 2)
    zero = np.zeros(n)
    want = np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    assert frechet_distance(zero, a, zero, b) == pytest.approx(want, rel=1e-9)
    assert frechet_distance(zero, b, zero, a) == pytest.approx(want, rel=1e-9)
    assert frechet_distance(zero, a, zero, b * 1.1) != pytest.approx(want, rel=1e-3)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 20), st.integers(1, 19), st.integers(0, 99))
def test_fewer_pictures_than_features(n: int, rank: int, seed: int) -> None:
    a = covariance(n, min(rank, n - 1), seed)
    assert frechet_distance(np.zeros(n), a, np.zeros(n), a) == pytest.approx(0, abs=1e-5 * np.trace(a))
    assert frechet_distance(np.zeros(n), a, np.zeros(n), 4 * a) == pytest.approx(np.trace(a), rel=1e-5)


def kernel_by_loops(a: np.ndarray, b: np.ndarray) -> float:
    def k(x: np.ndarray, y: np.ndarray) -> float:
        return float((x.astype(float) @ y.astype(float) / len(x) + 1) ** 3)

    def within(f: np.ndarray) -> float:
        return float(np.mean([k(f[i], f[j]) for i in range(len(f)) for j in range(len(f)) if i != j]))

    return within(a) + within(b) - 2 * float(np.mean([k(x, y) for x in a for y in b]))


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 9), st.integers(1, 5), st.integers(0, 99))
def test_kernel_distance_by_loops(count: int, n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = (random.standard_normal((count, n)).astype(np.float32) for _ in range(2))
    assert kernel_distance(a, b, subsets=2) == pytest.approx(kernel_by_loops(a, b), rel=1e-6, abs=1e-9)


def test_kernel_distance_is_unbiased() -> None:
    """About 0 for two samples of one distribution, whatever their size; not for another one."""
    random = np.random.default_rng(0)
    a, b = (random.standard_normal((2000, 8)).astype(np.float32) for _ in range(2))
    for size in (10, 100):
        found = [kernel_distance(a, b, 30, size, seed) for seed in range(6)]
        assert abs(np.mean(found)) < 3 * np.std(found) + 0.02
    assert kernel_distance(a, b + 0.5, 10) > 0.2
    assert kernel_distance(a[:50], b, 3, 30, seed=1) != kernel_distance(a[:50], b, 3, 30, seed=2)


def inside_by_loops(probes: np.ndarray, of: np.ndarray, k: int) -> float:
    radii = [np.sort([np.linalg.norm(x - y) for j, y in enumerate(of) if j != i])[k - 1] for i, x in enumerate(of)]
    hits = [any(np.linalg.norm(p - x) <= r for x, r in zip(of, radii, strict=True)) for p in probes]
    return float(np.mean(hits))


@settings(deadline=None, max_examples=25)
@given(st.integers(5, 30), st.integers(5, 30), st.integers(1, 4), st.integers(1, 4), st.integers(0, 99))
def test_precision_and_recall_by_loops(real: int, made: int, n: int, k: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.standard_normal((real, n)), random.standard_normal((made, n)) * 0.8 + 0.3
    got = precision_recall(torch.from_numpy(a), torch.from_numpy(b), k)
    assert got == pytest.approx((inside_by_loops(b, a, k), inside_by_loops(a, b, k)))


def test_precision_and_recall_mean_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(0)
    kinds = torch.cat([torch.randn(100, 3, generator=random) + 20 * i for i in range(4)])
    one_kind = torch.randn(100, 3, generator=random)
    far = torch.randn(100, 3, generator=random) - 50
    precision, recall = precision_recall(kinds, one_kind)
    assert precision > 0.8 and 0.15 < recall < 0.26  # good pictures, of one of four kinds
    assert precision_recall(kinds, far) == (0, 0)
    assert precision_recall(kinds, torch.cat([kinds, far])) == (0.8, 1)
    whole = precision_recall(kinds, one_kind)
    monkeypatch.setattr(formulas, "_MOST_DISTANCES", 1000)  # a few rows at a time
    assert precision_recall(kinds, one_kind) == whole
