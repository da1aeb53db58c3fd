"""Sounds and spectra. ncnn's layer knows three windows; with others a spectrum is a convolution, by every wave."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from ...errors import BuildError
from ...ir import Graph, Value
from ...ops.arithmetic.binary import binaryOp
from ...ops.arithmetic.unary import unaryOp
from ...ops.common import need
from ...ops.convolutions.conv_modules import conv1d
from ...ops.shapes.crop import crop
from ...ops.shapes.pad import pad
from ...ops.signal import inverse_spectrogram, spectrogram
from ..blobs import elementwise, reshaped, sample, view
from ..broadcast import together
from ..complex_numbers import Complex, on_complex
from ..layout import Shape, Tensor, permuted, tensor
from ..registry import Call, on_tensors
from .parts import joined, part

_WINDOWS: dict[str, Callable[[int], torch.Tensor]] = {
    "ones": torch.ones,
    "hann": torch.hann_window,
    "hamming": torch.hamming_window,
}
_NEAR = 1e-6
_PADS = ("constant", "replicate", "reflect")


# -- spectra ----------------------------------------------------------------------------------------------------


@on_tensors("aten.stft.default")
def _stft(
    g: Graph,
    node: Call,
    x: Tensor,
    n_fft: int,
    hop: int | None,
    winlen: int | None,
    window: Any,
    normalized: bool,
    onesided: bool | None,
    return_complex: bool | None,
    align: Any = None,
) -> Any:
    return _spectrum(g, node, x, n_fft, hop, winlen, window, None, normalized, onesided, return_complex)


@on_tensors("aten.stft.center")
def _stft_center(
    g: Graph,
    node: Call,
    x: Tensor,
    n_fft: int,
    hop: int | None,
    winlen: int | None,
    window: Any,
    center: bool,
    mode: str,
    normalized: bool,
    onesided: bool | None,
    return_complex: bool | None,
    align: Any = None,
) -> Any:
    border = mode if center else None
    return _spectrum(g, node, x, n_fft, hop, winlen, window, border, normalized, onesided, return_complex)


def _spectrum(
    g: Graph,
    node: Call,
    x: Tensor,
    n_fft: int,
    hop: int | None,
    winlen: int | None,
    window: Any,
    border: str | None,
    normalized: bool,
    onesided: bool | None,
    return_complex: bool | None,
) -> Any:
    """border: how x is continued on both sides by n_fft / 2; None: not."""
    need(window is None or isinstance(window, torch.Tensor), "a window that is computed", argument="window", got=window)
    winlen, hop = winlen or n_fft, hop or n_fft // 4
    held = torch.ones(winlen) if window is None else window.float()
    name, half = _name_of(held), onesided is not False
    n = x.shape[0] if x.rank == 2 else 1
    made: dict[tuple[str, float], Tensor] = {}
    shape: Shape = node.shape if return_complex else node.shape[:-1]

    def layer(kind: str, factor: float) -> Tensor:
        sound = sample(g, x, 1)
        center, mode = border is not None, border or "constant"
        norm = float(held.double().square().sum()) ** -0.5
        how = "frame_length" if normalized else None
        if not normalized and abs(factor / norm - 1) < _NEAR:
            how, factor = "window", 1.0
        if name is None:
            y = _by_convolution(g, sound, n_fft, hop, held, border, normalized, half)  # [freqs, 2, frames]
            t = permuted(tensor(y, (n, y.shape[0], 2, y.shape[2]), torch.float32, n), (0, 1, 3, 2))
            t = view(g, t, (*shape, 2))
            t = t if kind == "parts" else magnitude(g, t)
        else:
            if border is None and (around := _continued(sound, n_fft)) is not None:
                sound, center, mode = reshaped(g, around[0], (math.prod(around[0].shape),)), True, around[1]
            power = None if kind == "parts" else 1
            y = spectrogram(g, sound, n_fft, hop, winlen, name, power, how, center, mode, half)[0]
            t = tensor(y, (*shape, *((2,) if kind == "parts" else ())), torch.float32, n)
        return t if factor == 1 else elementwise(t, lambda v: binaryOp(g, [v, factor], "Mul"))

    def make(kind: str, factor: float) -> Tensor:
        if (kind, factor) not in made:
            made[kind, factor] = layer(kind, factor)
        return made[kind, factor]

    spectrum = Complex(shape, torch.complex64, make)
    return spectrum if return_complex else spectrum.parts


def _name_of(window: torch.Tensor) -> str | None:
    n = window.numel()
    return next((k for k, f in _WINDOWS.items() if torch.allclose(window, f(n), rtol=0, atol=_NEAR)), None)


def _continued(x: Value, n_fft: int) -> tuple[Value, str] | None:
    """What x is the continuation of, by n_fft / 2 on both sides, and how: torch.stft() makes it so before the layer."""
    node = x.producer
    while node is not None and node.spec.type == "Reshape" and len(node.inputs) == 1:
        node = node.inputs[0].producer
    if node is None or node.spec.type != "Padding" or math.prod(node.inputs[0].shape) != node.inputs[0].shape[-1]:
        return None
    p, sides = node.params, ("left", "right", "top", "bottom", "front", "behind")
    fits = [p[side] for side in sides] == [n_fft // 2, n_fft // 2, 0, 0, 0, 0] and not p["per_channel_pad_data_size"]
    mode = _PADS[p["mode"]]
    return (node.inputs[0], mode) if fits and (p["mode"] or p["value"] == 0) else None


def _by_convolution(
    g: Graph, x: Value, n_fft: int, hop: int, window: torch.Tensor, border: str | None, normalized: bool, half: bool
) -> Value:
    """The spectrum [freqs, 2, frames] of x [n]: its parts times the window times each wave."""
    if border is not None:
        modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
        need(border in modes, "unknown border", argument="pad_mode", expected=list(modes), got=border)
        x = pad(g, x, left=n_fft // 2, right=n_fft // 2, mode=modes[border])[0]
    before = (n_fft - window.numel()) // 2
    whole = torch.zeros(n_fft, dtype=torch.float64)
    whole[before : before + window.numel()] = window.double()
    freqs = n_fft // 2 + 1 if half else n_fft
    turns = 2 * math.pi / n_fft * (torch.arange(freqs)[:, None] * torch.arange(n_fft) % n_fft).double()
    waves = torch.stack([turns.cos(), -turns.sin()], 1) * whole * (n_fft**-0.5 if normalized else 1.0)
    weight = waves.reshape(2 * freqs, 1, n_fft).float()
    sizes = {"stride": (hop,), "padding": (0,), "dilation": (1,), "groups": 1, "padding_mode": "zeros"}
    y = conv1d(g, reshaped(g, x, (1, x.shape[-1])), SimpleNamespace(weight=weight, bias=None, **sizes))[0]
    return reshaped(g, y, (freqs, 2, y.shape[1]))


@on_complex("aten.istft")
def _istft(
    g: Graph,
    node: Call,
    x: Complex,
    n_fft: int,
    hop: int | None,
    winlen: int | None,
    window: Any,
    center: bool,
    normalized: bool,
    onesided: bool | None,
    length: int | None,
    return_complex: bool,
) -> Any:
    winlen, hop = winlen or n_fft, hop or n_fft // 4
    need(window is None or isinstance(window, torch.Tensor), "a window that is computed", argument="window", got=window)
    name = "ones" if window is None else _name_of(window.float())
    if name is None:
        raise BuildError("a window that ncnn does not have", argument="window", expected=list(_WINDOWS), got="another")
    parts = x.parts
    n = parts.shape[0] if parts.rank == 4 else 1
    how, returns = "frame_length" if normalized else None, "complex" if return_complex else "real"
    y = inverse_spectrogram(g, sample(g, parts, 3), n_fft, hop, winlen, name, returns, how, center)[0]
    wanted, got = node.shape[-1], y.shape[0]
    need(wanted <= got, "a sound longer than its spectra", argument="length", expected=f"<= {got}", got=length)
    if wanted < got:
        y = crop(g, y, (0,), (wanted,), (0,))[0]
    shape = (*node.shape, *((2,) if return_complex else ()))
    t = tensor(y, shape, torch.float32, n)
    return of_parts(g, t) if return_complex else t


# -- complex numbers --------------------------------------------------------------------------------------------


def magnitude(g: Graph, parts: Tensor) -> Tensor:
    """sqrt(re^2 + im^2) of [..., 2]."""
    squares = [elementwise(_half(g, parts, i), lambda v: unaryOp(g, v, "square")) for i in (0, 1)]
    total = together(
        g, squares[0], squares[1], lambda a, b: binaryOp(g, [a, b], "Add")[0], squares[0].shape, torch.float32
    )
    return elementwise(total, lambda v: unaryOp(g, v, "sqrt"))


def _half(g: Graph, parts: Tensor, i: int) -> Tensor:
    return view(g, part(g, parts, parts.rank - 1, i, i + 1), parts.shape[:-1])


def of_parts(g: Graph, parts: Tensor) -> Complex:
    """The complex tensor of [..., 2]."""

    def make(kind: str, factor: float) -> Tensor:
        t = parts if kind == "parts" else magnitude(g, parts)
        return t if factor == 1 else elementwise(t, lambda v: binaryOp(g, [v, factor], "Mul"))

    return Complex(parts.shape[:-1], torch.complex64, make)


@on_tensors("aten.view_as_complex")
def _view_as_complex(g: Graph, node: Call, x: Tensor) -> Complex:
    return of_parts(g, x)


@on_tensors("aten.complex")
def _complex(g: Graph, node: Call, re: Any, im: Any) -> Complex:
    need(
        isinstance(re, Tensor) and isinstance(im, Tensor), "a constant part", argument="imag", expected="both computed"
    )
    shape = node.shape
    return of_parts(g, joined(g, [view(g, t, (*shape, 1)) for t in (re, im)], len(shape)))


@on_complex("aten.view_as_real")
def _view_as_real(g: Graph, node: Call, x: Complex) -> Tensor:
    return x.parts


@on_complex("aten.abs")
def _abs(g: Graph, node: Call, x: Complex) -> Tensor:
    return x.make("abs", 1.0)


@on_complex("aten.real")
def _real(g: Graph, node: Call, x: Complex) -> Tensor:
    return _half(g, x.parts, 0)


@on_complex("aten.imag")
def _imag(g: Graph, node: Call, x: Complex) -> Tensor:
    return _half(g, x.parts, 1)


@on_complex("aten.angle")
def _angle(g: Graph, node: Call, x: Complex) -> Tensor:
    re, im = (_half(g, x.parts, i) for i in (0, 1))
    return together(g, im, re, lambda a, b: binaryOp(g, [a, b], "Atan2")[0], re.shape, torch.float32)


@on_complex("aten.div")
def _divided(g: Graph, node: Call, x: Any, by: Any) -> Complex:
    """By one positive real number."""
    number = by.item() if isinstance(by, torch.Tensor) and by.numel() == 1 else by
    fits = isinstance(x, Complex) and isinstance(number, (int, float)) and number > 0 and node.shape == x.shape
    need(fits, "complex numbers divided by others", expected="a positive real number", got=by)
    return scaled(x, 1 / float(number), node)


def scaled(x: Complex, factor: float, node: Call) -> Complex:
    """Times a positive real number."""
    need(node.shape == x.shape, "complex numbers that are broadcast", expected=list(node.shape), got=list(x.shape))
    return Complex(x.shape, x.dtype, lambda kind, more: x.make(kind, more * factor))


@on_complex(
    *("aten.view", "aten.reshape", "aten._unsafe_view", "aten.flatten", "aten.squeeze", "aten.unsqueeze"),
    *("aten.clone", "aten.contiguous", "aten.alias", "aten.detach", "aten.resolve_conj", "aten.resolve_neg"),
)
def _same_numbers(g: Graph, node: Call, x: Complex, *sizes: Any) -> Complex:
    shape = node.shape
    return Complex(shape, x.dtype, lambda kind, f: view(g, x.make(kind, f), (*shape, *((2,) * (kind == "parts")))))


@on_complex("aten.transpose.int")
def _transpose(g: Graph, node: Call, x: Complex, a: int, b: int) -> Complex:
    dims = list(range(len(x.shape)))
    a, b = a % len(dims), b % len(dims)
    dims[a], dims[b] = b, a
    return _permuted(node, x, dims)


@on_complex("aten.permute")
def _permute(g: Graph, node: Call, x: Complex, dims: Any) -> Complex:
    return _permuted(node, x, [d % len(x.shape) for d in dims])


def _permuted(node: Call, x: Complex, order: Sequence[int]) -> Complex:
    behind: dict[str, list[int]] = {"parts": [len(order)], "abs": []}
    return Complex(node.shape, x.dtype, lambda kind, f: permuted(x.make(kind, f), (*order, *behind[kind])))
