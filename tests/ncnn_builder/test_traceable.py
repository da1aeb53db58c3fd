"""Slices with a step, recorded without one: the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ncnn_builder.modules.traceable import without_steps

SHAPE = (1, 5, 7, 6)
KEYS = [
    *(np.s_[..., first::step] for first in (0, 1, 5) for step in (1, 2, 3, 4, 9)),
    *(np.s_[:, ::2, i::3, 1:5:j] for i in (0, 2) for j in (2, 3)),
    np.s_[:, 4::2],
    np.s_[..., -3::2],
    np.s_[:, 2],
    np.s_[0, ::2, None],
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_the_same_part(key: Any) -> None:
    x = torch.arange(float(np.prod(SHAPE))).reshape(SHAPE)
    with without_steps():
        part = x[key]
    np.testing.assert_array_equal(part.numpy(), x.numpy()[key])
