"""torch's functions and methods by their names, of Values: run on ncnn, against torch's own on the same tensors."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from parity_support import run_emitted

import ncnn_builder as nb
from ncnn_builder.frontend.layout import tensor
from ncnn_builder.frontend.named import FUNCTIONS, LISTS, METHODS
from ncnn_builder.frontend.walk import converted_call
from ncnn_builder.parity import Report
from ncnn_builder.values import Operators

SHAPE = (4, 6, 8)
INDEX = torch.tensor([[[0, 3, 1, 1, 2, 0, 0, 3]]]).expand(2, 6, 8)
MASK = torch.arange(8) % 3 == 0
F = torch.nn.functional

CALLS: list[tuple[str, Callable[..., Any]]] = [
    *(
        (name, lambda t, x, y, name=name: getattr(t, name)(x))
        for name in ["relu", "sigmoid", "tanh", "cos", "erf", "floor", "ceil", "sign"]
    ),
    *(
        (name, lambda t, x, y, name=name: getattr(t, name)(x))
        for name in ["round", "sum", "mean", "prod", "amax", "amin", "std", "var", "norm"]
    ),
    *(
        (name, lambda t, x, y, name=name: getattr(t, name)(x, -1))
        for name in ["sum", "mean", "amax", "std", "var", "log_softmax"]
    ),
    *((name, lambda t, x, y, name=name: getattr(t, name)(x, (0, 2))) for name in ["mean", "amin", "logsumexp"]),
    *((name, lambda t, x, y, name=name: getattr(t, name)(x, y)) for name in ["maximum", "minimum"]),
    *(
        (name, lambda t, x, y, name=name: getattr(t, name)(x))
        for name in ["gelu", "silu", "softplus", "hardswish", "hardsigmoid", "mish"]
    ),
    ("leaky_relu", lambda t, x, y: t.leaky_relu(x, 0.2)),
    ("elu", lambda t, x, y: t.elu(x, 1.5)),
    ("reciprocal", lambda t, x, y: t.reciprocal(x + 3)),
    ("pow", lambda t, x, y: t.pow(x, 3)),
    ("remainder", lambda t, x, y: t.remainder(x, 0.7)),
    ("where", lambda t, x, y: t.where(x > 0.25, y * 2, x)),
    ("where", lambda t, x, y: t.where(x - y, y, 0.5)),
    ("where", lambda t, x, y: t.where(MASK, x, y)),
    ("masked_fill", lambda t, x, y: t.masked_fill(x, y <= 0, -7.0)),
    ("masked_fill", lambda t, x, y: t.masked_fill(x, MASK, 1.0)),
    ("logical_and", lambda t, x, y: t.where(t.logical_and(x > 0, y > 0), x, y)),
    ("logical_or", lambda t, x, y: t.where(t.logical_or(x >= 0.5, y < 0), x, y)),
    ("logical_not", lambda t, x, y: t.where(t.logical_not(x > 0), x, y)),
    ("cat", lambda t, x, y: t.cat([x, y, x], -2)),
    ("stack", lambda t, x, y: t.stack([x, y], 1)),
    ("chunk", lambda t, x, y: t.chunk(x, 3, 1)),
    ("transpose", lambda t, x, y: t.transpose(x, 0, -1)),
    ("movedim", lambda t, x, y: t.movedim(x, 0, 2)),
    ("roll", lambda t, x, y: t.roll(x, (1, -3), (0, 2))),
    ("gather", lambda t, x, y: t.gather(x, 0, INDEX)),
    ("index_select", lambda t, x, y: t.index_select(x, 1, torch.tensor([5, 0, 0, 2]))),
    ("narrow", lambda t, x, y: t.narrow(x, 2, 3, 4)),
    ("select", lambda t, x, y: t.select(x, 0, 2)),
    ("unbind", lambda t, x, y: t.unbind(x, 0)),
    ("repeat_interleave", lambda t, x, y: t.repeat_interleave(x, 2, 1)),
    ("tril", lambda t, x, y: t.tril(x)),
    ("triu", lambda t, x, y: t.triu(x, 1)),
    ("bmm", lambda t, x, y: t.bmm(x, t.transpose(y, 1, 2))),
    ("max_pool2d", lambda t, x, y: t.max_pool2d(x, 2)),
    ("avg_pool2d", lambda t, x, y: t.avg_pool2d(x, 3, 2, 1)),
]

METHOD_CALLS: list[tuple[str, Callable[..., Any]]] = [
    *((name, lambda x, y, name=name: getattr(x, name)()) for name in ["exp", "square", "sin", "abs", "neg"]),
    *((name, lambda x, y, name=name: getattr(x * x + 0.5, name)()) for name in ["log", "sqrt", "rsqrt"]),
    ("clamp", lambda x, y: x.clamp(-0.5, 1.0)),
    ("softmax", lambda x, y: x.softmax(0)),
    ("cumsum", lambda x, y: x.cumsum(1)),
    ("flatten", lambda x, y: x.flatten(1)),
    ("squeeze", lambda x, y: x.narrow(1, 2, 1).squeeze(1)),
    ("unsqueeze", lambda x, y: x.unsqueeze(0)),
    ("permute", lambda x, y: x.permute(2, 0, 1)),
    ("flip", lambda x, y: x.flip(0, -1)),
    ("split", lambda x, y: x.split([1, 3], 0)),
    ("matmul", lambda x, y: x.matmul(y.transpose(-1, -2))),
    ("diag", lambda x, y: x.select(0, 1).diag(1)),
    ("pixel_shuffle", lambda x, y: F.pixel_shuffle(x, 2) if isinstance(x, torch.Tensor) else x.pixel_shuffle(2)),
    ("pixel_unshuffle", lambda x, y: F.pixel_unshuffle(x, 2) if isinstance(x, torch.Tensor) else x.pixel_unshuffle(2)),
    ("reshape", lambda x, y: x.reshape(-1, 6)),
    ("view", lambda x, y: x.view(2, 2, 48)),
    ("expand", lambda x, y: x.narrow(0, 0, 1).expand(3, -1, -1)),
    ("repeat", lambda x, y: x.repeat(2, 1, 1)),
    ("chunk", lambda x, y: x.chunk(1, 0)),
    ("mean", lambda x, y: x.mean((1, 2), keepdim=True)),
    ("norm", lambda x, y: x.norm(dim=0)),
    ("gt", lambda x, y: (x > y) + (x >= 0) - (y < 0.5) * (x <= 1)),
]


class Torch:
    """The functions of nb, on torch's tensors."""

    def __getattr__(self, name: str) -> Any:
        return next(getattr(m, name) for m in (torch, F) if hasattr(m, name))

    def where(self, mask: torch.Tensor, a: Any, b: Any) -> torch.Tensor:
        return torch.where(mask != 0, a, b)


