"""The program stylegan: the pictures of runtime.Model and of torch, from the files alone."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from network_support import GOLDENS, TARGETS, golden_generator, network
from PIL import Image
from program_support import SEEDS, call, cpp_build, listing, nets
from runtime_nets import write_bundle, write_seed

from runtime import Model
from runtime.run import main
from stylegan.export import export_generator

# Both families, each kind of architecture and filter, pictures of 1, 3 and 4 channels; the targets where they differ.
NETWORKS = ["skip", "orig", "t", "r", "t-wide"]
CASES = [
    *((name, target) for name in ("v2ada_skip_64", "v3_t_64", "v3_r_64") for target in TARGETS),
    *((name, target) for name in NETWORKS for target in ("fused", "stock")),
    ("v2ada_resnet_32", "fused"),
]


@pytest.fixture(scope="session")
def program() -> Path:
    return cpp_build("prefix/bin/stylegan")


@cache
def generator(name: str) -> Any:
    G = copy.deepcopy(golden_generator(name) if name in GOLDENS else network(name))
    if G.family == "v3":
        spread(G)
    return G


@torch.no_grad()
def spread(G: Any) -> None:
    """Random weights give StyleGAN3 a few grey levels only: brings those of the first seed to about -1..1."""
    img = G.synthesis(G.mapping(torch.from_numpy(latent(G, SEEDS[0])), None), noise_mode="const")[0]
    last = getattr(G.synthesis, G.synthesis.layer_names[-1])
    last.bias -= img.mean((1, 2)) / G.synthesis.output_scale
    G.synthesis.output_scale *= 0.5 / float((img - img.mean((1, 2), keepdim=True)).std())


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Any, Path]]:
    @cache
    def make(name: str, target: str, turned: bool = False) -> tuple[Any, Path]:
        """The generator, and the folder with its bundle b and its seeds. turned: the transform is an input."""
        place = tmp_path_factory.mktemp(f"{name}-{target}")
        export_generator(generator(name), place / "b", target=target, seeds=SEEDS, transform_input=turned)
        return generator(name), place

    return make


def latent(G: Any, seed: int) -> np.ndarray:
    return np.random.RandomState(seed).randn(1, G.z_dim).astype(np.float32)


@cache
def torch_picture(name: str, styles: frozenset[int] = frozenset(), psi: float = 1.0) -> np.ndarray:
    """uint8 [H, W, C]; `styles` of the second seed in the first's."""
    G = generator(name)
    with torch.no_grad():
        a, b = (G.mapping(torch.from_numpy(latent(G, seed)), None, truncation_psi=psi) for seed in SEEDS)
        for i in styles:
            a[:, i] = b[:, i]
        img = G.synthesis(a, noise_mode="const")[0]
    return (img * 127.5 + 128).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        array = np.asarray(image)
    return array[:, :, None] if array.ndim == 2 else array


def levels_apart(a: np.ndarray, b: np.ndarray) -> int:
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def check_same(picture: np.ndarray, model: np.ndarray) -> None:
    """The runtime's own picture. Other flags of the compiler (sanitizers) may round a few numbers to the next level."""
    assert levels_apart(picture, model) <= 1 and (picture == model).mean() > 0.995


@pytest.mark.parametrize(("name", "target"), CASES)
def test_a_picture(program: Path, bundle: Any, name: str, target: str) -> None:
    G, place = bundle(name, target)
    for psi in (1.0, 0.5):
        done = call(program, place, 0, G.z_dim, G.num_ws, psi, f"seeds/{SEEDS[0]}.bin", *nets())
        assert (done.returncode, done.stdout, done.stderr) == (0, "image.png\n", "")
        model = Model(place / "b")
        picture = pixels(place / "image.png")
        check_same(picture, model.image(model.mapping(latent(G, SEEDS[0])[0], psi)))
        assert levels_apart(picture, torch_picture(name, psi=psi)) <= 1
        assert psi != 1 or picture.std() > 10, "a picture, not a plane"


