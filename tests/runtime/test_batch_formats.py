"""Shards of runtime.batch as .tar and .parquet: the pictures are those of format=png, and damage is found."""

from __future__ import annotations

import importlib.util
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from batch_support import files, made_here

from runtime.batch import main

JOB = ("seeds=3-8", "shard=2", "out=p")
needs_pyarrow = pytest.mark.skipif(not importlib.util.find_spec("pyarrow"), reason="the extra [batch] is not installed")


@pytest.fixture
def pictures(place: Path) -> dict[str, bytes]:
    """Those of format=png."""
    made_here(*JOB)
    found = {Path(name).name: data for name, data in files("p").items() if name.endswith(".png")}
    Path("p").rename("png")
    return found


def test_webdataset(pictures: dict[str, bytes]) -> None:
    made_here(*JOB, "format=webdataset")
    assert {name for name in files("p") if "/" not in name} == {"00000.tar", "00001.tar", "00002.tar"}
    with tarfile.open("p/00001.tar") as tar:
        found = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    assert list(found) == ["seed0005.png", "seed0005.json", "seed0006.png", "seed0006.json"]
    assert found["seed0006.png"] == pictures["seed0006.png"]
    note = json.loads(found["seed0006.json"])
    assert note == {"seed": 6, "command": "python -m runtime.run mode=image model=tiny seeds=6"}
    first = files("p")
    made_here(*JOB, "format=webdataset")
    assert files("p") == first


@needs_pyarrow
def test_parquet(pictures: dict[str, bytes]) -> None:
    import pyarrow.parquet as pq

    made_here(*JOB, "format=parquet")
    table = pq.read_table("p")  # the whole folder, as others read it
    assert table.column("seed").to_pylist() == [3, 4, 5, 6, 7, 8]
    assert [image["bytes"] for image in table.column("image").to_pylist()] == [
        pictures[name] for name in sorted(pictures)
    ]
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"} and features["seed"]["dtype"] == "int64"
    first = files("p")
    made_here(*JOB, "format=parquet")
    assert files("p") == first


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1100])


def flipped(path: Path) -> None:
    data = path.read_bytes()
    at = data.index(b"IDAT") + 6
    path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


def noted(path: Path) -> None:
    """What stands beside a picture, and is none."""
    path.write_bytes(path.read_bytes().replace(b'"seed": 5', b'"seed": 6'))


def renumbered(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "seed", pa.array([6, 5])), path)


def without_pictures(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": [{"path": None, "bytes": None}]}), path)


def grown(path: Path) -> None:
    with tarfile.open(path, "a") as tar:
        for name in ("seed0005.png", "more.png"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())


@pytest.mark.parametrize(
    ("format", "damage", "finds"),
    [
        ("webdataset", Path.unlink, "cannot be read to its end"),
        ("webdataset", lambda path: path.write_bytes(b""), "cannot be read to its end"),
        ("webdataset", lambda path: path.write_bytes(path.read_bytes()[:700]), "cannot be read to its end"),
        ("webdataset", flipped, "/seed0005.png: its SHA-256 is not the one that was written"),
        ("webdataset", noted, "00001.tar: its SHA-256 is not the one that was written"),
        ("webdataset", grown, ": picture seed0005.png is there twice"),
        ("webdataset", grown, ": picture more.png does not belong there"),
        pytest.param("parquet", Path.unlink, "cannot be read to its end", marks=needs_pyarrow),
        pytest.param("parquet", cut, "cannot be read to its end", marks=needs_pyarrow),
        pytest.param("parquet", lambda path: path.write_bytes(b""), "cannot be read to its end", marks=needs_pyarrow),
        pytest.param("parquet", flipped, "/seed0005.png: its SHA-256 is not the one", marks=needs_pyarrow),
        pytest.param("parquet", renumbered, "00001.parquet: its SHA-256 is not the one", marks=needs_pyarrow),
        pytest.param("parquet", without_pictures, "cannot be read to its end", marks=needs_pyarrow),
    ],
)
def test_verify_finds(
    place: Path, format: str, damage: Callable[[Path], None], finds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made_here(*JOB, f"format={format}")
    assert main(["--verify", "out=p"]) == 0
    damage(next(Path("p").glob("00001.*")))
    assert main(["--verify", "out=p"]) == 1
    assert finds in capsys.readouterr().out


def test_a_package_that_is_missing(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert main(["model=tiny", *JOB, "format=parquet"]) == 2
    assert "error: format=parquet needs the package pyarrow" in capsys.readouterr().err and not Path("p").exists()
