"""What layers can take, said beside their ops: each of ncnn says it, the table in C++ is made of it, none is missed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import ncnn_builder as nb
from ncnn_builder import codegen
from ncnn_builder.limits import Translation, translations
from ncnn_builder.opspec import OpSpec, Param, same_as

RUNTIME = Path(codegen.LIMITS).parent
LAYERS = {name: spec for name, spec in nb.registry.items() if not spec.custom and not spec.composite}


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_of_ncnn_says_what_it_can_take(name: str) -> None:
    spec = LAYERS[name]
    assert spec.limits is not None or spec.checked_in_cpp, "declare `limits`; () where any input and parameter is right"
    translations(spec)


def test_the_table_is_up_to_date() -> None:
    assert codegen.LIMITS.read_text() == codegen.limits_table(), "run `python -m ncnn_builder.codegen`"


def test_checks_by_hand_are_those_that_the_declarations_name() -> None:
    written = set()
    for source in RUNTIME.glob("checks_*.cpp"):
        table = re.search(r"unordered_map<std::string, HandCheck> table = \{(.*?)\};", source.read_text(), re.DOTALL)
        written |= set(re.findall(r'\{"(\w+)",', table[1])) if table else set()
    assert written == {name for name, spec in LAYERS.items() if spec.checked_in_cpp}


def test_whole_numbers_and_floats_are_read_as_ncnn_reads_them() -> None:
    code = " ".join(
        limit.code for name in ("GroupNorm", "LRN", "Flip", "PriorBox") for limit in translations(LAYERS[name])
    )
    assert "f.integer(0, 1.0)" in code and "f.integers(0)" in code and "f.reals(0)" in code


class Op(OpSpec):
    type = "Op"
    inputs = ("x", "b?")
    params = (
        Param("kernel_w", 1, "int", "", 3),
        Param("kernel_h", 11, "int", "", same_as("kernel_w")),
        Param("scale", 2, "float", "", 0.5),
        Param("axes", 3, "ints", "", ()),
    )


@pytest.mark.parametrize(
    ("rule", "code", "inputs"),
    [
        ("kernel_h >= 1", "(f.integer(11, f.integer(1, 3.0)) >= 1.0)", False),
        ("0 < scale <= 2", "(0.0 < f.real(2, 0.5) && f.real(2, 0.5) <= 2.0)", False),
        ("kernel_w in (1, 3) or not given(scale)", "((among(f.integer(1, 3.0), {1.0, 3.0})) || !(f.given(2)))", False),
        ("x.w % kernel_w == -1", "(modulo(num(f.input(0).w), f.integer(1, 3.0)) == (-1.0))", True),
        ("x.rank if b.rank else x.total // 2",
         "((num(f.input(1).dims)) ? num(f.input(0).dims) : quotient(num(f.input(0).total()), 2.0))", True),
        ("all(-x.rank <= a for a in axes)",
         "all_of(f.integers(3), [&](Number a) { return ((-num(f.input(0).dims)) <= a); })", True),
        ("sum(s.w for s in inputs) <= int_max",
         "(sum_of(f.inputs, [&](const Shape& s) { return num(s.w); }) <= 2147483647.0)", True),
        ("len(axes) + axes[0] == len(outputs)",
         "((count(f.integers(3)) + at(f.integers(3), 0.0)) == f.output_count())", False),
    ],
)  # fmt: skip
def test_translations(rule: str, code: str, inputs: bool) -> None:
    limit = Translation(Op(), rule)
    assert (limit.code, limit.inputs) == (code, inputs)


@pytest.mark.parametrize(
    "rule",
    ["kernel_d >= 1", "y.w >= 1", "x >= 1", "x.width >= 1", "axes >= 1", "len(kernel_w)", "kernel_w >= '1'", "1 +",
     "kernel_w & 1", "print(1)", "lambda: 1", "True"],
)  # fmt: skip
def test_what_is_no_limit(rule: str) -> None:
    with pytest.raises(ValueError, match="Op: no limit can be made of"):
        Translation(Op(), rule)
