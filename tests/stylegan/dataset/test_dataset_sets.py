"""CIFAR, MNIST and LSUN as sources of stylegan.dataset, from files of their formats; hostile and damaged ones."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import re
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylegan.dataset import PictureDataset
from stylegan.dataset.__main__ import main
from stylegan.dataset.batches import NotABatch, read_batch
from stylegan.dataset.sets import open_source

RANDOM = np.random.RandomState(0)


def cifar(n: int, start: int = 0) -> tuple[dict[bytes, Any], np.ndarray]:
    """A batch as the published ones are, and its pixels [N, 32, 32, 3]."""
    pixels = RANDOM.randint(0, 256, (n, 32, 32, 3)).astype(np.uint8)
    data = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2).reshape(n, 3072))
    labels = [(start + i) % 10 for i in range(n)]
    return {b"batch_label": b"training batch", b"labels": labels, b"data": data, b"filenames": [b"x"] * n}, pixels


def old_pickle(batch: dict[bytes, Any]) -> bytes:
    """As Python 2 wrote it: texts are bytes to it, and so is an array's buffer."""
    data = batch[b"data"]
    items = b"".join(short(key) + (array(data) if key == b"data" else value(batch[key])) for key in batch)
    return b"\x80\x02}(" + items + b"u."


def short(text: bytes) -> bytes:
    return b"U" + bytes([len(text)]) + text


def value(of: Any) -> bytes:
    if isinstance(of, list):
        return b"](" + b"".join(short(x) if isinstance(x, bytes) else b"J" + struct.pack("<i", x) for x in of) + b"e"
    return short(of)


def array(data: np.ndarray) -> bytes:
    n, m = data.shape
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
    dtype = b"(cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"J" + struct.pack("<i", n) + b"J" + struct.pack("<i", m) + b"\x86"
    raw = data.tobytes()
    return made + b"(K\x01" + shape + dtype[1:] + b"\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"


