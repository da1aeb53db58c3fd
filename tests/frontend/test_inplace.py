"""Which writes in place are taken for their plain spelling, and which go through torch's functionalisation."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ncnn_builder as nb
from ncnn_builder.frontend.exported import program_of
from ncnn_builder.frontend.inplace import without_writes

PLAIN = {
    "relu": lambda x: F.relu_(x + 1) * 2,
    "both-names": lambda x: (y := x + 1, y.mul_(2), y + y.sub_(1))[2],
    "sum": lambda x: (y := x * 2).add_(x).relu_() + y,
    "part": lambda x: (y := x + 1, y[0].fill_(3.0), y * 1)[2],
    "parts": lambda x: (y := x + 1, y[1:, :2].copy_(x[:2, 2:]), y[:, -1].mul_(2), y[1:] * y[:2])[3],
    "part-of-zeros": lambda x: (y := x.new_zeros(3, 4), y[1:, 1].fill_(3.0), y[1].add_(x[0]), y.t() * x.t())[3],
    "part-and-whole": lambda x: (y := x + 1, y[0].fill_(3.0), y.mul_(2), y[:, 1].copy_(y[:, 0]), y * x)[4],
    "chain": lambda x: (x + 1).mul_(2).clamp_(-1, 2).neg_(),
}
SHARED = {
    "view-of": lambda x: (y := x + 1, y.view(-1).mul_(2), y * 1)[2],
    "viewed-before": lambda x: (y := x + 1, z := y[0], y.mul_(2), z + y)[3],
    "part-held": lambda x: (y := x + 1, z := y[0], y[0].fill_(3.0), z * y)[3],
    "part-held-by-a-name": lambda x: (y := x + 1, v := y.mul_(2), z := v[0], y[0].fill_(3.0), z * v)[4],
    "part-returned": lambda x: (y := x + 1, y[0].fill_(3.0) * y)[1],
    "part-of-a-view": lambda x: (y := x + 1, y.t()[0].fill_(3.0), y * 1)[2],
    "transposed": lambda x: (y := x + 1, z := y.t(), z.add_(1), y * z.t())[3],
}


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("name", [*PLAIN, *SHARED])
def test_writes_are_taken_out_and_mean_the_same(name):
    x = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    net = Of({**PLAIN, **SHARED}[name]).eval()
    exported = torch.export.export(net, (x,), strict=False)
    graph = torch.export.export(net, (x,), strict=False).graph
    functional = not any(getattr(n.target, "_schema", None) and n.target._schema.is_mutable for n in graph.nodes)
    assert without_writes(graph) == (functional or name in PLAIN)  # torch 2.4 exports no writes
    program = program_of(exported)
    schemas = [getattr(n.target, "_schema", None) for n in program.graph.nodes]
    assert not any(s is not None and s.is_mutable for s in schemas)
    given = {n: v for n, v in program.given.items() if v is not None}
    module = torch.fx.GraphModule(program.module, program.graph)
    order = [n.name for n in program.graph.nodes if n.op == "placeholder"]
    got = module(*(given.get(n, x) for n in order))
    assert torch.equal(got[0] if isinstance(got, (tuple, list)) else got, net(x))


class Fused(nn.Module):
    """Two branches that become one convolution, at every call."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.one = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 3, padding=1)

    def forward(self, x):
        self.fused = self.a.weight.data.clone() + F.pad(self.b.weight.data, (1, 1, 1, 1))
        self.one.weight.data = self.fused.contiguous()
        self.one.bias.data = self.a.bias.data + self.b.bias.data
        return self.one(x)


def test_a_parameter_that_is_assigned(tmp_path):
    torch.manual_seed(0)
    model, x = Fused().eval(), torch.randn(1, 2, 5, 6)
    done = nb.convert(model, (x,), tmp_path / "net")
    assert done.model.layers == 2  # the weights are numbers of one convolution
    with torch.no_grad():
        assert torch.allclose(model(x), model.a(x) + model.b(x), atol=1e-6)  # it is as it was
