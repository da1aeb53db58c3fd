"""The command line of the projection: what it writes, how it goes on after a stop, and what it says to wrong input."""

from __future__ import annotations

import dataclasses
import hashlib
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image
from projection_support import FILES, QUICK, TINY, Features, command, files, prepare, report, scripted

from runtime.run import main as run_model
from stylegan import export
from stylegan.checkpoints import download
from stylegan.projector import Projector, distance, results, run


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    prepare(tmp_path, monkeypatch)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# -- what it writes ---------------------------------------------------------------------------------------------


def test_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*TINY, "--steps", "30", "--out", "deep/out", "--fps", "12.5") == 0
    assert files("deep/out").keys() == FILES | {"project.mp4"}
    printed = capsys.readouterr()
    assert "normalised Laplacian pyramid of the pixels, without a perceptual network (cannot fetch" in printed.out
    assert "deep/out/projected_w.npz" in printed.out and printed.err == ""

    said = report("deep/out")
    assert said["network"] | {"source": "random:7", "sha256": None, "random": True, "config": "tiny"} == said["network"]
    assert said["settings"]["steps"] == said["steps"] == 30 and said["settings"]["features"] == "pixels"
    assert (
        "without a perceptual network (cannot fetch" in said["distance"]["of"]
        and "no network" in said["distance"]["of"]
    )
    assert 0 < said["distance"]["end"] < said["distance"]["start"] / 1.5
    assert said["seconds"] > 0 and set(said["files"]) == FILES | {"project.mp4"}
    with np.load("deep/out/projected_w.npz") as style:
        assert style["w"].shape == (1, 6, 16) and style["w"].dtype == np.float32
        assert str(style["distance"]) == said["distance"]["of"]
    with Image.open("deep/out/target.png") as picture:
        assert picture.size == (16, 16)
        target = np.asarray(picture)
    with Image.open("cat.png") as picture:
        middle = picture.crop((10, 0, 60, 50)).resize((16, 16), Image.Resampling.LANCZOS)
        np.testing.assert_array_equal(target, np.asarray(middle))
    with av.open("deep/out/project.mp4") as video:
        shown = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert float(video.streams.video[0].average_rate) == 12.5
    assert len(shown) == 30 and shown[0].shape == (16, 32, 3)
    with Image.open("deep/out/projected.png") as picture:
        both = np.concatenate([target, np.asarray(picture)], axis=1)
    grey, wanted = (pixels.astype(float).mean(axis=2) for pixels in (shown[-1], both))  # yuv420p blurs the colours
    assert np.abs(grey - wanted).mean() < 6


def test_the_style_is_what_the_runtime_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*TINY, *QUICK, "--out", "out", "-q", "--w-plus") == 0
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
    assert export.main(["--cfg", "tiny", "--ckpt", "random:7", "--out", "m", "--seeds", "0"]) == 0
    assert run_model(["mode=image", "model=m", "out/projected_w.npz", "out=again.png"]) == 0
    with Image.open("again.png") as again, Image.open("out/projected.png") as found:
        difference = np.abs(np.asarray(again, int) - np.asarray(found, int))
    assert difference.max() <= 1 and np.asarray(found).std() > 10


def test_steps_that_the_video_shows() -> None:
    for steps in (1, 2, 299, 300, 301, 1000, 12345):
        shown = results.frame_steps(steps)
        assert shown[0] == 0 and shown[-1] == steps - 1 and len(shown) <= 301
        assert shown == sorted(set(shown)) and (steps > 300 or len(shown) == steps)


def test_labels() -> None:
    label = ("--cfg", "labels", "--ckpt", "random", "--target", "cat.png", *QUICK, "--class")
    assert command(*label, "0", "--out", "a") == command(*label, "2", "--out", "b") == 0
    assert files("a")["projected_w.npz"] != files("b")["projected_w.npz"]
    assert report("b")["settings"]["class"] == 2


