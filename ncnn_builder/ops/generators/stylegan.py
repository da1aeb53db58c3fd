"""The layers that StyleGAN's author wrote for ncnn: run-time modulation, noise, bias and activation, mixing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat

from ...builder import ValueLike, append, inputs_of, integer, number
from ...errors import BuildError
from ...ir import Graph, Shape, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, dsl, register, spec_of
from ..arithmetic.elementwise import MulConstant
from ..common import ANY_SHAPES, FEATURE_MAPS, elements, functional, need, need_rank, need_shape, over_shapes, shape_id
from ..enums import Act


@dataclass(frozen=True)
class Activation:
    """An activation of BiasAct: its id in the file, its default slope and its default gain (StyleGAN2-ADA)."""

    id: int
    alpha: float = 0.0
    gain: float = 1.0


ACTIVATIONS: dict[str, Activation] = {
    "linear": Activation(Act.LINEAR),
    "relu": Activation(Act.RELU, gain=math.sqrt(2)),
    "lrelu": Activation(Act.LRELU, alpha=0.2, gain=math.sqrt(2)),
    "tanh": Activation(Act.TANH),
    "sigmoid": Activation(Act.SIGMOID),
    "elu": Activation(Act.ELU),
    "selu": Activation(Act.SELU),
    "softplus": Activation(Act.SOFTPLUS),
    "swish": Activation(Act.SWISH, gain=math.sqrt(2)),
}


def bias_act_params(
    act: Any, alpha: SupportsFloat | None, gain: SupportsFloat | None, clamp: SupportsFloat | None
) -> dict[str, Any]:
    """act (name or id), alpha, gain and clamp as parameters; None is the activation's default, or no clamp."""
    by_id = {a.id: name for name, a in ACTIVATIONS.items()}
    name = act if isinstance(act, str) else by_id.get(integer(act, "act_type"))
    if name not in ACTIVATIONS:
        raise BuildError("unknown activation", argument="act_type", expected=list(ACTIVATIONS), got=act)
    spec = ACTIVATIONS[name]
    slope = spec.alpha if alpha is None else number(alpha, "alpha")
    return {
        "act": spec.id,
        "alpha": slope if name == "lrelu" else 0.0,  # of no other: no target need know what means nothing
        "gain": spec.gain if gain is None else number(gain, "gain"),
        "clamp": -1.0 if clamp is None else number(clamp, "clamp"),
    }


BIAS_ACT_DOCS = {
    "act": "0 linear, 1 relu, 2 lrelu, 3 tanh, 4 sigmoid, 5 elu, 6 selu, 7 softplus, 8 swish",
    "alpha": "slope of lrelu's negative side",
    "gain": "factor after the activation",
    "clamp": "limit of the magnitude; below 0: none",
}


def bias_act_reference(x: Any, b: Any, params: Any) -> Any:
    """clamp(act(x + b) * gain) in torch; b goes along the outermost axis of a map, the innermost of a vector."""
    F = functional()
    if b is not None:
        x = x + (b.reshape(-1, *([1] * (x.ndim - 1))) if x.ndim >= 3 else b)
    table = {
        0: lambda: x,
        1: lambda: F.relu(x),
        2: lambda: F.leaky_relu(x, params["alpha"]),
        3: x.tanh,
        4: x.sigmoid,
        5: lambda: F.elu(x),
        6: lambda: F.selu(x),
        7: lambda: F.softplus(x),
        8: lambda: F.silu(x),
    }
    y = table[params["act"]]() * params["gain"]
    return y if params["clamp"] < 0 else y.clamp(-params["clamp"], params["clamp"])


