"""Sounds and their spectra, short time by short time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..builder import ValueLike, append, integer, one
from ..errors import BuildError
from ..ir import Graph, Shape, Values
from ..opspec import Derived, OpSpec, Param, Sample, Tolerance, dsl, register, same_as, spec_of
from .common import functional, need, need_rank

_WINDOWS = ("ones", "hann", "hamming")
_PADS = ("constant", "replicate", "reflect")
_NORMS = (None, "frame_length", "window")
_POWERS = (None, 1, 2)
_RETURNS = ("complex", "real", "imag")
_HOP = Derived("n_fft / 4", lambda params: params["n_fft"] // 4)


def _window(p: Any, like: Any) -> Any:
    """The window of n_fft numbers, its winlen in the middle of zeros."""
    import torch

    n, winlen = p["n_fft"], p["winlen"]
    turns = 2 * np.pi * np.arange(winlen) / winlen
    kinds = (np.ones(winlen), 0.5 - 0.5 * np.cos(turns), 0.54 - 0.46 * np.cos(turns))
    before = (n - winlen) // 2
    padded = np.pad(kinds[p["window_type"]], (before, n - winlen - before))
    return torch.as_tensor(padded, dtype=like.dtype)


def _check(p: Any) -> None:
    n = p["n_fft"]
    need(1 <= n <= 1 << 16, "bad size", argument="n_fft", expected="1 to 65536", got=n)
    need(1 <= p["winlen"] <= n, "bad window", argument="win_length", expected=f"1 to {n}", got=p["winlen"])
    need(p["hoplen"] >= 1, "bad step", argument="hop_length", expected=">= 1", got=p["hoplen"])
    need(p["window_type"] in (0, 1, 2), "unknown window", argument="window", got=p["window_type"])
    need(p["normalized"] in (0, 1, 2), "unknown norm", argument="normalized", got=p["normalized"])


@register
class Spectrogram(OpSpec):
    """Spectra of overlapping parts of a sound: [n] -> [freqs, frames], or [freqs, frames, 2] as (re, im) for power 0.

    Each part of n_fft numbers, hoplen apart, times the window, transformed; power 1: magnitude, 2: its square.
    center: n_fft / 2 numbers of border on both sides. normalized: 1 by 1 / sqrt(n_fft), 2 by the window's length.
    onesided: n_fft / 2 + 1 frequencies, else n_fft. ncnn: spectrogram.cpp, in the form of torchaudio's spectrogram.
    """

    type = "Spectrogram"
    params = (
        Param("n_fft", 0, "int", "numbers that are transformed together"),
        Param("power", 1, "int", "0 complex, 1 magnitude, 2 its square"),
        Param("hoplen", 2, "int", "step from one to the next", _HOP),
        Param("winlen", 3, "int", "numbers inside the window", same_as("n_fft")),
        Param("window_type", 4, "int", "0 ones, 1 hann, 2 hamming"),
        Param("center", 5, "int", "1: with a border", 1),
        Param("pad_type", 6, "int", "the border: 0 zeros, 1 replicate, 2 reflect", 2),
        Param("normalized", 7, "int", "0 no, 1 by the size, 2 by the window"),
        Param("onesided", 8, "int", "1: only half of the frequencies", 1),
    )
    limits = (
        "power in (0, 1, 2)",
        "1 <= n_fft <= 1048576",
        "1 <= winlen <= n_fft",
        "hoplen >= 1",
        "window_type in (0, 1, 2)",
        "normalized in (0, 1, 2)",
        "center != 1 or pad_type in (0, 1, 2)",
        "x.rank == 1",
        "n_fft <= x.w + (n_fft // 2 * 2 if center == 1 else 0)",
        "center != 1 or pad_type != 2 or n_fft // 2 < x.w",
        "n_fft * ((x.w + n_fft) // hoplen + 1) <= int_max / 2",
        "n_fft**2 * ((x.w + n_fft) // hoplen + 1) <= work",
    )
    tolerance = Tolerance(2e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        p = params
        need_rank(inputs[0], (1,), "x")
        _check(p)
        need(p["power"] in (0, 1, 2), "unknown power", argument="power", expected="0, 1, 2", got=p["power"])
        need(p["pad_type"] in (0, 1, 2), "unknown border", argument="pad_mode", got=p["pad_type"])
        border = p["n_fft"] // 2 if p["center"] else 0
        fits = border < inputs[0][0] or not p["center"] or p["pad_type"] != 2
        need(fits, "a reflection wider than x", argument="x", expected=f"more than {border}", got=inputs[0])
        frames = (inputs[0][0] + 2 * border - p["n_fft"]) // p["hoplen"] + 1
        need(frames >= 1, "x is too short", argument="x", expected=f"{p['n_fft']} numbers", got=inputs[0])
        freqs = p["n_fft"] // 2 + 1 if p["onesided"] else p["n_fft"]
        return [(freqs, frames, 2) if p["power"] == 0 else (freqs, frames)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        p, n, x = params, params["n_fft"], inputs[0]
        if p["center"]:
            mode = _PADS[p["pad_type"]]
            x = functional().pad(x[None, None], (n // 2, n // 2), mode)[0, 0]
        window = _window(p, x)
        spectra = torch.fft.fft(x.unfold(0, n, p["hoplen"]).double() * window.double()).T
        spectra = spectra[: n // 2 + 1] if p["onesided"] else spectra
        norms = (1.0, n**-0.5, float(window.double().square().sum()) ** -0.5)
        spectra = spectra * norms[p["normalized"]]
        if p["power"] == 0:
            return [torch.view_as_real(spectra).to(x.dtype)]
        return [(spectra.abs() ** p["power"]).to(x.dtype)]

    def samples(self) -> list[Sample]:
        import torch

        def sample(n: int, n_fft: int, **kw: Any) -> Sample:
            name = "-".join(f"{k}{v}" for k, v in kw.items())
            kinds: dict[str, Any] = {"hann": torch.hann_window, "hamming": torch.hamming_window, "ones": torch.ones}
            winlen = kw.get("win_length", n_fft)
            window = kinds[kw.get("window", "hann")](winlen)

            def torch_spectrum(x: Any) -> Any:
                y = torch.stft(
                    x,
                    n_fft,
                    kw.get("hop_length"),
                    winlen,
                    window,
                    kw.get("center", True),
                    kw.get("pad_mode", "reflect"),
                    kw.get("normalized") == "frame_length",
                    kw.get("onesided", True),
                    return_complex=True,
                )
                if kw.get("normalized") == "window":
                    y = y / window.square().sum().sqrt()
                power = kw.get("power", 2)
                return torch.view_as_real(y) if power is None else y.abs() ** power

            build = lambda g, x: spectrogram(g, x, n_fft, **kw)
            return Sample(f"spectrum-{n}-{n_fft}-{name}", ((n,),), build, torch_spectrum)

        return [
            sample(40, 16),
            sample(40, 16, power=None, hop_length=5),
            sample(37, 12, power=1, window="hamming", hop_length=3, win_length=8),
            sample(40, 16, window="ones", center=False, normalized="window"),
            sample(64, 32, pad_mode="constant", normalized="frame_length", onesided=False),
            sample(33, 10, pad_mode="replicate", power=None, onesided=False),
            sample(8, 8, hop_length=8, center=False),
        ]


@dsl
def spectrogram(
    g: Graph,
    bottom_names: ValueLike,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: str = "hann",
    power: int | None = 2,
    normalized: str | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    onesided: bool = True,
) -> Values:
    """torchaudio's spectrogram of a sound [n]: [freqs, frames], or [freqs, frames, 2] as (re, im) for power None.

    window: ones, hann, hamming, of win_length (n_fft), every hop_length (n_fft / 4). power: None, 1, 2. normalized:
    None, frame_length (1 / sqrt(n_fft)) or window (1 / its length). pad_mode, if center: constant, replicate, reflect.
    """
    _known("Spectrogram", "pad_mode", pad_mode, _PADS)
    _known("Spectrogram", "power", power, _POWERS)
    params = {
        **_common("Spectrogram", n_fft, hop_length, win_length, window, normalized, center),
        "power": _POWERS.index(power),
        "pad_type": _PADS.index(pad_mode),
        "onesided": int(onesided),
    }
    return append(g, spec_of("Spectrogram"), one(bottom_names), params)


def _known(op: str, argument: str, got: object, names: Sequence[object]) -> None:
    if got not in names:
        raise BuildError("unknown name", op=op, argument=argument, expected=list(names), got=got)


def _common(
    op: str, n_fft: Any, hop_length: Any, win_length: Any, window: str, normalized: str | None, center: bool
) -> dict[str, Any]:
    _known(op, "window", window, _WINDOWS)
    _known(op, "normalized", normalized, _NORMS)
    n = integer(n_fft, "n_fft")
    return {
        "n_fft": n,
        "hoplen": n // 4 if hop_length is None else integer(hop_length, "hop_length"),
        "winlen": n if win_length is None else integer(win_length, "win_length"),
        "window_type": _WINDOWS.index(window),
        "center": int(center),
        "normalized": _NORMS.index(normalized),
    }


@register
class InverseSpectrogram(OpSpec):
    """The sound of such spectra: [freqs, frames, 2] -> [n], by overlapping parts. ncnn: inversespectrogram.cpp.

    freqs is n_fft / 2 + 1, or n_fft. Each part is transformed back, times the window, added up, and divided by the sum
    of the squares of the windows where that is not 0. center: n_fft / 2 numbers are left out on both sides. returns: 0
    [n, 2] as (re, im), 1 re, 2 im. In the form of torch's istft.
    """

    type = "InverseSpectrogram"
    params = (
        Param("n_fft", 0, "int", "numbers that are transformed together"),
        Param("returns", 1, "int", "0 complex, 1 re, 2 im"),
        Param("hoplen", 2, "int", "step from one to the next", _HOP),
        Param("winlen", 3, "int", "numbers inside the window", same_as("n_fft")),
        Param("window_type", 4, "int", "0 ones, 1 hann, 2 hamming"),
        Param("center", 5, "int", "1: spectra with a border", 1),
        Param("normalized", 7, "int", "0 no, 1 by the size, 2 by the window"),
    )
    limits = (
        "returns in (0, 1, 2)",
        "1 <= n_fft <= 1048576",
        "1 <= winlen <= n_fft",
        "hoplen >= 1",
        "window_type in (0, 1, 2)",
        "normalized in (0, 1, 2)",
        "x.rank == 3 and x.w == 2",
        "x.c == n_fft or x.c == n_fft // 2 + 1",
        "(x.h - 1) * hoplen + (n_fft % 2 if center != 0 else n_fft) >= 1",
        "2 * (x.h * hoplen + 2 * n_fft) <= int_max",
        "n_fft**2 * x.h <= work",
    )
    tolerance = Tolerance(5e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        p, x = params, inputs[0]
        need_rank(x, (3,), "x")
        _check(p)
        need(p["returns"] in (0, 1, 2), "unknown kind", argument="returns", expected="0, 1, 2", got=p["returns"])
        n = p["n_fft"]
        fits = x[0] in (n, n // 2 + 1) and x[2] == 2
        need(fits, "wrong shape", argument="x", expected=f"[{n // 2 + 1} or {n}, frames, 2]", got=list(x))
        size = (x[1] - 1) * p["hoplen"] + (n % 2 if p["center"] else n)
        need(size >= 1, "too few frames", argument="x", expected="2 frames or more", got=list(x))
        return [(size, 2) if p["returns"] == 0 else (size,)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        p, x, n = params, inputs[0], params["n_fft"]
        window = _window(p, x).double()
        spectra = torch.view_as_complex(x.double().contiguous())
        if x.shape[0] != n:
            spectra = torch.cat([spectra, spectra[1 : n - n // 2].flip(0).conj()])
        norms = (1.0, n**0.5, float(window.square().sum()) ** 0.5)
        parts = torch.fft.ifft(spectra * norms[p["normalized"]], dim=0) * window[:, None]
        length = (x.shape[1] - 1) * p["hoplen"] + n
        y, total = torch.zeros(length, dtype=parts.dtype), torch.zeros(length, dtype=torch.float64)
        for j in range(x.shape[1]):
            at = slice(j * p["hoplen"], j * p["hoplen"] + n)
            y[at] += parts[:, j]
            total[at] += window.square()
        first = n // 2 if p["center"] else 0
        size = self.infer([tuple(x.shape)], p, {})[0][0]
        y = (y / torch.where(total == 0, 1.0, total))[first : first + size]
        kinds = {0: torch.view_as_real(y), 1: y.real, 2: y.imag}
        return [kinds[p["returns"]].to(x.dtype)]

    def samples(self) -> list[Sample]:
        import torch

        def sample(freqs: int, frames: int, n_fft: int, **kw: Any) -> Sample:
            name = "-".join(f"{k}{v}" for k, v in kw.items())
            return Sample(
                f"sound-{freqs}-{frames}-{n_fft}-{name}",
                ((freqs, frames, 2),),
                lambda g, x: inverse_spectrogram(g, x, n_fft, **kw),
            )

        def back(n_fft: int, hop: int, frames: int, norm: bool) -> Sample:
            """What torch makes of a spectrum that has a sound: numbers that no sound has, torch takes otherwise."""

            def torch_sound(x: Any) -> Any:
                return torch.istft(
                    torch.view_as_complex(x), n_fft, hop, window=torch.hann_window(n_fft), normalized=norm
                )

            return Sample(
                f"istft-{n_fft}-{hop}-{frames}-{norm}",
                (((frames - 1) * hop,),),
                lambda g, x: inverse_spectrogram(
                    g,
                    spectrogram(g, x, n_fft, hop, power=None, normalized="frame_length" if norm else None),
                    n_fft,
                    hop,
                    normalized="frame_length" if norm else None,
                ),
                lambda x: torch_sound(
                    torch.view_as_real(
                        torch.stft(x, n_fft, hop, window=torch.hann_window(n_fft), normalized=norm, return_complex=True)
                    )
                ),
            )

        return [
            back(16, 4, 9, False),
            back(12, 3, 7, True),
            sample(9, 5, 16),
            sample(16, 5, 16, returns="complex"),
            sample(9, 4, 16, returns="imag", center=False, window="hamming"),
            sample(6, 5, 10, normalized="window", hop_length=3, win_length=8),
            sample(5, 4, 9, window="ones", hop_length=2),
        ]


@dsl
def inverse_spectrogram(
    g: Graph,
    bottom_names: ValueLike,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: str = "hann",
    returns: str = "real",
    normalized: str | None = None,
    center: bool = True,
) -> Values:
    """The sound [n] of a spectrum [freqs, frames, 2] as (re, im), as torch's istft.

    returns: real, imag, or complex, which is [n, 2]. The other arguments are those of spectrogram(); freqs is
    n_fft / 2 + 1 or n_fft.
    """
    _known("InverseSpectrogram", "returns", returns, _RETURNS)
    common = _common("InverseSpectrogram", n_fft, hop_length, win_length, window, normalized, center)
    return append(g, spec_of("InverseSpectrogram"), one(bottom_names), {**common, "returns": _RETURNS.index(returns)})
