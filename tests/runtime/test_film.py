"""mode=film: key frames as the official gen_video has them, paths and their speed, scripts of movements."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from runtime_nets import pixels, write_bundle
from scipy.interpolate import interp1d

from runtime import Model, transform_matrix
from runtime.errors import UsageError
from runtime.films.camera import read_script
from runtime.films.course import course
from runtime.films.keyframes import film_seeds
from runtime.films.video import frames_of
from runtime.pictures import tiled
from runtime.recipe import read_recipe
from runtime.run import main
from runtime.seeds import Seed, latent

OWN = [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]


def stops(n: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randn(n, 3, 5).astype(np.float32)


def test_the_spline_is_that_of_the_official_gen_video() -> None:
    """Which repeats the key frames twice on each side, and lets scipy's interp1d go through them all."""
    for n in (1, 2, 3, 4, 7, 41, 60):
        w, steps, wraps = stops(n), 6, 2
        x = np.arange(-n * wraps, n * (wraps + 1))
        for kind in ("cubic", "linear"):
            want = interp1d(x, np.tile(w, [wraps * 2 + 1, 1, 1]), kind=kind, axis=0)
            got = course(w, steps, True, kind)
            assert len(got) == n * steps
            for frame in range(n * steps):
                np.testing.assert_allclose(got.style(frame), want(frame / steps), atol=1e-6)
            assert all(np.array_equal(got.style(i * steps), w[i]) for i in range(n))
    # To the last one and no further: as interp1d by itself, which takes four points or more.
    w = stops(5)
    got, want = course(w, 4, False), interp1d(np.arange(5), w, kind="cubic", axis=0)
    assert len(got) == 17
    for frame in range(17):
        np.testing.assert_allclose(got.style(frame), want(frame / 4), atol=1e-6)
    assert np.array_equal(got.style(16), w[4])
    for few in (2, 3):  # a line, a parabola
        part = course(stops(few), 4, False)
        assert np.array_equal(part.style(4 * (few - 1)), stops(few)[-1])
    assert np.allclose(course(w[:2], 4, False).style(1), 0.75 * w[0] + 0.25 * w[1], atol=1e-6)


def test_constant_speed_and_circles() -> None:
    w = stops(5)
    w[1:3] *= 4
    for path in ("cubic", "linear"):
        for loop in (True, False):
            far, even = (np.sort(lengths(course(w, 40, loop, path, speed), loop)) for speed in ("constant", "even"))
            assert far[-1] / far[10] < 1.002 and far[-1] < 1.02 * far.mean()  # a chord across a bend is shorter
            assert even[-1] / even[10] > 2  # the control
    circle = course(w[:3], 40, True, "circle")
    far = lengths(circle, True)
    assert len(circle) == 120 and far.max() / far.min() < 1.0001
    points = np.array([circle.style(i).ravel() for i in range(120)], np.float64)
    radii = np.linalg.norm(points - points.mean(axis=0), axis=1)
    assert radii.max() / radii.min() < 1.00001
    assert np.array_equal(circle.style(0), w[0])
    # It goes by the second before the third; without loop it ends there.
    near = [min(range(120), key=lambda i: float(np.linalg.norm(circle.style(i) - w[k]))) for k in (1, 2)]
    assert 0 < near[0] < near[1]
    arc = course(w[:3], 40, False, "circle")
    assert len(arc) == 81 and np.allclose(arc.style(80), w[2], atol=1e-5)
    for same in (w[[0, 0, 1]], np.stack([w[0], 2 * w[0], 3 * w[0]])):
        with pytest.raises(UsageError, match="not on one line"):
            course(same, 4, True, "circle")
    with pytest.raises(UsageError, match="speed=constant needs styles that differ"):
        course(w[[0, 0]], 4, True, "linear", "constant")


def lengths(of: object, loop: bool) -> np.ndarray:
    styles = [of.style(i).astype(np.float64) for i in range(len(of))]  # type: ignore[attr-defined, arg-type]
    after = [*styles[1:], styles[0]] if loop else styles[1:]
    return np.array([np.linalg.norm(b - a) for a, b in zip(styles, after, strict=False)])


