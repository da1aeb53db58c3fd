"""Samples of the convolutions of one and three dimensions."""

from __future__ import annotations

from typing import Any

from ...ir import Shape
from ...opspec import Sample, functions
from ..common import functional, shape_id


def static_samples(dims: int, transposed: bool, grouped: bool) -> list[Sample]:
    """torch's modules, by conv1d() and its kin."""
    from torch import nn

    kinds: dict[tuple[int, bool], Any] = {
        (1, False): nn.Conv1d,
        (3, False): nn.Conv3d,
        (1, True): nn.ConvTranspose1d,
        (3, True): nn.ConvTranspose3d,
    }
    build = functions[f"conv_transpose{dims}d" if transposed else f"conv{dims}d"]
    size: Shape = (9,) if dims == 1 else (4, 5, 6)

    def sample(c: int, out: int, kernel: Any, inner: Shape = size, **kwargs: Any) -> Sample:
        module = kinds[dims, transposed](c, out, kernel, **kwargs)
        name = "-".join(f"{k}{v}" for k, v in kwargs.items()).replace(" ", "")
        return Sample(
            f"module-{c}-{out}-{kernel}-{shape_id(inner)}-{name}".replace(" ", ""),
            ((c, *inner),),
            lambda g, x: build(g, x, module),
            module,
        )

    one_way = (2,) if dims == 1 else (2, 1, 3)
    uneven = 3 if dims == 1 else (2, 3, 1)
    if grouped:
        cases = [
            sample(8, 8, 3, padding=1, groups=8),
            sample(5, 5, uneven, stride=one_way, groups=5, bias=False),
            sample(8, 12, 2, groups=4),
            sample(6, 4, 3, padding=1, dilation=2, groups=2),
            sample(16, 16, 3, stride=2, groups=16),
        ]
        return [*cases, sample(4, 4, 3, stride=2, padding=1, output_padding=1, groups=4)] if transposed else cases
    cases = [
        sample(5, 4, 3, padding=1),
        sample(1, 1, 2, bias=False),
        sample(16, 8, 3, stride=2),
        sample(5, 7, uneven, stride=one_way, dilation=2),
        sample(8, 16, 1),
        sample(3, 5, 2, (2,) if dims == 1 else (2, 2, 7), padding=1),
    ]
    if transposed:
        return [*cases, sample(6, 3, 3, stride=2, padding=1, output_padding=1)]
    cases.append(sample(5, 4, uneven if dims == 3 else 4, padding="same"))
    if dims == 1:
        cases += [sample(5, 4, 3, padding=2, padding_mode=mode) for mode in ("reflect", "replicate")]
    return cases


def value_samples(transposed: bool, grouped: bool) -> list[Sample]:
    """Weights that are values, in one dimension."""
    F = functional()
    name = "conv_transpose1d" if transposed else "conv1d"
    build, torch = functions[f"F{name}"], getattr(F, name)

    def sample(x: Shape, out: int, k: int, bias: bool = False, **kwargs: Any) -> Sample:
        groups = kwargs.get("groups", 1)
        w = (x[0], out // groups, k) if transposed else (out, x[0] // groups, k)
        text = "-".join(f"{k}{v}" for k, v in kwargs.items())
        return Sample(
            f"F-{shape_id(x)}-{shape_id(w)}-{text}{'-bias' if bias else ''}",
            (x, w, *([(out,)] if bias else [])),
            lambda g, *v: build(g, v, **kwargs),
            lambda v, w, b=None: torch(v, w[0], None if b is None else b[0], **kwargs),
        )

    if grouped:
        return [sample((8, 9), 8, 3, True, groups=8, padding=1), sample((6, 7), 4, 2, groups=2, stride=2)]
    return [
        sample((5, 9), 4, 3, padding=1),
        sample((8, 9), 16, 3, True, stride=2),
        sample((1, 6), 1, 2, dilation=3),
        *([sample((4, 5), 3, 3, True, stride=2, padding=1, output_padding=1)] if transposed else []),
    ]
