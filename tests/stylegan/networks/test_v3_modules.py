"""Arguments, options and errors of the StyleGAN3 modules and filters that the goldens do not reach."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
import scipy.signal
import scipy.special
import torch

import ncnn_builder as nb
from stylegan import v3
from stylegan.export import export_generator, synthesis_graph
from stylegan.networks.filters import design_lowpass_filter
from stylegan.networks.functional import bias_act, filtered_lrelu, upfirdn2d
from stylegan.networks.v3_layers import SynthesisInput, SynthesisLayer

SMALL: dict[str, Any] = {"z_dim": 8, "c_dim": 0, "w_dim": 8, "img_resolution": 16, "img_channels": 3}
FEW: dict[str, Any] = {"channel_base": 64, "channel_max": 8}


def generator(**kwargs: Any) -> v3.Generator:
    return v3.Generator(**{**SMALL, **FEW, **kwargs}).eval()


# -- filters ------------------------------------------------------------------------------------------------------


def response(f: torch.Tensor, fx: float, fy: float, fs: float) -> float:
    """The magnitude of a filter's response at a frequency."""
    f = f if f.ndim == 2 else torch.outer(f, f)
    at = np.arange(len(f)) - (len(f) - 1) / 2
    y, x = np.meshgrid(at, at, indexing="ij")
    return abs(float((f.numpy() * np.cos(2 * math.pi * (x * fx + y * fy) / fs)).sum()))  # symmetric: no sine


@pytest.mark.parametrize("radial", [False, True])
@pytest.mark.parametrize("taps", [11, 12, 24])
def test_a_filter_is_low_pass(taps: int, radial: bool) -> None:
    f = design_lowpass_filter(taps, cutoff=16, width=16, fs=128, radial=radial)
    assert f is not None and f.dtype == torch.float32 and f.shape == ((taps, taps) if radial else (taps,))
    assert response(f, 0, 0, 128) == pytest.approx(1, abs=1e-6)
    assert response(f, 0, 40, 128) < 0.05  # the stop band
    torch.testing.assert_close(f, f.flip(list(range(f.ndim))))
    along, across = response(f, 24, 0, 128), response(f, 24 / math.sqrt(2), 24 / math.sqrt(2), 128)
    if radial:  # the same in every direction
        torch.testing.assert_close(f, f.T)
        assert along == pytest.approx(across, abs=0.02)
    else:
        assert across > along + 0.1


@pytest.mark.parametrize("taps", [2, 5, 12, 24, 63])
@pytest.mark.parametrize("width", [0.0, 0.1, 2.0, 11.0])
def test_a_separable_filter_is_scipys(taps: int, width: float) -> None:
    for cutoff in (0.3, 4.0, 7.9):
        f = design_lowpass_filter(taps, cutoff, width, fs=16)
        want = scipy.signal.firwin(taps, cutoff, width=width, fs=16)
        assert f is not None
        np.testing.assert_allclose(f.numpy(), want, rtol=1e-6, atol=1e-7)


def test_the_middle_of_a_radial_filter_is_the_limit() -> None:
    """An odd number of taps has a tap at r = 0, where j1(2 pi c r) / r is 0 / 0."""
    f = design_lowpass_filter(5, cutoff=1, width=2, fs=8, radial=True)
    assert f is not None and f.isfinite().all()
    r, beta = 1 / 8, scipy.signal.kaiser_beta(scipy.signal.kaiser_atten(5, 2 / 4))
    beside = scipy.special.j1(2 * math.pi * r) / r * np.kaiser(5, beta)[1]
    assert float(f[2, 2] / f[2, 1]) == pytest.approx(math.pi / beside, rel=1e-6)


def test_one_tap_is_no_filter_and_nonsense_is_refused() -> None:
    assert design_lowpass_filter(1, 4, 1, 8) is None
    for arguments in [(0, 1, 1, 8), (6, 5, 1, 8), (6, 0, 1, 8), (6, 1, -1, 8)]:
        with pytest.raises(ValueError, match="expected taps >= 1"):
            design_lowpass_filter(*arguments)


# -- modules ------------------------------------------------------------------------------------------------------


def test_filtered_lrelu_is_its_four_steps() -> None:
    x, b, f = torch.randn(2, 3, 8, 8), torch.randn(3), torch.rand(5)
    y = filtered_lrelu(x, f, f, b, up=2, down=2, padding=[3, 2, -1, 4], gain=1.5, slope=0.1, clamp=0.4)
    z = upfirdn2d(x + b[:, None, None], f, up=2, padding=[3, 2, -1, 4], gain=4)
    z = bias_act(z, act="lrelu", alpha=0.1, gain=1.5, clamp=0.4)
    assert torch.equal(y, upfirdn2d(z, f, down=2))
    assert torch.equal(filtered_lrelu(x), bias_act(x, act="lrelu"))


