"""The house: who may import whom, no circle, nothing of ours imported late without need, no long file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PACKAGES: dict[str, set[str]] = {
    "ncnn_builder": set(),
    "runtime": set(),
    "stylegan": {"ncnn_builder", "runtime"},
    "benchmarks": {"ncnn_builder", "runtime", "stylegan"},
}
"""Package -> those of ours that it may import."""

ROOMS: dict[str, set[str]] = {
    "ground": set(),
    "networks": {"ground"},
    "checkpoints": {"ground", "networks"},
    "bundle": {"ground", "networks"},
    "dataset": {"ground"},
    "faces": {"ground", "dataset"},
    "projector": {"ground", "checkpoints", "dataset"},
    "metrics": {"ground", "networks", "checkpoints", "dataset", "projector"},
    "training": {"ground", "networks", "checkpoints", "dataset"},
}
"""Package of stylegan -> those that it may import. What is in none of them is a command, and may import all."""
GROUND = ("_torch", "devices", "errors")
"""Modules of stylegan that every room stands on."""

FLOORS: dict[str, set[str]] = {
    "ground": set(),
    "ops": {"ground"},
    "passes": {"ground", "ops"},
    "targets": {"ground", "ops"},
    "emit": {"ground", "ops", "pipeline"},
    "parity": {"ground", "ops", "emit"},
}
"""Package of ncnn_builder -> those that it may import. pipeline.py puts passes and targets together; what is in none
of them stands above, and may import all."""
ABOVE = ("__init__", "__main__", "api", "codegen", "docs", "pipeline")
"""Modules of ncnn_builder that are not the ground."""
DOORS = ("ncnn_builder.passes.pipeline",)
"""Names under which others know what stands above; nothing of ours goes through them."""

OPTIONAL = {
    *("PIL", "fsspec", "platformdirs", "pyarrow", "ray", "runtime", "safetensors", "scipy", "starlette", "torch"),
    "uvicorn",
}
"""What may be missing, or takes a second to import; runtime has to be built."""


MOST_LINES = 420
LONG = {
    "custom_layers/conv_kernels.inc.h": "one text for the compiler of every instruction set",
    "custom_layers/fir_tiles.cpp": "one driver for all filters; a split would show its buffers to others",
    "runtime/src/op_limits_table.cpp": "generated",
    "tests/custom_layers/test_errors.cpp": "a table with what every layer refuses",
    "tests/custom_layers/test_fir.cpp": "sweeps of one oracle",
    "tests/file_forms.py": "a table with an entry for every layer",
    "tests/stylegan/test_export.py": "one command",
}
"""Longer files -> why they stay whole."""

MAP = re.compile(r"^(  )?([.\w]+)/ *(.*)$", re.MULTILINE)
"""A line of CONTRIBUTING's map."""


@cache
def modules(package: str, root: Path = ROOT) -> dict[str, Path]:
    paths = [path for path in (root / package).rglob("*") if path.suffix in (".py", ".pyi")]  # .pyi: made of C++
    names = {".".join(path.relative_to(root).with_suffix("").parts): path for path in paths}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


@cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """Whole names, `a.b` of `from a import b`, and whether inside a function. Those for type checkers do not count."""
    return tuple(_imports(ast.parse(path.read_text(encoding="utf-8")), path, False))


def _imports(node: ast.AST, path: Path, late: bool) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, late) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            around = path.relative_to(ROOT).parts[: -child.level] if child.level else ()
            base = ".".join(filter(None, (*around, child.module)))
            yield from ((f"{base}.{alias.name}", late) for alias in child.names)
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            yield from _imports(child, path, late or inside)


def ours(name: str, root: Path = ROOT) -> set[tuple[str, bool]]:
    """The modules of its own package that a module imports, and whether late."""
    known = modules(name.partition(".")[0], root)
    found = ((other if other in known else other.rpartition(".")[0], late) for other, late in imports(known[name]))
    return {(other, late) for other, late in found if other in known and other != name}


