"""`python -m stylegan.dataset`: what becomes of pictures of every kind, and what is told of those of no use."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stylegan.dataset import PictureDataset
from stylegan.dataset.__main__ import main
from stylegan.dataset.convert import PngOf, fitted
from stylegan.faces import face

Captured = pytest.CaptureFixture[str]


def save(path: Path, pixels: np.ndarray, **how: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **how)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with photos/: two squares and one that is wide."""
    monkeypatch.chdir(tmp_path)
    for i in range(2):
        save(tmp_path / f"photos/{'ab'[i]}/{i}.png", face(i, 32))
    save(tmp_path / "photos/b/wide.png", np.hstack([face(2, 32)[:, :8], face(3, 32), face(4, 32)[:, :8]]))
    return tmp_path / "photos"


def command(*arguments: str) -> int:
    try:
        return main(["-q", *arguments])
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


def test_center(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("photos", "out.zip", "--resolution", "32x32", "--crop", "center") == 0
    output = capsys.readouterr()
    assert output.out == "out.zip  3 pictures of 32x32, 3 channels\n" and not output.err
    data = PictureDataset("out.zip")
    assert len(data) == 3 and data.c_dim == 0
    for i, number in enumerate((0, 1, 3)):  # of the wide one the middle
        np.testing.assert_array_equal(data[i][0], face(number, 32).transpose(2, 0, 1))
    assert command("photos", "small", "--resolution", "16x16", "--crop", "center", "--workers", "3") == 0
    small = PictureDataset("small")
    lanczos = Image.fromarray(face(3, 32)).resize((16, 16), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(small[2][0], np.array(lanczos).transpose(2, 0, 1))


def test_center_wide(photos: Path) -> None:
    assert command("photos", "out.zip", "--resolution", "64x32", "--crop", "center-wide") == 0
    picture = PictureDataset("out.zip", resolution=64)[2][0]
    assert not picture[:, :16].any() and not picture[:, 48:].any() and picture[:, 16:48].mean() > 50
    middle = np.array(Image.open(photos / "b/wide.png").crop((0, 4, 48, 28)).resize((64, 32), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(picture[:, 16:48], middle.transpose(2, 0, 1))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([4, 8, 32]), st.sampled_from(["L", "RGB", "RGBA"]))
def test_any_size_fits(width: int, height: int, side: int, mode: str) -> None:
    """A flat picture stays flat, whatever is cut; and the middle stays the middle."""
    picture = Image.new(mode, (width, height), 77 if mode == "L" else (77,) * len(mode))
    got = fitted(picture, (side, side), "center").astype(int)
    assert got.shape == (side, side, len(mode)) and (abs(got - 77) <= (mode == "RGBA")).all()  # that of 8 bits of alpha
    wide = fitted(picture, (side, side // 2), "center-wide").astype(int)
    inside = wide[side // 4 : side // 4 + side // 2]
    assert wide.shape == got.shape and (abs(inside - 77) <= (mode == "RGBA")).all() and wide.min() == 0


def test_everything_that_is_wrong_is_listed(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = (photos / "a/0.png").read_bytes()
    (photos / "a/cut.png").write_bytes(good[: len(good) // 2])
    (photos / "a/empty.jpg").touch()
    (photos / "a/text.png").write_text("no picture")
    save(photos / "c/float.tiff", np.zeros((32, 32), np.float32))
    save(photos / "c/grey.png", face(5, 32)[:, :, 0])
    save(photos / "c/deep.png", face(5, 32)[:, :, 0].astype(np.uint16) * 257)
    save(photos / "c/palette.gif", face(6, 32))
    save(photos / "c/alpha.png", np.dstack([face(7, 32), np.full((32, 32), 0, np.uint8)]))
    Image.fromarray(face(8, 32)).convert("CMYK").save(photos / "c/cmyk.jpg")
    (photos / "note.txt").write_text("no picture, and not named like one")
    assert command("photos", "out.zip", "--resolution", "32x32", "--crop", "center") == 0
    output = capsys.readouterr()
    left, changed = output.err.split("stylegan.dataset: ")[1:]
    assert left.startswith("4 pictures left out, as they cannot be used:\n")
    for name in ("a/cut.png", "a/empty.jpg", "a/text.png", "c/float.tiff"):
        assert f"\n  {name}: " in left
    assert changed == (
        "3 pictures changed to the kind of the others:\n  c/alpha.png: transparent made colour\n"
        "  c/deep.png: grey made colour\n  c/grey.png: grey made colour\n"
    )
    data = PictureDataset("out.zip")
    assert len(data) == 8 and data.channels == 3
    grey = np.repeat(face(5, 32)[:, :, :1], 3, 2).transpose(2, 0, 1)
    white, cmyk, deep, plain, palette = (data[i][0] for i in (3, 4, 5, 6, 7))
    assert (white == 255).all() and np.array_equal(deep, grey) and np.array_equal(plain, grey)
    assert np.abs(palette.astype(int) - face(6, 32).transpose(2, 0, 1)).mean() < 12
    assert np.abs(cmyk.astype(int) - face(8, 32).transpose(2, 0, 1)).mean() < 12
    assert command("photos", "grey.zip", "--resolution", "32x32", "--crop", "center", "--channels", "1") == 0
    assert PictureDataset("grey.zip").channels == 1


def test_a_photo_on_its_side(photos: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save(photos / "b/wide.png", face(9, 32)[:16], exif=exif)
    save(photos / "b/wide.jpg", face(9, 32)[:16], exif=exif, quality=100, subsampling=0)
    assert command("photos", "out.zip", "--resolution", "16x16", "--crop", "center") == 0
    data = PictureDataset("out.zip")
    want = np.rot90(face(9, 32)[:16], -1)[8:24].transpose(2, 0, 1)
    np.testing.assert_array_equal(data[3][0], want)
    assert np.abs(data[2][0].astype(int) - want).mean() < 5


def test_labels(photos: Path) -> None:
    crop = ("--resolution", "32x32", "--crop", "center")
    assert command("photos", "folders.zip", *crop, "--labels", "folders") == 0
    assert [int(PictureDataset("folders.zip")[i][1].argmax()) for i in range(3)] == [0, 1, 1]
    given = [["b\\wide.png", 4], ["a/0.png", 2], ["b/1.png", 3]]
    (photos / "dataset.json").write_text(json.dumps({"labels": given}))
    assert command("photos", "file.zip", *crop) == 0
    assert [int(PictureDataset("file.zip")[i][1].argmax()) for i in range(3)] == [2, 3, 4]
    assert command("file.zip", "again", "--max-size", "2") == 0
    assert [int(PictureDataset("again")[i][1].argmax()) for i in range(2)] == [2, 3]
    assert command("photos", "none.zip", *crop, "--labels", "none") == 0
    assert PictureDataset("none.zip").c_dim == 0
    (photos / "a/0.png").write_text("damaged")  # and the others keep theirs
    assert command("photos", "less.zip", *crop) == 0
    assert [int(PictureDataset("less.zip")[i][1].argmax()) for i in range(2)] == [3, 4]


def test_same_bytes(photos: Path) -> None:
    for name, workers in (("a.zip", "1"), ("b.zip", "4")):
        assert command("photos", name, "--resolution", "8x8", "--crop", "center", "--workers", workers) == 0
    assert Path("a.zip").read_bytes() == Path("b.zip").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none", "out.zip"), "data none: no such file or folder"),
        (("empty", "out.zip"), "data empty: expected pictures such as .png or .jpg, found nothing in it"),
        (("bad.zip", "out.zip"), "data bad.zip: expected a folder or a zip, but it is no zip, or a damaged one"),
        (("photos", "out.zip"), "pictures of wrong size (--resolution 256x256 makes them equal):\n  b/wide.png: 48x32"),
        (("photos", "out.zip", "--resolution", "32x32"), "(--crop center takes their middle):\n  b/wide.png: 48x32 is"),
        (("sizes", "out.zip"), "b.png: 16x16, but a.png has 32x32"),
        (("odd", "out.zip"), "networks need a power of two, these are 24x24"),
        (("photos", "out.zip", "--resolution", "30x30"), "networks need a power of two, 4 or more, such as 256"),
        (("photos", "out.zip", "--resolution", "2x2"), "networks need a power of two"),
        (("photos", "out.zip", "--resolution", "64x32"), "expected such as 64x64, or --crop center-wide"),
        (("photos", "out.zip", "--resolution", "32"), "--resolution 32: expected WIDTHxHEIGHT, such as 256x256"),
        (("photos", "out.zip", "--resolution", "32x32", "--crop", "center-wide"), "wants more width than height"),
        (("photos", "out.zip", "--crop", "center"), "--crop center wants --resolution too"),
        (("photos", "out.zip", "--channels", "2"), "--channels 2: expected 1, 3 or 4"),
        (("photos", "out.zip", "--max-size", "0"), "--max-size 0: expected 1 or more"),
        (("photos", "out.zip", "--workers", "0"), "--workers 0: expected 1 or more"),
        (("photos", "photos"), "there is something already"),
        (("photos", "no/out.zip"), "there is no folder no"),
        (("labels", "out.zip"), "dataset.json names pictures that are not there: b.png"),
        (("sizes", "out.zip", "--labels", "folders"), "has pictures that are in no folder, such as a.png"),
        (("broken", "out.zip"), "no picture can be used:\n  a.png: expected a picture"),
        (("photos", "out.zip", "--crop", "left"), "invalid choice"),
    ],
)
def test_wrong_input(arguments: tuple[str, ...], said: str, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    Path("bad.zip").write_bytes(b"PK\3\4 and no more")
    save(Path("sizes/a.png"), face(0, 32))
    save(Path("sizes/b.png"), face(0, 16))
    save(Path("odd/a.png"), face(0, 24))
    save(Path("labels/a.png"), face(0, 32))
    Path("labels/dataset.json").write_text(json.dumps({"labels": [["a.png", 1], ["b.png", 0]]}))
    save(Path("broken/a.png"), face(0, 32))
    Path("broken/a.png").write_bytes(Path("broken/a.png").read_bytes()[:60])
    before = sorted(str(path) for path in Path().rglob("*"))
    assert command(*arguments) == 2
    output = capsys.readouterr()
    assert said in output.err and not output.out and "Traceback" not in output.err
    assert sorted(str(path) for path in Path().rglob("*")) == before


def test_a_full_disk(photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    assert command("photos", "out.zip", "--resolution", "8x8", "--crop", "center") == 2
    assert "out.zip: cannot be written: No space left on device" in capsys.readouterr().err
    assert sorted(path.name for path in Path().iterdir()) == ["photos"]


def test_a_zip_is_read_as_its_folder(photos: Path) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(photos.rglob("*.png")):
            file.write(path, path.relative_to(photos).as_posix())
    Path("photos.zip").write_bytes(data.getvalue())
    for source in ("photos", "photos.zip"):
        assert (
            command(source, f"of-{Path(source).stem}{len(source)}.zip", "--resolution", "8x8", "--crop", "center") == 0
        )
    assert Path("of-photos6.zip").read_bytes() == Path("of-photos10.zip").read_bytes()


def test_what_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    """Whole shards stay, here of 50 pictures; the data set is byte for byte that which nobody stopped."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for i in range(120):
        Image.new("RGB", (16 + i % 3, 16), (i, 2 * i, 255 - i)).save(f"in/{i:03d}.png")
    Path("in/060.png").write_bytes(Path("in/060.png").read_bytes()[:-30])  # cut off behind what is looked at first
    command = ["in", "out.zip", "--resolution", "8x8", "--crop", "center", "-q"]
    assert main([*command, "--workers", "1"]) == 0
    want, left_out = Path("out.zip").read_bytes(), capsys.readouterr().err
    assert "1 pictures left out" in left_out and "060.png" in left_out
    Path("out.zip").unlink()

    made: list[str] = []
    png = PngOf.__call__

    def stopped(self: PngOf, source: Any, name: str) -> bytes | str:
        made.append(name)
        if len(made) == 71:
            raise KeyboardInterrupt
        return png(self, source, name)

    monkeypatch.setattr(PngOf, "__call__", stopped)
    assert main([*command, "--workers", "1"]) == 130
    assert "50 of 120 pictures are kept: the same command goes on" in capsys.readouterr().err
    assert sorted(path.name for path in Path(".out.zip.parts").iterdir()) == ["000000.zip", "job.json"]
    assert main([*command, "--workers", "1"]) == 0 and made[71:] == [f"{i:03d}.png" for i in range(50, 120)]
    assert Path("out.zip").read_bytes() == want and capsys.readouterr().err == left_out
    assert main([*command, "--workers", "3"]) == 0  # whose processes have nothing of this test
    assert Path("out.zip").read_bytes() == want and len(made) == 141

    made[:] = [""] * 10
    assert main([*command, "--workers", "1"]) == 130
    Image.new("RGB", (20, 20)).save("in/000.png")
    assert main([*command, "--workers", "1"]) == 0 and len(made) == 71 + 120  # another picture: all anew
    assert Path("out.zip").read_bytes() != want
    assert sorted(path.name for path in Path().iterdir()) == ["in", "out.zip"]


def test_verify(photos: Path, capsys: Captured) -> None:
    """What was written is right; and each fault is found, by name."""
    how = ("--resolution", "16x16", "--crop", "center")
    assert command("photos", "good.zip", "--labels", "folders", *how) == command("photos", "good", *how) == 0
    capsys.readouterr()
    assert command("--verify", "good.zip") == 0
    said = capsys.readouterr().out
    right = "3 pictures of 16x16, each has its label: each can be read; sha256 "
    assert said.startswith(f"good.zip  {right}") and said.endswith(PictureDataset("good.zip").source.digest() + "\n")
    assert command("--verify", "good", "--workers", "1") == 0
    assert capsys.readouterr().out.startswith("good  3 pictures of 16x16, no labels: each can be read; sha256 ")

    folder = Path("good/00000")
    png = (folder / "img00000002.png").read_bytes()
    (folder / "img00000004.png").write_bytes(png[:-30])
    (folder / "img00000001.png").unlink()
    (folder / "copy.png").write_bytes(png)
    (folder / "notes.txt").write_text("")
    save(folder / "img00000002.png", face(2, 32))
    Path("good/dataset.json").write_text('{"labels": [["00000/img00000000.png", 1]]}')
    assert command("--verify", "good") == 1
    head, *faults = capsys.readouterr().out.splitlines()
    assert head == "good  7 faults:" and [fault.partition(": ")[0] for fault in faults] == [
        *("00000/notes.txt", "00000/img00000001.png", "00000/img00000003.png", "00000/copy.png"),
        *("00000/img00000002.png", "00000/img00000004.png", "dataset.json lacks pictures that are there"),
    ]
    assert faults[4].endswith("it has 32x32, most have 16x16") and "cannot be read" in faults[5]
    for wrong in (("--verify", "good", *how), ("--verify", "good", "out"), ("--verify", "nowhere"), ("photos",)):
        assert command(*wrong) == 2
        assert capsys.readouterr().err.count("\n") == 1
