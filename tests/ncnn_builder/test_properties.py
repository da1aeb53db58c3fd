"""Random shapes and parameters: the inferred shape is torch's, and so are the numbers, before and after lowering."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

import ncnn_builder as nb
from ncnn_builder.parity import Report, interpret
from ncnn_builder.targets import lower

few = settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
small = st.integers(1, 5)
two = st.tuples(st.integers(1, 3), st.integers(1, 3))
pictures = st.tuples(small, st.integers(1, 7), st.integers(1, 7))
any_shape = st.lists(small, min_size=1, max_size=4).map(tuple)


def check(
    shapes: Sequence[tuple[int, ...]],
    build: Callable[..., Any],
    reference: Callable[..., torch.Tensor],
    tolerance: float = 1e-5,
) -> None:
    """Inputs of these shapes through the DSL and through torch, which gets them with a batch of one."""
    rng = np.random.default_rng(sum(sum(s) for s in shapes))
    arrays = [rng.standard_normal(s).astype(np.float32) for s in shapes]
    with torch.no_grad():
        expected = reference(*(torch.from_numpy(a)[None] for a in arrays))[0].numpy()
    g = nb.Graph("property")
    (value,) = build(g, *(g.input(f"x{i}", s) for i, s in enumerate(shapes)))
    g.output("y", value)
    assert value.shape == expected.shape
    for graph in (g, *(lower(g, target) for target in nb.TARGETS)):
        result = interpret(graph, {f"x{i}": a for i, a in enumerate(arrays)})[graph.outputs["y"]]
        assert graph.outputs["y"].shape == expected.shape
        Report("property").add_all({"y": result}, {"y": expected}, tolerance).check()


# -- moving numbers -----------------------------------------------------------------------------------------------


@few
@given(any_shape.flatmap(lambda s: st.tuples(st.just(s), st.permutations(range(len(s))))))
def test_permute(case: tuple[tuple[int, ...], list[int]]) -> None:
    shape, order = case
    perm = (0, *(i + 1 for i in order))
    check([shape], lambda g, x: nb.permute(g, x, str(perm)), lambda x: x.permute(perm))


def splits_of(n: int, parts: int) -> st.SearchStrategy[tuple[int, ...]]:
    """n as a product of `parts` numbers."""
    if parts == 1:
        return st.just((n,))
    divisors = [d for d in range(1, n + 1) if n % d == 0]
    return st.sampled_from(divisors).flatmap(lambda d: splits_of(n // d, parts - 1).map(lambda rest: (d, *rest)))


@few
@given(any_shape, st.integers(1, 4), st.data())
def test_reshape(shape: tuple[int, ...], rank: int, data: st.DataObject) -> None:
    target = list(data.draw(splits_of(int(np.prod(shape)), rank)))
    unknown = data.draw(st.integers(-1, rank - 1))
    if unknown >= 0:
        target[unknown] = -1
    check([shape], lambda g, x: nb.reshape(g, x, (1, *target)), lambda x: x.reshape(1, *target))


@few
@given(any_shape, st.data())
def test_crop(shape: tuple[int, ...], data: st.DataObject) -> None:
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), unique=True, min_size=1))
    starts, ends, index = [], [], [slice(None)] * (len(shape) + 1)
    for axis in axes:
        n = shape[axis]
        first = data.draw(st.integers(0, n - 1))
        last = data.draw(st.integers(first + 1, n))
        index[axis + 1] = slice(first, last)
        starts.append(first - n if data.draw(st.booleans()) else first)
        forms = [last, *([last - n] if last < n else [-233, n + 3])]
        ends.append(data.draw(st.sampled_from(forms)))
    check([shape], lambda g, x: nb.crop(g, x, starts, ends, axes), lambda x: x[tuple(index)])


@few
@given(any_shape, st.data())
def test_pad_of_mixed_sign(shape: tuple[int, ...], data: st.DataObject) -> None:
    sides = [data.draw(st.integers(-3, 3)) for _ in range(2 * min(len(shape), 3))]
    value = data.draw(st.sampled_from([0.0, -1.5]))
    kept = [n + min(0, a) + min(0, b) for n, a, b in zip(shape[::-1], sides[::2], sides[1::2], strict=False)]
    assume(min(kept) > 0)
    names = dict(zip(("left", "right", "top", "bottom", "front", "behind"), sides, strict=False))
    check([shape], lambda g, x: nb.pad(g, x, **names, value=value), lambda x: F.pad(x, sides, value=value))


@few
@given(pictures, st.data(), st.sampled_from(["edge", "reflect"]))
def test_pad_by_what_is_there(shape: tuple[int, int, int], data: st.DataObject, mode: str) -> None:
    _, h, w = shape
    limit = (w - 1, w - 1, h - 1, h - 1) if mode == "reflect" else (3, 3, 3, 3)
    sides = [data.draw(st.integers(0, n)) for n in limit]
    names = dict(zip(("left", "right", "top", "bottom"), sides, strict=True))
    torch_mode = {"edge": "replicate"}.get(mode, mode)
    check([shape], lambda g, x: nb.pad(g, x, **names, mode=mode), lambda x: F.pad(x, sides, mode=torch_mode))


# -- convolutions ---------------------------------------------------------------------------------------------------


@few
@given(
    pictures, small, two, two, two, st.tuples(st.integers(0, 2), st.integers(0, 2)), st.integers(1, 3), st.booleans()
)
def test_conv2d(
    shape: tuple[int, int, int],
    out: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int],
    groups: int,
    bias: bool,
) -> None:
    c, h, w = shape[0] * groups, *shape[1:]
    need = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    assume(h + 2 * padding[0] >= need[0] and w + 2 * padding[1] >= need[1])
    conv = nn.Conv2d(c, out * groups, kernel, stride, padding, dilation, groups, bias)
    check([(c, h, w)], lambda g, x: nb.conv2d(g, x, conv), conv)


@few
@given(pictures, small, two, two, st.tuples(*[st.integers(-2, 3)] * 4), st.integers(1, 3), st.booleans(), st.booleans())
def test_a_convolution_by_a_value_with_any_border(
    shape: tuple[int, int, int],
    out: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int, int, int],
    groups: int,
    bias: bool,
    depthwise: bool,
) -> None:
    c, h, w = shape[0] * groups, *shape[1:]
    top, bottom, left, right = padding
    assume(h + top + bottom >= kernel[0] and w + left + right >= kernel[1])
    assume(h + min(0, top) + min(0, bottom) > 0 and w + min(0, left) + min(0, right) > 0)
    shapes = [(c, h, w), (out * groups, shape[0], *kernel), *([(out * groups,)] if bias else [])]
    function = nb.Fconv2d_depthwise if depthwise else nb.Fconv2d
    check(
        shapes,
        lambda g, *v: function(g, v, stride, padding, groups=groups),
        lambda x, k, b=None: F.conv2d(
            F.pad(x, (left, right, top, bottom)), k[0], None if b is None else b[0], stride, groups=groups
        ),
    )


@few
@given(
    st.tuples(st.integers(1, 3), small, small),
    st.integers(1, 3),
    two,
    two,
    two,
    two,
    two,
    st.integers(1, 3),
    st.booleans(),
)
def test_conv_transpose2d(
    shape: tuple[int, int, int],
    out: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int],
    extra: tuple[int, int],
    groups: int,
    bias: bool,
) -> None:
    padding, extra = (padding[0] - 1, padding[1] - 1), (extra[0] - 1, extra[1] - 1)
    c, sides = shape[0] * groups, shape[1:]
    assume(all(e < max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)))
    full = [
        (n - 1) * s + d * (k - 1) + 1 + e - 2 * p
        for n, s, d, k, e, p in zip(sides, stride, dilation, kernel, extra, padding, strict=True)
    ]
    assume(min(full) > 0)
    weight = (c, out, *kernel)
    kwargs: dict[str, Any] = {
        "stride": stride,
        "padding": padding,
        "output_padding": extra,
        "groups": groups,
        "dilation": dilation,
    }
    check(
        [(c, *sides), weight, *([(out * groups,)] if bias else [])],
        lambda g, *v: nb.conv_transpose2d(g, v, weight, **kwargs),
        lambda x, w, b=None: F.conv_transpose2d(x, w[0], None if b is None else b[0], **kwargs),
    )


# -- reductions and sizes -------------------------------------------------------------------------------------------


@few
@given(any_shape, st.data(), st.booleans())
def test_reduction(shape: tuple[int, ...], data: st.DataObject, keepdim: bool) -> None:
    table: dict[str, Callable[..., torch.Tensor]] = {
        "ReduceSum": torch.sum,
        "ReduceMean": torch.mean,
        "ReduceMax": torch.amax,
        "ReduceMin": torch.amin,
        "ReduceL2": lambda x, d, keepdim: x.square().sum(d, keepdim).sqrt(),
        "ReduceLogSumExp": torch.logsumexp,
    }
    op = data.draw(st.sampled_from(sorted(table)))
    rank = len(shape) + 1
    axes = data.draw(st.lists(st.integers(1, rank - 1), unique=True, min_size=1))
    dims = tuple(a - rank if data.draw(st.booleans()) else a for a in axes)

    def reference(x: torch.Tensor) -> torch.Tensor:
        y = table[op](x, dims, keepdim=keepdim)
        return y if y.ndim > 1 else y[:, None]

    check([shape], lambda g, x: nb.reduction(g, x, op, rank, dims, keepdim), reference, 2e-5)


@few
@given(
    pictures,
    st.sampled_from(["nearest", "bilinear", "bicubic"]),
    st.one_of(
        st.fixed_dictionaries({"size": st.tuples(st.integers(1, 9), st.integers(1, 9))}),
        st.fixed_dictionaries({"scale_factor": st.sampled_from([1, 2, 3, 0.5, 1.5, 2.25, (2.0, 0.75), (1.25, 3)])}),
    ),
    st.booleans(),
    st.booleans(),
)
def test_interpolate(
    shape: tuple[int, int, int], mode: str, target: dict[str, Any], corners: bool, recompute: bool
) -> None:
    kwargs: dict[str, Any] = {"mode": mode, **target}
    if mode != "nearest":
        kwargs["align_corners"] = corners
    if "scale_factor" in target:
        scale = target["scale_factor"]
        scales = scale if isinstance(scale, tuple) else (scale, scale)
        assume(all(int(n * s) > 0 for n, s in zip(shape[1:], scales, strict=True)))
        kwargs["recompute_scale_factor"] = recompute
    check([shape], lambda g, x: nb.interpolate(g, x, **kwargs), lambda x: F.interpolate(x, **kwargs), 2e-5)


# -- upfirdn2d ------------------------------------------------------------------------------------------------------


@few
@given(
    pictures,
    st.sampled_from([(), (1,), (4,), (6,), (1, 1), (4, 4), (3, 5), (2, 1)]),
    st.tuples(small, small),
    two,
    st.tuples(*[st.integers(-2, 4)] * 4),
    st.booleans(),
    st.sampled_from([1.0, 4.0, 0.3]),
)
def test_upfirdn2d(
    shape: tuple[int, int, int],
    taps: tuple[int, ...],
    up: tuple[int, int],
    down: tuple[int, int],
    padding: tuple[int, int, int, int],
    flip: bool,
    gain: float,
) -> None:
    c, h, w = shape
    f = np.random.default_rng(8).standard_normal(taps).astype(np.float32) if taps else None
    kernel = np.ones((1, 1), np.float32) if f is None else f if f.ndim == 2 else np.outer(f, f)
    top, bottom, left, right = padding
    wide, high = w * up[1], h * up[0]
    assume(high + top + bottom >= kernel.shape[0] and wide + left + right >= kernel.shape[1])
    assume(high + min(0, top) + min(0, bottom) > 0 and wide + min(0, left) + min(0, right) > 0)

    def reference(x: torch.Tensor) -> torch.Tensor:
        y = x.new_zeros(1, c, high, wide)
        y[:, :, :: up[0], :: up[1]] = x
        y = F.pad(y, (left, right, top, bottom))
        k = torch.from_numpy(kernel if flip else np.flip(kernel).copy())
        y = F.conv2d(y, (k * gain).expand(c, 1, *k.shape), groups=c)
        return y[:, :, :: down[0], :: down[1]]

    check(
        [shape],
        lambda g, x: nb.upfirdn2d(g, x, f, up, down, padding, flip_filter=flip, gain=gain),
        reference,
        2e-5,
    )