def circle(package: str, root: Path = ROOT) -> list[str]:
    """Modules of a package that import each other, inside functions too."""
    graph = {name: {other for other, _ in ours(name, root)} for name in modules(package, root)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def needs(name: str, root: Path = ROOT) -> set[str]:
    """The optional packages that importing a module imports."""
    known = modules(name.partition(".")[0], root)
    found: set[str] = set()
    pending, seen = [name], {name}
    while pending:
        name = pending.pop()
        found |= {other.partition(".")[0] for other, late in imports(known[name]) if not late}
        new = {other for other, late in ours(name, root) if not late} - seen
        pending += new
        seen |= new
    return found & OPTIONAL


def without_need(name: str, root: Path = ROOT) -> set[str]:
    """What a module imports late that needs no optional package which the module itself does without."""
    return {other for other, late in ours(name, root) if late and not needs(other, root) - needs(name, root)}


def room(name: str) -> str:
    part = name.split(".")[1] if "." in name else ""
    return "ground" if part in GROUND else part if part in ROOMS and not name.endswith(".__main__") else "commands"


@pytest.mark.parametrize("package", PACKAGES)
def test_arrows_between_packages(package: str) -> None:
    assert modules(package)
    for path in modules(package).values():
        found = {name.partition(".")[0] for name, _ in imports(path)} & PACKAGES.keys()
        assert found <= PACKAGES[package] | {package}, path


@pytest.mark.parametrize("name", modules("stylegan"))
def test_arrows_between_rooms(name: str) -> None:
    here = room(name)
    if here != "commands":
        there = {other: room(other) for other, _ in ours(name)}
        assert {other: r for other, r in there.items() if r != here and r not in ROOMS[here]} == {}


def floor(name: str) -> str:
    part = [*name.split("."), "__init__"][1]
    return part if part in ABOVE or (ROOT / "ncnn_builder" / part).is_dir() else "ground"


@pytest.mark.parametrize(
    "name", [name for name in modules("ncnn_builder") if floor(name) in FLOORS and name not in DOORS]
)
def test_arrows_between_floors(name: str) -> None:
    there = {other: floor(other) for other, _ in ours(name)}
    allowed = FLOORS[floor(name)] | {floor(name)}
    assert {other: f for other, f in there.items() if f not in allowed} == {}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_is_for_others(door: str) -> None:
    assert [name for package in PACKAGES for name in modules(package) if door in {n for n, _ in ours(name)}] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_circle(package: str) -> None:
    assert circle(package) == []


@pytest.mark.parametrize(
    "name", [name for package in ("stylegan", "runtime", "benchmarks") for name in modules(package)]
)
def test_nothing_of_ours_is_imported_late_without_need(name: str) -> None:
    assert without_need(name) == set()


def test_what_is_wrong_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "stylegan").mkdir()
    files = {
        "__init__": "",
        "heavy": "import torch",
        "light": "def f():\n    from stylegan import heavy\n    from stylegan.late import g",
        "late": "from .middle import h",
        "middle": "class A:\n    def f(self):\n        if True:\n            import stylegan.light",
    }
    for name, text in files.items():
        (tmp_path / "stylegan" / f"{name}.py").write_text(text)
    assert set(circle("stylegan", tmp_path)) == {"stylegan.light", "stylegan.late", "stylegan.middle"}
    assert without_need("stylegan.light", tmp_path) == {"stylegan.late"}
    assert needs("stylegan.heavy", tmp_path) == {"torch"} and room("stylegan.networks.v3") == "networks"


def test_files_are_short() -> None:
    """About 400 lines, which is what one reads at a sitting."""
    paths = [path for top in (*PACKAGES, "custom_layers", "examples", "tests") for path in (ROOT / top).rglob("*")]
    sources = [path for path in paths if path.suffix in (".py", ".cpp", ".h")]
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in sources}
    assert {name: count for name, count in lines.items() if count > MOST_LINES and name not in LONG} == {}
    assert [name for name in LONG if lines[name] <= MOST_LINES] == []


def test_declarations_say_what_they_say_in_one_order() -> None:
    """That of OpSpec. Helpers and data of their own stand where they are needed."""
    said: dict[str, list[str]] = {}
    for path in sorted((ROOT / "ncnn_builder").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.ClassDef):
                continue
            marks = {n.id for n in (*node.bases, *node.decorator_list) if isinstance(n, ast.Name)}
            if node.name == "OpSpec" or marks & {"OpSpec", "register", *said}:
                said[node.name] = members(node)
    order = said.pop("OpSpec")
    assert len(said) > 80
    kept = {name: [one for one in found if one in order] for name, found in said.items()}
    assert {name: found for name, found in kept.items() if found != sorted(found, key=order.index)} == {}


def members(node: ast.ClassDef) -> list[str]:
    found: list[str] = []
    for n in node.body:
        target = n.targets[0] if isinstance(n, ast.Assign) else n.target if isinstance(n, ast.AnnAssign) else None
        found += [n.name] if isinstance(n, ast.FunctionDef) and not n.decorator_list else []
        found += [target.id] if isinstance(target, ast.Name) else []
    return found


def test_the_map_is_of_this_house() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("```")[1]
    shown, top = [], ""
    for indented, name, _ in MAP.findall(page):
        top = top if indented else name
        shown.append(f"{top}/{name}" if indented else name)
    tops = [name for name in shown if "/" not in name]
    source = (".py", ".cpp", ".npz", ".jsonl", ".safetensors")
    there = {path.parent.relative_to(ROOT) for top in tops for path in (ROOT / top).rglob("*") if path.suffix in source}
    deep = {"/".join(folder.parts[:2]) for folder in there if "__pycache__" not in folder.parts}
    assert shown == sorted(shown) and all((ROOT / name).is_dir() for name in shown)
    assert {name for name in deep if "/" in name} <= set(shown)
