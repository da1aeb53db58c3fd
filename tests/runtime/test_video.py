"""python -m runtime.run mode=a2b: frames, times, kinds of file; stopped, killed, out of room, resumed."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runtime_nets import latent, pixels, write_bundle, write_seed

from runtime import Model
from runtime.arguments import parse
from runtime.films.frames import FRAMES_OF_A_PART
from runtime.films.video import frames_of, write_video
from runtime.run import main

av = pytest.importorskip("av", reason="the extra [video] is not installed")


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 5, 6), (3, 32, 48), (1, 33, 47)])
def test_a2b(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, height: int, width: int) -> None:
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
    assert parse(["mode=a2b", "a", "b", f"fps={text}"]).fps == Fraction(rate)
    assert main(["mode=a2b", "1.bin", "2.bin", "frames=3", f"fps={text}"]) == 0
    with av.open("a2b.mp4") as container:
        stream = container.streams.video[0]
        times = [frame.pts * stream.time_base for frame in container.decode(video=0)]
    assert [time * Fraction(rate) for time in times] == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "mov", "webm", "gif"])
@pytest.mark.parametrize("fps", ["25", "29.97"])
def test_kinds_of_video(place: Path, kind: str, fps: str) -> None:
    """More frames than one part has, so that parts are joined."""
    frames = FRAMES_OF_A_PART + 7
    assert main(["mode=a2b", "1", "2", f"frames={frames}", f"fps={fps}", f"out=v.{kind}"]) == 0
    codec = {"webm": "vp9", "gif": "gif"}.get(kind, "h264")
    with av.open(f"v.{kind}") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == codec
        times = [frame.pts * stream.time_base * Fraction(fps) for frame in container.decode(video=0)]
    # Matroska counts in thousandths of a second, GIF in hundredths.
    rounding = {"gif": 0.5, "mkv": 0.02, "webm": 0.02}.get(kind, 0)
    assert len(times) == frames + 1 and max(abs(time - i) for i, time in enumerate(times)) <= rounding
    assert not list(place.glob("*.part")) and not list(place.glob(".v*"))


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_the_same_frames_are_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    """Every time, which a video that goes on relies on. With several threads x264 failed once in 6 to 200 times."""
    ramp = np.add.outer(np.arange(48), np.arange(64)) * 3
    noise = np.random.RandomState(0).randint(-8, 8, (48, *ramp.shape, 3))
    frames = [np.clip((ramp + 5 * i)[..., None] % 256 + noise[i], 0, 255).astype(np.uint8) for i in range(48)]
    made = set()
    for _ in range(20):
        write_video(tmp_path / f"v{suffix}", Fraction(25), frames)
        made.add((tmp_path / f"v{suffix}").read_bytes())
    assert len(made) == 1
    if suffix == ".mp4":  # the encoder writes its settings into the stream; small pictures have one thread anyhow
        write_video(tmp_path / "large.mp4", Fraction(25), [np.zeros((256, 256, 3), np.uint8)])
        assert b" threads=1 " in (tmp_path / "large.mp4").read_bytes()


def test_a_gif_is_exact_where_256_colours_are_enough(place: Path) -> None:
    assert main(["mode=a2b", "1", "2", "frames=60", "out=v.gif"]) == 0
    model = Model("tiny")
    ws = [model.mapping(np.random.RandomState(i).randn(6)) for i in (1, 2)]
    got = list(frames_of(Path("v.gif")))
    for i in (0, 20, 59, 60):
        want = model.image(ws[0] + np.float32(i / 60) * (ws[1] - ws[0]))
        assert np.abs(got[i].astype(int) - want).max() <= 1, i  # 30 pixels have at most 30 colours


@pytest.mark.parametrize(
    "options",
    [[], ["loop=true"], ["ease=cubic"], ["mix=3", "styles=0,2"], ["mix=w_avg", "styles=1", "weight=0.5", "trunc=0.6"]],
)
def test_frames(place: Path, options: list[str]) -> None:
    assert main(["mode=a2b", "1", "2", "5", "frames=4", "out=frames", *options]) == 0
    request = parse(["mode=a2b", "1", "2", *options])
    model = Model("tiny")

    def w_of(seed: int) -> np.ndarray:
        return model.mapping(np.random.RandomState(seed).randn(6), request.trunc)

    stops = [w_of(seed) for seed in (1, 2, 5, 1)]
    files = sorted(Path("frames").glob("*.png"))
    assert [path.stem for path in files] == [f"{i:05d}" for i in range(12 if request.loop else 9)]
    for i, path in enumerate(files):
        part = i % 4 / 4
        if request.ease == "cubic":
            part = part**2 * (3 - 2 * part)
        w = stops[i // 4] if not i % 4 else stops[i // 4] + np.float32(part) * (stops[i // 4 + 1] - stops[i // 4])
        if request.mix:
            other = model.truncate(model.w_avg, request.trunc) if request.mix.text == "w_avg" else w_of(3)
            mixing = [request.weight * (k in request.chosen_styles(3)) for k in range(3)]
            want = model.image(w, other, mixing)
        else:
            want = model.image(w)
        np.testing.assert_array_equal(pixels(path), want, err_msg=path.name)
    with Image.open(files[2]) as image:
        assert image.text["ncnn-builder frame"].startswith("2 of ")


WAITING = """
import sys, time
from runtime import run
from runtime.films import frames

