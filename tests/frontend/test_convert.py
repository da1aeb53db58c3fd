"""nb.convert(): its files, what is compared, modules that say themselves what they are, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

import ncnn_builder as nb
from ncnn_builder.frontend.capture import captured

X = torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(0)) - 0.5


class Net(nn.Module):
    """Called twice, in place, nested results."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.block = nn.Sequential(nn.ReLU(inplace=True), self.conv)
        self.head = nn.Linear(5, 2)
        self.eval()

    def forward(self, x):
        y = self.block(self.block(self.conv(x)))
        return {"y": y, "rest": (self.head(y), [y.permute(0, 2, 3, 1)])}


class Scale(nn.Module):
    factor = 2.0

    def forward(self, x, k=1.0):
        return x * self.factor * k

    def export_ncnn(self, g, inputs):
        return nb.MulConstant(g, inputs, scale=2.0)


class WithLeaf(Net):
    def __init__(self):
        super().__init__()
        self.scale = Scale()

    def forward(self, x):
        return self.head(self.scale(self.conv(self.scale(x))))


def test_files_and_what_is_compared(tmp_path):
    done = nb.convert(Net(), X, tmp_path / "net")
    said = json.loads((tmp_path / "net.json").read_text())
    assert [p["name"] for p in said["outputs"]] == ["out0", "out1", "out2"]
    assert said["inputs"] == [
        {"name": "in0", "shape": [1, 3, 6, 5], "blob": [3, 6, 5], "dtype": "float32", "batch_axis": 0}
    ]
    assert [p["shape"] for p in said["outputs"]] == [[1, 3, 6, 5], [1, 3, 6, 2], [1, 6, 5, 3]]
    assert max(said["error"]["outputs"].values()) < 1e-5
    assert len(done.checked.outputs) == 9, "three outputs at three inputs"
    assert {"block#2", "block#2.0#2", "conv#3", "head"} <= {c.name for c in done.checked.modules}
    assert "block#2" in str(done)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.bin", "net.json", "net.param"]


def test_names_and_no_check(tmp_path):
    done = nb.convert(Net(), X, tmp_path / "n", inputs=["data"], outputs=["a", "b", "c"], check=False)
    assert done.checked is None
    assert json.loads((tmp_path / "n.json").read_text())["error"] is None
    assert "data" in (tmp_path / "n.param").read_text()
    with pytest.raises(nb.BuildError, match="expected 3; got 1"):
        nb.convert(Net(), X, tmp_path / "m", outputs=["a"])


def test_outputs_alone_are_compared(tmp_path):
    done = nb.convert(Net(), X, tmp_path / "net", check="outputs")
    assert len(done.checked.outputs) == 9 and done.checked.modules == ()
    with pytest.raises(nb.BuildError, match="no such check"):
        nb.convert(Net(), X, tmp_path / "net", check="modules")


def test_taps_are_the_modules_results():
    net = Net()
    made = captured(net, X)
    assert set(made.graph.taps) == {"conv", "block.0", "conv#2", "block", "block#2.0#2", "conv#3", "block#2"}


def test_a_module_with_export_ncnn_is_a_leaf(tmp_path):
    done = nb.convert(WithLeaf().eval(), X, tmp_path / "net")
    assert "scale#2" in {c.name for c in done.checked.modules}
    assert {"scale", "scale#2"} <= {node.scope for node in done.graph.nodes}


def test_a_leaf_that_says_something_else_is_found(tmp_path):
    net = WithLeaf().eval()
    net.scale.factor = 2.01
    with pytest.raises(nb.ParityError, match=r"WithLeaf differs from torch, first in module scale#2;.*Nothing was"):
        nb.convert(net, X, tmp_path / "net")
    assert not list(tmp_path.iterdir())


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.relu = nn.ReLU()
        self.eval()

    def forward(self, *x):
        return self.function(self.relu(x[0]), *x[1:])


def branch(x):
    return x if x.sum() > 0 else -x


def unknown(x):
    return torch.special.bessel_j0(x)


def random(x):
    return x + torch.rand(5)


def random_like(x):
    return x + torch.randn_like(x)


def dropped(x):
    return nn.functional.dropout(x, 0.5, True)


