"""Ready programs that run a converted net with plain ncnn: NAME.py and NAME.cpp."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from ..open_shapes import evaluated, shape_at
from ..sizes import Name, names_of
from .capture import Port

_PY = '''"""Runs {stem}.param and {stem}.bin with plain ncnn (pip install ncnn numpy)."""

import sys
from pathlib import Path

import ncnn
import numpy as np

HERE = Path(__file__).parent


def run(*arrays):
    """{doc}"""
    arrays = [np.ascontiguousarray(a, dtype) for a, dtype in zip(arrays, {types}, strict=True)]
{sizes}    shapes = [list(a.shape) for a in arrays]
    if not ({fits}):
        raise ValueError(f"expected {inputs}; got {{shapes}}")
    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False  # full precision
    if net.load_param(str(HERE / "{stem}.param")) or net.load_model(str(HERE / "{stem}.bin")):
        sys.exit("{stem}.param and {stem}.bin do not fit this ncnn")
    extractor = net.create_extractor()
    for name, mat in zip({names}, [{mats}]):
        extractor.input(name, mat.clone())
    results = []
    for name, shape, batch in {outputs}:
        code, mat = extractor.extract(name)
        if code:
            sys.exit(f"{{name}}: ncnn gives {{code}}")
        array = np.array(mat) if batch is None else mat.numpy(batch_index=batch)
        results.append(array.reshape(shape).copy())
    return results


if __name__ == "__main__":
    for result in run({zeros}):
        print(result.shape, result.ravel()[:5])
'''

_CPP = """// Runs {stem}.param and {stem}.bin with plain ncnn.
#include <stdio.h>
#include <ncnn/net.h>

int main()
{{
    ncnn::Net net;
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = false; // full precision
    if (net.load_param("{stem}.param") || net.load_model("{stem}.bin"))
        return 1;

    ncnn::Extractor extractor = net.create_extractor();
{inputs}
{outputs}
    return 0;
}}
"""


def python_example(stem: str, inputs: Sequence[Port], outputs: Sequence[Port], at: Mapping[str, int]) -> str:
    """The text of NAME.py: a function of arrays in torch's shapes, of any sizes that the net takes.

    at: the open sizes of the inputs of zeros that the program runs it with.
    """
    names = names_of(*(n for p in inputs for n in p.shape))
    given = _said(inputs, names)
    fits = [f"shapes == [{', '.join(_python_shape(p) for p in inputs)}]"]
    for n in names:
        fits.append(f"{n.least} <= {_python_size(n.name)}" + (f" <= {n.most}" if n.most is not None else ""))
    sizes = ", ".join(f'"{n.name}": {_python_name(inputs, n)}' for n in names)
    return _PY.format(
        stem=stem,
        doc=f"{given} -> {_said(outputs)}: arrays as torch has them.",
        types="[" + ", ".join(f"np.{_type(p)}" for p in inputs) + "]",
        sizes=f"    sizes = {{{sizes}}}\n" if names else "",
        fits=" and ".join(fits),
        inputs=given,
        names=[p.name for p in inputs],
        mats=", ".join(_python_mat(i, p) for i, p in enumerate(inputs)),
        outputs="[" + ", ".join(f"({p.name!r}, {_python_shape(p)}, {p.batch_axis})" for p in outputs) + "]",
        zeros=", ".join(f"np.zeros({list(shape_at(p.shape, at))}, np.{_type(p)})" for p in inputs),
    )


def cpp_example(stem: str, inputs: Sequence[Port], outputs: Sequence[Port], at: Mapping[str, int]) -> str:
    """The text of NAME.cpp: inputs of zeros to be filled, outputs whose sizes are printed. at: their open sizes."""
    begin = "\n".join(_cpp_input(p, at) for p in inputs)
    end = "\n".join(_cpp_output(p, at) for p in outputs)
    return _CPP.format(stem=stem, inputs=begin, outputs=end)


EXAMPLES: dict[str, Callable[[str, Sequence[Port], Sequence[Port], Mapping[str, int]], str]] = {
    "py": python_example,
    "cpp": cpp_example,
}
"""Suffix -> what writes it."""


def _type(port: Port) -> str:
    return "float32" if port.dtype.is_floating_point else "int32"


def _said(ports: Sequence[Port], names: Sequence[Name] = ()) -> str:
    """For a reader: ``in0 [1, 3, 8*h, w], h from 2, w from 8 to 64``."""
    said = [f"{p.name} {list(p.shape)}" for p in ports]
    said += [f"{n.name} from {n.least}" + (f" to {n.most}" if n.most is not None else "") for n in names]
    return ", ".join(said)


def _python_size(n: int | str) -> str:
    return re.sub(r"[A-Za-z_]\w*", r'sizes["\g<0>"]', str(n))


def _python_shape(port: Port) -> str:
    return "[" + ", ".join(map(_python_size, port.shape)) + "]"


def _python_name(inputs: Sequence[Port], name: Name) -> str:
    """The axis that says it: factor * name + more."""
    i, axis, size = next(
        (i, axis, n) for i, p in enumerate(inputs) for axis, n in enumerate(p.shape) if name in names_of(n)
    )
    more = evaluated(size, {name.name: 0})
    factor = evaluated(size, {name.name: 1}) - more
    number = f"arrays[{i}].shape[{axis}]"
    if more:
        number = f"({number} - {more})" if more > 0 else f"({number} + {-more})"
    return number if factor == 1 else f"{number} // {factor}"


def _python_mat(i: int, port: Port) -> str:
    return (
        f"ncnn.Mat(arrays[{i}])" if port.batch_axis is None else f"ncnn.Mat(arrays[{i}], batch_index={port.batch_axis})"
    )


def _cpp_shape(port: Port, at: Mapping[str, int]) -> str:
    names = names_of(*port.shape)
    here = ", ".join(f"{n.name} = {at[n.name]}" for n in names)
    return f"torch's {list(port.shape)}" + (f", here {here}" if names else "")


def _cpp_input(port: Port, at: Mapping[str, int]) -> str:
    shape = shape_at(port.shape, at)
    dims = [n for i, n in enumerate(shape) if i != port.batch_axis] or [1]
    n = 1 if port.batch_axis is None else shape[port.batch_axis]
    sizes = ", ".join(map(str, reversed(dims)))
    batch = f", (size_t)4u, 1, {n}" if n > 1 else ""
    zero = "0.f" if port.dtype.is_floating_point else "0"
    return (
        f"    ncnn::Mat {port.name}({sizes}{batch}); // {_cpp_shape(port, at)}: innermost size first\n"
        f"    {port.name}.fill({zero}); // your numbers\n"
        f'    extractor.input("{port.name}", {port.name});'
    )


def _cpp_output(port: Port, at: Mapping[str, int]) -> str:
    return (
        f"    ncnn::Mat {port.name}; // {_cpp_shape(port, at)}, {math.prod(shape_at(port.shape, at))} numbers\n"
        f'    if (extractor.extract("{port.name}", {port.name}))\n'
        "        return 1;\n"
        f'    printf("{port.name}: %d x %d x %d x %d\\n", {port.name}.w, {port.name}.h, {port.name}.d, {port.name}.c);'
    )
