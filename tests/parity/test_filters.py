"""Random picture filters through every target on the runtime: any factors, filters, borders and channel counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from network_support import TARGETS
from parity_support import run_emitted

import ncnn_builder as nb
from ncnn_builder.parity import Report
from stylegan.networks import functional

some = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
pictures = st.tuples(st.sampled_from([1, 2, 3, 4, 5, 8, 12, 16, 17, 32]), st.integers(1, 20), st.integers(1, 20))
filters = st.none() | st.integers(1, 14).map(lambda n: (n,)) | st.tuples(st.integers(1, 7), st.integers(1, 7))
factors = st.integers(1, 5)
borders = st.tuples(*[st.integers(-6, 14)] * 4)


def numbers(shape: tuple[int, ...] | None, seed: int) -> np.ndarray | None:
    return None if shape is None else np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def check(shape: tuple[int, ...], build: Any, reference: Any) -> None:
    x = numbers(shape, 1)
    with torch.no_grad():
        expected = {"y": reference(torch.from_numpy(x)[None])[0].numpy()}
    for target in TARGETS:
        g = nb.Graph()
        g.output("y", build(g, g.input("x", shape)))
        got = run_emitted(nb.compile_graph(g, target), {"x": x}, ["y"], threads=2)
        Report(target).add_all(got, expected, 2e-5).check()


def tensor(f: np.ndarray | None) -> torch.Tensor | None:
    return None if f is None else torch.from_numpy(f)


def left(n: int, up: int, before: int, after: int, taps: int) -> bool:
    """Whether a picture of n rows leaves some after the filters, and the crop some of the picture."""
    return n * up + min(before, 0) + min(after, 0) > 0 and n * up + before + after >= taps


@some
@given(pictures, filters, filters, factors, factors, borders, st.booleans(), st.booleans(), st.floats(0, 1.5))
def test_filtered_lrelu(
    shape: tuple[int, int, int],
    up_filter: tuple[int, ...] | None,
    down_filter: tuple[int, ...] | None,
    up: int,
    down: int,
    border: tuple[int, int, int, int],
    bias: bool,
    flip: bool,
    slope: float,
) -> None:
    fu, fd, b = numbers(up_filter, 2), numbers(down_filter, 3), numbers(shape[:1], 4) if bias else None
    top, bottom, before, after = border
    sizes = [(f.shape[0], f.shape[-1]) if f is not None else (1, 1) for f in (fu, fd)]
    assume(left(shape[1], up, top, bottom, sizes[0][0] + sizes[1][0] - 1))
    assume(left(shape[2], up, before, after, sizes[0][1] + sizes[1][1] - 1))
    options = dict(up=up, down=down, slope=slope, gain=1.3, clamp=3.0, flip_filter=flip)
    check(
        shape,
        lambda g, x: nb.filtered_lrelu(g, x, fu, fd, b, padding=border, **options),
        lambda x: functional.filtered_lrelu(
            x, tensor(fu), tensor(fd), tensor(b), padding=[before, after, top, bottom], **options
        ),
    )


@some
@given(pictures, filters, st.tuples(factors, factors), st.tuples(factors, factors), borders, st.booleans())
def test_upfirdn2d(
    shape: tuple[int, int, int],
    size: tuple[int, ...] | None,
    up: tuple[int, int],
    down: tuple[int, int],
    border: tuple[int, int, int, int],
    flip: bool,
) -> None:
    f = numbers(size, 2)
    top, bottom, before, after = border
    fh, fw = (1, 1) if f is None else (f.shape[0], f.shape[-1])
    assume(left(shape[1], up[0], top, bottom, fh) and left(shape[2], up[1], before, after, fw))
    check(
        shape,
        lambda g, x: nb.upfirdn2d(g, x, f, up=up, down=down, padding=border, flip_filter=flip, gain=0.7),
        lambda x: functional.upfirdn2d(
            x,
            tensor(f),
            up=up[::-1],
            down=down[::-1],
            padding=[before, after, top, bottom],
            flip_filter=flip,
            gain=0.7,
        ),
    )


def test_the_filter_of_stylegan2() -> None:
    """(1, 3, 3, 1): `stock` has forms of its own for the doubling, an Interp, and for the smoothing, 3x3 and 2x2."""
    f = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype(np.float32) / 64
    for shape in ((3, 5, 7), (4, 1, 6), (16, 9, 4)):
        for border in ((2, 1, 2, 1), (4, 3, 0, 3), (-1, 3, 4, -2), (5, 3, 2, 1)):
            for up in (1, 2):
                top, bottom, before, after = border
                if not (left(shape[1], up, top, bottom, 4) and left(shape[2], up, before, after, 4)):
                    continue
                check(
                    shape,
                    lambda g, x: nb.upfirdn2d(g, x, f, up=up, padding=border, gain=up**2),  # noqa: B023 (runs now)
                    lambda x: functional.upfirdn2d(
                        x,
                        tensor(f),
                        up=up,  # noqa: B023
                        padding=[before, after, top, bottom],  # noqa: B023
                        gain=up**2,  # noqa: B023
                    ),
                )
