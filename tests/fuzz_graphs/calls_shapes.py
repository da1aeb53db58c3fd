"""Random calls of what moves numbers: shapes, parts, borders, orders, sizes."""

from __future__ import annotations

import math

from .maker import Maker, Refused, Shape, call


@call(4)
def reshape(m: Maker) -> None:
    x = m.pick()
    shape = list(m.factors(math.prod(m.shape(x)), m.rng.randint(1, 4)))
    if m.chance(0.4):
        shape[m.rng.randrange(len(shape))] = -1
    if m.chance(0.5):
        m.do(f"nb.really_reshape(g, {x}, {tuple(shape)})")
    else:
        m.do(f"nb.reshape(g, {x}, {(1, *shape)})")


@call(3)
def permute(m: Maker) -> None:
    x = m.pick(2, 3, 3, 4)
    order = list(range(len(m.shape(x))))
    m.rng.shuffle(order)
    if m.chance(0.5):
        m.do(f"nb.really_permute(g, {x}, {tuple(order)})")
    else:
        m.do(f"nb.permute(g, {x}, {str((0, *(i + 1 for i in order)))!r})")


@call(1.5)
def dims(m: Maker) -> None:
    x = m.pick()
    shape = m.shape(x)
    ones = [i + 1 for i, n in enumerate(shape) if n == 1]
    kind = m.rng.randrange(3)
    if kind == 0 and ones and len(shape) > len(ones):
        m.do(f"nb.squeeze(g, {x}, {m.rng.choice(ones)})")
    elif kind == 1 and len(shape) < 4:
        m.do(f"nb.unsqueeze(g, {x}, {m.rng.randint(1, len(shape) + 1)})")
    else:
        m.do(f"nb.flatten(g, {x})")


def _range(m: Maker, n: int) -> tuple[int, int]:
    first = m.rng.randrange(n)
    return first, m.rng.randint(first + 1, n)


@call(3)
def crop(m: Maker) -> None:
    x = m.pick()
    shape = m.shape(x)
    axes = m.rng.sample(range(len(shape)), m.rng.randint(1, len(shape)))
    starts, ends = [], []
    for axis in axes:
        n = shape[axis]
        first, last = _range(m, n)
        starts.append(first - n if m.chance(0.3) else first)
        ends.append(m.rng.choice((last, last - n if last < n else -233)))
    m.do(f"nb.crop(g, {x}, {starts}, {ends}, {axes})")


@call(3)
def part(m: Maker) -> None:
    """Slices in Python's spelling."""
    x = m.pick(2, 3, 4)
    keys = []
    for n in m.shape(x):
        first, last = _range(m, n)
        keys.append(m.rng.choice((":", ":", f"{first}:{last}", f"{first - n}:", f":{last}")))
    m.do(f"{x}[{', '.join(keys)}]")


@call(1.5)
def flip(m: Maker) -> None:
    x = m.pick()
    rank = len(m.shape(x))
    m.do(f"nb.flip(g, {x}, {tuple(m.rng.sample(range(1, rank + 1), m.rng.randint(1, rank)))})")


@call(1.5)
def tile(m: Maker) -> None:
    x = m.pick()
    m.do(f"nb.tile(g, {x}, {tuple(m.rng.choice((1, 1, 2)) for _ in m.shape(x))})")


@call(4)
def concat(m: Maker) -> None:
    x = m.pick()
    shape = m.shape(x)
    axis = m.rng.randrange(len(shape))
    names = [x]
    for _ in range(m.rng.choice((1, 1, 2))):
        found = m.names(lambda s: len(s) == len(shape) and s[:axis] + s[axis + 1 :] == shape[:axis] + shape[axis + 1 :])
        other: Shape = (*shape[:axis], m.rng.choice((1, 2, 3, 4)), *shape[axis + 1 :])
        names.append(m.rng.choice(found) if m.chance(0.7) else m.like(other))
    m.rng.shuffle(names)
    dim = axis + 1 if m.chance(0.7) else axis - len(shape)
    m.do(f"nb.concat(g, [{', '.join(names)}], {dim})")


