"""Convolutions, matrix products and pooling of torch.nn."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Values
from ..ops.arithmetic.channelwise import linear
from ..ops.common import need
from ..ops.convolutions.conv_modules import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..ops.pools.fitted import adaptive_avg_pool2d, adaptive_max_pool2d
from ..ops.pools.pool_nd import pooling1d, pooling3d
from ..ops.pools.pooling import pooling
from .walk import exports, through

through("Conv1d", conv1d)
through("Conv2d", conv2d)
through("Conv3d", conv3d)
through("ConvTranspose1d", conv_transpose1d)
through("ConvTranspose2d", conv_transpose2d)
through("ConvTranspose3d", conv_transpose3d)
through("Linear", linear)
for _kind in ("Max", "Avg", "AdaptiveAvg", "AdaptiveMax"):
    through(f"{_kind}Pool1d", pooling1d)
    through(f"{_kind}Pool3d", pooling3d)


@exports("MaxPool2d")
def _max_pool2d(g: Graph, module: Any, inputs: Values) -> Values:
    return pooling(g, inputs, "MaxPool", module)


@exports("AvgPool2d")
def _avg_pool2d(g: Graph, module: Any, inputs: Values) -> Values:
    return pooling(g, inputs, "AveragePool", module)


@exports("AdaptiveAvgPool2d")
def _adaptive_avg_pool2d(g: Graph, module: Any, inputs: Values) -> Values:
    return adaptive_avg_pool2d(g, inputs, module.output_size)


@exports("AdaptiveMaxPool2d")
def _adaptive_max_pool2d(g: Graph, module: Any, inputs: Values) -> Values:
    indices = module.return_indices
    need(not indices, "ncnn's pooling returns no indices", argument="return_indices", expected=False, got=indices)
    return adaptive_max_pool2d(g, inputs, module.output_size)
