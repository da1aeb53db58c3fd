"""Low-pass filters of StyleGAN3 (Karras et al. 2021, "Alias-Free Generative Adversarial Networks", appendix C.1)."""

from __future__ import annotations

import numpy as np

from stylegan._torch import Tensor, torch
from stylegan.errors import PackageMissing, needs

MAX_TAPS = 1024
"""Official filters have 12 or 24. A checkpoint says the numbers that taps are computed from, and may be wrong."""


def design_lowpass_filter(taps: int, cutoff: float, width: float, fs: float, radial: bool = False) -> Tensor | None:
    """A Kaiser-windowed low-pass filter, float32, of gain 1; None for one tap, which would filter nothing.

    cutoff, width (of the transition band) and fs (the sampling rate) are in the same unit. Separable ones
    are [taps], to be applied along both axes: `scipy.signal.firwin`. Radial ones are [taps, taps]: the jinc
    function, the impulse response of an ideal disc of radius `cutoff`, times the outer product of the window.
    Raises ValueError for numbers that make no filter, PackageMissing without scipy.
    """
    try:  # here: the import takes longer than all filters of a network
        import scipy.signal
        import scipy.special
    except ModuleNotFoundError as error:
        raise PackageMissing(needs(error.name)) from None

    if not (1 <= taps <= MAX_TAPS and 0 < cutoff <= fs / 2 and width >= 0):
        raise ValueError(
            f"design_lowpass_filter: expected taps >= 1 (at most {MAX_TAPS}), 0 < cutoff <= fs / 2 and width >= 0, "
            f"got taps {taps}, cutoff {cutoff}, fs {fs}, width {width}"
        )
    if taps == 1:
        return None
    if not radial:
        return torch.as_tensor(scipy.signal.firwin(taps, cutoff, width=width, fs=fs), dtype=torch.float32)
    x = (np.arange(taps) - (taps - 1) / 2) / fs
    r = np.hypot(*np.meshgrid(x, x))
    centre = r == 0  # of an odd number of taps: the limit is pi cutoff^2
    r[centre] = 1
    f = np.where(centre, np.pi * cutoff**2, scipy.special.j1(2 * np.pi * cutoff * r) * cutoff / r)
    beta = scipy.signal.kaiser_beta(scipy.signal.kaiser_atten(taps, width / (fs / 2)))
    window = np.kaiser(taps, beta)
    f = f * np.outer(window, window)
    return torch.as_tensor(f / f.sum(), dtype=torch.float32)
