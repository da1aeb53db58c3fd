"""What a layer can take, said once beside its op, and turned into C++ that the runtime runs before ncnn's layer does.

A limit is an expression in Python's syntax that has to hold:

    "kernel_w <= x.w + pad_left + pad_right"
    "all(-x.rank <= a < x.rank for a in axes)"

Its names are the op's parameters (numbers as ncnn reads them, and where a file leaves one out its default; lists with
``len``, an index, or a loop), its inputs, and ``inputs`` and ``outputs``, all of them. An input has w, h, d, c (1 where
it has no such axis), rank, total, outer (the size of its outermost axis) and bits (of one value); rank is 0 where an
input that may be left out is. Besides: ``given(name)``, whether a file has the parameter, min, max, abs, sum, all, any,
len, ``and``, ``or``, ``not``, ``if``. Numbers are doubles, so nothing overflows; what is undefined, as division by
zero, makes the limit fail. A limit without inputs is looked at when a net is loaded, one with them before each run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from .opspec import Derived, OpSpec, Param

CONSTANTS = {"int_max": 2**31 - 1, "work": 2**34}
"""The most values of a blob, sizes of which ncnn multiplies as int; and the most steps of a layer written without care
for speed: half a minute."""

_BINARY: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_CALLED: dict[type, str] = {ast.FloorDiv: "quotient", ast.Mod: "modulo"}
_COMPARED: dict[type, str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_SIZES = {"w": "w", "h": "h", "d": "d", "c": "c", "rank": "dims", "bits": "bits"}
_METHODS = {"total": "total()", "outer": "outer()"}
_FUNCTIONS = ("min", "max", "abs")
_READ = {"int": "integer", "float": "real", "ints": "integers", "floats": "reals"}  # methods of Facts


class Translation:
    """One limit of an op in C++: `code`, the parameters in it, and whether it looks at inputs."""

    def __init__(self, spec: OpSpec, rule: str) -> None:
        self.rule = rule
        self.uses: list[Param] = []
        self.inputs = False
        self._spec = spec
        self._params = {p.name: p for p in spec.params}
        self._inputs = {name.rstrip("?*"): i for i, name in reversed(list(enumerate(spec.inputs)))}
        self._bound: dict[str, str] = {}  # names of loops -> "number" or "shape"
        try:
            self.code = self._expression(ast.parse(rule, mode="eval").body)
        except (KeyError, SyntaxError, TypeError) as error:
            raise ValueError(f"{spec.type}: no limit can be made of {rule!r}: {error}") from error

    def _expression(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=bool() | str()):
                raise TypeError("a number is meant")
            case ast.Constant(value=value):
                return repr(float(value))  # type: ignore[arg-type]
            case ast.Name(id=name) if self._bound.get(name) == "number":
                return name
            case ast.Name(id=name) if name in CONSTANTS:
                return repr(float(CONSTANTS[name]))
            case ast.Name(id=name):
                return self._parameter(name)
            case ast.Attribute(attr=attr):
                shape = self._shape(node.value)
                return f"num({shape}.{_SIZES[attr] if attr in _SIZES else _METHODS[attr]})"
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                return f"at({self._list(name)}, {self._expression(index)})"
            case ast.Subscript(value=ast.Tuple(elts=elements), slice=index):
                return f"at({{{', '.join(map(self._expression, elements))}}}, {self._expression(index)})"
            case ast.BinOp(op=ast.Pow(), left=left, right=ast.Constant(value=2)):
                return f"squared({self._expression(left)})"
            case ast.BinOp(op=op, left=left, right=right):
                a, b = self._expression(left), self._expression(right)
                if type(op) in _BINARY:
                    return f"({a} {_BINARY[type(op)]} {b})"
                return f"{_CALLED[type(op)]}({a}, {b})"
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return f"(-{self._expression(operand)})"
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return f"!({self._expression(operand)})"
            case ast.BoolOp(op=op, values=values):
                return "(" + (" && " if isinstance(op, ast.And) else " || ").join(map(self._expression, values)) + ")"
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return f"(({self._expression(test)}) ? {self._expression(body)} : {self._expression(orelse)})"
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(func=ast.Name(id=name), args=args):
                return self._call(name, args)
        raise TypeError(ast.dump(node))

    def _parameter(self, name: str) -> str:
        p = self._params[name]
        if p not in self.uses:
            self.uses.append(p)
        return value_of(self._spec, p)

    def _list(self, name: str) -> str:
        p = self._params[name]
        if p.kind not in ("ints", "floats"):
            raise TypeError(f"{name} is no list")
        if p not in self.uses:
            self.uses.append(p)
        return f"f.{_READ[p.kind]}({p.id})"

    def _shape(self, node: ast.expr) -> str:
        self.inputs = True
        match node:
            case ast.Name(id=name) if self._bound.get(name) == "shape":
                return name
            case ast.Name(id=name):
                return f"f.input({self._inputs[name]})"
            case ast.Subscript(value=ast.Name(id="inputs"), slice=index):
                return f"f.input({self._expression(index)})"
        raise TypeError(ast.dump(node))

    def _comparison(self, node: ast.Compare) -> str:
        parts, left = [], node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, (ast.In, ast.NotIn)):
                assert isinstance(right, ast.Tuple), "in (...)"
                among = ", ".join(map(self._expression, right.elts))
                parts.append(f"{'' if isinstance(op, ast.In) else '!'}among({self._expression(left)}, {{{among}}})")
            else:
                parts.append(f"{self._expression(left)} {_COMPARED[type(op)]} {self._expression(right)}")
            left = right
        return "(" + " && ".join(parts) + ")"

    def _call(self, name: str, args: list[ast.expr]) -> str:
        if name in _FUNCTIONS and len(args) > (name != "abs"):
            return f"{name}_of({', '.join(map(self._expression, args))})"
        (arg,) = args
        if name == "len" and isinstance(arg, ast.Name):
            if arg.id in ("inputs", "outputs"):
                return f"f.{arg.id[:-1]}_count()"
            return f"count({self._sequence(arg)[0]})"
        if name == "given" and isinstance(arg, ast.Name):
            self._parameter(arg.id)
            return f"f.given({self._params[arg.id].id})"
        if name in ("all", "any", "sum", "prod") and isinstance(arg, ast.GeneratorExp):
            (loop,) = arg.generators
            assert isinstance(loop.target, ast.Name) and not loop.ifs, "one plain loop"
            sequence, kind = self._sequence(loop.iter)
            self._bound[loop.target.id] = kind
            body = self._expression(arg.elt)
            del self._bound[loop.target.id]
            of = "Number" if kind == "number" else "const Shape&"
            return f"{name}_of({sequence}, [&]({of} {loop.target.id}) {{ return {body}; }})"
        raise TypeError(f"{name}()")

    def _sequence(self, node: ast.expr) -> tuple[str, str]:
        match node:
            case ast.Name(id="inputs"):
                self.inputs = True
                return "f.inputs", "shape"
            case ast.Name(id=name):
                return self._list(name), "number"
            case ast.Call(func=ast.Name(id="range"), args=[stop]):
                return f"range({self._expression(stop)})", "number"
        raise TypeError(ast.dump(node))


def value_of(spec: OpSpec, p: Param) -> str:
    """The C++ for a number as ncnn reads it."""
    if p.kind not in ("int", "float"):
        raise TypeError(f"{p.name} is a list")
    if isinstance(p.default, Derived):
        source = ast.parse(p.default.text, mode="eval").body
        match source:
            case ast.Name(id=name):
                default = value_of(spec, next(q for q in spec.params if q.name == name))
            case ast.BinOp(left=ast.Name(id=name), op=ast.Div(), right=ast.Constant(value=value)):
                number = value_of(spec, next(q for q in spec.params if q.name == name))
                default = f"truncated({number} / {float(value)!r})"  # type: ignore[arg-type]
            case _:
                raise TypeError(f"{p.name} has no plain default")
    else:
        default = repr(float(p.default))
    return f"f.{_READ[p.kind]}({p.id}, {default})"


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def translations(spec: OpSpec) -> list[Translation]:
    """Every limit of an op, in its order: one may rely on those before it."""
    return [Translation(spec, rule) for rule in spec.limits or ()]


def table(specs: Iterable[OpSpec]) -> str:
    """The text of runtime/src/op_limits_table.cpp."""
    lines = [
        "// Generated by `python -m ncnn_builder.codegen`. Do not edit: the op declarations in ncnn_builder/ops are the"
        " source.",
        '#include "op_limits.h"',
        "",
        "namespace runtime",
        "{",
        "",
    ]
    rows = []
    for spec in sorted(specs, key=lambda s: s.type):
        limits = translations(spec)
        if limits:
            lines.append(f"static const Limit of_{spec.type}[] = {{")
            for limit in limits:
                names = "".join(f"{p.name} {p.id} " for p in limit.uses)
                lines.append(
                    f"    {{{_text(limit.rule)}, {_text(names)}, {'true' if limit.inputs else 'false'},\n"
                    f"     [](const Facts& f) -> bool {{ return {limit.code}; }}}},"
                )
            lines += ["};", ""]
        named = f"of_{spec.type}, {len(limits)}" if limits else "nullptr, 0"
        rows.append(f'    {{"{spec.type}", {{{named}, {"true" if spec.checked_in_cpp else "false"}}}}},')
    lines += [
        "const std::unordered_map<std::string, Limits>& limits_table()",
        "{",
        "    static const std::unordered_map<std::string, Limits> table = {",
        *(f"    {row}" for row in rows),
        "    };",
        "    return table;",
        "}",
        "",
        "} // namespace runtime",
        "",
    ]
    return "\n".join(lines)
