"""The networks that come with the package: small, exported without a checkpoint, and trained with the drawings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from network_support import NETWORK_TOLERANCE, latents
from safetensors import safe_open

import runtime.run
from ncnn_builder import TARGETS
from runtime import Model
from stylegan import export
from stylegan.checkpoints import checkpoint
from stylegan.faces.drawing import draw
from stylegan.faces.parameters import parameters
from stylegan.metrics.features import FixedFeatures
from stylegan.metrics.formulas import frechet_distance
from stylegan.metrics.statistics import to_uint8
from stylegan.networks.configs import CONFIGS, get_config

SHIPPED = [name for name, config in CONFIGS.items() if config.shipped.is_file()]
FIRST = 3  # styles, of 10
FOLDER = get_config("v2ada_64_faces").shipped.parent


def generator(name: str) -> checkpoint.Generator:
    loaded = checkpoint.load_for(get_config(name), get_config(name).shipped)
    return checkpoint.build_generator(loaded.family, loaded.init_kwargs, loaded.state, loaded.source)


def test_every_file_has_its_configuration() -> None:
    assert "v2ada_64_faces" in SHIPPED
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.safetensors" for name in SHIPPED}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_file(name: str) -> None:
    path = get_config(name).shipped
    assert path.stat().st_size <= 4e6
    with safe_open(path, "pt") as file:
        assert {file.get_tensor(key).dtype for key in file.keys()} == {torch.float16}  # noqa: SIM118 (no mapping)
        said = json.loads(file.metadata()["stylegan"])
    assert said["family"] == get_config(name).family


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("target", TARGETS)
def test_exported_without_a_checkpoint(
    name: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert export.main(["--cfg", name, "--out", "faces", "--seeds", "85", "--target", target]) == 0
    out, err = capsys.readouterr()
    assert "RANDOM" not in err and f"weights {name}.safetensors" in out
    said = json.loads(Path("faces.json").read_text())["weights"]
    assert said["random"] is False and len(said["sha256"]) == 64
    G = generator(name)
    inputs, ws = latents(G)
    with torch.no_grad():
        want = G.synthesis(ws, noise_mode="const")
    m = Model("faces")
    w = m.mapping(inputs["z"])
    np.testing.assert_allclose(w, ws[0, 0], atol=2e-6 * float(ws.abs().max()))
    # Of the same style. What float32 leaves open of a style (torch's own is 3e-7 from double precision) moves this
    # trained network's picture by 6e-6 to 2e-5, by the machine's order of sums.
    largest = float(want.abs().max())
    np.testing.assert_allclose(m.synthesis(ws[0].numpy()), want[0], atol=2e-5 * largest)
    np.testing.assert_allclose(m.synthesis(w), want[0], atol=NETWORK_TOLERANCE * largest)
    difference = m.image(w).astype(int) - to_uint8(want)[0].permute(1, 2, 0).numpy()
    assert np.abs(difference).max() <= 1
    assert runtime.run.main(["mode=grid", "rows=85,100", "cols=55,821", "styles=0-2", "-q"]) == 0


def feature_mean_and_covariance(pictures: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    found = FixedFeatures()(pictures).double().numpy()
    return found.mean(axis=0), np.cov(found, rowvar=False)


@pytest.mark.parametrize("name", SHIPPED)
def test_its_pictures_are_like_the_drawings(name: str) -> None:
    """The Frechet distance of fixed features is a tenth, at most, of what it is with random weights."""
    size = get_config(name).init_kwargs["img_resolution"]
    drawings = np.stack([np.asarray(draw(parameters(i, seed=1), size)) for i in range(500)])
    real = feature_mean_and_covariance(torch.from_numpy(drawings).permute(0, 3, 1, 2))
    family, kwargs = get_config(name).family, get_config(name).init_kwargs
    untrained = checkpoint.build_generator(family, kwargs, checkpoint.random_state(family, kwargs, seed=0), "random")
    z = torch.from_numpy(np.random.RandomState(0).randn(500, 512).astype(np.float32))
    distances = []
    for G in (generator(name), untrained):
        with torch.no_grad():
            pictures = torch.cat([to_uint8(G(part, noise_mode="const")) for part in z.split(50)])
        distances.append(frechet_distance(*real, *feature_mean_and_covariance(pictures)))
    assert distances[0] < distances[1] / 10, distances


def shape_and_colour(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[3, H, W]: where edges are, and the mean colours of the corners and the middle."""
    x = picture.mean(dim=0)
    edges = (x[1:, 1:] - x[1:, :-1]).abs() + (x[1:, 1:] - x[:-1, 1:]).abs()
    edges = torch.nn.functional.avg_pool2d(edges[None], 5, stride=2)[0]
    return edges / edges.norm(), torch.nn.functional.adaptive_avg_pool2d(picture, 4).flatten()


@pytest.mark.parametrize("name", SHIPPED)
def test_first_styles_are_the_pose_and_last_ones_the_colours(name: str) -> None:
    G, n = generator(name), 40
    z = torch.from_numpy(np.random.RandomState(0).randn(2 * n, 512).astype(np.float32))
    with torch.no_grad():
        pose, colour = G.mapping(z, truncation_psi=1.0).split(n)
        mixed = torch.cat([pose[:, :FIRST], colour[:, FIRST:]], dim=1)
        of_pose, of_colour, of_both = (G.synthesis(ws, noise_mode="const") for ws in (pose, colour, mixed))
    like_pose = like_colour = 0
    for a, b, both in zip(of_pose, of_colour, of_both, strict=True):
        (edges_a, colours_a), (edges_b, colours_b), (edges, colours) = map(shape_and_colour, (a, b, both))
        like_pose += int((edges - edges_a).norm() < (edges - edges_b).norm())
        like_colour += int((colours - colours_b).norm() < (colours - colours_a).norm())
    assert like_pose >= 0.9 * n and like_colour >= 0.9 * n, (like_pose, like_colour)
