"""python -m runtime.run: what it writes, and what it refuses with one line and exit status 2."""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runtime_nets import write_bundle, write_seed

from runtime import Model, transform_matrix
from runtime.arguments import parse
from runtime.run import main


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model of 3 styles and seeds 1.bin, 2.bin, 3.bin."""
    write_bundle(tmp_path)
    for i in (1, 2, 3):
        write_seed(tmp_path / f"{i}.bin", latent(i))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def latent(seed: int) -> np.ndarray:
    return np.random.RandomState(seed).randn(6)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


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


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 5, 6), (3, 32, 48), (1, 33, 47)])
def test_a2b(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, height: int, width: int) -> None:
    av = pytest.importorskip("av", reason="the extra [video] is not installed")
    write_bundle(tmp_path, channels=channels, height=height, width=width)
    seeds = [write_seed(tmp_path / f"{i}.bin", latent(i)).name for i in (1, 2, 3)]
    monkeypatch.chdir(tmp_path)
    assert main(["mode=a2b", *seeds, "frames=4", "fps=25"]) == 0
    with av.open("a2b.mp4") as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 25
    assert len(frames) == 2 * 4 + 1
    assert frames[0].shape == (height + height % 2, width + width % 2, 3)
    model = Model("tiny")
    ws = [model.mapping(latent(i)) for i in (1, 2, 3)]
    for index, w in ((0, ws[0]), (2, (ws[0] + ws[1]) / 2), (4, ws[1]), (8, ws[2])):
        want = model.image(w).astype(float)
        # Noise is the hardest picture for a video: the codec keeps its brightness, not each pixel.
        got = frames[index][:height, :width].astype(float)
        assert abs(got.mean() - want.mean()) < 12, index
    assert not list(tmp_path.glob(".a2b*"))


@pytest.mark.parametrize(
    ("text", "rate"), [("29.97", "2997/100"), ("23.976", "2997/125"), ("1", "1"), ("1000", "1000")]
)
def test_frame_rates_are_exact(place: Path, text: str, rate: str) -> None:
    av = pytest.importorskip("av", reason="the extra [video] is not installed")
    assert parse(["mode=a2b", "a", "b", f"fps={text}"]).fps == Fraction(rate)
    assert main(["mode=a2b", "1.bin", "2.bin", "frames=3", f"fps={text}"]) == 0
    with av.open("a2b.mp4") as container:
        stream = container.streams.video[0]
        times = [frame.pts * stream.time_base for frame in container.decode(video=0)]
    assert [time * Fraction(rate) for time in times] == [0, 1, 2, 3]


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


@pytest.mark.parametrize("arguments", [["rotate=20"], ["translate=0.1,-0.25"], ["rotate=-3.5", "translate=1,0"]])
def test_rotate_and_translate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    write_bundle(tmp_path, transform=[[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    for i in (1, 2):
        write_seed(tmp_path / f"{i}.bin", latent(i))
    monkeypatch.chdir(tmp_path)
    assert main(["mode=image", "1.bin", *arguments]) == 0
    assert main(["mode=mix", "1.bin", "2.bin", *arguments]) == 0
    assert main(["mode=image", "1.bin", "out=still.png"]) == 0
    request, model = parse(["mode=image", "1.bin", *arguments]), Model("tiny")
    matrix = transform_matrix(request.rotate or 0, request.translate or (0, 0))
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


def damage(name: str, change: Callable[[bytes], bytes]) -> Callable[[], None]:
    def apply() -> None:
        path = Path(name)
        path.write_bytes(change(path.read_bytes()))

    return apply


def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("arguments", "says", "prepare"),
    [
        ([], "bad mode; expected mode=image", nothing),
        (["mode=nosuch", "1.bin"], "bad mode.*got nosuch", nothing),
        (["mode=image"], "wrong number of seeds; expected 1 seed file; got 0", nothing),
        (["mode=image", "1.bin", "2.bin"], "expected 1 seed file; got 2", nothing),
        (["mode=mix", "1.bin"], "expected 2 seed files; got 1", nothing),
        (["mode=a2b", "1.bin"], "expected 2 seed files or more; got 1", nothing),
        (["mode=image", "1.bin", "colour=red"], "unknown key colour=", nothing),
        (["mode=image", "1.bin", "trun=1"], "Did you mean trunc=", nothing),
        (["mode=image", "1.bin", "trunc=1", "trunc=1"], "trunc= is given twice", nothing),
        (["mode=image", "1.bin", "trunc="], "trunc= has no value", nothing),
        (["mode=image", "1.bin", "trunc=much"], "trunc= is not a number", nothing),
        (["mode=image", "1.bin", "trunc=nan"], "trunc= is not a number", nothing),
        (["mode=image", "1.bin", "trunc=1e39"], "trunc= is not a number that float32 can hold.*got 1e39", nothing),
        (["mode=image", "1.bin", "rotate=far"], "rotate= is not a number; expected such as rotate=20", nothing),
        (["mode=image", "1.bin", "rotate=inf"], "rotate= is not a number; expected such as rotate=20", nothing),
        (["mode=image", "1.bin", "rotate=1_0"], "rotate= is not a number", nothing),
        (["mode=image", "1.bin", "rotate=1e7"], "rotate is out of range; expected -1000000 to 1000000", nothing),
        (["mode=image", "1.bin", "translate=3e38,0"], "translate is out of range; expected -1000 to 1000", nothing),
        (["mode=image", "1.bin", "translate=1"], "translate= is not two numbers; expected such as translate", nothing),
        (["mode=image", "1.bin", "translate=1,x"], "translate= is not a number.*got x", nothing),
        (["mode=image", "1.bin", "rotate=5"], "'transform', which tiny.json has not.*--transform-input", nothing),
        (["mode=image", "1.bin", "--verbose"], "unknown option --verbose", nothing),
        (["mode=image", "1.bin", "threads=0"], "threads= is not a fitting number; expected a whole number, 1", nothing),
        (["mode=image", "1.bin", "threads=two"], "threads= is not a fitting number", nothing),
        (["mode=image", "1.bin", "class=1"], "the model has no labels", nothing),
        (["mode=image", "1.bin", "styles=0"], "styles= belongs to mode=mix", nothing),
        (["mode=mix", "1.bin", "2.bin", "frames=2"], "frames= belongs to mode=a2b", nothing),
        (["mode=mix", "1.bin", "2.bin", "styles=0-3"], "styles= is out of range; expected 0 to 2; got 3", nothing),
        (["mode=mix", "1.bin", "2.bin", "styles=2-1"], "styles= is not a list", nothing),
        (["mode=mix", "1.bin", "2.bin", "styles=a"], "styles= is not a list", nothing),
        (["mode=mix", "1.bin", "2.bin", "styles=0,,1"], "styles= is not a list", nothing),
        (["mode=a2b", "1.bin", "2.bin", "frames=0"], "frames= is not a fitting number", nothing),
        (["mode=a2b", "1.bin", "2.bin", "fps=-1"], "fps= is not a fitting number", nothing),
        (["mode=a2b", "1.bin", "2.bin", "fps=29.9701"], "expected 1 to 1000 with at most 3 decimals", nothing),
        (["mode=a2b", "1.bin", "2.bin", "fps=1001"], "fps= is not a fitting number", nothing),
        (["mode=a2b", "1.bin", "2.bin", "out=x.png"], "unknown kind of file; expected .mp4", nothing),
        (["mode=image", "1.bin", "out=x.xyz"], "unknown kind of file", nothing),
        (["mode=image", "1.bin", "out=x"], "got no suffix", nothing),
        (["mode=image", "1.bin", "out=no/where/x.png"], "there is no directory", nothing),
        (["mode=image", "1.bin", "out=/proc/x.png"], "cannot be written", nothing),
        (["mode=image", "nosuch.bin"], "nosuch.bin: no such seed file", nothing),
        (["mode=image", "."], "cannot be read", nothing),
        (["mode=image", "1.bin"], r"expected 28 bytes .* got 20 bytes", damage("1.bin", lambda b: b[:20])),
        (["mode=image", "1.bin"], r"wrong length.* got 32 bytes", damage("1.bin", lambda b: b + b"1234")),
        (["mode=image", "1.bin"], "not a seed file", damage("1.bin", lambda b: b"\1" + b[1:])),
        (["mode=image", "1.bin"], "NaN", damage("1.bin", lambda b: b[:24] + struct.pack("<f", float("nan")))),
        (["mode=image", "1.bin", "model=other"], "other.json: no such model; expected NAME", nothing),
        (["mode=image", "1.bin", "model=tiny_synthesis.param"], "got tiny_synthesis.param", nothing),
        (["mode=image", "1.bin"], r"got 1 byte$", damage("1.bin", lambda b: b[:1])),
        (["mode=image", "1.bin"], "there is no model in", lambda: Path("tiny.json").unlink()),
        (["mode=image", "1.bin"], "layer draw.*too short", damage("tiny_synthesis.bin", lambda b: b[:99])),
        (["mode=image", "1.bin"], "truncated", damage("tiny_synthesis.param", lambda b: b[:100])),
        (["mode=image", "1.bin"], "unknown layer", damage("tiny_mapping.param", lambda b: b.replace(b"Le", b"De"))),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_mistakes(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str, prepare: Callable[[], None]
) -> None:
    prepare()
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    message = [line for line in err.splitlines() if not line.startswith("model: ")]
    assert len(message) == 1 and message[0].startswith("error: "), err
    assert re.search(says, message[0]), message[0]
    assert out == "" and {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


def test_an_old_picture_survives_a_failure(place: Path) -> None:
    (place / "image.png").write_bytes(b"old")
    Path("tiny_synthesis.bin").write_bytes(b"")
    assert main(["mode=image", "1.bin"]) == 2
    assert (place / "image.png").read_bytes() == b"old"


def test_new_files_have_ordinary_permissions(place: Path) -> None:
    main(["mode=image", "1.bin"])
    (place / "plain").touch()
    assert (place / "image.png").stat().st_mode == (place / "plain").stat().st_mode


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_no_partial_video(place: Path, number: signal.Signals, status: int) -> None:
    pytest.importorskip("av", reason="the extra [video] is not installed")
    command = [sys.executable, "-m", "runtime.run", "mode=a2b", "1.bin", "2.bin", "frames=100000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.time() + 60
    while not list(place.glob(".a2b*")) and time.time() < deadline:
        time.sleep(0.02)
    assert list(place.glob(".a2b*")), "the video is being written"
    time.sleep(0.3)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "") and "Traceback" not in err
    assert not list(place.glob("*.mp4")) and not list(place.glob(".a2b*"))


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
