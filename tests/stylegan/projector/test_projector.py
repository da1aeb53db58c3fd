"""The projection: its schedule and its regularisation against their definitions, and pictures that are found again."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_files import load_golden
from hypothesis import given, settings
from hypothesis import strategies as st
from network_support import GOLDENS, NETWORKS, latents, network

from stylegan.checkpoints import checkpoint
from stylegan.errors import ProjectionError
from stylegan.projector import PixelDistance, Projection, Projector, Settings, project, saved
from stylegan.projector.optimise import mapping_statistics
from stylegan.projector.schedule import jitter, learning_rate, noise_regularisation, normalise


def picture(G: Any, seed: int = 458, ws: torch.Tensor | None = None) -> torch.Tensor:
    """[C, R, R] of 0..255, and beyond where the network is random."""
    with torch.no_grad():
        image: torch.Tensor = G.synthesis(latents(G, seed)[1] if ws is None else ws, noise_mode="const")[0]
    return (image + 1) * 127.5


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# -- the schedule -----------------------------------------------------------------------------------------------

COSINE = 0.5 - 0.5 * math.cos(math.pi * 0.4)  # after 90 %, 0.1 of the last 0.25 are left


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0), (10, 0.05), (25, 0.125), (50, 0.25), (500, 0.25), (750, 0.25), (875, 0.125), (900, 0.25 * COSINE)],
)
def test_learning_rate(step: int, rate: float) -> None:
    assert learning_rate(step, Settings(steps=1000, lr=0.25)) == pytest.approx(rate, abs=1e-12)


@pytest.mark.parametrize(("step", "part"), [(0, 1), (150, 0.25), (225, 1 / 16), (300, 0), (399, 0)])
def test_jitter(step: int, part: float) -> None:
    assert jitter(step, Settings(steps=400), 3.0) == pytest.approx(3.0 * 0.05 * part, abs=1e-12)


@given(st.integers(1, 2000), st.floats(1e-6, 1e3), st.data())
def test_the_schedule_stays_within_its_limits(steps: int, lr: float, data: st.DataObject) -> None:
    asked = Settings(steps=steps, lr=lr)
    step = data.draw(st.integers(0, steps - 1))
    assert 0 <= learning_rate(step, asked) <= lr
    assert 0 <= jitter(step + 1, asked, 1.0) <= jitter(step, asked, 1.0) <= 0.05
    assert learning_rate(0, asked) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        dict(steps=0),
        dict(steps=-1),
        dict(steps=10**7),
        dict(lr=0.0),
        dict(lr=math.nan),
        dict(lr=math.inf),
        dict(seed=-1),
    ],
)
def test_settings_that_mean_nothing(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProjectionError, match=r"expected .*, got"):
        Settings(**wrong)


# -- the noise --------------------------------------------------------------------------------------------------


def regularisation_in_numpy(plane: np.ndarray) -> float:
    total = 0.0
    while True:
        right = np.concatenate([plane[:, -1:], plane[:, :-1]], axis=1)
        below = np.concatenate([plane[-1:], plane[:-1]], axis=0)
        total += float((plane * right).mean() ** 2 + (plane * below).mean() ** 2)
        if len(plane) <= 8:
            return total
        plane = (plane[0::2, 0::2] + plane[1::2, 0::2] + plane[0::2, 1::2] + plane[1::2, 1::2]) / 4


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from([4, 8, 16, 64]), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_regularisation_is_the_sum_of_squared_correlations(sizes: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    planes = [random.standard_normal((n, n)) + 0.3 for n in sizes]
    got = float(noise_regularisation(map(torch.from_numpy, planes)))
    assert got == pytest.approx(sum(map(regularisation_in_numpy, planes)), rel=1e-9)


def test_the_gradient_of_regularisation() -> None:
    planes = [torch.randn(n, n, dtype=torch.float64, requires_grad=True) for n in (4, 16)]
    assert torch.autograd.gradcheck(lambda *p: noise_regularisation(p), planes)


def test_regularisation_knows_noise_from_pictures() -> None:
    noise = torch.randn(64, 64, generator=torch.Generator().manual_seed(1))
    coarse = noise[:8, :8].repeat_interleave(8, 0).repeat_interleave(8, 1)  # white at 8 x 8 only
    assert noise_regularisation([coarse]) > 100 * noise_regularisation([noise])
    assert noise_regularisation([]) == 0


def test_normalise() -> None:
    plane = torch.randn(32, 32, dtype=torch.float64) * 3 + 5
    direction = plane - plane.mean()
    normalise(plane)
    assert float(plane.mean()) == pytest.approx(0, abs=1e-12)
    assert float(plane.square().mean()) == pytest.approx(1, abs=1e-12)
    assert torch.allclose(plane * direction.square().mean().sqrt(), direction)


# -- the start --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["skip", "labels", "t-labels"])
def test_the_mean_style(name: str) -> None:
    G = network(name)
    label = torch.eye(G.c_dim)[2] if G.c_dim else None
    w_avg, w_std = mapping_statistics(G, label)
    z = torch.from_numpy(np.random.RandomState(123).randn(10_000, G.z_dim)).float()
    with torch.no_grad():
        w = G.mapping(z, None if label is None else label.expand(len(z), -1))[:, 0].double().numpy()
    np.testing.assert_allclose(w_avg, w.mean(axis=0), atol=1e-6)
    assert w_std == pytest.approx((((w - w.mean(axis=0)) ** 2).sum() / len(w)) ** 0.5, rel=1e-6)


@pytest.mark.parametrize(("name", "label"), [("skip", torch.ones(1)), ("labels", None), ("labels", torch.ones(4))])
def test_a_label_that_does_not_fit(name: str, label: torch.Tensor | None) -> None:
    with pytest.raises(ProjectionError, match="label: expected"):
        mapping_statistics(network(name), label)


@pytest.mark.parametrize("target", [torch.zeros(3, 8, 8), torch.full((3, 16, 16), math.nan), torch.zeros(1, 16, 16)])
def test_a_target_that_does_not_fit(target: torch.Tensor) -> None:
    with pytest.raises(ProjectionError, match=r"target: expected finite numbers \[3, 16, 16\]"):
        project(network("skip"), target)


class Overflowing(PixelDistance):
    def _features(self, picture: torch.Tensor) -> torch.Tensor:
        return super()._features(picture) * 1e30


def test_a_distance_that_is_not_finite() -> None:
    with pytest.raises(ProjectionError, match="step 0: the distance is no longer finite: choose a smaller learning"):
        project(network("skip"), picture(network("skip")), Overflowing())


# -- pictures found again ---------------------------------------------------------------------------------------


def golden_sized(name: str) -> checkpoint.Generator:
    """With other weights than the golden's."""
    family, kwargs = GOLDENS[name], load_golden(name).meta["init_kwargs"]
    return checkpoint.build_generator(family, kwargs, checkpoint.random_state(family, kwargs, seed=0), name)