count = 0

def waiting(add):
    def step(self, *arguments):
        global count
        add(self, *arguments)
        count += 1
        while count == 60:  # for the signal
            time.sleep(0.01)
    return step

for store in (frames.FrameDirectory, frames.PartialVideo):
    store.add = waiting(store.add)
sys.exit(run.main())
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    """The command line, which waits for a signal when 60 frames are there."""
    command = [sys.executable, "-c", WAITING, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(pattern: str, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.time() + 60
    while len(list(Path().glob(pattern))) < count and time.time() < deadline and process.poll() is None:
        time.sleep(0.002)
    assert process.poll() is None, process.communicate()
    assert len(list(Path().glob(pattern))) >= count, pattern


def same_video(a: Path, b: Path) -> None:
    """A GIF to the bit. x264 does not always encode small pictures of noise alike: there, as near as it is to them.

    The pictures of the three seeds are 38 levels apart and more; parts that are lost, doubled or exchanged
    are seen in the GIF and the frames, which go through the same ledger.
    """
    if a.suffix == ".gif":
        assert a.read_bytes() == b.read_bytes()
        return
    for got, want in zip(frames_of(a), frames_of(b), strict=True):
        assert np.abs(got.astype(int) - want).mean() < 12


VIDEO = ["mode=a2b", "1", "2", "3", "frames=36"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Kind -> the video that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")

    @cache
    def made(kind: str) -> Path:
        write_bundle(folder, height=32, width=32)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            assert main([*VIDEO, f"out=whole{kind or '/'}"]) == 0
        return folder / f"whole{kind}"

    return made


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("out", ["v.mp4", "v.webm", "v.gif", "frames"])
def test_stopped_and_started_again(
    place: Path,
    number: signal.Signals,
    out: str,
    whole: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_bundle(place, height=32, width=32)
    wanted = whole(Path(out).suffix)
    process = start(*VIDEO, f"out={out}")
    # a part and 12 raw frames more
    wait_for("frames/00059.png" if out == "frames" else "*.part/00000059.npy", 1, process)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    assert stdout == "" and "Traceback" not in stderr
    if number != signal.SIGKILL:
        assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
        assert "of 73 frames are kept in" in stderr and "the same command goes on" in stderr
        assert not list(place.rglob(".*-*")), "no temporary file is left"
    assert not Path(out).is_file(), "nothing half-written has the name of the result"
    capsys.readouterr()
    assert main([*VIDEO, f"out={out}"]) == 0
    said = capsys.readouterr().err
    assert "of 73 frames are there already" in said
    kept = int(said.split(" of 73")[0].split()[-1])
    assert kept in (59, 60)  # the signal may come before the last one has its name
    if out == "frames":
        names = sorted(path.name for path in wanted.iterdir() if path.suffix == ".png")
        assert names == sorted(path.name for path in Path("frames").iterdir() if path.suffix == ".png")
        assert all((pixels(wanted / name) == pixels(f"frames/{name}")).all() for name in names)
    else:
        same_video(Path(out), wanted)
        assert not Path(f"{out}.part").exists()


@pytest.mark.parametrize("frames", [FRAMES_OF_A_PART - 1, FRAMES_OF_A_PART, 2 * FRAMES_OF_A_PART + 1])
def test_every_place_to_stop(place: Path, frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At each change of the directory of parts, the process dies; the next one makes the same file."""
    command = ["mode=a2b", "1", "2", f"frames={frames}", "-q"]
    write_bundle(place, height=32, width=32)
    assert main([*command, "out=whole.gif"]) == 0
    original, unlink = Path.replace, Path.unlink
    left = 0

    class Died(BaseException):
        pass

    def dying(function: object) -> object:
        def step(self: Path, *arguments: object, **options: object) -> object:
            nonlocal left
            if "v.gif" in str(self.parent):
                left -= 1
                if left < 0:
                    raise Died
            return function(self, *arguments, **options)  # type: ignore[operator]

        return step

    monkeypatch.setattr(Path, "replace", dying(original))
    monkeypatch.setattr(Path, "unlink", dying(unlink))
    deaths = 0
    for _ in range(20):
        left = 37
        try:
            assert main([*command, "out=v.gif"]) == 0
            break
        except Died:
            deaths += 1
    assert deaths >= 3
    same_video(Path("v.gif"), Path("whole.gif"))


def test_a_stop_that_a_library_dropped_comes_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.stopping._asked", True)
    with pytest.raises(SystemExit) as left:
        main(["mode=a2b", "1", "2", "frames=3", "-q"])
    assert left.value.code == 143 and not list(place.glob("a2b*"))


def test_frames_of_another_video_are_not_touched(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mode=a2b", "1", "2", "frames=2", "out=frames"]) == 0
    before = {path: path.read_bytes() for path in Path("frames").iterdir()}
    for other in (["1", "3"], ["1", "2", "trunc=0.5"], ["1", "2", "loop=true"], ["1", "2", "mix=3"]):
        assert main(["mode=a2b", *other, "frames=2", "out=frames"]) == 2
        err = capsys.readouterr().err
        assert "error: frames holds frames of another video; got python -m runtime.run mode=a2b" in err
    assert main(["mode=a2b", "1", "2", "frames=2", "out=frames"]) == 0
    assert {path: path.read_bytes() for path in Path("frames").iterdir()} == before
    Path("frames/frames.json").write_text("[]")
    assert main(["mode=a2b", "1", "2", "frames=2", "out=frames"]) == 2
    assert "the list of frames is damaged" in capsys.readouterr().err
    Path("frames/frames.json").unlink()
    assert main(["mode=a2b", "1", "2", "frames=2", "out=frames"]) == 2
    assert "frames holds other files; expected an empty or a new directory" in capsys.readouterr().err


def test_the_list_of_frames_names_the_command(place: Path) -> None:
    assert main(["mode=a2b", "1", "2", "frames=3", "out=frames/"]) == 0
    found = json.loads(Path("frames/frames.json").read_text())
    assert found["frames"] == 4
    assert found["command"] == "python -m runtime.run mode=a2b model=tiny seeds=1,2 frames=3 out=frames/"


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from runtime.run import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(
    ("room", "command"),
    [
        (100, ["mode=image", "1"]),
        (100, ["mode=image", "0-3"]),
        (100, ["mode=grid", "rows=1", "cols=2"]),
        (100, ["mode=a2b", "1", "2", "out=frames"]),
        (100, ["mode=a2b", "1", "2", "frames=5"]),
        (1000, ["mode=a2b", "1", "2", "frames=5"]),  # room for raw frames, not for the video
        (1000, ["mode=a2b", "1", "2", "frames=60", "out=v.webm"]),
    ],
)
def test_a_full_disk(place: Path, room: int, command: list[str]) -> None:
    """No file can grow beyond `room` bytes: one message, no half file, and the frames that are whole are kept."""
    before = set(place.rglob("*"))
    # The limit that stands for the disk holds for shared memory too, through which an isolated net speaks.
    arguments = [sys.executable, "-c", FULL_DISK, str(room), *command, "isolate=false"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2 and len(errors) == 1 and "Traceback" not in done.stderr, done.stderr
    assert "File too large" in errors[0] or "[Errno 27]" in errors[0], errors
    left = {path for path in place.rglob("*") if path.is_file()} - before
    assert all(path.name == "frames.json" or path.suffix == ".npy" for path in left), left
    assert not left or "are kept in" in done.stderr
    if room == 1000:
        assert left
        assert main([*command, "isolate=false"]) == 0  # there is room again
        assert not list(place.glob("*.part"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
