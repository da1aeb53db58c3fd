"""What a converter does not take is refused, with operator, place and reason, before anything is written."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ncnn_builder import BuildError, capture


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


PICTURE = (1, 4, 8, 9)
CASES = {
    "indices of a maximum": (lambda x: F.max_pool2d(x, 2, return_indices=True)[1] + 0.5, (PICTURE,), "no indices"),
    "indices as a result": (lambda x: F.adaptive_max_pool2d(x, 2, return_indices=True), (PICTURE,), "no indices"),
    "dilated pooling": (lambda x: F.max_pool2d(x, 2, dilation=2), (PICTURE,), "no dilation"),
    "a kernel of a volume that is computed": (F.conv3d, ((1, 2, 4, 5, 6), (3, 2, 2, 2, 2)), "computed"),
    "batch norm in training": (lambda x: F.batch_norm(x, None, None, training=True), ((2, 4, 8, 9),), "statistics"),
    "a computed gamma": (lambda x, w: F.layer_norm(x, (9,), w), (PICTURE, (9,)), "computed"),
    "rnn with relu": (nn.RNN(5, 4, nonlinearity="relu"), ((6, 1, 5),), "tanh only"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused(name):
    function, shapes, said = CASES[name]
    module = function if isinstance(function, nn.Module) else Of(function)
    inputs = tuple(torch.rand(s) for s in shapes)
    with pytest.raises(BuildError) as error:
        capture(module.eval(), inputs)
    assert said in str(error.value)
