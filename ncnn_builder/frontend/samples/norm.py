from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .sample import Sample, samples, seeded

_ROWS, _PICTURE, _VOLUME = ((1, 6, 11),), ((1, 6, 7, 8),), ((1, 6, 3, 4, 5),)
_OF = {1: _ROWS, 2: _PICTURE, 3: _VOLUME}
_PAIR = ((2, 6, 7, 8),)
_ONES, _RAMP = torch.ones(6), torch.linspace(0.5, 1.5, 6)

SAMPLES: list[Sample] = [
    *samples("batch-1d", seeded(nn.BatchNorm1d(6)), _ROWS, ((1, 6),), ((3, 6),)),
    *samples("batch-2d", seeded(nn.BatchNorm2d(6, eps=1e-3)), _PICTURE, _PAIR),
    Sample("batch-3d", seeded(nn.BatchNorm3d(6, affine=False)), _VOLUME),
    Sample("batch-of-one", seeded(nn.BatchNorm2d(6, track_running_stats=False)), _PICTURE),
    Sample(
        "batch-inner",
        lambda x: torch.ops.aten._native_batch_norm_legit_no_training(x, _RAMP, _ONES, -_RAMP, _RAMP, 0.1, 1e-3)[0],
        _PICTURE,
    ),
    *(Sample(f"instance-{n}d", seeded(getattr(nn, f"InstanceNorm{n}d")(6, affine=n != 2)), _OF[n]) for n in (1, 2, 3)),
    *samples("instance", nn.InstanceNorm2d(6), _PAIR, ((6, 7, 8),)),
    Sample("instance-learnt", seeded(nn.InstanceNorm2d(6, track_running_stats=True)), _PICTURE),
    Sample("instance-bias", lambda x: F.instance_norm(x, bias=_RAMP), _PICTURE),
    *samples("group", seeded(nn.GroupNorm(2, 6)), ((1, 6),), _ROWS, _PICTURE, _VOLUME, _PAIR),
    *samples("group-plain", nn.GroupNorm(3, 6, affine=False, eps=1e-3), _PICTURE),
    Sample("group-bias", lambda x: F.group_norm(x, 2, bias=_RAMP), _PICTURE),
    Sample("group-inner", lambda x: torch.ops.aten.native_group_norm(x, _RAMP, None, 1, 6, 56, 2, 1e-5)[0], _PICTURE),
    *samples("layer", seeded(nn.LayerNorm(8)), ((8,),), _PICTURE, ((3, 8),), ((2, 3, 2, 2, 8),)),
    *samples("layer-two", seeded(nn.LayerNorm((7, 8))), _PICTURE, ((7, 8),), _PAIR),
    *samples("layer-three", seeded(nn.LayerNorm((6, 7, 8), bias=False)), _PICTURE, _PAIR),
    Sample("layer-plain", nn.LayerNorm(8, eps=1e-2, elementwise_affine=False), _PICTURE),
    Sample("layer-bias", lambda x: F.layer_norm(x, (6,), bias=_RAMP), ((1, 4, 6),)),
    Sample(
        "layer-of-channels", lambda x: F.layer_norm(x.permute(0, 2, 3, 1), (6,), _RAMP).permute(0, 3, 1, 2), _PICTURE
    ),
    Sample("layer-inner", lambda x: torch.ops.aten.native_layer_norm(x, [8], None, None, 1e-5)[0], _PICTURE),
    *samples("rms", seeded(nn.RMSNorm(8)), ((8,),), _PICTURE, ((3, 8),), _PAIR),
    *samples("rms-two", seeded(nn.RMSNorm((7, 8), eps=1e-3)), _PICTURE, ((7, 8),)),
    Sample("rms-plain", nn.RMSNorm(8, elementwise_affine=False), _PICTURE),
    Sample("rms-inner", lambda x: torch.ops.aten._fused_rms_norm(x, [8], None, 1e-5)[0], _PICTURE),
    *samples("length", F.normalize, _ROWS, _PICTURE, ((6, 7, 8),), ((2, 6, 4),)),
    Sample("length-of-places", lambda x: x / x.norm(dim=(2, 3), keepdim=True).clamp_min(1e-3), _PICTURE),
    Sample("length-one-norm", lambda x: F.normalize(x, p=1, dim=2), _PICTURE),
    Sample("length-of-vectors", lambda x: F.normalize(x, dim=-1), ((1, 6, 8),)),
    Sample("length-batch", lambda x: F.normalize(F.max_pool2d(x, 1)), _PAIR),
    Sample("expanded-and-not", lambda x, y: x * y.expand_as(x) + y.expand(1, 6, 8).abs(), ((1, 6, 8), (6, 1))),
    Sample("both-expanded", lambda x, y: x.expand(1, 6, 8) * y.expand(1, 6, 8), ((6, 1), (1, 1))),
    Sample("expanded-alone", lambda x: x.expand(1, 6, 8) * 2, ((6, 1),)),
    *samples("response", nn.LocalResponseNorm(3, 0.2, 0.6, 1.5), _ROWS, _PICTURE),
    Sample("response-volume", nn.LocalResponseNorm(3, 0.2), _VOLUME),
    Sample("response-even", nn.LocalResponseNorm(4), _PICTURE),
]
