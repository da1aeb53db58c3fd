from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from .sample import Sample, samples

_SOUND = ((60,),)
_HANN, _HAMMING, _BLACKMAN = torch.hann_window(16), torch.hamming_window(12), torch.blackman_window(16)


def _stft(x: torch.Tensor, n: int = 16, hop: int = 4, window: Any = _HANN, **more: Any) -> torch.Tensor:
    size = n if window is None else window.numel()
    return torch.stft(x, n, hop, size, window, return_complex=True, **more)


def _istft(x: torch.Tensor, n: int = 16, hop: int = 4, window: Any = _HANN, **more: Any) -> torch.Tensor:
    return torch.istft(torch.view_as_complex(x), n, hop, window.numel(), window, **more)


def _power(x: torch.Tensor) -> torch.Tensor:
    """As torchaudio's spectrogram has it, by the window's length."""
    y = _stft(x.reshape(-1, x.shape[-1]))
    y = y.reshape(x.shape[:-1] + y.shape[-2:])
    y /= _HANN.pow(2.0).sum().sqrt()
    return y.abs().pow(2.0)


def _changed(x: torch.Tensor) -> torch.Tensor:
    """A spectrum whose magnitudes are changed: back from magnitude and angle."""
    y = _stft(x)
    size, angle = y.abs(), y.angle()
    return torch.view_as_real(torch.complex(size.sqrt() * angle.cos(), size.sqrt() * angle.sin()))


SAMPLES: list[Sample] = [
    *samples("stft", lambda x: torch.view_as_real(_stft(x)), _SOUND, ((1, 60),), ((3, 60),)),
    *samples("magnitude", lambda x: _stft(x).abs(), _SOUND, ((1, 60),), ((3, 60),)),
    Sample("plain", lambda x: _stft(x, window=None, center=False).abs(), _SOUND),
    Sample("normalized", lambda x: torch.view_as_real(_stft(x, window=_HAMMING, normalized=True)), _SOUND),
    Sample("all-frequencies", lambda x: torch.view_as_real(_stft(x, onesided=False)), _SOUND),
    *(
        Sample(
            f"border-{mode}", lambda x, mode=mode: _stft(x, n=15, window=torch.ones(15), pad_mode=mode).abs(), _SOUND
        )
        for mode in ("constant", "replicate", "reflect")
    ),
    Sample("border-circular", lambda x: _stft(x, pad_mode="circular").abs(), _SOUND),
    Sample("another-window", lambda x: torch.view_as_real(_stft(x, window=_BLACKMAN)), ((2, 60),)),
    Sample("another-magnitude", lambda x: _stft(x, window=_BLACKMAN, normalized=True, onesided=False).abs(), _SOUND),
    *samples("power", _power, _SOUND, ((2, 60),)),
    Sample("scaled", lambda x: (_stft(x) * 0.5).transpose(0, 1).abs(), _SOUND),
    Sample("real", lambda x: _stft(x).real, _SOUND),
    Sample("imaginary", lambda x: _stft(x).unsqueeze(0).permute(0, 2, 1).imag, _SOUND),
    Sample("shapes", lambda x: _stft(x).clone().reshape(1, -1, 3).flatten(1).squeeze(0).abs(), ((64,),)),
    Sample("changed", _changed, _SOUND, 1e-3),
    Sample(
        "inner-center",
        lambda x: torch.ops.aten.stft.center(x, 16, 4, 16, _HANN, True, "reflect", False, True, True).abs(),
        _SOUND,
    ),
    *samples("istft", _istft, ((9, 6, 2),), ((1, 9, 6, 2),), ((2, 9, 6, 2),)),
    Sample("istft-normalized", lambda x: _istft(x, window=_HAMMING, normalized=True), ((9, 6, 2),)),
    Sample("istft-length", lambda x: _istft(x, length=17), ((9, 6, 2),)),
    Sample(
        "istft-complex",
        lambda x: torch.view_as_real(
            _istft(x, window=torch.ones(16), center=False, onesided=False, return_complex=True)
        ),
        ((16, 6, 2),),
    ),
    Sample("there-and-back", lambda x: _istft(torch.view_as_real(_stft(x))), _SOUND),
    Sample("mel", lambda x: torch.log(torch.matmul(torch.linspace(0, 1, 36).view(4, 9), _power(x)) + 1), ((1, 60),)),
    Sample("padded-first", lambda x: _stft(F.pad(x, (5, 3))).abs(), _SOUND),
]
