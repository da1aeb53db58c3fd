"""Operators that torch.export of one version rewrites and another leaves as they are: called here by their names."""

from __future__ import annotations

import torch

from .sample import Sample

_OPS = torch.ops.aten
_X = ((1, 3, 4),)
_SPECTRUM = ((5, 4, 2),)


def _complex(name: str, *arguments: object) -> Sample:
    operator = getattr(_OPS, name).default
    return Sample(f"complex-{name}", lambda x: operator(torch.view_as_complex(x), *arguments).abs(), _SPECTRUM)


SAMPLES: list[Sample] = [
    Sample("softmax", lambda x: _OPS._softmax.default(x, 1, False), _X),
    Sample("log-softmax", lambda x: _OPS._log_softmax.default(x, 1, False), _X),
    Sample("view-copy", lambda x: _OPS.view_copy.default(x, [3, 4]), _X),
    Sample("unsafe-view", lambda x: _OPS._unsafe_view.default(x, [3, 4]), _X),
    Sample("reshape-alias", lambda x: _OPS._reshape_alias.default(x, [3, 4], [4, 1]), _X),
    Sample("permute-copy", lambda x: _OPS.permute_copy.default(x, [0, 2, 1]), _X),
    Sample("unsqueeze-copy", lambda x: _OPS.unsqueeze_copy.default(x, 1), _X),
    Sample("squeeze-copy", lambda x: _OPS.squeeze_copy.dim(x, 0), _X),
    Sample("diagonal-copy", lambda x: _OPS.diagonal_copy.default(x, 0, 1, 2), _X),
    Sample("select-copy", lambda x: _OPS.select_copy.int(x, 1, 1), _X),
    Sample("slice-copy", lambda x: _OPS.slice_copy.Tensor(x, 1, 1, 3), _X),
    Sample("split-with-sizes-copy", lambda x: _OPS.split_with_sizes_copy.default(x, [1, 2], 1), _X),
    Sample("unbind-copy", lambda x: _OPS.unbind_copy.int(x, 1), _X),
    Sample("lift-fresh-copy", lambda x: _OPS.lift_fresh_copy.default(x) + 1, _X),
    Sample("alias", lambda x: _OPS.alias.default(x) + 1, _X),
    Sample("to-copy", lambda x: _OPS._to_copy.default(x, dtype=torch.float32) + 1, _X),
    Sample("unsafe-index", lambda x: _OPS._unsafe_index.Tensor(x, [None, torch.tensor([0, 2])]), _X),
    Sample(
        "unsafe-index-put",
        lambda x: _OPS._unsafe_index_put.default(x, [None, torch.tensor([0, 2])], torch.ones(1, 2, 4)),
        _X,
    ),
    Sample("div-scalar-mode", lambda x: _OPS.div.Scalar_mode(x, 0.3, rounding_mode="floor"), _X),
    *(
        Sample(f"{name}-scalar", lambda x, name=name: getattr(_OPS, name).Scalar(x > 0, True).float(), _X)
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor")
    ),
    *(
        Sample(f"{name}-tensor", lambda x, name=name: getattr(_OPS, name).Tensor(x, torch.tensor(0.3)), _X)
        for name in ("clamp_max", "clamp_min")
    ),
    Sample("norm-scalar", lambda x: _OPS.norm.Scalar(x, 2), _X),
    Sample("norm-dim", lambda x: _OPS.norm.ScalarOpt_dim(x, 2, [1]), _X),
    Sample("norm-dim-dtype", lambda x: _OPS.norm.ScalarOpt_dim_dtype(x, 2, [1], False, dtype=torch.float32), _X),
    *(
        Sample(f"{name}-{overload}", lambda x, call=call: call(x), _X)
        for name in ("std", "var", "std_mean", "var_mean")
        for overload, call in (
            ("all", lambda x, name=name: getattr(_OPS, name).default(x, True)),
            ("dim", lambda x, name=name: getattr(_OPS, name).dim(x, [1], True)),
            ("correction", lambda x, name=name: getattr(_OPS, name).correction(x, [1], correction=1)),
        )
    ),
    *(_complex(name) for name in ("alias", "clone", "detach", "resolve_conj", "resolve_neg")),
    *(_complex(name, [4, 5]) for name in ("_unsafe_view", "reshape")),
    Sample("complex-contiguous", lambda x: torch.view_as_complex(x).transpose(0, 1).contiguous().abs(), _SPECTRUM),
    Sample("complex-flatten", lambda x: torch.view_as_complex(x).flatten(0).abs(), _SPECTRUM),
    Sample("complex-squeeze", lambda x: torch.view_as_complex(x[None]).squeeze(0).abs(), _SPECTRUM),
]
