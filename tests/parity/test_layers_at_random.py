"""ncnn's own layers with random shapes and parameters, on the runtime, against torch; and with weights of float16."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from parity_support import build, draw, named, oracle, run_emitted
from torch import nn

import ncnn_builder as nb
from ncnn_builder.emit import half
from ncnn_builder.parity import Report

few = settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
size = st.integers(1, 9)


def check(
    shapes: Sequence[tuple[int, ...]], make: Callable[..., Any], torch_says: Callable[..., Any], tolerance: float = 1e-5
) -> None:
    """Inputs of these shapes through a file and the runtime, and through torch, which gets a batch of one."""
    rng = np.random.default_rng(sum(map(sum, shapes)))
    arrays = [rng.standard_normal(s).astype(np.float32) for s in shapes]
    with torch.no_grad():
        results = torch_says(*(torch.from_numpy(a)[None] for a in arrays))
    results = results if isinstance(results, (tuple, list)) else [results]
    g = nb.Graph()
    values = make(g, *(g.input(f"x{i}", s) for i, s in enumerate(shapes)))
    for i, value in enumerate(values):
        g.output(f"y{i}", value)
    expected = {f"y{i}": r[0].numpy() for i, r in enumerate(results)}
    assert [v.shape for v in values] == [e.shape for e in expected.values()]
    Report("random").add_all(
        run_emitted(nb.compile_graph(g), named(arrays), list(expected)), expected, tolerance
    ).check()


def conv_arguments(data: st.DataObject, dims: int) -> dict[str, Any]:
    each = lambda low, high: tuple(data.draw(st.integers(low, high)) for _ in range(dims))
    groups, per_in, per_out = (data.draw(st.integers(1, 4)) for _ in range(3))
    return {
        "in_channels": groups * per_in,
        "out_channels": groups * per_out,
        "kernel_size": each(1, 3),
        "stride": each(1, 2),
        "padding": each(0, 2),
        "dilation": each(1, 2),
        "groups": groups,
        "bias": data.draw(st.booleans()),
    }


@pytest.mark.parametrize("dims", [1, 3])
@few
@given(st.data())
def test_convolutions(dims: int, data: st.DataObject) -> None:
    arguments = conv_arguments(data, dims)
    shape = tuple(data.draw(st.integers(1, 9 if dims == 1 else 5)) for _ in range(dims))
    sizes = zip(shape, arguments["kernel_size"], arguments["dilation"], arguments["padding"], strict=True)
    assume(all(n + 2 * p >= d * (k - 1) + 1 for n, k, d, p in sizes))
    module = (nn.Conv1d if dims == 1 else nn.Conv3d)(**arguments)
    function = nb.conv1d if dims == 1 else nb.conv3d
    check([(arguments["in_channels"], *shape)], lambda g, x: function(g, x, module), module)


@pytest.mark.parametrize("dims", [1, 2, 3])
@few
@given(st.data())
def test_transposed_convolutions(dims: int, data: st.DataObject) -> None:
    arguments = conv_arguments(data, dims)
    more = zip(arguments["stride"], arguments["dilation"], strict=True)
    arguments["output_padding"] = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in more)
    shape = tuple(data.draw(st.integers(1, 4)) for _ in range(dims))
    kind = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[dims - 1]
    module, x = kind(**arguments), torch.zeros(1, arguments["in_channels"], *shape)
    try:
        assume(module(x).numel() > 0)
    except RuntimeError:  # torch on an empty result
        assume(False)
    function = (nb.conv_transpose1d, nb.conv_transpose2d, nb.conv_transpose3d)[dims - 1]
    check([tuple(x.shape[1:])], lambda g, v: function(g, v, module), module)


@few
@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 3), st.integers(1, 3), st.booleans(), st.booleans())
def test_pooling(c: int, n: int, kernel: int, stride: int, padded: bool, average: bool) -> None:
    assume(n >= kernel)
    kind: Any = nn.AvgPool1d if average else nn.MaxPool1d
    module = kind(kernel, stride, kernel // 2 if padded else 0)
    check([(c, n)], lambda g, x: nb.pooling1d(g, x, module), module)


@few
@given(st.lists(size, min_size=1, max_size=4).map(tuple), st.data())
def test_parts(shape: tuple[int, ...], data: st.DataObject) -> None:
    dim = data.draw(st.integers(1, len(shape)))
    n = shape[dim - 1]
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1), max_size=3))) if n > 1 else []
    check([shape], lambda g, x: nb.tensor_split(g, x, cuts, dim), lambda x: torch.tensor_split(x, cuts, dim))
    parts = data.draw(st.integers(1, n))
    check([shape], lambda g, x: nb.slice(g, x, parts, dim), lambda x: x.split(parts, dim))


@few
@given(st.lists(size, min_size=1, max_size=4).map(tuple), st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_tiles(shape: tuple[int, ...], repeats: list[int]) -> None:
    rank = max(len(shape), len(repeats))
    full = [1] * (rank - len(repeats)) + repeats
    check([shape], lambda g, x: nb.tile(g, x, repeats), lambda x: x[0].repeat(full)[None])


@few
@given(st.integers(1, 3), size, size, st.tuples(*[st.integers(1, 3)] * 2), st.tuples(*[st.integers(0, 2)] * 2))
def test_columns(c: int, h: int, w: int, kernel: tuple[int, int], padding: tuple[int, int]) -> None:
    assume(h + 2 * padding[0] >= kernel[0] and w + 2 * padding[1] >= kernel[1])
    check(
        [(c, h, w)],
        lambda g, x: nb.unfold(g, x, kernel, padding=padding),
        lambda x: F.unfold(x, kernel, padding=padding),
    )
    columns = F.unfold(torch.zeros(1, c, h, w), kernel, padding=padding).shape[1:]
    check(
        [tuple(columns)],
        lambda g, x: nb.fold(g, x, (h, w), kernel, padding=padding),
        lambda x: F.fold(x, (h, w), kernel, padding=padding),
    )


@few
@given(st.data())
def test_einsum(data: st.DataObject) -> None:
    letters = "abcd"
    sizes = {x: data.draw(st.integers(1, 4)) for x in letters}
    tokens = [
        "".join(data.draw(st.permutations(letters))[: data.draw(st.integers(1, 3))])
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    there = sorted(set("".join(tokens)))
    right = "".join(data.draw(st.permutations(there))[: data.draw(st.integers(1, len(there)))])
    equation = f"{','.join(tokens)}->{right}"
    shapes = [tuple(sizes[x] for x in token) for token in tokens]
    check(
        shapes,
        lambda g, *v: nb.einsum(g, v, equation),
        lambda *v: torch.einsum(equation, *(x[0] for x in v))[None],
        2e-5,
    )


@few
@given(
    st.integers(1, 20), st.integers(1, 20), st.integers(1, 20), st.booleans(), st.booleans(), st.sampled_from("nmvrx")
)
def test_gemm(m: int, n: int, k: int, ta: bool, tb: bool, added: str) -> None:
    c = {"n": None, "m": (m, n), "v": (n,), "r": (1, n), "x": (m, 1)}[added]
    shapes = [(k, m) if ta else (m, k), (n, k) if tb else (k, n), *([c] if c else [])]

    def torch_says(a: Any, b: Any, c: Any = None) -> Any:
        y = 0.5 * (a.mT if ta else a) @ (b.mT if tb else b)
        return y if c is None else y + 2 * c

    check(shapes, lambda g, *v: nb.gemm(g, v, alpha=0.5, beta=2, trans_a=ta, trans_b=tb), torch_says, 2e-5)


@few
@given(st.integers(1, 9), st.integers(1, 6), st.integers(1, 9), st.booleans(), st.sampled_from(["RNN", "LSTM", "GRU"]))
def test_recurrent_layers(steps: int, inputs: int, hidden: int, both: bool, kind: str) -> None:
    module = getattr(nn, kind)(inputs, hidden, batch_first=True, bidirectional=both)
    function = getattr(nb, kind.lower())
    check([(steps, inputs)], lambda g, x: function(g, x, module), lambda x: module(x)[0], 2e-5)


TAGGED = sorted(
    name
    for name, spec in nb.registry.items()
    if any(w.tagged for w in spec.weights) and not spec.custom and not spec.composite
)


@pytest.mark.parametrize("op", TAGGED)
def test_weights_of_float16(op: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every layer whose weights have a tag takes them as float16, odd numbers of them too."""
    monkeypatch.setattr(half, "SMALL", 1)
    seen = 0
    for sample in nb.registry[op].samples():
        graph = build(sample)[0]
        if not any(node.weights and node.spec.type == op for node in graph.nodes):
            continue
        model = nb.compile_graph(graph, weights="fp16")
        expected = oracle(sample, draw(sample))
        got = run_emitted(model, named(draw(sample)), list(expected))
        Report(f"{op} {sample.id}").add_all(got, expected, 2e-2).check()
        seen += model.weights.halved > 0
    assert seen
