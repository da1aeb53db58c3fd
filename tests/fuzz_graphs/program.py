"""Programs in the DSL as text: a graph of the fuzz is what its printed lines build."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

import ncnn_builder as nb
from ncnn_builder.builder import append, filled, inputs_of
from ncnn_builder.open_shapes import as_size, shape_at

from .sized import Named, names_in

Shape = tuple[int, ...]


# -- what the lines of a program call, printed with them ----------------------------------------------------------


def w(seed: int, *shape: int) -> np.ndarray:
    """Numbers for a weight [out, in, ...]: a layer with them neither grows nor shrinks what it gets."""
    shape = tuple(map(int, shape))  # an open size is none that numbers can have
    numbers = np.random.default_rng(seed).standard_normal(shape) / max(1.0, np.prod(shape[1:])) ** 0.5
    return numbers.astype(np.float32)


def p(seed: int, *shape: int) -> np.ndarray:
    """Positive numbers: variances, scales."""
    return (np.random.default_rng(seed).random(tuple(map(int, shape))) + 0.5).astype(np.float32)


def module(seed: int, kind: type[nn.Module], *args: Any, **kwargs: Any) -> nn.Module:
    """A module of torch with numbers that follow from the seed, also where torch's are all 0 or 1."""
    torch.default_generator.manual_seed(seed)
    for number in [n for arg in (*args, *kwargs.values()) for n in (arg if isinstance(arg, tuple) else (arg,))]:
        if not isinstance(number, (bool, float, str, type(None))):
            int(number)  # an open size is none that a module can have
    made = kind(*args, **kwargs).eval()
    for name, tensor in [*made.named_parameters(), *made.named_buffers()]:
        if tensor.is_floating_point() and tensor.ndim == 1:
            fresh = torch.rand(tensor.shape)
            tensor.data = fresh + 0.5 if name in ("weight", "running_var") else fresh - 0.5
    return made


def layer(g: nb.Graph, kind: str, *inputs: Any, weights: Mapping[str, Any] | None = None, **params: Any) -> Any:
    """A layer as a file says it: what is not given has ncnn's default."""
    spec = nb.registry[kind]
    return append(g, spec, list(inputs), filled(spec, **params), dict(weights or {}))


@functools.cache
def samples(op: str) -> list[nb.Sample]:
    torch.default_generator.manual_seed(0)
    return nb.registry[op].samples()


def sample(g: nb.Graph, op: str, index: int, *inputs: Any) -> Any:
    """A sample call of the op's declaration."""
    torch.default_generator.manual_seed(0)
    return samples(op)[index].build(g, *inputs)


HELPERS = (w, p, module, layer, samples, sample)
_IMPORTS = """import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

import ncnn_builder as nb
from ncnn_builder.builder import append, filled
"""
_NAMESPACE: dict[str, Any] = {"nb": nb, "nn": nn, "np": np, "torch": torch} | {f.__name__: f for f in HELPERS}


# -- programs ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Input:
    """An input of the graph. draw: what its numbers are, as a Sample says it. open: any_shape. named: its shape with
    names for open sizes; shape is that of the example then."""

    name: str
    shape: Shape
    draw: str = "normal"
    open: bool = False
    named: Named = ()

    @property
    def said(self) -> str:
        """How the program gives it."""
        return f"g.input({self.name!r}, {self.named or self.shape}{', any_shape=True' if self.open else ''})"

    def at(self, size: Mapping[str, Any]) -> Input:
        """With this shape, or with these numbers for the names."""
        shape = tuple(size.get(self.name, self.shape))
        if self.named:
            shape = shape_at(tuple(map(as_size, self.named)), size)
        return replace(self, shape=shape, open=False, named=())


@dataclass(frozen=True)
class Step:
    """`names = text`: a line of the DSL."""

    names: tuple[str, ...]
    text: str

    @functools.cached_property
    def reads(self) -> frozenset[str]:
        """Names of the values that it uses."""
        found = {n.id for n in ast.walk(ast.parse(self.text)) if isinstance(n, ast.Name)}
        return frozenset(n for n in found if n[0] in "xv" and n[1:].isdigit())


