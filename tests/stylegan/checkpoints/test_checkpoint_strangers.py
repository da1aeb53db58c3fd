"""Objects of unknown classes beside and inside the networks of a file: none of their modules is imported."""

from __future__ import annotations

import functools
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_support import SKIP, Stranger, assert_same, made, read, refusal
from official_pickles import (
    dumps,
    official_network,
    snapshot,
)

from stylegan.checkpoints import checkpoint


class StrangeDict(dict[str, Any]):
    pass


class StrangeList(list[Any]):
    pass


def strangers() -> dict[str, Any]:
    return {
        "object": Stranger(),
        "dict": StrangeDict(a=1),
        "list": StrangeList([1, [2]]),
        "class": Stranger,
        "function": torch.nn.functional.relu,
        "partial": functools.partial(print_, 1),
        "random": np.random.RandomState(3),
        "texts": np.array(["a", "b"]),
        "objects": np.array([Stranger(), None], dtype=object),
        "complex": torch.zeros(2, dtype=torch.complex64),
        "sparse": torch.zeros(2, 2).to_sparse(),
        "layer": torch.nn.Conv2d(1, 1, 1),
        "types": (types.SimpleNamespace(x=1), np.float32, torch.int8, torch.device("cpu"), {True, 2.5, None}),
        "parameter": torch.nn.Parameter(torch.zeros(1)),
    }


def print_() -> None:
    raise AssertionError("called")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_strangers_anywhere(tmp_path: Path, protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the networks, in the discriminator, in a module of the generator, in a keyword that changes nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("strange.py").write_text("open('TRACE', 'w')\n")
    content = snapshot("v2ada", made(), SKIP)
    content["D"].attributes.update(strangers())
    content["G_ema"].attributes["_modules"]["mapping"].attributes.update(strangers())
    content["G_ema"].attributes["_init_kwargs"]["verbose"] = 3
    content |= {"training": strangers(), "augment_pipe": Stranger()}
    with monkeypatch.context() as patch:
        module = types.ModuleType("strange")
        patch.setitem(sys.modules, "strange", module)
        for thing in (Stranger, StrangeDict, StrangeList, print_):
            patch.setattr(thing, "__module__", "strange")
            setattr(module, thing.__name__, thing)
        data = dumps(content, protocol)
        torch.save({"state_dict": made().state_dict(), **strangers()}, "net.pt")
    for found in (read(tmp_path, data, "net.pkl"), checkpoint.load("net.pt")):
        assert_same(found, made())
    assert not Path("TRACE").exists() and "strange" not in sys.modules


def test_a_stranger_where_a_network_belongs(tmp_path: Path) -> None:
    assert "it has no G_ema" in refusal(
        tmp_path, dumps({"G": official_network("v2ada", made(), SKIP), "G_ema": Stranger()})
    )
    assert "got an object of" in refusal(tmp_path, pickle.dumps(Stranger(), 4))
    G = official_network("v2ada", made(), SKIP)
    G.attributes["_init_kwargs"] = {**SKIP, "z_dim": Stranger()}
    assert "_init_kwargs: expected texts, finite numbers" in refusal(tmp_path, dumps({"G_ema": G}))
    G.attributes["_init_kwargs"] = StrangeDict(SKIP, mapping_kwargs=OrderedDict(num_layers=2))
    assert_same(read(tmp_path, dumps({"G_ema": G})), made())