@pytest.mark.parametrize(("name", "steps"), [("v2ada_skip_64", 200), ("t-24", 60)])
def test_a_picture_of_the_network_is_found_again(name: str, steps: int) -> None:
    G = network(name) if name in NETWORKS else golden_sized(name)
    before = {key: value.clone() for key, value in G.state_dict().items()}
    target = picture(G)
    found = project(G, target, settings=Settings(steps=steps))
    assert found.w.shape == (G.num_ws, G.w_dim) and found.trajectory.shape == (steps, 1, G.w_dim)
    mean, last = found.trajectory[0].expand(1, G.num_ws, -1), found.w[None]
    assert torch.equal(mean[0, 0], mapping_statistics(G, None)[0])

    distance = PixelDistance()
    wanted = distance.features(target[None])
    far, near = ((distance.features(picture(G, ws=ws)[None]) - wanted).square().sum() for ws in (mean, last))
    assert near < far / 10, (near, far)
    assert found.distances[-1] < found.distances[0] / 10
    far, near = ((picture(G, ws=ws) - target).square().mean().sqrt() for ws in (mean, last))
    assert near < far / 2.5, (near, far)

    for plane in found.noises.values():
        assert float(plane.mean()) == pytest.approx(0, abs=1e-5)
        assert float(plane.square().mean()) == pytest.approx(1, abs=1e-4)
    assert noise_regularisation(found.noises.values()) < 1e-6
    assert bool(found.noises) == (G.family == "v2ada")
    assert all(torch.equal(value, before[key]) for key, value in G.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in G.parameters())