@call(3)
def cuts(m: Maker) -> None:
    x = m.pick()
    axis = m.rng.randrange(len(m.shape(x)))
    n = m.shape(x)[axis]
    if n < 2:
        raise Refused
    if m.chance(0.4):
        first = m.rng.randint(1, n - 1)
        m.do(f"nb.slice(g, {x}, {(first, n - first)}, {axis + 1})", 2)
    elif m.chance(0.5):
        size = m.rng.randint(1, n - 1)
        m.do(f"nb.slice(g, {x}, {size}, {axis + 1})", -(-n // size))
    else:
        parts = m.rng.randint(2, min(n, 4))
        m.do(f"nb.tensor_split(g, {x}, {parts}, {axis + 1})", parts)


@call(3)
def pad(m: Maker) -> None:
    x = m.pick()
    shape = m.shape(x)
    mode = m.rng.choice(("constant", "constant", "constant", "edge", "reflect"))
    sides = [("left", "right"), ("top", "bottom"), ("front", "behind")][: min(len(shape), 3)]
    if mode != "constant":
        sides = sides[:2]
    text = []
    for i, pair in enumerate(sides):
        for side in pair:
            most = min(3, shape[-1 - i] - 1) if mode == "reflect" else 2
            text.append(f"{side}={m.rng.randint(-1 if mode == 'constant' and m.chance(0.2) else 0, max(0, most))}")
    value = m.rng.choice((0.0, 0.0, 0.5, -1.0)) if mode == "constant" else 0.0
    m.do(f"nb.pad(g, {x}, {', '.join(text)}, value={value}, mode={mode!r})")


@call(1)
def pixels(m: Maker) -> None:
    x = m.pick(3)
    kind = m.rng.randrange(4)
    if kind == 0:
        m.do(f"nb.pixel_shuffle(g, {x}, 2, {m.rng.randrange(2)})")
    elif kind == 1:
        m.do(f"nb.pixel_unshuffle(g, {x}, 2, {m.rng.randrange(2)})")
    elif kind == 2:
        m.do(f"nb.channel_shuffle(g, {x}, {m.rng.choice((2, 3, 4))}, {m.chance(0.3)})")
    else:
        m.do(f"nb.coordconcat(g, {x})")


@call(2)
def zeros(m: Maker) -> None:
    x = m.pick(3, fits=lambda s: s[1] * s[2] < 300)
    m.do(f"nb.{m.rng.choice(('up2', 'up2', 'up4', 'down2', 'down2'))}(g, {x})")


@call(2)
def interpolate(m: Maker) -> None:
    x = m.pick(3, fits=lambda s: s[1] * s[2] < 200)
    mode = m.rng.choice(("nearest", "bilinear", "bicubic"))
    size = f"size={(m.rng.randint(1, 9), m.rng.randint(1, 9))}"
    factor = f"scale_factor={m.rng.choice((2, 2, 0.5, 1.5, 3, (2.0, 0.5)))}"
    corners = f", align_corners={m.chance(0.5)}" if mode != "nearest" else ""
    m.do(f"nb.interpolate(g, {x}, {m.rng.choice((size, factor))}, mode={mode!r}{corners})")


@call(1)
def sums(m: Maker) -> None:
    x = m.pick()
    m.do(f"nb.cumsum(g, {x}, {m.rng.randint(1, len(m.shape(x)))})")


@call(1)
def glu(m: Maker) -> None:
    x = m.pick(1, 2, 3)
    even = [i + 1 for i, n in enumerate(m.shape(x)) if n % 2 == 0]
    if not even:
        raise Refused
    m.do(f"nb.glu(g, {x}, {m.rng.choice(even)})")


@call(0.7)
def diag(m: Maker) -> None:
    m.do(f"nb.diag(g, {m.pick(1, 2)}, {m.rng.choice((0, 0, 1, -1, 2))})")


@call(1)
def copyto(m: Maker) -> None:
    x = m.pick()
    shape = m.shape(x)
    starts = tuple(m.rng.randrange(n) for n in shape)
    y = m.like(tuple(m.rng.randint(1, n - s) for n, s in zip(shape, starts, strict=True)))
    m.do(f"nb.copyto(g, [{x}, {y}], {starts})")


@call(1.5)
def raw_shapes(m: Maker) -> None:
    """Layers as a file says them: axes from the end, and what the DSL has no word for."""
    x = m.pick()
    shape = m.shape(x)
    rank = len(shape)
    axis = m.rng.randrange(-rank, rank)
    kind = m.rng.randrange(5)
    if kind == 0:
        m.do(f"layer(g, 'Concat', {x}, {m.like(shape)}, axis={axis})")
    elif kind == 1:
        n = shape[axis]
        first = m.rng.randint(1, max(1, n - 1))
        m.do(f"layer(g, 'Slice', {x}, slices={(first, -233)}, axis={axis})", 2)
    elif kind == 2:
        m.do(f"layer(g, 'Crop', {x}, starts=({m.rng.randrange(shape[axis])},), ends=(-233,), axes=({axis},))")
    elif kind == 3:
        m.do(f"layer(g, 'Tile', {x}, axis={axis % rank}, tiles=2)")
    elif rank == 3:
        value = f"per_channel_pad_data_size={shape[0]}, weights=dict(per_channel_pad_data=w({m.seed()}, {shape[0]}))"
        m.do(f"layer(g, 'Padding', {x}, top=1, left=1, right={m.rng.randrange(2)}, {value})")
