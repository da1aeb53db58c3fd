"""python -m runtime.upscale of videos: every frame, the sound, the times; goes on where it was stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from upscale_nets import Array, photo, write_net

from runtime.films.video import frames_of
from runtime.upscale import main
from runtime.upscaling.clips import _evenly

QUICK = ("model=x2", "threads=1", "isolate=false")
Captured = pytest.CaptureFixture[str]


def write_clip(path: Path, times: list[int], sound: str | None = None, codec: str = "libx264") -> None:
    """Frames of 32 x 24 at these 25ths of a second, and a second of a tone."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25)
        video.width, video.height, video.pix_fmt = 32, 24, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 25)
        tone = container.add_stream(sound, rate=48000, layout="mono") if sound else None
        for i, at in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.roll(photo(24, 32), i, 1), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if tone is not None:
            wave = (np.sin(np.arange(48000) / 20) * 9000).astype(np.int16)
            samples = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            samples.sample_rate, samples.pts = 48000, 0
            container.mux(tone.encode(samples))
            container.mux(tone.encode(None))


def frames(path: Path) -> list[Array]:
    return list(frames_of(path))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_net(tmp_path / "x2")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_frames_times_and_sound(here: Path, capsys: Captured) -> None:
    write_clip(here / "in.mp4", list(range(25)), "aac")
    assert main(["in.mp4", "out.mp4", *QUICK]) == 0
    assert capsys.readouterr().err == ""
    made = frames(here / "out.mp4")
    assert len(made) == 25 and made[0].shape == (48, 64, 3)
    shrunk = np.stack(made).reshape(25, 24, 2, 32, 2, 3).mean((2, 4))
    assert np.abs(shrunk - np.stack(frames(here / "in.mp4"))).mean() < 40
    tones = []
    for name in ("in.mp4", "out.mp4"):
        with av.open(name) as container:
            assert container.streams.video[0].average_rate == 25
            tones.append(np.concatenate([f.to_ndarray().ravel() for f in container.decode(audio=0)]))
    np.testing.assert_array_equal(tones[0], tones[1][: len(tones[0])])
    assert sorted(os.listdir(here)) == ["in.mp4", "out.mp4", "x2.bin", "x2.param"]


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".mkv"])
def test_a_video_says_what_its_colours_are(here: Path, suffix: str) -> None:
    """Players take what says nothing and is 720 pixels high for BT.709, and this is not."""
    write_clip(here / "in.mp4", [0, 1])
    assert main(["in.mp4", f"out{suffix}", *QUICK]) == 0
    with av.open(f"out{suffix}") as container:
        frame = next(container.decode(video=0))
        assert frame.colorspace in (5, 6) and frame.color_range == 1  # both numbers of BT.601


def test_sound_that_the_container_does_not_take(here: Path, capsys: Captured) -> None:
    write_clip(here / "in.mp4", [0, 1, 2], "aac")
    assert main(["in.mp4", "out.webm", *QUICK]) == 0
    assert "the sound (aac) cannot be copied into .webm and is left out" in capsys.readouterr().err
    with av.open("out.webm") as container:
        assert not container.streams.audio


def test_uneven_times_are_made_even(here: Path, capsys: Captured) -> None:
    write_clip(here / "in.mkv", [0, 1, 2, 5, 6, 7])
    assert main(["in.mkv", "out.mkv", *QUICK]) == 0
    assert "frames come at uneven times: at 25 a second 2 are repeated, 0 left out" in capsys.readouterr().err
    made = frames(here / "out.mkv")
    assert len(made) == 8 and np.abs(made[2].astype(int) - made[4]).mean() < 3


def test_which_frame_is_shown_when() -> None:
    def shown(*times: float) -> list[int]:
        return _evenly([Fraction(t).limit_denominator(100) for t in times], Fraction(10))

    assert shown(0, 0.1, 0.2) == [0, 1, 2]
    assert shown(5, 5.1, 5.2) == [0, 1, 2]
    assert shown(0, 0.11, 0.19, 0.3) == [0, 1, 2, 3]
    assert shown(0, 0.3, 0.4) == [0, 0, 0, 1, 2]
    assert shown(0, 0.1, 0.11, 0.2) == [0, 2, 3]


def test_gif(here: Path) -> None:
    from PIL import Image

    pictures = [Image.fromarray(np.roll(photo(24, 32), i, 1)) for i in range(4)]
    pictures[0].save(here / "in.gif", save_all=True, append_images=pictures[1:], duration=100)
    assert main(["in.gif", "out.gif", *QUICK]) == 0
    with Image.open(here / "out.gif") as image:
        assert image.n_frames == 4 and image.size == (64, 48)
    assert main(["in.gif", "out.png", *QUICK]) == 2


def test_mistakes(here: Path, capsys: Captured) -> None:
    (here / "bad.mp4").write_bytes(b"no video" * 100)
    (here / "list.mkv").write_text("#EXTM3U\n/etc/passwd\n")
    write_clip(here / "in.mp4", [0, 1])
    for arguments, said in {
        ("bad.mp4", "out.mp4"): "not a video that can be read",
        ("list.mkv", "out.mp4"): "not a video that can be read",
        ("none.mp4", "out.mp4"): "no such picture, folder or video",
        ("in.mp4", "out.png"): "unknown kind of file",
        ("in.mp4", "in.mp4"): "IN and OUT are the same",
    }.items():
        assert main([*arguments, *QUICK]) == 2
        err = capsys.readouterr().err
        assert err.startswith("error: ") and err.count("\n") == 1 and said in err
    assert not list(here.glob("out*"))


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX")
def test_kill_9_loses_nothing(here: Path, capsys: Captured) -> None:
    write_clip(here / "in.mkv", list(range(120)), codec="ffv1")
    assert main(["in.mkv", "straight.mkv", *QUICK]) == 0
    command = [sys.executable, "-m", "runtime.upscale", "in.mkv", "out.mkv", *QUICK]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    part = here / "out.mkv.part"
    while not (part / "00000055.npy").exists() and running.poll() is None:
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert part.exists() and not (here / "out.mkv").exists()
    capsys.readouterr()
    assert main(["in.mkv", "out.mkv", *QUICK]) == 0
    kept = int(capsys.readouterr().err.split(" of 120 frames are there already")[0])
    assert kept >= 56 and not part.exists()
    assert (here / "out.mkv").read_bytes() == (here / "straight.mkv").read_bytes()