def test_frequencies_lie_within_the_bandwidth() -> None:
    torch.manual_seed(0)
    layer = SynthesisInput(8, 2000, 16, sampling_rate=16, bandwidth=2)
    lengths = layer.freqs.norm(dim=1)
    assert lengths.max() < 2 and lengths.median() == pytest.approx(2 * math.sqrt(0.5), rel=0.1)  # uniform in the disc
    assert layer.phases.min() >= -0.5 and layer.phases.max() <= 0.5
    assert torch.equal(layer.affine(torch.randn(1, 8)), torch.tensor([[1.0, 0, 0, 0]]))


def test_size_may_be_width_and_height() -> None:
    narrow, square = (SynthesisInput(8, 5, size, sampling_rate=8, bandwidth=2) for size in ((6, 8), 8))
    square.load_state_dict(narrow.state_dict())
    w = torch.randn(2, 8)
    assert narrow(w).shape == (2, 5, 8, 6)
    torch.testing.assert_close(narrow(w), square(w)[:, :, :, 1:-1])  # the middle is (0, 0) in both


def test_the_transform_moves_the_picture() -> None:
    """One pixel of the input is 1 / sampling_rate: that translation shifts the features by a column."""
    layer = SynthesisInput(8, 6, 12, sampling_rate=8, bandwidth=2)
    w = torch.randn(1, 8)
    still = layer(w)
    layer.transform[0, 2] = 1 / 8
    torch.testing.assert_close(layer(w)[..., :-1], still[..., 1:], atol=1e-5, rtol=0)


def test_update_emas() -> None:
    network = v3.Generator(**SMALL, **FEW, magnitude_ema_beta=0.5)
    layers = [getattr(network.synthesis, name) for name in network.synthesis.layer_names]
    z = torch.randn(4, 8)
    network(z)
    assert all(layer.magnitude_ema == 1 for layer in layers) and not network.mapping.w_avg.any()
    x = network.synthesis.input(network.mapping(z)[:, 0]).detach()
    network(z, update_emas=True)
    assert float(layers[0].magnitude_ema) == pytest.approx(0.5 + 0.5 * float(x.square().mean()), rel=1e-5)
    assert all(layer.magnitude_ema != 1 for layer in layers) and network.mapping.w_avg.any()


def test_official_keywords_that_change_nothing() -> None:
    torch.manual_seed(0)
    plain = generator()
    torch.manual_seed(0)
    official = generator(num_fp16_res=0)
    ws = torch.randn(1, plain.num_ws, 8)
    a = plain.synthesis(ws)
    b = official.synthesis(ws, noise_mode="none", force_fp32=True)
    assert torch.equal(a, b) and b.dtype == torch.float32


def test_gradients_reach_every_parameter() -> None:
    network = generator()
    network(torch.randn(2, 8)).square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("resolution", [0, 2, 3])
def test_a_resolution_that_is_too_small(resolution: int) -> None:
    with pytest.raises(ValueError, match=f"img_resolution must be at least 4, got {resolution}"):
        generator(img_resolution=resolution)


@pytest.mark.parametrize("resolution", [4, 12, 24, 36])
def test_any_resolution_that_the_official_network_takes(resolution: int) -> None:
    """Rates are powers of two all the same; of the last one the picture is a part."""
    network = generator(img_resolution=resolution)
    with torch.no_grad():
        assert network(torch.randn(1, 8)).shape[2:] == (resolution, resolution)
    assert network.synthesis.layer_names[-1].split("_")[1] == str(resolution)


