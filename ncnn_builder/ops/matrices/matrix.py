"""Products of matrices with more to say than MatMul and InnerProduct: Gemm and Einsum."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np

from ...builder import ValueLike, append, array, inputs_of, number
from ...ir import Array, Graph, Params, Shape, Values
from ...opspec import OpSpec, Param, Sample, Tolerance, Weight, dsl, register, spec_of
from ..common import need, need_rank


@register
class Gemm(OpSpec):
    """alpha * (A @ B + beta * C), of matrices. ncnn: gemm.cpp, where alpha is a factor of C as well: in ONNX it is not.

    A [M, K] (trans_a: [K, M]), B [K, N] (trans_b: [N, K]), C a number, [N], [M, 1], [1, N] or [M, N]. Each is an input
    or a constant; C may be left out: constant_c 1 and constant_broadcast_type_c -1.
    """

    type = "Gemm"
    inputs = ("A?", "B?", "C?")
    params = (
        Param("alpha", 0, "float", "factor of all", 1.0),
        Param("beta", 1, "float", "factor of C, before alpha", 1.0),
        Param("trans_a", 2, "int", "1: A is [K, M]"),
        Param("trans_b", 3, "int", "1: B is [N, K]"),
        Param("constant_a", 4, "int", "1: A is a weight"),
        Param("constant_b", 5, "int", "1: B is a weight"),
        Param("constant_c", 6, "int", "1: C is a weight, or there is none"),
        Param("constant_m", 7, "int", "M, where A is a weight, or C [M, ...]"),
        Param("constant_n", 8, "int", "N, where B or C is a weight"),
        Param("constant_k", 9, "int", "K, where A or B is a weight"),
        Param("constant_broadcast_type_c", 10, "int", "C: -1 none, 0 number, 1 [M], 2 [M, 1], 3 [M, N], 4 [1, N]"),
        Param("output_transpose", 14, "int", "1: the result is [N, M]"),
    )
    weights = (Weight("A", True, "[M, K]"), Weight("B", True, "[K, N]"), Weight("C", True, "as its type says"))
    left_out = {
        11: "output_N1M: a result [M, 1, N]; unsqueeze() says it",
        12: "output_elempack: the packing is ncnn's own matter",
        13: "output_elemtype: float32",
        18: "quantize_term: quantised weights are made by ncnn's own tools",
        **dict.fromkeys((20, 21, 22), "constant_TILE: sizes of tiles, which ncnn chooses by itself"),
    }
    limits = (
        "constant_a in (0, 1) and constant_b in (0, 1) and constant_c in (0, 1)",
        "constant_a == 0 or (constant_m >= 1 and constant_k >= 1)",
        "constant_b == 0 or (constant_n >= 1 and constant_k >= 1)",
        "-1 <= constant_broadcast_type_c <= 4",
        "max(constant_m, 1) * max(constant_k, 1) <= int_max and max(constant_n, 1) * max(constant_k, 1) <= int_max",
        "max(constant_m, 1) * max(constant_n, 1) <= int_max",
    )
    checked_in_cpp = True

    def weight_sizes(self, params: Params) -> dict[str, int]:
        m, n, k = (params[f"constant_{c}"] for c in "mnk")
        sizes = {}
        if params["constant_a"]:
            sizes["A"] = m * k
        if params["constant_b"]:
            sizes["B"] = k * n
        kind = params["constant_broadcast_type_c"]
        if params["constant_c"] and kind >= 0:
            sizes["C"] = {0: 1, 1: m, 2: m, 3: m * n, 4: n}[kind]
        return sizes

    def weight_shapes(self, params: Params) -> dict[str, Shape]:
        m, n, k = (params[f"constant_{c}"] for c in "mnk")
        kinds: dict[int, Shape] = {0: (1,), 1: (m,), 2: (m, 1), 3: (m, n), 4: (1, n)}
        shapes: dict[str, Shape] = {
            "A": (k, m) if params["trans_a"] else (m, k),
            "B": (n, k) if params["trans_b"] else (k, n),
            "C": kinds.get(params["constant_broadcast_type_c"], ()),
        }
        return {name: shapes[name] for name in self.weight_sizes(params)}

    def _operands(self, inputs: Sequence[Any], params: Any, weights: Any) -> list[Any]:
        """A, B and C or None: inputs in order where they are no weights."""
        rest = list(inputs)
        operands: list[Any] = []
        for name in "AB":
            held = params[f"constant_{name.lower()}"]
            need(bool(held) or len(rest) > 0, "an operand is missing", argument=name, got=f"{len(inputs)} inputs")
            operands.append(weights[name] if held else rest.pop(0))
        c = weights.get("C") if params["constant_c"] else (rest.pop(0) if rest else None)
        need(not rest, "an operand too many", argument="inputs", got=f"{len(inputs)} inputs")
        return [*operands, c]

    def as_read(
        self, inputs: Sequence[Shape], params: Params, extra: Mapping[int, Any], count: int
    ) -> list[Shape] | None:
        """A result [M, 1, N], and what changes nothing that can be seen: packing, type and tiles."""
        if not any(extra.get(i) for i in (11, 12, 13, 20, 21, 22)) or extra.get(18):
            return None
        held = {n: np.broadcast_to(np.float32(0), shape) for n, shape in self.weight_shapes(params).items()}
        ((rows, columns),) = self.infer(inputs, params, held)
        return [(rows, 1, columns) if extra.get(11) else (rows, columns)]

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Mapping[str, Array]) -> list[Shape]:
        p = params
        a, b, c = self._operands(inputs, p, {name: w.shape for name, w in weights.items()})
        need_rank(a, (2,), "A")
        need_rank(b, (2,), "B")
        m, k = a[::-1] if p["trans_a"] else a
        inner, n = b[::-1] if p["trans_b"] else b
        need(k == inner, "the inner sizes differ", argument="A, B", expected=k, got=inner)
        held = {"m": m * p["constant_a"], "n": n * p["constant_b"], "k": k * max(p["constant_a"], p["constant_b"])}
        kind = p["constant_broadcast_type_c"]
        if p["constant_c"] and kind >= 0:
            held |= {"m": m if kind in (1, 2, 3) else held["m"], "n": n if kind in (3, 4) else held["n"]}
        for name, size in held.items():
            # Of what is an input ncnn reads no size, and pnnx writes one all the same.
            need(size in (0, p[f"constant_{name}"]), "wrong size", argument=f"constant_{name}", expected=size)
        if c is not None:
            fits = c in ((1,), (n,), (1, 1), (m, 1), (1, n), (m, n))
            need(fits, "wrong shape", argument="C", expected=f"one that broadcasts to {[m, n]}", got=list(c))
        return [(n, m) if p["output_transpose"] else (m, n)]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        p = params
        held = p["constant_a"] or p["constant_b"]
        inner = p["constant_k"] if held else inputs[0][0 if p["trans_a"] else -1]
        return int(math.prod(outputs[0]) * inner)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        a, b, c = self._operands(inputs, params, weights)
        y = (a.mT if params["trans_a"] else a) @ (b.mT if params["trans_b"] else b)
        if c is not None:
            y = y + params["beta"] * c
        return [params["alpha"] * (y.mT if params["output_transpose"] else y)]

    def samples(self) -> list[Sample]:
        rng = np.random.default_rng(41)

        def constant(*shape: int) -> Array:
            data: Array = rng.standard_normal(shape).astype(np.float32)
            return data

        def sample(name: str, shapes: tuple[Shape, ...], **kw: Any) -> Sample:
            def torch(*values: Any) -> Any:
                import torch as t

                rest = [v[0] for v in values]
                a, b, c = (t.from_numpy(kw[k]) if k in kw else rest.pop(0) if rest else t.zeros(1) for k in "abc")
                a, b = (v.mT if kw.get(f"trans_{k}") else v for k, v in (("a", a), ("b", b)))
                y = kw.get("alpha", 1) * (a @ b) + kw.get("beta", 1) * c
                return (y.mT if kw.get("output_transpose") else y)[None]

            return Sample(name, shapes, lambda g, *v: gemm(g, v, **kw), torch)

        return [
            sample("ab", ((3, 5), (5, 4))),
            sample("ab-16", ((16, 32), (32, 24))),
            sample("ta", ((5, 3), (5, 4)), trans_a=True),
            sample("tb", ((3, 5), (4, 5)), trans_b=True),
            sample("tatb-out", ((5, 3), (4, 5)), trans_a=True, trans_b=True, output_transpose=True),
            sample("abc", ((3, 5), (5, 4), (3, 4)), alpha=0.5, beta=2.0),
            sample("abc-row", ((3, 5), (5, 4), (1, 4)), beta=-1.0),
            sample("abc-vector", ((3, 5), (5, 4), (4,))),
            sample("abc-square", ((4, 5), (5, 4), (4,)), alpha=3.0),
            sample("abc-column", ((8, 5), (5, 4), (8, 1)), alpha=0.25),
            sample("abc-number", ((3, 5), (5, 4), (1,)), beta=0.5),
            sample("b-held", ((3, 5),), b=constant(5, 4)),
            sample("b-held-t", ((16, 8),), b=constant(12, 8), trans_b=True, c=constant(12), alpha=0.5),
            sample("a-held", ((5, 4),), a=constant(3, 5)),
            sample("a-held-t", ((5, 4),), a=constant(5, 3), trans_a=True, c=constant(3, 1), output_transpose=True),
            sample("ab-held", ((3, 4),), a=constant(3, 5), b=constant(5, 4), beta=2.0),
            sample("c-held", ((3, 5), (5, 4)), c=constant(3, 4)),
            sample("c-number", ((3, 5), (5, 4)), c=constant(1)),
            sample("c-row", ((8, 5), (5, 16)), c=constant(1, 16)),
            sample("c-row-out", ((8, 5), (5, 16), (1, 16)), output_transpose=True),
        ]


@dsl
def gemm(
    g: Graph,
    bottom_names: ValueLike,
    a: Any = None,
    b: Any = None,
    c: Any = None,
    alpha: SupportsFloat = 1.0,
    beta: SupportsFloat = 1.0,
    trans_a: bool = False,
    trans_b: bool = False,
    output_transpose: bool = False,
) -> Values:
    """alpha * A @ B + beta * C, as ONNX's Gemm and torch's addmm. What is no constant is an input, in order.

    A [M, K] (trans_a: [K, M]), B [K, N] (trans_b: [N, K]), C [1], [N], [M, 1], [1, N] or [M, N], which may be left out.
    output_transpose: the result is [N, M]. Raises BuildError for alpha 0, as ncnn multiplies C by it too.
    """
    values, factor = inputs_of(bottom_names), number(alpha, "alpha")
    need(factor != 0, "alpha is a factor of C in ncnn, too", argument="alpha", expected="a number that is not 0", got=0)
    held = {name: array(w, name) for name, w in (("a", a), ("b", b), ("c", c)) if w is not None}
    shapes = [held[n].shape if n in held else (values[i].shape if i < len(values) else ()) for n, i in _places(held)]
    need(all(len(s) == 2 for s in shapes), "not a matrix", argument="a, b", expected="2-D A and B", got=shapes)
    m, k = shapes[0][::-1] if trans_a else shapes[0]
    n = shapes[1][0] if trans_b else shapes[1][1]
    no_c = c is None and len(values) + len(held) == 2
    kind = -1
    if "c" in held:
        table = {(1,): 0, (n,): 4, (1, 1): 0, (m, 1): 2, (1, n): 4, (m, n): 3}
        need(held["c"].shape in table, "wrong shape", argument="c", expected=list(table), got=held["c"].shape)
        kind = table[held["c"].shape]
    params = {
        "alpha": factor,
        "beta": number(beta, "beta") / factor,
        "trans_a": int(trans_a),
        "trans_b": int(trans_b),
        "constant_a": int("a" in held),
        "constant_b": int("b" in held),
        "constant_c": int("c" in held or no_c),
        "constant_m": m if "a" in held or kind in (2, 3) else 0,
        "constant_n": n if "b" in held or kind in (3, 4) else 0,
        "constant_k": k if "a" in held or "b" in held else 0,
        "constant_broadcast_type_c": kind,
        "output_transpose": int(output_transpose),
    }
    return append(g, spec_of("Gemm"), values, params, {name.upper(): w for name, w in held.items()})


def _places(held: Mapping[str, Any]) -> list[tuple[str, int]]:
    """A and B with their places among the inputs."""
    return [("a", 0), ("b", 0 if "a" in held else 1)]


@register
class Einsum(OpSpec):
    """A sum of products over named indices. ncnn: einsum.cpp, which adds up one number after the other: it is slow.

    equation: the characters of "ij,jk->ik" as numbers; the result's indices are i, j, k, l in this order, 1 to 4 of
    them, and others follow up to x. "ii" alone is the trace.
    """

    type = "Einsum"
    inputs = ("x", "x*")
    params = (Param("equation", 0, "ints", "its characters", ()),)
    limits = ("len(equation) >= 2",)
    checked_in_cpp = True
    tolerance = Tolerance(2e-5)

    def infer(self, inputs: Sequence[Shape], params: Any, weights: Any) -> list[Shape]:
        text = "".join(map(chr, params["equation"]))
        if text == "ii":
            need(len(inputs) == 1, "wrong number of inputs", expected=1, got=len(inputs))
            need(len(inputs[0]) == 2 and len(set(inputs[0])) == 1, "no square matrix", argument="x", got=inputs[0])
            return [(1,)]
        left, _, right = text.partition("->")
        tokens = left.split(",")
        need(len(tokens) == len(inputs), "wrong number of inputs", expected=len(tokens), got=len(inputs))
        sizes: dict[str, int] = {}
        for token, shape in zip(tokens, inputs, strict=True):
            need(len(token) == len(shape), f"{token} is not an input's indices", argument="equation", got=list(shape))
            for letter, n in zip(token, shape, strict=True):
                need(sizes.setdefault(letter, n) == n, f"index {letter} has two sizes", expected=sizes[letter], got=n)
        fits = 1 <= len(right) <= 4 and right == "ijkl"[: len(right)] and set(right) <= set(sizes)
        need(fits, "not ncnn's form", argument="equation", expected="a result of i, j, k, l", got=text)
        letters = sorted(sizes)
        need(letters == list("ijklmnopqrstuvwx"[: len(letters)]), "letters are missing", argument="equation", got=text)
        return [tuple(sizes[letter] for letter in right)]

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape], params: Params) -> int:
        """A product for each combination of the indices, where there are two operands or more."""
        tokens = "".join(map(chr, params["equation"])).partition("->")[0].split(",")
        sizes = {letter: n for t, s in zip(tokens, inputs, strict=False) for letter, n in zip(t, s, strict=False)}
        return math.prod(sizes.values()) * (len(inputs) - 1)

    def reference(self, inputs: Any, params: Any, weights: Any) -> list[Any]:
        import torch

        text = "".join(map(chr, params["equation"]))
        return [inputs[0].trace().reshape(1) if text == "ii" else torch.einsum(text, *inputs)]

    def samples(self) -> list[Sample]:
        import torch

        def at_least_1d(y: Any) -> Any:
            return y if y.ndim else y.reshape(1)

        cases: tuple[tuple[str, tuple[Shape, ...]], ...] = (
            ("ij,jk->ik", ((3, 5), (5, 4))),
            ("ab,cb->ac", ((8, 5), (4, 5))),
            ("bij,bjk->bik", ((5, 3, 4), (5, 4, 2))),
            ("bhqd,bhkd->bhqk", ((2, 3, 4, 5), (2, 3, 2, 5))),
            ("i,j->ij", ((5,), (8,))),
            ("chw->c", ((5, 3, 4),)),
            ("chw->wc", ((8, 3, 4),)),
            ("ii->i", ((5, 5),)),
            ("ii", ((6, 6),)),
            ("ij,ij,ij->j", ((3, 5), (3, 5), (3, 5))),
            ("ij,jk", ((3, 5), (5, 4))),
        )
        return [
            Sample(
                f"einsum-{e}",
                shapes,
                lambda g, *v, e=e: einsum(g, v, e),
                lambda *v, e=e: at_least_1d(torch.einsum(e, *(x[0] for x in v)))[None],
            )
            for e, shapes in cases
        ]


@dsl
def einsum(g: Graph, bottom_names: ValueLike, equation: str) -> Values:
    """torch's einsum, without batch: any letters, up to 16; 1 to 4 indices in the result, or the trace "ii".

    Raises BuildError for "...", and for a result without an index (other than the trace): use a reduction.
    """
    text = str(equation).replace(" ", "")
    left, arrow, right = text.partition("->")
    letters = set(left) - {","}
    need(
        letters <= set(_LETTERS) and len(letters) > 0, "bad equation", argument="equation", expected="letters", got=text
    )
    if not arrow:  # as einsum means it: letters that occur once, in order
        right = "".join(sorted(x for x in letters if left.count(x) == 1))
    if not right and len(left) == 2 and len(letters) == 1:
        return append(g, spec_of("Einsum"), bottom_names, {"equation": tuple(map(ord, "ii"))})
    fits = 1 <= len(right) <= 4 and set(right) <= letters and len(set(right)) == len(right)
    need(fits, "bad result", argument="equation", expected="1 to 4 of the operands' indices, each once", got=text)
    need(len(letters) <= 16, "too many indices", argument="equation", expected="16 at most", got=len(letters))
    order = [*right, *sorted(letters - set(right))]
    names = dict(zip(order, "ijklmnopqrstuvwx", strict=False))
    renamed = "".join(names.get(c, c) for c in f"{left}->{right}")
    return append(g, spec_of("Einsum"), bottom_names, {"equation": tuple(map(ord, renamed))})


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
