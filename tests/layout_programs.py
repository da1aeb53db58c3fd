"""Random programs of torch's shape operators, of up to six dimensions: what a strategy of hypothesis draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from hypothesis import strategies as st

MOST = 360
"""Numbers in a tensor."""


@dataclass(frozen=True)
class Step:
    """text: as in Python, of x; apply: what it does."""

    text: str
    apply: Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Program:
    """batched: the first axis comes in as ncnn's batch."""

    shape: tuple[int, ...]
    steps: tuple[Step, ...]
    batched: bool

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        for step in self.steps:
            x = step.apply(x)
        return x

    def __repr__(self) -> str:
        return "; ".join([f"x = {list(self.shape)}{', batched' * self.batched}", *(step.text for step in self.steps)])


def _factors(n: int) -> list[int]:
    found, p = [], 2
    while n > 1:
        while n % p == 0:
            found.append(p)
            n //= p
        p += 1
    return found


@st.composite
def _view(draw, shape: Sequence[int]) -> Step:
    rank = draw(st.integers(1, 6))
    sizes = [1] * rank
    for p in _factors(math.prod(shape)):
        sizes[draw(st.integers(0, rank - 1))] *= p
    return Step(f"reshape({sizes})", lambda x: x.reshape(sizes))


@st.composite
def _permute(draw, shape: Sequence[int]) -> Step:
    order = draw(st.permutations(range(len(shape))))
    return Step(f"permute({order})", lambda x: x.permute(order))


@st.composite
def _along(draw, shape: Sequence[int]) -> Step:
    """Something along one axis."""
    d = draw(st.integers(0, len(shape) - 1))
    n = shape[d]
    kind = draw(st.sampled_from(("flip", "roll", "softmax", "cumsum", "sum", "keep", "amax", "slice", "unbind", "cat")))
    begin, step = draw(st.integers(0, n - 1)), draw(st.integers(1, 3))
    table: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
        "flip": lambda x: x.flip(d),
        "roll": lambda x: x.roll(begin + 1, d),
        "softmax": lambda x: x.softmax(d),
        "cumsum": lambda x: x.cumsum(d),
        "sum": lambda x: x.sum(d) if len(shape) > 1 else x.sum(d, keepdim=True),
        "keep": lambda x: x.mean(d, keepdim=True),
        "amax": lambda x: x.amax(d, keepdim=True),
        "slice": lambda x: x[(slice(None),) * d + (slice(begin, None, step),)],
        "unbind": lambda x: torch.stack(x.unbind(d)[::-1], (d + step) % max(len(shape), 1)),
        "cat": lambda x: torch.cat([x.narrow(d, begin, n - begin), x], d),
    }
    return Step(f"{kind}(dim={d}, begin={begin}, step={step})", table[kind])


@st.composite
def _sums(draw, shape: Sequence[int]) -> Step:
    dims = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    return Step(f"mean({dims}, keepdim=True)", lambda x: x.mean(dims, keepdim=True))


@st.composite
def _with_constant(draw, shape: Sequence[int]) -> Step:
    held = [n if draw(st.booleans()) else 1 for n in shape]
    held = held[draw(st.integers(0, len(held) - 1)) :]
    numbers = torch.linspace(-1, 1, math.prod(held)).reshape(held)
    op = draw(st.sampled_from(("+", "*")))
    return Step(f"x {op} constant{held}", lambda x: x + numbers if op == "+" else numbers * x)


@st.composite
def _with_part(draw, shape: Sequence[int]) -> Step:
    """With itself, of which some axes are reduced."""
    dims = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    return Step(f"x - x.amax({dims}, True)", lambda x: x - x.amax(dims, True))


@st.composite
def _product(draw, shape: Sequence[int]) -> Step:
    kind = draw(st.sampled_from(("linear", "gram", "vector", "turned")))
    if kind == "linear" or len(shape) < 2:
        out = draw(st.integers(1, 4))
        matrix = torch.linspace(-1, 1, shape[-1] * out).reshape(shape[-1], out)
        return Step(f"x @ constant{[shape[-1], out]}", lambda x: x @ matrix)
    if kind == "gram":
        return Step("x @ x.mT", lambda x: x @ x.mT)
    if kind == "vector":
        return Step("x @ x.flatten()[: x.shape[-1]]", lambda x: (x @ x.flatten()[: x.shape[-1]])[..., None])
    return Step("x.mT @ x", lambda x: x.mT @ x)


@st.composite
def _larger(draw, shape: Sequence[int]) -> Step:
    times = [draw(st.sampled_from((1, 1, 2, 3))) for _ in shape]
    if draw(st.booleans()):
        sizes = [t if n == 1 else n for n, t in zip(shape, times, strict=True)]
        return Step(f"expand({sizes})", lambda x: x.expand(sizes))
    return Step(f"repeat({times})", lambda x: x.repeat(times))


_KINDS = (_view, _view, _permute, _permute, _along, _along, _sums, _with_constant, _with_part, _product, _larger)


@st.composite
def programs(draw) -> Program:
    shape = tuple(draw(st.lists(st.sampled_from((1, 2, 2, 3, 4, 5)), min_size=1, max_size=4)))
    x = torch.zeros(shape)
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 8))):
        step = draw(draw(st.sampled_from(_KINDS))(tuple(x.shape)))
        y = step.apply(x)
        if 0 < y.numel() <= MOST and 1 <= y.dim() <= 6:
            steps.append(step)
            x = y
    return Program(shape, tuple(steps), len(shape) > 1 and draw(st.integers(0, 3)) == 0)
