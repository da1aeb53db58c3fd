"""A call that cannot mean anything is refused in one sentence: which op, which line, what was expected and got."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dsl_errors_layers import WRONG_LAYERS, Call, Inputs
from torch import nn

import ncnn_builder as nb

NAN, INF = float("nan"), float("inf")
W4 = np.ones((4, 5, 3, 3), np.float32)


def fourier(**wrong: Any) -> dict[str, Any]:
    """Right arguments of synthesis_input, but for `wrong`."""
    right = dict(freqs=np.ones((6, 2)), phases=np.ones(6), weight=np.ones((4, 6)), size=8)
    return {**right, "sampling_rate": 8.0, "bandwidth": 2.0, **wrong}


# What each function has to refuse: the functions' names, a label, the call, and a word that the message needs.
WRONG: list[tuple[str, str, Call, str]] = [
    # convolutions with weights in the file
    ("conv2d", "rank", lambda g, i: nb.conv2d(g, i.v, nn.Conv2d(5, 4, 3)), "3-D"),
    ("conv2d", "channels", lambda g, i: nb.conv2d(g, i.x, nn.Conv2d(4, 4, 3)), "[4, 5, 3, 3]"),
    ("conv2d", "kernel", lambda g, i: nb.conv2d(g, i.x, nn.Conv2d(5, 4, 9)), "nothing is left"),
    ("conv2d", "mode", lambda g, i: nb.conv2d(g, i.x, nn.Conv2d(5, 4, 3, padding=1, padding_mode="circular")), "circ"),
    ("conv2d", "groups", lambda g, i: nb.conv2d(g, i.x, nn.Conv2d(4, 4, 3, groups=2)), "group"),
    ("conv2d", "inputs", lambda g, i: nb.conv2d(g, [i.x, i.m], nn.Conv2d(5, 4, 3)), "got 2"),
    ("conv2d", "reflect", lambda g, i: nb.conv2d(g, i.x, nn.Conv2d(5, 4, 3, 1, 6, padding_mode="reflect")), "reflect"),
    ("conv2d", "no module", lambda g, i: nb.conv2d(g, i.x, "conv"), "Conv2d"),
    ("fuse_conv_bn", "rank", lambda g, i: nb.fuse_conv_bn(g, i.m, nn.Conv2d(5, 4, 3), nn.BatchNorm2d(4).eval()), "3-D"),
    ("fuse_conv_bn", "norm", lambda g, i: nb.fuse_conv_bn(g, i.x, nn.Conv2d(5, 4, 3), nn.BatchNorm2d(6).eval()), "4"),
    (
        "fuse_conv_bn",
        "training",
        lambda g, i: nb.fuse_conv_bn(g, i.x, nn.Conv2d(5, 4, 3), nn.BatchNorm2d(4)),
        ".eval()",
    ),
    # convolutions with weights as values
    ("Fconv2d", "no weight", lambda g, i: nb.Fconv2d(g, [i.x]), "[x, w]"),
    ("Fconv2d", "rank of w", lambda g, i: nb.Fconv2d(g, [i.x, i.v]), "4-D"),
    ("Fconv2d", "rank of x", lambda g, i: nb.Fconv2d(g, [i.v, i.f]), "3-D"),
    ("Fconv2d", "channels", lambda g, i: nb.Fconv2d(g, [i.plane, i.f]), "[4, 1, 3, 3]"),
    ("Fconv2d", "bias", lambda g, i: nb.Fconv2d(g, [i.x, i.f, i.v]), "bias"),
    ("Fconv2d", "stride 0", lambda g, i: nb.Fconv2d(g, [i.x, i.f], stride=0), "stride"),
    ("Fconv2d", "stride 3", lambda g, i: nb.Fconv2d(g, [i.x, i.f], stride=(1, 2, 3)), "stride"),
    ("Fconv2d", "dilation", lambda g, i: nb.Fconv2d(g, [i.x, i.f], dilation="two"), "dilation"),
    ("Fconv2d", "padding", lambda g, i: nb.Fconv2d(g, [i.x, i.f], padding=(1, 2, 3)), "padding"),
    ("Fconv2d", "padding nan", lambda g, i: nb.Fconv2d(g, [i.x, i.f], padding=NAN), "padding"),
    ("Fconv2d", "groups", lambda g, i: nb.Fconv2d(g, [i.x, i.f], groups=3), "group"),
    ("Fconv2d", "groups 0", lambda g, i: nb.Fconv2d(g, [i.x, i.f], groups=0), "group"),
    ("Fconv2d", "groups -1", lambda g, i: nb.Fconv2d(g, [i.x, i.f], groups=-1), "group"),
    ("Fconv2d", "groups 1.5", lambda g, i: nb.Fconv2d(g, [i.x, i.f], groups=1.5), "whole"),
    ("Fconv2d", "cropped away", lambda g, i: nb.Fconv2d(g, [i.x, i.f], padding=-3), "nothing is left"),
    ("Fconv2d_depthwise", "rank", lambda g, i: nb.Fconv2d_depthwise(g, [i.x, i.m], groups=5), "4-D"),
    ("Fconv2d_depthwise", "groups", lambda g, i: nb.Fconv2d_depthwise(g, [i.x, i.f], groups=2), "group"),
    ("Fconv2d_depthwise", "no weight", lambda g, i: nb.Fconv2d_depthwise(g, i.x), "[x, w]"),
    ("Fconv_transpose2d", "shape", lambda g, i: nb.Fconv_transpose2d(g, [i.x, i.f], (4, 5, 3)), "weight_shape"),
    (
        "Fconv_transpose2d",
        "torch's order",
        lambda g, i: nb.Fconv_transpose2d(g, [i.x, i.f_in], (5, 2, 3, 3)),
        "ncnn's order",
    ),
    ("Fconv_transpose2d", "weight", lambda g, i: nb.Fconv_transpose2d(g, [i.x, i.f], (5, 4, 3, 3)), "[5, 4, 3, 3]"),
    ("Fconv_transpose2d", "alone", lambda g, i: nb.Fconv_transpose2d(g, [i.x], (4, 5, 3, 3)), "x, w"),
    (
        "Fconv_transpose2d",
        "output padding",
        lambda g, i: nb.Fconv_transpose2d(g, [i.x, i.f], (4, 5, 3, 3), output_padding=-1),
        "output_padding",
    ),
    (
        "Fconv_transpose2d",
        "cropped away",
        lambda g, i: nb.Fconv_transpose2d(g, [i.x, i.f], (4, 5, 3, 3), padding=9),
        "nothing is left",
    ),
    (
        "Fconv_transpose2d",
        "groups 0",
        lambda g, i: nb.Fconv_transpose2d(g, [i.x, i.f], (4, 5, 3, 3), groups=0),
        "group",
    ),
    ("Fconv_transpose2d", "groups", lambda g, i: nb.Fconv_transpose2d(g, [i.x, i.f], (4, 5, 3, 3), groups=3), "group"),
    ("conv_transpose2d", "ncnn's order", lambda g, i: nb.conv_transpose2d(g, [i.x, i.f]), "torch's order"),
    ("conv_transpose2d", "shape", lambda g, i: nb.conv_transpose2d(g, [i.x, i.f_in], (5, 2, 3)), "weight_shape"),
    ("conv_transpose2d", "weight", lambda g, i: nb.conv_transpose2d(g, [i.x, i.f_in], (5, 4, 3, 3)), "[5, 4, 3, 3]"),
    ("conv_transpose2d", "alone", lambda g, i: nb.conv_transpose2d(g, i.x), "x, w"),
    ("conv_transpose2d", "groups 0", lambda g, i: nb.conv_transpose2d(g, [i.x, i.f_in], groups=0), "group"),
    # matrices
    ("Fmatmul", "shape", lambda g, i: nb.Fmatmul(g, [i.v, i.m], (3,)), "weight_shape"),
    ("Fmatmul", "tail", lambda g, i: nb.Fmatmul(g, [i.v, i.m], (3, 5, 2)), "weight_shape"),
    ("Fmatmul", "features", lambda g, i: nb.Fmatmul(g, [i.six, i.m], (3, 5)), "5 features"),
    ("Fmatmul", "elements", lambda g, i: nb.Fmatmul(g, [i.v, i.m], (4, 5)), "20"),
    ("Fmatmul", "bias", lambda g, i: nb.Fmatmul(g, [i.v, i.m, i.v], (3, 5)), "[3]"),
    ("Fmatmul", "rank", lambda g, i: nb.Fmatmul(g, [i.x, i.m], (3, 5)), "1-D or 2-D"),
    ("Fmatmul", "none", lambda g, i: nb.Fmatmul(g, [i.v, i.m], (0, 5)), "out"),
    ("Fmatmul", "inputs", lambda g, i: nb.Fmatmul(g, [i.v], (3, 5)), "x, w"),
    ("fully_connected", "features", lambda g, i: nb.fully_connected(g, i.v, np.ones((3, 4))), "['out', 5]"),
    ("fully_connected", "rank", lambda g, i: nb.fully_connected(g, i.x, np.ones((3, 7))), "1-D or 2-D"),
    ("fully_connected", "weight", lambda g, i: nb.fully_connected(g, i.v, np.ones(5)), "2 dimensions"),
    ("fully_connected", "bias", lambda g, i: nb.fully_connected(g, i.v, np.ones((3, 5)), np.ones(4)), "[3]"),
    ("fully_connected", "act", lambda g, i: nb.fully_connected(g, i.v, np.ones((3, 5)), act="gelu"), "gelu"),
    ("fully_connected", "text", lambda g, i: nb.fully_connected(g, i.v, "weight"), "weight"),
    ("fully_connected", "gain", lambda g, i: nb.fully_connected(g, i.v, np.ones((3, 5)), gain=INF), "gain"),
    # element by element
    ("square", "two inputs", lambda g, i: nb.square(g, [i.v, i.m]), "2 inputs"),
    ("square", "text", lambda g, i: nb.square(g, "x"), "Value"),
    ("square", "number", lambda g, i: nb.square(g, 3), "Value"),
    ("square", "None", lambda g, i: nb.square(g, None), "Value"),
    ("square", "tensor", lambda g, i: nb.square(g, torch.ones(3)), "Value"),
    ("abs", "no input", lambda g, i: nb.abs(g, []), "0 inputs"),
    ("rsqrt", "eps", lambda g, i: nb.rsqrt(g, i.v, eps=NAN), "eps"),
    ("rsqrt", "scale", lambda g, i: nb.rsqrt(g, i.v, scale="a"), "scale"),
    ("rsqrt", "vector", lambda g, i: nb.rsqrt(g, i.v, eps=np.ones(3)), "eps"),
    ("sqrt", "eps", lambda g, i: nb.sqrt(g, i.v, eps=None), "eps"),
    ("sin", "scale", lambda g, i: nb.sin(g, i.v, scale=INF), "scale"),
    ("clamp", "order", lambda g, i: nb.clamp(g, i.v, 1.0, 0.0), "min is above max"),
    ("clamp", "nan", lambda g, i: nb.clamp(g, i.v, NAN), "min"),
    ("MulConstant", "scale", lambda g, i: nb.MulConstant(g, i.v, "x"), "scale"),
    ("MulConstant", "bias", lambda g, i: nb.MulConstant(g, i.v, 1.0, torch.ones(2)), "bias"),
    ("binaryOp", "name", lambda g, i: nb.binaryOp(g, [i.v, i.v], "Plus"), "Plus"),
    ("binaryOp", "shapes", lambda g, i: nb.binaryOp(g, [i.v, i.six], "Add"), "broadcast"),
    ("binaryOp", "alone", lambda g, i: nb.binaryOp(g, [i.v], "Add"), "two inputs"),
    ("binaryOp", "three", lambda g, i: nb.binaryOp(g, [i.v, i.v, i.v], "Add"), "3 inputs"),
    ("binaryOp", "number", lambda g, i: nb.binaryOp(g, [i.v, NAN], "Add"), "second operand"),
    ("binaryOp", "text", lambda g, i: nb.binaryOp(g, [i.v, "two"], "Add"), "second operand"),
    ("lerp", "inputs", lambda g, i: nb.lerp(g, [i.v, i.v]), "a, b, coeff"),
    ("lerp", "shapes", lambda g, i: nb.lerp(g, [i.v, i.six, i.one]), "differ"),
    ("lerp", "coefficient", lambda g, i: nb.lerp(g, [i.v, i.v, i.six]), "coeff"),
    # activations
    ("activation", "name", lambda g, i: nb.activation(g, i.v, "glue"), "glue"),
    ("activation", "argument", lambda g, i: nb.activation(g, i.v, "relu", {"negative_slope": 0.1}), "negative_slope"),
    ("activation", "slope", lambda g, i: nb.activation(g, i.v, "leaky_relu", {"negative_slope": NAN}), "slope"),
    ("BiasAct", "name", lambda g, i: nb.BiasAct(g, [i.x], "gelu"), "gelu"),
    ("BiasAct", "id", lambda g, i: nb.BiasAct(g, [i.x], 9), "act_type"),
    ("BiasAct", "bias", lambda g, i: nb.BiasAct(g, [i.x, i.six]), "[5]"),
    ("BiasAct", "bias rank", lambda g, i: nb.BiasAct(g, [i.x, i.m]), "[5]"),
    ("BiasAct", "gain", lambda g, i: nb.BiasAct(g, [i.x], gain="big"), "gain"),
    ("BiasAct", "clamp", lambda g, i: nb.BiasAct(g, [i.x], clamp=NAN), "clamp"),
    ("bias_act", "name", lambda g, i: nb.bias_act(g, i.x, act="gelu"), "gelu"),
    ("bias_act", "bias", lambda g, i: nb.bias_act(g, i.x, np.ones(6)), "[5]"),
    ("bias_act", "rank", lambda g, i: nb.bias_act(g, i.x, np.ones((5, 1))), "1 dimensions"),
    ("bias_act", "alpha", lambda g, i: nb.bias_act(g, i.x, alpha=INF), "alpha"),
    # shapes
    ("split", "count", lambda g, i: nb.split(g, i.v, 0), ">= 1"),
    ("split", "text", lambda g, i: nb.split(g, i.v, "two"), "num"),
    ("concat", "axis", lambda g, i: nb.concat(g, [i.v, i.v], 2), "axis"),
    ("concat", "batch", lambda g, i: nb.concat(g, [i.v, i.v], 0), "axis"),
    ("concat", "shapes", lambda g, i: nb.concat(g, [i.x, i.plane], 2), "[1, 6, 7]"),
    ("concat", "ranks", lambda g, i: nb.concat(g, [i.x, i.m], 1), "[3, 5]"),
    ("concat", "nothing", lambda g, i: nb.concat(g, [], 1), "0 inputs"),
    ("crop", "count", lambda g, i: nb.crop(g, i.x, "2,1", "1,3", "1,1"), '"n,a,b,..."'),
    ("crop", "lengths", lambda g, i: nb.crop(g, i.x, [1, 2], [3], [1]), "as many"),
    ("crop", "axis", lambda g, i: nb.crop(g, i.x, [0], [1], [3]), "axes of [5, 6, 7]"),
    ("crop", "empty", lambda g, i: nb.crop(g, i.x, [3], [3], [1]), "nothing is left"),
    ("crop", "letters", lambda g, i: nb.crop(g, i.x, "1,a", "1,3", "1,1"), "starts"),
    ("permute", "batch", lambda g, i: nb.permute(g, i.f, "(1, 0, 2, 3, 4)"), "permutation"),
    ("permute", "twice", lambda g, i: nb.permute(g, i.x, (0, 1, 1, 3)), "permutation"),
    ("permute", "short", lambda g, i: nb.permute(g, i.x, (0, 2, 1)), "permutation"),
    ("permute", "letters", lambda g, i: nb.permute(g, i.x, "(0, h, w, c)"), "perm"),
    ("really_permute", "twice", lambda g, i: nb.really_permute(g, i.x, (0, 0, 1)), "permutation"),
    ("really_permute", "long", lambda g, i: nb.really_permute(g, i.x, (0, 1, 2, 3)), "permutation"),
    ("reshape", "batch", lambda g, i: nb.reshape(g, i.x, (2, 105)), "1 or -1"),
    ("reshape", "elements", lambda g, i: nb.reshape(g, i.x, (1, 100)), "210"),
    ("reshape", "ranks", lambda g, i: nb.reshape(g, i.x, (1, 5, 1, 2, 3, 7)), "1 to 4"),
    ("reshape", "fraction", lambda g, i: nb.reshape(g, i.x, (1, 52.5, 4)), "whole"),
    ("really_reshape", "two unknown", lambda g, i: nb.really_reshape(g, i.x, (-1, -1)), "one -1"),
    ("really_reshape", "does not fit", lambda g, i: nb.really_reshape(g, i.x, (4, -1)), "210"),
    ("really_reshape", "zero", lambda g, i: nb.really_reshape(g, i.x, (0, -1)), "210"),
    ("really_reshape", "empty", lambda g, i: nb.really_reshape(g, i.x, ()), "1 to 4"),
    ("coordconcat", "rank", lambda g, i: nb.coordconcat(g, i.m), "3-D"),
    ("pad", "mode", lambda g, i: nb.pad(g, i.x, 1, mode="wrap"), "wrap"),
    ("pad", "dimension", lambda g, i: nb.pad(g, i.v, top=1), "dimension"),
    ("pad", "cropped away", lambda g, i: nb.pad(g, i.x, top=-3, bottom=-3), "nothing is left"),
    ("pad", "reflection", lambda g, i: nb.pad(g, i.x, top=6, mode="reflect"), "reflection"),
    ("pad", "value", lambda g, i: nb.pad(g, i.x, top=1, value=NAN), "value"),
    ("pad", "fraction", lambda g, i: nb.pad(g, i.x, top=0.5), "whole"),
    ("shell", "rank", lambda g, i: nb.shell(g, [], np.ones((3, 5))), "[C, D, H, W]"),
    ("shell", "bias", lambda g, i: nb.shell(g, [], W4, np.ones(5)), "[4]"),
    ("shell", "bias rank", lambda g, i: nb.shell(g, [], W4, np.ones((4, 1))), "1 dimensions"),
    ("shell", "dims", lambda g, i: nb.shell(g, [], W4, None, 5), "1 to 4"),
    ("shell", "dropped", lambda g, i: nb.shell(g, [], W4, None, 3), "dropped"),
    ("shell", "text", lambda g, i: nb.shell(g, [], "weight"), "weight"),
    # reductions
    ("reduction", "name", lambda g, i: nb.reduction(g, i.x, "Mean", 4, (1,)), "ReduceMean"),
    ("reduction", "batch", lambda g, i: nb.reduction(g, i.x, "ReduceMean", 4, (0, 1)), "batch"),
    ("reduction", "axis", lambda g, i: nb.reduction(g, i.x, "ReduceMean", 4, (4,)), "dims"),
    ("reduction", "rank of x", lambda g, i: nb.reduction(g, i.x, "ReduceMean", 2, (1, 2)), "expected 4, for [5, 6, 7]"),
    ("reduction", "too many", lambda g, i: nb.reduction(g, i.m, "ReduceMean", 4, (-1,)), "input_dims"),
    ("reduction", "all twice", lambda g, i: nb.reduction(g, i.x, "ReduceMean", 4, (1, 2, 3, -1)), "distinct"),
    ("reduction", "twice", lambda g, i: nb.reduction(g, i.x, "ReduceMean", 4, (1, 1)), "distinct"),
    ("reduction", "rank", lambda g, i: nb.reduction(g, i.x, "ReduceMean", "four", (1,)), "input_dims"),
    ("really_reduction", "axis", lambda g, i: nb.really_reduction(g, i.x, "ReduceSum", (3,)), "dims"),
    ("really_reduction", "vector", lambda g, i: nb.really_reduction(g, i.v, "ReduceSum", (2,)), "dims"),
    ("really_reduction", "name", lambda g, i: nb.really_reduction(g, i.x, "Sum", (1,)), "ReduceSum"),
    ("really_reduction", "none", lambda g, i: nb.really_reduction(g, i.x, "ReduceSum", ()), "dims"),
    ("softmax", "axis", lambda g, i: nb.softmax(g, i.v, 2), "axis"),
    ("softmax", "batch", lambda g, i: nb.softmax(g, i.v, 0), "axis"),
    # sizes
    ("pooling", "name", lambda g, i: nb.pooling(g, i.x, "Max", nn.MaxPool2d(2)), "MaxPool"),
    ("pooling", "rank", lambda g, i: nb.pooling(g, i.v, "MaxPool", nn.MaxPool2d(2)), "3-D"),
    ("pooling", "window", lambda g, i: nb.pooling(g, i.x, "MaxPool", nn.MaxPool2d(9)), "window"),
    ("pooling", "dilation", lambda g, i: nb.pooling(g, i.x, "MaxPool", nn.MaxPool2d(2, dilation=2)), "dilation"),
    (
        "pooling",
        "divisor",
        lambda g, i: nb.pooling(g, i.x, "AveragePool", nn.AvgPool2d(2, divisor_override=3)),
        "divisor_override",
    ),
    (
        "pooling",
        "ceil",
        lambda g, i: nb.pooling(g, g.input("odd", (5, 5, 7)), "MaxPool", nn.MaxPool2d(2, 2, (1, 0), ceil_mode=True)),
        "torch here in one",
    ),
    ("pooling", "no module", lambda g, i: nb.pooling(g, i.x, "MaxPool", 2), "MaxPool2d"),
    ("adaptive_avg_pool2d", "rank", lambda g, i: nb.adaptive_avg_pool2d(g, i.v, 1), "3-D"),
    ("adaptive_avg_pool2d", "size", lambda g, i: nb.adaptive_avg_pool2d(g, i.x, 0), "output_size"),
    ("adaptive_avg_pool2d", "text", lambda g, i: nb.adaptive_avg_pool2d(g, i.x, "(a, 1)"), "output_size"),
    ("adaptive_avg_pool2d", "three", lambda g, i: nb.adaptive_avg_pool2d(g, i.x, (1, 2, 3)), "output_size"),
    ("interpolate", "mode", lambda g, i: nb.interpolate(g, i.x, 4, mode="area"), "area"),
    ("interpolate", "neither", lambda g, i: nb.interpolate(g, i.x), "either"),
    ("interpolate", "both", lambda g, i: nb.interpolate(g, i.x, 4, 2.0), "either"),
    ("interpolate", "rank", lambda g, i: nb.interpolate(g, i.v, 4), "2-D or 3-D"),
    ("interpolate", "rows", lambda g, i: nb.interpolate(g, i.m, (4, 4)), "one number for rows"),
    ("interpolate", "nothing", lambda g, i: nb.interpolate(g, i.x, scale_factor=0.1), "nothing is left"),
    ("interpolate", "negative", lambda g, i: nb.interpolate(g, i.x, scale_factor=-2), "nothing is left"),
    ("interpolate", "one of two", lambda g, i: nb.interpolate(g, i.x, scale_factor=(2,)), "scale_factor"),
    ("interpolate", "three", lambda g, i: nb.interpolate(g, i.x, scale_factor=(2, 2, 2)), "scale_factor"),
    ("interpolate", "size", lambda g, i: nb.interpolate(g, i.x, (4, 4, 4)), "size"),
    ("interpolate", "nan", lambda g, i: nb.interpolate(g, i.x, scale_factor=NAN), "scale_factor"),
    ("down2", "rank", lambda g, i: nb.down2(g, i.v), "3-D"),
    ("up2", "rank", lambda g, i: nb.up2(g, i.m), "3-D"),
    ("up4", "rank", lambda g, i: nb.up4(g, i.f), "3-D"),
    # StyleGAN
    ("F4DOp1D", "name", lambda g, i: nb.F4DOp1D(g, [i.f, i.v], 1, "Pow"), "Pow"),
    ("F4DOp1D", "rank", lambda g, i: nb.F4DOp1D(g, [i.x, i.v], 1, "Mul"), "4-D"),
    ("F4DOp1D", "axis", lambda g, i: nb.F4DOp1D(g, [i.f, i.v], 4, "Mul"), "0 to 3"),
    ("F4DOp1D", "length", lambda g, i: nb.F4DOp1D(g, [i.f, i.v], 0, "Mul"), "4 numbers"),
    ("F4DOp1D", "text", lambda g, i: nb.F4DOp1D(g, [i.f, i.v], "c", "Mul"), "dim"),
    ("AddNoise", "plane", lambda g, i: nb.AddNoise(g, [i.x, i.six]), "[1, 6, 7]"),
    ("AddNoise", "rank", lambda g, i: nb.AddNoise(g, [i.v, i.v]), "3-D"),
    ("AddNoise", "alone", lambda g, i: nb.AddNoise(g, [i.x]), "x, noise"),
    ("StyleMixingSwitcher", "which", lambda g, i: nb.StyleMixingSwitcher(g, [i.v, i.v, i.six], 6), "0 to 5"),
    ("StyleMixingSwitcher", "negative", lambda g, i: nb.StyleMixingSwitcher(g, [i.v, i.v, i.six], -1), "0 to 5"),
    ("StyleMixingSwitcher", "w_dim", lambda g, i: nb.StyleMixingSwitcher(g, [i.v, i.six, i.six]), "w_dim"),
    ("StyleMixingSwitcher", "styles", lambda g, i: nb.StyleMixingSwitcher(g, [i.m, i.m, i.six]), "styles"),
    ("StyleMixingSwitcher", "inputs", lambda g, i: nb.StyleMixingSwitcher(g, [i.v, i.v]), "mixing"),
    ("Transforms", "shape", lambda g, i: nb.Transforms(g, i.v), "[4]"),
    ("StyleganPost", "inputs", lambda g, i: nb.StyleganPost(g, [i.x, i.x]), "2 inputs"),
    ("upfirdn2d", "rank", lambda g, i: nb.upfirdn2d(g, i.m, None), "3-D"),
    ("upfirdn2d", "filter", lambda g, i: nb.upfirdn2d(g, i.x, np.ones((2, 2, 2))), "[fh, fw]"),
    ("upfirdn2d", "empty", lambda g, i: nb.upfirdn2d(g, i.x, np.ones((0, 3))), "1 to 256 taps"),
    ("upfirdn2d", "up 65", lambda g, i: nb.upfirdn2d(g, i.x, None, up=65), "1 to 64"),
    ("upfirdn2d", "flip", lambda g, i: nb.upfirdn2d(g, i.x, None, flip_filter=2), "flip_filter"),
    ("upfirdn2d", "scalar", lambda g, i: nb.upfirdn2d(g, i.x, 1.0), "[fh, fw]"),
    ("upfirdn2d", "too large", lambda g, i: nb.upfirdn2d(g, i.x, np.ones((9, 9))), "nothing is left"),
    ("upfirdn2d", "up", lambda g, i: nb.upfirdn2d(g, i.x, None, up=0), "up"),
    ("upfirdn2d", "down", lambda g, i: nb.upfirdn2d(g, i.x, None, down=(1, 2, 3)), "down"),
    ("upfirdn2d", "padding", lambda g, i: nb.upfirdn2d(g, i.x, None, padding="wide"), "padding"),
    ("upfirdn2d", "gain", lambda g, i: nb.upfirdn2d(g, i.x, None, gain=NAN), "gain"),
    ("Upfirdn2d", "rank", lambda g, i: nb.Upfirdn2d(g, i.m, None), "3-D"),
    ("Upfirdn2d", "filter", lambda g, i: nb.Upfirdn2d(g, i.x, np.ones((2, 2, 2))), "[fh, fw]"),
    ("Upfirdn2d", "taps", lambda g, i: nb.Upfirdn2d(g, i.x, np.ones(257), padding=300), "1 to 256"),
    ("Upfirdn2d", "too large", lambda g, i: nb.Upfirdn2d(g, i.x, np.ones((9, 9))), "nothing is left"),
    ("Upfirdn2d", "cropped", lambda g, i: nb.Upfirdn2d(g, i.x, None, padding=(-6, 9, 0, 0)), "nothing is left"),
    ("Upfirdn2d", "up", lambda g, i: nb.Upfirdn2d(g, i.x, None, up=65), "1 to 64"),
    ("Upfirdn2d", "padding", lambda g, i: nb.Upfirdn2d(g, i.x, None, padding=2**20 + 1), "too much padding"),
    ("Upfirdn2d", "inputs", lambda g, i: nb.Upfirdn2d(g, [i.x, i.x], None), "2 inputs"),
    ("FilteredLrelu", "rank", lambda g, i: nb.FilteredLrelu(g, i.m), "3-D"),
    ("FilteredLrelu", "bias", lambda g, i: nb.FilteredLrelu(g, i.x, b=np.ones(6)), "[5]"),
    ("FilteredLrelu", "inputs", lambda g, i: nb.FilteredLrelu(g, [i.x, i.v]), "2 inputs"),
    ("FilteredLrelu", "fu", lambda g, i: nb.FilteredLrelu(g, i.x, np.ones((0,))), "fu"),
    ("FilteredLrelu", "down", lambda g, i: nb.FilteredLrelu(g, i.x, down=0), "1 to 64"),
    ("FilteredLrelu", "too large", lambda g, i: nb.FilteredLrelu(g, i.x, fd=np.ones(8)), "nothing is left"),
    (
        "FilteredLrelu",
        "padding",
        lambda g, i: nb.FilteredLrelu(g, i.x, padding=(1, 2, 3)),
        "(top, bottom, left, right)",
    ),
    ("FilteredLrelu", "slope", lambda g, i: nb.FilteredLrelu(g, i.x, slope=INF), "slope"),
    ("FusedConv2d", "rank", lambda g, i: nb.FusedConv2d(g, i.m, W4), "3-D"),
    ("FusedConv2d", "channels", lambda g, i: nb.FusedConv2d(g, i.plane, W4), "5 channels"),
    ("FusedConv2d", "parts", lambda g, i: nb.FusedConv2d(g, [i.x, i.x], np.ones((4, 10, 3, 3))), "multiples of 16"),
    ("FusedConv2d", "weight", lambda g, i: nb.FusedConv2d(g, i.x, W4[0]), "4 dimensions"),
    ("FusedConv2d", "bias", lambda g, i: nb.FusedConv2d(g, i.x, W4, np.ones(5)), "bias"),
    ("FusedConv2d", "slopes", lambda g, i: nb.FusedConv2d(g, i.x, W4, slope=np.ones(5)), "slope"),
    ("FusedConv2d", "padding", lambda g, i: nb.FusedConv2d(g, i.x, W4, padding=-1), "padding"),
    ("FusedConv2d", "residual", lambda g, i: nb.FusedConv2d(g, i.x, W4, residual=i.x), "residual"),
    ("FusedConv2d", "border", lambda g, i: nb.FusedConv2d(g, i.x, W4, padding=1 << 16), "more than the layer takes"),
    (
        "FusedConv2d",
        "many",
        lambda g, i: nb.FusedConv2d(g, i.x, np.ones((1 << 16, 5, 3, 3))),
        "more than the layer takes",
    ),
    ("FusedConv2d", "kernel", lambda g, i: nb.FusedConv2d(g, i.x, np.ones((4, 5, 40, 3))), "nothing is left"),
    ("ModulatedConv2d", "rank", lambda g, i: nb.ModulatedConv2d(g, [i.m, i.v], W4), "3-D"),
    ("ModulatedConv2d", "channels", lambda g, i: nb.ModulatedConv2d(g, [i.plane, i.one], W4), "[5, 6, 7]"),
    ("ModulatedConv2d", "styles", lambda g, i: nb.ModulatedConv2d(g, [i.x, i.six], W4), "styles"),
    ("ModulatedConv2d", "no styles", lambda g, i: nb.ModulatedConv2d(g, [i.x], W4), "styles"),
    ("ModulatedConv2d", "weight", lambda g, i: nb.ModulatedConv2d(g, [i.x, i.v], W4[0]), "4 dimensions"),
    ("ModulatedConv2d", "noise", lambda g, i: nb.ModulatedConv2d(g, [i.x, i.v], W4, noise=np.ones((6, 7))), "noise"),
    ("ModulatedConv2d", "noise input", lambda g, i: nb.ModulatedConv2d(g, [i.x, i.v, i.m], W4), "noise"),
    ("ModulatedConv2d", "up", lambda g, i: nb.ModulatedConv2d(g, [i.x, i.v], W4, up=3), "1 or 2"),
    ("ModulatedConv2d", "no filter", lambda g, i: nb.ModulatedConv2d(g, [i.x, i.v], W4, up=2), "filter"),
    ("ModulatedConv2d", "filter", lambda g, i: nb.ModulatedConv2d(g, [i.x, i.v], W4, np.ones(4)), "filter"),
    ("ModulatedConv2d", "taps", lambda g, i: nb.ModulatedConv2d(g, [i.x, i.v], W4, np.ones(257), up=2), "256"),
    ("ModulatedConv2d", "bias", lambda g, i: nb.ModulatedConv2d(g, [i.x, i.v], W4, bias=np.ones(5)), "bias"),
    ("ModulatedConv2d", "padding", lambda g, i: nb.ModulatedConv2d(g, [i.x, i.v], W4, padding=-1), "padding"),
    ("ModulatedConv2d", "truth", lambda g, i: nb.ModulatedConv2d(g, [i.x, i.v], W4, demodulate="yes"), "truth"),
    ("ToRGB", "kernel", lambda g, i: nb.ToRGB(g, [i.x, i.v], W4), "[O, I, 1, 1]"),
    ("ToRGB", "rank", lambda g, i: nb.ToRGB(g, [i.m, i.v], W4[:, :, :1, :1]), "3-D"),
    ("ToRGB", "styles", lambda g, i: nb.ToRGB(g, [i.x, i.six], W4[:, :, :1, :1]), "styles"),
    ("ToRGB", "image", lambda g, i: nb.ToRGB(g, [i.x, i.v, i.plane], W4[:, :, :1, :1], np.ones(4)), "image"),
    ("ToRGB", "no filter", lambda g, i: nb.ToRGB(g, [i.x, i.v, i.plane], W4[:, :, :1, :1]), "inputs disagree"),
    ("ToRGB", "bias", lambda g, i: nb.ToRGB(g, [i.x, i.v], W4[:, :, :1, :1], bias=np.ones(5)), "bias"),
    ("ToRGB", "keep_rgb", lambda g, i: nb.ToRGB(g, [i.x, i.v], W4[:, :, :1, :1], keep_rgb=2), "truth"),
    ("modulated_conv2d", "channels", lambda g, i: nb.modulated_conv2d(g, [i.plane, i.one], W4), "'out', 1"),
    ("modulated_conv2d", "styles", lambda g, i: nb.modulated_conv2d(g, [i.x, i.six], W4), "styles"),
    ("modulated_conv2d", "no styles", lambda g, i: nb.modulated_conv2d(g, [i.x], W4), "styles"),
    ("modulated_conv2d", "weight", lambda g, i: nb.modulated_conv2d(g, [i.x, i.v], W4[0]), "4 dimensions"),
    ("modulated_conv2d", "noise", lambda g, i: nb.modulated_conv2d(g, [i.x, i.v], W4, np.ones((6, 7))), "noise"),
    ("modulated_conv2d", "up", lambda g, i: nb.modulated_conv2d(g, [i.x, i.v], W4, up=0), ">= 1"),
    ("modulated_conv2d", "truth", lambda g, i: nb.modulated_conv2d(g, [i.x, i.v], W4, demodulate="yes"), "truth"),
    (
        "modulated_conv2d",
        "filter",
        lambda g, i: nb.modulated_conv2d(g, [i.x, i.v], W4, up=2, resample_filter=np.ones((2, 2, 2))),
        "resample_filter",
    ),
    (
        "modulated_conv2d",
        "noise value",
        lambda g, i: nb.modulated_conv2d(g, [i.x, i.v], W4, g.input("n", (9, 6, 7)), padding=1),
        "noise",
    ),
    (
        "modulated_conv2d",
        "two noises",
        lambda g, i: nb.modulated_conv2d(g, [i.x, i.v, g.input("n", (6, 7))], W4, np.ones((6, 7)), padding=1),
        "noise",
    ),
    ("modulated_conv2d", "gain", lambda g, i: nb.modulated_conv2d(g, [i.x, i.v], W4, gain=NAN), "gain"),
    # StyleGAN3
    ("filtered_lrelu", "rank", lambda g, i: nb.filtered_lrelu(g, i.m), "3-D"),
    ("filtered_lrelu", "up filter", lambda g, i: nb.filtered_lrelu(g, i.x, np.ones((2, 2, 2))), "[fh, fw]"),
    ("filtered_lrelu", "down filter", lambda g, i: nb.filtered_lrelu(g, i.x, None, 1.0), "[fh, fw]"),
    ("filtered_lrelu", "too large", lambda g, i: nb.filtered_lrelu(g, i.x, None, np.ones(9)), "nothing is left"),
    ("filtered_lrelu", "bias", lambda g, i: nb.filtered_lrelu(g, i.x, b=np.ones(4)), "[5]"),
    ("filtered_lrelu", "empty", lambda g, i: nb.filtered_lrelu(g, i.x, np.ones(0)), "argument fu"),
    ("filtered_lrelu", "flip", lambda g, i: nb.filtered_lrelu(g, i.x, flip_filter="yes"), "flip_filter"),
    ("filtered_lrelu", "up", lambda g, i: nb.filtered_lrelu(g, i.x, up=0), "argument up"),
    ("filtered_lrelu", "down", lambda g, i: nb.filtered_lrelu(g, i.x, down=1.5), "down"),
    ("filtered_lrelu", "padding", lambda g, i: nb.filtered_lrelu(g, i.x, padding=(1, 2, 3)), "padding"),
    ("filtered_lrelu", "slope", lambda g, i: nb.filtered_lrelu(g, i.x, slope=NAN), "slope"),
    ("synthesis_input", "t", lambda g, i: nb.synthesis_input(g, i.v, **fourier()), "[4]"),
    ("synthesis_input", "freqs", lambda g, i: nb.synthesis_input(g, i.t, **fourier(freqs=np.ones((6, 3)))), "[6, 2]"),
    ("synthesis_input", "phases", lambda g, i: nb.synthesis_input(g, i.t, **fourier(phases=np.ones(5))), "[6]"),
    ("synthesis_input", "weight", lambda g, i: nb.synthesis_input(g, i.t, **fourier(weight=np.ones((4, 5)))), "[4, 6]"),
    ("synthesis_input", "2x3", lambda g, i: nb.synthesis_input(g, i.t, **fourier(transform=np.ones((2, 3)))), "[3, 3]"),
    ("synthesis_input", "Value", lambda g, i: nb.synthesis_input(g, i.t, **fourier(transform=i.m)), "[3, 3]"),
    ("synthesis_input", "size", lambda g, i: nb.synthesis_input(g, i.t, **fourier(size=0)), "size"),
    ("synthesis_input", "bandwidth", lambda g, i: nb.synthesis_input(g, i.t, **fourier(bandwidth=4.0)), "bandwidth"),
    # what would leave an empty tensor, and numbers without end
    ("shell", "empty", lambda g, i: nb.shell(g, [], np.ones((0, 1, 1, 1))), "[0, 1, 1, 1]"),
    ("fully_connected", "empty", lambda g, i: nb.fully_connected(g, i.v, np.ones((0, 5))), "[0"),
    ("clamp", "endless", lambda g, i: nb.clamp(g, i.v, 0, 10**400), "max"),
]
WRONG += WRONG_LAYERS
IDS = [f"{function}-{label}" for function, label, _, _ in WRONG]


def refused(call: Call) -> nb.BuildError:
    g = nb.Graph()
    with pytest.raises(nb.BuildError) as caught:
        call(g, Inputs(g))
    return caught.value


@pytest.mark.parametrize(("function", "label", "call", "word"), WRONG, ids=IDS)
def test_a_wrong_call_is_refused(function: str, label: str, call: Call, word: str) -> None:
    error = refused(call)
    assert word in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(("function", "label", "call", "word"), WRONG, ids=IDS)
def test_the_refusal_says_where_and_what(function: str, label: str, call: Call, word: str) -> None:
    error = refused(call)
    assert error.op, f"no op: {error}"
    assert error.op in str(error)
    file = Path(call.__code__.co_filename).name
    assert error.source == f"{file}:{call.__code__.co_firstlineno}", f"no line, or the wrong one: {error}"
    assert f"at {file}:" in str(error)
    assert "expected" in str(error) or "got" in str(error), f"neither expected nor got: {error}"


def test_the_table_has_every_function() -> None:
    assert {function for function, _, _, _ in WRONG} == set(nb.functions)
