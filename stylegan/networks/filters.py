"""Low-pass filters of StyleGAN3 (Karras et al. 2021, "Alias-Free Generative Adversarial Networks", appendix C.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stylegan._torch import Tensor, torch
from stylegan.errors import PackageMissing, needs

MAX_TAPS = 1024
"""Official filters have 12 or 24. A checkpoint says the numbers that taps are computed from, and may be wrong."""


def design_lowpass_filter(taps: int, cutoff: float, width: float, fs: float, radial: bool = False) -> Tensor | None:
    """A Kaiser-windowed low-pass filter, float32, of gain 1; None for one tap, which would filter nothing.

    cutoff, width (of the transition band) and fs (the sampling rate) are in the same unit. Separable ones
    are [taps], to be applied along both axes: the numbers of `scipy.signal.firwin`, whose import takes longer than
    anything else in making a small network. Radial ones are [taps, taps]: the jinc function, the impulse response of
    an ideal disc of radius `cutoff`, times the outer product of the window.
    Raises ValueError for numbers that make no filter, PackageMissing for a radial one without scipy.
    """
    nyquist = fs / 2
    if not (1 <= taps <= MAX_TAPS and 0 < cutoff <= nyquist and width >= 0):
        raise ValueError(
            f"design_lowpass_filter: expected taps >= 1 (at most {MAX_TAPS}), 0 < cutoff <= fs / 2 and width >= 0, "
            f"got taps {taps}, cutoff {cutoff}, fs {fs}, width {width}"
        )
    if taps == 1:
        return None
    n: NDArray[np.float64] = np.arange(taps, dtype=np.float64) - (taps - 1) / 2
    window = np.kaiser(taps, kaiser_beta(taps, width / nyquist))
    if radial:
        f = _jinc(n / fs, cutoff) * np.outer(window, window)
    else:
        relative = cutoff / nyquist
        if not 0 < relative < 1:
            raise ValueError(f"design_lowpass_filter: expected cutoff < fs / 2, got cutoff {cutoff}, fs {fs}")
        f = relative * np.sinc(relative * n) * window
    return torch.as_tensor(f / f.sum(), dtype=torch.float32)


def kaiser_beta(taps: int, width: float) -> float:
    """The shape of the window whose transition band is `width`, relative to half the sampling rate.

    Kaiser's formulas, by the attenuation in dB that so many taps reach (Oppenheim and Schafer, section 7.5.3).
    """
    attenuation = 2.285 * (taps - 1) * np.pi * width + 7.95
    if attenuation > 50:
        return 0.1102 * (attenuation - 8.7)
    return 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21) if attenuation > 21 else 0.0


def _jinc(x: NDArray[np.float64], cutoff: float) -> NDArray[np.float64]:
    try:
        import scipy.special  # here: only StyleGAN3-R has such filters
    except ModuleNotFoundError as error:
        raise PackageMissing(needs(error.name)) from None

    r = np.hypot(*np.meshgrid(x, x))
    centre = r == 0  # of an odd number of taps: the limit is pi cutoff^2
    r[centre] = 1
    f: NDArray[np.float64] = np.where(centre, np.pi * cutoff**2, scipy.special.j1(2 * np.pi * cutoff * r) * cutoff / r)
    return f
