"""Latents of seeds, seed lists and seed files."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylegan.bundle.seeds import checked_seeds, latent, parse_seeds, seed_bytes
from stylegan.errors import SeedError


def test_latent() -> None:
    z = latent(85, 512)
    assert z.shape == (512,)
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, np.random.RandomState(85).randn(1, 512)[0].astype(np.float32))


def test_golden_latents() -> None:
    from golden_files import load_golden

    golden = load_golden("v2ada_skip_64")
    for seed, z in zip(golden.meta["seeds"], golden.tensors["z"].numpy(), strict=True):
        np.testing.assert_array_equal(latent(seed, 64), z)


def test_file_format(tmp_path: Path) -> None:
    data = seed_bytes(458, 512)
    assert len(data) == 4 + 512 * 4
    assert struct.unpack("<i", data[:4]) == (0,)
    assert struct.unpack("<512f", data[4:]) == tuple(latent(458, 512).tolist())


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("85", [85]),
        ("0-3", [0, 1, 2, 3]),
        ("0_3", [0, 1, 2, 3]),
        ("85,100,3-5", [85, 100, 3, 4, 5]),
        (" 7 - 8 , 1 ", [7, 8, 1]),
        ("3,1-4,3", [3, 1, 2, 4]),
        ("5-5", [5]),
        ("4294967295", [4294967295]),
    ],
)
def test_parse_seeds(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot read ''"),
        ("a", "cannot read 'a'"),
        ("1,,2", "cannot read ''"),
        ("-5", "cannot read '-5'"),
        ("1-2-3", "cannot read '1-2-3'"),
        ("1.5", "cannot read '1.5'"),
        ("²", "cannot read '²'"),
        ("9-3", "the range '9-3' is empty: write 3-9"),
        ("4294967296", "4294967296 is too large"),
        ("0-4000000000", "too many"),
        ("0-999999,2000000", "too many"),
    ],
)
def test_parse_seeds_errors(text: str, message: str) -> None:
    with pytest.raises(SeedError, match=message) as caught:
        parse_seeds(text)
    assert "\n" not in str(caught.value)


def test_checked_seeds() -> None:
    assert checked_seeds(range(3)) == [0, 1, 2]
    assert [type(seed) for seed in checked_seeds(np.array([2**32 - 1]))] == [int]


@pytest.mark.parametrize("seeds", ["85", [-1], [1.5], [2**33], [None]], ids=str)
def test_checked_seeds_errors(seeds: Any) -> None:
    with pytest.raises(SeedError, match="expected whole numbers from 0 to 4294967295, got"):
        checked_seeds(seeds)
