from __future__ import annotations

from .sample import Sample

SAMPLES: list[Sample] = [
    Sample("view", lambda x: x.view(1, 6, 4) + 1, ((1, 2, 3, 4),)),
    Sample("flatten", lambda x: x.flatten(1), ((1, 2, 3, 4),)),
    Sample("unflatten", lambda x: x.unflatten(1, (2, 3)) + 1, ((1, 6, 4),)),
    Sample("squeeze", lambda x: x.unsqueeze(2).squeeze(1) * 2, ((1, 1, 6, 4),)),
    Sample("permute", lambda x: x.permute(0, 3, 1, 2), ((1, 2, 3, 4),)),
    Sample("permute-batch", lambda x: x.permute(2, 0, 1), ((2, 3, 4),)),
    Sample("transpose", lambda x: x.transpose(1, 2), ((1, 3, 4),)),
    Sample("t", lambda x: x.t() + 1, ((3, 4),)),
    Sample("named", lambda x, y: x.view_as(y) + x.reshape_as(y) + y.mT.swapaxes(1, 2), ((1, 3, 4), (1, 4, 3))),
    Sample("like", lambda x, y: x[:, 0].ravel() + x.expand_as(y).T.contiguous(), ((1, 3), (2, 3))),
    Sample("movedim", lambda x: x.movedim(1, -1), ((1, 2, 3, 4),)),
    Sample("expand", lambda x: x.unsqueeze(1).expand(-1, 3, -1, -1), ((1, 2, 4),)),
    Sample("expand-new", lambda x: x.expand(2, 3, 4), ((3, 1),)),
    Sample(
        "windows",
        lambda x: x.view(1, 4, 2, 6, 3, 5).permute(0, 1, 3, 2, 4, 5).reshape(24, 6, 5),
        ((1, 8, 18, 5),),
    ),
    Sample(
        "windows-and-back",
        lambda x: x.view(1, 4, 2, 6, 3, 5).permute(0, 1, 3, 2, 4, 5).permute(0, 1, 3, 2, 4, 5).reshape(x.shape) + 1,
        ((1, 8, 18, 5),),
    ),
    Sample("six", lambda x: x.view(2, 3, 2, 3, 2, 3).permute(5, 3, 1, 0, 2, 4), ((2, 3, 36),)),
]
