"""A classifier of sequences: LayerNorm, a bidirectional LSTM of two layers, attention over time.

`python examples/lstm.py` writes lstm.param and lstm.bin for any ncnn, and proves them.
A sequence is [T, size] in ncnn, whatever batch_first says; ncnn runs one at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import ncnn_builder as nb


class Classifier(nn.Module):
    """Sequences [N, T, size] -> logits [N, classes]."""

    def __init__(self, size: int = 40, hidden: int = 64, classes: int = 12) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.lstm = nn.LSTM(size, hidden, num_layers=2, bidirectional=True, batch_first=True)
        self.score = nn.Sequential(nn.Linear(2 * hidden, 32), nn.Tanh(), nn.Linear(32, 1))
        self.head = nn.Linear(2 * hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.lstm(self.norm(x))  # [N, T, 2 hidden]
        weight = self.score(y).softmax(1)  # [N, T, 1]
        return self.head((weight * y).sum(1))

    def export_ncnn(self, g: nb.Graph, inputs: nb.ValueLike) -> nb.Values:
        y = nb.child(g, self, "lstm", nb.child(g, self, "norm", inputs))  # without its last states
        weight = nb.softmax(g, nb.child(g, self, "score", y), dim=1)  # dimensions count the batch, as in torch
        pooled = nb.reduction(g, weight * y, "ReduceSum", 3, dims=(1,))
        return nb.child(g, self, "head", pooled)


def example(hidden: int = 64) -> tuple[nn.Module, dict[str, Tensor]]:
    torch.manual_seed(0)
    return Classifier(hidden=hidden).eval(), {"sequence": torch.randn(1, 25, 40)}


if __name__ == "__main__":
    from proof import main

    main(*example(), "lstm")
