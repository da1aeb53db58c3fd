"""Make one layer of rotary positions that are written as slices, products and sums.

before:  a, b = Slice(x, axis=-1); r = Concat(UnaryOp(b, neg), a, axis=-1); y = x * cos + r * sin
after:   y = RotaryEmbed(x, cos, sin)
before:  a, b = Slice(x, axis=-1); y = Concat(a * cos - b * sin, a * sin + b * cos, axis=-1)
after:   y = RotaryEmbed(x, cos, sin)

The first is rotate_half of Llama and GPT-NeoX, whose pairs are (j, j + size / 2), the second the same pair by pair.
With a and b one column each of x [rows * size / 2, 2], the pairs are neighbours, as in GPT-J. Crops may stand for the
Slice, and Reshapes between all of them, which move no numbers. x is of two to four dimensions: those along which cos
and sin are 1 are heads, the others rows. Permutes bring the heads to the front, where they go anyway mostly, and back.

Exact: ncnn's RotaryEmbed makes x0 * cos - x1 * sin and x0 * sin + x1 * cos of each pair, by the numbers of its row.
Where pairs are halves, it takes one cos and sin for both numbers of a pair, or one for each; where they are neighbours,
one for both.
Refused: neighbours whose cos and sin differ, or may differ, being no constants of the first form; what somebody else
reads; cos and sin of other dimensions than x; open sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..ir import Array, Node, Shape, Value
from ..ops.common import elements
from ..ops.enums import Binary, Unary
from ..ops.layers import BinaryOp, Concat, Reshape, RotaryEmbed, UnaryOp
from ..ops.shapes.permute import really_permute
from ..ops.shapes.shape import really_reshape
from ..ops.stock import memory
from .affine import orders, scale_of
from .match import Matcher, expect, is_a, need
from .parts import part_of
from .rules import Made, Rules

raise_rotary = Rules("raise_rotary")


@dataclass(frozen=True, eq=False)
class _Half:
    """One number of each pair of `x`: of rows of `width`, the first or the second half."""

    x: Value
    width: int
    second: bool
    negative: bool


@raise_rotary.on(BinaryOp)
def _whole(m: Matcher, node: Node) -> Made:
    """x * cos + r * sin"""
    for straight, crossed in orders(node, Binary.Add):
        for x, cos in _factors(m, straight):
            for turned, sin in _factors(m, crossed):
                concat = m.maybe(_behind(m, turned), Concat)
                pair = None if concat is None else _turned(m, concat)
                same = x.shape == turned.shape == node.outputs[0].shape
                if pair is not None and pair.x is _bare(x) and same:
                    return _made(m, node, pair, x.shape, (cos, sin))
    return None


@raise_rotary.on(Concat)
def _by_halves(m: Matcher, node: Node) -> Made:
    """a * cos - b * sin and a * sin + b * cos"""
    expect(len(node.inputs) == 2 and _along_last(node))
    first, second = (m.maker(_behind(m, v), BinaryOp) for v in node.inputs)
    expect(first.outputs[0].shape == second.outputs[0].shape)
    for a, cos, _, sin in _products(m, first, Binary.Sub):
        for a2, sin2, _, cos2 in _products(m, second, Binary.Add):
            if a.x is not a2.x or a.width != a2.width or not (_same(cos, cos2) and _same(sin, sin2)):
                continue
            *rows, half = first.outputs[0].shape
            whole = node.outputs[0].shape[-1]
            expect(a.width == whole and whole in (2, 2 * half))
            return _made(m, node, a, (*rows, 2 * half), (cos, sin))
    return None


def _products(m: Matcher, node: Node, op: Binary) -> Iterator[tuple[_Half, Value, _Half, Value]]:
    """(a, p, b, q) where a node makes a * p + b * q, or a * p - b * q, of the halves a and b."""
    for one, two in orders(node, op):
        for v, p in _factors(m, one):
            for w, q in _factors(m, two):
                a, b = _half(m, v), _half(m, w)
                if a is not None and b is not None and _pair(a, b) and not b.negative:
                    yield a, p, b, q


def _turned(m: Matcher, concat: Node) -> _Half | None:
    """The first half of x, of which this is (-b, a)."""
    if len(concat.inputs) != 2 or not _along_last(concat):
        return None
    b, a = (_half(m, v) for v in concat.inputs)
    fits = a is not None and b is not None and _pair(a, b) and b.negative
    return a if fits and a is not None and a.width == concat.outputs[0].shape[-1] else None


def _pair(a: _Half, b: _Half) -> bool:
    """Whether these are the first and the second half of the same, and the first is as it was."""
    return a.x is b.x and a.width == b.width and (a.second, b.second, a.negative) == (False, True, False)


def _half(m: Matcher, value: Value) -> _Half | None:
    value = _bare(value)
    turned = m.maybe(value, UnaryOp, BinaryOp)
    negative = turned is not None and (
        turned.params["op"] == Unary.neg if is_a(turned, UnaryOp) else scale_of(turned) == -1
    )
    if turned is not None and negative:
        value = _bare(turned.inputs[0])
    part = part_of(value)
    if part is None or part.axis != len(part.x.shape) - 1:
        return None
    width, second = part.x.shape[-1], part.begin > 0
    halves = (part.begin, part.end) == ((width // 2, width) if second else (0, width // 2))
    return _Half(_bare(part.x), width, second, negative) if halves and width % 2 == 0 else None


def _made(m: Matcher, node: Node, pair: _Half, shape: Shape, angles: tuple[Value, Value]) -> Made:
    """Of all of x, seen in this shape; node: the last one of the pattern."""
    *lead, size = shape
    y, cos = node.outputs[0], angles[0]
    interleaved = pair.width != size
    expect(pair.width in (2, size) and elements(pair.x.shape) == elements(shape))
    need(not any(v.open for v in (y, pair.x, *angles)), "sizes that follow an input of any shape")
    need(angles[1].shape == cos.shape and len(cos.shape) == len(shape), "cos and sin of other dimensions than x")
    need(cos.shape[-1] in (size, size // 2), "cos and sin that are the same for several pairs")
    rows = [i for i, n in enumerate(cos.shape[:-1]) if n != 1]
    need(all(cos.shape[i] == lead[i] for i in rows), "cos and sin of other sizes than x")
    count = elements(tuple(lead[i] for i in rows))
    cos, sin = _tables(m, angles, count, size, interleaved)
    order = (*(i for i in range(len(lead)) if i not in rows), *rows, len(lead))
    x = _permuted(m, _reshaped(m, pair.x, shape), order)
    front = x.shape
    x = _reshaped(m, x, (elements(tuple(lead)) // count, count, size))
    made = m.make(RotaryEmbed, [x, cos, sin], interleaved=int(interleaved))[0]
    back = tuple(int(i) for i in np.argsort(order))
    return [_reshaped(m, _permuted(m, _reshaped(m, made, front), back), y.shape)]


def _tables(m: Matcher, angles: tuple[Value, Value], rows: int, size: int, interleaved: bool) -> tuple[Value, Value]:
    """cos and sin [rows, size / 2], or [rows, size] where those of a pair differ or may differ."""
    width = angles[0].shape[-1]
    data = [v.data for v in angles if v.data is not None]
    if width == size and len(data) == 2:
        shape = (rows, size // 2, 2) if interleaved else (rows, 2, size // 2)
        pairs = [_equal_numbers(d.reshape(shape), -1 if interleaved else 1) for d in data]
        if all(d is not None for d in pairs):
            cos, sin = (memory(m.new, d) for d in pairs if d is not None)
            return cos, sin
    need(width < size or not interleaved, "neighbours whose cos and sin differ, or may differ")
    cos, sin = (_reshaped(m, v, (rows, width)) for v in angles)
    return cos, sin


def _equal_numbers(pairs: Array, axis: int) -> Array | None:
    """The first along an axis of two, where the second is the same."""
    first, second = np.moveaxis(pairs, axis, 0)
    return first if np.array_equal(first, second) else None


def _factors(m: Matcher, value: Value) -> list[tuple[Value, Value]]:
    """(a, b) and (b, a) where a value is a * b."""
    node = m.maybe(value, BinaryOp)
    return [] if node is None else orders(node, Binary.Mul)


def _bare(value: Value) -> Value:
    """What a value is but for its dimensions."""
    while is_a(node := value.producer, Reshape) and node is not None and len(node.inputs) == 1:
        value = node.inputs[0]
    return value


def _behind(m: Matcher, value: Value) -> Value:
    """Likewise, of Reshapes that nobody else reads."""
    while (node := m.maybe(value, Reshape)) is not None and len(node.inputs) == 1:
        value = node.inputs[0]
    return value


def _along_last(concat: Node) -> bool:
    return concat.params["axis"] in (-1, len(concat.outputs[0].shape) - 1)


def _same(a: Value, b: Value) -> bool:
    equal = a.data is not None and b.data is not None and np.array_equal(a.data, b.data)
    return a is b or (equal and a.shape == b.shape)


def _reshaped(m: Matcher, value: Value, shape: Shape) -> Value:
    return value if value.shape == shape else really_reshape(m.new, value, shape)[0]


def _permuted(m: Matcher, value: Value, order: tuple[int, ...]) -> Value:
    return value if order == tuple(range(len(order))) else really_permute(m.new, value, order)[0]
