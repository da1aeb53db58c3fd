"""What ncnn has one layer for becomes one layer: shuffles written by hand, spectra with a border, recurrent layers."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.nn import functional as F

from ncnn_builder import compile_graph
from ncnn_builder.frontend.capture import captured
from ncnn_builder.frontend.layout import _steps_of_many, steps_to
from ncnn_builder.frontend.samples import Sample
from ncnn_builder.frontend.samples.sampling import BY_HAND

CASES = [(layer, forward, x) for layer, forward, shapes in BY_HAND for x in shapes]


def layers_of(forward, *x):
    sample = Sample("", forward, x)
    return [node.spec.type for node in captured(sample.module(), sample.tensors()).graph.nodes]


@pytest.mark.parametrize(("layer", "forward", "x"), CASES)
def test_one_layer(layer, forward, x):
    assert layers_of(forward, x) == [layer]


def test_other_orders_are_permutes():
    """The same axes, but windows that are no squares, or a picture whose rows and columns change places."""
    oblong = layers_of(lambda x: x.view(1, 3, 2, 3, 4, 5).permute(0, 1, 4, 2, 5, 3).reshape(1, 3, 8, 15), (1, 18, 4, 5))
    turned = layers_of(lambda x: x.view(1, 3, 2, 2, 4, 5).permute(0, 1, 5, 2, 4, 3).reshape(1, 3, 10, 8), (1, 12, 4, 5))
    assert "PixelShuffle" not in oblong + turned
    assert "Permute" in oblong and "Permute" in turned


def test_a_grid_of_channels_is_taken_as_it_is():
    net = captured(_Grid().eval(), (torch.rand(1, 3, 6, 7), torch.rand(1, 2, 4, 5)))
    assert net.graph.nodes[-1].params["permute_fusion"] == 1
    assert net.graph.nodes[-1].inputs[1].producer is None


def test_a_border_and_a_spectrum_are_one_layer():
    window = torch.hann_window(16)
    made = captured(
        Sample("", lambda x: torch.stft(x, 16, 4, 16, window, return_complex=True).abs(), ((60,),)).module(),
        (torch.rand(60),),
    )
    model = compile_graph(made.graph, "stock")
    assert [line.split()[0] for line in model.param.splitlines()[2:]] == ["Input", "Spectrogram"]


class _Grid(torch.nn.Module):
    def forward(self, x, y):
        return F.grid_sample(x, y.permute(0, 2, 3, 1), align_corners=False)


@pytest.mark.parametrize("kind", [torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN])
def test_states_that_nobody_takes_are_not_made(kind):
    class Rows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = kind(5, 4, bidirectional=True, batch_first=True)

        def forward(self, x):
            rows, _ = self.inner(x)
            return rows

    made = captured(Rows().eval(), (torch.rand(1, 6, 5),))
    assert [node.spec.type for node in made.graph.nodes] == [kind.__name__]


def test_any_order_of_many_axes_is_reached_in_few_steps():
    def after(order, steps):
        here = tuple(range(len(order)))
        for borders, perm in steps:
            groups = [here[a:b] for a, b in itertools.pairwise((0, *borders, len(here)))]
            here = tuple(itertools.chain.from_iterable(groups[p] for p in perm))
        return here

    for order in itertools.permutations(range(4)):
        assert after(order, _steps_of_many(order)) == order and len(_steps_of_many(order)) == len(steps_to(order))
    for order in ((7, 3, 0, 5, 1, 8, 2, 6, 4), (9, 8, 7, 6, 5, 4, 3, 2, 1, 0), (0, 5, 1, 6, 2, 7, 3, 8, 4, 9)):
        assert after(order, steps_to(order)) == order and len(steps_to(order)) <= 5
