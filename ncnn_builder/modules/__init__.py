"""torch.nn modules that export themselves: what an author does not have to write beside forward()."""

from . import activations, layers, norms, resizing, sequences, shapes
from .pnnx import from_pnnx
from .walk import child, export_module, exports

__all__ = [
    "activations",
    "child",
    "export_module",
    "exports",
    "from_pnnx",
    "layers",
    "norms",
    "resizing",
    "sequences",
    "shapes",
]
