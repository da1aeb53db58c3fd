"""Each mode of ``python -m runtime.run`` against the same thing computed by torch, on the golden networks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from network_support import GOLDENS, golden_generator
from PIL import Image

from runtime.run import main
from stylegan.checkpoints.checkpoint import Generator
from stylegan.export import export_generator

NETWORKS = ["v2ada_skip_64", "v2ada_cond_32", "v3_t_64", "v3_r_64"]
ROWS, COLS, STYLES, PSI = [85, 100, 75], [55, 821, 1789, 293], range(1, 4), 0.7


class Torch:
    """Pictures of a generator by torch: uint8 [H, W, 3], as the official scripts make them."""

    def __init__(self, G: Generator) -> None:
        self.G = G
        self.c = torch.eye(G.c_dim)[1][None] if G.c_dim else None

    def ws(self, seed: int, psi: float = 1.0) -> torch.Tensor:
        z = torch.from_numpy(np.random.RandomState(seed).randn(1, self.G.z_dim).astype(np.float32))
        with torch.no_grad():
            ws: torch.Tensor = self.G.mapping(z, self.c, truncation_psi=psi)
        return ws

    def mean(self) -> torch.Tensor:
        w: torch.Tensor = self.G.mapping.w_avg
        return w.expand(1, self.G.num_ws, -1)

    def picture(self, ws: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            img = self.G.synthesis(ws, noise_mode="const")
        levels = (img[0].permute(1, 2, 0) * 127.5 + 128).clamp(0, 255).to(torch.uint8)
        return np.asarray(levels)

    def mixed(self, ws: torch.Tensor, other: torch.Tensor, styles: range = STYLES) -> np.ndarray:
        ws = ws.clone()
        ws[:, list(styles)] = other[:, list(styles)]
        return self.picture(ws)


@pytest.fixture(scope="module", params=NETWORKS)
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Torch]:
    assert set(NETWORKS) <= set(GOLDENS)
    directory = tmp_path_factory.mktemp(request.param)
    G = golden_generator(request.param)
    export_generator(G, directory / "m", seeds=[])
    return directory, Torch(G)


@pytest.fixture
def run(bundle: tuple[Path, Torch], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    directory, by_torch = bundle
    monkeypatch.chdir(tmp_path)
    label = ["class=1"] if by_torch.c is not None else []

    def run(*arguments: str) -> None:
        assert main([*arguments, f"model={directory}/m", "-q", *label]) == 0

    return run


def check(path: str, want: np.ndarray) -> None:
    with Image.open(path) as image:
        got = np.asarray(image)
    assert got.shape == want.shape
    assert np.abs(got.astype(int) - want).max() <= 1, path


def test_images(run: Callable[..., None], bundle: tuple[Path, Torch]) -> None:
    t = bundle[1]
    run("mode=image", "seeds=85,100-101", f"trunc={PSI}")
    for seed in (85, 100, 101):
        check(f"images/seed{seed:04d}.png", t.picture(t.ws(seed, PSI)))
    run("mode=image", "85", "trunc=0")
    check("image.png", t.picture(t.mean()))


def test_w_avg(run: Callable[..., None], bundle: tuple[Path, Torch]) -> None:
    run("mode=w_avg")
    check("w_avg.png", bundle[1].picture(bundle[1].mean()))


def test_mix(run: Callable[..., None], bundle: tuple[Path, Torch]) -> None:
    t = bundle[1]
    run("mode=mix", "85", "55", "styles=1-3", f"trunc={PSI}")
    check("mix.png", t.mixed(t.ws(85, PSI), t.ws(55, PSI)))


def test_the_mixing_table(run: Callable[..., None], bundle: tuple[Path, Torch]) -> None:
    t = bundle[1]
    run("mode=grid", "rows=85,100,75", "cols=55,821,1789,293", "styles=1-3", f"trunc={PSI}")
    rows, cols = [t.ws(seed, PSI) for seed in ROWS], [t.ws(seed, PSI) for seed in COLS]
    size = t.G.img_resolution
    want = np.zeros(((len(rows) + 1) * size, (len(cols) + 1) * size, 3), np.uint8)
    for i in range(len(rows) + 1):
        for j in range(len(cols) + 1):
            if i and j:
                picture = t.mixed(rows[i - 1], cols[j - 1])
            elif i or j:
                picture = t.picture(rows[i - 1] if i else cols[j - 1])
            else:
                continue
            want[i * size : (i + 1) * size, j * size : (j + 1) * size] = picture
    check("grid.png", want)


@pytest.mark.parametrize("mix", [None, "458", "w_avg"])
def test_a2b(run: Callable[..., None], bundle: tuple[Path, Torch], mix: str | None) -> None:
    t, steps = bundle[1], 3
    options = [f"mix={mix}", "styles=1-3"] if mix else []
    run("mode=a2b", "seeds=85,100,75", f"frames={steps}", "out=frames/", *options)
    stops = [t.ws(seed) for seed in ROWS]
    for i in range(2 * steps + 1):
        k = min(i // steps, 1)
        ws = torch.lerp(stops[k], stops[k + 1], (i - k * steps) / steps)
        want = t.picture(ws) if mix is None else t.mixed(ws, t.mean() if mix == "w_avg" else t.ws(458))
        check(f"frames/{i:05d}.png", want)


MEMORY = """
import resource, sys
from pathlib import Path
import runtime.films.frames
from runtime.run import main

peaks = []
add = runtime.films.frames.PartialVideo.add
def watched(self, frame, picture):
    add(self, frame, picture)
    if frame in (100, 500):
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
runtime.films.frames.PartialVideo.add = watched
assert main(sys.argv[1:]) == 0
print(peaks)
"""


@pytest.mark.parametrize("bundle", ["v2ada_skip_64"], indirect=True)  # pictures of this size in the least time
def test_a_long_video_takes_no_more_memory_than_a_short_one(bundle: tuple[Path, Torch], tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra [video] is not installed")
    command = ["mode=a2b", f"model={bundle[0]}/m", "85", "100", "frames=500", f"out={tmp_path}/v.mp4", "-q"]
    done = subprocess.run([sys.executable, "-c", MEMORY, *command], capture_output=True, text=True, check=True)
    early, late = map(float, done.stdout.splitlines()[-1].strip("[]").split(","))
    print(f"peak {early:.1f} MB after 100 frames, {late:.1f} MB after 500")
    assert late < early + 4, "MB; 400 more frames of 64 x 64 alone would be 5"
