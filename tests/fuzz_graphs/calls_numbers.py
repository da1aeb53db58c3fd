"""Random calls of what works number by number: functions, operators, activations, sums of several values."""

from __future__ import annotations

from .maker import Maker, Refused, call

ACTIVATIONS = (
    *("relu", "relu", "leaky_relu", "relu6", "hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink"),
    *("sigmoid", "swish", "mish", "tanh", "elu", "selu", "celu", "gelu", "softplus", "erf"),
)
ARGUMENT = {"leaky_relu": "negative_slope", "elu": "alpha", "celu": "alpha", "softshrink": "lambd"}
ACTS = ("linear", "relu", "lrelu", "tanh", "sigmoid", "elu", "selu", "softplus", "swish")


def positive(m: Maker, name: str, least: float = 0.1) -> str:
    """The value made positive, where it is not."""
    if m.low(name) >= least:
        return name
    absolute = m.do(m.rng.choice((f"nb.abs(g, {name})", f"abs({name})", f"nb.unaryOp(g, {name}, 'abs')")))
    return m.do(m.rng.choice((f"{absolute} + {least}", f"nb.MulConstant(g, {absolute}, 1.0, {least})")))


def bounded(m: Maker, name: str, most: float) -> str:
    """The value within -most ... most."""
    if -most <= m.low(name) and m.high(name) <= most:
        return name
    return m.do(f"nb.clamp(g, {name}, {-most}, {most})")


@call(5)
def activation(m: Maker) -> None:
    name, x = m.rng.choice(ACTIVATIONS), m.pick()
    args = ""
    if name in ARGUMENT and m.chance(0.6):
        args = f", {{{ARGUMENT[name]!r}: {m.rng.choice((0.1, 0.2, 0.5, 1.0))}}}"
    m.do(f"nb.activation(g, {x}, {name!r}{args})")


@call(5)
def scalar(m: Maker) -> None:
    x, n = m.pick(), m.number()
    op = m.rng.choice(("{x} + {n}", "{x} - {n}", "{n} - {x}", "{x} * {n}", "{x} * {n}", "-{x}", "{x} / {q}"))
    m.do(op.format(x=x, n=n, q=m.rng.choice((2.0, 0.5, -3.0, 1.5))))


@call(3)
def mul_constant(m: Maker) -> None:
    m.do(f"nb.MulConstant(g, {m.pick()}, {m.number()}, {m.rng.choice((0.0, 0.0, m.number()))})")


@call(2)
def scalar_op(m: Maker) -> None:
    op = m.rng.choice(("Max", "Min", "Max", "Min", "Atan2", "RAtan2", "LogAddExp"))
    m.do(f"nb.binaryOp(g, [{m.pick()}, {m.number()}], {op!r})")


@call(1)
def powers(m: Maker) -> None:
    x, kind = m.pick(), m.rng.randrange(6)
    if kind == 0:
        m.do(f"{bounded(m, x, 3.0)} ** {m.rng.choice((2, 3, 2, 4))}")
    elif kind == 1:
        m.do(f"{positive(m, x)} ** {m.rng.choice((0.5, -1, 1.5, -0.5))}")
    elif kind == 2:
        m.do(f"nb.binaryOp(g, [{bounded(m, x, 3.0)}, {m.rng.choice((2.0, 0.5))}], 'RPow')")
    elif kind == 3:
        m.do(f"{m.number(0.5, 2.0)} / {positive(m, x)}")
    elif kind == 4:
        m.do(f"nb.power(g, {positive(m, x)}, {m.rng.choice((2.0, 0.5, 1.5))}, {m.number(0.5, 1.5)}, 0.5)")
    else:
        m.do(f"nb.power(g, {x}, 1.0, {m.number()}, {m.number()})")


