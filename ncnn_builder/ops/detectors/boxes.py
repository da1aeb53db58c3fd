"""What the detection layers share: boxes that overlap, and the order of scores. All in numpy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...ir import Array


def suppressed(boxes: Array, scores: Array, threshold: float, most: int | None = None) -> list[int]:
    """Indices of the boxes [n, 4] that stay, best first: a box goes that overlaps a better one by more than threshold.

    most: only so many of the best are looked at. The overlap is intersection over union.
    """
    order = [int(i) for i in np.argsort(-scores, kind="stable")[:most]]
    kept: list[int] = []
    for i in order:
        if not any(_overlap(boxes[i], boxes[j]) > threshold for j in kept):
            kept.append(i)
    return kept


def _overlap(a: Array, b: Array) -> float:
    size = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inner = 0.0 if (size < 0).any() else float(size[0]) * float(size[1])
    areas = [float(box[2] - box[0]) * float(box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - inner
    return inner / union if union else math.nan  # of two points, as in C: it is above no threshold


def rows_of(labels: Any, scores: Any, boxes: Any) -> Array:
    """[n, 6]: label, score, x1, y1, x2, y2."""
    columns = [np.asarray(labels, np.float64)[:, None], np.asarray(scores)[:, None], np.asarray(boxes)]
    rows: Array = np.concatenate(columns, 1)
    return rows


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))
