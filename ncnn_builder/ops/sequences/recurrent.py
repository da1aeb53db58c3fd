"""Recurrent layers: RNN, LSTM and GRU, one layer each, forward, in reverse, or both. The DSL takes torch's modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ...builder import ValueLike, append, array, check_bottom_names
from ...ir import Array, Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, Weight, dsl, register, same_as, spec_of
from ..common import need, need_eval, need_rank, need_shape
from ..norms.norm import need_module

_INT8 = {8: "int8_scale_term: quantised weights are made by ncnn's own tools"}
_COMMON = (
    Param("num_output", 0, "int", "size of the output, per direction"),
    Param("weight_data_size", 1, "int", "number of elements of weight_xc"),
    Param("direction", 2, "int", "0 forward, 1 reverse, 2 both: forward then reverse in each row"),
)


class Recurrent(OpSpec):
    """x [T, size] -> [T, directions * num_output], and the last states where first ones are given: [directions, size].

    weight_xc [directions, gates * hidden, size], bias_c [directions, rows, hidden], weight_hc [directions,
    gates * hidden, num_output].
    """

    gates: ClassVar[int]
    bias_rows: ClassVar[int]
    states: ClassVar[int] = 1  # how many a layer keeps: hidden, and the cell of an LSTM
    outputs: ClassVar[tuple[str, ...]] = ("y", "hidden")
    weights: ClassVar[tuple[Weight, ...]] = (
        Weight("weight_xc", True, "[directions, gates * hidden, size]"),
        Weight("bias_c", True, "[directions, rows, hidden]"),
        Weight("weight_hc", True, "[directions, gates * hidden, num_output]"),
    )
    left_out = _INT8
    tolerance = Tolerance(2e-5)

    def _hidden(self, params: Any) -> int:
        return int(params.get("hidden_size", params["num_output"]))

    def _shapes(self, params: Any) -> dict[str, Shape]:
        """The shape of each weight."""
        ways, out, hidden = 2 if params["direction"] == 2 else 1, params["num_output"], self._hidden(params)
        rows = self.gates * hidden
        shapes: dict[str, Shape] = {
            "weight_xc": (ways, rows, params["weight_data_size"] // (ways * rows)),
            "bias_c": (ways, self.bias_rows, hidden),
            "weight_hc": (ways, rows, out),
        }
        if out != hidden:
            shapes["weight_hr"] = (ways, out, hidden)
        return shapes

    def weight_sizes(self, params: Params) -> dict[str, int]:
        return {name: int(np.prod(shape)) for name, shape in self._shapes(params).items()}

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """The last states without the first, or the first without the last."""
        if count == (1 + self.states if len(inputs) > 1 else 1):
            return None
        need(count in (1, 1 + self.states), "wrong number of results", expected=[1, 1 + self.states], got=count)
        held = {name: np.broadcast_to(np.float32(0), shape) for name, shape in self._shapes(params).items()}
        y, *states = self.infer(inputs, params, held)
        ways = 2 if params["direction"] == 2 else 1
        sizes = [(ways, params["num_output"]), (ways, self._hidden(params))][: self.states]
        return [y, *(states or sizes)][:count]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        x, p = inputs[0], params
        need_rank(x, (2,), "x")
        need(p["direction"] in (0, 1, 2), "unknown direction", argument="direction", got=p["direction"])
        for name, shape in self._shapes(p).items():
            need_shape(weights[name].shape, shape, name)
        need(weights["weight_xc"].shape[2] == x[1], "x does not fit the weight", argument="x", got=list(x))
        need(len(inputs) in (1, 1 + self.states), "wrong number of states", expected=self.states, got=len(inputs) - 1)
        ways = 2 if p["direction"] == 2 else 1
        sizes = [(ways, p["num_output"]), (ways, self._hidden(p))][: self.states]
        for given, expected in zip(inputs[1:], sizes, strict=False):
            need_shape(given, expected, "state")
        return [(x[0], ways * p["num_output"]), *(sizes if len(inputs) > 1 else [])]

    def _step(self, gates: Any, states: list[Any], w: Any) -> list[Any]:
        """The states after one row: gates is weight_xc @ x of this row; w the weights of this direction."""
        raise NotImplementedError

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        """Each weight matrix once for each row."""
        sizes = self.weight_sizes(params)
        return inputs[0][0] * sum(n for name, n in sizes.items() if name.startswith("weight"))

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        x, p = inputs[0], params
        w = {name: weights[name].reshape(shape) for name, shape in self._shapes(p).items()}
        ways = 2 if p["direction"] == 2 else 1
        sizes = [p["num_output"], self._hidden(p)][: self.states]
        first = list(inputs[1:]) or [x.new_zeros(ways, n) for n in sizes]
        rows, last = [], []
        for way in range(ways):
            reverse = p["direction"] == 1 or way == 1
            mine = {name: data[way] for name, data in w.items()}
            states, ys = [s[way] for s in first], []
            for row in reversed(range(len(x))) if reverse else range(len(x)):
                states = self._step(mine["weight_xc"] @ x[row], states, mine)
                ys.append(states[0])
            rows.append(torch.stack(ys[::-1] if reverse else ys))
            last.append(states)
        finals = [torch.stack([states[i] for states in last]) for i in range(self.states)]
        return [torch.cat(rows, 1), *(finals if len(inputs) > 1 else [])]

    def _samples(self, kind: Any, build: Any) -> list[Sample]:
        import torch

        def sample(steps: int, size: int, out: int, states: bool, **kw: Any) -> Sample:
            module = kind(size, out, batch_first=True, **kw)
            ways = 2 if kw.get("bidirectional") else 1
            first = [kw.get("proj_size") or out, out][: self.states] if states else []
            name = "-".join(f"{k}{v}" for k, v in kw.items())

            def expected(x: Any, *given: Any) -> Any:
                before = [s.transpose(0, 1) for s in given]  # (directions, 1, size), as torch has it
                y, after = module(x, (before[0] if self.states == 1 else tuple(before)) if before else None)
                after = after if isinstance(after, tuple) else (after,)
                return (y, *(s.transpose(0, 1) for s in after)) if before else y

            return Sample(
                f"{steps}-{size}-{out}-{states}-{name}",
                ((steps, size), *((ways, n) for n in first)),
                lambda g, *v: build(g, v, module),
                expected,
            )

        torch.manual_seed(2)
        more = [sample(4, 5, 6, states, proj_size=3) for states in (False, True)] if self.states == 2 else []
        return [
            *(sample(t, n, m, states) for t, n, m in ((5, 3, 4), (1, 1, 1), (7, 16, 8)) for states in (False, True)),
            *(sample(5, 3, 4, states, bidirectional=True) for states in (False, True)),
            sample(4, 3, 5, False, bias=False),
            sample(4, 3, 5, False, num_layers=2, bidirectional=True),
            *more,
        ]


@register
class RNN(Recurrent):
    """h = tanh(weight_xc x + weight_hc h + bias_c), row by row; the result is h. ncnn: rnn.cpp."""

    type = "RNN"
    inputs = ("x", "hidden?")
    params = _COMMON
    gates, bias_rows = 1, 1
    checked_in_cpp = True

    def _step(self, gates: Any, states: list[Any], w: Any) -> list[Any]:
        return [(gates + w["weight_hc"] @ states[0] + w["bias_c"][0]).tanh()]

    def samples(self) -> list[Sample]:
        from torch import nn

        return self._samples(nn.RNN, rnn)


@register
class LSTM(Recurrent):
    """Long short-term memory, gates i, f, o, g in this order (torch: i, f, g, o). ncnn: lstm.cpp.

    c = sigmoid(f) * c + sigmoid(i) * tanh(g); h = sigmoid(o) * tanh(c), where each gate is a row of weight_xc x +
    weight_hc h + bias_c. With num_output other than hidden_size, h is weight_hr times that.
    Source: Hochreiter and Schmidhuber 1997; projection: Sak et al. 2014.
    """

    type = "LSTM"
    inputs = ("x", "hidden?", "cell?")
    outputs = ("y", "hidden", "cell")
    params = (*_COMMON, Param("hidden_size", 3, "int", "size of the cell", same_as("num_output")))
    weights = (*Recurrent.weights, Weight("weight_hr", True, "[directions, num_output, hidden]"))
    gates, bias_rows, states = 4, 4, 2
    checked_in_cpp = True

    def _step(self, gates: Any, states: list[Any], w: Any) -> list[Any]:
        i, f, o, g = (gates + w["weight_hc"] @ states[0] + w["bias_c"].flatten()).chunk(4)
        cell = f.sigmoid() * states[1] + i.sigmoid() * g.tanh()
        hidden = o.sigmoid() * cell.tanh()
        return [w["weight_hr"] @ hidden if "weight_hr" in w else hidden, cell]

    def samples(self) -> list[Sample]:
        from torch import nn

        return self._samples(nn.LSTM, lstm)


@register
class GRU(Recurrent):
    """Gated recurrent unit, gates r, u, n as torch has them. ncnn: gru.cpp.

    n = tanh(W_n x + b_2 + r * (U_n h + b_3)); h = (1 - u) * n + u * h, with r and u sigmoids of W x + U h + b_0, b_1.
    Source: Cho et al. 2014, in the form of torch's nn.GRU.
    """

    type = "GRU"
    inputs = ("x", "hidden?")
    params = _COMMON
    gates, bias_rows = 3, 4
    checked_in_cpp = True

    def _step(self, gates: Any, states: list[Any], w: Any) -> list[Any]:
        h, b = states[0], w["bias_c"]
        (xr, xu, xn), (hr, hu, hn) = gates.chunk(3), (w["weight_hc"] @ h).chunk(3)
        r, u = (xr + hr + b[0]).sigmoid(), (xu + hu + b[1]).sigmoid()
        n = (xn + b[2] + r * (hn + b[3])).tanh()
        return [(1 - u) * n + u * h]

    def samples(self) -> list[Sample]:
        from torch import nn

        return self._samples(nn.GRU, gru)


# -- DSL --------------------------------------------------------------------------------------------------------


def _gate_order(op_type: str, data: Array, hidden: int) -> Array:
    """torch's gates along the first axis in ncnn's order."""
    if op_type != "LSTM":
        return data
    i, f, g, o = np.split(data, 4)
    return np.concatenate([i, f, o, g])


def _bias(op_type: str, ih: Array, hh: Array, hidden: int) -> Array:
    """torch's two biases as ncnn's rows: they are added, but for the new gate of a GRU."""
    if op_type == "GRU":
        (r, u, n), (r2, u2, n2) = np.split(ih, 3), np.split(hh, 3)
        return np.stack([r + r2, u + u2, n, n2])
    return _gate_order(op_type, ih + hh, hidden).reshape(-1, hidden)


def _layers(g: Graph, bottom_names: ValueLike, module: Any, op_type: str) -> Values:
    need_module(module, "module", f"an nn.{op_type}", "weight_ih_l0", "hidden_size", "num_layers", "bidirectional")
    need(
        module.mode.startswith(op_type), "the module does not fit", argument="module", expected=op_type, got=module.mode
    )
    if module.dropout:  # between the layers
        need_eval(module, "module")
    need(module.mode != "RNN_RELU", "ncnn's RNN has tanh only", argument="module", expected="nonlinearity='tanh'")
    values, hidden = check_bottom_names(bottom_names), module.hidden_size
    count = module.num_layers
    need(
        len(values) == 1 or count == 1,
        "states of several layers",
        argument="module",
        expected="one layer where states are given",
        got=f"num_layers={count}",
        fix="Use one module per layer",
    )
    ends = ("", "_reverse") if module.bidirectional else ("",)
    out = getattr(module, "proj_size", 0) or hidden
    for layer in range(count):

        def weight(name: str, end: str, layer: int = layer) -> Array:
            return array(getattr(module, f"{name}_l{layer}{end}"), name)

        held: dict[str, list[Array]] = {"weight_xc": [], "bias_c": [], "weight_hc": [], "weight_hr": []}
        for end in ends:
            held["weight_xc"].append(_gate_order(op_type, weight("weight_ih", end), hidden))
            held["weight_hc"].append(_gate_order(op_type, weight("weight_hh", end), hidden))
            rows = held["weight_xc"][-1].shape[0]
            none: Array = np.zeros(rows, np.float32)
            pair = [weight(name, end) if module.bias else none for name in ("bias_ih", "bias_hh")]
            held["bias_c"].append(_bias(op_type, pair[0], pair[1], hidden))
            if out != hidden:
                held["weight_hr"].append(weight("weight_hr", end))
        weights: dict[str, Array | None] = {name: np.stack(parts) for name, parts in held.items() if parts}
        xc = weights["weight_xc"]
        assert xc is not None
        params = {"num_output": out, "weight_data_size": xc.size, "direction": 2 if module.bidirectional else 0}
        if op_type == "LSTM":
            params["hidden_size"] = hidden
        values = append(g, spec_of(op_type), values, params, weights)
    return values


@dsl
def rnn(g: Graph, bottom_names: ValueLike, module: Any) -> Values:
    """An nn.RNN with tanh, inputs [x] or [x, h0]: x [T, size], h0 [directions, hidden] -> [y] or [y, h].

    Without states any number of layers; with them one. Raises BuildError for nonlinearity="relu".
    """
    return _layers(g, bottom_names, module, "RNN")


@dsl
def lstm(g: Graph, bottom_names: ValueLike, module: Any) -> Values:
    """An nn.LSTM, inputs [x] or [x, h0, c0]: x [T, size], states [directions, size] -> [y] or [y, h, c].

    bidirectional, proj_size and, without states, any number of layers.
    """
    return _layers(g, bottom_names, module, "LSTM")


@dsl
def gru(g: Graph, bottom_names: ValueLike, module: Any) -> Values:
    """An nn.GRU, inputs [x] or [x, h0]: x [T, size], h0 [directions, hidden] -> [y] or [y, h].

    bidirectional and, without states, any number of layers.
    """
    return _layers(g, bottom_names, module, "GRU")
