"""Wrong calls of the DSL functions that make ncnn's own layers; test_dsl_errors has the others, and tries all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

import ncnn_builder as nb

Call = Callable[[nb.Graph, "Inputs"], Any]


class Inputs:
    """Inputs of every rank, made in the graph when they are asked for."""

    SHAPES = {
        "v": (5,),
        "m": (3, 5),
        "x": (5, 6, 7),
        "f": (4, 5, 3, 3),
        "one": (1,),
        "t": (4,),
        "six": (6,),
        "plane": (1, 6, 7),
    }

    def __init__(self, g: nb.Graph) -> None:
        self._graph = g

    def __getattr__(self, name: str) -> nb.Value:
        value = self._graph.input(name, self.SHAPES[name])
        setattr(self, name, value)
        return value


# What each function has to refuse: the functions' names, a label, the call, and a word that the message needs.
WRONG_LAYERS: list[tuple[str, str, Call, str]] = [
    # of one number
    ("prelu", "slopes", lambda g, i: nb.prelu(g, i.x, nn.PReLU(4)), "1 or 5"),
    ("prelu", "text", lambda g, i: nb.prelu(g, i.x, "slope"), "weight"),
    ("prelu", "inputs", lambda g, i: nb.prelu(g, [i.x, i.v], 0.5), "got 2"),
    ("threshold", "limit", lambda g, i: nb.threshold(g, i.x, "high"), "threshold"),
    ("absval", "inputs", lambda g, i: nb.absval(g, [i.x, i.v]), "2 inputs"),
    ("unaryOp", "name", lambda g, i: nb.unaryOp(g, i.x, "cube"), "cube"),
    ("exp", "base", lambda g, i: nb.exp(g, i.x, base=0), "above 0"),
    ("exp", "scale", lambda g, i: nb.exp(g, i.x, scale="two"), "scale"),
    ("log", "base", lambda g, i: nb.log(g, i.x, base=1), "base"),
    ("log", "negative", lambda g, i: nb.log(g, i.x, base=-2), "above 0"),
    ("power", "power", lambda g, i: nb.power(g, i.x, None), "power"),
    ("dropout", "scale", lambda g, i: nb.dropout(g, i.x, "half"), "scale"),
    ("deepcopy", "inputs", lambda g, i: nb.deepcopy(g, []), "0 inputs"),
    ("noop", "inputs", lambda g, i: nb.noop(g, []), "got 0"),
    ("activation", "celu", lambda g, i: nb.activation(g, i.x, "celu", {"alpha": 0}), "alpha"),
    ("activation", "gelu", lambda g, i: nb.activation(g, i.x, "gelu", {"approximate": "erf"}), "approximate"),
    ("activation", "hardtanh", lambda g, i: nb.activation(g, i.x, "hardtanh", {"min_val": 2}), "min is above max"),
    ("binaryOp", "base", lambda g, i: nb.binaryOp(g, [i.x, -2.0], "RPow"), "above 0"),
    ("pad", "each", lambda g, i: nb.pad(g, i.x, top=1, value=[1.0, 2.0]), "per channel"),
    ("pad", "each of 2", lambda g, i: nb.pad(g, i.m, top=1, value=[1.0, 2.0]), "per channel"),
]
