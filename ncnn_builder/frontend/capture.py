"""nb.capture(): a module and example inputs -> a Graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_map

from ..builder import ValueLike, inputs_of
from ..errors import BuildError
from ..ir import Graph, Node, Values
from ..open_shapes import matched
from ..sizes import Size, is_open
from . import converters as converters  # fills the registry
from .blobs import as_tensor, in_order, natural, sample
from .complex_numbers import Complex
from .exported import Program, export, need_eval, program_of
from .given import apart, need_arguments, need_module, need_plain
from .layout import MOST_DIMS, Shape, Tensor, tensor
from .lazy import Lazy, in_net
from .leaves import exported_leaf
from .marks import Leaf
from .registry import Missing, converter_of
from .symbols import Dynamic, Symbols
from .walk import Walk, call_of
from .where import forward_line
from .whole import WHOLE


@dataclass(frozen=True)
class Port:
    """An input or output of a captured net: the blob's name, torch's shape and type, and torch's axis that ncnn keeps
    as its batch, or None."""

    name: str
    shape: Shape
    dtype: Any
    batch_axis: int | None


@dataclass
class Captured:
    """A captured module.

    program     what torch.export made; None where the module's export_ncnn() was asked
    taps        tap path -> what the module returned: a layout.Tensor, or a constant
    converters  names of those that were asked -> the nodes that each has made
    forward_only  modules with export_ncnn() were looked into
    """

    graph: Graph
    program: Program | None
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    taps: dict[str, Any] = field(default_factory=dict)
    converters: dict[str, list[Node]] = field(default_factory=dict)
    forward_only: bool = False

    def sizes_of(self, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> dict[str, int]:
        """The open sizes of these inputs."""
        found: dict[str, int] = {}
        for port, t in zip(self.inputs, flat_inputs(args, dict(kwargs or {})), strict=True):
            if is_open(port.shape):
                matched(port.shape, tuple(t.shape), found)
        return found


def capture(
    module: torch.nn.Module,
    args: Any,
    kwargs: dict[str, Any] | None = None,
    *,
    forward_only: bool = False,
    dynamic: Dynamic | None = None,
) -> Graph:
    """The Graph of what the module computes of inputs like these: nothing is written, nothing is run on ncnn.

    args: a tensor, or a tuple of what forward() takes; kwargs likewise. The inputs are in0, in1, ... and the outputs
    out0, out1, ..., in the order of forward()'s arguments and results, tuples, lists and dicts flattened. A module
    inside that has export_ncnn() is asked for it; forward_only: its forward() is captured like that of any other.
    dynamic: open sizes, as of convert(); then forward() is captured of all modules.
    Raises BuildError for a module that cannot be converted; it names the operator and the author's line.
    """
    module, args, named, program = asked(module, args, kwargs)
    return captured(module, args, named, program=program, forward_only=forward_only, dynamic=dynamic).graph


def asked(
    module: Any, args: Any, kwargs: Mapping[str, Any] | None
) -> tuple[torch.nn.Module, tuple[Any, ...], dict[str, Any], Program | None]:
    """(module, args, kwargs, its program where torch.export has made one) of what a user gives."""
    if not isinstance(module, torch.export.ExportedProgram):
        given = tuple(args) if isinstance(args, (tuple, list)) else (args,)
        module = getattr(module, "_orig_mod", module)  # of torch.compile()
        need_module(module)
        need_arguments(module, given, kwargs or {})
        need_plain(module, given, kwargs or {})
        return module, *apart(given, kwargs or {}), None
    program = program_of(module)
    if args is None:
        args, kwargs = module.example_inputs or ((), {})
    return module.module(), tuple(args) if isinstance(args, (tuple, list)) else (args,), dict(kwargs or {}), program


def captured(
    module: torch.nn.Module,
    args: Any,
    kwargs: dict[str, Any] | None = None,
    inputs: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    *,
    program: Program | None = None,
    own: bool = False,
    forward_only: bool = False,
    lent: bool = False,
    into: Graph | None = None,
    known: dict[torch.fx.Node, Any] | None = None,
    dynamic: Dynamic | None = None,
) -> Captured:
    """The same with what convert() has to know beside the graph. own: by the module's export_ncnn(), if it has one.
    lent: the weights are the module's own memory until Graph.keep(). into: an empty graph to build into.
    known: an empty dict that is filled with what each node of the program is. dynamic: open sizes of inputs."""
    args = args if isinstance(args, (tuple, list)) else (args,)
    if dynamic and (own or program is not None):
        got = "the module's export_ncnn()" if own else "a program of torch.export"
        fix = "Declare the sizes where it is written: g.input(name, (3, 'h', 'w'))"
        raise BuildError("open sizes are for forward()", argument="dynamic", got=got, fix=fix)
    if own and hasattr(module, "export_ncnn"):
        return _by_its_author(module, args, dict(kwargs or {}), inputs, outputs)
    program = program or export(module, args, kwargs, forward_only=forward_only, dynamic=dynamic)
    graph = Graph(type(module).__name__) if into is None else into
    if lent:
        graph.lent = frozenset(t.data_ptr() for t in program.given.values() if isinstance(t, torch.Tensor))
    result = Captured(graph, program, forward_only=forward_only)
    examples = flat_inputs(args, kwargs)
    if len(examples) != len(program.inputs):
        raise BuildError("inputs that are no tensors", expected=len(program.inputs), got=len(examples))
    names = _names(inputs, len(examples), "in")
    given: dict[str, Any] = {}
    starts = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    for placeholder, name, example in zip(program.inputs, names, examples, strict=True):
        shape = program.sizes.shapes.get(placeholder, tuple(example.shape))
        batched = read_by_samples(starts[placeholder], shape, program.sizes)
        given[placeholder], port = declared(graph, name, example, shape, batched=batched)
        result.inputs.append(port)
    walk = Walk(graph, program)
    flat = [in_net(graph, r) if isinstance(r, Lazy) else r for r in walk.whole(given, known)]
    result.taps, result.converters = walk.taps, walk.made
    at: dict[str, Any] = {"op": type(module).__name__, "source": forward_line(module)}
    if any(isinstance(r, Complex) for r in flat):
        fix = "Return torch.view_as_real(x), or torch.abs(x)"
        raise BuildError(
            "forward() returns complex numbers", expected="real numbers", got="a complex tensor", fix=fix, **at
        )
    if lacking := [r for r in flat if isinstance(r, Missing)]:
        raise BuildError("forward() returns what ncnn does not have", got=lacking[0].why, **at)
    bad = [r for r in flat if not isinstance(r, (Tensor, torch.Tensor))]
    if bad or not flat:
        got = ", ".join("None" if r is None else type(r).__name__ for r in bad) or "nothing"
        fix = "A net returns tensors only: leave it out"
        raise BuildError("forward() returns what is no tensor", got=got, fix=fix, **at)
    _put_out(result, flat, outputs)
    return result


def _put_out(result: Captured, flat: Sequence[Any], outputs: Sequence[str] | None) -> None:
    graph = result.graph
    for name, r in zip(_names(outputs, len(flat), "out"), flat, strict=True):
        t = in_order(graph, as_tensor(graph, r))
        batched = t.n > 1 and t.n == t.shape[0] and t.rank <= MOST_DIMS + 1
        graph.output(name, sample(graph, t, t.rank - 1) if batched else natural(graph, t))
        result.outputs.append(Port(name, t.shape, t.dtype, 0 if batched else _batch_axis(t.shape)))


def _by_its_author(
    module: torch.nn.Module,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    inputs: Sequence[str] | None,
    outputs: Sequence[str] | None,
) -> Captured:
    """The graph that the module's own export_ncnn() makes."""
    need_eval(module)
    graph = Graph(type(module).__name__)
    result = Captured(graph, None)
    tensors = []
    examples = flat_inputs(args, kwargs)
    for name, example in zip(_names(inputs, len(examples), "in"), examples, strict=True):
        t, port = declared(graph, name, example, batched=True)
        tensors.append(t)
        result.inputs.append(port)
    given, named = copied(args, kwargs)
    with torch.no_grad():
        returned = module(*given, **named)
    results = tuple(t for t in tree_flatten(returned)[0] if isinstance(t, torch.Tensor))
    _put_out(result, exported_leaf(graph, Leaf(module, "", results), tensors), outputs)
    result.taps = {path: tensor(v, (1, *v.shape), torch.float32) for path, v in graph.taps.items()}
    return result


