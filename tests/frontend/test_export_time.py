"""What makes torch.export cheaper changes nothing of what it exports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ncnn_builder.frontend import marks
from ncnn_builder.frontend.exported import export
from ncnn_builder.frontend.shapes_only import _RULES, shapes_only
from ncnn_builder.frontend.where import scope_of

Shapes = list[tuple[tuple[int, ...], tuple[int, ...]]]


def recurrent(name: str, batch_first: bool, directions: int, projected: int = 0) -> Callable[[], Any]:
    gates = {"lstm": 4, "gru": 3}.get(name, 1)

    def call() -> Any:
        x = torch.empty((2, 7, 5) if batch_first else (7, 2, 5))
        state = torch.empty(2 * directions, 2, projected or 6)
        params = []
        for layer in range(2):
            for _ in range(directions):
                width = directions * (projected or 6) if layer else 5
                params += [torch.empty(6 * gates, width), torch.empty(6 * gates, projected or 6)]
                params += [torch.empty(6 * gates), torch.empty(6 * gates)]
                params += [torch.empty(projected, 6)] if projected else []
        hidden: Any = [state, torch.empty(2 * directions, 2, 6)] if name == "lstm" else state
        return getattr(torch.ops.aten, name).input(x, hidden, params, True, 2, 0.0, False, directions == 2, batch_first)

    return call


def batch_norm(*shape: int, turned: bool = False, training: bool = False, channels: int = 3) -> Callable[[], Any]:
    def call() -> Any:
        x = torch.empty(shape).transpose(-1, -2) if turned else torch.empty(shape)
        held = [torch.empty(channels) for _ in range(4)]
        return torch.ops.aten.batch_norm.default(x, *held, training, 0.1, 1e-5, True)

    return call


def linear(*shape: int, outputs: int = 4, bias: bool = True, inputs: int = 5) -> Callable[[], Any]:
    def call() -> Any:
        given = [torch.empty(outputs)] if bias else []
        return torch.ops.aten.linear.default(torch.empty(shape), torch.empty(outputs, inputs), *given)

    return call


def like(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> Callable[[], Any]:
    return lambda: getattr(torch.ops.aten, name).default(torch.empty(shape, dtype=dtype).transpose(0, -1))


RNNS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
CALLS = {
    **{f"{n}.input {b} {d}": recurrent(n, b, d) for n in RNNS for b in (True, False) for d in (1, 2)},
    "lstm.input projected": recurrent("lstm", True, 2, 3),
    "batch_norm.default rows": batch_norm(2, 3),
    "batch_norm.default picture": batch_norm(2, 3, 4, 5),
    "batch_norm.default turned": batch_norm(2, 3, 4, 5, turned=True),
    "batch_norm.default training": batch_norm(2, 3, 4, 5, training=True),
    "linear.default vector": linear(5),
    "linear.default rows": linear(2, 3, 5),
    "linear.default without bias": linear(2, 2, 3, 5, bias=False),
    "hardswish.default": like("hardswish", 2, 3, 4),
    "hardsigmoid.default": like("hardsigmoid", 2, 3, 4),
}


def returned(call: Callable[[], Any], cheap: bool) -> Shapes:
    with torch.no_grad(), FakeTensorMode(), torch._dispatch.python.enable_python_dispatcher():  # type: ignore[no-untyped-call]
        if cheap:
            with shapes_only():
                results = call()
        else:
            results = call()
    many = results if isinstance(results, tuple) else (results,)
    return [(tuple(t.shape), t.stride()) for t in many]


@pytest.mark.parametrize("name", CALLS)
def test_a_shape_is_the_one_that_torch_says(name: str) -> None:
    shapes = [shape for shape, _ in returned(CALLS[name], cheap=True)]
    assert shapes == [shape for shape, _ in returned(CALLS[name], cheap=False)]


@pytest.mark.parametrize("name", [n for n in CALLS if "batch_norm" not in n])
def test_and_lies_in_memory_alike(name: str) -> None:
    assert returned(CALLS[name], cheap=True) == returned(CALLS[name], cheap=False)


def test_every_rule_has_a_call() -> None:
    assert {name.split()[0] for name in CALLS} == set(_RULES)


@pytest.mark.parametrize("call", [batch_norm(2, 4, 5, 5), linear(2, 3, 6)])
def test_what_torch_refuses_is_refused_in_its_words(call: Callable[[], Any]) -> None:
    said = []
    for cheap in (True, False):
        with pytest.raises(RuntimeError) as caught:
            returned(call, cheap)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_numbers_are_computed_still_and_torch_is_left_as_it_was() -> None:
    torch.manual_seed(0)
    module, x = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Hardswish()).eval(), torch.randn(2, 4)
    operators = [getattr(getattr(torch.ops.aten, n.split(".")[0]), n.split(".")[1]) for n in _RULES]
    before = [dict(operator.py_kernels) for operator in operators]
    want = module(x)
    with shapes_only():
        assert [dict(operator.py_kernels) for operator in operators] != before
        with torch._dispatch.python.enable_python_dispatcher():  # type: ignore[no-untyped-call]
            assert torch.equal(module(x), want)
    assert [dict(operator.py_kernels) for operator in operators] == before


class Writer(nn.Module):
    """Modules whose results are written to, returned as they came, several at once, and called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.same = nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Identity()
        self.pool = nn.MaxPool2d(2, return_indices=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.act(self.first(self.same(x)))
        y[:, 0] = 1
        z, _ = self.pool(self.same(y))
        return z.add_(1), self.act(z)


def program(module: nn.Module, x: torch.Tensor) -> list[str]:
    """Its calls: name, operator, arguments, and but for the taps the module."""
    calls = [node for node in export(module, (x,)).graph.nodes if node.op == "call_function"]
    scopes = ["" if str(node.target) == marks.TAP else scope_of(node) for node in calls]
    return [f"{n.name} = {n.target}{n.args} {scope}" for n, scope in zip(calls, scopes, strict=True)]


@pytest.mark.parametrize(
    "module",
    [
        Writer(),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(144, 2)),
        nn.Sequential(nn.Flatten(2), nn.LSTM(64, 8, batch_first=True)),
    ],
    ids=["writer", "pictures", "recurrent"],
)
def test_a_tap_that_is_noted_is_the_one_that_is_called(module: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x, noted = torch.randn(1, 3, 8, 8), []
    really = marks._noted

    def counted(path: str, t: torch.Tensor) -> bool:
        noted.append(really(path, t))
        return noted[-1]

    monkeypatch.setattr(marks, "_noted", counted)
    got = program(module.eval(), x)
    monkeypatch.setattr(marks, "_noted", lambda path, t: False)
    want = program(module.eval(), x)
    assert got == want
    assert any(marks.TAP in line for line in got)
    assert not hasattr(marks.proxy_tensor, "get_proxy_mode") or any(noted)
