"""The table of networks of diffusers, transformers and timm: what its rows say."""

from __future__ import annotations

import json

from benchmarks.networks.__main__ import TABLE
from benchmarks.networks.page import CORRECT, page
from benchmarks.networks.trial import NETWORKS

ROWS = {
    "UNet2DModel": {"sizes": "any", "error": 1e-6, "layers": 7},
    "BertModel": {"sizes": "one", "error": 2e-6, "layers": 9, "not_open": "a | bar"},
    "vgg11": {"failed": "not built"},
}


def test_a_row_for_each_network():
    text = page(ROWS)
    assert "2 of 3 convert within 1e-4." in text
    assert "\n| `UNet2DModel` | DDPM | any | 1e-06 | 7 |\n" in text
    assert "\n| `vgg11` | classification | does not convert |  |  |\n" in text
    assert "- vgg11: not built" in text and "- BertModel: a \\| bar" in text
    assert "\nNot tried yet: UNet2DConditionModel, " in text


def test_the_page_is_that_of_the_results():
    rows = json.loads(TABLE.results.read_text())
    assert TABLE.document.read_text() == page(rows)
    assert list(rows) == [n for n in NETWORKS if n in rows]
    assert all(row["error"] <= CORRECT for row in rows.values() if "error" in row)
