"""The intermediate representation: values, nodes, graphs. It knows nothing of ncnn's layers or files.

Shapes are outer dimension first, without the batch: a picture is (C, H, W), a vector (W,). A size is an int, or where
that of an input is open what sizes.py computes with: (3, h, w) -> (12, h//2, w//2).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .errors import BuildError
from .open_shapes import as_size, solved
from .openness import others_of, others_of_input
from .sizes import Name, Size, is_open, names_of
from .values import Operators, operate, refuse
from .values import Values as Values

if TYPE_CHECKING:
    from .opspec import OpSpec

Shape = tuple[int, ...]
Array = np.ndarray[Any, np.dtype[np.float32]]
Params = Mapping[str, Any]


class Value(Operators):
    """A tensor in a graph.

    name      unique in its graph
    shape     outer first, no batch; () where it is not known, which only a net that was read can have
    producer  the node that makes it; None for an input of the graph
    uses      (node, position) of each use; being an output of the graph is no use
    data      its numbers, if they are known when the graph is built
    others    shapes that it has when inputs of any shape have others; () where it has always this one: openness.py
    graph     the graph that it belongs to

    sum_of    of a sum made by ``+``: how many nodes the graph had before, and what was added (see operators.py)
    """

    __slots__ = ("__weakref__", "any_shape", "data", "graph", "name", "others", "producer", "shape", "sum_of", "uses")

    def __init__(
        self, graph: Graph, name: str, shape: Shape, producer: Node | None = None, data: Array | None = None
    ) -> None:
        self.graph = graph
        self.name = name
        self.shape = shape
        self.producer = producer
        self.uses: list[tuple[Node, int]] = []
        self.data = data
        self.sum_of: tuple[int, tuple[Value, ...]] | None = None
        self.any_shape = False  # an input whose shape the runtime shall not check (see Graph.input)
        self.others: tuple[Shape, ...] = ()

    @property
    def open(self) -> bool:
        """Whether its shape follows an input of open sizes, so that nothing may be made for one that it has."""
        return self.any_shape or bool(self.others) or is_open(self.shape)

    def __hash__(self) -> int:
        return hash((id(self),))  # as of the Values that hold it alone

    def __repr__(self) -> str:
        return f"{self.name}{list(self.shape) if self.shape else '[?]'}"

    def __getitem__(self, key: Any) -> Value:
        return operate("getitem", self, key)

    def __iter__(self) -> NoReturn:
        refuse("iterate", self)


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
        inputs: Iterable[Value],
        params: Params,
        weights: Mapping[str, Array],
        scope: str,
        source: str,
        made_by: str | None,
        stored: Mapping[str, str] | None = None,
        mask: int = 0,
    ) -> None:
        self.spec = spec
        self.name = name
        self.inputs = tuple(inputs)
        self.params: Params = dict(params)
        self.weights = dict(weights)
        self.outputs = Values(())
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

    read: of a net that was read: the text of its .param file, and how the same layers are written here (see emit/load).
    lent: where memory begins that is not copied, as nobody writes to it before keep().
    taps: module path -> the Value that this module returns, so that it can be compared with PyTorch.
    loose: those of them that go where a pass makes one layer of two, as convolution, BatchNorm and ReLU.
    """

    def __init__(self, name: str = "graph") -> None:
        self.name = name
        self.nodes: list[Node] = []
        self._inputs: list[Value] = []
        self.outputs: dict[str, Value] = {}
        self.taps: dict[str, Value] = {}
        self.loose: set[str] = set()
        self.read: tuple[str, str] | None = None
        self.lent: frozenset[int] = frozenset()
        self._scope: list[str] = []
        self._counter = 0
        self._owned: dict[tuple[object, ...], Array] = {}  # memory of an author's array -> our copy
        self._calls: dict[int, tuple[object, set[int]]] = {}  # by identity: the module, the numbers of its calls
        self.least_call = (
            1  # what count_call() begins with: inside of a second call, nothing is called for the first time
        )
        self._names: set[str] = set()
        self._avoided: frozenset[str] = frozenset()  # names of the graph that this one is rebuilt from
        self.made_by: str | None = None  # set while a lowering or pass builds into this graph
        self.source: str | None = None  # likewise: the author's line that is being lowered
        self.mask = 0  # feature mask of what is being built

    @property
    def inputs(self) -> tuple[Value, ...]:
        return tuple(self._inputs)

    # -- building ------------------------------------------------------------------------------------------

    def input(self, name: str, shape: Sequence[int | str] | None, *, any_shape: bool = False) -> Value:
        """Add an input.

        shape: outer first, no batch; None where it is not known (then no op can be built on it, but layers that were
        read can stand on it). A size that is known only when the net runs has a name, and bounds where not every size
        from 2 on will do: ``(3, "h", "w=64..512")``, ``(3, "8*h", "8*w")`` for multiples of 8. What is built fits all
        of them, and where that cannot be, building is an error.
        any_shape=True likewise, of sizes without names, tried instead of computed. Another
        number of dimensions is for consumers that take it (StyleGAN's ws0 is [w_dim] or [num_ws, w_dim]): the runtime
        cannot check it.
        Raises BuildError for a name that is taken or a shape that is not 1 to 4 positive numbers.
        """
        try:
            checked = tuple(map(as_size, shape)) if shape is not None and not isinstance(shape, str) else ()
        except TypeError:
            checked = ()
        if shape is not None and (not 1 <= len(checked) <= 4 or any(n < 1 for n in checked)):
            raise BuildError(f"input {name}", argument="shape", expected="1 to 4 positive numbers", got=shape)
        self._check_open(name, checked, any_shape)
        value = Value(self, self.reserve(name), checked)
        value.any_shape = any_shape or shape is None
        value.others = others_of_input(checked) if value.any_shape else ()
        self._inputs.append(value)
        return value

    def _check_open(self, name: str, shape: Shape, any_shape: bool) -> None:
        """Each open size of an input says what its name is, which has the same bounds everywhere."""
        known = {n.name: n for n in self.open_sizes}
        for n in shape:
            if not isinstance(n, Size):
                continue
            names = names_of(n)
            if len(names) != 1 or solved(n, names[0], n) is None or dict(n.terms)[(names[0],)] < 0 or any_shape:
                expected = "sizes of one name each, as in (3, 'h', '8*w'), or any_shape=True"
                raise BuildError(f"input {name}", argument="shape", expected=expected, got=list(shape))
            if (before := known.setdefault(names[0].name, names[0])) != names[0]:
                expected = f"{before.least} to {before.most}, as of another size of this name"
                got = f"{names[0].least} to {names[0].most}"
                raise BuildError(f"input {name}: other bounds of {before}", expected=expected, got=got)

    @property
    def open_sizes(self) -> tuple[Name, ...]:
        """The names of the open sizes of its inputs."""
        return names_of(*(n for value in self._inputs for n in value.shape))

    def size_of(self, name: str) -> tuple[Value, int]:
        """Which input, and which of its axes, says the open size of this name."""
        return next((v, i) for v in self._inputs for i, n in enumerate(v.shape) if name in map(str, names_of(n)))

    def output(self, name: str, value: Value | Sequence[Value]) -> None:
        """Declare an output: a Value, or the only one of a sequence. Raises BuildError for a name taken."""
        if not isinstance(value, Value):
            held = list(value) if isinstance(value, (list, tuple, Values)) else []
            if len(held) != 1 or not isinstance(held[0], Value):
                got = f"a list of {len(held)}" if len(held) > 1 else value
                raise BuildError(f"output {name}", expected="one Value", got=got)
            value = held[0]
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

    def tap(self, *results: Value | Values | None, loose: bool = False) -> None:
        """Record what the module of the current scope returns: one Value, or several as ``path:0``, ``path:1``.

        None holds the place of a result that is not there. loose: no pass has to keep this Value for it, so it is
        seen on the target `reference` and, on the others, where it is still a blob.
        """
        where = self.current_scope
        values = [value for held in results for value in (held if isinstance(held, Values) else [held])]
        for i, value in enumerate(values):
            if value is None:
                continue
            key = where if len(values) == 1 else f"{where}:{i}"
            if key in self.taps:
                fix = "child() numbers the calls of a module; another module needs a scope of another name"
                raise BuildError("this module path was tapped before", scope=where, fix=fix)
            self.taps[key] = value
            if loose:
                self.loose.add(key)

    def own(self, data: Array) -> Array:
        """The same numbers, which nobody writes to: a copy, unless that is sure. One array given twice is one again."""
        base: Any = data
        while isinstance(base, np.ndarray) and not base.flags.writeable:
            base = base.base
        # numpy calls one tap that is turned round contiguous; torch takes no negative strides.
        plain = data.flags.c_contiguous and min(data.strides, default=0) >= 0
        if plain and (base is None or isinstance(base, bytes)):
            return data
        begin = data.__array_interface__["data"][0]
        where, lent = (begin, data.shape, data.strides, data.dtype.str), plain and begin in self.lent
        held = self._owned.get(where)
        # Memory that is not lent may be used anew, or written to.
        if held is None or (not lent and held.tobytes() != data.tobytes()):
            held = self._owned[where] = data.view() if lent else np.array(data, order="C")
            held.flags.writeable = False
        return held

    def keep(self) -> None:
        """Make copies of what was lent."""
        self.lent = frozenset()
        self._owned.clear()
        for node in self.nodes:
            node.weights = {name: self.own(data) for name, data in node.weights.items()}
            for value, data in zip(node.outputs, node.spec.constants(node.params, node.weights) or (), strict=False):
                value.data = data

    def let_go(self, instead: Graph) -> None:
        """Give the weights back now, not when Python finds the circles of nodes: only `instead` is looked at from here
        on. Nothing, where a pass has put the same nodes there."""
        self._owned.clear()
        instead._owned.clear()  # nothing else is built there
        if not {*self.nodes} & {*instead.nodes}:
            for node in self.nodes:
                node.weights.clear()
                for value in node.outputs:
                    value.data = None

    def count_call(self, module: object, number: int | None = None) -> int:
        """Which call of this module it is: the number, or the first that is free. Raises BuildError for one taken."""
        _, taken = self._calls.setdefault(id(module), (module, set()))
        number = number or next(n for n in itertools.count(self.least_call) if n not in taken)
        if number in taken:
            raise BuildError("this call of the module is there already", scope=self.current_scope or None, got=number)
        taken.add(number)
        return number

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
            if name not in self._names and name not in self._avoided and name not in self.outputs:
                return self.reserve(name)

    def add(self, node: Node, shapes: Iterable[Shape]) -> Values:
        """Append a node and make its output Values."""
        shapes = list(shapes)
        node.outputs = Values(
            Value(self, node.name if len(shapes) == 1 else self.reserve(f"{node.name}:{i}"), shape, node)
            for i, shape in enumerate(shapes)
        )
        return self._append(node)

    def adopt(
        self,
        node: Node,
        outputs: Iterable[tuple[str, Shape]],
        others: Sequence[tuple[Shape, ...]] | None = None,
    ) -> Values:
        """Append a node whose name, and whose outputs' names, are another graph's or a file's: they are kept.

        others: Value.others of the outputs, where they are known.
        """
        self._names.add(node.name)
        node.outputs = Values(Value(self, name, shape, node) for name, shape in outputs)
        self._names.update(v.name for v in node.outputs)
        return self._append(node, others)

    def _append(self, node: Node, others: Sequence[tuple[Shape, ...]] | None = None) -> Values:
        for position, value in enumerate(node.inputs):
            value.uses.append((node, position))
        if any(value.others for value in node.inputs):
            shapes = [value.shape for value in node.outputs]
            if others is None:
                others = others_of(node.spec, node.inputs, node.params, node.weights, shapes)
            for value, tried in zip(node.outputs, others, strict=True):
                value.others = tried
        self.nodes.append(node)
        return node.outputs

    def forget(self, begin: int) -> None:
        """Take back the nodes from this one on, which nothing else has read."""
        for node in self.nodes[begin:]:
            for value in node.inputs:
                value.uses = [use for use in value.uses if use[0] is not node]
            self._names -= {node.name, *(value.name for value in node.outputs)}
        del self.nodes[begin:]

    def names(self) -> set[str]:
        """Every name that is taken: of nodes, Values and outputs, and what this graph avoids itself."""
        made = (name for node in self.nodes for name in (node.name, *(v.name for v in node.outputs)))
        return {*made, *(v.name for v in self.inputs), *self.outputs, *self._avoided}

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
    if (
        not isinstance(name, str)
        or not name
        or len(name.encode()) > 255
        or any(c.isspace() for c in name)
        or re.match(r"[-+]?\d+=", name)
    ):
        raise BuildError("bad name", expected="1 to 255 bytes without white space, not like 0=1", got=repr(name))


def _brief(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
