"""The distance of pixels: what it must tell apart, and what it must not mind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from projection_support import Features, scripted

from stylegan.errors import ProjectionError
from stylegan.projector import NetworkDistance, PixelDistance


def between(a: torch.Tensor, b: torch.Tensor) -> float:
    distance = PixelDistance()
    return float((distance.features(a) - distance.features(b)).square().sum())


def scene(size: int = 64, seed: int = 0, channels: int = 3) -> torch.Tensor:
    """Smooth colours with edges, [1, C, size, size] of 0..255, as a picture has them."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, channels, 5, 5, generator=random, dtype=torch.float64)
    smooth = F.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)
    edges = F.interpolate(torch.rand(1, channels, 4, 4, generator=random, dtype=torch.float64), size=(size, size))
    return (0.6 * smooth + 0.4 * edges) * 255


def test_scale() -> None:
    """That of LPIPS: 0 for the same picture, about 1 for another one; the weight of the noise's rule relies on it."""
    pictures = [scene(seed=seed) for seed in range(5)]
    assert between(pictures[0], pictures[0]) == 0
    others = [between(a, b) for a in pictures for b in pictures if a is not b]
    assert min(others) > 0.3 and max(others) < 4


@pytest.mark.parametrize(
    "change",
    [
        lambda x, much: x + much * 20,  # brighter
        lambda x, much: (x - 127) * (1 + 0.3 * much) + 127,  # contrast
        lambda x, much: x + much * 20 * torch.tensor([1.0, -1, 0])[None, :, None, None],  # another colour
        lambda x, much: F.avg_pool2d(F.pad(x, [much] * 4, mode="reflect"), 2 * much + 1, stride=1),  # blurred
        lambda x, much: x.roll(much, dims=3),  # shifted
        lambda x, much: x + 15 * much * torch.randn(x.shape, generator=torch.Generator().manual_seed(1)),  # noise
    ],
    ids=["brightness", "contrast", "colour", "blur", "shift", "noise"],
)
def test_a_stronger_change_is_further_away(change: Any) -> None:
    x = scene()
    near, further, far = (between(change(x, much), x) for much in (1, 2, 4))
    assert 1e-3 < near < further < far


def test_large_pictures_are_compared_at_256() -> None:
    small, other = scene(256), scene(256, seed=1)
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert between(large, small) == pytest.approx(0, abs=1e-12)
    assert between(large, other) == pytest.approx(between(small, other))


@settings(deadline=None, max_examples=10)
@given(st.sampled_from([4, 8, 16, 64]), st.sampled_from([1, 3, 4]), st.integers(0, 1000))
def test_pictures_of_any_size(size: int, channels: int, seed: int) -> None:
    a, b = scene(size, seed, channels), scene(size, seed + 1, channels)
    assert between(a, b) == pytest.approx(between(b, a)) and 0.01 < between(a, b) < 10
    mirrored = [x.flip(3) for x in (a, b)]
    assert between(*mirrored) == pytest.approx(between(a, b))


def test_every_pixel_has_a_gradient() -> None:
    x = scene(32).requires_grad_()
    distance = PixelDistance()
    (distance.features(x) - distance.features(scene(32, seed=1))).square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all() and (x.grad != 0).float().mean() > 0.99
    few = [scene(8, channels=1).requires_grad_()]
    assert torch.autograd.gradcheck(lambda x: distance.features(x / 1.0)[:, ::7], few, eps=1e-3, atol=1e-6)


def test_a_flat_picture_has_a_finite_gradient() -> None:
    x = torch.full((1, 3, 32, 32), 128.0, requires_grad=True)
    (PixelDistance().features(x) - PixelDistance().features(scene(32).float())).square().sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_takes_grey_as_three_channels(channels: int, tmp_path: Path) -> None:
    network = Features()
    data = Path(scripted(network, str(tmp_path / "f.pt"))).read_bytes()
    distance = NetworkDistance(data, "f.pt", "0" * 64)
    x = scene(512, channels=channels).float()
    got = distance.features(x)
    small = F.interpolate(x, size=(256, 256), mode="area").expand(-1, 3, -1, -1)
    want = network.layer(small / 255).flatten(1)
    np.testing.assert_allclose(got.detach(), want.detach(), rtol=1e-4, atol=1e-5)


def test_bytes_that_are_no_program() -> None:
    with pytest.raises(ProjectionError, match=r"features x\.pt: expected a TorchScript file"):
        NetworkDistance(b"garbage", "x.pt", "0" * 64)
