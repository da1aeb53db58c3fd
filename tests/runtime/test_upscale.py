"""python -m runtime.upscale of one picture: tiles make what the whole does, nothing of the picture is lost."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from torch import nn
from upscale_nets import Array, load, photo, save, whole, write_manifest, write_net

import ncnn_builder as nb
from runtime.upscale import main
from runtime.upscaling.photos import read_photo

QUICK = ("threads=1", "isolate=false")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a net x2 and a picture of 61 x 47 pixels."""
    write_net(tmp_path / "x2")
    save(tmp_path / "in.png", photo(47, 61))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def levels(a: Array, b: Array) -> int:
    assert a.shape == b.shape and a.dtype == b.dtype
    return int(np.abs(a.astype(int) - b).max())


@pytest.mark.parametrize("tile", ["auto", "whole", "7", "16", "46", "60", "1000"])
def test_tiles_make_what_the_whole_does(here: Path, tile: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["in.png", "out.png", "model=x2", f"tile={tile}", *QUICK]) == 0
    wanted = (whole(here / "x2", photo(47, 61)).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    assert levels(load(here / "out.png"), wanted) <= 1
    out, err = capsys.readouterr()
    assert out == "out.png\n"
    assert err == "" or (tile in ("7", "16") and err.startswith("tiles show 3 pixels around what is kept"))


def test_without_overlap_tiles_show(here: Path) -> None:
    """What the test above compares can differ."""
    assert main(["in.png", "out.png", "model=x2", "tile=16", "overlap=0", *QUICK]) == 0
    wanted = (whole(here / "x2", photo(47, 61)).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    assert levels(load(here / "out.png"), wanted) > 1


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2), (17, 16), (33, 31)])
def test_odd_sizes(here: Path, size: tuple[int, int]) -> None:
    save(here / "small.png", photo(*size))
    assert main(["small.png", "out.png", "model=x2", "tile=16", *QUICK]) == 0
    wanted = (whole(here / "x2", photo(*size)).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    assert levels(load(here / "out.png"), wanted) <= 1


@pytest.mark.parametrize("tile", ["auto", "32"])
def test_sizes_that_are_multiples(here: Path, tile: str) -> None:
    write_net(here / "by4", down=4)
    assert main(["in.png", "out.png", "model=by4", f"tile={tile}", *QUICK]) == 0
    mirrored = np.pad(photo(47, 61), ((0, 1), (0, 3), (0, 0)), mode="reflect")
    wanted = (whole(here / "by4", mirrored).clip(0, 1) * 255 + 0.5).astype(np.uint8)[:94, :122]
    assert levels(load(here / "out.png"), wanted) <= 1


@pytest.mark.parametrize("size", [(24, 32), (47, 61), (64, 64)])
def test_a_net_of_one_size_sees_windows_of_that(here: Path, size: tuple[int, int]) -> None:
    write_net(here / "fixed", size=size)
    write_net(here / "x2")
    assert main(["in.png", "out.png", "model=fixed", *QUICK]) == 0
    wanted = (whole(here / "x2", photo(47, 61)).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    inside = (slice(0, -8), slice(0, -8))  # beyond the picture it sees mirrored pixels
    assert levels(load(here / "out.png")[inside], wanted[inside]) <= 1


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"maximum": 24, "multiple_of": 8},
        {"square": True, "maximum": 24},
        {"square": True},
        {"minimum": 80},
        {"tiling": "internal"},
    ],
)
def test_a_manifest_is_kept_to(here: Path, changes: dict[str, object]) -> None:
    write_manifest(here / "x2", **changes)
    assert main(["in.png", "out.png", "model=x2.json", *QUICK]) == 0
    wanted = (whole(here / "x2", photo(47, 61)).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    inside = (slice(0, -8), slice(0, -8))
    assert levels(load(here / "out.png")[inside], wanted[inside]) <= 1


def test_a_manifest_of_a_schema_to_come_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_manifest(here / "x2")
    (here / "x2.json").write_text((here / "x2.json").read_text().replace('"schema": 1', '"schema": 2'))
    assert main(["in.png", "out.png", "model=x2", *QUICK]) == 2
    assert "x2.json: its schema is not known here; expected 1; got 2" in capsys.readouterr().err


def test_a_manifest_that_lies_is_found(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_manifest(here / "x2", scale=4)
    assert main(["in.png", "out.png", "model=x2", *QUICK]) == 2
    assert "another shape than its manifest says" in capsys.readouterr().err
    assert not (here / "out.png").exists()


def test_grey_stays_grey(here: Path) -> None:
    save(here / "grey.png", photo(47, 61, 1))
    assert main(["grey.png", "out.png", "model=x2", "tile=32", *QUICK]) == 0
    colours = whole(here / "x2", photo(47, 61, 1)[:, :, None].repeat(3, 2)).clip(0, 1)
    assert levels(load(here / "out.png"), (colours @ [0.299, 0.587, 0.114] * 255 + 0.5).astype(np.uint8)) <= 1


@pytest.mark.parametrize("channels", [1, 3])
def test_a_net_of_one_channel_sees_each_by_itself(here: Path, channels: int) -> None:
    write_net(here / "grey", scale=4, channels=1, outputs=1)
    pixels = photo(47, 61, channels)
    save(here / "in.png", pixels)
    assert main(["in.png", "out.png", "model=grey", "tile=32", *QUICK]) == 0
    planes = [whole(here / "grey", plane[:, :, None]) for plane in pixels.reshape(47, 61, -1).transpose(2, 0, 1)]
    wanted = (np.concatenate(planes, 2).clip(0, 1) * 255 + 0.5).astype(np.uint8)
    assert levels(load(here / "out.png"), wanted[:, :, 0] if channels == 1 else wanted) <= 1


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_enlarged_beside(here: Path, channels: int) -> None:
    pixels = photo(47, 61, channels)
    save(here / "in.png", pixels)
    assert main(["in.png", "out.png", "model=x2", *QUICK]) == 0
    made = load(here / "out.png")
    alpha = np.asarray(Image.fromarray(pixels[:, :, -1]).resize((122, 94), Image.Resampling.BICUBIC))
    assert made.shape == (94, 122, channels) and np.abs(made[:, :, -1] - alpha.astype(float)).mean() < 1
    assert main(["in.png", "out.jpg", "model=x2", *QUICK]) == 2
    pixels[:, :, -1] = 255  # nothing to lose
    save(here / "in.png", pixels)
    assert main(["in.png", "out.jpg", "model=x2", *QUICK]) == 0


def test_transparent_colours_of_palettes(here: Path) -> None:
    image = Image.fromarray(photo(20, 20)).quantize(8)
    image.save(here / "in.png", transparency=3)
    shown = np.asarray(image) != 3
    assert main(["in.png", "out.png", "model=x2", *QUICK]) == 0
    alpha = load(here / "out.png")[:, :, 3]
    wanted = Image.fromarray(shown * np.uint8(255)).resize((40, 40), Image.Resampling.BICUBIC)
    assert shown.any() and not shown.all() and np.abs(alpha - np.asarray(wanted, float)).mean() < 2


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_stay(here: Path, channels: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Read by what wrote them: this program's PNG of a net that changes little."""
    write_net(here / "x1", scale=1)
    pixels = photo(47, 61, channels, bits=16)
    pixels = pixels.reshape(47, 61, channels)
    write_deep(here / "in.png", pixels)
    found = read_photo(here / "in.png")
    alpha = [] if found.alpha is None else [found.alpha[:, :, None]]
    np.testing.assert_array_equal(np.concatenate([found.pixels, *alpha], 2), pixels)
    assert main(["in.png", "out.png", "model=x1", "tile=32", *QUICK]) == 0
    colours = pixels[:, :, :1].repeat(3, 2) if channels < 3 else pixels[:, :, :3]
    wanted = whole(here / "x1", colours).clip(0, 1)
    wanted = wanted @ np.array([[0.299], [0.587], [0.114]]) if channels < 3 else wanted
    made = read_photo(here / "out.png")
    assert made.pixels.dtype == np.uint16 and np.abs(made.pixels / 65535 - wanted).max() < 2e-5
    if channels in (2, 4):
        assert made.alpha is not None and np.abs(made.alpha.astype(int) - pixels[:, :, -1]).max() <= 1
    capsys.readouterr()
    assert main(["in.png", "out.webp", "model=x1", *QUICK]) == 0
    assert "16 bits a channel become 8" in capsys.readouterr().err


def write_deep(path: Path, pixels: Array) -> None:
    """A PNG of 16 bits a channel, its rows unfiltered, as the standard says it."""
    import zlib

    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    data = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(data))


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bits_of_tiff(tmp_path: Path, order: str) -> None:
    pixels = photo(5, 7, bits=16)
    entries = [(256, 4, 1, 7), (257, 4, 1, 5), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 200)]
    entries += [(277, 3, 1, 3), (278, 4, 1, 5), (279, 4, 1, 210)]
    data = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 16)
    data += struct.pack(f"{order}3H2x", 16, 16, 16) + struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        form = "HHIHxx" if kind == 3 and count == 1 else "HHII"
        data += struct.pack(f"{order}{form}", tag, kind, count, value)
    (tmp_path / "in.tif").write_bytes(data.ljust(200, b"\0") + pixels.astype(f"{order}u2").tobytes())
    found = read_photo(tmp_path / "in.tif")
    np.testing.assert_array_equal(found.pixels, pixels)