def test_which_cell_has_which_seeds() -> None:
    seeds = [Seed(str(i)) for i in range(6)]

    def texts(*args: int | None) -> list[list[int | None]]:
        return [[seed.number for seed in cell] for cell in film_seeds(seeds, 2, *args)]

    assert texts(None, None, None) == [[0, 1, 2], [3, 4, 5]]
    assert texts(4, None, None) == [[0, 1, 2, 3], [4, 5, 0, 1]]
    order = np.arange(6)
    np.random.RandomState(3).shuffle(order)  # as the official code does
    assert texts(None, 3, None) == order.reshape(2, 3).tolist()
    walk = film_seeds(seeds[:2], 2, 4, None, 7)
    assert [cell[0].number for cell in walk] == [0, 1] and walk == film_seeds(seeds[:2], 2, 4, None, 7)
    assert len({seed for cell in walk for seed in cell}) == 8 and walk != film_seeds(seeds[:2], 2, 4, None, 8)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_bundle(tmp_path, transform=OWN)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_film_is_a_table_of_moving_cells(place: Path) -> None:
    (place / "turn.txt").write_text("# a turn\n0 rotate=0\n50% zoom=2  # twice as large\n6 rotate=90 translate=0.1,0\n")
    command = ["mode=film", "model=tiny", "seeds=1-6", "grid=2x1", "frames=2", "script=turn.txt", "isolate=false", "-q"]
    assert main([*command, "out=f/"]) == 0
    assert sorted(path.name for path in (place / "f").glob("*.png")) == [f"{i:05d}.png" for i in range(6)]
    model = Model("tiny")
    ws = [np.broadcast_to(model.mapping(latent(i, 6)), (3, 4)) for i in range(1, 7)]
    cells = [course(np.stack(ws[i : i + 3]), 2) for i in (0, 3)]
    for i in range(6):
        transform = transform_matrix(15 * i, (0.1 / 1 if i >= 6 else 0.1, 0), 2)
        want = tiled([model.image(cell.style(i), transform=transform) for cell in cells], 1, 2)
        np.testing.assert_array_equal(pixels(f"f/{i:05d}.png"), want)
    said = read_recipe("f/00001.png")
    assert said["grid"] == "2x1" and said["script"] == "turn.txt" and said["frame"] == "1 of 6"
    # A video has as many frames, and the command is the same one.
    assert main([*command, "out=f.mp4"]) == 0
    assert len(list(frames_of(place / "f.mp4"))) == 6
    # One that still; a walk; another script is another video.
    assert main(["mode=film", "seeds=5", "frames=3", "out=one/", "script=turn.txt", "-q"]) == 0
    assert main(["mode=film", "seeds=5", "frames=2", "keyframes=3", "walk=4", "out=walk/", "-q"]) == 0
    assert len(list((place / "walk").glob("*.png"))) == 6
    (place / "turn.txt").write_text("0 rotate=1")
    assert main([*command, "out=f/"]) == 2


def test_a_script_moves_any_video(place: Path) -> None:
    (place / "s.txt").write_text("0s zoom=1\n0.1s zoom=4 ease=cubic\n")
    assert main(["mode=a2b", "1", "2", "frames=4", "fps=20", "script=s.txt", "out=v/", "isolate=false", "-q"]) == 0
    model = Model("tiny")
    w = [np.broadcast_to(model.mapping(latent(i, 6)), (3, 4)) for i in (1, 2)]
    middle = w[0] + np.float32(0.25) * (w[1] - w[0])
    want = model.image(middle, transform=transform_matrix(zoom=2.0))  # half the time, by equal factors
    np.testing.assert_array_equal(pixels("v/00001.png"), want)