def read_back(path: str) -> tuple[list[np.ndarray], list[int] | None]:
    data = PictureDataset(path)
    labels = [int(data.label(i).argmax()) for i in range(len(data))] if data.c_dim else None
    return [data.picture(i).transpose(1, 2, 0) for i in range(len(data))], labels


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_cifar(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Python 2's pickles in the published archive, newer ones in a folder; the batches for training, in their order."""
    one, first = cifar(5)
    two, second = cifar(3, start=5)
    with tarfile.open("cifar-10-python.tar.gz", "w:gz") as archive:
        files = {"data_batch_2": old_pickle(two), "data_batch_1": old_pickle(one), "test_batch": b"x", "readme": b"y"}
        for name, data in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    assert main(["cifar-10-python.tar.gz", "c.zip", "--workers", "2", "-q"]) == 0
    assert "c.zip  8 pictures of 32x32, 3 channels" in capsys.readouterr().out
    pictures, labels = read_back("c.zip")
    np.testing.assert_array_equal(pictures, np.concatenate([first, second]))
    assert labels == [0, 1, 2, 3, 4, 5, 6, 7]
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        folder = place / f"p{protocol}"
        folder.mkdir()
        whole = one if protocol < 4 else {key.decode(): of for key, of in one.items()}
        whole = {"fine_labels" if key == "labels" else key: of for key, of in whole.items()}
        (folder / "train").write_bytes(pickle.dumps(whole, protocol))
        source = open_source(folder)
        copy = pickle.loads(pickle.dumps(source))  # as workers get it: without the pixels
        assert len(pickle.dumps(source)) < 5000 and copy.labels() == {f"{i:05d}.png": i for i in range(5)}
        with Image.open(copy.open("00003.png")) as picture:
            np.testing.assert_array_equal(np.asarray(picture), first[3])
    assert main(["p2", "few.zip", "--max-size", "2", "--labels", "none", "-q"]) == 0
    with zipfile.ZipFile("few.zip") as file:
        assert json.loads(file.read("dataset.json")) == {"labels": None}


def idx(array: np.ndarray) -> bytes:
    return struct.pack(">4B", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def test_mnist(place: Path) -> None:
    """Zipped or not, with labels beside it or none; 28 pixels get the official border, others stay."""
    digits = RANDOM.randint(0, 256, (6, 28, 28)).astype(np.uint8)
    classes = np.array([3, 1, 4, 1, 5, 9], np.uint8)
    Path("train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(digits)))
    Path("train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(classes)))
    assert main(["train-images-idx3-ubyte.gz", "m.zip", "-q"]) == 0
    pictures, labels = read_back("m.zip")
    want = np.zeros((6, 32, 32, 1), np.uint8)
    want[:, 2:30, 2:30, 0] = digits
    np.testing.assert_array_equal(pictures, want)
    assert labels == classes.tolist()
    Path("t10k-images-idx3-ubyte").write_bytes(idx(RANDOM.randint(0, 256, (2, 16, 16)).astype(np.uint8)))
    assert main(["t10k-images-idx3-ubyte", "t", "-q"]) == 0
    assert read_back("t")[1] is None and read_back("t")[0][0].shape == (16, 16, 1)


def test_lsun(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lmdb = pytest.importorskip("lmdb", reason="the extra [lmdb] is not installed")
    pictures = RANDOM.randint(0, 256, (4, 24, 40, 3)).astype(np.uint8)
    with lmdb.open("church_lmdb", map_size=1 << 24) as env, env.begin(write=True) as transaction:
        for i, picture in enumerate(pictures):
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "webp", lossless=True)
            transaction.put(b"%040x" % (i * 7) if i else b"\x00../x", file.getvalue())
        transaction.put(b"zz", b"no picture")
    assert main(["church_lmdb", "l.zip", "--resolution", "16x16", "--crop", "center", "--workers", "2", "-q"]) == 0
    said = capsys.readouterr()
    assert "4 pictures of 16x16" in said.out and "zz: expected a picture" in said.err
    found, labels = read_back("l.zip")
    assert labels is None and len(found) == 4
    middle = Image.fromarray(pictures[0][:, 8:32]).resize((16, 16), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(found[0], np.asarray(middle))
    assert open_source("church_lmdb").names[0] == b"\x00../x".hex()
    whole = Path("church_lmdb/data.mdb").read_bytes()
    Path("church_lmdb/data.mdb").write_bytes(whole[:8192] + bytes(len(whole) - 8192))  # all but the two first pages
    assert main(["church_lmdb", "d.zip", "--resolution", "16x16", "--crop", "center", "-q"]) == 2
    assert "data church_lmdb: a damaged data.mdb: " in capsys.readouterr().err and not Path("d.zip").exists()


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("pwned",)


def test_nothing_of_a_batch_is_run(place: Path) -> None:
    good, _ = cifar(2)
    for change, message in (
        ({b"labels": Evil()}, "it names posix.mkdir" if os.name == "posix" else "it names"),
        ({b"labels": np.int64(3)}, "it names numpy"),
        ({b"labels": [0, 100]}, "expected labels, whole numbers from 0 to 99"),
        ({b"labels": [True, False]}, "expected labels"),
        ({b"labels": [1]}, "as many labels as pictures, got 1 and 2"),
        ({b"data": None}, "expected data, an array of bytes"),
        ({b"data": good[b"data"].astype(np.int64)}, "expected data, an array of bytes"),
        ({b"data": np.asfortranarray(good[b"data"])}, "expected data, an array of bytes"),
        ({b"data": good[b"data"][:, :100].copy()}, "expected data of [N, 3072], got (2, 100)"),
    ):
        with pytest.raises(NotABatch, match=re.escape(message)):
            read_batch(pickle.dumps({**good, **change}, 2))
    whole = pickle.dumps(good, 2)
    for data in (
        b"",
        b"x",
        whole[: len(whole) // 2],
        pickle.dumps([1]),
        b"\x80\x02cos\nsystem\nU\x02idR.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
        b"\x80\x02X\x01\x00\x00\x00aQ.",
        array(good[b"data"]).replace(struct.pack("<i", 3072), struct.pack("<i", -1)) + b".",
    ):
        with pytest.raises(NotABatch):
            read_batch(data)
    assert not (place / "pwned").exists()


def test_refusals(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    digits = idx(RANDOM.randint(0, 256, (2, 28, 28)).astype(np.uint8))
    (place / "batches").mkdir()
    (place / "batches" / "data_batch_1").write_bytes(pickle.dumps({b"labels": Evil()}, 2))
    (place / "no_lmdb").mkdir()
    (place / "no_lmdb" / "data.mdb").write_bytes(b"x" * 8192)
    Path("empty.tar").write_bytes(b"\0" * 10240)
    Path("cut.tar.gz").write_bytes(gzip.compress(b"x" * 5000)[:-20])
    Path("short").write_bytes(digits[:-1])
    Path("long").write_bytes(digits + b"x")
    Path("huge").write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    Path("none").write_bytes(b"\0\0\x08\x03" + b"\0\0\0\0" + b"\0\0\0\x1c" * 2)
    Path("a-images-idx3").write_bytes(digits)
    Path("a-labels-idx1").write_bytes(idx(np.zeros(3, np.uint8)))
    Path("b-images-idx3").write_bytes(digits)
    Path("b-labels-idx1").write_bytes(b"x")
    Path("cut.gz").write_bytes(gzip.compress(digits)[:-20])
    for source, message in (
        ("batches", "data_batch_1: no batch of CIFAR: it names"),
        ("no_lmdb", "data.mdb is no LMDB database"),
        ("empty.tar", "found none of them"),
        ("cut.tar.gz", "cut.tar.gz: cannot be read"),
        ("short", "a damaged IDX file: its header says [2, 28, 28], 1568 bytes, got only 1567"),
        ("long", "1568 bytes, got more"),
        ("huge", "expected at most 2147483648 bytes"),
        ("none", "there is no picture in it"),
        ("a-images-idx3", "expected 2 labels, as many as pictures, got 3"),
        ("b-images-idx3", "expected an IDX file of bytes with 1 dimensions"),
        ("cut.gz", "cut.gz: cannot be read"),
        ("nowhere.tar.gz", "no such file or folder"),
    ):
        assert main([source, "out.zip", "-q"]) == 2, source
        said = capsys.readouterr().err
        assert message in said and said.startswith("stylegan.dataset: ") and "Traceback" not in said, said
    assert not Path("out.zip").exists() and not Path("pwned").exists()
