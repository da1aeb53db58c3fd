"""Pooling over one and three dimensions, over everything, and in pyramids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...builder import ValueLike, append, filled, integer, integers, one
from ...errors import BuildError
from ...ir import Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, dsl, register, same_as, spec_of
from ...sizes import Size
from ..common import functional, need, need_rank, same_windows, shape_id, windows
from ..convolutions.conv_nd import AXES
from .fitted import fitted_pool
from .pool_reference import FULL, pooled
from .pooling import KEEP, SAME_MODES

_DOCS = {"kernel": "size of the window", "stride": "stride", "pad": "border", "out": "windows of an adaptive pooling"}


_FITTED = "global_pooling != 0 or adaptive_pooling == 0"  # what else a limit says is about adaptive pooling
_SLIDING = "global_pooling != 0 or adaptive_pooling != 0"  # about windows


class PoolNd(OpSpec):
    """Maximum or average over windows; the DSL uses pad_mode 1 (whole windows only) and 0 (one that hangs over)."""

    dims: ClassVar[int]

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """SAME padding."""
        x, p = inputs[0], params
        if p["global_pooling"] or p["adaptive_pooling"] or p["pad_mode"] not in SAME_MODES:
            return None
        need_rank(x, (self.dims + 1,), "x")
        return [(x[0], *map(same_windows, x[1:], self._each(p, "stride")))]

    def _each(self, params: Any, name: str) -> tuple[int, ...]:
        return tuple(params[f"{name}_{letter}"] for letter, _, _ in reversed(AXES[: self.dims]))

    def _borders(self, params: Any) -> list[tuple[int, int]]:
        return [(params[f"pad_{before}"], params[f"pad_{after}"]) for _, before, after in reversed(AXES[: self.dims])]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, p = inputs[0], params
        need_rank(x, (self.dims + 1,), "x")
        need(p["pooling_type"] in (0, 1), "unknown pooling", argument="op", expected="0 or 1", got=p["pooling_type"])
        if p["global_pooling"]:
            return [x[:1]]
        if p["adaptive_pooling"]:
            out, kept = self._each(p, "out"), () if self.dims == 1 else (KEEP,)
            good = all(m >= 1 or m in kept for m in out)
            need(good, "bad size", argument="output_size", expected="positive numbers", got=list(out))
            return [(x[0], *(n if m in kept else m for n, m in zip(x[1:], out, strict=True)))]
        need(p["pad_mode"] in (0, 1), "unknown pad_mode", argument="pad_mode", expected="0 or 1", got=p["pad_mode"])
        each = zip(x[1:], self._each(p, "kernel"), self._each(p, "stride"), self._borders(p), strict=True)
        sizes = [(n, k, s, sum(b)) for n, k, s, b in each]
        out = tuple(windows(*size, p["pad_mode"] == FULL) for size in sizes)
        # ncnn counts what hangs over by a remainder, which is negative where not even one window fits.
        fits = all(windows(*size, False) > 0 for size in sizes)
        need(fits, "the window is larger than its padded input", argument="pool", got=list(x))
        return [(x[0], *out)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        F, p, x, n = functional(), params, inputs[0][None], self.dims
        average = p["pooling_type"] == 1
        axes = tuple(range(2, 2 + n))
        if p["global_pooling"]:
            return [(x.mean(axes) if average else x.amax(axes))[0]]
        if p["adaptive_pooling"]:
            name = f"adaptive_{'avg' if average else 'max'}_pool{n}d"
            return [getattr(F, name)(x, tuple(None if m == KEEP else m for m in self._each(p, "out")))[0]]
        return [
            pooled(
                x[0],
                self._each(p, "kernel"),
                self._each(p, "stride"),
                self._borders(p),
                average=average,
                full=p["pad_mode"] == FULL,
                border_counts=bool(p["avgpool_count_include_pad"]),
            )
        ]

    def _samples(self, size: Shape) -> list[Sample]:
        from torch import nn

        n = self.dims
        kinds = [getattr(nn, f"{kind}Pool{n}d") for kind in ("Max", "Avg", "AdaptiveAvg", "AdaptiveMax")]
        uneven = (3,) if n == 1 else (3, 2, 1)
        pools = [
            kinds[0](2),
            kinds[0](3, 2, 1),
            kinds[0](uneven, uneven[::-1]),
            kinds[0](2, 2, ceil_mode=True),
            kinds[1](2),
            kinds[1](3, 2, 1),
            kinds[1](3, 1, 1, count_include_pad=False),
            kinds[1](2, 2, ceil_mode=True, count_include_pad=False),
        ]
        small = tuple(2 for _ in size) if n == 1 else (2, 3, 1)
        adaptive = [kind(out) for kind in kinds[2:] for out in (1, small, 4)]
        build = functions_of(n)
        return [
            *(
                Sample(
                    f"{type(p).__name__}-{i}-{shape_id((c, *size))}",
                    ((c, *size),),
                    lambda g, x, p=p: build(g, x, p),
                    p,
                )
                for i, p in enumerate([*pools, *adaptive])
                for c in (1, 5, 8)
            ),
            *(
                Sample(
                    f"global-{kind}-{c}",
                    ((c, *size),),
                    lambda g, x, kind=kind: global_pool(g, x, kind),
                    lambda x, kind=kind: x.flatten(2).mean(2) if kind == "AveragePool" else x.flatten(2).amax(2),
                )
                for kind in ("MaxPool", "AveragePool")
                for c in (3, 8)
            ),
        ]


def functions_of(dims: int) -> Any:
    return {1: pooling1d, 3: pooling3d}[dims]


@register
class Pooling1D(PoolNd):
    """Maximum or average over windows of (C, W), or of each row (global), or of so many parts (adaptive).

    ncnn: pooling1d.cpp.
    """

    type = "Pooling1D"
    dims = 1
    params = (
        Param("pooling_type", 0, "int", "0 max, 1 average"),
        Param("kernel_w", 1, "int", _DOCS["kernel"]),
        Param("stride_w", 2, "int", _DOCS["stride"], 1),
        Param("pad_left", 3, "int", "columns before"),
        Param("pad_right", 14, "int", "columns after", same_as("pad_left")),
        Param("global_pooling", 4, "int", "1: one window"),
        Param("pad_mode", 5, "int", "0 full (ceil), 1 valid (floor)"),
        Param("avgpool_count_include_pad", 6, "int", "1: the border counts in the average"),
        Param("adaptive_pooling", 7, "int", "1: out_w windows"),
        Param("out_w", 8, "int", _DOCS["out"]),
    )
    limits = (
        "pooling_type in (0, 1)",
        f"{_FITTED} or out_w >= 1",
        f"{_SLIDING} or (1 <= kernel_w <= 65536 and 1 <= stride_w <= 65536 and 0 <= pad_mode <= 3)",
        f"{_SLIDING} or pad_mode >= 2 or (0 <= pad_left <= 65536 and 0 <= pad_right <= 65536)",
        "x.rank <= 2",
        f"{_FITTED} or ((out_w + 1) * x.w + out_w <= int_max and out_w * x.h <= int_max)",
        f"{_SLIDING} or pad_mode >= 2 or kernel_w <= x.w + pad_left + pad_right",
        f"{_SLIDING} or pad_mode >= 2 or x.h * (x.w + pad_left + pad_right + stride_w) <= int_max",
        f"{_SLIDING} or pad_mode < 2 or x.h * (x.w + kernel_w) <= int_max",
    )

    def samples(self) -> list[Sample]:
        return self._samples((9,))


@register
class Pooling3D(PoolNd):
    """Maximum or average over windows of (C, D, H, W), or of each channel (global), or of so many parts (adaptive).

    ncnn: pooling3d.cpp.
    """

    type = "Pooling3D"
    dims = 3
    params = (
        Param("pooling_type", 0, "int", "0 max, 1 average"),
        Param("kernel_w", 1, "int", _DOCS["kernel"]),
        Param("kernel_h", 11, "int", _DOCS["kernel"], same_as("kernel_w")),
        Param("kernel_d", 21, "int", _DOCS["kernel"], same_as("kernel_w")),
        Param("stride_w", 2, "int", _DOCS["stride"], 1),
        Param("stride_h", 12, "int", _DOCS["stride"], same_as("stride_w")),
        Param("stride_d", 22, "int", _DOCS["stride"], same_as("stride_w")),
        Param("pad_left", 3, "int", "columns before"),
        Param("pad_right", 14, "int", "columns after", same_as("pad_left")),
        Param("pad_top", 13, "int", "rows above", same_as("pad_left")),
        Param("pad_bottom", 15, "int", "rows below", same_as("pad_top")),
        Param("pad_front", 23, "int", "slices before", same_as("pad_left")),
        Param("pad_behind", 16, "int", "slices after", same_as("pad_front")),
        Param("global_pooling", 4, "int", "1: one window"),
        Param("pad_mode", 5, "int", "0 full (ceil), 1 valid (floor)"),
        Param("avgpool_count_include_pad", 6, "int", "1: the border counts in the average"),
        Param("adaptive_pooling", 7, "int", "1: out_d x out_h x out_w windows"),
        Param("out_w", 8, "int", _DOCS["out"]),
        Param("out_h", 18, "int", _DOCS["out"], same_as("out_w")),
        Param("out_d", 28, "int", _DOCS["out"], same_as("out_w")),
    )
    limits = ("pooling_type in (0, 1)",)
    checked_in_cpp = True

    def samples(self) -> list[Sample]:
        return self._samples((4, 5, 6))


def _pool(g: Graph, bottom_names: ValueLike, pool: Any, dims: int) -> Values:
    x, name = one(bottom_names), type(pool).__name__
    need_rank(x.shape, (dims + 1,), "x")
    kinds = [f"{kind}Pool{dims}d" for kind in ("Max", "Avg", "AdaptiveAvg", "AdaptiveMax")]
    fits = name in kinds and not getattr(pool, "return_indices", False)
    need(fits, "the module does not fit", argument="pool", expected=f"{kinds} without return_indices", got=pool)
    spec, average = spec_of(f"Pooling{dims}D"), "Avg" in name
    if "Adaptive" in name:
        size = pool.output_size if isinstance(pool.output_size, (list, tuple)) else (pool.output_size,) * dims
        need(len(size) == dims, "bad size", argument="output_size", expected=f"1 or {dims} numbers", got=size)
        out = [m if m is None or isinstance(m, Size) else integer(m, "output_size") for m in size]
        return Values([fitted_pool(g, x, out, average=average)])
    need(
        getattr(pool, "divisor_override", None) is None
        and set(integers(getattr(pool, "dilation", 1), "dilation")) == {1},
        "ncnn's pooling has neither dilation nor divisor_override",
        argument="pool",
        got=pool,
    )
    kernel, stride, padding = (integers(v, "pool") for v in (pool.kernel_size, pool.stride, pool.padding))
    kernel, stride, padding = (v * dims if len(v) == 1 else v for v in (kernel, stride, padding))
    include, ceil = bool(getattr(pool, "count_include_pad", False)), bool(pool.ceil_mode)
    sizes = list(zip(x.shape[1:], kernel, stride, padding, strict=True))
    floor = [windows(n, k, s, 2 * p, False) for n, k, s, p in sizes]
    full = [windows(n, k, s, 2 * p, ceil) for n, k, s, p in sizes]
    # torch leaves out a window that would start beyond the input and its border before
    out = [m - ((m - 1) * s >= n + p) for m, (n, _, s, p) in zip(full, sizes, strict=True)]
    need(
        out in (floor, full),
        "ncnn rounds up in all directions or in none, torch here in some",
        argument="pool",
        expected=f"{out} windows",
        got="ceil_mode=True",
        fix="Pad with pad() and use ceil_mode=False",
    )
    need(
        out == floor or not average or not include,
        "ncnn and torch average an overhanging window differently",
        argument="pool",
        got="ceil_mode=True and count_include_pad=True",
        fix="Use count_include_pad=False",
    )
    given: dict[str, Any] = {}
    for i, (letter, before, after) in enumerate(reversed(AXES[:dims])):
        given |= {f"kernel_{letter}": kernel[i], f"stride_{letter}": stride[i]}
        given |= {f"pad_{before}": padding[i], f"pad_{after}": padding[i]}
    mode = 1 if out == floor else 0
    given |= {"pooling_type": int(average), "pad_mode": mode, "avgpool_count_include_pad": int(include)}
    return append(g, spec, x, filled(spec, **given))


@dsl
def pooling1d(g: Graph, bottom_names: ValueLike, pool: Any) -> Values:
    """An nn.MaxPool1d, AvgPool1d, AdaptiveAvgPool1d or AdaptiveMaxPool1d of x (C, W).

    Raises BuildError for what ncnn's layer does not have: dilation, return_indices, an average of overhanging windows
    that counts the border.
    """
    return _pool(g, bottom_names, pool, 1)


@dsl
def pooling3d(g: Graph, bottom_names: ValueLike, pool: Any) -> Values:
    """An nn.MaxPool3d, AvgPool3d, AdaptiveAvgPool3d or AdaptiveMaxPool3d of x (C, D, H, W).

    Raises BuildError for what ncnn's layer does not have: dilation, return_indices, divisor_override, ceil_mode where
    it rounds up in some directions only, or where an average counts the border.
    """
    return _pool(g, bottom_names, pool, 3)


@dsl
def global_pool(g: Graph, bottom_names: ValueLike, op: str = "AveragePool") -> Values:
    """The maximum or average of each channel: [C] of (C, W), (C, H, W) or (C, D, H, W). op: MaxPool or AveragePool."""
    if op not in ("MaxPool", "AveragePool"):
        raise BuildError("unknown pooling", argument="op", expected=["MaxPool", "AveragePool"], got=op)
    x = one(bottom_names)
    need_rank(x.shape, (2, 3, 4), "x")
    spec = spec_of({2: "Pooling1D", 3: "Pooling", 4: "Pooling3D"}[len(x.shape)])
    return append(g, spec, x, filled(spec, pooling_type=int(op == "AveragePool"), global_pooling=1))


@register
class StatisticsPooling(OpSpec):
    """The mean of each channel of (C, H, W) or (C, D, H, W), [C]; with the standard deviations behind them, [2 C].

    ncnn: statisticspooling.cpp. The deviation is that of all numbers, not of a sample (torch: unbiased=False).
    """

    type = "StatisticsPooling"
    params = (Param("include_stddev", 0, "int", "1: deviations behind the means"),)
    limits = ()

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_rank(inputs[0], (3, 4), "x")
        return [(inputs[0][0] * (2 if params["include_stddev"] else 1),)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        x = inputs[0].flatten(1)
        mean = x.mean(1)
        if not params["include_stddev"]:
            return [mean]
        return [torch.cat([mean, (x - mean[:, None]).square().mean(1).sqrt()])]

    def samples(self) -> list[Sample]:
        import torch

        def both(x: Any) -> Any:
            return torch.cat([x.flatten(2).mean(2), x.flatten(2).std(2, unbiased=False)], 1)

        shapes: tuple[Shape, ...] = ((1, 4, 6), (5, 3, 7), (8, 1, 9), (16, 6, 1), (5, 2, 3, 4))
        return [
            Sample(
                f"statistics-{shape_id(x)}-{std}",
                (x,),
                lambda g, v, std=std: statistics_pooling(g, v, std),
                lambda v, std=std: both(v) if std else v.flatten(2).mean(2),
            )
            for x in shapes
            for std in (False, True)
        ]


@dsl
def statistics_pooling(g: Graph, bottom_names: ValueLike, include_stddev: bool = True) -> Values:
    """The mean of each channel of (C, H, W) or (C, D, H, W), and behind them the standard deviations: [C] or [2 C]."""
    return append(g, spec_of("StatisticsPooling"), one(bottom_names), {"include_stddev": int(include_stddev)})