class Dsl:
    """The same on a graph."""

    def __init__(self, g: nb.Graph) -> None:
        self.g = g

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: getattr(nb, name)(self.g, *args, **kwargs)


def check(by_torch: Callable[..., Any], by_nb: Callable[..., Any], targets: tuple[str, ...] = ("stock",)) -> None:
    rng = np.random.default_rng(7)
    arrays = [rng.standard_normal(SHAPE).astype(np.float32) for _ in range(2)]
    arrays[0][0, 0] = (0, -0.0, 0.5, 1, -1, 0.25, 2.5, -2.5)  # halves and zeros
    results = by_torch(*map(torch.from_numpy, arrays))
    results = results if isinstance(results, (tuple, list)) else [results]
    expected = {f"y{i}": r.float().reshape(r.shape or (1,)).numpy() for i, r in enumerate(results)}
    g = nb.Graph()
    values = nb.check_bottom_names(by_nb(g, g.input("x", SHAPE), g.input("y", SHAPE)))
    assert [v.shape for v in values] == [e.shape for e in expected.values()]
    for i, value in enumerate(values):
        g.output(f"y{i}", value)
    for target in targets:
        got = run_emitted(nb.compile_graph(g, target), {"x": arrays[0], "y": arrays[1]}, list(expected))
        Report("named").add_all(got, expected, 1e-4).check()


def numbered(calls: list[tuple[str, Callable[..., Any]]]) -> list[Any]:
    return [pytest.param(call, id=f"{name}-{i}") for i, (name, call) in enumerate(calls)]


@pytest.mark.parametrize("call", numbered(CALLS))
def test_a_function_is_torchs(call: Callable[..., Any]) -> None:
    check(lambda x, y: call(Torch(), x, y), lambda g, x, y: call(Dsl(g), x, y))


@pytest.mark.parametrize("call", numbered(METHOD_CALLS))
def test_a_method_is_torchs(call: Callable[..., Any]) -> None:
    def numbers(x: torch.Tensor, y: torch.Tensor) -> Any:
        return call(x.as_subclass(Truths), y.as_subclass(Truths))

    check(numbers, lambda g, x, y: call(x, y))


