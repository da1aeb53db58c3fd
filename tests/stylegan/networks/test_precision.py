"""Half precision in training: where it is used, and that it is the same training. No GPU is needed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from network_support import NETWORKS

from benchmarks import training
from stylegan.networks import precision
from stylegan.training.loss import PHASES
from stylegan.training.settings import default_settings
from stylegan.training.trainer import Trainer

V3 = (NETWORKS["s"][0], NETWORKS["s"][1] | {"num_layers": 4})
FAMILIES = {"v2ada": NETWORKS["skip"], "v2ada resnet": NETWORKS["resnet"], "v3": V3}


def trainer(which: str, **changes: Any) -> Trainer:
    family, kwargs = FAMILIES[which]
    settings = default_settings(family, kwargs, batch=4, aug="none", **changes)
    return Trainer(family, kwargs, settings)


def gradients(of: Trainer, phase: str) -> torch.Tensor:
    real = torch.randint(256, (4, 3, *[of.G.img_resolution] * 2), generator=torch.Generator().manual_seed(0))
    return training.gradients(of, phase, real)


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "in_half", lambda use_fp16, network, x: use_fp16 and network.training)


# StyleGAN3 has no path length.
@pytest.mark.parametrize(("which", "phase"), sorted(set(itertools.product(FAMILIES, PHASES)) - {("v3", "Greg")}))
def test_the_same_gradients(which: str, phase: str, request: pytest.FixtureRequest) -> None:
    of = trainer(which)
    exact = gradients(of, phase)
    request.getfixturevalue("as_on_a_gpu")
    half = gradients(of, phase)
    assert not torch.equal(half, exact), "something is rounded"
    error = float((half - exact).norm() / exact.norm())
    assert half.dtype == torch.float32 and error < 0.1, error  # slopes change where a ReLU is near 0
    of = trainer(which, num_fp16_res=0)
    assert torch.equal(gradients(of, phase), exact), "nothing is rounded"


@pytest.mark.parametrize("which", FAMILIES)
def test_trained_networks_are_computed_in_float32(which: str, as_on_a_gpu: None) -> None:
    of = trainer(which)
    z = torch.randn(2, of.G.z_dim)
    c = torch.eye(of.G.c_dim)[:2] if of.G.c_dim else None
    seen = set()
    for module in of.G_ema.modules():
        module.register_forward_hook(lambda m, i, y: seen.add(y.dtype) if isinstance(y, torch.Tensor) else None)
    of.G_ema(z, c)
    assert seen == {torch.float32}
    assert of.G(z, c).dtype == torch.float32


def test_which_resolutions() -> None:
    assert [precision.first_half_resolution(512, n) for n in (0, 1, 4, 9)] == [1024, 512, 64, 8]
    of = trainer("v2ada", num_fp16_res=1)
    size = of.G.img_resolution
    for network in (of.G.synthesis, of.D):
        halves = {name for name, m in network.named_children() if getattr(m, "use_fp16", False)}
        assert halves == {f"b{size}"}


def test_large_numbers_stay_finite(as_on_a_gpu: None) -> None:
    """Weights and styles that half precision could not hold: demodulation makes their size irrelevant."""
    of = trainer("v2ada")
    with torch.no_grad():
        block = getattr(of.G.synthesis, f"b{of.G.img_resolution}")
        block.conv1.weight.mul_(3e4)
        block.conv1.affine.weight.mul_(1e3)
    assert torch.isfinite(gradients(of, "Gmain")).all()
