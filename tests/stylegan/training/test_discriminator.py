"""The discriminator: against the official one's output, and each architecture against what the papers say of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from golden_files import TOLERANCE, load_golden, relative_error

from stylegan.networks.functional import conv2d_resample, downsample2d, setup_filter
from stylegan.training.discriminator import Discriminator, minibatch_std

SMALL: dict[str, Any] = dict(img_resolution=16, img_channels=3, channel_base=128, channel_max=8)


def test_golden_logits() -> None:
    golden = load_golden("train_v2ada_16")
    D = Discriminator(**golden.meta["discriminator_kwargs"])
    D.load_state_dict(golden.group("D/"))
    want = golden.tensors["D_logits_real"]
    with torch.no_grad():
        assert relative_error(D(golden.tensors["real"]), want) < TOLERANCE
        D.b8.skip.weight[0, 0] += 0.1  # the control: one weight of a branch
        assert relative_error(D(golden.tensors["real"]), want) > TOLERANCE


@pytest.mark.parametrize("architecture", ["orig", "skip", "resnet"])
@pytest.mark.parametrize("c_dim", [0, 5])
def test_second_derivatives_of_every_architecture(architecture: str, c_dim: int) -> None:
    torch.manual_seed(1)
    D = Discriminator(c_dim=c_dim, architecture=architecture, conv_clamp=256, **SMALL)
    img = torch.randn(4, 3, 16, 16, requires_grad=True)
    c = torch.eye(5)[[0, 1, 2, 3]] if c_dim else None
    logits = D(img, c)
    assert logits.shape == (4, 1)
    (slopes,) = torch.autograd.grad(logits.sum(), img, create_graph=True)
    slopes.square().sum().backward()
    # Additive constants have no influence on the slope: only a kink of the activation can see the biases.
    without = [name for name, p in D.named_parameters() if p.grad is None and not name.endswith("bias")]
    assert not without
    if c_dim:
        assert not torch.equal(logits, D(img, c.roll(1, dims=0)))


def test_only_skip_has_a_fromrgb_in_every_block() -> None:
    for architecture, blocks in {"orig": {"b16"}, "resnet": {"b16"}, "skip": {"b16", "b8", "b4"}}.items():
        keys = Discriminator(c_dim=0, architecture=architecture, **SMALL).state_dict()
        assert {key.split(".")[0] for key in keys if "fromrgb" in key} == blocks
        assert any(".skip." in key for key in keys) == (architecture == "resnet")


@pytest.mark.parametrize("n, size", [(8, 4), (6, 3), (3, 4), (4, None)])
def test_minibatch_std_is_numpys(n: int, size: int | None) -> None:
    x = torch.randn(n, 6, 2, 2, generator=torch.Generator().manual_seed(n))
    got = minibatch_std(x, size, num_channels=2)
    assert torch.equal(got[:, :6], x)
    groups = n // min(size or n, n)
    for i in range(n):
        members = x.numpy()[i % groups :: groups]
        for f in range(2):
            want = np.sqrt(members[:, 3 * f : 3 * f + 3].var(axis=0) + 1e-8).mean()
            np.testing.assert_allclose(got[i, 6 + f].numpy(), want, rtol=1e-5)


def test_minibatch_std_refuses_what_does_not_divide() -> None:
    with pytest.raises(ValueError, match="6 samples in groups of 4"):
        minibatch_std(torch.zeros(6, 2, 2, 2), 4)


@pytest.mark.parametrize(
    "freeze, frozen", [(0, []), (1, ["b16.fromrgb"]), (3, ["b16.fromrgb", "b16.conv0", "b16.conv1"])]
)
def test_frozen_layers_are_counted_from_the_picture(freeze: int, frozen: list[str]) -> None:
    D = Discriminator(c_dim=0, block_kwargs=dict(freeze_layers=freeze), **SMALL)
    got = dict.fromkeys(name.rpartition(".")[0] for name, p in D.named_parameters() if not p.requires_grad)
    assert list(got) == frozen
    assert D.state_dict().keys() == Discriminator(c_dim=0, **SMALL).state_dict().keys()


@pytest.mark.parametrize("kernel", [1, 3])
def test_convolution_that_halves_is_filter_convolution_and_every_second_pixel(kernel: int) -> None:
    torch.manual_seed(2)
    x, w, f = torch.randn(2, 3, 8, 8), torch.randn(4, 3, kernel, kernel), setup_filter([1, 3, 3, 1])
    identity = torch.eye(3)[:, :, None, None]
    got = conv2d_resample(x, w, f, padding=kernel // 2, down=2)
    assert got.shape == (2, 4, 4, 4)
    padded = torch.nn.functional.pad(x, [kernel // 2 + 1] * 4)
    filtered = torch.nn.functional.conv2d(padded, f.expand(3, 1, 4, 4), groups=3)
    torch.testing.assert_close(got, torch.nn.functional.conv2d(filtered, w)[:, :, ::2, ::2])
    torch.testing.assert_close(downsample2d(x, f), conv2d_resample(x, identity, f, down=2))


def test_refusals_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="power of two"):
        Discriminator(c_dim=0, img_resolution=24, img_channels=3)
    with pytest.raises(ValueError, match="architecture must be one of"):
        Discriminator(c_dim=0, architecture="other", **SMALL)
    with pytest.raises(ValueError, match=r"discriminator: img must have shape \[N, 3, 16, 16\]"):
        Discriminator(c_dim=0, **SMALL)(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="up or down to be 1"):
        conv2d_resample(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 1, 1), None, up=2, down=2)