@register
class BiasActSpec(OpSpec):
    """clamp(act(x + b) * gain). b has one number per channel of a (C, H, W) or 4-D x, per element of a vector,
    per column of a matrix. Source: the bias_act op of StyleGAN2-ADA."""

    type = "BiasAct"
    custom = True
    inputs = ("x", "b?")
    params = (
        Param("act", 0, "int", BIAS_ACT_DOCS["act"]),
        Param("alpha", 1, "float", BIAS_ACT_DOCS["alpha"], 0.0),
        Param("gain", 2, "float", BIAS_ACT_DOCS["gain"], 1.0),
        Param("clamp", 3, "float", BIAS_ACT_DOCS["clamp"], -1.0),
        Param("bias_term", 4, "int", "1: there is a second input"),
    )
    tolerance = Tolerance(1e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x = inputs[0]
        need(
            (len(inputs) == 2) == bool(params["bias_term"]),
            "bias_term and the inputs disagree",
            got=len(inputs),
        )
        if len(inputs) == 2:
            need_shape(inputs[1], (x[0] if len(x) >= 3 else x[-1],), "b")
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [bias_act_reference(inputs[0], inputs[1] if len(inputs) == 2 else None, params)]

    def samples(self) -> list[Sample]:
        def sample(x: Shape, act: str, bias: bool, clamp: float | None, gain: float | None) -> Sample:
            b: Shape = (x[0] if len(x) >= 3 else x[-1],)
            return Sample(
                f"{shape_id(x)}-{act}-{bias}-{clamp}-{gain}",
                (x, b) if bias else (x,),
                lambda g, *v: BiasAct(g, v, act, None, gain, clamp),
            )

        return [
            *(sample((5, 3, 7), act, True, clamp, None) for act in ACTIVATIONS for clamp in (None, 0.5)),
            *(sample(x, "lrelu", bias, 256, 1.3) for x in ANY_SHAPES for bias in (False, True)),
            Sample(
                "large",
                ((5, 3, 7),),
                lambda g, x: BiasAct(g, MulConstant(g, x, 60.0), "softplus"),
                lambda x: functional().softplus(x * 60),
            ),
        ]


@dsl
def BiasAct(
    g: Graph,
    bottom_names: ValueLike,
    act_type: Any = "linear",
    alpha: SupportsFloat | None = None,
    gain: SupportsFloat | None = None,
    clamp: SupportsFloat | None = None,
) -> Values:
    """Inputs [x] or [x, b]: clamp(act(x + b) * gain).

    act_type: linear, relu, lrelu, tanh, sigmoid, elu, selu, softplus, swish, or the id of one. alpha, gain: None is
    the activation's default; clamp: None or a negative number is none.
    """
    values = inputs_of(bottom_names)
    params = {**bias_act_params(act_type, alpha, gain, clamp), "bias_term": int(len(values) == 2)}
    return append(g, spec_of("BiasAct"), values, params)


_F4D = ("Mul", "Div", "Add", "Sub")


@register
class F4DOp1DSpec(OpSpec):
    """A 4-D x (C, D, H, W) with the numbers of v along one axis: op 0 mul, 1 div, 2 add, 3 sub.

    v has as many numbers as that axis, in whatever shape: [N], [1, 1, 1, N], [N, 1, 1, 1].
    """

    type = "F4DOp1D"
    custom = True
    inputs = ("x", "v")
    params = (
        Param("dim", 0, "int", "axis of (C, D, H, W) that v goes along"),
        Param("op", 1, "int", "0 mul, 1 div, 2 add, 3 sub"),
    )

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, v = inputs
        need_rank(x, (4,), "x")
        need(0 <= params["dim"] < 4, "bad axis", argument="dim", expected="0 to 3", got=params["dim"])
        axis = x[params["dim"]]
        need(elements(v) == axis, "wrong shape", argument="v", expected=f"{axis} numbers", got=list(v))
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        x, v = inputs
        v = v.reshape([-1 if i == params["dim"] else 1 for i in range(4)])
        return [(x * v, x / v, x + v, x - v)[params["op"]]]

    def samples(self) -> list[Sample]:
        return [
            Sample(
                f"{shape_id(x)}-{op}-{dim}",
                (x, (x[dim],)),
                lambda g, *v, dim=dim, op=op: F4DOp1D(g, v, dim, op),
                draw="positive",
            )
            for x in ((2, 3, 4, 5), (8, 1, 3, 3), (1, 5, 1, 1), (16, 4, 3, 3))
            for dim in range(4)
            for op in _F4D
        ] + [
            Sample(
                f"2x3x4x5-v{shape_id(v)}",
                ((2, 3, 4, 5), v),
                lambda g, *v, dim=dim: F4DOp1D(g, v, dim, "Mul"),
                lambda x, v, dim=dim: x * v.reshape([1, *(-1 if i == dim else 1 for i in range(4))]),
            )
            for dim, v in ((1, (1, 1, 1, 3)), (0, (2, 1, 1, 1)), (2, (4, 1, 1, 1)), (3, (5, 1)), (2, (2, 1, 2)))
        ]


@dsl
def F4DOp1D(g: Graph, bottom_names: ValueLike, dim: SupportsFloat, op: str) -> Values:
    """Inputs [x, v]: 4-D x with the numbers of v, in whatever shape, along axis `dim` of (C, D, H, W).

    op: Mul, Div, Add, Sub.
    """
    if op not in _F4D:
        raise BuildError("unknown operation", op="F4DOp1D", argument="op", expected=list(_F4D), got=op)
    return append(g, spec_of("F4DOp1D"), bottom_names, {"dim": dim, "op": _F4D.index(op)})


@register
class AddNoiseSpec(OpSpec):
    """x (C, H, W) + noise: one plane of H * W numbers, of any dimensions, for all channels."""

    type = "AddNoise"
    custom = True
    inputs = ("x", "noise")

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        x, noise = inputs
        need_rank(x, (3,), "x")
        plane = tuple(n for n in noise if n != 1)
        need(
            elements(noise) == x[1] * x[2] and plane == tuple(n for n in x[1:] if n != 1),
            "wrong shape",
            argument="noise",
            expected=[1, *x[1:]],
            got=list(noise),
        )
        return [x]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [inputs[0] + inputs[1].reshape(inputs[0].shape[1:])]

    def samples(self) -> list[Sample]:
        return [
            Sample(f"{shape_id(x)}-{len(noise)}d", (x, noise), lambda g, *v: AddNoise(g, v))
            for x in FEATURE_MAPS
            for noise in ((x[1], x[2]), (1, x[1], x[2]), (1, 1, x[1], x[2]))
        ]


@dsl
def AddNoise(g: Graph, bottom_names: ValueLike) -> Values:
    """Inputs [x, noise]: x (C, H, W) + one plane for all channels."""
    return append(g, spec_of("AddNoise"), bottom_names)


@register
class StyleMixingSwitcherSpec(OpSpec):
    """The ws_i-th style of two sets: ws0 + m * (ws1 - ws0) with m = mixing[ws_i]; exactly ws0 at 0, ws1 at 1.

    ws0, ws1: [w_dim], the same for every style, or [num_ws, w_dim]; mixing [num_ws]; the result [w_dim].
    """

    type = "StyleMixingSwitcher"
    custom = True
    inputs = ("ws0", "ws1", "mixing")
    params = (Param("ws_i", 0, "int", "which style"),)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        ws0, ws1, mixing = inputs
        need_rank(mixing, (1,), "mixing")
        need(
            0 <= params["ws_i"] < mixing[0],
            "no such style",
            argument="ws_i",
            expected=f"0 to {mixing[0] - 1}",
            got=params["ws_i"],
        )
        for name, ws in (("ws0", ws0), ("ws1", ws1)):
            need_rank(ws, (1, 2), name)
            need(
                len(ws) == 1 or ws[0] == mixing[0],
                "wrong number of styles",
                argument=name,
                expected=mixing[0],
                got=list(ws),
            )
        need(ws0[-1] == ws1[-1], "the two differ in w_dim", expected=list(ws0), got=list(ws1))
        return [(ws0[-1],)]

    def one_shape(self, inputs: Sequence[Shape]) -> dict[int, Shape]:
        """ncnn's layers do not look whether a style is [w_dim] or [num_ws, w_dim]: it is the latter."""
        return {i: (inputs[2][0], inputs[i][-1]) for i in (0, 1)}

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        i = params["ws_i"]
        a, b = (w[i] if w.ndim == 2 else w for w in inputs[:2])
        return [a.lerp(b, inputs[2][i])]

    def samples(self) -> list[Sample]:
        return [
            Sample(
                f"{shape_id(a)}-{shape_id(b)}-{i}",
                (a, b, (6,)),
                lambda g, *v, i=i: StyleMixingSwitcher(g, v, i),
                draw="unit",
            )
            for a, b in (((16,), (16,)), ((6, 16), (6, 16)), ((6, 7), (7,)), ((1,), (1,)))
            for i in (0, 5)
        ]


@dsl
def StyleMixingSwitcher(g: Graph, bottom_names: ValueLike, ws_i: SupportsFloat = 0) -> Values:
    """Inputs [ws0, ws1, mixing]: style number ws_i, blended by mixing[ws_i]."""
    return append(g, spec_of("StyleMixingSwitcher"), bottom_names, {"ws_i": ws_i})


@register
class TransformsSpec(OpSpec):
    """t = (r_c, r_s, t_x, t_y), normalised, to the 2x3 matrix R @ T of StyleGAN3's learned rotation and translation.

    R = [[r_c, -r_s, 0], [r_s, r_c, 0], [0, 0, 1]], T = [[1, 0, -t_x], [0, 1, -t_y], [0, 0, 1]].
    """

    type = "Transforms"
    custom = True
    inputs = ("t",)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        need_shape(inputs[0], (4,), "t")
        return [(2, 3)]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        c, s, x, y = inputs[0].unbind()
        return [torch.stack([c, -s, s * y - c * x, s, c, -s * x - c * y]).reshape(2, 3)]

    def samples(self) -> list[Sample]:
        import torch

        def matrix(t: Any) -> Any:
            (c, s, x, y), one, zero = t[0], torch.ones(()), torch.zeros(())
            r = torch.stack([torch.stack([c, -s, zero]), torch.stack([s, c, zero]), torch.stack([zero, zero, one])])
            m = torch.stack(
                [torch.stack([one, zero, -x]), torch.stack([zero, one, -y]), torch.stack([zero, zero, one])]
            )
            return (r @ m)[None, :2]

        return [Sample("transforms", ((4,),), Transforms, matrix)]


@dsl
def Transforms(g: Graph, bottom_names: ValueLike) -> Values:
    """Input (r_c, r_s, t_x, t_y), normalised: the 2x3 matrix of rotation and translation."""
    return append(g, spec_of("Transforms"), bottom_names)


@register
class StyleganPostSpec(OpSpec):
    """x * 127.5 + 128, limited to 0..255: a picture's numbers before they are made bytes."""

    type = "StyleganPost"
    custom = True

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        return [inputs[0]]

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        return [(inputs[0] * 127.5 + 128).clamp(0, 255)]

    def samples(self) -> list[Sample]:
        return over_shapes("post", StyleganPost, lambda x: (x * 127.5 + 128).clamp(0, 255))


@dsl
def StyleganPost(g: Graph, bottom_names: ValueLike) -> Values:
    """x * 127.5 + 128, limited to 0..255."""
    return append(g, spec_of("StyleganPost"), bottom_names)
