"""Random calls that compute with sizes: of other values, halves, rests, products; what is open stays open."""

from __future__ import annotations

import math

from .maker import Maker, Refused, call


@call(2)
def resized_like(m: Maker) -> None:
    """A picture of the size of another one, and the two together."""
    x, y = m.pick(3), m.pick(3)
    if math.prod(m.shape(y)[1:]) * m.shape(x)[0] > 4000:
        raise Refused
    mode = m.rng.choice(("nearest", "bilinear", "bicubic"))
    z = m.do(f"nb.interpolate(g, {x}, size={m.shape(y)[1:]}, mode={mode!r})")
    if m.chance(0.6):
        m.do(f"nb.concat(g, [{z}, {y}], 1)")


@call(2)
def there_and_back(m: Maker) -> None:
    """Axes joined, something done to the rows, and apart again."""
    x = m.pick(2, 3, 3, 4)
    shape = m.shape(x)
    first = m.rng.randrange(len(shape) - 1)
    joined = (*shape[:first], m.rng.choice((-1, shape[first] * shape[first + 1])), *shape[first + 2 :])
    y = m.do(f"nb.really_reshape(g, {x}, {joined})")
    if len(joined) == 2 and m.chance(0.5):
        y = m.do(f"nb.permute(g, {y}, (0, 2, 1))")
        y = m.do(m.rng.choice((f"nb.activation(g, {y}, 'tanh')", f"nb.softmax(g, {y}, 1)", f"{y} * 0.7")))
        y = m.do(f"nb.permute(g, {y}, (0, 2, 1))")
    m.do(f"nb.really_reshape(g, {y}, {shape})")


@call(2)
def windows(m: Maker) -> None:
    """(C, H, W) as parts of H, and the order of axes changed."""
    x = m.pick(2, 3)
    shape = m.shape(x)
    axis = m.rng.randrange(len(shape))
    by = m.rng.choice((2, 2, 4))
    if shape[axis] % by:
        raise Refused
    parts = m.rng.choice(((by, shape[axis] // by), (shape[axis] // by, by)))
    y = m.do(f"nb.really_reshape(g, {x}, {(*shape[:axis], *parts, *shape[axis + 1 :])})")
    order = list(range(len(shape) + 1))
    m.rng.shuffle(order)
    m.do(f"nb.really_permute(g, {y}, {tuple(order)})")


@call(3)
def shortened(m: Maker) -> None:
    """From the begin, or from somewhere, to an end that is said by the size."""
    x = m.pick()
    axis = m.rng.randrange(len(m.shape(x)))
    n = m.shape(x)[axis]
    first = m.rng.choice((0, 0, 1, n // 2))
    last = m.rng.choice((n, n - 1, n // 2, (n + 1) // 2, n - n // 2))
    if not first < last:
        raise Refused
    if m.chance(0.5):
        m.do(f"nb.crop(g, {x}, [{first}], [{last}], [{axis}])")
    else:
        m.do(f"{x}[{':, ' * axis}{first}:{last}]")


@call(2)
def cut_like(m: Maker) -> None:
    """The part of a value that has another's size."""
    x = m.pick()
    shape = m.shape(x)
    axis = m.rng.randrange(len(shape))
    ends = [m.shape(y)[-1] for y in m.names(lambda s: s[-1] <= shape[axis])]
    if not ends:
        raise Refused
    m.do(f"nb.crop(g, {x}, [0], [{m.rng.choice(ends)}], [{axis}])")


@call(1)
def summed(m: Maker) -> None:
    """A border, and what it is cut off again."""
    x = m.pick(3)
    _, h, w = m.shape(x)
    y = m.do(f"nb.pad(g, {x}, right={m.rng.randint(0, 3)}, bottom={m.rng.randint(1, 3)})")
    if m.shape(y)[1] >= h and m.shape(y)[2] >= w:
        y = m.do(f"nb.crop(g, {y}, [0, 0], [{h}, {w}], [1, 2])")
        m.do(f"{y} + {x}")
