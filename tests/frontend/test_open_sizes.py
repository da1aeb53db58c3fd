"""Modules with open sizes: one net, equal to torch at every size, or an error that says which layer and why."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from open_nets import NETS
from torch import nn

import ncnn_builder as nb
from ncnn_builder.__main__ import main
from ncnn_builder.open_shapes import shape_at
from ncnn_builder.parity import Report
from ncnn_builder.parity.installed import ncnn_run
from ncnn_builder.sizes import OpenSizeError


def at_five_sizes(done: Any) -> list[dict[str, int]]:
    names = done.graph.open_sizes
    steps = [(0, 0), (1, 2), (5, 3), (8, 13), (21, 6)]
    return [{n.name: n.least + step[i] for i, n in enumerate(names)} for step in steps]


def port_names(done: Any) -> str:
    return ", ".join(rf"{n.name} = \d+" for n in done.graph.open_sizes)


@pytest.mark.parametrize("name", NETS)
def test_a_net_at_five_sizes(name: str, tmp_path: Path) -> None:
    net = NETS[name]
    torch.manual_seed(0)
    model = net.make().eval()
    programs = ("py", "cpp")
    done = nb.convert(model, (net.input(net.example),), tmp_path / name, dynamic=net.dynamic, examples=programs)
    (port,) = done.inputs
    runs, expected = [], []
    for seed, at in enumerate(at_five_sizes(done)):
        x = net.input(shape_at(port.shape, at), seed)
        with torch.no_grad():
            results = model(x)
        expected.append([t.numpy() for t in (results if isinstance(results, tuple) else (results,))])
        runs.append(
            ({"in0": x.numpy()[0].astype(np.int32 if net.whole else np.float32)}, [p.name for p in done.outputs])
        )
    with ncnn_run(done.model, runs) as results:
        for at, got, wanted in zip(at_five_sizes(done), results, expected, strict=True):
            for p, want in zip(done.outputs, wanted, strict=True):
                assert shape_at(p.shape, at) == want.shape
                Report(f"{name} {at}").add_all({p.name: got[p.name]}, {p.name: want[0]}, 1e-3).check()
    # The program that comes with it takes all sizes, and no other.
    program = runpy.run_path(str(tmp_path / f"{name}.py"))["run"]
    for got, want in zip(program(x.numpy()), expected[-1], strict=True):
        assert got.shape == want.shape and np.abs(got - want).max() <= 1e-3 * np.abs(want).max()
    least = shape_at(port.shape, {n.name: n.least - 1 for n in done.graph.open_sizes})
    with pytest.raises(ValueError, match=r"expected in0 \[.* from \d"):
        program(np.zeros(least, np.float32))
    assert re.search(
        rf"Mat in0\([\d, ]+(\(size_t\)4u, 1, \d+)?\);.* here {port_names(done)}", (tmp_path / f"{name}.cpp").read_text()
    )
    said = json.loads((tmp_path / f"{name}.json").read_text())
    assert said["sizes"] == {n.name: {"least": n.least, "most": n.most} for n in done.graph.open_sizes}
    assert said["inputs"][0]["shape"] == [n if isinstance(n, int) else str(n) for n in port.shape]


class Call(nn.Module):
    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Any) -> Any:
        return self.function(x)


HW = {"x": {2: "h", 3: "w"}}


def positions(x: Any) -> Any:
    return x + torch.arange(x.shape[3])


def reversed_positions(x: Any) -> Any:
    return x + torch.arange(x.shape[3] - 1, -1, -1)


def centred_positions(x: Any) -> Any:
    return x + (torch.arange(x.shape[3]) - x.shape[3] // 2)


REFUSED = [
    (lambda x: x / x.shape[2], HW, "aten.div"),
    (lambda x: torch.fft.rfft2(x).abs(), HW, "a Fourier transform along an axis whose size is open"),
    (positions, HW, "w, which has no largest"),
    (centred_positions, {"x": {2: "h", 3: "w=2..64"}}, "no part of a constant"),
    (lambda x: F.adaptive_avg_pool2d(x, (x.shape[2] // 2, 4)), {"x": {2: "h=4..", 3: "w=4.."}}, "h into h//2"),
    (lambda x: F.adaptive_max_pool2d(x, (x.shape[2] // 2, 4)), {"x": {2: "h=4.."}}, r"h into h//2.*8\*h"),
    (lambda x: x * int(x.shape[2]), HW, r"this size is known only when the net runs.*got h"),
    (lambda x: sum(x for _ in range(x.shape[2])), HW, r"number of an open size.*got 8 for x\.shape\[2\]"),
    (lambda x: sum(x for _ in range(x.shape[2] // 2)), HW, r"test_open_sizes.py:\d+.*got 4 for x\.shape\[2\]//2"),
    (lambda x: F.avg_pool2d(x, x.shape[2] // 2, 1), HW, r"test_open_sizes.py:\d+.*got 4 for x\.shape\[2\]//2"),
    (lambda x: F.avg_pool2d(x, (x.shape[2], 2), divisor_override=5), HW, r"got 8 for x\.shape\[2\]"),
    (lambda x: F.max_pool2d(x, (x.shape[2], 2), dilation=(1, 2)), HW, r"got 8 for x\.shape\[2\]"),
    (lambda x: F.max_pool2d(x, x.shape[2:], return_indices=True)[0], HW, r"got 8 for x\.shape\[2\]"),
    (lambda x: F.max_pool2d(x, 2, 3, 1, ceil_mode=True), HW, "aten.max_pool2d.* depends on the size"),
    (lambda x: x.repeat(1, 1, 1, x.shape[2]), HW, "aten.repeat"),
    (lambda x: torch.cat([x] * x.shape[2], 1), HW, "does not take all sizes|works for one only"),
    (lambda x: x, {"y": {2: "h"}}, "no such tensor.* got y"),
    (lambda x: x * 2, {"x": {4: "h"}}, "an axis of"),
    (lambda x: x * 2, {"x": {2: "h*w"}}, "bad size"),
    (lambda x: x * 2, {"x": {2: 8}}, "a name, as"),
    (lambda x: x * 2, {"x": {2: "h=20..40"}}, "the example's x, axis 2"),
    (lambda x: x * 2, {"x": {2: "5*h"}}, "the example's x, axis 2"),
    (lambda x: x * 2, {"x": {2: "h", 3: "h"}}, "the example's x, axis 3"),
    (lambda x: x * 2, {"x": {0: "n"}}, "x, axis 0"),
]


@pytest.mark.parametrize("dynamic", ["x", ["x"], {"x": "h"}, {"x": [2, 3]}])
def test_open_sizes_are_said_by_name_and_axis(dynamic: Any, tmp_path: Path) -> None:
    with pytest.raises(nb.BuildError, match=r"by name and axis; expected argument -> axis -> size"):
        nb.convert(Call(torch.relu).eval(), (torch.randn(1, 4, 8, 12),), tmp_path / "a", dynamic=dynamic)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("function", "dynamic", "says"), REFUSED)
def test_what_does_not_fit_every_size_is_an_error(function: Any, dynamic: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(nb.BuildError, match=says):
        nb.convert(Call(function).eval(), (torch.randn(1, 4, 8, 12),), tmp_path / "a", dynamic=dynamic)
    assert list(tmp_path.iterdir()) == []


BRANCHES = [
    lambda x: F.relu(x) if x.shape[2] % 2 == 0 else x,
    lambda x: F.relu(x) if x.shape[2] > 7 else x * 2,
    lambda x: x[:, :, : x.shape[3]] * 2 if x.shape[2] >= x.shape[3] else F.relu(x),
]


@pytest.mark.parametrize("function", BRANCHES)
def test_a_branch_by_a_size_is_found_by_running_its_other_side(function: Any, tmp_path: Path) -> None:
    """Torch takes the example's side, and says what it took for granted."""
    with pytest.raises((nb.ParityError, nb.BuildError), match=r"differs from torch|does not take all sizes"):
        nb.convert(Call(function).eval(), (torch.randn(1, 4, 8, 12),), tmp_path / "a", dynamic=HW)
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_a_smaller_size_may_be_the_last_of_a_larger_one(tmp_path: Path) -> None:
    done = nb.convert(
        Call(reversed_positions).eval(), (torch.randn(1, 4, 8, 12),), tmp_path / "a", dynamic={"x": {3: "w=2..64"}}
    )
    assert done.outputs[0].shape == done.inputs[0].shape


