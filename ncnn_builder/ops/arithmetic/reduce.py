"""Sums, means and other reductions, and softmax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

from ...builder import ValueLike, append, integer, integers, one
from ...errors import BuildError
from ...ir import Graph, Params, Shape, Value, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, dsl, register, spec_of
from ..common import need, over_shapes, shape_id
from ..enums import Reduce
from .binary import binaryOp

OPS = {f"Reduce{op.name}": op.value for op in Reduce}


@register
class Reduction(OpSpec):
    """coeff * (a reduction over `axes`), or over everything. ncnn: reduction.cpp.

    operation: 0 sum, 1 and 7 sum of magnitudes (L1), 2 sum of squares, 3 mean, 4 max, 5 min, 6 product, 8 L2,
    9 log sum, 10 log sum exp.
    `version` must be 1, or ncnn refuses the file as "too old". ncnn adds up exp(x) as it is for log sum exp, which
    overflows for x above 88, where torch does not: the DSL takes off the maximum before.
    """

    type = "Reduction"
    params = (
        Param("operation", 0, "int", "see above", 0),
        Param("reduce_all", 1, "int", "1: over all axes", 1),
        Param("coeff", 2, "float", "factor of the result", 1.0),
        Param("axes", 3, "ints", "axes, outer first, without batch", ()),
        Param("keepdims", 4, "int", "1: reduced axes stay, with one element", 0),
        Param("version", 5, "int", "1: axes do not count the batch", 0),
    )
    limits = (
        "0 <= operation <= 10",
        "len(axes) <= 4",
        "reduce_all != 0 or x.rank == 1 or all(-x.rank <= a < x.rank for a in axes)",
        "reduce_all != 0 or x.rank != 1 or all(-1 <= a < 4 for a in axes)",
    )
    tolerance = Tolerance(1e-5)

    def _axes(self, x: Shape, params: Any) -> tuple[int, ...]:
        if params["reduce_all"] or len(x) == 1:  # a vector is reduced whatever the axes are
            return tuple(range(len(x)))
        return tuple(a + len(x) if a < 0 else a for a in params["axes"])

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """Of no axis, each number by itself."""
        return None if params["reduce_all"] or params["axes"] else [inputs[0]]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x = inputs[0]
        axes = self._axes(x, params)
        need(params["version"] or not params["axes"], "ncnn refuses axes without version 1", argument="version", got=0)
        need(
            len(axes) > 0 and len(set(axes)) == len(axes) and all(0 <= a < len(x) for a in axes),
            "bad axes",
            argument="dims",
            expected=f"distinct axes of {list(x)}",
            got=list(axes),
        )
        if params["keepdims"]:
            return [tuple(1 if i in axes else n for i, n in enumerate(x))]
        return [tuple(n for i, n in enumerate(x) if i not in axes) or (1,)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, op = inputs[0], params["operation"]
        axes, keep = self._axes(tuple(x.shape), params), bool(params["keepdims"])
        y = _reduce(x, op, axes, keep)
        return [(y if y.ndim else y.reshape(1)) * params["coeff"]]

    def nonsense(self, params: Params) -> str:
        return "above 88: infinite" if params["operation"] == OPS["ReduceLogSumExp"] else ""

    def samples(self) -> list[Sample]:
        torch_ops = {
            "ReduceSum": lambda x, d, k: x.sum(d, k),
            "ReduceMean": lambda x, d, k: x.mean(d, k),
            "ReduceMax": lambda x, d, k: x.amax(d, k),
            "ReduceMin": lambda x, d, k: x.amin(d, k),
            "ReduceSumSquare": lambda x, d, k: x.square().sum(d, k),
            "ReduceL2": lambda x, d, k: x.norm(dim=d, keepdim=k),
            "ReduceL1": lambda x, d, k: x.abs().sum(d, k),
            "ReduceLogSumExp": lambda x, d, k: x.logsumexp(d, k),
            "ReduceLogSum": lambda x, d, k: x.sum(d, k).log(),
            "ReduceProd": lambda x, d, k: _reduce(x, 6, d, k),
        }
        cases: tuple[tuple[Shape, tuple[int, ...]], ...] = (
            ((7,), (1,)),
            ((3, 5), (2,)),
            ((3, 5), (1,)),
            ((5, 3, 7), (1,)),
            ((5, 3, 7), (2, 3)),
            ((5, 3, 7), (-1,)),
            ((2, 3, 4, 5), (2, 3, 4)),
            ((2, 3, 4, 5), (1, 3)),
            ((1, 4, 6), (3,)),
        )

        def sample(op: str, x: Shape, dims: tuple[int, ...], keep: bool) -> Sample:
            return Sample(
                f"{op}-{shape_id(x)}-{dims}-{keep}",
                (x,),
                lambda g, v: reduction(g, v, op, len(x) + 1, dims, keep),
                lambda v: _at_least_1d(torch_ops[op](v, dims, keep)),
                draw="positive",
            )

        return [
            *(sample(op, x, d, k) for op in ("ReduceMean", "ReduceSum") for x, d in cases for k in (False, True)),
            *(
                sample(op, *cases[i], False)
                for op in torch_ops
                if op not in ("ReduceMean", "ReduceSum")
                for i in (1, 4)
            ),
            *(
                Sample(
                    f"really-{shape_id(x)}-{dims}",
                    (x,),
                    lambda g, v, dims=dims: really_reduction(g, v, "ReduceMax", dims, True),
                    lambda v, dims=dims: v.amax([d + 1 if d >= 0 else d for d in dims], True),
                )
                for x, dims in (((5, 3, 7), (0, 2)), ((8, 4), (-1,)))
            ),
            Sample(
                "really-vector",
                ((7,),),
                lambda g, v: really_reduction(g, v, "ReduceMax", (1,), True),
                lambda v: v.amax(1, True),
            ),
            *over_shapes(
                "all",
                lambda g, x: reduction(g, x, "ReduceMean", 0, (), False),
                lambda x: x.mean().reshape(1, 1),
                draw="positive",
            ),
        ]


def _at_least_1d(batched: Any) -> Any:
    """A vector reduced to a scalar is a vector of one in ncnn."""
    return batched[:, None] if batched.ndim == 1 else batched


def _reduce(x: Any, op: int, axes: tuple[int, ...], keep: bool) -> Any:
    if op == 6:
        for axis in sorted((a % x.ndim for a in axes), reverse=True):
            x = x.prod(axis, keepdim=keep)
        return x
    table = {
        0: lambda: x.sum(axes, keep),
        1: lambda: x.abs().sum(axes, keep),
        2: lambda: x.square().sum(axes, keep),
        3: lambda: x.mean(axes, keep),
        4: lambda: x.amax(axes, keep),
        5: lambda: x.amin(axes, keep),
        7: lambda: x.abs().sum(axes, keep),
        8: lambda: x.square().sum(axes, keep).sqrt(),
        9: lambda: x.sum(axes, keep).log(),
        10: lambda: x.exp().sum(axes, keep).log(),  # as it stands: infinite above 88
    }
    return table[op]()


@dsl
def reduction(
    g: Graph, bottom_names: ValueLike, op: str, input_dims: SupportsFloat, dims: Any, keepdim: bool = False
) -> Values:
    """A reduction in torch's terms: dims and input_dims count the batch dimension.

    op: ReduceMean, ReduceSum, ReduceSumSquare, ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2, ReduceLogSum,
    ReduceLogSumExp. dims: axes >= 1, or negative. It reduces everything when there are input_dims of them. A weight has
    no batch: input_dims may leave it out, dims count it all the same, as the predecessor has it.
    Raises BuildError for an unknown op, the batch axis among dims, or input_dims that are not those of the input.
    """
    x = one(bottom_names)
    rank, said = len(x.shape) + 1, integer(input_dims, "input_dims")
    axes = integers(dims, "dims")
    if said not in (rank, rank - 1) and (said or axes):
        raise BuildError(
            "not the dimensions of the input",
            op="Reduction",
            argument="input_dims",
            expected=f"{rank}, for {list(x.shape)} and the batch",
            got=said,
        )
    if len({a % rank for a in axes}) != len(axes):
        raise BuildError("an axis twice", op="Reduction", argument="dims", expected="distinct axes", got=dims)
    if len(axes) == said:
        return _reduction(g, bottom_names, op, None, keepdim)
    axes = tuple(a + rank if a < 0 else a for a in axes)
    if 0 in axes:
        raise BuildError("the batch is one picture", op="Reduction", argument="dims", expected="axes >= 1", got=dims)
    return _reduction(g, bottom_names, op, tuple(a - 1 for a in axes), keepdim)


@dsl
def really_reduction(g: Graph, bottom_names: ValueLike, op: str, dims: Any, keepdim: bool = False) -> Values:
    """A reduction whose dims are ncnn's own axes: outer first, without batch; negative ones count from the end.

    A vector has one axis, which 1 stands for as well as 0: ncnn's layer reduces a vector whatever the axis is.
    """
    rank = len(one(bottom_names).shape)
    axes = tuple(a + rank if a < 0 else a for a in integers(dims, "dims"))
    if rank == 1 and axes == (1,):
        axes = (0,)
    return _reduction(g, bottom_names, op, axes, keepdim)


def _reduction(g: Graph, bottom_names: ValueLike, op: str, axes: tuple[int, ...] | None, keepdim: bool) -> Values:
    if op not in OPS:
        raise BuildError("unknown operation", op="Reduction", argument="op", expected=list(OPS), got=op)
    if op == "ReduceLogSumExp":
        return log_sum_exp(g, one(bottom_names), axes, keepdim)
    return _append(g, bottom_names, op, axes, keepdim)


def log_sum_exp(g: Graph, x: Value, axes: tuple[int, ...] | None, keepdim: bool) -> Values:
    """m + log(sum(exp(x - m))) with the maximum m: ncnn's layer alone adds up exp(x) as it is."""
    every = tuple(range(len(x.shape))) if axes is None else axes
    top = one(_append(g, x, "ReduceMax", every, True))
    rest = one(_append(g, binaryOp(g, [x, top], "Sub"), "ReduceLogSumExp", axes, keepdim))
    if rest.shape != top.shape:
        top = one(_append(g, x, "ReduceMax", axes, keepdim))
    return binaryOp(g, [rest, top], "Add")


