"""How an op is declared, once, and the registry of all of them.

A declaration is a class: its docstring (what it computes, with shapes), its inputs, parameters with their ncnn
ids, weights in file order, its shape rule, its meaning in torch, sample calls and a tolerance. From it come
validation, the typed text of the ``.param`` line, the reader, the C++ header of parameter ids, the
documentation and the parity tests.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from os.path import basename
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from .any_size import any_size
from .errors import BuildError
from .ir import Array, Params, Shape

Kind = Literal["int", "float", "ints", "floats"]
Draw = Literal["normal", "positive", "unit", "integer", "index"]


_HERE = str(Path(__file__).resolve().parent)


def caller() -> str:
    """``file.py:line`` of the nearest caller outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"{basename(frame.f_code.co_filename)}:{frame.f_lineno}"


@dataclass(frozen=True)
class Derived:
    """A default that follows from parameters declared before: text says how, as ncnn's source does; of computes it."""

    text: str
    of: Callable[[Params], Any]


def same_as(name: str) -> Derived:
    """The default of a parameter that is another one's value where a file leaves it out, such as a kernel's height."""
    return Derived(name, lambda params: params[name])


@dataclass(frozen=True)
class Param:
    """A parameter: its name, its ncnn id (None in a composite op), its kind, and what it means.

    default is the value that ncnn takes when a file leaves it out, or a Derived. What we write leaves nothing out.
    bits: where a file writes an array of ints, the layer takes their bits for floats; every other layer takes the ints
    for the numbers that they are.
    """

    name: str
    id: int | None
    kind: Kind
    doc: str
    default: Any = 0
    bits: bool = False


@dataclass(frozen=True)
class Weight:
    """A weight, in file order. tagged: read with ``mb.load(n, 0)``, so that a 4-byte tag stands before it."""

    name: str
    tagged: bool
    doc: str


@dataclass(frozen=True)
class Tolerance:
    """The largest error allowed, relative to the largest magnitude of the reference tensor, in fp32."""

    fp32: float = 1e-5


@dataclass(frozen=True)
class Sample:
    """A call to try: `build(graph, *inputs)` in the DSL, `torch(*inputs)` as an author's forward() says it.

    inputs: shapes without batch; torch gets them with a batch dimension of one, and returns the same.
    torch=None: the op's own reference is the oracle.
    draw: how the inputs are drawn: "normal", "positive" (0.1 to 2.1), "unit" (0 to 1), or "integer" (whole numbers
    from -100 to 100, given as int32) and "index" (likewise, from 0 to 9).
    """

    id: str
    inputs: tuple[Shape, ...]
    build: Callable[..., Any]
    torch: Callable[..., Any] | None = None
    draw: Draw = "normal"


