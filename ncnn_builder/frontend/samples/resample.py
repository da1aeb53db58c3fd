from __future__ import annotations

from typing import Any

from torch.nn import functional as F

from .sample import Sample, samples

_ROWS, _PICTURE, _VOLUME = ((1, 3, 7),), ((1, 3, 6, 8),), ((1, 2, 4, 5, 6),)
_BATCH = ((2, 3, 6, 8),)
_OF: tuple[tuple[str, Any], ...] = (
    ("nearest", _ROWS),
    ("linear", _ROWS),
    ("nearest", _PICTURE),
    ("bilinear", _PICTURE),
    ("bicubic", _PICTURE),
)
_OF += (("nearest", _VOLUME), ("trilinear", _VOLUME), ("nearest-exact", _ROWS), ("nearest-exact", _PICTURE))
_OF += (("nearest-exact", _VOLUME),)


def _to(mode: str, **more: Any) -> Any:
    return lambda x: F.interpolate(x, mode=mode, **more)


def _all(name: str, modes: Any = _OF, **more: Any) -> list[Sample]:
    return [
        Sample(f"{mode}-{len(x[0]) - 2}d-{name}", _to(mode, **more), x)
        for mode, x in modes
        if mode.endswith("linear") or mode == "bicubic" or "align_corners" not in more
    ]


SAMPLES: list[Sample] = [
    *_all("size", size=9),
    *_all("smaller", size=4),
    *_all("doubled", scale_factor=2),
    *_all("scale", scale_factor=1.7),
    *_all("scale-down", scale_factor=0.6),
    *_all("recomputed", scale_factor=1.7, recompute_scale_factor=True),
    *_all("corners", size=9, align_corners=True),
    *_all("corners-scale", scale_factor=1.7, align_corners=True),
    *(
        Sample(f"{mode}-sides", _to(mode, scale_factor=(1.0, 2.3)), _PICTURE)
        for mode in ("nearest", "bilinear", "bicubic")
    ),
    *(Sample(f"{mode}-same-and-not", _to(mode, scale_factor=(1.1, 1.3)), _PICTURE) for mode in ("nearest", "bilinear")),
    *(Sample(f"{mode}-volume-sides", _to(mode, size=(4, 9, 6)), _VOLUME) for mode in ("nearest", "trilinear")),
    *(Sample(f"{mode}-depth", _to(mode, scale_factor=(2, 1, 1)), _VOLUME) for mode in ("nearest", "trilinear")),
    *(
        Sample(f"{mode}-antialias-{name}", _to(mode, antialias=True, **more), _PICTURE)
        for mode in ("bilinear", "bicubic")
        for name, more in (
            ("size", {"size": (4, 11)}),
            ("scale", {"scale_factor": 0.4}),
            ("corners", {"size": (3, 5), "align_corners": True}),
        )
    ),
    *samples("batch", _to("bilinear", scale_factor=2), _BATCH),
    *samples("batch-antialias", _to("bicubic", size=(4, 3), antialias=True), _BATCH),
]