def _append(g: Graph, bottom_names: ValueLike, op: str, axes: tuple[int, ...] | None, keepdim: bool) -> Values:
    x = one(bottom_names).shape
    need(
        axes is None or (len(axes) > 0 and all(0 <= a < max(len(x), 1) for a in axes)),
        "bad axes",
        argument="dims",
        expected=f"axes of {list(x)}",
        got=axes,
    )
    params = {
        "operation": OPS[op],
        "reduce_all": int(axes is None),
        "coeff": 1.0,
        "axes": axes or (),
        "keepdims": int(keepdim),
        "version": 1,
    }
    return append(g, spec_of("Reduction"), bottom_names, params)


@register
class Softmax(OpSpec):
    """exp(x - max) / sum of it, along one axis. ncnn: softmax.cpp. `version` must be 1, as for Reduction."""

    type = "Softmax"
    params = (
        Param("axis", 0, "int", "axis, outer first, without batch", 0),
        Param("version", 1, "int", "1: the axis does not count the batch", 0),
    )
    limits = ("x.rank == 1 or -x.rank <= axis < x.rank",)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        rank, axis = len(inputs[0]), params["axis"]
        need(bool(params["version"]) or axis == 0, "ncnn refuses an axis without version 1", argument="version", got=0)
        need(
            -rank <= axis < rank,
            "bad axis",
            argument="dim",
            expected=f"an axis of {list(inputs[0])}",
            got=params["axis"] + 1,
        )
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0].softmax(params["axis"])]

    def samples(self) -> list[Sample]:
        return [
            s
            for dim in (1, 2, 3, -1)
            for s in over_shapes(
                f"softmax{dim}",
                lambda g, x, dim=dim: softmax(g, x, dim),
                lambda x, dim=dim: x.softmax(dim),
                [s for s in ((7,), (3, 5), (5, 3, 7), (1, 4, 6), (2, 3, 4, 5)) if dim <= len(s)],
            )
        ]


@dsl
def softmax(g: Graph, bottom_names: ValueLike, dim: SupportsFloat) -> Values:
    """Softmax along `dim`, which counts the batch dimension as torch does."""
    value, axis = one(bottom_names), integer(dim, "dim")
    axis = axis + len(value.shape) if axis < 0 else axis - 1
    need(axis >= 0, "bad axis", argument="dim", expected=f"an axis of {list(value.shape)}, not the batch", got=dim)
    return append(g, spec_of("Softmax"), value, {"axis": axis, "version": 1})