def test_what_a_script_says(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("10 rotate=10 zoom=1\n20 rotate=20\n30 translate=1,2 rotate=0\n40 zoom=4")
    camera = read_script(str(path), 60, Fraction(30))
    for frame, rotate, translate, zoom in (
        (0, 10, (1, 2), 1),  # held before the first place that says it
        (15, 15, (1, 2), 4 ** (5 / 30)),
        (25, 10, (1, 2), 2),
        (60, 0, (1, 2), 4),
    ):
        np.testing.assert_allclose(camera.transform(frame), transform_matrix(rotate, translate, zoom), atol=1e-6)
    for text, message in (
        ("", "says nothing"),
        ("# a remark", "says nothing"),
        ("x rotate=1", "s.txt:1: script= begins a line with no time"),
        ("0 rotate=1\n\n0 rotate=2", "s.txt:3: script= goes back in time"),
        ("0 turn=1", "s.txt:1: not what a line of script= says.*got turn=1"),
        ("0 rotate=1 rotate=2", "each once"),
        ("0 rotate=", "each once"),
        ("0 rotate=x", "s.txt:1: rotate= is not a number"),
        ("0 translate=1", "translate= is not two numbers"),
        ("0 zoom=0", "zoom= is out of range"),
        ("0 zoom=1e3", "zoom= is out of range"),
        ("0 rotate=1e9", "rotate= is out of range"),
        ("0 zoom=1 ease=soft", "ease= is none of its words"),
        ("0 ease=cubic", "a line without a movement"),
        ("101% zoom=1", "beyond the video"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
            read_script(str(path), 60, Fraction(30))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is no text"):
        read_script(str(path), 60, Fraction(30))
    with pytest.raises(UsageError, match="cannot be read"):
        read_script(str(tmp_path / "nowhere.txt"), 60, Fraction(30))


def test_what_is_wrong_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "s.txt").write_text("0 zoom=1")
    for arguments, message in (
        (["mode=film"], "mode=film has a wrong number of seeds"),
        (["mode=film", "seeds=1-5", "grid=2x1"], "wrong number of seeds for 2 cells; expected 2, 4 ... 800"),
        (["mode=film", "seeds=1", "grid=33x32"], "too many cells"),
        (["mode=film", "seeds=1", "keyframes=401"], "keyframes= is not a fitting number"),
        (["mode=film", "seeds=1", "keyframes=0"], "keyframes= is not a fitting number"),
        (["mode=film", "seeds=1", "walk=1"], "expected keyframes="),
        (["mode=film", "seeds=1-2", "walk=1", "keyframes=3"], "begins each cell with one seed"),
        (["mode=film", "seeds=1", "walk=x", "keyframes=3"], "walk= is not a fitting number"),
        (["mode=film", "seeds=1", "shuffle=-1"], "shuffle= is not a fitting number"),
        (["mode=film", "seeds=1-2", "path=circle"], "path=circle goes through three seeds"),
        (["mode=film", "seeds=1-3", "path=circle", "speed=even"], "path=circle has constant speed"),
        (["mode=film", "seeds=1", "walk=1", "keyframes=3", "path=circle"], "two ways to go"),
        (["mode=film", "seeds=1-2", "path=round"], "path= is none of its words"),
        (["mode=film", "seeds=1-2", "speed=fast"], "speed= is none of its words"),
        (["mode=film", "seeds=1,1", "speed=constant"], "speed=constant needs styles that differ"),
        (["mode=film", "seeds=1-2", "script=s.txt", "zoom=2"], "zoom= and script= say the same thing"),
        (["mode=film", "seeds=1-2", "script=t.txt"], "script= cannot be read"),
        (["mode=image", "seeds=1", "script=s.txt"], "script= belongs to mode=a2b and mode=film"),
        (["mode=a2b", "1", "2", "walk=1"], "walk= belongs to mode=film"),
        (["mode=film", "seeds=1-2", "out=f.png"], "out=f.png"),
    ):
        assert main(arguments) == 2, arguments
        said = capsys.readouterr().err
        assert message in said and "Traceback" not in said, said
    assert not [path for path in place.iterdir() if path.name.startswith(("film", "a2b"))]
    write_bundle(place)
    assert main(["mode=film", "seeds=1-2", "script=s.txt"]) == 2
    assert "script= needs the input 'transform', which tiny.json has not" in capsys.readouterr().err
