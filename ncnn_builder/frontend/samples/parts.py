from __future__ import annotations

import torch

from .sample import Sample, samples

_FOUR = ((1, 6, 4, 5),)
_TWO = ((2, 6, 4),)


def _written(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    x = x.clone()
    x[:, 1:3] = y
    x[:, ::2, 0] = 3
    x[:, 3] += 1
    return x


SAMPLES: list[Sample] = [
    Sample("nothing-left", lambda x: torch.cat((x[..., :4] * 2, x[..., 4:] + 1), -1), ((1, 3, 4),)),
    Sample("select", lambda x: x[:, 1] + x[:, -1], ((1, 3, 4),)),
    Sample("select-of-vector", lambda x: x[2] * x, ((5,),)),
    *samples("slice", lambda x: x[:, 1:4], _FOUR, _TWO, ((3, 6),)),
    *samples("slice-last", lambda x: x[..., -3:-1] + 1, _FOUR, _TWO),
    Sample("slice-permuted", lambda x: x.permute(0, 2, 3, 1)[:, 1:3, :, 2:] + 1, _FOUR),
    *(
        Sample(f"step-{start}-{step}", lambda x, i=start, n=step: x[:, i::n], ((1, 6, 4),))
        for start, step in ((0, 2), (1, 2), (0, 4), (2, 3), (1, 4), (0, 5), (5, 2))
    ),
    Sample("step-both", lambda x: x[..., ::2, 1::2], _FOUR),
    Sample("step-odd", lambda x: x[..., ::2] + 1, ((1, 3, 7),)),
    Sample("focus", lambda x: torch.cat([x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)], 1), ((1, 3, 4, 8),)),
    Sample("narrow", lambda x: x.narrow(1, 2, 3), _TWO),
    Sample("split", lambda x: x.split(4, 1), _FOUR),
    Sample("split-sizes", lambda x: x.split([1, 2, 3], 1), _TWO),
    Sample("split-whole", lambda x: x.split(9, 1), _TWO),
    Sample("chunk", lambda x: x.chunk(4, -1), _FOUR),
    Sample("chunk-permuted", lambda x: x.permute(0, 2, 3, 1).chunk(3, -1), _FOUR),
    Sample("tensor-split", lambda x: (*torch.tensor_split(x, 4, 1), *torch.tensor_split(x, (1, 3), -1)), _FOUR),
    Sample("unbind", lambda x: x.unbind(1), _TWO),
    Sample(
        "unbind-qkv", lambda x: [t + 1 for t in x.view(1, 4, 3, 2, 5).permute(2, 0, 3, 1, 4).unbind(0)], ((1, 4, 30),)
    ),
    *samples(
        "cat", lambda x, y: torch.cat([x, y], 1), ((1, 2, 4, 5), (1, 3, 4, 5)), ((2, 3), (2, 1)), ((1, 2, 3), (1, 4, 3))
    ),
    Sample("cat-last", lambda x, y: torch.cat([x, y, x], -1), ((2, 3, 4), (2, 3, 1))),
    Sample("cat-permuted", lambda x, y: torch.cat([x.mT, y.mT], 1), ((1, 3, 4), (1, 3, 2))),
    Sample("cat-one-permuted", lambda x, y: torch.cat([x.mT, y], 2), ((1, 3, 4), (1, 4, 2))),
    Sample("cat-constant", lambda x: torch.cat([torch.ones(1, 1, 4), x], 1), ((1, 3, 4),)),
    Sample("cat-empty", lambda x: torch.cat([torch.zeros(0), x]), ((4,),)),
    Sample("cat-six", lambda x: torch.cat([x.view(2, 3, 2, 2, 3, 2)] * 2, 4), ((2, 3, 4, 6),)),
    Sample("stack", lambda x, y: torch.stack([x, y], 1), ((2, 3, 4), (2, 3, 4))),
    Sample("stack-last", lambda x, y: torch.stack([x, y], -1).flatten(-2), ((1, 3, 4), (1, 3, 4))),
    Sample("stack-vectors", lambda x, y: torch.stack([x, y]), ((4,), (4,))),
    Sample("flip", lambda x: x.flip(1, -1), _FOUR),
    Sample("flip-vector", lambda x: x.flip(0), ((5,),)),
    Sample("roll", lambda x: x.roll((1, -2), (2, 3)), _FOUR),
    Sample("roll-flat", lambda x: x.roll(3), ((3, 4),)),
    Sample("roll-windows", lambda x: x.permute(0, 2, 3, 1).roll((-1, -2), (1, 2)).permute(0, 3, 1, 2), _FOUR),
    Sample("written", _written, ((1, 4, 5), (1, 2, 5))),
    Sample("slice-scatter", lambda x, y: torch.slice_scatter(x, y, 1, 2, 6), ((8, 8), (8, 4))),
    Sample("slice-scatter-step", lambda x, y: torch.slice_scatter(x, y, 1, 1, 8, 3), ((8, 8), (8, 3))),
    Sample("slice-scatter-step-rest", lambda x, y: torch.slice_scatter(x, y, 1, 0, 9, 2), ((2, 9), (2, 5))),
    Sample("select-scatter", lambda x, y: torch.select_scatter(x, y, 2, -1), ((1, 4, 5), (1, 4))),
    Sample("scatter-into-constant", lambda y: torch.slice_scatter(torch.ones(3, 6), y, 1, 2, 4), ((3, 2),)),
]
