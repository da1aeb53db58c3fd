"""An ONNX file on onnxruntime, as the first of two nets: every tensor of it, and which blob stands for which."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..emit.layers import Layer
from ..errors import BuildError, ReadError
from ..ir import Shape
from .measures import Errors, errors_of
from .net_files import Blobs, NetFiles

SAME = 1e-3
"""Two tensors stand for the same where they differ by less, relative to the largest magnitude."""


class OnnxNet:
    """What Pair asks of its first net. Tensors lose an axis of one for the batch where the blob beside them has none.

    Raises ReadError for a file that onnxruntime does not take, BuildError where the packages are not installed.
    """

    layers: Sequence[Layer] = ()

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path = path
        try:
            onnx, ort = importlib.import_module("onnx"), importlib.import_module("onnxruntime")
        except ImportError as error:
            fix = 'pip install "ncnn-builder[onnx]"'
            raise BuildError(f"--against needs onnx and onnxruntime: {error}", fix=fix) from None
        if not path.is_file():
            raise ReadError(f"cannot read {path}: no such file")
        try:
            model = onnx.load(str(path))
            self.outputs = [o.name for o in model.graph.output]
            constants = {i.name for i in model.graph.initializer}
            self._nodes = {t: (n.op_type, n.name or t, list(n.input)) for n in model.graph.node for t in n.output}
            self.tensors = [name for node in model.graph.node for name in node.output if name]
            model.graph.output.extend(onnx.ValueInfoProto(name=t) for t in self.tensors if t not in self.outputs)
            options = ort.SessionOptions()
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL  # it fuses what is asked for
            options.intra_op_num_threads, options.log_severity_level = threads, 4
            self._session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # of protobuf, of onnx and of onnxruntime, which have no common class
            raise ReadError(f"{path} is no ONNX file that onnxruntime runs: {_line(error)}") from None
        self._inputs = {i.name: i for i in self._session.get_inputs() if i.name not in constants}
        self.inputs = list(self._inputs)

    def between(self, inputs: Sequence[str], tensor: str) -> str:
        """The nodes that make a tensor of these, in their order: types, and the name of the last."""
        found: list[str] = []
        left = [tensor]
        while left:
            one = left.pop()
            if one in self._nodes and one not in inputs and one not in found:
                found.append(one)
                left += self._nodes[one][2]
        order = [self._nodes[t] for t in self.tensors if t in found]
        return ", ".join([*(kind for kind, _, _ in order[:-1]), *(f"{kind} {name}" for kind, name, _ in order[-1:])])

    def run(self, sample: Blobs) -> Blobs:
        """All tensors of a sample, whose arrays are in the order of the inputs or have their names.

        Raises BuildError for a sample that does not fit.
        """
        if len(sample) != len(self.inputs):
            raise BuildError("the nets have other inputs", expected=self.inputs, got=list(sample))
        named = sample if set(sample) == set(self.inputs) else dict(zip(self.inputs, sample.values(), strict=True))
        given = {}
        for name, one in self._inputs.items():
            array = np.asarray(named[name])
            array = array.astype(_TYPES.get(one.type, array.dtype))
            given[name] = array[None] if len(one.shape) == array.ndim + 1 else array
        try:
            made = self._session.run(self.tensors, given)
        except Exception as error:
            raise BuildError(f"{self.path} does not run on these data: {_line(error)}", argument="--data") from None
        found = zip(self.tensors, made, strict=True)
        return {**named, **{name: a for name, a in found if isinstance(a, np.ndarray) and a.dtype.kind in "fiu"}}


_TYPES = {
    **{"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64},
    **{"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(uint8)": np.uint8},
}


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def shape_without_ones(array: Any) -> Shape:
    return tuple(n for n in np.shape(array) if n != 1)


def counterparts(
    net: NetFiles, blobs: Sequence[Blobs], onnx: OnnxNet, tensors: Sequence[Blobs]
) -> tuple[dict[str, str], list[Blobs]]:
    """Blob -> tensor that stands for the same, and the tensors as the blobs lie.

    blobs, tensors: of each sample. Of one name and shape; of the same numbers, which a blob that is right has; between
    these the nearest of the same shape; outputs by place.
    """
    plain = [b for la in net.layers if la.spec.type not in ("Split", "Noop", "Input") for b in la.outputs]
    plain = [b for b in plain if b in blobs[0]]
    names = [t for t in onnx.tensors if t in tensors[0] and tensors[0][t].size]
    found = dict(zip(net.inputs, onnx.inputs, strict=True)) if set(net.inputs) != set(onnx.inputs) else {}
    found |= {b: b for b in net.inputs if b in onnx.inputs}
    found |= {b: b for b in plain if b in tensors[0] and _fits(blobs[0][b], tensors[0][b])}
    left = [t for t in names if t not in found.values()]
    for blob in (b for b in plain if b not in found):
        same = next((t for t in left if _same([s[blob] for s in blobs], [s[t] for s in tensors])), None)
        if same is not None:
            found[blob] = same
            left.remove(same)
    place = {t: i for i, t in enumerate(names)}
    last = -1
    for i, blob in enumerate(plain):  # what is wrong: the nearest of those between its neighbours
        if blob not in found:
            end = min((place[found[b]] for b in plain[i:] if b in found and place[found[b]] > last), default=len(names))
            between = [t for t in names[last + 1 : end] if _fits(blobs[0][blob], tensors[0][t])]
            if between:
                found[blob] = min(between, key=lambda t: _distance([s[blob] for s in blobs], [s[t] for s in tensors]))
        last = max(last, place[found[blob]] if blob in found else -1)
    ends = [o for o in net.outputs if o not in found], [o for o in onnx.outputs if o not in found.values()]
    if len(ends[0]) == len(ends[1]):
        pairs = zip(*ends, strict=True)
        found.update(
            (b, t) for b, t in pairs if b in blobs[0] and t in tensors[0] and _fits(blobs[0][b], tensors[0][t])
        )
    laid = [
        {t: np.asarray(run[t], np.float32).reshape(own[b].shape) for b, t in found.items()}
        for run, own in zip(tensors, blobs, strict=True)
    ]
    return found, laid


def _fits(blob: Any, tensor: Any) -> bool:
    return shape_without_ones(blob) == shape_without_ones(tensor)


def _same(blob: Sequence[Any], tensor: Sequence[Any]) -> bool:
    if not np.any(tensor[0]) or not all(map(_fits, blob, tensor)):
        return False
    few = [[np.ravel(a)[:: max(1, a.size // 256)] for a in arrays] for arrays in (blob, tensor)]  # most differ here
    return _errors(*few).sqnr > 20 and _errors(blob, tensor).relative < SAME


def _distance(blob: Sequence[Any], tensor: Sequence[Any]) -> float:
    e = _errors(blob, tensor)
    return -e.sqnr if e.finite else math.inf


def _errors(blob: Sequence[Any], tensor: Sequence[Any]) -> Errors:
    with np.errstate(over="ignore"):  # numbers of int64 and float64
        laid = [np.asarray(t, np.float32).reshape(b.shape) for b, t in zip(blob, tensor, strict=True)]
    return errors_of(blob, laid)
