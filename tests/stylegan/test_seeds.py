"""Latents of seeds, seed lists and seed files."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from stylegan.errors import SeedError
from stylegan.seeds import latent, parse_seeds, write_seed, write_seeds


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
    write_seed(tmp_path / "458.bin", 458, 512)
    data = (tmp_path / "458.bin").read_bytes()
    assert len(data) == 4 + 512 * 4
    assert struct.unpack("<i", data[:4]) == (0,)
    assert struct.unpack("<512f", data[4:]) == tuple(latent(458, 512).tolist())


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("85", [85]),
        ("0-3", [0, 1, 2, 3]),
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


def test_write_seeds(tmp_path: Path) -> None:
    paths = write_seeds(tmp_path / "a" / "seeds", [3, 1, 2], 16)
    assert [path.name for path in paths] == ["3.bin", "1.bin", "2.bin"]
    assert sorted(path.name for path in (tmp_path / "a" / "seeds").iterdir()) == ["1.bin", "2.bin", "3.bin"]
    before = paths[0].read_bytes()
    paths[0].write_bytes(b"old")
    write_seeds(tmp_path / "a" / "seeds", [3], 16)
    assert paths[0].read_bytes() == before


def test_what_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SeedError, match="cannot make the seed directory"):
        write_seeds(tmp_path / "file", [1], 16)
    (tmp_path / "1.bin").mkdir()
    with pytest.raises(SeedError, match=r"cannot write the seed file .*1\.bin"):
        write_seeds(tmp_path, [1], 16)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.bin", "file"]
