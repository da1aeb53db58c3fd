"""The torch functions against definitions written out in another way."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stylegan.networks.functional import (
    ACTIVATIONS,
    bias_act,
    conv2d_resample,
    modulated_conv2d,
    setup_filter,
    split_gain,
    upfirdn2d,
    upsample2d,
)


def upfirdn2d_by_definition(
    x: np.ndarray,
    f: np.ndarray,
    up: tuple[int, int],
    down: tuple[int, int],
    padding: tuple[int, ...],
    gain: float,
) -> np.ndarray:
    """x [H, W], f [h, w]: every output is a sum of products, pixel by pixel."""
    (upx, upy), (downx, downy), (x0, x1, y0, y1) = up, down, padding
    h, w = x.shape
    height, width = h * upy + y0 + y1, w * upx + x0 + x1

    def padded(y: int, x_: int) -> float:
        (qy, ry), (qx, rx) = divmod(y - y0, upy), divmod(x_ - x0, upx)
        return float(x[qy, qx]) if ry == rx == 0 and 0 <= qy < h and 0 <= qx < w else 0.0

    fh, fw = f.shape
    rows, columns = range(0, height - fh + 1, downy), range(0, width - fw + 1, downx)
    taps = list(itertools.product(range(fh), range(fw)))
    return np.array(
        [
            [gain * sum(f[fh - 1 - i, fw - 1 - j] * padded(y + i, x_ + j) for i, j in taps) for x_ in columns]
            for y in rows
        ]
    )


@pytest.mark.parametrize("taps", [[1, 2, 5], [[1, 2, 3], [4, 5, 7]], [1, 2, 3, 4, 5, 6, 7, 8, 9]])
@pytest.mark.parametrize(
    ("up", "down", "padding"),
    [
        ((1, 1), (1, 1), (4, 4, 4, 4)),
        ((2, 2), (1, 1), (3, 2, 5, 6)),
        ((1, 1), (2, 2), (5, 4, 6, 4)),
        ((2, 3), (3, 2), (1, 2, -2, 4)),
        ((4, 4), (2, 2), (-3, -1, 2, -5)),
    ],
)
def test_upfirdn2d(
    taps: list[int], up: tuple[int, int], down: tuple[int, int], padding: tuple[int, int, int, int]
) -> None:
    x = torch.randn(2, 3, 5, 6)
    f = setup_filter(torch.tensor(taps), normalize=False)
    full = (torch.outer(f, f) if f.ndim == 1 else f).numpy()
    got = upfirdn2d(x, f, up=up, down=down, padding=padding, gain=1.5)
    assert f.ndim == (1 if len(taps) == 9 else 2)
    for n, c in itertools.product(range(2), range(3)):
        want = upfirdn2d_by_definition(x[n, c].numpy(), full, up, down, padding, 1.5)
        np.testing.assert_allclose(got[n, c].numpy(), want, atol=1e-5 * np.abs(want).max())
    flipped = upfirdn2d(x, f.flip(list(range(f.ndim))), up, down, padding, flip_filter=True, gain=1.5)
    torch.testing.assert_close(flipped, got)


def test_upfirdn2d_short_forms() -> None:
    x, f = torch.randn(1, 2, 6, 7), setup_filter([1, 3, 3, 1])
    torch.testing.assert_close(upfirdn2d(x, f, 2, 2, 2), upfirdn2d(x, f, (2, 2), (2, 2), (2, 2, 2, 2)))
    torch.testing.assert_close(upfirdn2d(x, f, padding=(2, 3)), upfirdn2d(x, f, padding=(2, 2, 3, 3)))
    assert torch.equal(upfirdn2d(x, None, down=(2, 3), padding=(0, -1, 0, 0)), x[:, :, ::3, :-1:2])
    torch.testing.assert_close(upfirdn2d(x, None, gain=3), upfirdn2d(x, setup_filter(None), gain=3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"padding": -3}, "nothing left"),
        ({"padding": (1, 2, 3)}, "padding takes 1, 2 or 4 numbers"),
        ({"up": 0}, "up must be 1 or more"),
        ({"down": (1, -1)}, "down must be 1 or more"),
    ],
)
def test_upfirdn2d_errors(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        upfirdn2d(torch.zeros(1, 1, 6, 6), setup_filter([1, 3, 3, 1]), **arguments)


def test_setup_filter() -> None:
    f = setup_filter([1, 3, 3, 1])
    assert f.shape == (4, 4)
    assert f.dtype == torch.float32
    assert math.isclose(float(f.sum()), 1, rel_tol=1e-6)
    assert setup_filter([1] * 8).shape == (8,)
    assert setup_filter([1] * 8, separable=False).shape == (8, 8)
    assert math.isclose(float(setup_filter([1, 3, 3, 1], gain=4).sum()), 4, rel_tol=1e-6)
    assert math.isclose(float(setup_filter([1, 3, 3, 1], gain=4, separable=True).sum()), 2, rel_tol=1e-6)
    assert setup_filter([1, 2], normalize=False, flip_filter=True, separable=True).tolist() == [2, 1]
    assert setup_filter(None).tolist() == [[1]]
    with pytest.raises(ValueError, match="1-D or 2-D"):
        setup_filter(torch.ones(2, 2, 2))
    with pytest.raises(ValueError, match="separable needs 1-D taps"):
        setup_filter(torch.ones(2, 2), separable=True)


DEFINITIONS = {
    "linear": (lambda x: x, 1),
    "relu": (lambda x: np.maximum(x, 0), math.sqrt(2)),
    "lrelu": (lambda x: np.where(x > 0, x, 0.2 * x), math.sqrt(2)),
    "tanh": (np.tanh, 1),
    "sigmoid": (lambda x: 1 / (1 + np.exp(-x)), 1),
    "elu": (lambda x: np.where(x > 0, x, np.expm1(x)), 1),
    "selu": (lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)), 1),
    "softplus": (lambda x: np.log1p(np.exp(x)), 1),
    "swish": (lambda x: x / (1 + np.exp(-x)), math.sqrt(2)),
}


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_bias_act(act: str) -> None:
    func, gain = DEFINITIONS[act]
    x, b = torch.linspace(-4, 4, 48).reshape(2, 4, 3, 2), torch.randn(4)
    biased = (x + b[None, :, None, None]).double().numpy()
    np.testing.assert_allclose(bias_act(x, b, act).numpy(), func(biased) * gain, atol=1e-5)
    np.testing.assert_allclose(bias_act(x, act=act, gain=3).numpy(), func(x.double().numpy()) * 3, atol=3e-5)
    want = np.clip(func(biased) * gain, -0.7, 0.7)
    np.testing.assert_allclose(bias_act(x, b, act, clamp=0.7).numpy(), want, atol=1e-5)


def test_bias_act_options() -> None:
    x = torch.randn(2, 3, 4)
    torch.testing.assert_close(bias_act(x, act="lrelu", alpha=0.5, gain=1), F.leaky_relu(x, 0.5))
    torch.testing.assert_close(bias_act(x, torch.arange(4.0), dim=2), x + torch.arange(4.0))
    with pytest.raises(ValueError, match="activation 'gelu' is unknown: expected one of linear, relu"):
        bias_act(x, act="gelu")


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("taps", [[1, 3, 3, 1], [1, 2, 1], [1, 2, 3, 4, 5, 6, 7, 8]])
@pytest.mark.parametrize("groups", [1, 2])
def test_up_convolution_is_upsampling_then_flipped_convolution(kernel: int, taps: list[int], groups: int) -> None:
    x, w, f = torch.randn(2, 4, 5, 7), torch.randn(6, 4 // groups, kernel, kernel), setup_filter(taps)
    got = conv2d_resample(x, w, f, up=2, padding=kernel // 2, groups=groups)
    # Away from the border, where cropping and filtering do not commute.
    upsampled = upsample2d(F.pad(x, [8] * 4), f)
    want = F.conv2d(upsampled, w.flip([2, 3]), padding=kernel // 2, groups=groups)[:, :, 16:-16, 16:-16]
    assert got.shape == (2, 6, 10, 14)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_convolution_without_up_is_conv2d() -> None:
    x, w = torch.randn(2, 4, 5, 7), torch.randn(6, 4, 3, 3)
    torch.testing.assert_close(conv2d_resample(x, w, padding=1), F.conv2d(x, w, padding=1))


def test_upsampling_keeps_brightness() -> None:
    x = torch.full([1, 2, 8, 8], 3.0)
    inner = upsample2d(x, setup_filter([1, 3, 3, 1]))[:, :, 2:-2, 2:-2]
    torch.testing.assert_close(inner, torch.full_like(inner, 3.0))


def convolution_of_modulated_weights(x, w, s, noise, up, f, demodulate, gain):  # type: ignore[no-untyped-def]
    """Equations 1 and 3 of StyleGAN2, a sample at a time."""
    pictures = []
    for n in range(len(x)):
        modulated = w * s[n][None, :, None, None]
        if demodulate:
            modulated = modulated / (modulated.square().sum(dim=[1, 2, 3], keepdim=True) + 1e-8).sqrt()
        pictures.append(conv2d_resample(x[n : n + 1], modulated * gain, f, up=up, padding=1) + noise[n])
    return torch.cat(pictures)


@pytest.mark.parametrize("up", [1, 2])
@pytest.mark.parametrize("demodulate", [True, False])
@pytest.mark.parametrize("gain", [1, 0.3, torch.tensor(1.7, dtype=torch.float64)])
@pytest.mark.parametrize("fixed", [True, False])
@pytest.mark.parametrize("samples", [1, 3])
def test_modulated_convolution(
    up: int, demodulate: bool, gain: float | torch.Tensor, fixed: bool, samples: int
) -> None:
    """The picture and all gradients; fixed: the weights take none, as in a projection."""
    shapes = [(samples, 4, 5, 6), (7, 4, 3, 3), (samples, 4), (samples, 1, 5 * up, 6 * up)]
    values = [torch.randn(*shape, dtype=torch.float64) for shape in shapes]
    f = setup_filter([1, 3, 3, 1]).double()
    got, want = [], []
    for found in (got, want):
        x, w, s, noise = inputs = [value.clone().requires_grad_() for value in values]
        w.requires_grad_(not fixed)
        if found is got:
            y = modulated_conv2d(x, w, s, noise, up, 1, f, demodulate, gain)
        else:
            y = convolution_of_modulated_weights(x, w, s, noise, up, f, demodulate, gain)
        y.square().sum().backward()
        found += [y.detach(), *(i.grad for i in inputs if i.requires_grad)]
    with torch.no_grad():  # of one picture, the weights are modulated
        x, w, s, noise = values
        got.append(modulated_conv2d(x, w, s, noise, up, 1, f, demodulate, gain))
        want.append(want[0])
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("taps", [[1, 2, 5], [[1, 2, 3], [4, 5, 7]], [1, 2, 3, 4, 5, 6, 7, 8, 9]])
@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize(
    ("up", "down", "padding"),
    [
        ((1, 1), (1, 1), (4, 4, 4, 4)),
        ((2, 2), (1, 1), (3, 2, 5, 6)),
        ((1, 1), (2, 2), (5, 4, 6, 4)),
        ((2, 3), (3, 2), (1, 2, -2, 4)),
        ((4, 4), (2, 2), (-1, -2, 2, -3)),
    ],
)
def test_gradients_of_upfirdn2d(
    taps: list[object], flip: bool, up: tuple[int, int], down: tuple[int, int], padding: tuple[int, ...]
) -> None:
    """Against torch's own, which it has while the filter takes a gradient too; and the gradient of the gradient."""
    f = setup_filter(taps, separable=len(taps) > 3).double()
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64, requires_grad=True)
    y = upfirdn2d(x, f, up, down, padding, flip, 1.5)
    plain = upfirdn2d(x, f.clone().requires_grad_(), up, down, padding, flip, 1.5)
    torch.testing.assert_close(y, plain)
    seed = torch.randn_like(y)
    ((got,), (want,)) = (torch.autograd.grad(z, x, seed) for z in (y, plain))
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)
    assert torch.autograd.gradgradcheck(
        lambda x: upfirdn2d(x, f, up, down, padding, flip, 1.5).square(),
        x[:1, :1, :4, :5].detach().requires_grad_(),
    )


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_a_gain_before_the_activation_is_one_after_it(act: str) -> None:
    x = torch.randn(4, 5)
    for gain in (0.3, 2.0, -1.5):
        before, after = split_gain(act, gain)
        assert (before, after) in {(gain, 1.0), (1.0, gain)}
        torch.testing.assert_close(bias_act(x * before, act=act, gain=after), bias_act(x, act=act, gain=gain))
    assert split_gain("lrelu", 2.0) == (2.0, 1.0) and split_gain("tanh", 2.0) == (1.0, 2.0)