def test_a_picture_with_alpha(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--cfg", "alpha", "--ckpt", "random", "--target", "cat.png", "--steps", "1", "--out", "out")
    assert command(*options) == 0
    assert files().keys() == FILES
    printed = capsys.readouterr()
    assert "there will be no video" in printed.err and "1 or 3 channels, these have 4" in printed.out


def test_without_av(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert command(*TINY, *QUICK[:-1], "--out", "out") == 0
    assert files().keys() == FILES
    assert "there will be no video: videos need the package av" in capsys.readouterr().err


# -- features ---------------------------------------------------------------------------------------------------


def test_a_network_of_features(capsys: pytest.CaptureFixture[str]) -> None:
    digest = hashlib.sha256(Path(scripted(Features(), "f.pt")).read_bytes()).hexdigest()
    assert command(*TINY, *QUICK, "--features", "f.pt", "--out", "out") == 0
    assert "distance: features of the network f.pt" in capsys.readouterr().out
    said = report()
    assert said["distance"]["of"].startswith("features of the network f.pt") and said["settings"]["features"] == digest
    assert said["distance"]["end"] < said["distance"]["start"]
    assert command(*TINY, *QUICK, "--out", "pixels") == 0
    assert files()["projected_w.npz"] != files("pixels")["projected_w.npz"]


def test_the_official_network_is_run_only_if_it_is_the_known_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    download.cache_dir().mkdir(parents=True)
    path = Path(scripted(Features(), str(download.cache_dir() / "vgg16.pt")))
    options = (*TINY, "--steps", "3", "--no-video", "--out", "out")
    with monkeypatch.context() as patch:
        patch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("it was executed"))
        assert command(*options) == 2
    assert "it is not the official file and was not executed" in capsys.readouterr().err and not files()
    known = dataclasses.replace(distance.VGG16, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(distance, "VGG16", known)
    assert command(*options) == 0
    assert "features of the network vgg16.pt, the official VGG16" in report()["distance"]["of"]


# -- stopping and going on --------------------------------------------------------------------------------------


def stop_after(steps: int, number: int, patch: pytest.MonkeyPatch, times: int = 1) -> None:
    advance = Projector.advance

    def stopping(self: Projector) -> float:
        if len(self.distances) == steps:
            for _ in range(times):
                signal.raise_signal(number)
        return advance(self)

    patch.setattr(Projector, "advance", stopping)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("features", ["pixels", "f.pt"])
def test_a_signal_saves_and_the_same_command_goes_on(
    number: int, code: int, features: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted(Features(), "f.pt")
    options = (*TINY, "--steps", "12", "--features", features)
    assert command(*options, "--out", "whole") == 0
    usual = signal.getsignal(number)
    with monkeypatch.context() as patch:
        stop_after(4, number, patch)
        assert command(*options, "--out", "out") == code
    assert signal.getsignal(number) is usual
    assert files().keys() == {results.STATE}
    assert "stopped after 5 of 12 steps; the same command goes on" in capsys.readouterr().err
    assert command(*options, "--out", "out") == 0
    assert "going on after 5 of 12 steps" in capsys.readouterr().out
    whole, continued = files("whole"), files()
    assert whole.keys() == continued.keys()
    for name in FILES - {"project.json"}:
        assert whole[name] == continued[name], name
    assert {**report("whole"), "seconds": 0} == {**report(), "seconds": 0}


def test_a_second_signal_acts_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(run, "SAVE_EVERY", 0.0)
    with monkeypatch.context() as patch:
        stop_after(4, signal.SIGINT, patch, times=2)
        assert command(*TINY, *QUICK, "--out", "out") == 130
    assert files().keys() == {results.STATE} and "interrupted" in capsys.readouterr().err
    assert command(*TINY, *QUICK, "--out", "out") == 0
    assert "going on after 4 of 12" in capsys.readouterr().out


def test_a_signal_while_the_video_is_made(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    picture_of = results.picture_of

    def stopping(projector: Projector, w: torch.Tensor) -> results.Picture:
        signal.raise_signal(signal.SIGTERM)
        return picture_of(projector, w)

    options = (*TINY, *QUICK[:-1], "--out", "out")
    with monkeypatch.context() as patch:
        patch.setattr(results, "picture_of", stopping)
        assert command(*options) == 143
    assert files().keys() == {results.STATE}
    monkeypatch.setattr(Projector, "advance", lambda _: pytest.fail("it was done"))
    assert command(*options) == 0
    assert files().keys() == FILES | {"project.mp4"}
    assert "going on after 12 of 12" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (("--steps", "13"), "steps is 12 there and 13 now"),
        (("--lr", "0.2"), "lr is 0.1 there and 0.2 now"),
        (("--seed", "1"), "seed is 303 there and 1 now"),
        (("--w-plus",), "w_plus is False there and True now"),
        (("--ckpt", "random:8"), "network is random:7 of tiny there and random:8 of tiny now"),
        (("--target", "dog.png"), "target is "),
        (("--features", "f.pt"), "features is pixels there and "),
    ],
)
def test_unfinished_work_of_another_kind(
    other: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted(Features(), "f.pt")
    Image.new("RGB", (9, 9), "red").save("dog.png")
    with monkeypatch.context() as patch:
        stop_after(4, signal.SIGINT, patch)
        assert command(*TINY, *QUICK, "--out", "out") == 130
    before = files()
    capsys.readouterr()
    assert command(*TINY, *QUICK, *other, "--out", "out") == 2
    message = capsys.readouterr().err
    assert said in message and "--restart to begin anew" in message and message.count("\n") == 1
    assert files() == before
    assert command(*TINY, *QUICK, *other, "--out", "out", "--restart") == 0
    assert files().keys() == FILES


def test_a_damaged_state(capsys: pytest.CaptureFixture[str]) -> None:
    Path("out").mkdir()
    Path("out", results.STATE).write_bytes(b"garbage")
    assert command(*TINY, *QUICK, "--out", "out") == 2
    message = capsys.readouterr().err
    assert "it cannot be read" in message and "remove it" in message and message.count("\n") == 1


def test_a_full_disk(capsys: pytest.CaptureFixture[str]) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, before[1]))
        assert command(*TINY, *QUICK, "--out", "out") == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    message = capsys.readouterr().err
    assert "cannot write out/project.state.safetensors: File too large" in message and message.count("\n") == 1
    assert not files()
