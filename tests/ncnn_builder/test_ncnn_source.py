"""The declarations of ncnn's layers against the source of the pinned ncnn: types, ids, kinds, defaults, weights."""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ncnn_builder as nb
from ncnn_builder.opspec import Derived

CMAKE = Path(__file__).resolve().parents[2] / "cmake" / "Ncnn.cmake"
VERSION, SHA256 = (
    re.search(rf'set\(NCNN_PINNED_{name} "([^"]+)"', CMAKE.read_text()).group(1)  # type: ignore[union-attr]
    for name in ("VERSION", "SHA256")
)


def cache() -> Path:
    """Where cmake/Ncnn.cmake keeps what it fetched."""
    if "NCNN_BUILDER_CACHE" in os.environ:
        return Path(os.environ["NCNN_BUILDER_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ncnn-builder"


ARCHIVE = cache() / "sources" / f"ncnn-{VERSION}.tar.gz"
pytestmark = pytest.mark.skipif(
    not ARCHIVE.is_file(), reason="the pinned source of ncnn is not in the cache: this ncnn was given by -Dncnn_DIR"
)
OURS = sorted(name for name, spec in nb.registry.items() if not spec.custom and not spec.composite)


@pytest.fixture(scope="module")
def source() -> dict[str, str]:
    """Path inside src/ -> text, for the list of layers and their plain C++ forms."""
    assert hashlib.sha256(ARCHIVE.read_bytes()).hexdigest() == SHA256
    texts = {}
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            path = member.name.partition("/src/")[2]
            if path == "CMakeLists.txt" or re.fullmatch(r"layer/\w+\.cpp", path):
                file = archive.extractfile(member)
                assert file is not None
                texts[path] = file.read().decode()
    return texts


def listed(source: dict[str, str]) -> dict[str, bool]:
    """Layer type -> whether ncnn builds it unless it is told otherwise."""
    found = re.findall(r"^ncnn_add_layer\((\w+)( OFF)?\)", source["CMakeLists.txt"], re.MULTILINE)
    return {name: not off for name, off in found}


@dataclass(frozen=True)
class Read:
    """One ``variable = pd.get(id, default)``."""

    variable: str
    id: int
    default: str


def body(source: dict[str, str], op_type: str, method: str) -> str:
    text = source[f"layer/{op_type.lower()}.cpp"]
    found = re.search(rf"^int {op_type}::{method}\([^)]*\)\n{{\n(.*?)^}}", text, re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


def reads(source: dict[str, str], op_type: str) -> list[Read]:
    found = re.findall(
        r"([\w\[\]]+) = pd\.get\((\d+), (.*)\);",
        re.sub(r"#else\n.*?#endif", "", body(source, op_type, "load_param"), flags=re.DOTALL),
    )
    return [Read(variable, int(number), default) for variable, number, default in found]


def loads(source: dict[str, str], op_type: str) -> list[tuple[str, str]]:
    """(variable, type of load) of each weight, in file order, without those of quantised layers."""
    text = re.sub(r"#if NCNN_(INT8|WEIGHT_QUANT)\n.*?#endif", "", body(source, op_type, "load_model"), flags=re.DOTALL)
    found = re.findall(r"(\w+) = mb\.load\(.*, (\w+)\);", text)
    return list(dict.fromkeys(found))


def kind_of(default: str, before: dict[str, str]) -> str:
    """int, float, array or str, as the type of the default tells."""
    if default in before:
        return before[default]
    if default == "Mat()":
        return "array"
    if default.startswith('"'):
        return "str"
    return "float" if re.search(r"\d\.?\d*f|FLT_MAX", default) else "int"


def plain(expression: str) -> str:
    """An expression without what only C++ needs."""
    return expression.replace(".f", "").replace("sqrtf", "sqrt").replace(" ", "")


def literal(default: str) -> Any:
    greatest = float(np.finfo(np.float32).max)
    table = {"Mat()": (), "false": 0, "FLT_MAX": greatest, "-FLT_MAX": -greatest}
    return table[default] if default in table else float(default.removesuffix("f"))


def test_every_layer_type_is_declared(source: dict[str, str]) -> None:
    assert set(OURS) == set(listed(source))


def test_what_is_not_built_is_said(source: dict[str, str]) -> None:
    absent = {name for name, built in listed(source).items() if not built}
    assert {name for name in OURS if nb.registry[name].off} == absent


@pytest.mark.parametrize("op_type", OURS)
def test_the_parameters_are_those_of_the_source(op_type: str, source: dict[str, str]) -> None:
    spec = nb.registry[op_type]
    declared = {p.id: p for p in spec.params}
    assert not declared.keys() & spec.left_out.keys()
    assert all(reason.strip() for reason in spec.left_out.values())
    there = reads(source, op_type)
    assert {r.id for r in there} == declared.keys() | spec.left_out.keys()
    kinds: dict[str, str] = {}
    names: dict[str, str] = {}
    for read in there:
        kinds[read.variable] = kind_of(read.default, kinds)
        param = declared.get(read.id)
        if param is None:
            continue
        names[read.variable] = param.name
        kind = "array" if param.kind in ("ints", "floats") else param.kind
        assert kind == kinds[read.variable], f"{param.name}: kind"
        if isinstance(param.default, Derived):
            meant = re.sub(r"\w+", lambda m, names=names: names.get(m.group(), m.group()), read.default)
            assert plain(param.default.text) == plain(meant), f"{param.name}: default"
        else:
            want = literal(read.default)
            assert param.default == (want if kind == "array" else pytest.approx(want, rel=1e-6)), param.name


@pytest.mark.parametrize("op_type", OURS)
def test_the_weights_are_those_of_the_source(op_type: str, source: dict[str, str]) -> None:
    there, spec = loads(source, op_type), nb.registry[op_type]
    if op_type == "MemoryData":  # its parameter load_type says whether there is a tag
        there = [("data", "0")] if {kind for _, kind in there} == {"load_type"} else []
    assert [("raw", "tagged")[w.tagged] for w in spec.weights] == [("tagged", "raw")[int(kind)] for _, kind in there]


def test_a_wrong_declaration_is_seen(source: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Controls: a wrong id, a wrong default, a wrong kind, a weight too many."""
    spec = nb.registry["ELU"]
    for wrong in (
        nb.Param("alpha", 1, "float", "", 0.1),
        nb.Param("alpha", 0, "float", "", 1.0),
        nb.Param("alpha", 0, "int", "", 0.1),
    ):
        monkeypatch.setattr(type(spec), "params", (wrong,))
        with pytest.raises(AssertionError):
            test_the_parameters_are_those_of_the_source("ELU", source)
    monkeypatch.setattr(type(spec), "weights", (nb.Weight("w", True, ""),))
    with pytest.raises(AssertionError):
        test_the_weights_are_those_of_the_source("ELU", source)