REFUSED = {
    "branch": (branch, r"at test_convert.py:\d+: forward\(\) decides by numbers"),
    "unknown": (
        unknown,
        r"bessel_j0 at test_convert.py:\d+: ncnn has no layer.*\[1, 3, 6, 5\].*nb.converts.*export_",
    ),
    "random": (random, r"aten.rand at test_convert.py:\d+: random numbers"),
    "random-like": (random_like, r"aten.randn_like.* at test_convert.py:\d+: random numbers"),
    "dropout": (dropped, r"aten.dropout at test_convert.py:\d+: dropout in training mode"),
    "no-tensor": (lambda x: (x, 3), "returns what is no tensor; got int"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_says_where_and_what_to_do(kind, tmp_path):
    function, said = REFUSED[kind]
    with pytest.raises(nb.BuildError, match=said) as caught:
        nb.convert(Of(function), X, tmp_path / "net")
    assert caught.value.fix, str(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_a_table_of_numbers_decides_is_decided(tmp_path):
    """As torchvision's normalize() does; and not what is written into it later."""

    def normalized(x):
        std = torch.as_tensor([0.5, 0.25, 2.0], dtype=x.dtype, device=x.device)
        if (std == 0).any():
            raise ValueError(std)
        for factor in torch.tensor([1, 3, 2]).tolist():
            x = x * factor
        return x / std.view(-1, 1, 1)

    def written(x):
        table = torch.tensor([0.0, 0.0])
        table[0] = x.mean()
        return x if table.any() else -x

    nb.convert(Of(normalized).eval(), (torch.randn(1, 3, 4, 4),), tmp_path / "net")
    with pytest.raises(nb.BuildError, match=r"at test_convert.py:\d+: forward\(\) decides by numbers"):
        nb.convert(Of(written).eval(), (torch.randn(1, 3, 4, 4),), tmp_path / "other")


def test_writing_into_an_input_is_refused():
    class Writes(nn.Module):
        def forward(self, x):
            x += 1
            return x * 2

    with pytest.raises(nb.BuildError, match=r"forward\(\) writes into its input"):
        nb.capture(Writes().eval(), X)


def test_training_mode_and_types_of_inputs():
    with pytest.raises(nb.BuildError, match="training mode"):
        nb.capture(Net().train(), X)
    with pytest.raises(nb.BuildError, match=r"input in0; expected float32, int32 or int64; got torch\.complex64"):
        nb.capture(Of(lambda x: x.real).eval(), X.to(torch.complex64))


def test_an_operator_of_the_users_own(tmp_path):
    library = torch.library.Library("frontend_test", "DEF")
    library.define("twice(Tensor x) -> Tensor")
    library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
    library.impl("twice", lambda x: torch.empty_like(x), "Meta")
    net = Of(lambda x: torch.ops.frontend_test.twice(x))
    with pytest.raises(nb.BuildError, match=r"@nb.converts\(torch.ops.frontend_test.twice.default\)"):
        nb.capture(net, X)

    @nb.converts(torch.ops.frontend_test.twice.default)
    def twice(g, node, x):
        return nb.MulConstant(g, x, scale=2.0)

    nb.convert(net, X, tmp_path / "net")


def test_the_graph_that_is_returned_has_weights_of_its_own(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(6, 6)).eval()
    done = nb.convert(module, torch.rand(1, 3, 8, 8), tmp_path / "net")
    arrays = [w for node in done.graph.nodes for w in node.weights.values()]
    assert arrays and not any(np.shares_memory(w, p.detach().numpy()) for w in arrays for p in module.parameters())
    with torch.no_grad():
        for p in module.parameters():
            p.zero_()
    assert nb.compile_graph(done.graph, "stock").bin == (tmp_path / "net.bin").read_bytes()


class Early(nn.Module):
    """Returns, last, what it is done with before the first is made."""

    def forward(self, x):
        gate = x.sigmoid() - 0.5
        return (x + 1) * gate, gate


class WithEarly(Net):
    def __init__(self):
        super().__init__()
        self.early = Early()

    def forward(self, x):
        return self.conv(self.early(self.conv(x))[0])


def test_results_of_a_module_in_whatever_order(tmp_path):
    done = nb.convert(WithEarly().eval(), X, tmp_path / "net")
    assert {"early:0", "early:1"} <= {c.name for c in done.checked.modules}
