"""Normalisations of torch.nn."""

from __future__ import annotations

from typing import Any

from ..ir import Graph, Values
from ..ops.norms.norm import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from ..ops.norms.response_norm import local_response_norm
from .walk import exports, need_eval, through

through("GroupNorm", group_norm)
through("LayerNorm", layer_norm)
through("RMSNorm", rms_norm)


@exports("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm", eval_only=True)
def _batch_norm(g: Graph, module: Any, inputs: Values) -> Values:
    return batch_norm(g, inputs, module)


@exports("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")
def _instance_norm(g: Graph, module: Any, inputs: Values) -> Values:
    """With running statistics it is, in eval mode, a BatchNorm."""
    if not module.track_running_stats:
        return instance_norm(g, inputs, module)
    need_eval(g, module)
    return batch_norm(g, inputs, module)


@exports("LocalResponseNorm")
def _local_response_norm(g: Graph, module: Any, inputs: Values) -> Values:
    return local_response_norm(g, inputs, module.size, module.alpha, module.beta, module.k)