class OpSpec:
    """Base of all declarations. Subclasses set the class attributes and define the methods."""

    type: ClassVar[str]  # the ncnn layer type, or the name of a composite op
    departs: ClassVar[str] = ""  # where the layer does not compute its formula, or torch's: the reference says what
    off: ClassVar[str] = ""  # why an ncnn as it is usually built cannot run the layer
    custom: ClassVar[bool] = False  # a layer of custom_layers, not of ncnn
    outside: ClassVar[bool] = False  # a layer of a user's own: whoever runs the net has it, by runtime.add_layers()
    composite: ClassVar[bool] = False  # lowered by a target, never emitted
    plain: ClassVar[bool] = True  # its blobs are numbers of float32, one beside the other: all that a constant can be
    integer_input: ClassVar[bool] = False  # it reads whole numbers: an input of the net, read by its like only
    open_length: ClassVar[bool] = False  # the first dimension of the results is the most it can be: data decide
    inputs: ClassVar[tuple[str, ...]] = ("x",)  # a name ending in "?" may be left out, in "*" may be repeated
    outputs: ClassVar[tuple[str, ...]] = ("y",)
    params: ClassVar[tuple[Param, ...]] = ()
    weights: ClassVar[tuple[Weight, ...]] = ()
    left_out: ClassVar[Mapping[int, str]] = {}  # parameters of ncnn's layer that are never written: id -> why
    off_at: ClassVar[Mapping[int, int]] = {}  # those of left_out that are off at another number than 0
    unread: ClassVar[
        Mapping[int, str]
    ] = {}  # ids that converters write and ncnn's layer does not read: id -> what it is
    limits: ClassVar[tuple[str, ...] | None] = None  # what the layer can take, as limits.py says; () is anything
    checked_in_cpp: ClassVar[bool] = False  # runtime/src/checks_*.cpp says what no expression can
    tolerance: ClassVar[Tolerance] = Tolerance()

    def weight_sizes(self, params: Params) -> dict[str, int]:
        """Number of elements of each weight that a layer with these parameters reads, in file order."""
        return {}

    def weight_shapes(self, params: Params) -> dict[str, Shape]:
        """Shapes of those weights whose shape infer() does not compare with another: files hold them flat."""
        return {}

    def is_tagged(self, weight: Weight, params: Params) -> bool:
        """Whether a tag stands before this weight in a file, of a layer with these parameters."""
        return weight.tagged

    def is_packed(self, weight: Weight, params: Params) -> bool:
        """Whether a file holds bytes of this weight, several numbers of few bits in some of them, and no tag."""
        return False

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Shapes of the outputs of a layer in a form that only files have; None where it is no such form.

        Such a layer is kept word for word (see emit/foreign.py), so that no pass has to know the form. extra: what the
        file says of the parameters in left_out; count: how many outputs it names. Raises BuildError where ncnn's layer
        would fail.
        """
        return None

    def infer(self, inputs: Sequence[Shape], params: Params, weights: Mapping[str, Array]) -> list[Shape]:
        """Shapes of the outputs. Raises BuildError where the inputs do not fit."""
        raise NotImplementedError

    def cut_short(self, inputs: Sequence[Shape], others: Sequence[Shape], params: Params) -> list[set[int]]:
        """For each output the axes that would be shorter if inputs that differ were short enough; [] where none are.

        Asked where the outputs of both are the same: the first eight rows of ten and of twenty are eight, and of seven
        seven. For ops whose sizes are the lesser of two: see openness.py.
        """
        return []

    def one_shape(self, inputs: Sequence[Shape]) -> dict[int, Shape]:
        """Position of an input that may have several shapes -> the one that layers of ncnn alone can be made for."""
        return {}

    def completed(self, inputs: Sequence[Shape], params: Params) -> Params:
        """The parameters of a layer that was read, those that ncnn takes from the inputs as they are there."""
        return params

    def canonical(self, inputs: Sequence[Shape], params: Params) -> Params:
        """The same layer in the one spelling that passes and lowerings know, where a file has another.

        Here: axes count from the outermost, and numbers for an activation that has none, or needs fewer, are not there.
        """
        same = dict(params)
        for name in {"axis", "axes"}.intersection(params):
            value, rank = params[name], len(inputs[0])
            one_of = isinstance(value, tuple)
            axes = tuple(a + rank if a < 0 else a for a in (value if one_of else (value,)))
            same[name] = axes if one_of else axes[0]
        if "activation_params" in params:
            needed = {2: 1, 3: 2, 6: 2}.get(params["activation_type"], 0)
            same["activation_params"] = params["activation_params"][:needed]
        return same

    def constants(self, params: Params, weights: Mapping[str, Array]) -> list[Array] | None:
        """The outputs, where they follow from the weights alone."""
        return None

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        """Multiplications whose products are added up; none in what works element by element."""
        return 0

    def reference(self, inputs: Sequence[Any], params: Params, weights: Mapping[str, Any]) -> list[Any]:
        """What ncnn computes, on torch tensors without batch dimension; NaN where it gives no number to rely on."""
        raise NotImplementedError

    def nonsense(self, params: Params) -> str:
        """At which ordinary numbers a layer with these parameters gives none to rely on; "" where it always does."""
        return ""

    def samples(self) -> list[Sample]:
        raise NotImplementedError

    # -- derived -------------------------------------------------------------------------------------------

    @property
    def in_files(self) -> str:
        """The layer type as a .param file names it."""
        return self.type

    @property
    def folds(self) -> bool:
        """Whether its reference may take the place of a layer whose inputs are constants."""
        known = type(self).reference is not OpSpec.reference
        return known and self.plain and not (self.open_length or self.foreign)

    @property
    def foreign(self) -> bool:
        """Whether it was made for a layer that was read, and stands in no registry. No pass knows it."""
        return False

    @property
    def doc(self) -> str:
        return (type(self).__doc__ or "").strip()

    @property
    def arity(self) -> tuple[int, float]:
        """Least and greatest number of inputs."""
        least = sum(1 for name in self.inputs if name[-1] not in "?*")
        return least, math.inf if any(name[-1] == "*" for name in self.inputs) else len(self.inputs)

    def __repr__(self) -> str:
        return f"<op {self.type}>"


registry: dict[str, OpSpec] = {}
"""Op type -> its declaration."""

functions: dict[str, Callable[..., Any]] = {}
"""The DSL: name -> function."""

calling: ContextVar[tuple[str, ...]] = ContextVar("calling", default=())
"""The functions of the DSL that are at work, the author's call first: who makes which op, for the documentation."""

