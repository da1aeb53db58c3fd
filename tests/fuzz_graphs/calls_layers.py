"""Random calls of what adds up: convolutions, products, norms, poolings, reductions."""

from __future__ import annotations

import math

from .calls_numbers import bounded
from .maker import Maker, Refused, call


def _geometry(m: Maker, sides: tuple[int, ...], *, transposed: bool = False) -> str:
    """kernel_size, stride, padding and dilation for inputs of these sides, as keywords of torch's modules."""
    kernel = tuple(m.rng.choice((1, 1, 2, 3, 3)) for _ in sides)
    stride = tuple(m.rng.choice((1, 1, 1, 2)) for _ in sides)
    dilation = tuple(m.rng.choice((1, 1, 1, 2)) for _ in sides)
    padding = tuple(m.rng.choice((0, k // 2, 1)) for k in kernel)
    if m.chance(0.5):  # the same along every side
        kernel, stride, dilation, padding = ((v[0],) * len(sides) for v in (kernel, stride, dilation, padding))
    if not transposed and any(
        n + 2 * p < d * (k - 1) + 1 for n, k, p, d in zip(sides, kernel, padding, dilation, strict=True)
    ):
        raise Refused
    return f"{kernel}, {stride}, {padding}, dilation={dilation}".replace(",)", ")")


def _channels(m: Maker, c: int) -> tuple[int, int]:
    """Output channels and groups."""
    out = m.rng.choice((1, 2, 3, 4, 5, 8, c))
    kind = m.rng.random()
    if kind < 0.15:
        return c, c
    if kind < 0.3 and c % 2 == 0:
        return 2 * m.rng.randint(1, 4), 2
    return out, 1


@call(7)
def conv(m: Maker) -> None:
    x = m.pick(2, 3, 3, 3, 3, 4)
    c, *sides = m.shape(x)
    dims = len(sides)
    if dims == 2 and m.chance(0.15):
        _transposed(m, x)
        return
    out, groups = _channels(m, c)
    made = f"module({m.seed()}, nn.Conv{dims}d, {c}, {out}, {_geometry(m, tuple(sides))}"
    m.do(f"nb.conv{dims}d(g, {x}, {made}, groups={groups}, bias={m.chance(0.6)}))")


@call(2)
def transposed(m: Maker) -> None:
    _transposed(m, m.pick(2, 3, 3, 4))


def _transposed(m: Maker, x: str) -> None:
    c, *sides = m.shape(x)
    dims = len(sides)
    out, groups = _channels(m, c)
    made = f"module({m.seed()}, nn.ConvTranspose{dims}d, {c}, {out}, {_geometry(m, tuple(sides), transposed=True)}"
    m.do(f"nb.conv_transpose{dims}d(g, {x}, {made}, groups={groups}, bias={m.chance(0.6)}))")


@call(3)
def conv_by_value(m: Maker) -> None:
    """The weight is a value: a constant, perhaps one that others read, or computed."""
    x = m.pick(3)
    c, h, width = m.shape(x)
    k = m.rng.choice((1, 2, 3))
    out = m.rng.choice((1, 2, 4, c))
    padding = m.rng.choice((0, 1, (1, 0), (1, 0, 0, 1)))
    if min(h, width) + 1 < k:
        raise Refused
    kind = m.rng.random()
    shape = (c, 1, k, k) if kind < 0.3 else (out, c, k, k)
    weight = m.like(shape, fresh=0.4)
    if m.chance(0.3):
        weight = m.do(f"{weight} * {m.number(0.5, 1.5)}")
    names = [x, weight] + ([m.like((shape[0],))] if m.chance(0.3) else [])
    function = "nb.Fconv2d_depthwise" if kind < 0.3 else "nb.Fconv2d"
    groups = f", groups={c}" if kind < 0.3 else ""
    y = m.do(f"{function}(g, [{', '.join(names)}], {m.rng.choice((1, 1, 2))}, {padding}{groups})")
    if m.chance(0.3) and m.shape(y)[0] == c:
        m.do(f"{function}(g, [{y}, {weight}], 1, 1{groups})")


@call(1)
def transposed_by_value(m: Maker) -> None:
    x = m.pick(3)
    c, k = m.shape(x)[0], m.rng.choice((1, 2, 3))
    weight = m.like((c, c, k, k))
    m.do(f"nb.Fconv_transpose2d(g, [{x}, {weight}], {(c, c, k, k)}, {m.rng.choice((1, 2))})")


@call(4)
def matrix(m: Maker) -> None:
    x = m.pick(1, 2, 1, 2, 3)
    n, out = m.shape(x)[-1], m.rng.choice((1, 2, 3, 4, 8))
    rank = len(m.shape(x))
    kind = m.rng.randrange(6)
    bias = m.rng.choice(("None", f"w({m.seed()}, {out})"))
    if kind == 0:
        m.do(f"nb.linear(g, {x}, module({m.seed()}, nn.Linear, {n}, {out}, bias={m.chance(0.6)}))")
    elif kind == 1 and rank < 3:
        act = m.rng.choice(("linear", "relu", "lrelu", "tanh", "swish"))
        m.do(
            f"nb.fully_connected(g, {x}, w({m.seed()}, {out}, {n}), {bias}, {act!r}, gain={m.rng.choice((None, 0.5))})"
        )
    elif kind == 2 and rank < 3:
        held = m.like((out, n, 1, 1), (out, n))
        names = [x, held] + ([m.like((out,))] if m.chance(0.4) else [])
        m.do(f"nb.Fmatmul(g, [{', '.join(names)}], {(out, n)})")
    elif kind == 3 and rank == 2:
        c = m.rng.choice(("", f", c=w({m.seed()}, {out})"))
        scaled = f", alpha={m.number(0.5, 1.5)}, beta={m.number(0.5, 1.5)}"
        m.do(f"nb.gemm(g, {x}, b=w({m.seed()}, {out}, {n}).T{c}{scaled})")
    elif kind == 4:
        other = m.like((*m.shape(x)[:-2], n, out)) if rank > 1 else m.like((n, out))
        m.do(f"nb.matmul(g, [{x}, {other}])")
    else:
        act = m.rng.choice((0, 1, 2, 3, 4, 5, 6))
        given = {2: (0.2,), 3: (-0.5, 0.7), 6: (0.2, 0.5)}.get(act, ())
        weights = f"weights=dict(weight=w({m.seed()}, {out}, {n}), bias=w({m.seed()}, {out}))"
        size = f"num_output={out}, bias_term=1, weight_data_size={out * n}"
        m.do(f"layer(g, 'InnerProduct', {x}, {size}, activation_type={act}, activation_params={given}, {weights})")


@call(2)
def layer_with_activation(m: Maker) -> None:
    """A convolution with an activation inside and a border of another number, as files have them."""
    x = m.pick(3)
    c, h, width = m.shape(x)
    k, out = m.rng.choice((1, 3)), m.rng.choice((1, 4, 5))
    act = m.rng.choice((0, 1, 2, 3, 4, 5, 6))
    given = {2: (0.2,), 3: (-0.5, 0.7), 6: (0.2, 0.5)}.get(act, ())
    common = f"num_output={out}, kernel_w={k}, kernel_h={k}, weight_data_size={out * c * k * k}"
    common += f", activation_type={act}, activation_params={given}, stride_w={m.rng.choice((1, 2))}"
    weights = f"weights=dict(weight=w({m.seed()}, {out}, {c}, {k}, {k}))"
    if m.chance(0.3):
        m.do(f"layer(g, 'Deconvolution', {x}, {common}, {weights})")
        return
    if min(h, width) + 2 < k:
        raise Refused
    value = m.rng.choice((0.0, 0.0, 0.5))
    m.do(f"layer(g, 'Convolution', {x}, {common}, pad_left=1, pad_top=1, pad_value={value}, {weights})")


@call(3)
def per_channel(m: Maker) -> None:
    """What is folded into a convolution before or behind it."""
    x = m.pick()
    n = m.shape(x)[0]
    rank = len(m.shape(x))
    kind = m.rng.randrange(5)
    if kind == 0:
        norm = {1: 1, 2: 1, 3: 2, 4: 3}[rank]
        m.do(f"nb.batch_norm(g, {x}, module({m.seed()}, nn.BatchNorm{norm}d, {n}))")
    elif kind == 1:
        m.do(f"nb.scale(g, {x}, w({m.seed()}, {n}), {m.rng.choice(('None', f'w({m.seed()}, {n})'))})")
    elif kind == 2:
        m.do(f"nb.bias(g, {x}, w({m.seed()}, {n}))")
    elif kind == 3:
        m.do(f"nb.scale(g, [{x}, {m.like((n,))}])")
    else:
        constant = m.like((n, *(1,) * (rank - 1)), fresh=0.9)
        m.do(f"{x} {m.rng.choice('+-*')} {constant}")


@call(3)
def norms(m: Maker) -> None:
    """They bring numbers back to size, too."""
    x = m.pick(2, 3, 4)
    shape, kind, affine = m.shape(x), m.rng.randrange(7), m.chance(0.6)
    rank, seed = len(shape), m.seed()
    if math.prod(shape[1:]) < 3:
        raise Refused
    eps = f"eps={m.rng.choice((1e-5, 1e-3, 1e-2))}"
    if kind == 0:
        m.do(
            f"nb.instance_norm(g, {x}, module({seed}, nn.InstanceNorm{rank - 1}d, {shape[0]}, {eps}, affine={affine}))"
        )
    elif kind == 1:
        groups = m.rng.choice([d for d in range(1, shape[0] + 1) if shape[0] % d == 0])
        m.do(f"nb.group_norm(g, {x}, module({seed}, nn.GroupNorm, {groups}, {shape[0]}, {eps}, affine={affine}))")
    elif kind in (2, 3):
        inner = shape[-m.rng.randint(1, rank) :]
        name = ("layer_norm", "LayerNorm") if kind == 2 else ("rms_norm", "RMSNorm")
        made = f"module({seed}, nn.{name[1]}, {inner}, {eps}, elementwise_affine={affine})"
        m.do(f"nb.{name[0]}(g, {x}, {made})")
    elif kind == 4 and rank == 3:
        m.do(f"nb.normalize(g, {x}, dim={m.rng.choice((1, (2, 3), (1, 2, 3)))}, {eps})")
    elif kind == 5 and rank == 3:
        m.do(f"nb.mvn(g, {x}, {m.chance(0.7)}, {m.chance(0.5)}, {eps})")
    elif rank == 3:
        m.do(f"nb.local_response_norm(g, {x}, {m.rng.choice((1, 3, 5))}, {m.number(0.01, 0.5)}, 0.75, 1.0)")


@call(3)
def pool(m: Maker) -> None:
    x = m.pick(2, 3, 3, 3, 4)
    sides = m.shape(x)[1:]
    dims, most = len(sides), m.chance(0.5)
    kind = m.rng.random()
    if kind < 0.2:
        m.do(f"nb.global_pool(g, {x}, {m.rng.choice(('MaxPool', 'AveragePool'))!r})")
        return
    if kind < 0.4 and dims == 2:
        size = tuple(m.rng.choice((None, m.rng.randint(1, n))) for n in sides)
        m.do(f"nb.adaptive_{m.rng.choice(('avg', 'max'))}_pool2d(g, {x}, {size})")
        return
    if kind < 0.45 and dims > 1:
        m.do(f"nb.statistics_pooling(g, {x}, {m.chance(0.5)})")
        return
    kernel = tuple(m.rng.randint(1, min(3, n)) for n in sides)
    stride = tuple(m.rng.choice((1, 2)) for _ in sides)
    padding = tuple(m.rng.randint(0, k // 2) for k in kernel)
    text = f"{kernel}, {stride}, {padding}, ceil_mode={m.chance(0.3)}".replace(",)", ")" if dims > 1 else ",)")
    if not most:
        text += f", count_include_pad={m.chance(0.5)}"
    made = f"module(0, nn.{'Max' if most else 'Avg'}Pool{dims}d, {text})"
    if dims == 2:
        m.do(f"nb.pooling(g, {x}, {'MaxPool' if most else 'AveragePool'!r}, {made})")
    else:
        m.do(f"nb.pooling{dims}d(g, {x}, {made})")


REDUCTIONS = (
    *("ReduceSum", "ReduceMean", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare"),
    "ReduceLogSumExp",
)


@call(4)
def reduction(m: Maker) -> None:
    x = m.pick()
    rank = len(m.shape(x))
    axes = tuple(m.rng.sample(range(rank), m.rng.randint(1, rank)))
    op, keep = m.rng.choice(REDUCTIONS), m.chance(0.6)
    if op == "ReduceLogSumExp":
        x = bounded(m, x, 10.0)
    if m.chance(0.4):
        dims = tuple(a + 1 if m.chance(0.7) else a - rank for a in axes)
        m.do(f"nb.reduction(g, {x}, {op!r}, {rank + 1}, {dims}, {keep})")
    elif m.chance(0.5):
        m.do(f"nb.really_reduction(g, {x}, {op!r}, {axes}, {keep})")
    else:
        axes = tuple(a if m.chance(0.4) else a - rank for a in axes)
        how = f"operation={m.rng.choice((0, 2, 3, 4, 5, 7, 8))}, reduce_all=0, axes={axes}, keepdims={int(keep)}"
        m.do(f"layer(g, 'Reduction', {x}, {how}, coeff={m.rng.choice((1.0, 0.5, -2.0))}, version=1)")


@call(2)
def squares(m: Maker) -> None:
    """A mean or sum of squares, and the length of a vector."""
    x = bounded(m, m.pick(), 10.0)
    square = m.do(m.rng.choice((f"nb.square(g, {x})", f"{x} * {x}", f"nb.unaryOp(g, {x}, 'square')", f"{x} ** 2")))
    rank = len(m.shape(x))
    axes = tuple(m.rng.sample(range(rank), m.rng.randint(1, rank)))
    axes = tuple(a if m.chance(0.6) else a - rank for a in axes)
    op = m.rng.choice((0, 3))
    how = f"operation={op}, reduce_all={int(m.chance(0.2))}, axes={axes}, keepdims=1, version=1"
    y = m.do(f"layer(g, 'Reduction', {square}, {how})")
    if m.chance(0.6):
        m.do(f"{x} * {m.do(f'nb.rsqrt(g, {y}, 1e-3)')}")


@call(2)
def softmax(m: Maker) -> None:
    x = m.pick()
    rank = len(m.shape(x))
    if m.chance(0.6):
        m.do(f"nb.softmax(g, {x}, {m.rng.choice((*range(1, rank + 1), -1))})")
    else:
        m.do(f"layer(g, 'Softmax', {x}, axis={m.rng.randrange(-rank, rank)}, version=1)")


@call(2)
def filters(m: Maker) -> None:
    x = m.pick(3, fits=lambda s: s[1] * s[2] < 150)
    c = m.shape(x)[0]
    taps = m.rng.choice(("4", "3", "2, 2", "3, 4", "1"))
    f = f"w({m.seed()}, {taps})"
    up, down = m.rng.choice((1, 2, 2, 3, (1, 2))), m.rng.choice((1, 1, 2, (2, 1)))
    padding = tuple(m.rng.randint(-1, 3) for _ in range(4))
    flip = f"flip_filter={m.chance(0.5)}, gain={m.rng.choice((1.0, 4.0, 0.5))}"
    kind = m.rng.randrange(4)
    if kind < 2:
        name = m.rng.choice(("upfirdn2d", "upfirdn2d", "Upfirdn2d"))
        m.do(f"nb.{name}(g, {x}, {f}, {up}, {down}, {padding}, {flip})")
    elif kind == 2:
        bias = m.rng.choice(("None", f"w({m.seed()}, {c})"))
        rest = f"gain={m.rng.choice((None, 1.0))}, slope=0.2, clamp={m.rng.choice((None, 0.5))}"
        name = m.rng.choice(("filtered_lrelu", "filtered_lrelu", "FilteredLrelu"))
        m.do(f"nb.{name}(g, {x}, w({m.seed()}, 4), w({m.seed()}, 4), {bias}, 2, 2, {padding}, {rest})")
    else:  # as the predecessor says it
        y = m.do(f"nb.up2(g, {x})") if m.chance(0.6) else x
        y = m.do(f"nb.pad(g, {y}, 2, 1, 2, 1)")
        k = m.do(f"nb.shell(g, [], np.tile(w({m.seed()}, 4, 4), ({c}, 1, 1, 1)))")
        m.do(f"nb.Fconv2d_depthwise(g, [{y}, {k}], {m.rng.choice((1, 2))}, groups={c})")


@call(3)
def modulated(m: Maker) -> None:
    x = m.pick(3, fits=lambda s: s[1] * s[2] < 150)
    c, h, width = m.shape(x)
    out, k, up = m.rng.choice((1, 3, 4, 8)), m.rng.choice((1, 3, 3)), m.rng.choice((1, 1, 2))
    styles = m.like((c,))
    demodulate, weight = m.chance(0.6), f"w({m.seed()}, {out}, {c}, {k}, {k})"
    if m.chance(0.6):
        f = f", resample_filter=w({m.seed()}, 4, 4)" if up == 2 else ""
        noise = f", noise={m.like((h * up, width * up))}" if m.chance(0.3) and k == 3 else ""
        rest = f"padding={k // 2}, demodulate={demodulate}, flip_weight={up == 1}, gain={m.rng.choice((1.0, 0.5))}"
        y = m.do(f"nb.modulated_conv2d(g, [{x}, {styles}], {weight}, up={up}{f}, {rest}{noise})")
    else:  # as the predecessor says it
        v = m.do(f"nb.F4DOp1D(g, [{m.do(f'nb.shell(g, [], {weight})')}, {styles}], 1, 'Mul')")
        if demodulate:
            axes = m.rng.choice(((1, 2, 3), (-1, -2, -3), (1, -2, 3)))
            how = f"operation=0, reduce_all=0, axes={axes}, keepdims={int(m.chance(0.3))}, version=1"
            s = m.do(f"layer(g, 'Reduction', {m.do(f'nb.square(g, {v})')}, {how})")
            s = m.do(f"nb.rsqrt(g, {s}, 1e-8)")
            s = s if len(m.shape(s)) == 1 else m.do(f"nb.really_reshape(g, {s}, ({out},))")
            v = m.do(f"nb.F4DOp1D(g, [{v}, {s}], 0, 'Mul')")
        y = m.do(f"nb.Fconv2d(g, [{x}, {v}], 1, {k // 2})")
        if m.chance(0.4):
            y = m.do(f"nb.AddNoise(g, [{y}, {m.like(m.shape(y)[1:])}])")
    if m.chance(0.5):
        clamp = m.rng.choice((None, 0.5))
        m.do(f"nb.bias_act(g, {y}, w({m.seed()}, {out}), {m.rng.choice(('lrelu', 'linear', 'relu'))!r}, clamp={clamp})")


@call(2)
def fused_conv(m: Maker) -> None:
    """Our layer, which its pass makes for larger pictures. All but the last of its inputs have 16 channels."""
    x = m.pick(3, fits=lambda s: s[1] * s[2] < 150)
    c, h, width = m.shape(x)
    parts = [*(m.like((16, h, width)) for _ in range(m.rng.choice((0, 0, 1, 2)))), x]
    out, k = m.rng.choice((1, 3, 8, 16, 17)), m.rng.choice((1, 3, 3, 3, 2))
    weight, bias = f"w({m.seed()}, {out}, {16 * (len(parts) - 1) + c}, {k}, {k})", m.chance(0.6)
    residual = m.like((out, h, width)) if k != 2 and m.chance(0.4) else None
    scale, slope = m.rng.choice((1.0, 0.2, -1.5)), m.rng.choice((1.0, 0.0, 0.2, "each"))
    if slope == "each":
        slope = f"w({m.seed()}, {out})"
    given = f", w({m.seed()}, {out})" if bias else ", None"
    rest = f"padding={k // 2}, scale={scale}, residual={residual}, slope={slope}"
    m.do(f"nb.FusedConv2d(g, [{', '.join(parts)}], {weight}{given}, {rest})")