def flat_inputs(args: Any, kwargs: dict[str, Any] | None = None) -> list[torch.Tensor]:
    """The tensors among the arguments, in torch.export's order."""
    return [leaf for leaf in tree_flatten((tuple(args), dict(kwargs or {})))[0] if isinstance(leaf, torch.Tensor)]


def read_by_samples(node: torch.fx.Node, shape: Shape, sizes: Symbols) -> bool:
    """Whether an input goes, as it is or number by number, into an operator that works sample by sample."""
    seen, front = {node}, [node]
    while front:
        for user in front.pop().users:
            converter = converter_of(user.target)
            if converter is not None and not converter.tensors and converter.rank in (None, len(shape) - 1):
                return True
            if user not in seen and user.op == "call_function" and call_of(user, sizes).shapes == (shape,):
                seen.add(user)
                front.append(user)
    return False


def declared(
    g: Graph, name: str, example: torch.Tensor, shape: Shape | None = None, *, batched: bool = False
) -> tuple[Tensor, Port]:
    """An input of the graph for such a tensor. shape: with its open sizes. batched: its first axis is ncnn's batch, if
    it is not one anyway."""
    shape = tuple(example.shape) if shape is None else shape
    if not example.dtype.is_floating_point and example.dtype not in WHOLE:
        fix = "Give it as float32, or as whole numbers where it is an index"
        raise BuildError(f"input {name}", expected="float32, int32 or int64", got=example.dtype, fix=fix)
    if not example.numel():
        raise BuildError(f"input {name} is empty", got=list(shape))
    axis = 0 if batched and len(shape) > 1 else _batch_axis(shape)
    dims = tuple(n for i, n in enumerate(shape) if i != axis) or (1,)
    if len(dims) > MOST_DIMS:
        raise BuildError(f"input {name}", expected=f"{MOST_DIMS} dimensions beside the batch", got=list(shape))
    n = 1 if axis is None else shape[axis]
    if isinstance(n, Size):
        raise BuildError(f"input {name}: the batch is open", got=list(shape), fix="Run the net once for each sample")
    return tensor(g.input(name, dims), shape, example.dtype, n), Port(name, shape, example.dtype, axis)


