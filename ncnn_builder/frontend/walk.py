"""From operators to the DSL, call after call: converters are asked, constants computed, the rest is taken apart."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch.utils._pytree import tree_map

from ..errors import BuildError
from ..ir import Graph, Node, Value
from ..ops.common import need
from ..sizes import OpenSizeError, Size
from .blobs import as_tensor, sample, stored
from .complex_numbers import COMPLEX, Complex
from .decompose import taken_apart, traced
from .exported import Program
from .layout import MOST_DIMS, Tensor, tensor
from .lazy import Lazy, at_sizes, call_key, in_net
from .leaves import exported_leaf
from .marks import LEAF, TAP
from .registry import CONVERTERS, Call, Converter, Missing, key_of
from .symbols import Symbols
from .where import author_line, scope_of
from .whole import CASTS, PASSED_ON, WHOLE, as_floats, is_whole

WAYS_OUT = (
    "Three ways out: @nb.converts(torch.ops.{operator}) says what the operator is in the DSL; export_ncnn(g, inputs)"
    " beside the forward() of {module} says what the module is; nb.from_pnnx() lets pnnx convert the module"
)
_CONDITIONS = ("aten._assert_scalar", "aten.sym_constrain_range")
_NOT_FILLED = ("aten.empty", "aten.new_empty")
"""Memory that forward() writes into before it reads: what it held is not the same twice."""
_NUMBERS, _KNOWN = (torch.SymInt, torch.SymFloat, torch.SymBool), (torch.Tensor, int, float)
_RANDOM = getattr(torch.Tag, "nondeterministic_seeded", None)
_IGNORED = {"dtype", "layout", "device", "pin_memory", "non_blocking", "copy", "memory_format", "half_to_float"}
"""Arguments that say where and how numbers are held. (A converter that has to know dtype takes it.)"""


class Walk:
    """One walk along a program.

    g        the graph that is built
    program  what torch.export made; None for the call of one function
    made     names of the converters that were asked -> the nodes that each has made
    taps     tap path -> what the module returned
    """

    def __init__(self, g: Graph, program: Program | None) -> None:
        self.g = g
        self.program = program
        self.taps: dict[str, Any] = {}
        self.made: dict[str, list[Node]] = {}
        self._place: tuple[str, str | None] = ("", None)
        self._floats: dict[Value, Value] = {}
        self._lazies: dict[Any, Lazy] = {}  # by what is called with what
        self.sizes = Symbols() if program is None else program.sizes

    def whole(self, inputs: dict[str, Any], known: dict[torch.fx.Node, Any] | None = None) -> list[Any]:
        """What the program returns, flat, its inputs being these. known: as of run()."""
        assert self.program is not None
        returned = self.run(self.program.graph, {**self.program.given, **inputs}, self.program.module, known)
        return list(returned) if isinstance(returned, (tuple, list)) else [returned]

    def run(
        self, graph: torch.fx.Graph, given: dict[str, Any], module: Any, known: dict[torch.fx.Node, Any] | None = None
    ) -> Any:
        """What the graph returns, its placeholders being these: Tensors, constants, lists of them. known: an empty
        dict that is filled with what each of its nodes is."""
        known = {} if known is None else known
        for node in graph.nodes:
            if node.op == "placeholder":
                known[node] = given[node.name]
            elif node.op == "get_attr":
                known[node] = _attribute(module, node.target)
            elif node.op == "output":
                return _resolved(node.args[0], known)
            elif (size := self._size(node, known)) is not None:
                known[node] = size
            else:
                args, kwargs = _resolved(node.args, known), _resolved(node.kwargs, known)
                if str(node.target) == TAP:
                    known[node] = self._tapped(*args)
                    continue
                if str(node.target) == LEAF and self.program is not None:  # torch 2.4 does not count the calls
                    self._place = self.program.leaves[args[1]].path, author_line(node)
                elif "nn_module_stack" in node.meta or "stack_trace" in node.meta:
                    self._place = scope_of(node), author_line(node)
                known[node] = self._placed(node, args, kwargs)
        raise AssertionError("a graph without an output")

    def _size(self, node: torch.fx.Node, known: Mapping[torch.fx.Node, Any]) -> Any:
        """What a node is that computes sizes, or states a condition of them; None for any other."""
        val = node.meta.get("val")
        if isinstance(val, _NUMBERS) and all(isinstance(known[a], _KNOWN) for a in node.all_input_nodes):
            return None  # a number of a constant: parameter.item()
        if isinstance(val, torch.SymInt):
            try:
                return self.sizes.of(val)
            except OpenSizeError as error:  # torch computes strides, and more, of which nobody may take any
                return Missing(error.what, error)
        if isinstance(val, (torch.SymBool, torch.SymFloat)):
            return Missing("forward() computes with a size what is no size: a truth value, or a float")
        return Missing("no result") if str(node.target).startswith(_CONDITIONS) else None

    def _placed(self, node: torch.fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        scope, source = self._place
        before, self.g.source = self.g.source, source
        try:
            with self.g.scope(scope):
                return self._call(node, args, kwargs)
        except BuildError as error:
            raise self._explained(error, node.target, args) from error
        except (TypeError, ValueError, AttributeError, RuntimeError) as error:
            if not any(isinstance(n, Size) for n in _sizes_in((args, kwargs))):
                raise
            what = f"an open size where a number is meant: {str(error).splitlines()[0]}"
            raise self._explained(OpenSizeError(what), node.target, args) from error
        finally:
            self.g.source = before

    def _call(self, node: torch.fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        target: Any = node.target
        if target is operator.getitem:
            return args[0][args[1]]
        if str(target) == LEAF:
            assert self.program is not None
            return exported_leaf(self.g, self.program.leaves[args[1]], args[0])
        if isinstance(target, type) and issubclass(target, tuple):  # what a rule of torch's table returns
            return tuple(args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args)
        if isinstance(target, torch._ops.HigherOrderOperator):
            return self._higher(target, args)
        for a in _leaves((args, kwargs)):
            if isinstance(a, Missing):
                raise a.error or BuildError(a.why)
        if any(isinstance(a, Complex) for a in _leaves((args, kwargs))):
            return self._complex(node, target, args, kwargs)
        if not any(isinstance(a, Tensor) for a in _leaves((args, kwargs))):
            if any(isinstance(a, (Lazy, Size)) for a in _leaves((args, kwargs))):
                return self._lazy(node, target, args, kwargs)
            return self._computed(target, args, kwargs)
        args, kwargs = tree_map(lambda a: in_net(self.g, a) if isinstance(a, Lazy) else a, (args, kwargs))
        key = key_of(target)
        if key is not None:
            converter = CONVERTERS[key]
            if not (key in PASSED_ON or (key in CASTS and self._call_of(node).dtype in WHOLE)):
                args, kwargs = tree_map(self._as_number, (args, kwargs))
            return self._noted(key, lambda: self._converted(converter, node, target, args, kwargs))
        if _RANDOM in getattr(target, "tags", ()):
            raise _random()
        try:
            graph, inputs = taken_apart(target, args, kwargs, self.sizes)
        except (BuildError, MemoryError):
            raise
        except Exception as error:  # torch's own, of a rule that does not fit these arguments
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise BuildError("ncnn has no layer for this operator, and torch cannot take it apart", got=said) from error
        try:
            return self.run(graph, inputs, graph.owning_module)
        except BuildError as error:
            what = f"ncnn has no layer for this operator, and for {error.op}, of which it is made: {error.what}"
            raise type(error)(what, expected=error.expected, got=error.got) from error

    def _tapped(self, result: Any, path: str) -> Any:
        """A module's result, which it is compared by: the doctor's way where the blob has torch's own dimensions."""
        if isinstance(result, Complex):
            return result
        self.taps[path] = result
        if isinstance(result, Tensor) and result.in_order and result.n == 1:
            shape = result.shape[1:] if result.rank > 1 and result.shape[0] == 1 else result.shape
            if result.value.shape == shape:
                with self.g.scope(path):
                    self.g.tap(result.value, loose=True)
        return result

    def _call_of(self, node: torch.fx.Node) -> Call:
        return call_of(node, self.sizes)

    def _as_number(self, x: Any) -> Any:
        return as_floats(self.g, x, self._floats) if is_whole(x) else x

    def _complex(self, node: torch.fx.Node, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        key = key_of(target, COMPLEX)
        if key is None:
            fix = "Of complex numbers ncnn has spectra: take torch.abs() or torch.view_as_real() of them first"
            raise BuildError("complex numbers", expected=sorted(COMPLEX), got=str(target), fix=fix)
        converter = Converter(COMPLEX[key], None, True)
        bound = _bound(converter, target, args, kwargs)
        return self._noted(f"complex {key}", lambda: converter.function(self.g, self._call_of(node), *bound))

    def _noted(self, key: str, convert: Callable[[], Any]) -> Any:
        """What a converter makes, which is kept in self.made."""
        begin = len(self.g.nodes)
        result = convert()
        self.made.setdefault(key, []).extend(self.g.nodes[begin:])
        return result

    def _computed(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that depends on no input, by torch. Many operators that may draw random numbers do not: dropout, and
        attention, after training."""
        if _RANDOM not in getattr(target, "tags", ()):
            with torch.no_grad():
                result = target(*args, **kwargs)
            return result.zero_() if str(target).startswith(_NOT_FILLED) else result
        with torch.no_grad(), torch.random.fork_rng(devices=()):
            before, result = torch.get_rng_state(), target(*args, **kwargs)
            if not torch.equal(before, torch.get_rng_state()):
                raise _random()
            return result

    def _lazy(self, node: torch.fx.Node, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that depends on sizes, and on no input else."""
        held: dict[str, Any] = {}

        def make(at: Mapping[str, int]) -> Any:
            if held.get("at") != at:  # the last one is asked for again, by all that is made of it
                held.update(at=at, made=self._computed(target, at_sizes(args, at), at_sizes(kwargs, at)))
            return held["made"]

        def again() -> Any:
            given = tree_map(lambda a: in_net(self.g, a) if isinstance(a, Lazy) else a, (args, kwargs))
            return self._call(node, *given)

        call, made_of = self._call_of(node), any(isinstance(a, Lazy) for a in _leaves((args, kwargs)))
        if not call.shapes:  # a check of torch's
            return None
        need(len(call.shapes) == 1, "several results that follow from sizes alone", got=list(call.shapes))
        made = Lazy(make, call.shape, call.dtype, again if made_of else None)
        return self._lazies.setdefault(call_key(target, args, kwargs), made)

    def _higher(self, target: Any, args: tuple[Any, ...]) -> Any:
        """Contexts of torch, such as no_grad(): what is called inside of them."""
        name = target.name()
        at = next((i for i, a in enumerate(args) if isinstance(a, torch.fx.GraphModule)), None)
        if name not in ("wrap_with_set_grad_enabled", "wrap_with_autocast") or at is None:
            raise BuildError(
                "forward() decides by numbers that are known only when the net runs",
                got=name,
                fix="A net has no branches: compute both and choose with torch.where()",
            )
        inner = args[at]
        names = [n.name for n in inner.graph.nodes if n.op == "placeholder"]
        return self.run(inner.graph, dict(zip(names, args[at + 1 :], strict=True)), inner)

    def _converted(
        self, converter: Converter, node: torch.fx.Node, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        call = self._call_of(node)
        if len(call.shapes) == 1 and 0 in call.shape:  # of no numbers each is known
            return torch.zeros([1 if isinstance(n, Size) else n for n in call.shape], dtype=call.dtype)
        bound = _bound(converter, target, args, kwargs)
        if converter.tensors:
            only = _only_tensors(converter.function)
            bound = [
                as_tensor(self.g, a) if i in only and isinstance(a, torch.Tensor) else a for i, a in enumerate(bound)
            ]
            return converter.function(self.g, call, *bound)
        rank = converter.rank
        names = list(inspect.signature(converter.function).parameters)[2:]
        whole = [i < len(names) and names[i] in converter.whole for i in range(len(bound))]
        samples = [a for a, w in zip(bound, whole, strict=True) if not w]
        batches = {a.shape[0] if _has_batch(a, rank) else 1 for a in _leaves(samples) if isinstance(a, Tensor)}
        n = max(batches, default=1)

        def value(a: Any, as_it_is: bool) -> Any:
            if not isinstance(a, Tensor):
                return a
            if not as_it_is:
                return sample(self.g, a, rank)
            need(a.rank <= MOST_DIMS, "a weight that is computed, of more than four dimensions", got=list(a.shape))
            return stored(self.g, a, a.shape)

        values = [tree_map(partial(value, as_it_is=w), a) for a, w in zip(bound, whole, strict=True)]
        return _as_tensors(converter.function(self.g, call, *values), call, n)

    def _explained(self, error: BuildError, target: Any, args: tuple[Any, ...]) -> BuildError:
        """The error with operator, place and shapes, and the ways out where nobody said one."""
        inner, source = self._place
        scope = ".".join(filter(None, (self.g.current_scope, inner)))
        name = getattr(target, "name", lambda: str(target))().replace("::", ".")
        shapes = [list(a.shape) for a in _leaves(args) if isinstance(a, (Tensor, torch.Tensor))]
        fix = error.fix or WAYS_OUT.format(operator=target, module=scope or "the module")
        what = error.what if error.argument is None else f"{error.what} ({error.argument})"
        return type(error)(
            f"{what}, of tensors {', '.join(map(str, shapes))}" if shapes and ", of tensors [" not in what else what,
            op=name,
            scope=scope or None,
            source=source,
            expected=error.expected,
            got=error.got,
            fix=fix,
        )


def converted_call(g: Graph, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """What a function of torch returns of Tensors and constants, flat."""
    walk = Walk(g, None)
    walk.sizes = Symbols.of_names(g.open_sizes)
    graph, given = traced(function, args, kwargs, walk.sizes)
    for at in walk.sizes.broken():  # of strides and the like mostly, by which no operator is another one
        other, _ = traced(function, args, kwargs, Symbols.of_names(g.open_sizes, at))
        if str(other) != str(graph):
            raise OpenSizeError(
                "torch computes something else at some sizes",
                expected="the same operators at all sizes",
                got=", ".join(f"{name}={n}" for name, n in at.items()),
                fix='Give the sizes bounds within which they are, as in "h=64..512", or multiples, as in "8*h"',
            )
    return list(_leaves(walk.run(graph, given, graph.owning_module)))


def _random() -> BuildError:
    fix = "Make them an input of forward(), or a buffer of the module"
    return BuildError("random numbers", expected="the same result each time", fix=fix)


def call_of(node: torch.fx.Node, sizes: Symbols) -> Call:
    made = [t for t in _leaves(node.meta.get("val")) if isinstance(t, torch.Tensor)]
    shapes = tuple(map(sizes.shape, made))
    taken = {user.args[1] for user in node.users if user.target is operator.getitem and _taken(user)}
    whole = any(user.target is not operator.getitem for user in node.users)
    used = tuple(whole or i in taken for i in range(len(made)))
    return Call(str(node.target), shapes, tuple(t.dtype for t in made), used, _spread(node))


def _taken(node: torch.fx.Node) -> bool:
    """Whether anybody takes a result; that a module returns it is not enough."""
    return any(str(user.target) != TAP or _taken(user) for user in node.users)


_BROADCAST = {f"aten.{name}.Tensor" for name in ("add", "sub", "mul", "div")}


def _spread(node: torch.fx.Node) -> bool:
    """See Call: then an expanded tensor need not be filled up, for the layer does it."""
    for user in node.users:
        others = [a for a in user.args[:2] if a is not node]
        if str(user.target) not in _BROADCAST or len(others) != 1 or not isinstance(others[0], torch.fx.Node):
            return False
        other, result = others[0].meta.get("val"), user.meta.get("val")
        if not isinstance(other, torch.Tensor) or not isinstance(result, torch.Tensor):
            return False
        if other.shape != result.shape or "expand" in str(others[0].target):
            return False
    return bool(node.users)


def _has_batch(t: Tensor, rank: int | None) -> bool:
    return t.rank > 1 if rank is None else t.rank == rank + 1


def _as_tensors(returned: Any, call: Call, n: int) -> Any:
    """What a converter of n samples returned, with the batch in front again."""
    values = [returned] if isinstance(returned, Value) else list(returned)
    made: list[Any] = []
    for value, shape, dtype in zip(values, call.shapes, call.dtypes, strict=True):
        if isinstance(value, Missing):
            made.append(value)
            continue
        assert isinstance(value, Value)
        need(math.prod(shape) == n * math.prod(value.shape), "another shape", expected=list(shape), got=value)
        made.append(tensor(value, shape, dtype, n))
    return made[0] if len(made) == 1 else tuple(made)


@cache
def _only_tensors(function: Callable[..., Any]) -> frozenset[int]:
    """Which arguments are layout.Tensor by annotation, so that a constant has to become one."""
    names = [p.annotation for p in inspect.signature(function).parameters.values()][2:]
    known = getattr(function, "__globals__", {})
    return frozenset(
        i for i, name in enumerate(names) if (known.get(name) if isinstance(name, str) else name) is Tensor
    )


def _bound(converter: Converter, target: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Any]:
    """The arguments that the function takes, in the order of the operator's schema. Raises BuildError for one more."""
    parameters = list(inspect.signature(converter.function).parameters.values())[2:]
    many = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    bound: list[Any] = []
    for i, argument in enumerate(target._schema.arguments):
        default = argument.default_value if argument.has_default_value() else None
        value = args[i] if i < len(args) else kwargs.get(argument.name, default)
        by_name = argument.kwarg_only and argument.name not in {p.name for p in parameters}
        if not by_name and (many or len(bound) < len(parameters)):
            bound.append(value)
        elif argument.name not in _IGNORED and value != default:
            raise BuildError("this argument is not supported", argument=argument.name, expected=default, got=value)
    return bound


def _resolved(structure: Any, known: dict[torch.fx.Node, Any]) -> Any:
    return torch.fx.node.map_arg(structure, lambda n: known[n])


def _attribute(module: Any, path: str) -> Any:
    for part in path.split("."):
        module = getattr(module, part)
    return module


def _sizes_in(structure: Any) -> Iterable[Any]:
    for item in _leaves(structure):
        yield from item.shape if isinstance(item, (Tensor, Lazy)) else [item]


def _leaves(structure: Any) -> Iterable[Any]:
    if isinstance(structure, (list, tuple)):
        for item in structure:
            yield from _leaves(item)
    elif isinstance(structure, dict):
        for item in structure.values():
            yield from _leaves(item)
    else:
        yield structure