class Shifted(nn.Module):
    """Windows of four by four, shifted by two, of a picture that is padded to whole ones: what Swin's restorers do."""

    def mask(self, h: Any, w: Any) -> Any:
        mask, count = torch.zeros(1, h, w, 1), 0
        for rows in (slice(0, -4), slice(-4, -2), slice(-2, None)):
            for columns in (slice(0, -4), slice(-4, -2), slice(-2, None)):
                mask[:, rows, columns, :] = count
                count += 1
        mask = self.windows(mask)[..., 0]
        mask = mask.unsqueeze(1) - mask.unsqueeze(2)
        return mask.masked_fill(mask != 0, -100.0).masked_fill(mask == 0, 0.0)

    def windows(self, x: Any) -> Any:
        _, h, w, c = x.shape
        return x.view(1, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)

    def forward(self, x: Any) -> Any:
        x = F.pad(x, (0, (4 - x.shape[3] % 4) % 4, 0, (4 - x.shape[2] % 4) % 4), "reflect").permute(0, 2, 3, 1)
        _, h, w, _ = x.shape
        rows = self.windows(x.roll((-2, -2), (1, 2)))
        rows = torch.softmax(rows @ rows.transpose(1, 2) + self.mask(h, w), -1) @ rows
        count = int(rows.shape[0] / (h * w / 4 / 4))  # of pictures: one at all sizes
        return rows.view(count, h // 4, w // 4, 4, 4, -1).permute(0, 1, 3, 2, 4, 5).reshape(count, h, w, -1)


def test_masks_of_shifted_windows_have_no_largest_size(tmp_path: Path) -> None:
    least = {"x": {2: "h=4..", 3: "w=4.."}}  # of one window, which has no middle
    done = nb.convert(Shifted().eval(), (torch.randn(1, 6, 22, 29),), tmp_path / "a", dynamic=least)
    assert {n.most for n in done.graph.open_sizes} == {None} and not any(
        array.size > 4096 for node in done.graph.nodes for array in node.weights.values()
    )


def test_what_is_the_same_in_the_middle_at_any_size(tmp_path: Path) -> None:
    def edges(x: Any) -> Any:
        both, first, last = (torch.zeros(n) for n in (x.shape[2], x.shape[3], x.shape[3]))
        both[:2], both[-1], first[:3], last[-2:] = 7.0, 5.0, torch.arange(1.0, 4.0), 3.0
        return x + both[:, None] * first + last * torch.tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]])

    nb.convert(Call(edges).eval(), (torch.randn(1, 4, 8, 12),), tmp_path / "a", dynamic={"x": {2: "h=4..", 3: "w=4.."}})


