"""Shards as files: what each format writes, and how its pictures are read again."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .stores import Store


@dataclass(frozen=True)
class Entry:
    """A picture of a shard. name: its file; data: its bytes; command: what makes it again."""

    seed: int
    name: str
    data: bytes
    command: str


@dataclass(frozen=True)
class Format:
    """picture: the suffix of pictures; shard: that of shards, "" for folders of files.

    check: raises UsageError where a package is missing. write: puts entries, in order, into a path. read: (name, bytes)
    of each picture of a shard in a store; raises OSError or ValueError for what is damaged.
    """

    picture: str
    shard: str
    write: Callable[[Path, Iterable[Entry]], None]
    read: Callable[[Store, str], Iterator[tuple[str, bytes]]]
    check: Callable[[], object] = lambda: None


def _write_files(path: Path, entries: Iterable[Entry]) -> None:
    for entry in entries:
        (path / entry.name).write_bytes(entry.data)


def _read_files(store: Store, shard: str) -> Iterator[tuple[str, bytes]]:
    for name in sorted(store.names(shard)):
        with store.open(f"{shard}/{name}") as stream:
            yield name, stream.read()


def _write_tar(path: Path, entries: Iterable[Entry]) -> None:
    """seed0085.png and seed0085.json of each: no times and no users, so that the same pictures are the same file."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for entry in entries:
            note = json.dumps({"seed": entry.seed, "command": entry.command}).encode()
            for name, data in ((entry.name, entry.data), (Path(entry.name).with_suffix(".json").name, note)):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))


def _read_tar(store: Store, shard: str) -> Iterator[tuple[str, bytes]]:
    with store.open(shard) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r:") as tar:
                for member in tar:
                    data = tar.extractfile(member)
                    if data and not member.name.endswith(".json"):
                        yield member.name, data.read()
        except tarfile.TarError as error:
            raise ValueError(str(error)) from None


ROWS_AT_ONCE = 100  # of a table, in memory


def _parquet() -> tuple[Any, Any]:
    """(pyarrow, pyarrow.parquet). Raises UsageError where it is not there."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        fix = 'pip install "ncnn-builder[batch]"'
        raise UsageError("format=parquet needs the package pyarrow", reason=str(error), fix=fix) from None
    return pyarrow, pyarrow.parquet


def _write_table(path: Path, entries: Iterable[Entry]) -> None:
    pa, pq = _parquet()
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = {"seed": ("int64", pa.int64()), "image": (None, picture), "command": ("string", pa.string())}
    features = {
        name: {"dtype": dtype, "_type": "Value"} if dtype else {"_type": "Image"}
        for name, (dtype, _) in columns.items()
    }
    note = json.dumps({"info": {"features": features}})  # how the package datasets knows that these are pictures
    schema = pa.schema([(name, kind) for name, (_, kind) in columns.items()], {"huggingface": note})
    rest = iter(entries)
    with pq.ParquetWriter(path, schema, compression="none") as table:
        while rows := list(islice(rest, ROWS_AT_ONCE)):
            values = [
                [entry.seed for entry in rows],
                [{"bytes": entry.data, "path": entry.name} for entry in rows],
                [entry.command for entry in rows],
            ]
            arrays = [pa.array(found, kind) for found, (_, kind) in zip(values, columns.values(), strict=True)]
            table.write_table(pa.table(arrays, schema=schema))


def _read_table(store: Store, shard: str) -> Iterator[tuple[str, bytes]]:
    pa, pq = _parquet()
    with store.open(shard) as stream:
        try:
            for rows in pq.ParquetFile(stream).iter_batches(ROWS_AT_ONCE, columns=["image"]):
                for image in rows.column("image").to_pylist():
                    yield str(image["path"]), bytes(image["bytes"])
        except (pa.ArrowException, KeyError, TypeError) as error:
            raise ValueError(str(error)) from None


FORMATS = {
    "png": Format(".png", "", _write_files, _read_files),
    "webp": Format(".webp", "", _write_files, _read_files),
    "webdataset": Format(".png", ".tar", _write_tar, _read_tar),
    "parquet": Format(".png", ".parquet", _write_table, _read_table, _parquet),
}