def test_it_is_turned_as_the_camera_says(here: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save(here / "turned.png", photo(47, 61), exif=exif.tobytes())
    save(here / "in.png", np.rot90(photo(47, 61), -1).copy())
    for name in ("turned", "in"):
        assert main([f"{name}.png", f"out_{name}.png", "model=x2", *QUICK]) == 0
    np.testing.assert_array_equal(load(here / "out_turned.png"), load(here / "out_in.png"))


@pytest.mark.parametrize("bits", [8, 16])
def test_the_colour_profile_stays(here: Path, bits: int) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    save(here / "in.tif", photo(9, 8, 1, bits), icc_profile=profile)
    assert main(["in.tif", "out.png", "model=x2", *QUICK]) == 0
    with Image.open(here / "out.png") as image:
        assert image.info["icc_profile"] == profile


def test_mistakes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line on stderr, status 2, and no file."""
    before = sorted(os.listdir(here))
    (here / "text.png").write_text("no picture")
    (here / "cut.png").write_bytes((here / "in.png").read_bytes()[:300])
    frames = [Image.fromarray(photo(9, 9)), Image.fromarray(photo(9, 9)[::-1].copy())]
    frames[0].save(here / "two.webp", save_all=True, append_images=frames[1:])
    (here / "folder").mkdir()
    for arguments, said in {
        ("in.png",): "wrong number of paths",
        ("in.png", "out.png", "more.png", "model=x2"): "wrong number of paths",
        ("in.png", "out.png"): "there is no model",
        ("in.png", "out.png", "model=x3"): "there is no net x3.param",
        ("in.png", "out.png", "model=x2", "tiles=3"): "Did you mean tile=?",
        ("in.png", "out.png", "model=x2", "tile=0"): "expected a number of pixels, auto or whole",
        ("in.png", "out.png", "model=x2", "tile=6"): "tile=6 is too small for this net; expected 7 or more",
        ("in.png", "out.png", "model=x2", "overlap=-1"): "overlap=",
        ("in.png", "out.png", "model=x2", "format=png"): "format= is for folders",
        ("in.png", "out.xyz", "model=x2"): "unknown kind of file",
        ("in.png", "no/out.png", "model=x2"): "there is no directory no",
        ("in.png", "folder", "model=x2"): "unknown kind of file",
        ("in.png", "in.png", "model=x2"): "IN and OUT are the same",
        ("in.png", "./folder/../in.png", "model=x2"): "IN and OUT are the same",
        ("x2.bin", "out.png", "model=x2"): "an unknown kind of file",
        ("missing.png", "out.png", "model=x2"): "no such picture, folder or video",
        ("text.png", "out.png", "model=x2"): "not a picture that can be read",
        ("cut.png", "out.png", "model=x2"): "not a picture that can be read",
        ("two.webp", "out.png", "model=x2"): "it holds 2 pictures",
        ("--fast", "out.png", "model=x2"): "unknown option --fast",
    }.items():
        assert main([*arguments, *(QUICK if len(arguments) > 2 else ())]) == 2, arguments
        out, err = capsys.readouterr()
        assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and said in err, (arguments, err)
    left = set(os.listdir(here)) - {"text.png", "cut.png", "two.webp", "folder"}
    assert sorted(left) == before and not os.listdir(here / "folder")


def test_a_net_that_is_no_restorer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    g = nb.Graph()
    x = g.input("data", (3, 16, 16), any_shape=True)
    g.output("output", nb.conv2d(g, x, nn.Conv2d(3, 3, 3, 2, 1)))
    nb.save(g, here / "half.param", here / "half.bin", target="stock")
    assert main(["in.png", "out.png", "model=half", *QUICK]) == 2
    said = "half.param: the net makes no larger picture of a picture; reason: [3, 33, 34] makes [3, 17, 17]"
    assert said in capsys.readouterr().err


def test_a_format_that_cannot_hold_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_net(here / "x8", scale=8)
    save(here / "long.png", photo(1, 2048))
    assert main(["long.png", "out.webp", "model=x8", *QUICK]) == 2
    assert "the result is too large for its format; expected at most 16383 pixels a side" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "tile=auto" in capsys.readouterr().out
