"""Layers of your own in C++, which every net knows from then on."""

from __future__ import annotations

import os

from . import _ncnn


def add_layers(library: str | os.PathLike[str]) -> list[str]:
    """Load a library of ncnn layers, which every Net that is made from now on knows, isolated ones too.

    library: what ncnn_builder_add_layers() of CMake has built: `python -m runtime.sdk` says where that and its header
    are, examples/own_layer is a whole one. Returns the types of its layers. The same library again changes nothing; it
    stays loaded as long as Python runs.

    Raises OptionError for a file that is no such library, that was built with another ncnn than this runtime, or that
    has a type of layers which ncnn, this runtime or another library has. A layer's code runs in this process, like that
    of any extension of Python.
    """
    return _ncnn.add_layers(os.fspath(library))
