"""What random calls are made with: a program that grows, its graph and its numbers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch

import ncnn_builder as nb
from ncnn_builder.open_shapes import evaluated
from ncnn_builder.sizes import Size, names_of

from . import sized
from .program import Input, Shape, Step, draw, run_step

GREATEST = 1e3
"""Numbers of a graph stay within: larger ones lose in the next cancellation what a comparison wants to see."""


MOST = 20_000
"""Numbers that a value may have."""


class Refused(Exception):
    """The call does not fit what is there."""


class Broken(Exception):
    """The last step raises what the DSL never should."""


Call = Callable[["Maker"], object]
CALLS: list[tuple[float, Call]] = []


def call(weight: float = 1.0) -> Callable[[Call], Call]:
    """Function decorator: a random call, tried this often."""

    def add(function: Call) -> Call:
        CALLS.append((weight, function))
        return function

    return add


def shape_of(rng: random.Random, *ranks: int) -> Shape:
    """A shape of one of these ranks."""
    rank = rng.choice(ranks or (1, 2, 3, 3, 3, 4))
    channels = rng.choice((1, 2, 3, 4, 5, 8, 8, 12, 16))
    if rank == 1:
        return (rng.choice((1, 3, 4, 7, 8, 12, 16)),)
    sides = tuple(rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 9)) for _ in range(rank - 1))
    return (channels, *(min(n, 4) if rank == 4 else n for n in sides))


class Maker:
    """A program that grows; the graph and its numbers grow along."""

    def __init__(self, rng: random.Random, *, open_input: bool = False, named: Sequence[Sequence[int]] = ()) -> None:
        """open_input: the first one is of any shape. named: shapes with open sizes of the first ones."""
        self.rng, self.g = rng, nb.Graph("fuzz")
        self.inputs: list[Input] = []
        self.steps: list[Step] = []
        self.values: dict[str, nb.Value] = {}
        self.numbers: dict[nb.Value, torch.Tensor] = {}
        self.open_input = open_input
        self.named = list(named)
        self.sizes = sized.numbers(rng, names_of(*(n for shape in named for n in shape)), 4) if named else []
        self._seen = 0
        self._count = 0

    # -- what there is ------------------------------------------------------------------------------------------------

    def shape(self, name: str) -> Shape:
        """That of the example; an open size prints as what it is at every size."""
        return sized.spoken(name, self.values[name].shape, self.sizes[0] if self.sizes else {})

    def low(self, name: str) -> float:
        return float(self.numbers[self.values[name]].min())

    def high(self, name: str) -> float:
        return float(self.numbers[self.values[name]].max())

    def names(self, fits: Callable[[Shape], bool]) -> list[str]:
        """Values of computed shapes that fit, the newest last; whole numbers have one reader, who has read them."""
        whole = {i.name for i in self.inputs if i.draw in ("integer", "index")}
        return [
            n
            for n, v in self.values.items()
            if n not in whole and fits(self.shape(n)) and not (v.producer and v.producer.spec.open_length)
        ]

    def pick(self, *ranks: int, fits: Callable[[Shape], bool] = lambda shape: True) -> str:
        """A value, rather a new one, of one of these ranks (any, where none is given); a new input where none is."""
        found = self.names(lambda s: (not ranks or len(s) in ranks) and fits(s))
        if found:
            return found[-1] if self.rng.random() < 0.6 else self.rng.choice(found)
        if self.steps and self.rng.random() < 0.5 and ranks:
            return self.reshaped(self.pick(), self.rng.choice(ranks), fits)
        for _ in range(5):
            shape = self.any_shape(*ranks)
            if fits(shape):
                return self.input(shape)
        raise Refused

    def like(self, *shapes: Shape, fresh: float = 0.3) -> str:
        """A value of one of these shapes: one that there is, or an input, or a constant."""
        found = self.names(lambda s: s in shapes)
        if found and self.rng.random() > fresh:
            return self.rng.choice(found)
        shape = self.rng.choice(shapes)
        kind = self.rng.random()
        if (kind < 0.5 and len(self.inputs) < 4) or any(isinstance(n, sized.Spoken) for n in shape):
            return self.input(shape)
        if kind < 0.8:
            return self.do(f"nb.memorydata(g, w({self.seed()}, *{shape}))")
        four = (1,) * (4 - len(shape)) + shape
        made = self.do(f"nb.shell(g, [], w({self.seed()}, *{four}))")
        return made if len(shape) == 4 else self.do(f"nb.really_reshape(g, {made}, {shape})")

    def reshaped(self, name: str, rank: int, fits: Callable[[Shape], bool] = lambda shape: True) -> str:
        n = math.prod(self.shape(name))
        for _ in range(6):
            shape = self.factors(n, rank)
            if fits(shape):
                return self.do(f"nb.really_reshape(g, {name}, {shape})")
        raise Refused

    def fitted(self, name: str, shape: Shape) -> str:
        """The value brought to this shape by a crop or repetitions."""
        n, m = math.prod(self.shape(name)), math.prod(shape)
        if self.shape(name) == shape:
            return name
        flat = self.do(f"nb.really_reshape(g, {name}, ({n},))")
        if n < m:
            flat = self.do(f"nb.tile(g, {flat}, {-(-m // n)})")
        if math.prod(self.shape(flat)) > m:
            flat = self.do(f"nb.crop(g, {flat}, [0], [{m}], [0])")
        return self.do(f"nb.really_reshape(g, {flat}, {shape})")

    # -- random things ------------------------------------------------------------------------------------------------

    def seed(self) -> int:
        return self.rng.randrange(1000)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def number(self, low: float = -2.0, high: float = 2.0) -> float:
        return self.rng.choice([round(self.rng.uniform(low, high), 2), round((low + high) / 2, 1), low, high])

    def any_shape(self, *ranks: int) -> Shape:
        return shape_of(self.rng, *ranks)

    def factors(self, n: int, rank: int) -> Shape:
        """n as a product of so many numbers."""
        found = []
        for _ in range(rank - 1):
            # Of an open size the example's: with its own remainders, one by one, the fuzz would do little else.
            now = int(n)
            divisor = self.rng.choice([d for d in range(1, now + 1) if now % d == 0][:12])
            found.append(divisor)
            n //= divisor
        found.append(n)
        self.rng.shuffle(found)
        return tuple(found)

    def open_shape(self) -> Shape:
        """The next of the shapes with open sizes."""
        shape = self.named.pop(0)
        return tuple(sized.Spoken(evaluated(n, self.sizes[0]), str(n), n) if isinstance(n, Size) else n for n in shape)

    # -- what grows ---------------------------------------------------------------------------------------------------

    def input(self, shape: Shape, kind: str = "normal") -> str:
        if len(self.inputs) >= 6:
            raise Refused
        name = f"x{len(self.inputs)}"
        is_open = self.open_input and not self.inputs
        named = sized.named(shape)
        if named is None:
            raise Refused  # a size that no input can say
        made = Input(
            name, tuple(map(int, shape)), kind, is_open, named if any(isinstance(n, str) for n in named) else ()
        )
        self.inputs.append(made)
        self.values[name] = self.g.input(name, made.named or made.shape, any_shape=is_open)
        self.numbers[self.values[name]] = torch.from_numpy(draw([made], "normal", len(self.inputs))[name]).double()
        return name

    def do(self, text: str, results: int = 1) -> Any:
        """The line `v = text`, and v; several names for several results. Raises Refused where it cannot be taken."""
        names = tuple(f"v{self._count + i}" for i in range(results))
        step = Step(names, text)
        made = dict(self.values)
        try:
            run_step(self.g, step, made)
            self._compute()
        except nb.BuildError as error:
            raise Refused from error
        except Exception as error:  # the DSL has one kind of error: comparing this program will say which came
            self.steps.append(step)
            raise Broken from error
        for name in names:
            numbers = self.numbers[made[name]]
            if not 0 < numbers.numel() <= MOST or not numbers.abs().max() <= GREATEST:  # NaN is not below either
                raise Refused
        self._count += results
        self.steps.append(step)
        self.values = made
        return names[0] if results == 1 else names

    def _compute(self) -> None:
        with torch.no_grad():
            for node in self.g.nodes[self._seen :]:
                weights = {k: torch.tensor(v, dtype=torch.float64) for k, v in node.weights.items()}
                try:
                    results = node.spec.reference([self.numbers[v] for v in node.inputs], node.params, weights)
                except (RuntimeError, IndexError, KeyError, ValueError) as error:
                    raise nb.BuildError(f"the reference does not take it: {error}") from error
                finally:
                    self._seen += 1
                self.numbers.update(zip(node.outputs, results, strict=True))
