"""What is to be examined: a torch module, how it is called, and how its graph is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import BuildError, NcnnBuilderError
from ..ir import Graph
from ..modules import export_module


@dataclass(frozen=True)
class Case:
    """A module and its inputs, for torch and for ncnn.

    module  the nn.Module
    build   () -> the graph of the module, built anew at each call
    call    () -> runs the module's forward()
    inputs  graph input -> array without the batch
    prefix  what the graph's module paths have in front of the module's own, such as ``synthesis``
    """

    module: Any
    build: Callable[[], Graph]
    call: Callable[[], Any]
    inputs: dict[str, Any]
    prefix: str


def case_of(module: Any, arrays: Mapping[str, Any]) -> Case:
    """The case of a module that has forward() and export_ncnn(g, inputs), or that export_module() knows.

    arrays: name -> array as forward() takes it, with a batch of 1: [1, ...]. In their order they become

    - arguments of forward(): by keyword where forward() has a parameter of that name, by position else (numpy names
      them arr_0, arr_1, ... in ``numpy.savez(file, a, b)``), as tensors of the array's own type;
    - inputs of the graph, of that name and of the shape without the batch, given to export_ncnn() as a list.

    A module with a method ``doctor_case(arrays)`` says all that by itself: it returns a Case.
    Raises BuildError for what has no forward(), or an array without a batch of 1.
    """
    if hasattr(module, "doctor_case"):
        own: Case = module.doctor_case(arrays)
        return own
    if not callable(getattr(module, "forward", None)):
        raise BuildError("the model has no forward()", expected="a torch module", got=type(module).__name__)
    for name, array in arrays.items():
        if not 2 <= array.ndim <= 5 or array.shape[0] != 1:
            raise BuildError(f"input {name}", expected="a batch of 1: shape [1, ...]", got=list(array.shape))
    import torch

    parameters = inspect.signature(module.forward).parameters
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    by_name = {name: tensor for name, tensor in tensors.items() if name in parameters}
    in_order = [tensor for name, tensor in tensors.items() if name not in parameters]
    prefix = type(module).__name__

    def build() -> Graph:
        g = Graph(prefix)
        values = [g.input(name, array.shape[1:]) for name, array in arrays.items()]
        with g.scope(prefix):
            results = export_module(g, module, values)
            g.tap(*results)
        for i, value in enumerate(v for v in results if v is not None):
            g.output(f"out{i}", value)
        return g

    def call() -> Any:  # on copies: a module that works in place writes into what it is given
        return module(*(t.clone() for t in in_order), **{name: t.clone() for name, t in by_name.items()})

    return Case(module, build, call, {name: array[0].copy() for name, array in arrays.items()}, prefix)


def guarded(what: str, call: Callable[[], Any]) -> Any:
    """What `call` returns; an exception of the user's own code becomes a BuildError of one sentence."""
    try:
        return call()
    except (NcnnBuilderError, MemoryError):
        raise
    except Exception as error:
        where = ""
        if error.__traceback__ is not None:
            last = inspect.getinnerframes(error.__traceback__)[-1]
            where = f" ({last.filename.rpartition('/')[2]}:{last.lineno})"
        text = " ".join(str(error).split())
        raise BuildError(f"{what} raised {type(error).__name__}: {text}{where}") from error
