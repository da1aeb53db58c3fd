"""Random calls of attention and recurrent layers, and the samples of every op of the registry."""

from __future__ import annotations

import ncnn_builder as nb
from ncnn_builder.builder import inputs_of

from .calls_numbers import positive
from .maker import Maker, call
from .program import samples


@call(1)
def attention(m: Maker) -> None:
    x = m.pick(2, 3)
    shape = m.shape(x)
    if len(shape) == 2:
        n = shape[1]
        heads = m.rng.choice([d for d in range(1, n + 1) if n % d == 0])
        m.do(
            f"nb.multihead_attention(g, {x}, module({m.seed()}, nn.MultiheadAttention, {n}, {heads}, batch_first=True))"
        )
    else:
        m.do(f"nb.scaled_dot_product_attention(g, [{x}, {m.like(shape)}, {m.like(shape)}])")


@call(1)
def recurrent(m: Maker) -> None:
    x = m.pick(2)
    kind = m.rng.choice(("RNN", "LSTM", "GRU"))
    made = f"module({m.seed()}, nn.{kind}, {m.shape(x)[1]}, {m.rng.choice((1, 3, 4))}, batch_first=True"
    m.do(f"nb.{kind.lower()}(g, {x}, {made}, bidirectional={m.chance(0.5)}))", 3 if kind == "LSTM" else 2)


NEVER = {
    "Input": "an input of the graph",
    "Split": "comes with emission",
    "ArgMax": "off in ncnn",
    "SPP": "off in ncnn",
}
OPS = sorted(op for op in nb.registry if op not in NEVER)


@call(9)
def any_sample(m: Maker) -> None:
    """A sample of any op of the registry, on values that are there, brought into its shapes."""
    sample_of(m, m.rng.choice(OPS))


def sample_of(m: Maker, op: str) -> None:
    index = m.rng.randrange(len(samples(op)))
    chosen = samples(op)[index]
    names = []
    for shape in chosen.inputs:
        if chosen.draw in ("integer", "index") or nb.registry[op].open_length:  # equal numbers have no order
            names.append(m.input(shape, chosen.draw))
            continue
        found = m.names(lambda s, shape=shape: s == shape)
        if found and m.chance(0.8):
            name = m.rng.choice(found)
        elif m.values and m.chance(0.5):
            name = m.fitted(m.pick(), shape)
        else:
            names.append(m.input(shape, chosen.draw))
            continue
        if chosen.draw == "positive":
            name = positive(m, name)
        elif chosen.draw == "unit" and (m.low(name) < 0 or m.high(name) > 1):
            name = m.do(f"nb.activation(g, {name}, 'sigmoid')")
        names.append(name)
    inputs = "".join(f", {name}" for name in names)
    g = nb.Graph()
    made = chosen.build(g, *(g.input(f"x{i}", s) for i, s in enumerate(chosen.inputs)))
    m.do(f"sample(g, {op!r}, {index}{inputs})", len(inputs_of(made)))
