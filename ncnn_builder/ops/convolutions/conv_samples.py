"""Samples of the convolutions of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ir import Shape
from ...opspec import Sample, functions
from ..common import functional, shape_id
from ..weights import shell


def module_samples() -> list[Sample]:
    """torch's module, by conv2d()."""
    from torch import nn

    modules: dict[str, Any] = {
        "0": nn.Conv2d(5, 4, 3, padding=1),
        "1": nn.Conv2d(5, 7, 1, bias=False),
        "2": nn.Conv2d(5, 3, (3, 2), (2, 1), (1, 0)),
        "3": nn.Conv2d(5, 8, 3, 1, (2, 3), (2, 3)),
        "4": nn.Conv2d(5, 1, 3, 2, 1, bias=False),
        "1to16": nn.Conv2d(1, 16, 3),
        "same": nn.Conv2d(5, 4, (2, 3), padding="same"),
        "reflect": nn.Conv2d(5, 4, 3, padding=(1, 2), padding_mode="reflect"),
    }
    shapes: dict[str, Shape] = {"1to16": (1, 6, 5), "same": (5, 6, 7), "reflect": (5, 6, 7)}
    return [_of(f"conv2d-{name}", shapes.get(name, (5, 7, 9)), module) for name, module in modules.items()]


def grouped_samples() -> list[Sample]:
    """The same in groups."""
    from torch import nn

    modules: list[Any] = [
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 4, 3, (1, 2), 1, groups=2),
        nn.Conv2d(8, 16, (1, 3), dilation=2, groups=4, bias=False),
    ]
    return [_of(f"grouped-{i}", (8, 6, 7), module) for i, module in enumerate(modules)]


def _of(name: str, shape: Shape, module: Any) -> Sample:
    return Sample(name, (shape,), lambda g, x: functions["conv2d"](g, x, module), module)


def bn_samples() -> list[Sample]:
    """A convolution and its batch normalisation in one."""
    import torch
    from torch import nn

    samples = []
    for i, bias in enumerate((False, True)):
        conv, bn = nn.Conv2d(5, 6, 3, 2, 1, bias=bias), nn.BatchNorm2d(6).eval()
        assert bn.running_mean is not None and bn.running_var is not None
        with torch.no_grad():
            for p in (bn.weight, bn.bias, bn.running_mean):
                p.normal_(generator=torch.Generator().manual_seed(i))
            bn.running_var.uniform_(0.5, 2, generator=torch.Generator().manual_seed(i))
        samples.append(
            Sample(
                f"conv-bn-{i}",
                ((5, 7, 9),),
                lambda g, x, c=conv, b=bn: functions["fuse_conv_bn"](g, x, c, b),
                lambda x, c=conv, b=bn: b(c(x)),
            )
        )
    return samples


def functional_samples(groups: tuple[int, ...]) -> list[Sample]:
    """Weights that are values, in so many groups."""
    F = functional()

    def sample(x: Shape, w: Shape, bias: bool = False, **kw: Any) -> Sample:
        shapes = (x, w, *([(w[0],)] if bias else []))
        name = "-".join(f"{k}{v}" for k, v in kw.items()).replace(" ", "")
        return Sample(
            f"F-{shape_id(x)}-{shape_id(w)}-{name}{'-bias' if bias else ''}",
            shapes,
            lambda g, *v: functions["Fconv2d"](g, v, **kw),
            lambda v, w, b=None: F.conv2d(v, w[0], None if b is None else b[0], **kw),
        )

    samples = []
    for n in groups:
        c = 8 if n > 1 else 5
        samples += [
            sample((c, 6, 7), (8, c // n, 3, 3), padding=1, groups=n),
            sample((c, 6, 7), (16, c // n, 1, 1), True, groups=n),
            sample((c, 6, 7), (8, c // n, 3, 2), True, stride=(2, 1), padding=(1, 0), groups=n),
            sample((c, 9, 7), (8, c // n, 3, 3), dilation=(2, 1), padding=2, groups=n),
            Sample(
                f"F-asymmetric-{n}",
                ((c, 6, 7), (8, c // n, 3, 3)),
                lambda g, x, w, n=n: functions["Fconv2d"](g, [x, w], padding=(0, 2, 1, -1), groups=n),
                lambda x, w, n=n: F.conv2d(F.pad(x, (1, -1, 0, 2)), w[0], groups=n),
            ),
        ]
    if groups == (1,):
        rng = np.random.default_rng(5)
        const = rng.standard_normal((4, 5, 3, 3)).astype(np.float32)
        import torch

        samples += [
            Sample(
                "F-one-channel",
                ((1, 6, 5), (1, 1, 3, 3)),
                lambda g, *v: functions["Fconv2d"](g, v, padding=1),
                lambda x, w: F.conv2d(x, w[0], padding=1),
            ),
            Sample(
                "F-shell",
                ((5, 6, 7),),
                lambda g, x: functions["Fconv2d"](g, [x, *shell(g, x, const)], padding=1),
                lambda x: F.conv2d(x, torch.from_numpy(const), padding=1),
            ),
        ]
    else:
        samples.append(
            Sample(
                "depthwise-one-group",
                ((5, 6, 7), (3, 5, 3, 3)),
                lambda g, *v: functions["Fconv2d_depthwise"](g, v),
                lambda x, w: F.conv2d(x, w[0]),
            )
        )
    return samples
