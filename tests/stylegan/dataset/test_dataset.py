"""Reading data sets: the same pictures from a folder and a zip, labels, mirrored ones, workers; and what is refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stylegan.dataset import PictureDataset
from stylegan.dataset.archive import encoded, writing
from stylegan.errors import DatasetError
from stylegan.faces import face

SIZE, COUNT = 16, 6


def png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    return data.getvalue()


def put(place: Path, files: dict[str, bytes]) -> Path:
    """Into a zip, or a folder."""
    if place.suffix == ".zip":
        with zipfile.ZipFile(place, "w") as file:
            for name, data in files.items():
                file.writestr(name, data)
    else:
        for name, data in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
    return place


def pictures() -> dict[str, bytes]:
    return {f"{i % 2}/{i}.png": png(face(i, SIZE)) for i in range(COUNT)}


def labelled(labels: Any) -> dict[str, bytes]:
    return {**pictures(), "dataset.json": json.dumps({"labels": labels}).encode()}


CLASSES = [[name, number % 3] for number, name in enumerate(pictures())]


@pytest.mark.parametrize("place", ["data", "data.zip"])
def test_items(place: str, tmp_path: Path) -> None:
    data = PictureDataset(put(tmp_path / place, {**labelled(CLASSES), ".hidden.png": b"", "note.txt": b"x"}), SIZE)
    assert (len(data), data.resolution, data.channels, data.c_dim) == (COUNT, SIZE, 3, 3)
    for number, name in enumerate(sorted(pictures())):
        picture, label = data[number]
        index = int(name[2])
        assert picture.dtype == np.uint8 and label.dtype == np.float32
        np.testing.assert_array_equal(picture, face(index, SIZE).transpose(2, 0, 1))
        np.testing.assert_array_equal(label, np.eye(3)[index % 3])


@settings(deadline=None, max_examples=20)
@given(st.integers(1, COUNT + 2), st.integers(0, 2**33), st.booleans())
def test_choice_and_mirrors(tmp_path_factory: pytest.TempPathFactory, most: int, seed: int, xflip: bool) -> None:
    path = put(tmp_path_factory.mktemp("d") / "d.zip", labelled(CLASSES))
    everything = PictureDataset(path)
    data = PictureDataset(path, xflip=xflip, max_size=most, seed=seed)
    half = min(most, COUNT)
    assert len(data) == half * (1 + xflip)
    places = [everything.names.index(name) for name in data.names]
    assert places == sorted(set(places)) and len(places) == half
    for i in range(len(data)):
        picture, label = everything[places[i % half]]
        np.testing.assert_array_equal(data[i][0], picture[:, :, ::-1] if i >= half else picture)
        np.testing.assert_array_equal(data[i][1], label)
    with pytest.raises(IndexError):
        data[len(data)]


def test_other_seeds_choose_others(tmp_path: Path) -> None:
    path = put(tmp_path / "d.zip", pictures())
    assert len({tuple(PictureDataset(path, max_size=3, seed=seed).names) for seed in range(20)}) > 5


def test_classes_as_whole_floats(tmp_path: Path) -> None:
    """As pandas and numpy write them; the official data set takes them."""
    whole = [[name, float(number)] for name, number in CLASSES]
    data = PictureDataset(put(tmp_path / "d", labelled(whole)))
    want = PictureDataset(put(tmp_path / "w", labelled(CLASSES)))
    np.testing.assert_array_equal([data.label(i) for i in range(6)], [want.label(i) for i in range(6)])


def test_vectors_as_labels(tmp_path: Path) -> None:
    vectors = [[name, [i, -0.5]] for i, name in enumerate(sorted(pictures()))]
    data = PictureDataset(put(tmp_path / "d", labelled(vectors)))
    assert data.c_dim == 2
    np.testing.assert_array_equal(data.label(4), np.float32([4, -0.5]))
    assert PictureDataset(tmp_path / "d", labels=False).c_dim == 0
    assert PictureDataset(tmp_path / "d", labels=False)[0][1].shape == (0,)
    assert PictureDataset(put(tmp_path / "n", labelled(None))).c_dim == 0


def test_workers_read_a_zip(tmp_path: Path) -> None:
    """Many reads of workers at the same time, after the parent has read too: a shared handle would mix them up."""
    count = 60
    path = put(tmp_path / "d.zip", {f"{i:03d}.png": png(face(i, 64)) for i in range(count)})
    data = PictureDataset(path, xflip=True)
    data[0]
    loader = torch.utils.data.DataLoader(data, batch_size=2, num_workers=2, multiprocessing_context="fork")
    seen = torch.cat([batch for batch, _ in loader])
    want = np.stack([data[i][0] for i in range(2 * count)])
    np.testing.assert_array_equal(seen, want)


def test_a_copy_reads_too(tmp_path: Path) -> None:
    data = PictureDataset(put(tmp_path / "d.zip", pictures()))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data))[1][0], data[1][0])


def test_channels(tmp_path: Path) -> None:
    grey = {"a.png": png(face(0, SIZE)[:, :, 0]), "b.png": png(face(1, SIZE)[:, :, 1])}
    assert PictureDataset(put(tmp_path / "grey", grey)).channels == 1
    assert PictureDataset(tmp_path / "grey")[0][0].shape == (1, SIZE, SIZE)
    alpha = np.dstack([face(2, SIZE), np.zeros((SIZE, SIZE), np.uint8)])
    mixed = PictureDataset(put(tmp_path / "mixed", {**grey, "c.png": png(alpha)}))
    assert mixed.channels == 3 and (mixed[2][0] == 255).all()  # what is transparent is white
    np.testing.assert_array_equal(mixed[0][0], np.repeat(face(0, SIZE)[None, :, :, 0], 3, 0))
    np.testing.assert_array_equal(PictureDataset(tmp_path / "mixed", channels=4)[2][0], alpha.transpose(2, 0, 1))


def test_digest(tmp_path: Path) -> None:
    a, b = put(tmp_path / "a", pictures()), put(tmp_path / "b.zip", pictures())
    same = {PictureDataset(x).digest() for x in (a, b)}
    assert len(same) == 1
    (a / "0/0.png").write_bytes(png(face(99, SIZE)))
    others = [PictureDataset(a), PictureDataset(b, xflip=True), PictureDataset(b, max_size=3)]
    assert len(same | {x.digest() for x in others}) == 4


def test_written_ones_are_read(tmp_path: Path) -> None:
    for name in ("d.zip", "d"):
        with writing(tmp_path / name) as archive:
            for i in range(1002):
                archive.add(encoded(np.full((4, 4, 1), i % 256, np.uint8)), i % 7)
        data = PictureDataset(tmp_path / name)
        assert data.names[1001] == "00001/img00001001.png" and data.c_dim == 7
        assert (data[1001][0] == 1001 % 256).all() and data[1001][1].argmax() == 0


CUT = png(face(0, SIZE))[:60]  # its size can be read, its pixels cannot


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, r"expected pictures such as \.png or \.jpg, found nothing in it"),
        ({"a.txt": b"x"}, "found 1 files, none of them a picture"),
        ({**pictures(), "w.png": png(face(0, 8)), "x.png": png(face(0, SIZE)[2:]), "y.png": b"no"},
         "3 of 9 pictures cannot be used; .*\n  w.png: expected 16x16 as 0/0.png has, got 8x8\n"
         "  x.png: 16x14 is not square\n  y.png: expected a picture, but it cannot be read: it is of no known kind"),
        (labelled(CLASSES[1:]), "lacks pictures that are there: 0/0.png"),
        (labelled([*CLASSES, ["a/b.png", 0], ["c.png", 0]]), r"names pictures that are not there: a/b.png, c.png"),
        (labelled([[name, -1] for name, _ in CLASSES]), "expected classes, whole numbers from 0 to 99999, but not of"),
        (labelled([[name, True] for name, _ in CLASSES]), "expected classes"),
        (labelled([[name, 0.5] for name, _ in CLASSES]), "expected classes"),
        (labelled([[name, [1, 2] if name[2] != "3" else [1]] for name, _ in CLASSES]), "expected 2 numbers .* 1/3.png"),
        (labelled([[name, [1] if name[2] != "3" else 1] for name, _ in CLASSES]), "expected 1 numbers .* 1/3.png"),
        (labelled([1, 2]), "dataset.json: expected"),
        ({**pictures(), "dataset.json": b"["}, "dataset.json: expected"),
        ({**pictures(), "dataset.json": b"[" * 100000}, "dataset.json: expected"),
        ({**pictures(), "dataset.json": b"\xff"}, "dataset.json: expected"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["data", "data.zip"])
def test_refused(place: str, files: dict[str, bytes], said: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(DatasetError, match=said) as error:
        PictureDataset(put(tmp_path / place, files))
    assert str(error.value).startswith(f"data {tmp_path / place}: ")


def test_refused_places(tmp_path: Path) -> None:
    path = put(tmp_path / "d.zip", pictures())
    with pytest.raises(DatasetError, match=r"3 more$|expected 32x32, got 16x16"):
        PictureDataset(path, resolution=32)
    with pytest.raises(DatasetError, match="max_size: expected 1 or more"):
        PictureDataset(path, max_size=0)
    with pytest.raises(DatasetError, match="channels: expected 1, 3 or 4"):
        PictureDataset(path, channels=2)
    for data in (path.read_bytes()[:-30], b"text"):
        (tmp_path / "bad.zip").write_bytes(data)
        with pytest.raises(DatasetError, match="it is no zip, or a damaged one"):
            PictureDataset(tmp_path / "bad.zip")
    for place in ("none", "a\0b", "x" * 300):
        with pytest.raises(DatasetError, match=r"no such file or folder|cannot be read"):
            PictureDataset(tmp_path / place)


@pytest.mark.parametrize("place", ["data", "data.zip"])
def test_damaged_pixels(place: str, tmp_path: Path) -> None:
    data = PictureDataset(put(tmp_path / place, {**pictures(), "z.png": CUT}))
    with pytest.raises(DatasetError, match=r"z\.png: expected a picture, but it cannot be read"):
        data[COUNT]


def test_a_zip_with_a_wrong_byte(tmp_path: Path) -> None:
    path = put(tmp_path / "d.zip", pictures())
    data = bytearray(path.read_bytes())
    data[data.find(b"IDAT") + 40] ^= 255
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"0/0\.png"):
        PictureDataset(path)[0]
