"""Wrong calls of the DSL functions that make ncnn's own layers; test_dsl_errors has the others, and tries all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

import ncnn_builder as nb

W4 = np.ones((4, 5, 3, 3), np.float32)
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
    # normalisations
    ("batch_norm", "channels", lambda g, i: nb.batch_norm(g, i.x, nn.BatchNorm2d(4)), "channels"),
    ("batch_norm", "module", lambda g, i: nb.batch_norm(g, i.x, nn.Linear(5, 5)), "BatchNorm"),
    (
        "batch_norm",
        "statistics",
        lambda g, i: nb.batch_norm(g, i.x, nn.BatchNorm2d(5, track_running_stats=False)),
        "run",
    ),
    ("instance_norm", "channels", lambda g, i: nb.instance_norm(g, i.x, nn.InstanceNorm2d(4)), "channels"),
    ("instance_norm", "rank", lambda g, i: nb.instance_norm(g, i.v, nn.InstanceNorm1d(5)), "3-D"),
    ("instance_norm", "module", lambda g, i: nb.instance_norm(g, i.x, None), "InstanceNorm"),
    (
        "instance_norm",
        "statistics",
        lambda g, i: nb.instance_norm(g, i.x, nn.InstanceNorm2d(5, track_running_stats=True)),
        "batch_norm",
    ),
    ("group_norm", "channels", lambda g, i: nb.group_norm(g, i.x, nn.GroupNorm(2, 4)), "channels"),
    ("group_norm", "module", lambda g, i: nb.group_norm(g, i.x, 2), "GroupNorm"),
    ("layer_norm", "shape", lambda g, i: nb.layer_norm(g, i.x, nn.LayerNorm(6)), "[5, 6, 7]"),
    ("layer_norm", "module", lambda g, i: nb.layer_norm(g, i.x, "norm"), "LayerNorm"),
    ("rms_norm", "shape", lambda g, i: nb.rms_norm(g, i.x, nn.RMSNorm((5, 6))), "[5, 6, 7]"),
    ("local_response_norm", "rank", lambda g, i: nb.local_response_norm(g, i.m, 3), "3-D"),
    ("local_response_norm", "size", lambda g, i: nb.local_response_norm(g, i.x, 0), "size"),
    ("normalize", "rank", lambda g, i: nb.normalize(g, i.m), "3-D"),
    ("normalize", "p", lambda g, i: nb.normalize(g, i.x, p=1), "Euclidean"),
    ("normalize", "dim", lambda g, i: nb.normalize(g, i.x, dim=2), "dim"),
    ("normalize", "scale", lambda g, i: nb.normalize(g, i.x, scale=[1, 2]), "scales"),
    ("normalize", "mode", lambda g, i: nb.normalize(g, i.x, eps_mode=3), "eps_mode"),
    ("mvn", "rank", lambda g, i: nb.mvn(g, i.v), "3-D"),
    # per channel, several Values, matrices
    ("bias", "rank", lambda g, i: nb.bias(g, i.v, np.ones(5)), "3-D"),
    ("bias", "channels", lambda g, i: nb.bias(g, i.x, np.ones(4)), "[5]"),
    ("scale", "nothing", lambda g, i: nb.scale(g, i.x), "scale"),
    ("scale", "channels", lambda g, i: nb.scale(g, i.x, np.ones(4)), "[5]"),
    ("scale", "both", lambda g, i: nb.scale(g, [i.x, i.v], np.ones(5)), "input"),
    ("scale", "bias", lambda g, i: nb.scale(g, i.x, np.ones(5), np.ones(4)), "bias"),
    ("eltwise", "op", lambda g, i: nb.eltwise(g, [i.x, i.x], "Min"), "Min"),
    ("eltwise", "one", lambda g, i: nb.eltwise(g, i.x), "1 inputs"),
    ("eltwise", "shape", lambda g, i: nb.eltwise(g, [i.x, i.plane]), "wrong shape"),
    ("eltwise", "coeffs", lambda g, i: nb.eltwise(g, [i.x, i.x], "Sum", [1.0]), "coeffs"),
    ("eltwise", "factors", lambda g, i: nb.eltwise(g, [i.x, i.x], "Max", [1.0, 2.0]), "coeffs"),
    ("linear", "features", lambda g, i: nb.linear(g, i.v, nn.Linear(4, 3)), "[3, 5]"),
    ("linear", "module", lambda g, i: nb.linear(g, i.v, "linear"), "Linear"),
    ("matmul", "inner", lambda g, i: nb.matmul(g, [i.m, i.m]), "inner"),
    ("matmul", "one", lambda g, i: nb.matmul(g, i.m), "matmul"),
    ("matmul", "outer", lambda g, i: nb.matmul(g, [i.x, g.input("y", (4, 7, 6))]), "outer"),
    ("matmul", "rank", lambda g, i: nb.matmul(g, [i.m, i.v]), "2-D"),
    ("memorydata", "number", lambda g, i: nb.memorydata(g, 1.0), "1 to 4"),
    ("memorydata", "rank", lambda g, i: nb.memorydata(g, np.ones((1, 1, 1, 1, 1))), "1 to 4"),
    ("pixel_shuffle", "channels", lambda g, i: nb.pixel_shuffle(g, i.x, 2), "channels"),
    ("pixel_shuffle", "rank", lambda g, i: nb.pixel_shuffle(g, i.m, 2), "3-D"),
    ("pixel_shuffle", "mode", lambda g, i: nb.pixel_shuffle(g, i.x, 1, mode="down"), "mode"),
    # parts and orders
    ("slice", "sizes", lambda g, i: nb.slice(g, i.x, [2, 2], 1), "5 together"),
    ("slice", "size", lambda g, i: nb.slice(g, i.x, 0, 1), ">= 1"),
    ("slice", "batch", lambda g, i: nb.slice(g, i.x, 2), "bad axis"),
    ("slice", "dim", lambda g, i: nb.slice(g, i.x, 2, 4), "bad axis"),
    ("tensor_split", "parts", lambda g, i: nb.tensor_split(g, i.x, 6, 1), "1 to 5"),
    ("tensor_split", "cuts", lambda g, i: nb.tensor_split(g, i.x, (3, 2), 1), "parts do not fit"),
    ("tile", "repeats", lambda g, i: nb.tile(g, i.m, (0, 1)), "repeats"),
    ("tile", "too many", lambda g, i: nb.tile(g, i.m, (1, 1, 1, 1, 1)), "1 to 4"),
    ("flip", "dims", lambda g, i: nb.flip(g, i.x, 0), "dims"),
    ("flip", "twice", lambda g, i: nb.flip(g, i.x, (1, -3)), "distinct"),
    ("copyto", "outside", lambda g, i: nb.copyto(g, [i.x, i.plane], (5, 0, 0)), "outside"),
    ("copyto", "rank", lambda g, i: nb.copyto(g, [i.x, i.m], (0, 0, 0)), "ranks"),
    ("copyto", "starts", lambda g, i: nb.copyto(g, [i.x, i.plane], (0, 0)), "starts"),
    ("diag", "rank", lambda g, i: nb.diag(g, i.x), "1-D or 2-D"),
    ("diag", "none", lambda g, i: nb.diag(g, i.m, 5), "diagonal"),
    ("channel_shuffle", "groups", lambda g, i: nb.channel_shuffle(g, i.x, 2), "groups"),
    ("channel_shuffle", "rank", lambda g, i: nb.channel_shuffle(g, i.m, 1), "3-D"),
    ("flatten", "inputs", lambda g, i: nb.flatten(g, [i.x, i.m]), "got 2"),
    ("squeeze", "size", lambda g, i: nb.squeeze(g, i.x, 1), "not 1"),
    ("squeeze", "dim", lambda g, i: nb.squeeze(g, i.plane, 0), "bad axis"),
    ("unsqueeze", "rank", lambda g, i: nb.unsqueeze(g, i.x, (1, 2)), "4 at most"),
    ("unsqueeze", "dim", lambda g, i: nb.unsqueeze(g, i.m, 5), "bad axis"),
    ("pixel_unshuffle", "factor", lambda g, i: nb.pixel_unshuffle(g, i.x, 9), "1 to 6"),
    ("pixel_unshuffle", "mode", lambda g, i: nb.pixel_unshuffle(g, i.x, 2, mode=2), "mode"),
    # convolutions of other dimensions
    ("conv1d", "rank", lambda g, i: nb.conv1d(g, i.x, nn.Conv1d(5, 4, 3)), "2-D"),
    ("conv1d", "channels", lambda g, i: nb.conv1d(g, i.m, nn.Conv1d(4, 4, 3)), "[4, 3, 3]"),
    ("conv1d", "kernel", lambda g, i: nb.conv1d(g, i.m, nn.Conv1d(3, 4, 9)), "nothing is left"),
    (
        "conv1d",
        "circular",
        lambda g, i: nb.conv1d(g, i.m, nn.Conv1d(3, 4, 3, padding=1, padding_mode="circular")),
        "circ",
    ),
    ("conv1d", "module", lambda g, i: nb.conv1d(g, i.m, nn.Linear(5, 5)), "Conv1d"),
    ("conv3d", "rank", lambda g, i: nb.conv3d(g, i.x, nn.Conv3d(5, 4, 1)), "4-D"),
    (
        "conv3d",
        "mode",
        lambda g, i: nb.conv3d(g, i.f, nn.Conv3d(4, 4, 3, padding=1, padding_mode="reflect")),
        "reflect",
    ),
    ("conv3d", "module", lambda g, i: nb.conv3d(g, i.f, nn.Conv2d(4, 4, 3)), "5 dimensions"),
    ("conv_transpose1d", "channels", lambda g, i: nb.conv_transpose1d(g, i.m, nn.ConvTranspose1d(4, 4, 3)), "channels"),
    ("conv_transpose1d", "module", lambda g, i: nb.conv_transpose1d(g, i.m, nn.Conv1d(3, 3, 1)), "not transposed"),
    ("conv1d", "transposed", lambda g, i: nb.conv1d(g, i.m, nn.ConvTranspose1d(3, 3, 1)), "transposed"),
    ("conv2d", "transposed", lambda g, i: nb.conv2d(g, i.x, nn.ConvTranspose2d(5, 5, 1)), "nn.Conv2d"),
    ("conv_transpose2d", "rank", lambda g, i: nb.conv_transpose2d(g, i.m, nn.ConvTranspose2d(3, 4, 3)), "3-D"),
    ("conv_transpose2d", "channels", lambda g, i: nb.conv_transpose2d(g, i.x, nn.ConvTranspose2d(4, 4, 3)), "channels"),
    ("conv_transpose3d", "rank", lambda g, i: nb.conv_transpose3d(g, i.x, nn.ConvTranspose3d(5, 4, 3)), "4-D"),
    (
        "conv_transpose3d",
        "padded",
        lambda g, i: nb.conv_transpose3d(g, i.f, nn.ConvTranspose3d(4, 4, 1, padding=3)),
        "left",
    ),
    ("Fconv1d", "no weight", lambda g, i: nb.Fconv1d(g, i.m), "[x, w]"),
    ("Fconv1d", "rank of w", lambda g, i: nb.Fconv1d(g, [i.m, i.v]), "3-D"),
    ("Fconv1d", "groups", lambda g, i: nb.Fconv1d(g, [i.m, i.x], groups=0), "groups"),
    ("Fconv1d", "stride", lambda g, i: nb.Fconv1d(g, [i.m, i.x], stride=0), "stride"),
    ("Fconv_transpose1d", "weight", lambda g, i: nb.Fconv_transpose1d(g, [i.m, i.x]), "weight"),
    (
        "Fconv_transpose1d",
        "extra",
        lambda g, i: nb.Fconv_transpose1d(g, [i.m, i.x], output_padding=-1),
        "output_padding",
    ),
    # pooling
    ("pooling1d", "rank", lambda g, i: nb.pooling1d(g, i.x, nn.MaxPool1d(2)), "2-D"),
    ("pooling1d", "module", lambda g, i: nb.pooling1d(g, i.m, nn.MaxPool2d(2)), "MaxPool1d"),
    ("pooling1d", "large", lambda g, i: nb.pooling1d(g, i.m, nn.MaxPool1d(9)), "larger"),
    ("pooling1d", "dilation", lambda g, i: nb.pooling1d(g, i.m, nn.MaxPool1d(2, dilation=2)), "dilation"),
    ("pooling1d", "ceil", lambda g, i: nb.pooling1d(g, i.m, nn.AvgPool1d(2, ceil_mode=True)), "count_include_pad"),
    ("pooling3d", "rank", lambda g, i: nb.pooling3d(g, i.x, nn.MaxPool3d(2)), "4-D"),
    ("pooling3d", "divisor", lambda g, i: nb.pooling3d(g, i.f, nn.AvgPool3d(1, divisor_override=2)), "divisor"),
    ("pooling3d", "indices", lambda g, i: nb.pooling3d(g, i.f, nn.MaxPool3d(1, return_indices=True)), "indices"),
    ("global_pool", "rank", lambda g, i: nb.global_pool(g, i.v), "2-D"),
    ("global_pool", "op", lambda g, i: nb.global_pool(g, i.x, "MinPool"), "MinPool"),
    ("statistics_pooling", "rank", lambda g, i: nb.statistics_pooling(g, i.m), "3-D"),
    ("spp", "rank", lambda g, i: nb.spp(g, i.m, 2), "3-D"),
    ("spp", "levels", lambda g, i: nb.spp(g, i.x, 0), "1 to 15"),
    ("spp", "op", lambda g, i: nb.spp(g, i.x, 1, "SumPool"), "SumPool"),
    ("argmax", "topk", lambda g, i: nb.argmax(g, i.v, 6), "1 to 5"),
    ("argmax", "rank", lambda g, i: nb.argmax(g, i.x), "1-D or 2-D"),
    # places that are computed
    ("grid_sample", "grid", lambda g, i: nb.grid_sample(g, [i.x, g.input("grid", (4, 4, 3))]), "grid"),
    ("grid_sample", "mode", lambda g, i: nb.grid_sample(g, [i.x, i.x], "area"), "area"),
    ("grid_sample", "border", lambda g, i: nb.grid_sample(g, [i.x, i.x], padding_mode="wrap"), "wrap"),
    (
        "grid_sample",
        "cubic",
        lambda g, i: nb.grid_sample(g, [i.f, g.input("grid", (2, 2, 2, 3))], "bicubic"),
        "bicubic",
    ),
    ("deform_conv2d", "offset", lambda g, i: nb.deform_conv2d(g, [i.x, i.plane], W4), "[18, 4, 5]"),
    ("deform_conv2d", "weight", lambda g, i: nb.deform_conv2d(g, [i.plane, i.plane], W4), "[4, 1, 3, 3]"),
    ("deform_conv2d", "rank", lambda g, i: nb.deform_conv2d(g, [i.x, i.plane], np.ones(3)), "4 dimensions"),
    ("deform_conv2d", "no offset", lambda g, i: nb.deform_conv2d(g, i.x, W4), "1 inputs"),
    ("unfold", "rank", lambda g, i: nb.unfold(g, i.m, 2), "3-D"),
    ("unfold", "large", lambda g, i: nb.unfold(g, i.x, 9), "larger"),
    ("unfold", "stride", lambda g, i: nb.unfold(g, i.x, 2, stride=0), "stride"),
    ("fold", "columns", lambda g, i: nb.fold(g, g.input("c", (8, 5)), (4, 4), 2), "[C * 4, 9]"),
    ("fold", "rank", lambda g, i: nb.fold(g, i.x, 4, 2), "2-D"),
    # products and sequences
    ("gemm", "inner", lambda g, i: nb.gemm(g, [i.m, i.m]), "inner"),
    ("gemm", "alone", lambda g, i: nb.gemm(g, i.m), "2-D A and B"),
    ("gemm", "rank", lambda g, i: nb.gemm(g, [i.x, i.m]), "matrix"),
    ("gemm", "alpha", lambda g, i: nb.gemm(g, [i.m, i.m], trans_b=True, alpha=0), "alpha"),
    ("gemm", "c", lambda g, i: nb.gemm(g, [i.m, i.m], trans_b=True, c=np.ones(5)), "argument c"),
    ("gemm", "input c", lambda g, i: nb.gemm(g, [i.m, i.m, i.v], trans_b=True), "argument C"),
    ("gemm", "too many", lambda g, i: nb.gemm(g, [i.m, i.m, i.m], trans_b=True, c=np.ones(3)), "too many"),
    ("einsum", "sizes", lambda g, i: nb.einsum(g, [i.m, i.m], "ij,jk->ik"), "two sizes"),
    ("einsum", "inputs", lambda g, i: nb.einsum(g, i.m, "ij,jk->ik"), "inputs"),
    ("einsum", "rank", lambda g, i: nb.einsum(g, i.m, "ijk->k"), "indices"),
    ("einsum", "scalar", lambda g, i: nb.einsum(g, i.m, "ij->"), "1 to 4"),
    ("einsum", "dots", lambda g, i: nb.einsum(g, i.m, "...j->j"), "equation"),
    ("einsum", "trace", lambda g, i: nb.einsum(g, i.m, "ii"), "square"),
    ("embedding", "value", lambda g, i: nb.embedding(g, nb.square(g, i.v), nn.Embedding(3, 4)), "whole numbers"),
    ("embedding", "twice", lambda g, i: [nb.embedding(g, i.v, W) for W in (W4[0, 0], W4[0, 0])], "whole numbers"),
    ("embedding", "rank", lambda g, i: nb.embedding(g, i.m, nn.Embedding(3, 4)), "1-D"),
    ("embedding", "norm", lambda g, i: nb.embedding(g, i.v, nn.Embedding(3, 4, max_norm=1.0)), "max_norm"),
    ("embedding", "bias", lambda g, i: nb.embedding(g, i.v, nn.Embedding(3, 4), np.ones(3)), "bias"),
    ("square", "whole numbers", lambda g, i: [nb.embedding(g, i.v, W4[0, 0]), nb.square(g, i.v)], "whole numbers"),
    ("cumsum", "dim", lambda g, i: nb.cumsum(g, i.m, 0), "bad axis"),
    ("glu", "odd", lambda g, i: nb.glu(g, i.v), "even"),
    ("glu", "dim", lambda g, i: nb.glu(g, i.x, 4), "bad axis"),
    # recurrent
    ("rnn", "features", lambda g, i: nb.rnn(g, i.m, nn.RNN(4, 2)), "does not fit"),
    ("rnn", "relu", lambda g, i: nb.rnn(g, i.m, nn.RNN(5, 2, nonlinearity="relu")), "tanh"),
    ("rnn", "module", lambda g, i: nb.rnn(g, i.m, nn.GRU(5, 2)), "RNN"),
    ("rnn", "rank", lambda g, i: nb.rnn(g, i.v, nn.RNN(5, 2)), "2-D"),
    ("lstm", "states", lambda g, i: nb.lstm(g, [i.m, i.m], nn.LSTM(5, 2)), "states"),
    ("lstm", "state", lambda g, i: nb.lstm(g, [i.m, i.m, i.m], nn.LSTM(5, 2)), "[1, 2]"),
    ("lstm", "layers", lambda g, i: nb.lstm(g, [i.m, i.m, i.m], nn.LSTM(5, 2, 2)), "one layer"),
    ("gru", "module", lambda g, i: nb.gru(g, i.m, nn.Linear(5, 5)), "GRU"),
    ("gru", "state", lambda g, i: nb.gru(g, [i.m, i.v], nn.GRU(5, 2)), "state"),
]