class Truths(torch.Tensor):
    """A tensor whose comparisons are numbers, as those of Values are for + and *."""

    def __gt__(self, other: Any) -> Any:
        return super().__gt__(other).float()

    def __ge__(self, other: Any) -> Any:
        return super().__ge__(other).float()

    def __lt__(self, other: Any) -> Any:
        return super().__lt__(other).float()

    def __le__(self, other: Any) -> Any:
        return super().__le__(other).float()


def test_every_name_is_tried() -> None:
    assert {name for name, _ in CALLS} == FUNCTIONS.keys()
    assert METHODS.keys() - FUNCTIONS.keys() <= {name for name, _ in METHOD_CALLS}
    assert METHODS.keys() >= LISTS


def test_every_name_is_public_and_typed() -> None:
    assert all(getattr(nb, name) is function for name, function in FUNCTIONS.items())
    assert set(FUNCTIONS) <= set(nb.__all__)
    tree = ast.parse(inspect.getsource(inspect.getmodule(Operators)))  # type: ignore[arg-type]
    declared = {n.target.id for n in ast.walk(tree) if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
    assert declared - {"_operators", "_held", "result"} == METHODS.keys()


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_a_method_as_a_function_on_every_target(target: str) -> None:
    def call(t: Any, x: Any, y: Any) -> Any:
        return t.gelu(t.cat([x, y], 0)) * t.mean(x, -1, keepdim=True).sum()

    check(lambda x, y: call(Torch(), x, y), lambda g, x, y: call(Dsl(g), x, y), (target,))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g, x: nb.cat(g, [torch.zeros(2), torch.ones(2)]), "no Value"),
        (lambda g, x: x.mean(3), r"mean.*at test_named.py.*out of range"),
        (lambda g, x: nb.stack(g, [x.unsqueeze(0), x.unsqueeze(0)]), "more dimensions"),
        (lambda g, x: x.where(1), "no attribute"),
        (lambda g, x: nb.gather(g, x, 0, x), r"gather at .*refuses this; got gather\(\): Expected dtype int"),
        (lambda g, x: x > "a", "operator >"),
    ],
)
def test_errors_name_the_function_and_the_line(call: Callable[..., Any], words: str) -> None:
    g = nb.Graph()
    with pytest.raises((nb.BuildError, AttributeError), match=words):
        call(g, g.input("x", SHAPE))


def test_sizes_that_are_open() -> None:
    """torch's functions are made for the sizes of today: where these matter, that is an error."""
    g = nb.Graph()
    x = g.input("x", (3, 8, 8), any_shape=True)
    assert x.relu().shape == (3, 8, 8)
    with pytest.raises(nb.BuildError, match="one size only"):
        x.roll(1, -1)


def test_open_sizes_stay_open() -> None:
    g = nb.Graph()
    x = g.input("x", (4, "h", "w=4.."))
    h, w = x.shape[1:]
    y = nb.leaky_relu(g, nb.conv2d(g, x, torch.nn.Conv2d(4, 8, 3, 1, 1)), 0.2)[0]
    assert y.shape == (8, h, w)
    assert nb.max_pool2d(g, y, 2)[0].shape == (8, h // 2, w // 2)  # torch asks whether w // 2 is 1: of strides
    assert nb.stack(g, [y, y], 1)[0].shape == (8, 2, h, w) and nb.cat(g, [y, x], 0)[0].shape == (12, h, w)
    assert y.reshape(8, -1).softmax(1).transpose(0, 1).shape == (h * w, 8)
    assert y.mean((1, 2)).shape == (8,) and nb.where(g, y > 0, y, y * 2)[0].shape == (8, h, w)
    assert nb.narrow(g, y, 2, 0, 4)[0].shape == (8, h, 4)
    with pytest.raises(nb.BuildError, match="narrow"):
        nb.narrow(g, y, 1, 0, 4)


def test_a_function_that_goes_two_ways_by_an_open_size_is_refused() -> None:
    g = nb.Graph()
    x = g.input("x", (4, "h", "w"))

    def either(t: torch.Tensor) -> torch.Tensor:
        return t * 2 if t.shape[1] > 6 else t.sin()

    with pytest.raises(nb.BuildError, match=r"something else at some sizes.* got h=\d"):
        converted_call(g, either, (tensor(x, x.shape, torch.float32),), {})
