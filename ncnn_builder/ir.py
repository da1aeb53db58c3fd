"""The intermediate representation: values, nodes, graphs. It knows nothing of ncnn's layers or files.

Shapes are static, outer dimension first, without the batch: a picture is (C, H, W), a vector (W,).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import BuildError

if TYPE_CHECKING:
    from .opspec import OpSpec

Shape = tuple[int, ...]
Array = np.ndarray[Any, np.dtype[np.float32]]
Params = Mapping[str, Any]


class Value:
    """A tensor in a graph.

    name      unique in its graph
    shape     outer first, no batch; () where it is not known, which only a net that was read can have
    producer  the node that makes it; None for an input of the graph
    uses      (node, position) of each use; being an output of the graph is no use
    data      its numbers, if they are known when the graph is built
    graph     the graph that it belongs to

    It has operators: + - * / ** @, unary minus, abs() and slices, of Values of one graph and numbers. What they mean is
    not known here: see define_operators().
    """

    __slots__ = ("any_shape", "data", "graph", "name", "producer", "shape", "uses")
    __array_ufunc__ = None  # a numpy number on the left leaves the operator to the Value
    __iter__ = None  # indexing does not make it a sequence

    def __init__(
        self, graph: Graph, name: str, shape: Shape, producer: Node | None = None, data: Array | None = None
    ) -> None:
        self.graph = graph
        self.name = name
        self.shape = shape
        self.producer = producer
        self.uses: list[tuple[Node, int]] = []
        self.data = data
        self.any_shape = False  # an input whose shape the runtime shall not check (see Graph.input)

    def __repr__(self) -> str:
        return f"{self.name}{list(self.shape) if self.shape else '[?]'}"

    def __add__(self, other: Any) -> Value:
        return _operate("add", self, other)

    def __radd__(self, other: Any) -> Value:
        return _operate("add", self, other)

    def __sub__(self, other: Any) -> Value:
        return _operate("sub", self, other)

    def __rsub__(self, other: Any) -> Value:
        return _operate("rsub", self, other)

    def __mul__(self, other: Any) -> Value:
        return _operate("mul", self, other)

    def __rmul__(self, other: Any) -> Value:
        return _operate("mul", self, other)

    def __truediv__(self, other: Any) -> Value:
        return _operate("div", self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return _operate("rdiv", self, other)

    def __pow__(self, other: Any) -> Value:
        return _operate("pow", self, other)

    def __rpow__(self, other: Any) -> Value:
        return _operate("rpow", self, other)

    def __matmul__(self, other: Any) -> Value:
        return _operate("matmul", self, other)

    def __neg__(self) -> Value:
        return _operate("neg", self)

    def __abs__(self) -> Value:
        return _operate("abs", self)

    def __getitem__(self, key: Any) -> Value:
        return _operate("getitem", self, key)


_operators: dict[str, Callable[..., Value]] = {}


def define_operators(table: Mapping[str, Callable[..., Value]]) -> None:
    """Say what the operators of Values mean: name -> function of (graph, value, operands)."""
    _operators.update(table)


def _operate(name: str, value: Value, *operands: Any) -> Value:
    return _operators[name](value.graph, value, *operands)


class Node:
    """One operation: its declaration, its inputs, parameters, weights and outputs, and where it comes from.

    scope    the module path, e.g. ``synthesis.b64.conv0``
    source   ``file.py:line`` of the call that made it
    made_by  the lowering or pass that made it; None for the author's own
    stored   weight -> how the file that it was read from stores it, where that is not plain float32
    mask     ncnn's feature mask (id 31): what the layer shall not use; 0 is nothing (see features.py)
    """

    __slots__ = (
        *("inputs", "made_by", "mask", "name", "outputs", "params", "scope", "source", "spec", "stored", "weights"),
    )

    def __init__(
        self,
        spec: OpSpec,
        name: str,
        inputs: list[Value],
        params: dict[str, Any],
        weights: dict[str, Array],
        scope: str,
        source: str,
        made_by: str | None,
        stored: Mapping[str, str] | None = None,
        mask: int = 0,
    ) -> None:
        self.spec = spec
        self.name = name
        self.inputs = inputs
        self.params = params
        self.weights = weights
        self.outputs: list[Value] = []
        self.scope = scope
        self.source = source
        self.made_by = made_by
        self.stored = dict(stored or {})
        self.mask = mask

    def __repr__(self) -> str:
        params = ", ".join(f"{k}={_brief(v)}" for k, v in self.params.items())
        weights = ", ".join(f"{k}{list(w.shape)}" for k, w in self.weights.items())
        args = ", ".join(filter(None, [", ".join(v.name for v in self.inputs), params, weights]))
        outs = ", ".join(map(repr, self.outputs))
        made = f" by {self.made_by}" if self.made_by else ""
        return f"{outs} = {self.spec.type}({args})  # {self.source}{made}"


class Graph:
    """Nodes in an order in which they can run, the inputs and outputs, and the taps.

    taps: module path -> the Value that this module returns, so that it can be compared with PyTorch.
    loose: those of them that go where a pass makes one layer of two, as convolution, BatchNorm and ReLU.
    """

    def __init__(self, name: str = "graph") -> None:
        self.name = name
        self.nodes: list[Node] = []
        self.inputs: list[Value] = []
        self.outputs: dict[str, Value] = {}
        self.taps: dict[str, Value] = {}
        self.loose: set[str] = set()
        self._scope: list[str] = []
        self._counter = 0
        self._names: set[str] = set()
        self._avoided: frozenset[str] = frozenset()  # names of the graph that this one is rebuilt from
        self.made_by: str | None = None  # set while a lowering or pass builds into this graph
        self.source: str | None = None  # likewise: the author's line that is being lowered
        self.mask = 0  # feature mask of what is being built

    # -- building ------------------------------------------------------------------------------------------

    def input(self, name: str, shape: Sequence[int] | None, *, any_shape: bool = False) -> Value:
        """Add an input.

        shape: outer first, no batch; None where it is not known (then no op can be built on it, but layers that were
        read can stand on it). any_shape=True keeps the shape out of the file, for an input whose
        consumers accept several (StyleGAN's ws0 is [w_dim] or [num_ws, w_dim]): the runtime cannot check it.
        Raises BuildError for a name that is taken or a shape that is not 1 to 4 positive numbers.
        """
        try:
            checked = tuple(operator.index(n) for n in shape) if shape is not None else ()
        except TypeError:
            checked = ()
        if shape is not None and (not 1 <= len(checked) <= 4 or any(n < 1 for n in checked)):
            raise BuildError(f"input {name}", argument="shape", expected="1 to 4 positive numbers", got=shape)
        value = Value(self, self.reserve(name), checked)
        value.any_shape = any_shape or shape is None
        self.inputs.append(value)
        return value

    def output(self, name: str, value: Value | Sequence[Value]) -> None:
        """Declare an output. A list of one Value is taken as that Value. Raises BuildError for a name taken."""
        if not isinstance(value, Value):
            if len(value) != 1:
                raise BuildError(f"output {name}", expected="one Value", got=f"a list of {len(value)}")
            value = value[0]
        check_name(name)
        if name in self.outputs or name in {v.name for v in self.inputs}:
            raise BuildError(f"output {name}: the name is taken", expected="a new name", got=name)
        self.outputs[name] = value

    @contextmanager
    def scope(self, path: str) -> Iterator[None]:
        """Everything built inside belongs to the module `path`, relative to the scope around it."""
        parts = path.split(".") if path else []
        self._scope.extend(parts)
        try:
            yield
        finally:
            if parts:
                del self._scope[-len(parts) :]

    @property
    def current_scope(self) -> str:
        return ".".join(self._scope)

    def tap(self, *values: Value | None, loose: bool = False) -> None:
        """Record what the module of the current scope returns: one Value, or several as ``path:0``, ``path:1``.

        None holds the place of a result that is not there. loose: no pass has to keep this Value for it, so it is
        seen on the target `reference` and, on the others, where it is still a blob.
        """
        where = self.current_scope
        for i, value in enumerate(values):
            if value is None:
                continue
            key = where if len(values) == 1 else f"{where}:{i}"
            if key in self.taps:
                raise BuildError("this module path was tapped before", scope=where, fix="Give each call its own scope")
            self.taps[key] = value
            if loose:
                self.loose.add(key)

    def reserve(self, name: str) -> str:
        """Take a name for a Value or Node. Raises BuildError where it is taken or no ncnn name."""
        check_name(name)
        if name in self._names:
            raise BuildError("the name is taken", got=name, fix="Names are unique in a graph")
        self._names.add(name)
        return name

    def fresh_name(self, kind: str) -> str:
        """A free name made of the scope, `kind` and a counter of this graph: two builds give the same names."""
        while True:
            self._counter += 1
            name = f"{kind}_{self._counter}"
            if self._scope:
                name = f"{self.current_scope}/{name}"
            if name not in self._names and name not in self._avoided:
                return self.reserve(name)

    def add(self, node: Node, shapes: Iterable[Shape]) -> list[Value]:
        """Append a node and make its output Values."""
        shapes = list(shapes)
        node.outputs = [
            Value(self, node.name if len(shapes) == 1 else self.reserve(f"{node.name}:{i}"), shape, node)
            for i, shape in enumerate(shapes)
        ]
        for position, value in enumerate(node.inputs):
            value.uses.append((node, position))
        self.nodes.append(node)
        return node.outputs

    def adopt(self, node: Node, outputs: Iterable[tuple[str, Shape]]) -> list[Value]:
        """Append a node whose name, and whose outputs' names, are another graph's or a file's: they are kept."""
        self._names.add(node.name)
        node.outputs = [Value(self, name, shape, node) for name, shape in outputs]
        self._names.update(v.name for v in node.outputs)
        for position, value in enumerate(node.inputs):
            value.uses.append((node, position))
        self.nodes.append(node)
        return node.outputs

    def avoid(self, names: Iterable[str]) -> None:
        """Names that fresh_name() shall not give, because adopt() may bring them later."""
        self._avoided |= frozenset(names)

    # -- reading -------------------------------------------------------------------------------------------

    def kept(self) -> set[Value]:
        """Values that no pass may do away with: outputs, and taps that are not loose."""
        return {*self.outputs.values(), *(value for path, value in self.taps.items() if path not in self.loose)}

    def values(self) -> Iterator[Value]:
        yield from self.inputs
        for node in self.nodes:
            yield from node.outputs

    def __str__(self) -> str:
        lines = [f"graph {self.name}({', '.join(map(repr, self.inputs))})"]
        scope = None
        for node in self.nodes:
            if node.scope != scope:
                scope = node.scope
                lines.append(f"  [{scope}]" if scope else "  []")
            lines.append(f"    {node!r}")
        lines.append("  return " + ", ".join(f"{name}={value.name}" for name, value in self.outputs.items()))
        return "\n".join(lines)


def check_name(name: str) -> None:
    """Raises BuildError for what a line of a param file cannot hold as a name; ``0=1`` would be a parameter."""
    if not name or len(name.encode()) > 255 or any(c.isspace() for c in name) or re.match(r"[-+]?\d+=", name):
        raise BuildError("bad name", expected="1 to 255 bytes without white space, not like 0=1", got=repr(name))


def _brief(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
