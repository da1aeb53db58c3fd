"""Samples of converters/fourier.py."""

from __future__ import annotations

from typing import Any

import torch

from .sample import Sample, samples


def _filtered(x: torch.Tensor, weight: torch.Tensor) -> Any:
    """Patches times weights of their waves, as FFTformer has it."""
    c, h, w = x.shape
    y = torch.fft.rfft2(x.view(c, h // 8, 8, w // 8, 8).permute(0, 1, 3, 2, 4)) * weight
    return torch.fft.irfft2(y, s=(8, 8)).permute(0, 1, 3, 2, 4).reshape(c, h, w)


def _odd(x: torch.Tensor, weight: torch.Tensor) -> Any:
    return torch.fft.irfft2(torch.fft.rfft2(x) * weight, s=x.shape[-2:])


def _convolved(x: torch.Tensor, y: torch.Tensor) -> Any:
    return torch.fft.irfftn(torch.fft.rfftn(x, dim=(-2, -1)) * torch.fft.rfftn(y, dim=(-2, -1)), dim=(-2, -1))


_TURN = torch.polar(torch.ones(6), torch.linspace(0, 2, 6))

SAMPLES: list[Sample] = [
    *samples("patches", _filtered, ((3, 16, 32), (3, 1, 1, 8, 5))),
    *samples("odd", _odd, ((2, 5, 7), (1, 5, 4))),
    *samples("convolved", _convolved, ((2, 3, 4, 6), (2, 3, 4, 6)), ((1, 2, 20, 24), (1, 2, 20, 24))),
    *samples("rfft", lambda x: torch.view_as_real(torch.fft.rfft(x, dim=1, norm="ortho")), ((2, 9, 3),)),
    *samples("rfftn", lambda x: torch.view_as_real(torch.fft.rfftn(x, dim=(1, 2), norm="forward")), ((2, 18, 20, 3),)),
    *samples("irfft", lambda x: torch.fft.irfft(torch.fft.rfft(x), n=7), ((3, 7),)),
    *samples("fft", lambda x: torch.view_as_real(torch.fft.fft(torch.fft.fft(x), dim=0)), ((2, 6),)),
    *samples("ifft", lambda x: torch.view_as_real(torch.fft.ifft(torch.fft.fft(x) * _TURN)), ((2, 6),)),
    *samples(
        "twice", lambda x: torch.fft.fft2(torch.fft.ifft2(x)).real + torch.fft.fftn(torch.fft.ifftn(x)).real, ((3, 4),)
    ),
    *samples("fft2", lambda x: torch.fft.ifft2(torch.fft.fft2(x) * _TURN).real, ((3, 5, 6),)),
    *samples("fftn", lambda x: torch.fft.ifftn(torch.fft.fftn(x, s=(5, 6), norm="ortho")).abs(), ((2, 5, 6),)),
    Sample("negative", lambda x: (torch.fft.ifft(x) * -2.0).imag, ((2, 6),)),
]
