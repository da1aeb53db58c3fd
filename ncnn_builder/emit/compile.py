"""The way from a built graph to an emitted model."""

from __future__ import annotations

import io
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from ..errors import EmitError
from ..ir import Array, Graph, Params, Shape
from ..pipeline import ORACLE, lower_and_optimise
from .blob import decode, encode, read_bin, write_bin
from .dump import Dump
from .files import write_files
from .foreign import Foreign
from .half import AS_READ, WeightStorage, store, without_old_tags
from .layers import Layer, legalise
from .stated import statement
from .text import read_param, write_param


@dataclass
class EmittedModel:
    """A net as files hold it.

    param, bin       what goes into the two files
    inputs, outputs  blob name -> shape ((): not known, which only a net that was read can have)
    taps             module path -> blob name
    weights          how the weights are stored, and what was lost by it
    """

    param: str
    bin: bytes
    inputs: dict[str, Shape]
    outputs: dict[str, Shape]
    taps: dict[str, str]
    layers: int
    weights: WeightStorage


def compile_graph(
    graph: Graph, target: str = "reference", *, weights: str = AS_READ, dump: str | PathLike[str] | None = None
) -> EmittedModel:
    """verify -> passes -> lower -> passes -> legalise -> write -> read back and compare.

    weights: "fp32", or "fp16" for a file of half the size whose weights are rounded; "as read" is fp32 as well, but
    for weights that were read from a file and that no pass has touched: they stay as that file has them, with the
    target `reference` also tags of ncnnllm2int that ncnn no longer reads. dump: a folder that gets the graph as text
    before and after every step, also where a step fails.
    Raises NcnnBuilderError: BuildError for the target or weights, VerifyError for the graph, EmitError for what could
    not be written faithfully.
    """
    steps = None if dump is None else Dump(Path(dump), graph)
    try:
        lowered = lower_and_optimise(graph, target, steps.record if steps else None)
    finally:
        if steps is not None:
            steps.write()
    return emit_graph(lowered, weights, spent=lowered is not graph, old_tags=target == ORACLE)


def emit_graph(lowered: Graph, weights: str = AS_READ, *, spent: bool = False, old_tags: bool = True) -> EmittedModel:
    """legalise -> write -> read back and compare, of a graph that is lowered. Raises as compile_graph().

    spent: nobody needs the graph any longer; its weights go as they are written. old_tags: those that ncnn no longer
    reads, of a file that was read, stay.
    """
    layers, taps = legalise(lowered)
    if not old_tags:
        without_old_tags(layers)
    storage = store(layers, weights)
    text = write_param(layers)
    data = _written(layers, text, spent)
    return EmittedModel(
        text,
        data,
        {v.name: v.shape for v in lowered.inputs},
        {name: v.shape for name, v in lowered.outputs.items()},
        taps,
        len(layers),
        storage,
    )


def _written(layers: list[Layer], text: str, spent: bool = False) -> bytes:
    """The .bin file. Every emit is parsed back: what the reader understands must be what was meant.

    Layer by layer, so that of a graph that is spent each weight is there once.
    """
    data = io.BytesIO()
    for meant, read in zip(layers, read_param(text), strict=True):
        begin = data.tell()
        data.writelines(write_bin([meant]))
        with data.getbuffer() as whole, whole[begin:] as part:
            _compare(meant, read, part)
        if spent:
            meant.weights.clear()
    return data.getvalue()


def _compare(meant: Layer, read: Layer, data: memoryview) -> None:
    """read: the layer as the text has it; its weights are read from the data."""
    read_bin(data, [read])
    same = (
        _same_spec(meant, read)
        and meant.name == read.name
        and meant.inputs == read.inputs
        and meant.outputs == read.outputs
        and _singles(_params(meant)) == _singles(_params(read))
        and meant.weights.keys() == read.weights.keys()
        and meant.stored == read.stored
        and meant.mask == read.mask
        and all(np.array_equal(_as_stored(meant, k), read.weights[k]) for k in meant.weights)
    )
    read.weights.clear()  # they are the data's own memory
    if not same:
        raise EmitError("a layer did not read back as it was written", node=meant.name, expected=meant, got=read)


def _params(layer: Layer) -> dict[str, object]:
    return dict(layer.spec.given if isinstance(layer.spec, Foreign) else layer.params)


def _same_spec(meant: Layer, read: Layer) -> bool:
    if isinstance(meant.spec, Foreign):
        if isinstance(read.spec, Foreign):
            return (meant.spec.written, meant.spec.verbatim) == (read.spec.written, read.spec.verbatim)
        # one that is kept for the shapes of its inputs, which a reader of the text alone does not know
        return meant.spec.base is not None and meant.spec.base.type == read.spec.type
    if meant.spec.foreign:
        return meant.spec.type == read.spec.type  # a quantised one
    return meant.spec is read.spec


def _as_stored(layer: Layer, name: str) -> Array:
    """The numbers of a weight, flat, rounded if the file rounds them."""
    data, stored = layer.weights[name].reshape(-1), layer.stored.get(name, "fp32")
    return data if stored == "fp32" else decode(encode(data, stored).tobytes(), stored)


def _singles(params: Params) -> dict[str, object]:
    """Parameters with floats rounded to float32, as the file holds them."""

    def single(value: object) -> object:
        if isinstance(value, tuple):
            return tuple(map(single, value))
        return float(np.float32(value)) if isinstance(value, float) else value

    return {name: single(value) for name, value in params.items()}


def save(
    graph: Graph,
    param_path: str | PathLike[str],
    bin_path: str | PathLike[str],
    target: str = "reference",
    *,
    weights: str = AS_READ,
) -> EmittedModel:
    """Compile a graph and write both files, at once. Raises as compile_graph(), and EmitError for the files.

    Where inputs have open sizes, a NAME.json beside NAME.param says their names and bounds, for load() and runtime.Net.
    A net that was read, and whose layers are what they were, keeps the text of its .param file: spaces, defaults that
    it leaves out, names of its Splits.
    """
    if Path(param_path) == Path(bin_path):
        raise EmitError("both files have the same path", got=str(param_path))
    model = compile_graph(graph, target, weights=weights)
    if graph.read is not None and graph.read[1] == model.param:
        model.param = graph.read[0]
    files = {Path(param_path): [model.param.encode()], Path(bin_path): [model.bin]}
    sizes = statement(model.param, model.bin, model.inputs, model.outputs)
    if sizes is not None:
        files[Path(param_path).with_suffix(".json")] = [sizes]
    write_files(files)
    return model
