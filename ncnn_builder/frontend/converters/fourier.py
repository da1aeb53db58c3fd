"""Fourier transforms of fixed size, as products with matrices: ncnn has no layer for them.

The transform along axes of n numbers is one matrix of what torch makes of each unit vector: over all axes at once
where they are few numbers, as of patches of 8 x 8, else axis after axis. Each size has a matrix of its own, so that an
open one has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ...errors import BuildError
from ...ir import Graph
from ...ops.common import need
from ...sizes import OpenSizeError, Size
from ..blobs import view
from ..broadcast import arithmetic
from ..complex_numbers import Complex, on_complex
from ..layout import Shape, Tensor, permuted
from ..registry import Call, on_tensors
from .matrix import product
from .parts import joined, part
from .spectral import of_parts, scaled

AT_ONCE = 256
"""Numbers of all axes that become one matrix."""
LONGEST = 2048
"""Numbers along an axis: a matrix has four times its square."""
Step = Callable[[torch.Tensor], torch.Tensor]


@on_tensors("aten.fft_rfft", "aten.fft_rfft2", "aten.fft_rfftn")
def _real(g: Graph, node: Call, x: Tensor, size: Any, dim: Any, norm: str | None) -> Complex:
    dims = _dims(x.shape, dim, size)
    _need_whole(x.shape, dims, size)
    if math.prod(x.shape[d] for d in dims) <= AT_ONCE:
        axes = tuple(range(-len(dims), 0))
        return of_parts(g, _applied(g, x, dims, lambda t: torch.fft.rfftn(t, dim=axes, norm=norm), out=True))
    *others, last = dims
    parts = _applied(g, x, [last], lambda t: torch.fft.rfft(t, norm=norm), out=True)
    return of_parts(g, _each(g, parts, others, lambda t: torch.fft.fft(t, norm=norm)))


@on_complex("aten.fft_irfft", "aten.fft_irfft2", "aten.fft_irfftn")
def _real_again(g: Graph, node: Call, x: Complex, size: Any, dim: Any, norm: str | None) -> Tensor:
    dims = _dims(x.shape, dim, size)
    *others, last = dims
    n = node.shape[last]
    _need_whole((*x.shape[:last], n // 2 + 1, *x.shape[last + 1 :]), dims, None)
    need(n // 2 + 1 == x.shape[last], "a spectrum that is cut or filled up", expected=n // 2 + 1, got=x.shape[last])
    sizes = [node.shape[d] for d in dims]
    _need_whole(x.shape, others, None if size is None else sizes[:-1])
    if math.prod(sizes) <= AT_ONCE:
        axes = tuple(range(-len(dims), 0))
        return _applied(g, x.parts, dims, lambda t: torch.fft.irfftn(t, s=sizes, dim=axes, norm=norm), given=True)
    parts = _each(g, x.parts, others, lambda t: torch.fft.ifft(t, norm=norm))
    return _applied(g, parts, [last], lambda t: torch.fft.irfft(t, n=n, norm=norm), given=True)


@on_tensors("aten.fft_fft", "aten.fft_fft2", "aten.fft_fftn", "aten.fft_ifft", "aten.fft_ifft2", "aten.fft_ifftn")
def _of_real(g: Graph, node: Call, x: Tensor, size: Any, dim: Any, norm: str | None) -> Complex:
    first, *others = _dims(x.shape, dim, size)
    _need_whole(x.shape, [first, *others], size)
    step = _step(node, norm)
    return of_parts(g, _each(g, _applied(g, x, [first], step, out=True), others, step))


@on_complex("aten.fft_fft", "aten.fft_fft2", "aten.fft_fftn", "aten.fft_ifft", "aten.fft_ifft2", "aten.fft_ifftn")
def _of_complex(g: Graph, node: Call, x: Complex, size: Any, dim: Any, norm: str | None) -> Complex:
    dims = _dims(x.shape, dim, size)
    _need_whole(x.shape, dims, size)
    return of_parts(g, _each(g, x.parts, dims, _step(node, norm)))


def _step(node: Call, norm: str | None) -> Step:
    along = torch.fft.ifft if ".fft_ifft" in node.operator else torch.fft.fft
    return lambda t: along(t, norm=norm)


def _dims(shape: Shape, dim: Any, size: Any) -> list[int]:
    """Which axes: those of a list, one, or all, of which a list of sizes takes the last."""
    rank = len(shape)
    if dim is None:
        dim = range(rank - len(size), rank) if isinstance(size, (list, tuple)) else range(rank)
    return [d % rank for d in ([dim] if isinstance(dim, int) else dim)]


def _need_whole(shape: Shape, dims: Sequence[int], size: Any) -> None:
    """Raises OpenSizeError for an axis whose size is open, and BuildError for one that is cut or filled up first."""
    for i, d in enumerate(dims):
        n = shape[d]
        if isinstance(n, Size):
            raise OpenSizeError(
                "a Fourier transform along an axis whose size is open, of which every size has other waves",
                expected="one size",
                got=str(n),
                fix="Convert the net for one size: without dynamic=, of a restorer with size=512",
            )
        if n > LONGEST:
            raise BuildError("a Fourier transform of many numbers", expected=f"at most {LONGEST}", got=n)
        wanted = n if size is None else [size][i] if isinstance(size, int) else size[i]
        need(wanted == n, "numbers that are cut or filled up before a Fourier transform", expected=n, got=wanted)


def _each(g: Graph, parts: Tensor, dims: Sequence[int], step: Step) -> Tensor:
    """A transform of complex numbers along each of these axes."""
    for d in dims:
        parts = _applied(g, parts, [d], step, given=True, out=True)
    return parts


def _applied(
    g: Graph,
    x: Tensor,
    dims: Sequence[int],
    step: Callable[[torch.Tensor], torch.Tensor],
    given: bool = False,
    out: bool = False,
) -> Tensor:
    """What a linear function makes of the numbers along these axes. given, out: it takes, and gives, complex numbers,
    which are (re, im) along the last axis of a Tensor."""
    behind = [*dims, *([x.rank - 1] if given else [])]
    front = [i for i in range(x.rank) if i not in behind]
    sizes = [x.shape[i] for i in behind]
    count = math.prod(sizes)
    units = torch.eye(count, dtype=torch.float64).reshape(count, *sizes)
    made = step(torch.view_as_complex(units) if given else units)
    made = torch.view_as_real(made.resolve_conj()) if out else made
    rows = permuted(x, (*front, *behind))
    rows = view(g, rows, (*rows.shape[: len(front)], count))
    y = product(g, rows, made.reshape(count, -1).float(), torch.float32)
    y = view(g, y, (*y.shape[:-1], *made.shape[1:]))
    places = [*front, *dims, *([len(front) + len(dims)] if out else [])]
    return permuted(y, sorted(range(len(places)), key=places.__getitem__))


# -- products ---------------------------------------------------------------------------------------------------


@on_complex("aten.mul")
def _times(g: Graph, node: Call, a: Any, b: Any) -> Complex:
    """Complex numbers times complex or real ones, which are broadcast."""
    a, b = (b, a) if not isinstance(a, Complex) else (a, b)
    number = b.item() if isinstance(b, torch.Tensor) and b.numel() == 1 and not b.is_complex() else b
    if isinstance(number, (int, float)) and number > 0:
        return scaled(a, float(number), node)
    shape = node.shape
    if isinstance(b, (int, float)) or not (isinstance(b, Complex) or b.dtype.is_complex):
        by = b if isinstance(b, (int, float)) else _with_an_axis(g, b)
        return of_parts(g, arithmetic(g, a.parts, by, "Mul", (*shape, 2), torch.float32))
    (re, im), (x, y) = _apart(g, a), _apart(g, b)

    def times(p: Any, q: Any) -> Tensor:
        return arithmetic(g, p, q, "Mul", shape, torch.float32)

    made = [
        arithmetic(g, times(re, x), times(im, y), "Sub", shape, torch.float32),
        arithmetic(g, times(re, y), times(im, x), "Add", shape, torch.float32),
    ]
    return of_parts(g, joined(g, [view(g, t, (*shape, 1)) for t in made], len(shape)))


def _with_an_axis(g: Graph, x: Any) -> Any:
    shape = (*x.shape, 1)
    return view(g, x, shape) if isinstance(x, Tensor) else x.reshape(shape)


def _apart(g: Graph, x: Any) -> tuple[Any, Any]:
    """The real and the imaginary numbers."""
    if isinstance(x, torch.Tensor):
        return x.real.contiguous(), x.imag.contiguous()
    parts = x.parts
    re, im = (view(g, part(g, parts, parts.rank - 1, i, i + 1), parts.shape[:-1]) for i in (0, 1))
    return re, im
