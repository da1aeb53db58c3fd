"""python -m runtime.run: what it writes, and what it refuses with one line and exit status 2."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runtime_nets import latent, pixels, write_bundle, write_seed

from runtime import Model, transform_matrix
from runtime.arguments import parse
from runtime.run import main


def test_image(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mode=image", "1.bin", "trunc=0.5"]) == 0
    model = Model(place / "tiny")
    np.testing.assert_array_equal(pixels(place / "image.png"), model.image(model.mapping(latent(1), psi=0.5)))
    out, err = capsys.readouterr()
    assert out == "image.png\n" and err == "model: tiny.json\n"


@pytest.mark.parametrize(
    ("styles", "mixing"), [(None, [1, 1, 1]), ("0", [1, 0, 0]), ("0,2", [1, 0, 1]), ("1-2", [0, 1, 1])]
)
def test_mix(place: Path, styles: str | None, mixing: list[int]) -> None:
    assert main(["1.bin", "mode=mix", "2.bin", *([f"styles={styles}"] if styles else []), "model=tiny.json"]) == 0
    model = Model(place / "tiny")
    a, b = (model.mapping(latent(i)) for i in (1, 2))
    np.testing.assert_array_equal(pixels(place / "mix.png"), model.image(a, b, mixing))


def test_default_styles_are_the_first_seven(tmp_path: Path) -> None:
    request = parse(["mode=mix", "a", "b"])
    assert request.chosen_styles(16) == set(range(7)) and request.chosen_styles(3) == {0, 1, 2}


@pytest.mark.parametrize("name", ["p.jpg", "p.PNG", "sub/p.webp", "p.bmp"])
def test_the_suffix_says_the_format(place: Path, name: str) -> None:
    (place / "sub").mkdir()
    assert main(["mode=image", "1.bin", f"out={name}"]) == 0
    with Image.open(place / name) as image:
        assert image.size == (6, 5)
        assert image.format == {"jpg": "JPEG", "PNG": "PNG", "webp": "WEBP", "bmp": "BMP"}[name.split(".")[-1]]


def test_grey_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path, channels=1)
    write_seed(tmp_path / "1.bin", latent(1))
    monkeypatch.chdir(tmp_path)
    assert main(["mode=image", "1.bin"]) == 0
    assert pixels(tmp_path / "image.png").shape == (5, 6)


def test_alpha(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_bundle(tmp_path, channels=4)
    for i in (1, 2):
        write_seed(tmp_path / f"{i}.bin", latent(i))
    monkeypatch.chdir(tmp_path)
    model = Model("tiny")
    for name in ("p.png", "p.tif"):
        assert main(["mode=image", "1.bin", f"out={name}"]) == 0
        np.testing.assert_array_equal(pixels(tmp_path / name), model.image(model.mapping(latent(1))), err_msg=name)
    for name in ("p.jpg", "p.JPEG", "p.bmp"):
        assert main(["mode=image", "1.bin", f"out={name}"]) == 2
        says = f"pictures of 4 channels cannot be written as {Path(name).suffix}; expected out= with .png"
        assert says in capsys.readouterr().err
    assert main(["mode=a2b", "1.bin", "2.bin"]) == 2
    assert "pictures of 4 channels cannot be written as .mp4" in capsys.readouterr().err
    assert {path.suffix for path in tmp_path.glob("*p.*")} == {".png", ".tif"}


def test_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_bundle(tmp_path, c_dim=3)
    write_seed(tmp_path / "1.bin", latent(1))
    monkeypatch.chdir(tmp_path)
    assert main(["mode=image", "1.bin", "class=2"]) == 0
    model = Model("tiny")
    np.testing.assert_array_equal(pixels(tmp_path / "image.png"), model.image(model.mapping(latent(1), c=[0, 0, 1])))
    for arguments, says in (([], "expected class=0 to class=2"), (["class=3"], "class= is out of range")):
        assert main(["mode=image", "1.bin", *arguments]) == 2
        assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["rotate=20"], ["translate=0.1,-0.25", "zoom=2"], ["rotate=-3.5", "translate=1,0"], ["zoom=0.5"]]
)
def test_rotate_translate_and_zoom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    write_bundle(tmp_path, transform=[[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    for i in (1, 2):
        write_seed(tmp_path / f"{i}.bin", latent(i))
    monkeypatch.chdir(tmp_path)
    assert main(["mode=image", "1.bin", *arguments]) == 0
    assert main(["mode=mix", "1.bin", "2.bin", *arguments]) == 0
    assert main(["mode=image", "1.bin", "out=still.png"]) == 0
    request, model = parse(["mode=image", "1.bin", *arguments]), Model("tiny")
    matrix = transform_matrix(request.rotate or 0, request.translate or (0, 0), request.zoom or 1)
    a, b = (model.mapping(latent(i)) for i in (1, 2))
    np.testing.assert_array_equal(pixels(tmp_path / "image.png"), model.image(a, transform=matrix))
    np.testing.assert_array_equal(pixels(tmp_path / "mix.png"), model.image(a, b, [1, 1, 1], transform=matrix))
    np.testing.assert_array_equal(pixels(tmp_path / "still.png"), model.image(a))
    assert (pixels(tmp_path / "still.png") != pixels(tmp_path / "image.png")).any()


def test_a_turned_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av", reason="the extra [video] is not installed")
    write_bundle(tmp_path, transform=[[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    seeds = [write_seed(tmp_path / f"{i}.bin", latent(i)).name for i in (1, 2)]
    monkeypatch.chdir(tmp_path)
    brightness = []
    for arguments in ([], ["translate=9,9"]):
        assert main(["mode=a2b", *seeds, "frames=1", "fps=29.97", *arguments]) == 0
        with av.open("a2b.mp4") as container:
            assert container.streams.video[0].average_rate == Fraction("29.97")
            brightness.append([f.to_ndarray(format="rgb24").astype(float) for f in container.decode(video=0)])
    assert np.abs(np.subtract(*brightness)).mean() > 5


def test_the_newest_model_is_the_default(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newer = write_bundle(place, "newer", random=True)
    (place / "zzz.json").write_text('{"format": "something else"}')
    (place / "broken.json").write_text("{")
    os.utime(newer, (time.time() + 100, time.time() + 100))
    assert main(["mode=image", "1.bin"]) == 0
    err = capsys.readouterr().err
    assert "model: newer.json\n" in err
    assert "warning: newer.json holds random weights (random:0): its pictures are noise\n" in err
    os.utime(newer, (1, 1))
    assert main(["mode=image", "1.bin"]) == 0
    assert capsys.readouterr().err == "model: tiny.json\n"


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag]) == 0
    out, err = capsys.readouterr()
    assert "mode=mix" in out and "styles=0-6" in out and "examples:" in out and err == ""


def test_an_old_picture_survives_a_failure(place: Path) -> None:
    (place / "image.png").write_bytes(b"old")
    Path("tiny_synthesis.bin").write_bytes(b"")
    assert main(["mode=image", "1.bin"]) == 2
    assert (place / "image.png").read_bytes() == b"old"


def test_new_files_have_ordinary_permissions(place: Path) -> None:
    main(["mode=image", "1.bin"])
    (place / "plain").touch()
    assert (place / "image.png").stat().st_mode == (place / "plain").stat().st_mode


def test_as_a_program(place: Path) -> None:
    command = [sys.executable, "-m", "runtime.run"]
    done = subprocess.run([*command, "mode=image", "1.bin"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "image.png\n")
    done = subprocess.run([*command, "mode=image", "no.bin"], capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["runtime", "runtime.run"])
def test_importing_is_light(module: str) -> None:
    heavy = "('torch', 'PIL', 'tqdm', 'av', 'ncnn_builder', 'stylegan')"
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extension_the_import_says_so(tmp_path: Path) -> None:
    code = "import sys; sys.modules['runtime._ncnn'] = None\ntry: import runtime\nexcept ImportError as e: print(e)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install" in done.stdout and done.stdout.count("\n") == 1
