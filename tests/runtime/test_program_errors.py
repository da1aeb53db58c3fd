"""The program stylegan: what it refuses, with one message and exit status 2, and without a trace."""

from __future__ import annotations

import os
import random
import re
import signal
import struct
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz import damage_bin, damage_text
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_support import network
from PIL import Image
from program_support import call, check_refused, cpp_build, listing, nets
from runtime_nets import write_bundle, write_seed

from runtime.net import bf16_products, half_precision
from stylegan.export import export_generator

M, MB, S, SB = nets("tiny")
BASE = [6, 3, 1.0]  # z_dim, num_ws, truncation of the bundle


@pytest.fixture(scope="session")
def program() -> Path:
    return cpp_build("prefix/bin/stylegan")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A working directory with a model of 3 styles and seeds 1.bin, 2.bin."""
    return fill(tmp_path)


def fill(place: Path, **options: Any) -> Path:
    write_bundle(place, **options)
    for i in (1, 2):
        write_seed(place / f"{i}.bin", np.random.RandomState(i).randn(6))
    return place


def image(
    z: object = 6, ws: object = 3, trunc: object = 1.0, seed: object = "1.bin", files: Any = None
) -> list[object]:
    return [0, z, ws, trunc, seed, *(files or nets("tiny"))]


def mix(*styles: object, seeds: tuple[str, str] = ("1.bin", "2.bin")) -> list[object]:
    return [1, *BASE, *seeds, *nets("tiny"), *styles]


def a2b(*rest: object) -> list[object]:
    return [2, *BASE, "1.bin", "2.bin", *nets("tiny"), *rest]


def test_usage(program: Path, tmp_path: Path) -> None:
    for option in (["--help"], ["-h"], [0, "--help"]):
        done = call(program, tmp_path, *option)
        assert done.returncode == 0 and done.stdout.startswith("usage: stylegan 0 Z_DIM") and not done.stderr
    done = call(program, tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("usage: stylegan 0 Z_DIM") and not done.stdout


ARGUMENTS: list[tuple[list[object], str]] = [
    ([3, *BASE, "1.bin", *nets("tiny")], "no such mode; expected 0 (image), 1 (style mixing) or 2 (A to B); got '3'"),
    (["mode=image"], "no such mode"),
    ([0], "the argument Z_DIM is missing"),
    (image()[:-1], "the argument NAME_synthesis.bin is missing"),
    (image()[:4], "the argument SEED is missing"),
    ([*image(), "extra"], "too many arguments; expected none after the others of mode 0; got 'extra'"),
    *([([*image(), "--fp16"], "--fp16: this processor does not compute in half precision")] * (not half_precision())),
    *([([*image(), "--bf16"], "--bf16: this processor does not multiply in bfloat16")] * (not bf16_products())),
    (mix(), "the argument STYLE is missing"),
    (a2b(), "the argument FRAMES is missing"),
    (a2b(5), "the argument FPS is missing"),
    (a2b(5, 30, 1), "too many arguments"),
    *((image(z=z), "Z_DIM is not a fitting number") for z in ("x", "", "0", "-6", "6.0", "6x", " 6", "9" * 11, "0x6")),
    *((image(ws=ws), "NUM_WS is not a fitting number") for ws in ("x", "0", "-3", "3.", "2000")),
    *((image(trunc=t), "TRUNC is not a number") for t in ("x", "", "nan", "inf", "1e99", "0x1", "1,0", "1.0 ", "--1")),
    *((mix(i), "STYLE is not a fitting number; expected a whole number, 0 to 2") for i in ("x", 3, -1, "0-2", "")),
    (mix(0, 1, 3), "got '3'"),
    *((a2b(frames, 30), "FRAMES is not a fitting number") for frames in (0, -1, "2.5", "x", 100000)),
    *((a2b(3, fps), "FPS is") for fps in (0, -1, "x", 1001, "nan", "30;", "$(x)")),
    (image(z=5), f"{M}: Z_DIM is not this network's; expected 6; got 5"),
    (image(z=1 << 20), f"{M}: Z_DIM is not this network's"),
    (image(ws=2), f"{S}: NUM_WS is not this network's; expected 3; got 2"),
    (image(ws=1024), f"{S}: NUM_WS is not this network's"),
    (image(seed="3.bin"), "3.bin: no such seed file"),
    (image(seed="."), ".: the seed file cannot be read"),
    (image(seed=""), "no such seed file"),
    (mix(0, seeds=("1.bin", "3.bin")), "3.bin: no such seed file"),
    (image(files=[S, SB, M, MB]), f"{S}: not a mapping net; expected the inputs z, coeff; got ws0, ws1, mixing. The"),
    (image(files=[M, MB, M, MB]), f"{M}: not a synthesis net"),
    (image(files=[MB, M, S, SB]), f"{MB}: not a .param text file"),
    (image(files=["no", MB, S, SB]), "no: no such file"),
    (image(files=[M, "no", S, SB]), "no: no such file"),
    (image(files=[M, MB, S, "."]), ".: not a regular file"),
    (image(files=[M, SB, S, SB]), f"{SB}: no layer reads the"),
    (image(files=[M, MB, S, MB]), f"{MB}: layer draw (InnerProduct): the file is too short"),
    (image(files=["tiny.json", MB, S, SB]), "tiny.json: not a .param text file; got JSON"),
    (image(trunc="3e38"), f"{M}: the style is not finite"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS, ids=[f"{i}" for i in range(len(ARGUMENTS))])
def test_arguments(program: Path, place: Path, arguments: list[object], message: str) -> None:
    before = listing(place)
    assert message in check_refused(call(program, place, *arguments))
    assert listing(place) == before


def numbers(*values: float, head: int = 0) -> bytes:
    return struct.pack(f"<i{len(values)}f", head, *values)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "wrong length; expected 28 bytes (an int32 zero and 6 float32); got 0 bytes"),
        (numbers(*[0.5] * 5), "wrong length; expected 28 bytes (an int32 zero and 6 float32); got 24 bytes"),
        (numbers(*[0.5] * 6) + b"x", "wrong length; expected 28 bytes (an int32 zero and 6 float32); got more"),
        (numbers(*[0.5] * 600), "wrong length"),
        (numbers(*[0.5] * 6, head=1), "not a seed file; expected an int32 zero at its start"),
        (numbers(*[0.5] * 5, float("nan")), "the seed file holds NaN or infinity"),
        (numbers(float("-inf"), *[0.5] * 5), "the seed file holds NaN or infinity"),
    ],
)
def test_seed_files(program: Path, place: Path, data: bytes, message: str) -> None:
    (place / "bad.bin").write_bytes(data)
    before = listing(place)
    for arguments in (image(seed="bad.bin"), mix(0, seeds=("1.bin", "bad.bin"))):
        said = check_refused(call(program, place, *arguments))
        assert said.startswith("error: bad.bin: ") and message in said
    assert listing(place) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"c_dim": 5}, "input 'c', which nothing is given for; reason: the network has labels. `python -m"),
        ({"transform": np.eye(3).tolist()}, "input 'transform', which nothing is given for; reason: it was exported"),
        ({"noise": "random"}, "input 'noise_b4', which nothing is given for; reason: its noise was left open. Export"),
        ({"channels": 2}, "image.png: it cannot be written; reason: a picture has 1, 3 or 4 channels, not 2"),
    ],
)  # fmt: skip
def test_networks_that_need_more(program: Path, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    before = listing(fill(tmp_path, **options))
    assert message in check_refused(call(program, tmp_path, *image()))
    assert listing(tmp_path) == before


def test_a_network_without_mean_style(program: Path, place: Path) -> None:
    text = (place / M).read_text().splitlines()
    kept = [line for line in text[2:] if line.split()[0] not in ("Lerp", "MemoryData")]
    kept = [line.replace("raw_w", "output") for line in kept]
    (place / M).write_text("\n".join([text[0], f"{len(kept)} 3", *kept]) + "\n")
    (place / MB).write_bytes((place / MB).read_bytes()[: -4 * 4])
    assert call(program, place, *image()).returncode == 0
    assert f"{M}: this network keeps no w_avg" in check_refused(call(program, place, *image(trunc=0.5)))


def test_nets_of_two_networks(program: Path, tmp_path: Path) -> None:
    fill(tmp_path)
    write_bundle(tmp_path, "other", w_dim=5)
    message = check_refused(call(program, tmp_path, *image(files=[M, MB, *nets("other")[2:]])))
    assert "other_synthesis.param:" in message and "layer draw (InnerProduct)" in message
    export_generator(network("skip"), tmp_path / "b", target="stock")
    message = check_refused(call(program, tmp_path, *image(ws=6, files=[M, MB, *nets()[2:]])))
    assert "the mapping's styles do not fit the input 'ws0'; got [6, 4]. Is it" in message


WHOLE = [(image(), "image.png"), (mix(0), "mix.png"), (a2b(2, 30), "a2b")]


@pytest.mark.parametrize(("arguments", "out"), WHOLE)
def test_a_full_disk(program: Path, place: Path, arguments: list[object], out: str) -> None:
    before = listing(place)
    for size in (0, 60):
        message = check_refused(call(program, place, *arguments, file_size=size))
        assert message.startswith(f"error: {out}") and "it cannot be written; reason: File too large" in message
        assert listing(place) == before
    done = call(program, place, *arguments)
    assert done.returncode == 0 and (place / out).exists(), "the control"


@pytest.mark.parametrize(("arguments", "out"), WHOLE)
def test_an_earlier_result_outlives_a_failure(program: Path, place: Path, arguments: list[object], out: str) -> None:
    assert call(program, place, *arguments).returncode == 0
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    check_refused(call(program, place, *arguments, file_size=60))
    assert {path: path.read_bytes() for path in place.rglob("*") if path.is_file()} == before


def test_a_name_that_is_taken(program: Path, place: Path) -> None:
    for file in ("image.png", "mix.png"):
        (place / file).mkdir()
    (place / "a2b").mkdir()
    (place / "a2b/00000.png.txt").write_text("mine")
    before = listing(place)
    assert "image.png: it cannot be written; reason: it is a folder" in check_refused(call(program, place, *image()))
    assert "mix.png: it cannot be written" in check_refused(call(program, place, *mix(0)))
    assert "a2b: something else than a folder of frames has this name" in check_refused(
        call(program, place, *a2b(2, 30))
    )
    assert listing(place) == before


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="uses Linux's /proc, where root may not write either")
def test_a_folder_that_may_not_be_written(program: Path, place: Path) -> None:
    for arguments, out in WHOLE:
        absolute = [place / str(word) if str(word).endswith((".bin", ".param")) else word for word in arguments]
        message = check_refused(call(program, Path("/proc"), *absolute))
        assert message.startswith(f"error: {out}: it cannot be written; reason: ")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_video_leaves_nothing(program: Path, place: Path, number: int, code: int) -> None:
    before = listing(place)
    running = subprocess.Popen([program, *map(str, a2b(99999, 30))], cwd=place, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while len(listing(place)) < len(before) + 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    running.send_signal(number)
    _, said = running.communicate(timeout=30)
    assert (running.returncode, said) == (code, "stopped\n")
    assert listing(place) == before


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's /proc")
def test_a_crash_is_a_message(program: Path, place: Path) -> None:
    """As where a layer goes astray: the process that computes gets the signal, the one that waits tells it."""
    running = subprocess.Popen([program, *map(str, a2b(99999, 30))], cwd=place, stderr=subprocess.PIPE, text=True)
    deadline, before = time.monotonic() + 30, len(listing(place))
    while len(listing(place)) < before + 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    (child,) = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
    os.kill(int(child), signal.SIGSEGV)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 2
    assert re.fullmatch(
        r"error: (tiny_synthesis.param:\d+: layer \w+ \(\w+\): )?the process that computes has ended; got SIGSEGV\n",
        said,
    ), said


def test_names_with_odd_bytes_stay_one_line(program: Path, place: Path) -> None:
    assert "no such seed file" in check_refused(call(program, place, *image(seed="a\nb\x1b.bin")))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arguments=st.lists(
        st.one_of(
            st.integers(-2, 20).map(str),
            st.sampled_from(["1.0", "1.bin", "2.bin", *nets("tiny"), "-", "/", "."]),
            st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=8),
        ),
        min_size=1,
        max_size=14,
    )
)
def test_any_arguments(program: Path, place: Path, arguments: list[str]) -> None:
    done = call(program, place, *arguments)
    if done.returncode:
        check_refused(done)


def small(place: Path) -> list[object]:
    """A bundle of real layers: the arguments for its picture."""
    export_generator(network("t"), place / "b", target="fused", seeds=[1])
    return [0, 16, 16, 1.0, "seeds/1.bin", *nets()]


@pytest.mark.parametrize("kind", ["hand-made", "exported"])
def test_damaged_files(program: Path, tmp_path: Path, kind: str) -> None:
    """One file of the five is damaged: a picture or one message, never a crash, nothing left over."""
    arguments = image() if kind == "hand-made" else small(tmp_path)
    files = [tmp_path / str(file) for file in arguments[4:]]
    fill(tmp_path)
    before, results = listing(tmp_path), Counter[str]()
    for number in range(120):
        rng = random.Random(number)
        file = files[number % len(files)]
        whole = file.read_bytes()
        file.write_bytes((damage_text if file.suffix == ".param" else damage_bin)(rng, whole))
        done = call(program, tmp_path, *arguments)
        file.write_bytes(whole)
        assert done.returncode in (0, 2), f"case {number}: {file.name}, {done.returncode}: {done.stderr[-3000:]}"
        if done.returncode:
            check_refused(done)
        else:
            with Image.open(tmp_path / "image.png") as picture:
                picture.load()
            (tmp_path / "image.png").unlink()
        results[str(done.returncode)] += 1
        assert listing(tmp_path) == before
    assert results["2"] > 60 and results["0"] > 2, results
