"""Random shapes and parameters: what is inferred and computed is what torch makes of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import ncnn_builder as nb
from ncnn_builder.parity import compare, interpret

few = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
size = st.integers(1, 6)
shapes = st.lists(size, min_size=1, max_size=4).map(tuple)
maps = st.tuples(size, st.integers(1, 9), st.integers(1, 9))
factor = st.integers(1, 3)


def tensor(shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32))


def check(build: Any, inputs: list[torch.Tensor], expected: torch.Tensor) -> None:
    """`build(g, *values)` has the shape and the numbers of `expected`, and can be emitted; all without batch."""
    g = nb.Graph()
    value = nb.check_bottom_names(build(g, *(g.input(f"x{i}", tuple(t.shape)) for i, t in enumerate(inputs))))[0]
    g.output("y", value)
    assert value.shape == tuple(expected.shape)
    got = interpret(g, {f"x{i}": t.numpy() for i, t in enumerate(inputs)})[value]
    comparison = compare("y", got, expected.numpy(), 1e-5)
    assert comparison.ok, str(comparison)
    nb.compile_graph(g)


@few
@given(shapes, st.randoms(use_true_random=False))
def test_permute(shape: tuple[int, ...], random: Any) -> None:
    perm = list(range(len(shape)))
    random.shuffle(perm)
    x = tensor(shape)
    check(lambda g, v: nb.really_permute(g, v, perm), [x], x.permute(perm))
    batched = (0, *(p + 1 for p in perm))
    check(lambda g, v: nb.permute(g, v, str(batched)), [x], x[None].permute(batched)[0])


@few
@given(maps, st.tuples(*[st.integers(-4, 4)] * 6), st.floats(-2, 2, width=32))
def test_pad_of_mixed_signs(shape: tuple[int, ...], sides: tuple[int, ...], value: float) -> None:
    left, right, top, bottom, front, behind = sides
    borders = ((left, right), (top, bottom), (front, behind))
    # ncnn crops first, so what is cut off has to be there
    assume(all(n + min(a, 0) + min(b, 0) > 0 for n, (a, b) in zip(reversed(shape), borders, strict=True)))
    x = tensor(shape)
    expected = F.pad(x, sides, value=value)
    check(lambda g, v: nb.pad(g, v, top, bottom, left, right, front, behind, value), [x], expected)


@few
@given(shapes, st.data())
def test_crop(shape: tuple[int, ...], data: Any) -> None:
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), unique=True, min_size=1))
    starts = [data.draw(st.integers(-shape[a], shape[a] - 1)) for a in axes]
    ends = []
    for a, start in zip(axes, starts, strict=True):
        first = start % shape[a]
        ends.append(
            data.draw(st.sampled_from([-233, *range(first + 1, shape[a] + 1), *range(first + 1 - shape[a], 0)]))
        )
    x = tensor(shape)
    expected = x
    for a, start, end in zip(axes, starts, ends, strict=True):
        stop = shape[a] if end == -233 else end
        expected = expected[(slice(None),) * a + (slice(start % shape[a], stop),)]
    check(lambda g, v: nb.crop(g, v, starts, ends, axes), [x], expected)


@few
@given(shapes, st.data())
def test_reshape(shape: tuple[int, ...], data: Any) -> None:
    count = int(np.prod(shape))
    new: list[int] = []
    rest = count
    for _ in range(data.draw(st.integers(0, 3))):
        n = data.draw(st.sampled_from([d for d in range(1, rest + 1) if rest % d == 0]))
        new.append(n)
        rest //= n
    new.insert(data.draw(st.integers(0, len(new))), -1)
    x = tensor(shape)
    check(lambda g, v: nb.reshape(g, v, (1, *new)), [x], x.reshape(new))


@few
@given(shapes, st.data(), st.booleans(), st.sampled_from(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceL2"]))
def test_reduction(shape: tuple[int, ...], data: Any, keepdim: bool, op: str) -> None:
    dims = data.draw(st.lists(st.sampled_from(range(1, len(shape) + 1)), unique=True, min_size=1))
    x = tensor(shape)
    table = {
        "ReduceMean": lambda: x[None].mean(dims, keepdim),
        "ReduceSum": lambda: x[None].sum(dims, keepdim),
        "ReduceMax": lambda: x[None].amax(dims, keepdim),
        "ReduceL2": lambda: x[None].square().sum(dims, keepdim).sqrt(),
    }
    expected = table[op]()[0]
    assume(float(expected.abs().max()) > 1e-3)  # a sum that cancels has no relative error
    expected = expected if expected.ndim else expected[None]
    check(lambda g, v: nb.reduction(g, v, op, len(shape) + 1, dims, keepdim), [x], expected)


@few
@given(maps, size, st.tuples(factor, factor), st.tuples(factor, factor), st.tuples(factor, factor),
       st.tuples(*[st.integers(-1, 3)] * 4), st.integers(1, 3), st.booleans())  # fmt: skip
def test_convolution(
    shape: tuple[int, ...], out: int, kernel: Any, stride: Any, dilation: Any, padding: Any, groups: int, bias: bool
) -> None:
    x = tensor((shape[0] * groups, *shape[1:]))
    w = tensor((out * groups, shape[0], *kernel))
    b = tensor((out * groups,)) if bias else None
    top, bottom, left, right = padding
    rows, columns = shape[1] + top + bottom, shape[2] + left + right
    assume(shape[1] + min(top, 0) + min(bottom, 0) > 0 and shape[2] + min(left, 0) + min(right, 0) > 0)
    assume(rows >= dilation[0] * (kernel[0] - 1) + 1 and columns >= dilation[1] * (kernel[1] - 1) + 1)
    expected = F.conv2d(F.pad(x, (left, right, top, bottom))[None], w, b, stride, 0, dilation, groups)[0]
    check(
        lambda g, *v: nb.Fconv2d(g, v, stride, padding, dilation, groups), [x, w, *([] if b is None else [b])], expected
    )


@few
@given(maps, size, st.tuples(factor, factor), st.tuples(factor, factor), st.tuples(factor, factor), st.data(),
       st.integers(1, 3), st.booleans())  # fmt: skip
def test_transposed_convolution(
    shape: tuple[int, ...], out: int, kernel: Any, stride: Any, dilation: Any, data: Any, groups: int, bias: bool
) -> None:
    padding = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    x = tensor((shape[0] * groups, *shape[1:]))
    w = tensor((shape[0] * groups, out, *kernel))
    b = tensor((out * groups,)) if bias else None
    full = [
        (n - 1) * s + d * (k - 1) + 1 - 2 * p + e
        for n, s, d, k, p, e in zip(shape[1:], stride, dilation, kernel, padding, extra, strict=True)
    ]
    assume(min(full) > 0)
    expected = F.conv_transpose2d(x[None], w, b, stride, padding, extra, groups, dilation)[0]
    assume(float(expected.abs().max()) > 1e-3)
    inputs = [x, w, *([] if b is None else [b])]
    check(lambda g, *v: nb.Fconv_transpose2d(g, v, w.shape, stride, padding, extra, dilation, groups), inputs, expected)


@few
@given(st.tuples(size, st.integers(2, 9), st.integers(2, 9)), st.sampled_from(["nearest", "bilinear", "bicubic"]),
       st.one_of(st.tuples(size, size), st.sampled_from([0.5, 1.5, 2, 3.0])), st.booleans())  # fmt: skip
def test_interpolate(shape: tuple[int, ...], mode: str, to: Any, corners: bool) -> None:
    x = tensor(shape)
    kwargs: dict[str, Any] = {"size": to} if isinstance(to, tuple) else {"scale_factor": to}
    if mode != "nearest":
        kwargs["align_corners"] = corners
    expected = F.interpolate(x[None], mode=mode, **kwargs)[0]
    check(lambda g, v: nb.interpolate(g, v, mode=mode, **kwargs), [x], expected)


@few
@given(maps, st.tuples(factor, factor), st.tuples(factor, factor), st.tuples(*[st.integers(-2, 4)] * 4),
       st.one_of(st.none(), st.tuples(st.integers(1, 4), st.integers(1, 4)), st.tuples(st.integers(1, 4))),
       st.booleans())  # fmt: skip
def test_upfirdn2d_is_lowered_exactly(
    shape: tuple[int, ...], up: Any, down: Any, padding: Any, taps: Any, flip: bool
) -> None:
    top, bottom, left, right = padding
    rows, columns = shape[1] * up[0] + top + bottom, shape[2] * up[1] + left + right
    need = (1, 1) if taps is None else (taps[0], taps[-1])
    assume(rows >= need[0] and columns >= need[1])
    assume(shape[1] * up[0] + min(top, 0) + min(bottom, 0) > 0 and shape[2] * up[1] + min(left, 0) + min(right, 0) > 0)
    f = None if taps is None else tensor(taps).numpy()
    x = tensor(shape)
    g = nb.Graph()
    value = nb.upfirdn2d(g, g.input("x", shape), f, up, down, padding, flip, 1.7)[0]
    g.output("y", value)
    expected = interpret(g, {"x": x.numpy()})[value]
    assume(np.abs(expected).max() > 1e-3)
    from ncnn_builder.targets import lower

    for target in nb.TARGETS:
        lowered = lower(g, target)
        got = interpret(lowered, {"x": x.numpy()})[lowered.outputs["y"]]
        comparison = compare(target, got, expected, 1e-5)
        assert comparison.ok, str(comparison)
