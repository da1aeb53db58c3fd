"""The noise of a bundle: which planes a picture gets, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_nets import NOISE_LAYERS, own_planes, write_bundle, write_seed

from runtime import BundleError, InputError, Model
from runtime.run import main

W = np.random.default_rng(1).standard_normal(4)
NONE = {name: np.zeros(shape) for name, shape in NOISE_LAYERS.items()}


def drawn(seed: int) -> dict[str, np.ndarray]:
    draw = np.random.RandomState(seed)
    return {name: draw.randn(*shape) for name, shape in NOISE_LAYERS.items()}


def picture(bundle: Path, planes: Mapping[str, np.ndarray], strength: float = 1.0) -> np.ndarray:
    matrix = np.load(bundle.with_suffix(".npz"))["to_pixels"]
    noise = [strength * np.ravel(planes[name]) for name in NOISE_LAYERS]
    return (matrix @ np.concatenate([np.tile(W, 3), *noise])).reshape(3, 5, 6)


def test_what_an_export_leaves_open(tmp_path: Path) -> None:
    expected = {
        "const": ["const"],
        "none": ["none"],
        "random": ["random", "none"],
        "input": ["const", "random", "none"],
    }
    for mode, choices in expected.items():
        assert Model(write_bundle(tmp_path, noise=mode)).noise_choices == choices


def test_planes(tmp_path: Path) -> None:
    path = write_bundle(tmp_path, noise="input")
    m, mine = Model(path), {"b8": np.ones((4, 4))}
    for planes, got in (
        (own_planes(), m.synthesis(W)),
        (own_planes(), m.synthesis(W, noise="const")),
        (drawn(3), m.synthesis(W, noise="random", noise_seed=3)),
        (drawn(0), m.synthesis(W, noise="random", noise_seed=np.int64(0))),
        (NONE, m.synthesis(W, noise="none")),
        (own_planes() | mine, m.synthesis(W, noise=mine)),
    ):
        np.testing.assert_allclose(got, picture(path, planes), atol=1e-5)
    half = m.synthesis(W, W, [0, 1, 0], noise="random", noise_seed=3, noise_strength=0.5)
    np.testing.assert_allclose(half, picture(path, drawn(3), 0.5), atol=1e-5)
    assert (m.image(W, noise="none") != m.image(W)).any()


def test_random_by_default(tmp_path: Path) -> None:
    path = write_bundle(tmp_path, noise="random")
    m = Model(path)
    assert not np.array_equal(m.synthesis(W), m.synthesis(W))
    np.testing.assert_allclose(m.synthesis(W, noise_seed=5), picture(path, drawn(5)), atol=1e-5)
    mine = {"b4": np.ones((2, 3))}
    got = m.synthesis(W, noise=mine, noise_seed=5)
    np.testing.assert_allclose(got, picture(path, drawn(5) | mine), atol=1e-5)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("const", {"noise": "random"}, "noise 'random' is not in this model; expected const. Export with --noise-mode in"),
    ("none", {"noise": "const"}, "expected none"),
    ("random", {"noise": "const"}, "expected random or none"),
    ("input", {"noise": "loud"}, "noise 'loud' is not in this model; expected const or random or none"),
    ("const", {"noise_strength": 0.5}, "the noise of this model is built in"),
    ("const", {"noise": {"b4": np.ones((2, 3))}}, "the noise of this model is built in"),
    ("input", {"noise_seed": 1}, "noise_seed is for random noise, and the noise is const"),
    ("random", {"noise_seed": -1}, "noise_seed is not a seed; expected a whole number from 0"),
    ("random", {"noise_seed": 1.5}, "got 1.5"),
    ("random", {"noise_seed": True}, "got True"),
    ("random", {"noise_strength": "much"}, "noise_strength is not a number"),
    ("input", {"noise": {"b16": np.ones((2, 3))}}, "no layer 'b16' takes noise; expected b4, b8"),
    ("input", {"noise": {"b4": np.ones((3, 2))}}, r"noise of b4 has the wrong shape; expected \[2, 3\]; got \[3, 2\]"),
    ("input", {"noise": {"b4": np.full((2, 3), np.nan)}}, "noise of b4 holds numbers that are NaN"),
]


@pytest.mark.parametrize(("mode", "controls", "says"), BAD)
def test_bad_noise(tmp_path: Path, mode: str, controls: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Model(write_bundle(tmp_path, noise=mode)).synthesis(W, **controls)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-4]), "wrong length; expected 88 bytes; got 84 bytes"),
        (lambda path: path.unlink(), "the noise planes cannot be read"),
    ],
)
def test_damaged_planes(tmp_path: Path, change: Callable[[Path], object], says: str) -> None:
    path = write_bundle(tmp_path, noise="input")
    change(tmp_path / "tiny_noise.bin")
    with pytest.raises(BundleError, match=r"truncated|cannot be read"):
        Model(path)
    unchecked = Model(path, verify=False)
    with pytest.raises(BundleError, match=says):
        unchecked.synthesis(W)
    np.testing.assert_allclose(unchecked.synthesis(W, noise="none"), picture(path, NONE), atol=1e-5)


# -- the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for mode in ("const", "random", "input"):
        write_bundle(tmp_path, mode, noise=mode)
    write_seed(tmp_path / "1.bin", np.random.RandomState(1).randn(6))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("model", "arguments", "controls"),
    [
        ("input", [], {}),
        ("input", ["noise=none"], {"noise": "none"}),
        ("input", ["noise=random"], {"noise": "random", "noise_seed": 0}),
        ("input", ["noise_strength=0.25"], {"noise_strength": 0.25}),
        ("random", ["noise_seed=9", "noise_strength=2"], {"noise_seed": 9, "noise_strength": 2}),
        ("random", [], {"noise_seed": 0}),
        ("const", ["noise=const"], {}),
    ],
)
def test_noise_of_a_command(place: Path, model: str, arguments: list[str], controls: dict[str, Any]) -> None:
    from PIL import Image

    assert main(["mode=image", "1.bin", f"model={model}", *arguments]) == 0
    m = Model(place / model)
    with Image.open("image.png") as image:
        np.testing.assert_array_equal(image, m.image(m.mapping(np.random.RandomState(1).randn(6)), **controls))


@pytest.mark.parametrize(
    ("model", "arguments", "says"),
    [
        (
            "const",
            ["noise=random"],
            "noise=random is not in this model; expected noise=const. Export with",
        ),
        ("random", ["noise=const"], "expected noise=random or noise=none"),
        ("input", ["noise=loud"], "noise= is none of its words; expected const or random or none; got loud"),
        ("input", ["noise_seed=1"], "noise_seed= is for random noise; expected noise=random"),
        ("random", ["noise_seed=-1"], "noise_seed= is not a fitting number"),
        ("const", ["noise_strength=2"], "noise_strength= cannot change this model's noise: it is built in"),
        ("input", ["noise_strength=much"], "noise_strength= is not a number"),
    ],
)
def test_bad_noise_of_a_command(
    place: Path, capsys: pytest.CaptureFixture[str], model: str, arguments: list[str], says: str
) -> None:
    assert main(["mode=image", "1.bin", f"model={model}", *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1 and not Path("image.png").exists()
