"""Recurrent layers and cells: ncnn has one layer of one or two directions; a cell is that of a sequence of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import torch

from ...errors import BuildError
from ...ir import Graph, Value, Values
from ...ops.activations.activation import activation
from ...ops.arithmetic.binary import binaryOp
from ...ops.arithmetic.channelwise import linear
from ...ops.common import need
from ...ops.sequences.recurrent import gru, lstm, rnn
from ...ops.shapes.crop import crop
from ...ops.shapes.shape import concat
from ..blobs import as_tensor, constant, sample, stored
from ..layout import Tensor, permuted, tensor, viewed
from ..registry import Call, Missing, on_tensors

_LAYERS: dict[str, Callable[..., Values]] = {"LSTM": lstm, "GRU": gru, "RNN": rnn}
_CLASSES = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "RNN"}


def _register(name: str) -> None:
    @on_tensors(f"aten.{name}.input")
    def convert(
        g: Graph,
        node: Call,
        x: Any,
        first: Any,
        weights: Sequence[Any],
        biases: bool,
        count: int,
        dropout: float,
        train: bool,
        both: bool,
        batch_first: bool,
    ) -> Any:
        fix = "Call .eval() on the network first"
        need(not train or not dropout, "dropout in training mode", argument="train", expected=False, got=True, fix=fix)
        x = x if batch_first else _turned(x)
        first = list(first) if isinstance(first, (list, tuple)) else [first]
        y, states = _sequence(g, node, _CLASSES[name], x, first, weights, biases, count, both)
        return (y if batch_first else permuted(y, (1, 0, 2)), *states)

    @on_tensors(f"aten.{name}_cell")
    def cell(g: Graph, node: Call, x: Any, first: Any, *weights: Any) -> Any:
        """x [N, size], states [N, hidden]: a sequence of one row, whose last states are the result."""
        alone = not isinstance(first, (list, tuple))
        given = [first] if alone else list(first)
        rows = [_inserted(t, 1) for t in (x, *given)]
        held = [w for w in weights if w is not None]
        need(len(held) in (2, 4), "one bias without the other", argument="b_ih", got=len(held))
        call = Call(node.operator, ((), *node.shapes), (node.dtype, *node.dtypes), (False, *[True] * len(given)))
        _, states = _sequence(
            g, call, _CLASSES[name], rows[0], [_turned(t) for t in rows[1:]], held, len(held) == 4, 1, False
        )
        made = tuple(_without(t, 0) for t in states)
        return made[0] if alone else made


for _name in _CLASSES:
    _register(_name)


@on_tensors("aten.rnn_relu.input")
def _rnn_relu(g: Graph, node: Call, *arguments: Any) -> Any:
    fix = 'Use nonlinearity="tanh", or an nn.RNNCell for each step'
    raise BuildError("ncnn's RNN has tanh only", expected="nonlinearity='tanh'", got="relu", fix=fix)


@on_tensors("aten.rnn_relu_cell")
def _rnn_relu_cell(g: Graph, node: Call, x: Any, hidden: Any, w_x: Any, w_h: Any, b_x: Any, b_h: Any) -> Tensor:
    """relu(w_x x + b_x + w_h h + b_h), the rows of x being samples."""
    weights = [w for w in (w_x, w_h, b_x, b_h) if w is not None]
    fits = all(isinstance(w, torch.Tensor) for w in weights)
    need(fits, "a weight that is computed", argument="w_ih", expected="constants")
    parts = []
    for t, weight, bias in ((x, w_x, b_x), (hidden, w_h, b_h)):
        if isinstance(t, torch.Tensor) and not t.any() and bias is None:
            continue
        t = as_tensor(g, t)
        rows = stored(g, t, t.shape if t.shape[0] != 1 else t.shape[-1:])
        parts.append(linear(g, rows, SimpleNamespace(weight=weight, bias=bias))[0])
    total = parts[0] if len(parts) == 1 else binaryOp(g, parts, "Add")[0]
    return tensor(activation(g, total, "relu")[0], node.shape, node.dtype)


def _turned(t: Any) -> Any:
    """The first two axes in the other order."""
    return permuted(t, (1, 0, 2)) if isinstance(t, Tensor) else t.transpose(0, 1)


def _inserted(t: Any, axis: int) -> Any:
    shape = (*t.shape[:axis], 1, *t.shape[axis:])
    return viewed(t, shape) if isinstance(t, Tensor) else t.reshape(shape)


def _without(t: Tensor, axis: int) -> Tensor:
    made = viewed(t, (*t.shape[:axis], *t.shape[axis + 1 :]))
    assert made is not None, "an axis of one"
    return made


def _sequence(
    g: Graph,
    node: Call,
    kind: str,
    x: Any,
    first: Sequence[Any],
    weights: Sequence[Any],
    biases: bool,
    count: int,
    both: bool,
) -> tuple[Tensor, list[Any]]:
    """x [N, T, size], first states [layers * directions, N, size]: the rows [N, T, size], and the last states."""
    constant_weights = all(isinstance(w, torch.Tensor) for w in weights)
    need(constant_weights, "a weight that is computed", argument="params", expected="constants")
    n, ways = x.shape[0], 2 if both else 1
    value = sample(g, x, 2) if isinstance(x, Tensor) else _same_for_all(g, x, "input")
    asked = any(node.used[1:]) or not all(isinstance(s, torch.Tensor) and not s.any() for s in first)
    states = [_states(g, s) for s in first] if asked else []
    each = len(weights) // (count * ways)
    last: list[list[Value]] = [[] for _ in first]
    for layer in range(count):
        module = _module(kind, weights[layer * ways * each : (layer + 1) * ways * each], ways, biases)
        rows = [s if count == 1 else crop(g, s, (layer * ways,), ((layer + 1) * ways,), (0,))[0] for s in states]
        value, *after = _LAYERS[kind](g, [value, *rows], module)
        for made, state in zip(last, after, strict=bool(after)):
            made.append(state)
    y = tensor(value, (n, x.shape[1], value.shape[1]), node.dtype, n)
    if not asked:
        return y, [Missing("the last states, which nobody seemed to take")] * len(first)
    joined = [made[0] if count == 1 else concat(g, made, 1)[0] for made in last]
    return y, [permuted(tensor(s, (n, *s.shape), node.dtype, n), (1, 0, 2)) for s in joined]


def _states(g: Graph, s: Any) -> Value:
    """[layers * directions, size] of each sample."""
    return sample(g, _turned(s), 2) if isinstance(s, Tensor) else _same_for_all(g, s.transpose(0, 1), "hx")


def _same_for_all(g: Graph, data: torch.Tensor, argument: str) -> Value:
    same = bool((data == data[:1]).all())
    need(same, "a constant that differs from sample to sample", argument=argument, expected="the same for all of them")
    return constant(g, data[0], data.shape[1:])


def _module(kind: str, weights: Sequence[torch.Tensor], ways: int, biases: bool) -> SimpleNamespace:
    """One layer of torch's weights as the module that the DSL takes."""
    names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if biases else []), "weight_hr"]
    each = len(weights) // ways
    held = {
        f"{name}_l0{end}": weight
        for way, end in enumerate(("", "_reverse")[:ways])
        for name, weight in zip(names, weights[way * each : (way + 1) * each], strict=False)
    }
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    mode = "RNN_TANH" if kind == "RNN" else kind
    hidden, size = weights[0].shape[0] // gates, weights[1].shape[1]
    projected = size if size != hidden else 0
    facts = {"hidden_size": hidden, "proj_size": projected, "num_layers": 1, "bidirectional": ways == 2, "dropout": 0}
    return SimpleNamespace(mode=mode, bias=biases, **facts, **held)