def test_a_branch_that_all_sizes_take_is_none(tmp_path: Path) -> None:
    done = nb.convert(
        Call(BRANCHES[1]).eval(), (torch.randn(1, 4, 9, 12),), tmp_path / "a", dynamic={"x": {2: "h=8.."}}
    )
    assert done.outputs[0].shape[2] == done.inputs[0].shape[2]


def test_two_inputs_share_a_size(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, x: Any, y: Any) -> Any:
            return torch.cat([x, F.interpolate(y, size=x.shape[2:])], 1)

    args = (torch.randn(1, 2, 8, 9), torch.randn(1, 3, 16, 7))
    dynamic = {"x": {2: "h", 3: "w"}, "y": {2: "2*h"}}
    done = nb.convert(Two().eval(), args, tmp_path / "a", dynamic=dynamic)
    assert [list(map(str, p.shape)) for p in done.inputs] == [["1", "2", "h", "w"], ["1", "3", "2*h", "7"]]
    assert list(map(str, done.outputs[0].shape)) == ["1", "5", "h", "w"]


def test_beside_arguments_that_are_no_tensors(tmp_path: Path) -> None:
    class Scaled(nn.Module):
        def forward(self, x: Any, by: float, *, twice: bool = False, bias: Any = None) -> Any:
            return x * by * (2 if twice else 1) + (0 if bias is None else bias)

    kwargs = {"twice": True, "bias": torch.ones(1, 3, 1)}
    done = nb.convert(
        Scaled().eval(), (torch.rand(1, 3, 8), 0.5), tmp_path / "a", kwargs=kwargs, dynamic={"x": {2: "w"}}
    )
    assert [list(map(str, p.shape)) for p in done.inputs] == [["1", "3", "w"], ["1", "3", "1"]]


def test_a_part_of_no_numbers_is_left_out(tmp_path: Path) -> None:
    class Turned(nn.Module):
        """As partial rotary embeddings are, where they are of all channels."""

        def forward(self, x: Any) -> Any:
            return torch.cat([x[..., :4].sin(), x[..., 4:]], -1)

    done = nb.convert(Turned().eval(), (torch.rand(1, 6, 4),), tmp_path / "a", dynamic={"x": {1: "n"}})
    assert list(map(str, done.outputs[0].shape)) == ["1", "n", "4"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open_net_of_test.py").write_text(
        "from torch import nn\ndef make():\n    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    line = ["convert", "open_net_of_test:make", "--input", "input=1,3,16,20", "--out", str(tmp_path / "a")]
    assert main([*line, "--dynamic", "input=2:h,3:w=8..64", "--example", "py"]) == 0
    assert "[1, 4, (h + 1)//2, (w + 1)//2]" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["sizes"]["w"] == {"least": 8, "most": 64}
    for bad in ("input", "input=h", "input=2:h,w", "z=2:h"):
        assert main([*line, "--dynamic", bad]) == 2
        assert "Traceback" not in capsys.readouterr().err


def test_capture_alone_gives_a_graph_to_go_on_with() -> None:
    g = nb.capture(nn.Conv2d(3, 4, 3, 2, 1).eval(), (torch.randn(1, 3, 16, 20),), dynamic={"input": {2: "h", 3: "w"}})
    (y,) = g.outputs.values()
    assert repr(y).endswith("[4, (h + 1)//2, (w + 1)//2]")
    with pytest.raises(OpenSizeError):
        int(y.shape[1])


def test_what_is_made_of_a_size_twice_is_there_once() -> None:
    """As the mask that each block of a network makes anew."""
    row = lambda x: torch.arange(x.shape[3]) * 0.5
    module = Call(lambda x: (x + row(x)) * row(x)).eval()
    graph = nb.capture(module, (torch.rand(1, 3, 8, 12),), dynamic={"x": {3: "w=2..64"}})
    assert [node.spec.type for node in graph.nodes].count("MemoryData") == 1
