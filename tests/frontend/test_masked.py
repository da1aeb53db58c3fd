"""What is put at the places of a mask is chosen; what depends on how many places there are is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import ncnn_builder as nb
from ncnn_builder.frontend.exported import export
from ncnn_builder.parity.installed import ncnn_run

PUT = {
    "number": lambda x: (y := x + 1, y.__setitem__(x > 0, 0.5), y)[2],
    "number-at-rows": lambda x: (y := x + 1, y.__setitem__(x[:, 0] > 0, 2.0), y)[2],
    "taken": lambda x: (y := x + 1, y.__setitem__(x > 0, x[x > 0] * 3), y)[2],
    "of-two": lambda x: (y := x * 1, m := x > 0, y.__setitem__(m, (x / (x.abs() + 1))[m] + y[m]), y)[3],
    "far": lambda x: (y := x * 1, y.__setitem__(x < 0, (2.0 + (x * 3)[x < 0] % 2).sqrt().neg()), y)[2],
    "of-what-was-put": lambda x: (y := x + 1, y.__setitem__(y > 1, 0.0), y.__setitem__(y < 0.5, x[y < 0.5]), y)[3],
    "number-of-a-constant": lambda x: x * (torch.tensor([2.5]).item() + 1),
}
REFUSED = {
    "taken-alone": lambda x: x[x > 0],
    "counted": lambda x: x * x[x > 0].shape[0],
    "neighbours": lambda x: (y := x + 1, y.__setitem__(x > 0, x[x > 0].cumsum(0)), y)[2],
    "another-mask": lambda x: (y := x + 1, y.__setitem__(x > 0, x[x >= 1e-30]), y)[2],
    "added": lambda x: x.index_put((x > 0,), torch.tensor(1.0), accumulate=True),
}


class Of(nn.Module):
    def __init__(self, name):
        super().__init__()
        self.function = {**PUT, **REFUSED}[name]

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("name", PUT)
def test_numbers_that_are_put_by_a_mask(name):
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    program = export(Of(name).eval(), (x,))
    assert not any("index" in str(n.target) for n in program.graph.nodes)
    given = [program.given[n.name] for n in program.graph.nodes if n.op == "placeholder"]
    got = torch.fx.GraphModule(program.module, program.graph)(*(x if t is None else t for t in given))
    assert torch.equal(got[0], Of(name)(x))


@pytest.mark.parametrize("name", REFUSED)
def test_what_depends_on_their_number_is_refused(name):
    with pytest.raises(nb.BuildError, match=r"known only when the net runs|an index that is computed") as refused:
        nb.capture(Of(name).eval(), (torch.randn(6, 4),))
    assert "test_masked.py" in str(refused.value)


class Hues(nn.Module):
    """Colours as hue, saturation and value, as papers about dark pictures write it."""

    def forward(self, x):
        most, least = x.max(1)[0], x.min(1)[0]
        hue = torch.zeros_like(most)
        for i in range(3):
            chosen = x[:, i] == most
            hue[chosen] = 2.0 * i + ((x[:, i - 2] - x[:, i - 1]) / (most - least + 1e-3))[chosen]
        hue[least == most] = 0.0
        return torch.stack((hue % 6, most - least, most), 1)


def test_a_net_of_any_size(tmp_path):
    done = nb.convert(Hues().eval(), (torch.rand(1, 3, 9, 12),), tmp_path / "hues", dynamic={"x": {2: "h", 3: "w"}})
    x = torch.rand(1, 3, 14, 5)
    with ncnn_run(done.model, [({"in0": x.numpy()[0]}, ["out0"])]) as results:
        assert abs(results[0]["out0"] - Hues()(x).numpy()[0]).max() < 1e-4
