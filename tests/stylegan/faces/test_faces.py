"""Drawn faces: the same bytes for the same number, and parameters that have nothing to do with each other."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stylegan.faces import EARS, Face, draw, face, parameters
from stylegan.faces.__main__ import main

FIELDS = dataclasses.fields(Face)


def other_value(field: dataclasses.Field[object], value: object) -> object:
    """Of the same field, and far from it."""
    if "values" in field.metadata:
        values = field.metadata["values"]
        return values[(values.index(value) + 1) % len(values)]
    low, high = field.metadata["range"]
    assert isinstance(value, float)
    return value + (0.5 if value < (low + high) / 2 else -0.5) * (high - low)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**40), st.sampled_from([1, 4, 17, 64, 100, 300]), st.integers(0, 3))
def test_same_number_same_bytes(index: int, resolution: int, seed: int) -> None:
    picture = face(index, resolution, seed)
    assert picture.shape == (resolution, resolution, 3) and picture.dtype == np.uint8
    assert picture.tobytes() == face(index, resolution, seed).tobytes()
    assert parameters(index, seed) != parameters(index + 1, seed) != parameters(index + 1, seed + 1)


def test_another_process_draws_the_same_bytes() -> None:
    code = "import hashlib; from stylegan.faces import face; print(hashlib.sha256(face(7, 64)).hexdigest())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == hashlib.sha256(face(7, 64).tobytes()).hexdigest()


def table(count: int) -> np.ndarray:
    """[count, fields]: every parameter as a number."""
    rows = []
    for index in range(count):
        drawn = parameters(index)
        row = []
        for field in FIELDS:
            value = getattr(drawn, field.name)
            row.append(field.metadata["values"].index(value) if "values" in field.metadata else value)
        rows.append(row)
    return np.array(rows, np.float64)


def largest_correlation(values: np.ndarray) -> float:
    return float(np.abs(np.corrcoef(values.T) - np.eye(values.shape[1])).max())


def test_parameters_are_independent() -> None:
    values = table(4000)
    assert largest_correlation(values) < 5 / np.sqrt(len(values))  # 5 standard deviations of chance
    ranks = np.abs(values - values.mean(0))
    assert largest_correlation(ranks) < 5 / np.sqrt(len(values))  # nor does one's spread depend on another
    values[:, 3] += 0.2 * values[:, 3].std() / values[:, 20].std() * values[:, 20]
    assert largest_correlation(values) > 5 / np.sqrt(len(values))  # the check sees what it should


def test_parameters_fill_their_ranges() -> None:
    values = table(2000)
    for column, field in zip(values.T, FIELDS, strict=True):
        if "values" in field.metadata:
            counts = np.bincount(column.astype(int), minlength=len(field.metadata["values"]))
            assert counts.min() > 0.7 * len(values) / len(counts), field.name
        else:
            low, high = field.metadata["range"]
            assert low <= column.min() < low + 0.02 * (high - low), field.name
            assert high - 0.02 * (high - low) < column.max() <= high, field.name


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_every_parameter_is_seen(field: dataclasses.Field[object]) -> None:
    """In every picture: none is a dead number."""
    for index in range(5):
        drawn = dataclasses.replace(parameters(index), whiskers=3, fur_lightness=0.5, back_lightness=0.6)
        if field.name.startswith("pattern_"):
            drawn = dataclasses.replace(drawn, pattern="spots")
        if field.name == "gaze":
            drawn = dataclasses.replace(drawn, pupil=0.4)
        changed = dataclasses.replace(drawn, **{field.name: other_value(field, getattr(drawn, field.name))})
        difference = np.abs(draw(drawn, 64).astype(int) - draw(changed, 64)).max(axis=2)
        assert (difference > 12).sum() >= 3, field.name


def test_colour_leaves_the_shape_alone() -> None:
    """Pose and shape are found again in the edges, whatever the colours are."""
    drawn = dataclasses.replace(parameters(3), pattern="plain", fur_lightness=0.3, back_lightness=0.9, light=0.0)
    blue, green = (dataclasses.replace(drawn, back_hue=hue, back_saturation=0.5) for hue in (220, 120))
    a, b = (draw(x, 128).astype(int) for x in (blue, green))
    head = (a == b).all(axis=2)
    assert 0.2 < head.mean() < 0.8 and head[64:80, 56:72].all() and not head[:8].any()


def test_large_is_the_small_one_finer() -> None:
    small, large = face(11, 64), face(11, 256)
    reduced = np.array(Image.fromarray(large).reduce(4)).astype(int)
    assert np.abs(reduced - small).mean() < 2
    assert np.abs(reduced - face(12, 64)).mean() > 10


def test_edges_are_smooth() -> None:
    """An edge between two colours has values between them: without supersampling there are 91 colours."""
    drawn = dataclasses.replace(parameters(0), pattern="plain", whiskers=0)
    assert len(np.unique(draw(drawn, 64).reshape(-1, 3), axis=0)) > 350


def test_no_resolution() -> None:
    with pytest.raises(ValueError, match="expected 1 or more, got 0"):
        face(0, 0)


def test_command_writes_the_official_layout(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        assert main([str(tmp_path / name), "--count", "5", "--resolution", "32", "--labels", "--seed", "4", "-q"]) == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        names = [f"00000/img{i:08d}.png" for i in range(5)]
        assert file.namelist() == [*names, "dataset.json"]
        labels = json.loads(file.read("dataset.json"))["labels"]
        for i, name in enumerate(names):
            assert labels[i] == [name, EARS.index(parameters(i, 4).ears)]
            np.testing.assert_array_equal(np.array(Image.open(io.BytesIO(file.read(name)))), face(i, 32, 4))
    assert main([str(tmp_path / "folder"), "--count", "2", "--resolution", "4", "-q"]) == 0
    assert (tmp_path / "folder/00000/img00000001.png").is_file()
    assert json.loads((tmp_path / "folder/dataset.json").read_text()) == {"labels": None}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "b.zip", "folder"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["new.zip", "--count", "0"], "--count 0: expected 1 to 100000000"),
        (["new.zip", "--resolution", "3"], "--resolution 3: expected 4 to 4096"),
        (["new.zip", "--seed", "-1"], "--seed -1: expected 0 to"),
        (["new.tar"], "expected OUT.zip or a folder without a suffix, got .tar"),
        (["none/new.zip"], "there is no folder none"),
        (["full"], "there is something already"),
        (["dir.zip"], "expected the name of a zip file, got a folder"),
        (["a\0b.zip"], "cannot be written"),
    ],
)
def test_wrong_arguments(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("full").mkdir()
    Path("full/x").touch()
    Path("dir.zip").mkdir()
    assert main(["--count", "2", "-q", *arguments]) == 2
    output = capsys.readouterr()
    assert said in output.err and output.err.count("\n") == 1 and not output.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dir.zip", "full"]


def test_nothing_is_left_of_a_stopped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(index: int, seed: int) -> Face:
        if index == 3:
            raise KeyboardInterrupt
        return parameters(index, seed)

    monkeypatch.setattr("stylegan.faces.__main__.parameters", stop)
    for out in ("a.zip", "folder"):
        assert main([str(tmp_path / out), "--count", "9", "-q"]) == 130
        assert not list(tmp_path.iterdir())


def test_nothing_is_left_of_a_killed_one(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "stylegan.faces", str(tmp_path / "a.zip"), "--count", "1000000", "-q"]
    with subprocess.Popen(command) as process:
        while not list(tmp_path.iterdir()) and process.poll() is None:
            time.sleep(0.01)
        process.terminate()
        assert process.wait(timeout=60) == 143
    assert not list(tmp_path.iterdir())


def test_a_stop_that_a_library_dropped_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.stopping._asked", True)
    with pytest.raises(SystemExit) as left:
        main([str(tmp_path / "a.zip"), "--count", "9", "-q"])
    assert left.value.code == 143 and not list(tmp_path.iterdir())
