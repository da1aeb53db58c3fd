"""Augmentation: the official pipeline's pictures, derivatives, and the probability that adapts."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from golden_files import load_golden, relative_error
from hypothesis import given, settings
from hypothesis import strategies as st

from stylegan.training import augment_filter as filtering
from stylegan.training.ada import AdaController
from stylegan.training.augment import GROUPS, PIPES, AugmentPipe, AugmentSettings, pipe_settings
from stylegan.training.augment_geometry import grid_sample, resample
from stylegan.training.wavelets import symlet_taps

TOLERANCE = 1e-3


class QuantileDraws:
    """Every draw is its q-quantile, as the golden says it.

    Two things in it are particular: what it calls the quantile of a normal draw is erfinv(2 q - 1), which is that
    quantile divided by sqrt(2); and the second of the two rotations is by no angle.
    """

    def __init__(self, q: float) -> None:
        self.q = q

    def uniform(self, name: str, *shape: int) -> torch.Tensor:
        return torch.full(shape, 0.5 if name == "rotate after" else self.q)

    def normal(self, name: str, *shape: int) -> torch.Tensor:
        return torch.full(shape, float(torch.erfinv(torch.tensor(2 * self.q - 1))))


@pytest.mark.parametrize("group, q", list(product(["blit", "geom", "color", "bgc"], [0.2, 0.7])))
def test_golden_pictures(group: str, q: float) -> None:
    golden = load_golden("train_v2ada_16")
    pipe = AugmentPipe(AugmentSettings(**golden.meta["augment"][group]), QuantileDraws(q))
    want = golden.tensors[f"aug/{group}/{q}"]
    assert relative_error(pipe(golden.tensors["aug/img"]), want) < TOLERANCE
    if group != "blit":  # the control: another quantile is another picture
        pipe.draws = QuantileDraws(q + 0.01)
        assert relative_error(pipe(golden.tensors["aug/img"]), want) > TOLERANCE


def test_named_pipes_have_the_goldens_multipliers() -> None:
    said = load_golden("train_v2ada_16").meta["augment"]["bgc"]
    assert pipe_settings("bgc") == AugmentSettings(**said)
    with pytest.raises(ValueError, match="'x' is unknown: expected one of blit, geom"):
        pipe_settings("x")


@pytest.mark.parametrize("name", PIPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_p_0_changes_nothing_and_p_1_much(name: str, channels: int) -> None:
    torch.manual_seed(4)
    images = torch.randn(8, channels, 16, 12)  # rotate90 of what is not square shows its mirror images
    pipe = AugmentPipe(pipe_settings(name))
    assert not torch.allclose(pipe(images), images, atol=0.1)
    pipe.p.zero_()
    # The wavelet's own loss at the border and in the bilinear look-up is nothing where the look-up is on pixels.
    torch.testing.assert_close(pipe(images), images, atol=2e-5, rtol=1e-4)


def test_equal_random_state_gives_equal_pictures() -> None:
    pipe, images = AugmentPipe(pipe_settings("bgcfnc")), torch.ones(2, 3, 8, 8)
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(pipe(images))
    assert torch.equal(results[0], results[1]) and not torch.equal(results[0], results[2])


def test_probability_is_the_share_of_transformed_samples() -> None:
    torch.manual_seed(5)
    pipe = AugmentPipe(AugmentSettings(brightness=0.5))
    pipe.p.fill_(0.6)
    changed = (pipe(torch.zeros(4000, 1, 1, 1)) != 0).float().mean()
    assert float(changed) == pytest.approx(0.3, abs=0.03)


def test_two_rotations_together_have_the_probability() -> None:
    torch.manual_seed(6)
    pipe = AugmentPipe(AugmentSettings(rotate=1))
    pipe.p.fill_(0.4)
    G_inv = pipe._geometry(4000, 8, 8)
    assert G_inv is not None
    turned = (G_inv - torch.eye(3)).abs().amax(dim=(1, 2)) > 1e-4
    assert float(turned.float().mean()) == pytest.approx(0.4, abs=0.03)


def test_second_derivative_of_the_whole_pipe() -> None:
    """R1 needs the slope of |d D(augment(x)) / dx|^2: against a linear pipe's own matrix."""
    images = torch.randn(1, 3, 4, 4, dtype=torch.float32, requires_grad=True)

    def pictures(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(7)
        result: torch.Tensor = pipe(x)
        return result

    pipe = AugmentPipe(pipe_settings("bgcf"))
    weight = torch.randn(48, requires_grad=True)
    value = (pictures(images).flatten().square() * weight).sum()
    (slope,) = torch.autograd.grad(value, images, create_graph=True)
    slope.square().sum().backward()
    offset = pictures(torch.zeros(1, 3, 4, 4)).flatten()
    A = torch.stack([pictures(e.reshape(1, 3, 4, 4)).flatten() - offset for e in torch.eye(48)], dim=1).double()
    with torch.no_grad():
        y = A @ images.flatten().double() + offset.double()
        want_slope = A.t() @ (2 * y * weight.double())
        want = A.t() @ (2 * weight.double() * (A @ (2 * want_slope)))
    assert images.grad is not None
    assert relative_error(slope.detach().flatten().double(), want_slope) < 1e-4
    assert relative_error(images.grad.flatten().double(), want) < 1e-4


def test_grid_sample_is_torchs_with_derivatives_of_every_order() -> None:
    torch.manual_seed(8)
    x = torch.randn(2, 2, 5, 4, dtype=torch.float64, requires_grad=True)
    grid = torch.rand(2, 3, 6, 2, dtype=torch.float64) * 2.4 - 1.2
    assert torch.equal(grid_sample(x, grid), torch.nn.functional.grid_sample(x, grid, align_corners=False))
    f = lambda x: grid_sample(x, grid).sin()
    assert torch.autograd.gradcheck(f, x) and torch.autograd.gradgradcheck(f, x)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_quarter_turns_have_the_right_direction_and_place(turns: int) -> None:
    """Exact only without a turn: the wavelet is not symmetric, and its two halves then fit each other."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 16), torch.linspace(-1, 1, 16), indexing="ij")
    images = torch.stack([(2 * x + y).sin(), (x - 1.5 * y).cos()])[None]
    angle = torch.tensor(turns * math.pi / 2)
    c, s = float(angle.cos()), float(angle.sin())
    got = resample(images, torch.tensor([[[c, -s, 0], [s, c, 0], [0, 0, 1.0]]]), AugmentPipe().Hz_geom)
    want = torch.rot90(images, turns, dims=(2, 3))
    torch.testing.assert_close(got[..., 3:-3, 3:-3], want[..., 3:-3, 3:-3], atol=2e-5 if turns == 0 else 0.05, rtol=0)
    assert relative_error(torch.rot90(want, 1, dims=(2, 3)), want) > 0.5


@given(st.integers(1, 10))
@settings(deadline=None)
def test_symlets_are_orthogonal_with_vanishing_moments(order: int) -> None:
    taps = np.array(symlet_taps(order))
    assert len(taps) == 2 * order and taps.sum() == pytest.approx(math.sqrt(2), abs=1e-9)
    products = [taps[2 * k :] @ taps[: len(taps) - 2 * k] for k in range(order)]
    np.testing.assert_allclose(products, [1] + [0] * (order - 1), atol=1e-5)
    high = taps * (-1.0) ** np.arange(len(taps))
    scaled = np.arange(len(taps)) / len(taps)
    np.testing.assert_allclose([high @ scaled**k for k in range(min(order, 4))], 0, atol=1e-5)


def test_symlet_6_is_the_one_in_tables() -> None:
    first = [0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633]
    np.testing.assert_allclose(symlet_taps(6)[:4], first, atol=1e-9)
    with pytest.raises(ValueError, match="order must be 1 to 10"):
        symlet_taps(11)


@pytest.mark.parametrize("bands", [1, 2, 4])
def test_bands_add_up_to_the_identity(bands: int) -> None:
    bank = filtering.filter_bank(symlet_taps(2), bands)
    want = torch.zeros(bank.shape[1])
    want[bank.shape[1] // 2] = 1
    torch.testing.assert_close(bank.sum(dim=0), want, atol=1e-6, rtol=0)
    # The lowest band lets the mean pass, no other does.
    torch.testing.assert_close(bank.sum(dim=1), torch.eye(bands)[0], atol=1e-6, rtol=0)


def test_cut_out_is_a_rectangle_of_half_the_size() -> None:
    images = torch.ones(2, 3, 8, 8)
    got = filtering.cut_out(images, torch.tensor([0.5, 0]), torch.tensor([[0.5, 0.5], [0.5, 0.5]]))
    want = torch.ones(8, 8)
    want[2:6, 2:6] = 0
    assert torch.equal(got, torch.stack([want.expand(3, 8, 8), images[1]]))


def test_every_multiplier_belongs_to_a_group() -> None:
    multipliers = {name for name, value in vars(AugmentSettings()).items() if value == 0}
    assert multipliers == {name for group in GROUPS.values() for name in group}


def test_ada_follows_the_sign_of_real_logits() -> None:
    p = torch.tensor(0.5)
    ada = AdaController(p, target=0.6, interval=4, kimg=500)
    for batches in range(1, 5):
        ada.observe(torch.full([8], 2.0))
        ada.update(batches, 8)
        assert float(p) == (0.5 if batches < 4 else pytest.approx(0.5 + 8 * 4 / 500_000))
    assert not ada.seen.any()
    for batches in range(5, 9):
        ada.observe(torch.tensor([1.0, 1, 1, -1]))  # mean sign 0.5: below the target
        ada.update(batches, 8)
    assert float(p) == pytest.approx(0.5)
    p.zero_()
    ada.observe(torch.tensor([-1.0]))
    ada.update(12, 8)
    assert float(p) == 0  # never below