@call(3)
def functions(m: Maker) -> None:
    x, kind = m.pick(), m.rng.randrange(9)
    if kind == 0:
        m.do(f"nb.square(g, {bounded(m, x, 5.0)})")
    elif kind == 1:
        m.do(m.rng.choice((f"nb.abs(g, {x})", f"nb.absval(g, {x})")))
    elif kind == 2:
        m.do(f"nb.sqrt(g, {positive(m, x)}, {m.rng.choice((0.0, 1e-4))})")
    elif kind == 3:
        m.do(f"nb.rsqrt(g, {positive(m, x)}, {m.rng.choice((0.0, 1e-8, 0.1))}, {m.rng.choice((None, 0.5, 2.0))})")
    elif kind == 4:
        m.do(f"nb.sin(g, {bounded(m, x, 3.0)}, {m.rng.choice((1.0, 0.5))})")
    elif kind == 5:
        low = m.number(-1.0, 0.5)
        m.do(f"nb.clamp(g, {x}, {low}, {low + m.number(0.0, 1.5)})")
    elif kind == 6:
        m.do(f"nb.exp(g, {bounded(m, x, 3.0)}, {m.rng.choice((None, 2.0))}, {m.number(0.5, 1.0)}, {m.number()})")
    elif kind == 7:
        m.do(f"nb.log(g, {positive(m, x)}, {m.rng.choice((None, 2.0, 10.0))}, {m.number(0.5, 1.5)}, 0.5)")
    else:
        m.do(f"nb.dropout(g, {x}, {m.rng.choice((1.0, 0.5))})")


@call(2)
def unary_op(m: Maker) -> None:
    whole = ("abs", "neg", "square", "sin", "cos", "atan", "tanh", "asinh", "sign", "floor", "ceil", "round", "trunc")
    above = ("sqrt", "rsqrt", "log", "reciprocal", "log10", "log1p")
    op = m.rng.choice((*whole, *above, "exp", "expm1", "sinh", "cosh", "asin", "acos", "atanh", "tan"))
    x = m.pick()
    if op in above:
        x = positive(m, x)
    elif op not in whole or op == "square":
        x = bounded(m, x, 0.9 if op in ("asin", "acos", "atanh", "tan") else 3.0)
    m.do(f"nb.unaryOp(g, {x}, {op!r})")


@call(2)
def nothing(m: Maker) -> None:
    x = m.pick()
    n = len(m.shape(x))
    m.do(
        m.rng.choice(
            (
                *(f"nb.deepcopy(g, {x})", f"nb.noop(g, {x})", f"{x} * 1.0", f"{x} + 0.0", f"nb.concat(g, [{x}], 1)"),
                *(f"nb.really_reshape(g, {x}, {m.shape(x)})", f"nb.really_permute(g, {x}, {tuple(range(n))})"),
                *(f"nb.activation(g, {x}, 'leaky_relu', {{'negative_slope': 1.0}})", f"nb.pad(g, {x})"),
                *(f"nb.clamp(g, {x}, -3.0e38, 3.0e38)", f"nb.bias_act(g, {x})", f"nb.upfirdn2d(g, {x}, None)"),
            )
        )
    )


@call(3)
def bias_act(m: Maker) -> None:
    x, act = m.pick(), m.rng.choice(ACTS)
    n = m.shape(x)[0]
    rest = f"act={act!r}, alpha={m.rng.choice((None, None, 0.3))}, gain={m.rng.choice((None, 1.0, 0.5, 2.0))}"
    rest += f", clamp={m.rng.choice((None, None, 0.4, 1.0))}"
    if m.chance(0.6):
        bias = f"w({m.seed()}, {n})" if m.chance(0.7) else "None"
        m.do(f"nb.bias_act(g, {x}, {bias}, {rest})")
    elif m.chance(0.5):
        m.do(f"nb.BiasAct(g, [{x}, {m.like((n,))}], {rest.replace('act=', 'act_type=')})")
    else:
        m.do(f"nb.BiasAct(g, {x}, {rest.replace('act=', 'act_type=')})")


def partner(m: Maker, x: str) -> str:
    """A second operand: of the same shape, or one that broadcasts."""
    shape = m.shape(x)
    if m.chance(0.6):
        return m.like(shape, fresh=0.15)
    ones = tuple(1 if m.chance(0.5) else n for n in shape)
    per_channel = (shape[0], *(1,) * (len(shape) - 1))
    lower = shape[m.rng.randrange(len(shape)) :]
    return m.like(m.rng.choice((ones, per_channel, lower)))