def _batch_axis(shape: Shape) -> int | None:
    """The axis of one that is kept as ncnn's batch, so that no layer sees it: the first, or any of five."""
    if len(shape) > 1 and shape[0] == 1:
        return 0
    return (shape.index(1) if 1 in shape else 0) if len(shape) > MOST_DIMS else None


def _names(given: Sequence[str] | None, count: int, prefix: str) -> list[str]:
    if isinstance(given, str):
        raise BuildError(f"names of {prefix}puts", expected=f"a list of {count}", got=given)
    names = [f"{prefix}{i}" for i in range(count)] if given is None else list(given)
    if len(names) != count:
        raise BuildError(f"names of {prefix}puts", expected=count, got=len(names))
    return names


def copied(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Arguments for a forward() that may write into them."""
    return tree_map(lambda x: x.clone() if isinstance(x, torch.Tensor) else x, (tuple(args), dict(kwargs)))


def capture_child(g: Graph, module: torch.nn.Module, inputs: ValueLike) -> Values:
    """What a module without export_ncnn() computes of these Values, each with a batch of one in front: for child()."""
    values = inputs_of(inputs)
    examples = tuple(torch.zeros(1, *v.shape) for v in values)
    program = export(module, examples)
    pairs = zip(program.inputs, values, strict=True)
    flat = Walk(g, program).whole({name: tensor(v, (1, *v.shape), torch.float32) for name, v in pairs})
    return Values(natural(g, as_tensor(g, r)) for r in flat)
