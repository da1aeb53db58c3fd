"""int() of open sizes, as restorers have it, and all other uses of the word beside it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import ncnn_builder as nb
from ncnn_builder.parity.installed import ncnn_run


class Pads(nn.Module):
    """To multiples of 8, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, w = x.shape[-2:]
        below, right = int(np.ceil(h / 8) * 8 - h), math.ceil(w / 8) * 8 - w
        y = self.conv(F.pad(x, (0, right, 0, below), mode="replicate"))
        assert isinstance(y.dim(), int) and isinstance(3, (float, int)) and not isinstance(0.5, int)
        counts = {int: 1, float: 2}
        assert counts[type(y.dim())] == 1 and issubclass(bool, int) and int("11", 2) + int(2.5) == 5
        return y[..., : int(h / 4), :]


def test_int_of_a_size_is_the_size(tmp_path):
    torch.manual_seed(0)
    net = Pads().eval()
    done = nb.convert(net, (torch.rand(1, 3, 21, 26),), tmp_path / "pads", dynamic={"x": {2: "h=4..", 3: "w=4.."}})
    assert "int" not in globals()
    (output,) = done.outputs
    assert [str(n) for n in output.shape] == ["1", "8", "h//4", "2*((w + 7)//8)"]
    pictures = [torch.rand(1, 3, h, w) for h, w in ((16, 16), (5, 9))]
    with ncnn_run(done.model, [({"in0": x.numpy()[0]}, ["out0"]) for x in pictures]) as results:
        for x, got in zip(pictures, results, strict=True):
            np.testing.assert_allclose(got["out0"], net(x)[0].detach(), atol=1e-5)
