"""Ready programs that run a converted net with plain ncnn: NAME.py and NAME.cpp."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .capture import Port

_PY = '''"""Runs {stem}.param and {stem}.bin with plain ncnn (pip install ncnn numpy)."""

import sys
from pathlib import Path

import ncnn
import numpy as np

HERE = Path(__file__).parent


def run(*arrays):
    """{doc}"""
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


def python_example(stem: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> str:
    """The text of NAME.py: a function of arrays in torch's shapes."""
    mats = ", ".join(_python_mat(i, p) for i, p in enumerate(inputs))
    doc = f"{', '.join(f'{p.name} {list(p.shape)}' for p in inputs)} -> "
    doc += f"{', '.join(f'{p.name} {list(p.shape)}' for p in outputs)}: arrays as torch has them."
    zeros = ", ".join(f"np.zeros({list(p.shape)}, np.{_type(p)})" for p in inputs)
    ports = [(p.name, list(p.shape), p.batch_axis) for p in outputs]
    names = [p.name for p in inputs]
    return _PY.format(stem=stem, doc=doc, names=names, mats=mats, outputs=ports, zeros=zeros)


def cpp_example(stem: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> str:
    """The text of NAME.cpp: inputs of zeros to be filled, outputs whose sizes are printed."""
    begin = "\n".join(_cpp_input(p) for p in inputs)
    end = "\n".join(_cpp_output(p) for p in outputs)
    return _CPP.format(stem=stem, inputs=begin, outputs=end)


EXAMPLES: dict[str, Callable[[str, Sequence[Port], Sequence[Port]], str]] = {
    "py": python_example,
    "cpp": cpp_example,
}
"""Suffix -> what writes it."""


def _type(port: Port) -> str:
    return "float32" if port.dtype.is_floating_point else "int32"


def _python_mat(i: int, port: Port) -> str:
    array = f"np.ascontiguousarray(arrays[{i}], np.{_type(port)})"
    return f"ncnn.Mat({array})" if port.batch_axis is None else f"ncnn.Mat({array}, batch_index={port.batch_axis})"


def _cpp_input(port: Port) -> str:
    dims = [n for i, n in enumerate(port.shape) if i != port.batch_axis] or [1]
    n = 1 if port.batch_axis is None else port.shape[port.batch_axis]
    sizes = ", ".join(map(str, reversed(dims)))
    batch = f", (size_t)4u, 1, {n}" if n > 1 else ""
    zero = "0.f" if port.dtype.is_floating_point else "0"
    return (
        f"    ncnn::Mat {port.name}({sizes}{batch}); // torch's {list(port.shape)}: innermost size first\n"
        f"    {port.name}.fill({zero}); // your numbers\n"
        f'    extractor.input("{port.name}", {port.name});'
    )


def _cpp_output(port: Port) -> str:
    return (
        f"    ncnn::Mat {port.name}; // torch's {list(port.shape)}, {math.prod(port.shape)} numbers\n"
        f'    if (extractor.extract("{port.name}", {port.name}))\n'
        "        return 1;\n"
        f'    printf("{port.name}: %d x %d x %d x %d\\n", {port.name}.w, {port.name}.h, {port.name}.d, {port.name}.c);'
    )