@pytest.mark.parametrize(("name", "target"), CASES[:9])
def test_style_mixing(program: Path, bundle: Any, name: str, target: str) -> None:
    G, place = bundle(name, target)
    seeds = [f"seeds/{seed}.bin" for seed in SEEDS]
    model = Model(place / "b")
    a, b = (model.mapping(latent(G, seed)[0]) for seed in SEEDS)
    for styles in ({0, 1, 2}, {G.num_ws - 1}, set(range(G.num_ws))):
        done = call(program, place, 1, G.z_dim, G.num_ws, 1.0, *seeds, *nets(), *sorted(styles))
        assert (done.returncode, done.stdout, done.stderr) == (0, "mix.png\n", "")
        picture = pixels(place / "mix.png")
        check_same(picture, model.image(a, b, [i in styles for i in range(G.num_ws)]))
        assert levels_apart(picture, torch_picture(name, frozenset(styles))) <= 1
    assert levels_apart(picture, torch_picture(name)) > 5, "the control: A is another picture"


@pytest.mark.parametrize(("name", "target"), [("skip", "fused"), ("orig", "stock"), ("t", "fused")])
def test_from_a_to_b(program: Path, bundle: Any, name: str, target: str) -> None:
    av = pytest.importorskip("av", reason="the extra [video] is not installed")
    G, place = bundle(name, target)
    seeds = [f"seeds/{seed}.bin" for seed in SEEDS]
    before = listing(place)
    for frames in (3, 7, 2):  # a folder of fewer or more frames is replaced
        done = call(program, place, 2, G.z_dim, G.num_ws, 0.8, *seeds, *nets(), frames, "29.97")
        assert (done.returncode, done.stderr) == (0, "")
        folder = {"a2b", *(f"a2b/{i:05d}.png" for i in range(frames + 1))}
        assert listing(place) == before | folder
        model = Model(place / "b")
        a, b = (model.mapping(latent(G, seed)[0], 0.8) for seed in SEEDS)
        for i in range(frames + 1):
            w = b if i == frames else a + np.float32(i / frames) * (b - a)
            check_same(pixels(place / f"a2b/{i:05d}.png"), model.image(w))
    written, video = done.stdout.splitlines()
    assert written == "a2b/00000.png to a2b/00002.png"
    found = re.fullmatch(
        r"For a video: ffmpeg -framerate (\S+) -i (\S+) -c:v libx264 .*-pix_fmt yuv420p a2b.mp4", video
    )
    assert found
    with av.open(str(place / found[2]), format="image2", options={"framerate": found[1]}) as container:
        assert len(list(container.decode(video=0))) == 3
        assert float(container.streams.video[0].average_rate) == pytest.approx(29.97)


