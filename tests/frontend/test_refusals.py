"""Forms that ncnn cannot compute are refused before anything is written: operator, the author's line, the reason."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ncnn_builder as nb
from ncnn_builder.frontend.samples.sample import Sample

X = torch.randn(1, 4, 20, generator=torch.Generator().manual_seed(0))
ORDER = torch.randperm(5000, generator=torch.Generator().manual_seed(0))
IDS = torch.tensor([[1, 2, 3]])

CASES = {
    "sort-of-many": (lambda x: x.sort(-1)[0], (X,), "aten.sort", "too many numbers"),
    "topk-of-many": (lambda x: x.topk(17, -1)[0], (X,), "aten.topk", "too many numbers"),
    "computed-index": (
        lambda x: x.gather(1, x.argmax(1, keepdim=True)),
        (X,),
        "aten.gather",
        "an index that is computed",
    ),
    "places-of-many": (
        lambda x: x[ORDER],
        (torch.zeros(5000),),
        "aten.index",
        "too many places",
    ),
    "nan": (lambda x: torch.where(x != x, 0.0, x), (X,), "aten.ne", "a tensor compared with itself"),
    "bits": (lambda x: x & 3, (IDS.float().int(),), "aten.bitwise_and", "bits of numbers"),
    "chosen-from-infinite": (
        lambda x: torch.where(x > 0, x, torch.tensor([float("inf")] * 20)),
        (X,),
        "aten.where",
        "infinite numbers are chosen from",
    ),
    "random-constant": (lambda x: x * torch.rand(20), (X,), "aten.rand", "random numbers"),
    "dropout-of-a-constant": (lambda x: x * F.dropout(torch.ones(20), 0.5), (X,), "aten.dropout", "random numbers"),
    "dropout-of-attention": (
        lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5),
        (X,),
        "aten.scaled_dot_product_attention",
        "dropout",
    ),
    "mask-and-causal": (
        lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=torch.zeros(4, 4), is_causal=True),
        (X,),
        "",
        "mask",
    ),
    "variance-of-one": (lambda x: x[..., :1].var(-1), (X,), "aten.var", "a variance of too few numbers"),
    "norm-of-zero": (
        lambda x: torch.linalg.vector_norm(x, 0, -1),
        (X,),
        "aten.linalg_vector_norm",
        "a norm that counts",
    ),
    "table-computed": (lambda i, x: F.embedding(i, x[0]), (IDS, X), "aten.embedding", "a table that is computed"),
    "cumprod": (lambda x: x.cumprod(1), (X,), "aten.cumprod", "ncnn has no layer for this operator"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused(name, tmp_path):
    forward, inputs, operator, why = CASES[name]
    module: nn.Module = Sample(name, forward, inputs).module()
    with pytest.raises(nb.BuildError) as caught:
        nb.convert(module, inputs, tmp_path / "net")
    said = str(caught.value)
    assert operator in said and why in said
    assert "test_refusals.py:" in said or "sample.py:" in said or not operator
    assert not list(tmp_path.iterdir())


def test_a_large_table_of_a_computed_index(tmp_path):
    module = Sample("large", lambda i: F.embedding(i + 1, torch.zeros(5000, 2)), (IDS,)).module()
    with pytest.raises(nb.BuildError, match="a computed index of many rows"):
        nb.convert(module, (IDS,), tmp_path / "net")