@dataclass(frozen=True)
class Program:
    """inputs, then steps in order; outputs and taps are names of values. sizes: other shapes of inputs of any shape,
    or other numbers for the names."""

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    taps: tuple[str, ...] = ()
    sizes: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)

    def tidy(self) -> Program:
        """Without what no output or tap needs."""
        needed = {*self.outputs, *self.taps}
        steps: list[Step] = []
        for step in reversed(self.steps):
            if needed.intersection(step.names):
                needed |= step.reads
                steps.insert(0, step)
        inputs = tuple(i for i in self.inputs if i.name in needed)
        needed |= {n.name for i in inputs for n in names_in(i.named)}
        sizes = tuple({k: v for k, v in size.items() if k in needed} for size in self.sizes)
        return replace(self, inputs=inputs, steps=tuple(steps), sizes=tuple(s for s in sizes if s))

    def at(self, size: Mapping[str, Any]) -> Program:
        """The program whose open inputs have these shapes, or whose names these numbers."""
        return replace(self, inputs=tuple(i.at(size) for i in self.inputs), sizes=())

    @property
    def weight(self) -> tuple[int, ...]:
        """How large it is to a reader: shrinking makes this smaller."""
        numbers = sum(int(np.prod(i.shape)) for i in self.inputs)
        names = sum(isinstance(n, str) for i in self.inputs for n in i.named)
        counts = (len(self.steps), len(self.inputs), len(self.outputs), len(self.taps))
        return (*counts, names, numbers, len(str(self.steps)))

    def lines(self) -> list[str]:
        found = ["g = nb.Graph()"]
        for i in self.inputs:
            found.append(f"{i.name} = {i.said}")
        found += [f"{', '.join(step.names)} = {step.text}" for step in self.steps]
        for name in self.taps:
            found += [f'with g.scope("{name}_tap"):', f"    g.tap({name})"]
        found += [f'g.output("y{i}", {name})' for i, name in enumerate(self.outputs)]
        return found

    def source(self) -> str:
        """The program as a file that can be run."""
        text = "\n".join(self.lines())
        called = {f for f in HELPERS if re.search(rf"\b{f.__name__}\(", text)}
        helpers = [inspect.getsource(f) for f in HELPERS if f in called or (f is samples and sample in called)]
        return "\n\n".join([_IMPORTS, *helpers, text]) + "\n"


@functools.lru_cache(maxsize=20_000)
def _compiled(text: str) -> types.CodeType:
    return compile(text, "<fuzz>", "eval")


def run_step(g: nb.Graph, step: Step, values: dict[str, nb.Value]) -> list[nb.Value]:
    """Append what the step says, and name its values. Raises what the DSL raises."""
    made = inputs_of(eval(_compiled(step.text), {**_NAMESPACE, "g": g}, values))
    if len(made) != len(step.names):
        raise nb.BuildError("another number of results", expected=len(step.names), got=len(made))
    values.update(zip(step.names, made, strict=True))
    return made


def build(program: Program) -> tuple[nb.Graph, dict[str, nb.Value]]:
    """The graph, and its values by name."""
    g = nb.Graph("fuzz")
    values = {i.name: g.input(i.name, i.named or i.shape, any_shape=i.open) for i in program.inputs}
    for step in program.steps:
        run_step(g, step, values)
    for name in program.taps:
        with g.scope(f"{name}_tap"):
            g.tap(values[name])
    for i, name in enumerate(program.outputs):
        g.output(f"y{i}", values[name])
    return g, values


def draw(inputs: Sequence[Input], kind: str, seed: int) -> dict[str, np.ndarray]:
    """Numbers for the inputs. kind: normal, or an edge."""
    rng = np.random.default_rng(seed)
    return {i.name: _drawn(rng, i, kind) for i in inputs}


DRAWS = ("normal", "zeros", "constant", "negative", "large", "small", "mixed")


def _drawn(rng: np.random.Generator, i: Input, kind: str) -> np.ndarray:
    if i.draw in ("integer", "index"):
        low, high = (0, 10) if i.draw == "index" else (-100, 101)
        return rng.integers(low, high, i.shape).astype(np.int32)
    normal = rng.standard_normal(i.shape)
    if i.draw in ("positive", "unit"):
        base = rng.random(i.shape)
        normal = base * 2 + 0.1 if i.draw == "positive" else base
    table = {
        "normal": lambda: normal,
        "zeros": lambda: normal * 0,
        "constant": lambda: normal * 0 + rng.choice([0.5, 1.0, -1.0, 2.0]),
        "negative": lambda: -np.abs(normal),
        "large": lambda: normal * 30,
        "small": lambda: normal * 1e-3,
        "mixed": lambda: np.where(rng.random(i.shape) < 0.4, rng.choice([0, 1, -1, 5, -5], i.shape), normal),
    }
    found = table[kind]()
    return (np.abs(found) if i.draw in ("positive", "unit") else found).astype(np.float32)