_Spec = TypeVar("_Spec", bound=type[OpSpec])
_Function = TypeVar("_Function", bound=Callable[..., Any])


def register(cls: _Spec) -> _Spec:
    """Class decorator: put the declaration into the registry, after checking that it is consistent.

    Raises BuildError for a type that is declared already, and for ids that no layer can have.
    """
    name = getattr(cls, "type", None)
    ids = [p.id for p in cls.params if p.id is not None]

    def need(condition: bool, what: str, expected: str) -> None:
        if not condition:
            raise BuildError(what, op=name or cls.__name__, expected=expected)

    need(isinstance(name, str) and bool(name) and not any(map(str.isspace, name)), "no type", "a word for .param files")
    assert name is not None
    need(name not in registry, "the type is declared already", "a name that is not in ncnn_builder.registry")
    need(len(set(ids)) == len(ids), "a parameter id is used twice", "an id for each parameter")
    need(all(0 <= i < 30 for i in ids), "an id that no layer can have", "0 to 29, as 30 and 31 are ncnn's own")
    need(
        cls.composite == (not ids) or not cls.params, "ids of parameters", "none in a composite op, one each in a layer"
    )
    need(cls.composite + cls.custom + cls.outside <= 1, "composite, custom, outside", "at most one of them")
    registry[name] = cls()
    return cls


def located(function: _Function, name: str) -> _Function:
    """`function(graph, ...)`, every BuildError of which says at least this name, the scope and the author's line.

    An argument that is of quite another kind than is meant (a number for a module, a module without weights) is a
    BuildError as well.
    """

    @functools.wraps(function)
    def call(g: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(g, dict):
            raise BuildError(
                "the first argument is a dict, as the predecessor's ncnn_data was",
                op=name,
                source=caller(),
                expected="a Graph",
                got=f"a dict of {', '.join(map(str, g)) or 'nothing'}",
                fix='g = nb.Graph(); z = g.input("z", (512,)); g.output("output", net.export_ncnn(g, [z]));'
                ' nb.save(g, "net.param", "net.bin"); docs/predecessor.md tells more',
            )
        scope = getattr(g, "current_scope", None) or None
        token = calling.set((*calling.get(), name))
        try:
            return function(g, *args, **kwargs)
        except BuildError as error:
            if error.op and error.source:
                raise
            raise error.located(name, scope, caller()) from None
        except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:
            raise BuildError(
                "the arguments do not fit this function",
                op=name,
                scope=scope,
                source=caller(),
                expected=f"{name}{inspect.signature(function)}",
                got=str(error).split("\n")[0],
            ) from error
        finally:
            calling.reset(token)

    return call  # type: ignore[return-value]


def _flags_checked(function: _Function) -> _Function:
    """`function`, which takes no text for its truth values: "no" would be true."""
    flags = [name for name, kind in function.__annotations__.items() if kind in ("bool", "bool | None")]
    if not flags:
        return function
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        for name in flags:
            value = bound.arguments.get(name)
            if value is None:
                continue
            if getattr(value, "ndim", 0) or value not in (True, False):
                raise BuildError("not a truth value", argument=name, expected="True or False", got=value)
            bound.arguments[name] = bool(value)
        return function(*bound.args, **bound.kwargs)

    return call  # type: ignore[return-value]


def dsl(function: _Function) -> _Function:
    """Function decorator: make f(graph, inputs, ...) a function of the DSL: its errors are located(), and text is no
    truth value. Raises BuildError for a name that another function has."""
    if function.__name__ in functions:
        raise BuildError("a function of the DSL has this name", got=function.__name__, expected="another name")
    functions[function.__name__] = located(_flags_checked(any_size(function)), function.__name__)
    return functions[function.__name__]  # type: ignore[return-value]


def spec_of(op_type: str) -> OpSpec:
    """The declaration of an op type. Raises BuildError for a type that no op declares."""
    try:
        return registry[op_type]
    except KeyError:
        raise BuildError("unknown op", got=op_type, expected="a type in ncnn_builder.registry") from None