def test_a_style_for_every_layer_comes_nearer() -> None:
    """To a picture whose layers have styles of two seeds."""
    G = network("skip")
    ws = torch.cat([latents(G, 1)[1][:, :2], latents(G, 2)[1][:, 2:]], dim=1)
    target = picture(G, ws=ws)
    one, all_ = (project(G, target, settings=Settings(steps=120, w_plus=plus)) for plus in (False, True))
    assert len(one.w.unique(dim=0)) == 1 and len(all_.w.unique(dim=0)) == G.num_ws
    assert all_.distances[-1] < 0.7 * one.distances[-1]


def test_the_regularisation_takes_part() -> None:
    """Without it the noise of the large planes draws the picture."""
    from stylegan.projector import optimise

    G = network("skip")
    asked = Settings(steps=100)
    with_it = project(G, picture(G), settings=asked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimise, "NOISE_WEIGHT", 0.0)
        without = project(G, picture(G), settings=asked)
    correlated = noise_regularisation(without.noises.values())
    assert noise_regularisation(with_it.noises.values()) < 0.01 * correlated


def test_a_network_in_training_stays_as_it_is() -> None:
    G = copy.deepcopy(network("skip")).train()
    before = {key: value.clone() for key, value in G.state_dict().items()}
    project(G, picture(network("skip")), settings=Settings(steps=2))
    assert G.training and all(torch.equal(value, before[key]) for key, value in G.state_dict().items())


def test_it_can_be_ended_early() -> None:
    G = network("skip")
    found = project(G, picture(G), on_step=lambda projector: len(projector.distances) == 3)
    assert len(found.distances) == len(found.trajectory) == 3


# -- saved and continued ----------------------------------------------------------------------------------------


def same(a: Projection, b: Projection) -> bool:
    return (
        torch.equal(a.w, b.w)
        and torch.equal(a.trajectory, b.trajectory)
        and a.distances == b.distances
        and a.noises.keys() == b.noises.keys()
        and all(torch.equal(a.noises[key], b.noises[key]) for key in a.noises)
    )


@pytest.mark.parametrize(("name", "w_plus"), [("skip", False), ("skip", True), ("t-24", True), ("labels", False)])
@pytest.mark.parametrize("stops", [[0], [1, 5]])
def test_continued_work_is_the_same(name: str, w_plus: bool, stops: list[int], tmp_path: Path) -> None:
    G = network(name)
    label = torch.eye(G.c_dim)[3] if G.c_dim else None
    asked = Settings(steps=7, seed=7, w_plus=w_plus)
    arguments: Any = (G, torch.rand(picture(G).shape, generator=torch.Generator().manual_seed(1)) * 255)
    whole = project(*arguments, settings=asked, label=label)
    state = None
    for stop in [*stops, asked.steps]:
        projector = Projector(*arguments, PixelDistance(), asked, label, state)
        while len(projector.distances) < stop:
            projector.advance()
        saved.write(tmp_path / "state", saved.Saved(projector.state(), {"a": 1}, 2.5))
        read = saved.read(tmp_path / "state")
        assert (read.asked, read.seconds) == ({"a": 1}, 2.5)
        state = read.state
    assert same(projector.result(), whole)


def test_the_seed_counts() -> None:
    G = network("skip")
    a, b, c = (project(G, picture(G), settings=Settings(steps=3, seed=seed)) for seed in (1, 1, 2))
    assert same(a, b) and not same(a, c)


@pytest.mark.parametrize(
    "key", ["w", "noise/b8.conv0.noise_const", "adam/w/exp_avg_sq", "random", "distances", "extra"]
)
@pytest.mark.parametrize("kind", ["missing", "shape", "type", "nan"])
def test_a_state_that_does_not_fit(key: str, kind: str) -> None:
    G = network("skip")
    arguments: Any = (G, picture(G), PixelDistance(), Settings(steps=5))
    projector = Projector(*arguments)
    projector.advance()
    state = projector.state()
    value = state.pop(key, torch.zeros(3))
    if kind == "nan":
        value = value.float() * math.nan
    if kind != "missing" or key == "extra":
        state[key] = {"shape": torch.cat([value, value]), "type": value.to(torch.int32)}.get(kind, value)
    with pytest.raises(ProjectionError, match="saved state: expected"):
        Projector(*arguments, state=state)


def test_a_state_of_more_steps() -> None:
    G = network("skip")
    projector = Projector(G, picture(G), PixelDistance(), Settings(steps=5))
    projector.advance(), projector.advance()
    with pytest.raises(ProjectionError, match="at most 1 steps, got 2"):
        Projector(G, picture(G), PixelDistance(), Settings(steps=1), state=projector.state())