@pytest.mark.parametrize(
    ("name", "target", "turned"),
    [("skip", "fused", False), ("orig", "stock", False), ("t", "fused", True), ("t", "stock", True)],
)
def test_moved_blended_and_turned(
    program: Path, bundle: Any, monkeypatch: pytest.MonkeyPatch, name: str, target: str, turned: bool
) -> None:
    """The same words to the program and to runtime.run make the same picture."""
    G, place = bundle(name, target, turned)
    monkeypatch.chdir(place)
    random = np.random.RandomState(0)
    of_all, of_each = random.randn(3, G.w_dim), random.randn(2, G.num_ws, G.w_dim)
    np.savez("d.npz", directions=of_all.astype(np.float32), styles=np.array([0, 2]), about=np.array("text"))
    with open("e.NPZ", "wb") as file:
        np.savez_compressed(file, directions=np.asfortranarray(of_each))
    np.save("of,some:0:1.npy", of_each.astype(">f2"))
    a, b = (f"seeds/{seed}.bin" for seed in SEEDS)
    lone, all_moved = ["edit=d.npz:1:+2.5"], ["edit=d.npz:1:2.5,e.NPZ:0:-.5,of,some:0:1.npy:1:1e-1", "layers=0-1,3"]
    own = ["move=0:2.5,3:-1", "move_styles=0-2"]
    turns = [["zoom=1.5"], ["rotate=30", "translate=0.1,-0.25", "zoom=.7"], ["rotate=0", *lone]] if turned else []
    still = ["zoom=1"] if turned else []
    head = [G.z_dim, G.num_ws, 0.8]

    def picture(mode: int, seeds: list[str], rest: list[object], words: list[str]) -> np.ndarray:
        done = call(program, place, mode, *head, *seeds, *nets(), *rest, *words)
        assert (done.returncode, done.stderr) == (0, ""), (words, done.stderr)
        return pixels(place / {0: "image.png", 1: "mix.png", 2: "a2b/00001.png"}[mode])

    def same(made: np.ndarray, *arguments: str) -> None:
        assert main([*arguments, "model=b", "trunc=0.8", "-q"]) == 0
        check_same(made, pixels(place / arguments[-1][4:]))

    plain = picture(0, [a], [], still)
    for words in (lone, all_moved, own, [*own, *lone]) if turned is False else (lone, *turns):
        words = words if {"zoom", "rotate"} & {word.split("=")[0] for word in words} else [*words, *still]
        same(made := picture(0, [a], [], words), "mode=image", a, *words, "out=p.png")
        assert levels_apart(made, plain) > 1, words
    same(picture(1, [a, b], [0, 1], [*lone, *still]), "mode=mix", a, b, "styles=0-1", *lone, *still, "out=m.png")
    words = ["blend=0-1:b,2:b0.3+c-0.25,3:c", *lone, *still]
    same(blended := picture(1, [a, b, b], [], words), "mode=mix", a, b, b, *words, "out=m.png")
    assert levels_apart(blended, plain) > 1
    same(picture(1, [a, b], [], ["blend=0:b", *still]), "mode=mix", a, b, "blend=0:b", *still, "out=m.png")
    picture(2, [a, b], [3, 30], words := [*all_moved, *still])
    assert main(["mode=a2b", a, b, "model=b", "trunc=0.8", "frames=3", *words, "out=frames", "-q"]) == 0
    for i in range(4):
        check_same(pixels(place / f"a2b/{i:05d}.png"), pixels(place / f"frames/{i:05d}.png"))


@pytest.mark.parametrize(("width", "padded"), [(6, False), (7, True)])
def test_odd_pictures_are_padded_for_the_video(program: Path, tmp_path: Path, width: int, padded: bool) -> None:
    write_bundle(tmp_path, width=width, height=8)
    seed = write_seed(tmp_path / "1.bin", np.ones(6))
    done = call(program, tmp_path, 2, 6, 3, 1, seed, seed, *nets("tiny"), 1, 30)
    assert done.returncode == 0 and ("-vf 'pad=" in done.stdout) == padded


def test_a_changed_weight_is_another_picture(program: Path, bundle: Any, tmp_path: Path) -> None:
    """The control of the comparisons above: they see one bit of one weight of the last layer."""
    G, place = bundle("skip", "fused")
    for file in nets():
        (tmp_path / file).write_bytes((place / file).read_bytes())
    weights = bytearray((tmp_path / nets()[3]).read_bytes())
    weights[-1] ^= 2  # of the exponent
    (tmp_path / nets()[3]).write_bytes(weights)
    done = call(program, tmp_path, 0, G.z_dim, G.num_ws, 1, place / f"seeds/{SEEDS[0]}.bin", *nets())
    assert done.returncode == 0
    assert levels_apart(pixels(tmp_path / "image.png"), torch_picture("skip")) > 1


def test_the_example_draws_the_same(bundle: Any) -> None:
    """examples/cpp, built against the installed layers; it truncates by 0.7."""
    draw = cpp_build("example/draw")
    for name, target in (("skip", "fused"), ("t", "stock"), ("v3_r_64", "reference")):
        G, place = bundle(name, target)
        done = call(draw, place, "b", G.num_ws, f"seeds/{SEEDS[0]}.bin", "out.ppm")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert levels_apart(pixels(place / "out.ppm"), torch_picture(name, psi=0.7)) <= 1
        (place / "out.ppm").unlink()
    done = call(draw, place, "no-such", 16, f"seeds/{SEEDS[0]}.bin", "out.ppm")
    assert done.returncode == 1 and "cannot load no-such_mapping" in done.stderr
