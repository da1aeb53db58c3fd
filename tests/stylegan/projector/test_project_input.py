"""Wrong input of the projection's command line, and pictures of every kind as its target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from projection_support import QUICK, TINY, Cut, Probabilities, Unofficial, command, prepare, scripted

from stylegan.errors import ProjectionError
from stylegan.projector import Projector
from stylegan.projector.picture import fit_target, open_target


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path, monkeypatch)
    monkeypatch.setattr(Projector, "advance", lambda _: pytest.fail("it began"))


def broken_files() -> None:
    data = Path("cat.png").read_bytes()
    Path("cut.png").write_bytes(data[: len(data) // 2])
    Path("text.png").write_text("no picture")
    Path("empty.png").touch()
    Image.fromarray(np.zeros((8, 8), np.float32)).save("float.tiff")
    torch.save({"a": torch.zeros(1)}, "state.pt")
    scripted(Unofficial(), "unofficial.pt")
    scripted(Probabilities(), "probabilities.pt")
    scripted(Cut(), "cut.pt")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--target", "none.png"), "target none.png: no such file"),
        (("--target", "."), "target .: expected a picture"),
        (("--target", "text.png"), "target text.png: expected a picture"),
        (("--target", "empty.png"), "target empty.png: expected a picture"),
        (("--target", "cut.png"), "target cut.png: expected a picture"),
        (("--target", "float.tiff"), "floating-point numbers of unknown range"),
        (("--ckpt", "none.pkl"), "checkpoint none.pkl: no such file"),
        (("--ckpt", "cat.png"), "cat.png: expected a checkpoint, but it cannot be read: it is a picture"),
        (("--ckpt", "random:x"), "expected random or random:SEED"),
        (("--cfg", "tinny"), "unknown configuration 'tinny': did you mean tiny"),
        (("--cfg", "two"), "pictures of 2 channels, expected 1, 3 or 4"),
        (("--class", "0"), "--class 0: the network has no labels"),
        (("--cfg", "labels"), "expected 0 to 2, got none"),
        (("--cfg", "labels", "--class", "3"), "expected 0 to 2, got 3"),
        (("--steps", "0"), "steps: expected 1 to"),
        (("--lr", "0"), "learning rate: expected above 0"),
        (("--lr", "nan"), "learning rate: expected above 0"),
        (("--seed", "-1"), "seed: expected 0 to"),
        (("--fps", "0"), "--fps 0: expected 1 to 1000"),
        (("--fps", "1/0"), "--fps 1/0: expected 1 to 1000"),
        (("--features", "none.pt"), "features none.pt: cannot be read: No such file"),
        (("--features", "."), "features .: cannot be read: Is a directory"),
        (("--features", "cat.png"), "features cat.png: expected a TorchScript file"),
        (("--features", "state.pt"), "features state.pt: expected a TorchScript file"),
        (("--features", "unofficial.pt"), "expected a network that is called as net(pictures, resize_images=False"),
        (
            ("--features", "probabilities.pt"),
            "floats of [1, n], got torch.float32 of [1, 4, 14, 14]",
        ),
        (("--features", "cut.pt"), "no gradient comes back"),
        (("--features", "vgg16"), "features vgg16: cannot fetch"),
        (("--cfg", "alpha", "--features", "cut.pt"), "1 or 3 channels, these have 4: choose --features pixels"),
        (("--out", "cat.png"), "--out cat.png: cannot write there: cat.png: Not a directory"),
        (("--out", "cat.png/x"), "cannot write there"),
        (("--out", "/proc/x/y"), "cannot write there: /proc"),
        (("--out", "x" * 300), "cannot write there"),
        (("--device", "gpu"), "--device gpu: cannot be used"),
        (("--device", "meta"), "--device meta: cannot be used"),
    ],
)
def test_wrong_input(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    broken_files()
    assert command(*TINY, *QUICK, "--out", "out", *arguments) == 2
    printed = capsys.readouterr()
    assert said in printed.err and printed.err.count("\n") == 1 and printed.err.startswith("stylegan.project: ")
    assert not Path("out").exists() and not printed.out


@pytest.mark.parametrize("arguments", [("--steps", "ten"), ("--lr", "x"), ("--class", "a"), ("--unknown",)])
def test_options_that_cannot_be_read(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*TINY, *arguments) == 2
    assert "error: " in capsys.readouterr().err


# -- targets ----------------------------------------------------------------------------------------------------

RED, CLEAR = (255, 0, 0, 255), (0, 0, 255, 0)


def halves(mode: str) -> Image.Image:
    """Left half red, right half transparent (of colour blue), or white where there is no transparency."""
    picture = Image.new("RGBA", (8, 8), CLEAR)
    picture.paste(RED, (0, 0, 4, 8))
    if mode in ("RGB", "CMYK", "YCbCr"):
        return Image.alpha_composite(Image.new("RGBA", (8, 8), "white"), picture).convert("RGB").convert(mode)
    if mode == "P":
        palette = Image.new("P", (8, 8), 1)
        palette.putpalette([255, 0, 0, 0, 0, 255])
        palette.paste(0, (0, 0, 4, 8))
        palette.info["transparency"] = 1
        return palette
    return picture


@pytest.mark.parametrize(
    ("mode", "suffix", "options"),
    [
        ("RGB", "png", {}),
        ("RGBA", "png", {}),
        ("RGBA", "webp", {"lossless": True}),
        ("P", "png", {"transparency": 1}),
        ("P", "gif", {"transparency": 1}),
        ("RGB", "bmp", {}),
        ("CMYK", "tiff", {}),
        ("RGB", "jpg", {"quality": 100, "subsampling": 0}),
    ],
)
def test_a_target_of_any_kind(mode: str, suffix: str, options: dict[str, object]) -> None:
    halves(mode).save(f"t.{suffix}", **options)
    pixels = fit_target(open_target(f"t.{suffix}"), 8, 3)
    assert pixels.shape == (8, 8, 3) and pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels[:, :3], np.broadcast_to([255, 0, 0], (8, 3, 3)), atol=3)
    np.testing.assert_allclose(pixels[:, 5:], 255, atol=3)


GREY = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4


@pytest.mark.parametrize(
    "save",
    [
        lambda: Image.fromarray(GREY).save("g.png"),
        lambda: Image.fromarray(GREY.astype(np.uint16) * 257).save("g.png"),
        lambda: Image.fromarray(GREY.astype(np.int32) * 257).save("g.png", "tiff"),
        lambda: Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (8, 8), 255)]).save("g.png"),
    ],
    ids=["8", "16", "I", "LA"],
)
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_grey_target(save: Callable[[], None], channels: int) -> None:
    save()
    pixels = fit_target(open_target("g.png"), 8, channels)
    want = np.repeat(GREY[:, :, None], channels, axis=2)
    if channels == 4:
        want[:, :, 3] = 255
    np.testing.assert_array_equal(pixels, want)


def test_alpha_of_a_network_that_has_it() -> None:
    halves("RGBA").save("t.png")
    pixels = fit_target(open_target("t.png"), 8, 4)
    assert (pixels[:, :3, 3] == 255).all() and (pixels[:, 5:, 3] == 0).all()


def test_the_middle_of_a_picture_turned_by_exif() -> None:
    picture = Image.new("RGB", (20, 8), "blue")
    picture.paste("red", (6, 0, 10, 8))  # the left half of the middle
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise: the left half comes to the top
    picture.save("t.png", exif=exif)
    pixels = fit_target(open_target("t.png"), 8, 3)
    assert (pixels[:3, :, 0] > 200).all() and (pixels[5:, :, 2] > 200).all()


def test_one_pixel_is_enough_and_of_an_animation_the_first_picture_counts() -> None:
    Image.new("RGB", (1, 3), "lime").save("t.png")
    assert (fit_target(open_target("t.png"), 4, 3) == [0, 255, 0]).all()
    Image.new("RGB", (4, 4), "red").save("t.gif", save_all=True, append_images=[Image.new("RGB", (4, 4), "blue")])
    assert (fit_target(open_target("t.gif"), 4, 3) == [255, 0, 0]).all()


def test_colours_without_a_way_to_those_of_the_network() -> None:
    with pytest.raises(ProjectionError, match="target: its pixels cannot be read as L: conversion from LAB"):
        fit_target(Image.new("LAB", (4, 4)), 4, 1)