@call(8)
def binary(m: Maker) -> None:
    x = m.pick()
    y = partner(m, x)
    if m.chance(0.15):
        x, y = y, x
    op = m.rng.choice(("+", "-", "*", "+", "*", "Max", "Min", "RSub", "Atan2", "LogAddExp", "/", "RDiv"))
    if op in ("/", "RDiv"):
        if op == "/":
            y = positive(m, y)
        else:
            x = positive(m, x)
    m.do(f"{x} {op} {y}" if len(op) == 1 else f"nb.binaryOp(g, [{x}, {y}], {op!r})")


@call(1)
def steps(m: Maker) -> None:
    """Ops that jump: small ones of numbers that are far from the jump are seldom, so most are not compared."""
    x = m.pick()
    y = positive(m, partner(m, x), 0.5)
    m.do(f"nb.binaryOp(g, [{x}, {y}], {m.rng.choice(('FMod', 'FloorDivide', 'Remainder'))!r})")


@call(2)
def several(m: Maker) -> None:
    x = m.pick()
    others = [m.like(m.shape(x), fresh=0.2) for _ in range(m.rng.choice((1, 1, 2, 3)))]
    names = ", ".join([x, *others])
    op = m.rng.choice(("Sum", "Sum", "Prod", "Max"))
    coeffs = f", {tuple(m.number() for _ in range(len(others) + 1))}" if op == "Sum" and m.chance(0.6) else ""
    m.do(f"nb.eltwise(g, [{names}], {op!r}{coeffs})")


@call(1)
def chain(m: Maker) -> None:
    """A chain of numbers, which the passes merge."""
    x = m.pick()
    for _ in range(m.rng.randint(2, 4)):
        n = m.number(0.5, 1.5)
        x = m.do(
            m.rng.choice((f"{x} * {n}", f"{x} + {n}", f"nb.clamp(g, {x}, {-n}, {n})", f"nb.MulConstant(g, {x}, {n})"))
        )


@call(1)
def lerp(m: Maker) -> None:
    x = m.pick()
    y = m.like(m.shape(x))
    m.do(f"nb.lerp(g, [{x}, {y}, {m.like((1,))}])")


@call(1)
def post(m: Maker) -> None:
    m.do(f"nb.StyleganPost(g, {m.pick()})")


@call(1)
def threshold(m: Maker) -> None:
    m.do(f"nb.threshold(g, {m.pick()}, {m.number(-0.5, 0.5)})")


@call(1.5)
def prelu(m: Maker) -> None:
    x = m.pick()
    m.do(f"nb.prelu(g, {x}, p({m.seed()}, {m.rng.choice((1, m.shape(x)[0]))}))")


@call(1)
def noise(m: Maker) -> None:
    x = m.pick(3)
    m.do(f"nb.AddNoise(g, [{x}, {m.like(m.shape(x)[1:])}])")


@call(2)
def four_by_one(m: Maker) -> None:
    x, axis = m.pick(4), m.rng.randrange(4)
    op, n = m.rng.choice(("Mul", "Add", "Sub", "Div")), m.shape(x)[axis]
    v = m.like((n,))
    m.do(f"nb.F4DOp1D(g, [{x}, {positive(m, v) if op == 'Div' else v}], {axis}, {op!r})")


@call(0.5)
def switcher(m: Maker) -> None:
    x = m.pick(1, 2)
    count = m.shape(x)[0] if len(m.shape(x)) == 2 else 6
    y, mixing = m.like(m.shape(x)), m.like((count,))
    m.do(f"nb.StyleMixingSwitcher(g, [{x}, {y}, {mixing}], {m.rng.randrange(count)})")


@call(1)
def raw_binary(m: Maker) -> None:
    """BinaryOp as a file says it."""
    x = m.pick()
    if m.chance(0.5):
        op, b = m.rng.choice((0, 1, 2, 3, 4, 5, 7)), m.number(0.5, 2.0)
        m.do(f"layer(g, 'BinaryOp', {x}, op={op}, with_scalar=1, b={b})")
        return
    y = m.like(m.shape(x))
    if m.shape(x) != m.shape(y):
        raise Refused
    m.do(f"layer(g, 'BinaryOp', {x}, {y}, op={m.rng.choice((0, 1, 2, 4, 5, 7))})")
