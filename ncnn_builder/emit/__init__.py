"""From a graph to files: legalise into layers, write, read back, compare, put the files in place at once."""

from .compile import EmittedModel, compile_graph, emit_graph, save
from .files import write_files
from .half import STORAGES, WeightStorage
from .load import load

__all__ = [
    "STORAGES",
    "EmittedModel",
    "WeightStorage",
    "compile_graph",
    "emit_graph",
    "load",
    "save",
    "write_files",
]