@pytest.mark.parametrize(
    "constants",
    [
        {"first_cutoff": 8},
        {"first_cutoff": 0},
        {"first_stopband": 1.5},
        {"last_stopband_rel": 0.4},
    ],
)
def test_constants_that_do_not_fit_the_resolution(constants: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"img_resolution \d+ does not fit the constants: expected 0 < first_cutoff"):
        generator(**constants)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"z_dim": -1}, "z_dim must be a whole number of at least 0, got -1"),
        ({"z_dim": 0}, "z_dim and c_dim are both 0"),  # with labels the official network takes it
        ({"c_dim": -1}, "c_dim must be a whole number of at least 0, got -1"),
        ({"w_dim": 0}, "w_dim"),
        ({"img_channels": 0}, "img_channels"),
        ({"img_resolution": 32.0}, "img_resolution must be a whole number of at least 0, got 32.0"),
        ({"channel_max": 0}, "channel_max"),
        ({"channel_base": 16, "img_resolution": 64}, "channel_base 16 leaves layers without channels at 64 pixels"),
        ({"num_layers": -1}, "num_layers"),
        ({"margin_size": 0.5}, "margin_size"),
        ({"conv_kernel": 0}, "conv_kernel"),
        ({"filter_size": 2.5}, "filter_size"),
        ({"lrelu_upsampling": True}, "lrelu_upsampling must be a whole number of at least 1, got True"),
    ],
)
def test_sizes_that_are_none(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        generator(**wrong)


def test_numpy_integers_are_sizes() -> None:
    network = generator(img_resolution=np.int64(16), channel_base=np.int32(64))
    layer = SynthesisInput(8, 5, np.int64(9), sampling_rate=8, bandwidth=2)
    assert network.synthesis.img_resolution == 16 and layer.size == (9, 9)
    x, f = torch.randn(1, 2, 6, 6), torch.rand(3)
    assert torch.equal(upfirdn2d(x, f, up=np.int64(2), padding=np.int64(1)), upfirdn2d(x, f, up=2, padding=1))
    torch.testing.assert_close(upfirdn2d(x, f, gain=-4.0), -upfirdn2d(x, f, gain=4.0))


def test_a_stopband_at_the_cutoff_is_legal() -> None:
    assert generator(last_stopband_rel=1)(torch.randn(1, 8)).isfinite().all()


def test_w_avg_is_kept_whatever_its_beta() -> None:
    network = generator(mapping_kwargs={"w_avg_beta": None})
    network.mapping.w_avg.fill_(3)
    assert (network.mapping(torch.randn(1, 8), truncation_psi=0) == 3).all()


def test_bad_keywords() -> None:
    with pytest.raises(ValueError, match="num_critical must be 0 to num_layers - 1 = 13, got 14"):
        generator(num_critical=14)
    with pytest.raises(TypeError, match="channel_bases"):
        generator(channel_bases=3)
    with pytest.raises(ValueError, match="in_sampling_rate must divide the rate of the activation, 6, got 4"):
        SynthesisLayer(8, False, False, False, 3, 3, 8, 8, 4, 6, 1, 1, 1, 1, lrelu_upsampling=1)


def test_bad_shapes() -> None:
    network = generator()
    with pytest.raises(ValueError, match=r"mapping: z must have shape \[N, 8\], got \[1, 9\]"):
        network.mapping(torch.randn(1, 9))
    with pytest.raises(ValueError, match=r"synthesis: ws must have shape \[N, 16, 8\], got \[1, 8\]"):
        network.synthesis(torch.randn(1, 8))
    network.synthesis.input.transform = torch.eye(2)
    with pytest.raises(ValueError, match=r"transform must have shape \[3, 3\], got \[2, 2\]"):
        network.synthesis(torch.randn(1, 16, 8))
    with pytest.raises(nb.BuildError, match=r"synthesis\.input.*transform.*\[3, 3\]; got \[2, 2\]"):
        synthesis_graph(network)


def test_only_stylegan3_has_a_transform_input(tmp_path: Any) -> None:
    from stylegan import v2ada

    G = v2ada.Generator(**SMALL, synthesis_kwargs=FEW).eval()
    with pytest.raises(nb.BuildError, match="only StyleGAN3 networks have a transform"):
        export_generator(G, tmp_path / "m", transform_input=True)
    assert list(tmp_path.iterdir()) == []


def test_keywords_are_the_official_ones() -> None:
    def keywords(cls: type) -> dict[str, Any]:
        parameters = list(inspect.signature(cls).parameters.values())
        return {p.name: p.default for p in parameters if p.default is not p.empty}

    assert keywords(v3.MappingNetwork) == {"num_layers": 2, "lr_multiplier": 0.01, "w_avg_beta": 0.998}
    assert keywords(v3.SynthesisNetwork) == {
        "channel_base": 32768,
        "channel_max": 512,
        "num_layers": 14,
        "num_critical": 2,
        "first_cutoff": 2,
        "first_stopband": 2**2.1,
        "last_stopband_rel": 2**0.3,
        "margin_size": 10,
        "output_scale": 0.25,
        "num_fp16_res": 4,
        "square": True,  # of StyleGAN-Human
        "heads": (),  # of StyleGAN-XL
    }
    assert keywords(SynthesisLayer) == {
        "conv_kernel": 3,
        "filter_size": 6,
        "lrelu_upsampling": 2,
        "use_radial_filters": False,
        "conv_clamp": 256,
        "magnitude_ema_beta": 0.999,
    }
