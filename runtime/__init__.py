"""Runs what ncnn_builder exports, and any other ncnn net. Needs numpy (and pillow for pictures), never torch.

``Net`` is one net, ``Model`` a generator's bundle; ``python -m runtime.run`` makes pictures and videos.
"""

from __future__ import annotations

import pkgutil

# A checkout holds the Python files, an installed package the extension: this finds both.
__path__ = pkgutil.extend_path(__path__, __name__)

from .waiting import short

try:
    with short():
        from . import _ncnn as _ncnn
except ModuleNotFoundError as error:
    if error.name != f"{__name__}._ncnn":
        raise
    raise ImportError(
        "the extension runtime._ncnn is missing for this Python: install the project with `pip install .`"
    ) from None

from .errors import (
    BlobError,
    BundleError,
    CrashError,
    InputError,
    LayerError,
    NcnnError,
    OptionError,
    ParamError,
    SeedError,
    UsageError,
    WeightsError,
)
from .layers import add_layers
from .model import Model
from .net import Net
from .transforms import transform_matrix

__all__ = [
    "BlobError",
    "BundleError",
    "CrashError",
    "InputError",
    "LayerError",
    "Model",
    "NcnnError",
    "Net",
    "OptionError",
    "ParamError",
    "SeedError",
    "UsageError",
    "WeightsError",
    "add_layers",
    "transform_matrix",
]
