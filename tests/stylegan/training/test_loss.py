"""The loss: every value and gradient of the official one's four phases, and what the goldens do not hold."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from golden_files import TOLERANCE, Golden, load_golden, relative_error

from stylegan import v2ada, v3
from stylegan.training.discriminator import Discriminator
from stylegan.training.loss import PHASES, LossSettings, StyleganLoss, blur


def run_phase(golden: Golden, phase: str, **changes: Any) -> dict[str, torch.Tensor]:
    """What the golden holds of a phase, by its keys, computed by us."""
    G = v2ada.Generator(**golden.meta["generator_kwargs"])
    G.load_state_dict(golden.group("G/"))
    D = Discriminator(**golden.meta["discriminator_kwargs"])
    D.load_state_dict(golden.group("D/"))
    trained = G if phase[0] == "G" else D
    for network in (G, D):
        network.train().requires_grad_(network is trained)
    said = golden.meta["loss"]
    settings = {key: said[key] for key in ("style_mixing_prob", "r1_gamma", "pl_batch_shrink", "pl_decay", "pl_weight")}
    got: dict[str, torch.Tensor] = {}
    loss = StyleganLoss(
        G,
        D,
        LossSettings(**{**settings, **changes}),
        report=lambda name, values: got.__setitem__(f"report/{name}", values),
        path_noise=torch.ones_like,
    )
    loss.accumulate_gradients(phase, golden.tensors["real"], None, golden.tensors["z"], None)
    # What the loss does not depend on, such as a bias in Greg, has no gradient; the official step leaves zeros.
    grads = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in trained.named_parameters()}
    got |= {f"grad/{name}": grad for name, grad in grads.items() if not name.endswith("noise_strength")}
    return got | {"w_avg_after": G.mapping.w_avg, "pl_mean_after": loss.pl_mean}


def error(got: torch.Tensor, want: torch.Tensor) -> float:
    if not want.any():
        return float(got.abs().max())
    return relative_error(got, want)


@pytest.mark.parametrize("phase", PHASES)
def test_golden_phase(phase: str) -> None:
    golden = load_golden("train_v2ada_16")
    wanted = golden.group(f"{phase}/")
    got = run_phase(golden, phase)
    assert got.keys() == wanted.keys()
    assert {key: e for key, want in wanted.items() if (e := error(got[key], want)) > TOLERANCE} == {}


@pytest.mark.parametrize(
    "phase, change, key",
    [
        ("Greg", dict(pl_decay=0.02), "report/Loss/pl_penalty"),
        ("Greg", dict(pl_weight=3), "grad/mapping.fc0.weight"),
        ("Dreg", dict(r1_gamma=9), "grad/b4.fc.weight"),
    ],
)
def test_control_another_setting_is_seen(phase: str, change: dict[str, float], key: str) -> None:
    golden = load_golden("train_v2ada_16")
    assert error(run_phase(golden, phase, **change)[key], golden.tensors[f"{phase}/{key}"]) > TOLERANCE


def small(family: str, **settings: Any) -> StyleganLoss:
    torch.manual_seed(3)
    base: dict[str, Any] = dict(z_dim=8, c_dim=0, w_dim=8, img_resolution=16, img_channels=3)
    channels = dict(channel_base=64, channel_max=8)
    G: v2ada.Generator | v3.Generator
    if family == "v2ada":
        G = v2ada.Generator(**base, synthesis_kwargs=channels)
    else:
        G = v3.Generator(**base, **channels, num_layers=3, num_critical=1)
    D = Discriminator(c_dim=0, img_resolution=16, img_channels=3, **channels)
    return StyleganLoss(G.train(), D.train(), LossSettings(**settings))


def step(loss: StyleganLoss, phase: str, seen: int = 0) -> None:
    loss.accumulate_gradients(phase, torch.zeros(4, 3, 16, 16), None, torch.randn(4, 8), None, seen=seen)


def test_stylegan3_updates_its_averages_where_it_judges_fakes() -> None:
    for phase in ("Gmain", "Dmain"):
        loss = small("v3")
        before = {name: value.clone() for name, value in loss.G.named_buffers()}
        step(loss, phase)
        moved = {name for name, value in loss.G.named_buffers() if not torch.equal(value, before[name])}
        averages = {name for name in before if name.endswith(("w_avg", "magnitude_ema"))}
        assert moved == (averages if phase == "Dmain" else set())


def test_style_mixing_takes_the_last_styles_of_another_latent() -> None:
    z = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    loss = small("v2ada", style_mixing_prob=1)
    w_avg = loss.G.mapping.w_avg.clone()
    ws = loss.generate(z, None)[1]
    plain = loss.G.mapping(z, None, skip_w_avg_update=True)  # type: ignore[call-arg]
    same = (ws == plain).all(dim=2).all(dim=0).tolist()
    assert same[0] and not same[-1] and same == sorted(same, reverse=True)
    # The average follows the first latent alone.
    torch.testing.assert_close(loss.G.mapping.w_avg, plain[:, 0].mean(dim=0).lerp(w_avg, 0.995))
    assert torch.equal(small("v2ada").generate(z, None)[1], plain)


def test_early_blur_fades() -> None:
    seen = []
    loss = small("v3", blur_init_sigma=4, blur_fade_kimg=1)
    loss.augment = lambda img: seen.append(img) or img  # type: ignore[func-returns-value]
    real = torch.zeros(1, 3, 16, 16)
    real[:, :, 8, 8] = 1
    for images in (0, 500, 1000):
        loss.judge(real, None, images)
    peaks = [float(img.max()) for img in seen]
    assert peaks[0] < peaks[1] < peaks[2] == 1
    # 2^-(x / 2)^2 at half way: the neighbour of the peak has 2^-0.25 of it.
    assert float(seen[1][0, 0, 8, 9]) / peaks[1] == pytest.approx(2**-0.25, rel=1e-5)


def test_blur_keeps_brightness_inside() -> None:
    assert blur(torch.ones(1, 1, 31, 31), 2.0)[0, 0, 15, 15].item() == pytest.approx(1, abs=1e-5)
    assert blur(torch.ones(1, 1, 3, 3), 0.3).equal(torch.ones(1, 1, 3, 3))


def test_gain_multiplies_the_gradient() -> None:
    grads = []
    for gain in (1, 4):
        loss = small("v2ada", pl_weight=2)
        torch.manual_seed(0)
        loss.accumulate_gradients("Dreg", torch.randn(4, 3, 16, 16), None, torch.zeros(4, 8), None, gain=gain)
        grads.append(loss.D.b8.conv0.weight.grad)
    torch.testing.assert_close(grads[1], grads[0] * 4)
    assert math.isfinite(float(grads[0].abs().sum())) and grads[0].any()


def test_unknown_phase() -> None:
    with pytest.raises(ValueError, match="phase must be one of Gmain, Greg, Dmain, Dreg, got 'Gboth'"):
        step(small("v2ada"), "Gboth")
