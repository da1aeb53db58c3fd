"""Recurrent layers, attention and embeddings of torch.nn: sequences [T, size], whatever batch_first says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir import Graph, Values
from ..ops.sequences.attention import multihead_attention
from ..ops.sequences.recurrent import gru, lstm, rnn
from ..ops.sequences.sequence import embedding
from .walk import exports, need_eval, through

_RECURRENT: dict[str, Callable[..., Values]] = {"LSTM": lstm, "GRU": gru, "RNN": rnn}

through("Embedding", embedding)


@exports(*_RECURRENT)
def _recurrent(g: Graph, module: Any, inputs: Values) -> Values:
    """[y], or with the states, where they are inputs too."""
    if module.dropout:  # between the layers
        need_eval(g, module)
    return _RECURRENT[module.mode.split("_")[0]](g, inputs, module)


@exports("MultiheadAttention")
def _attention(g: Graph, module: Any, inputs: Values) -> Values:
    """[x] or [query, key, value] -> the first of forward()'s results; the weights of the heads are not computed."""
    if module.dropout:
        need_eval(g, module)
    return multihead_attention(g, inputs[0] if len(set(inputs)) == 1 else inputs, module)
