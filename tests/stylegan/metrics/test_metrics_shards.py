"""Features of many pictures: what was stopped goes on, and figures do not depend on who made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from projection_support import prepare

from stylegan.checkpoints import checkpoint
from stylegan.dataset import PictureDataset
from stylegan.dataset.archive import encoded, writing
from stylegan.faces import face
from stylegan.metrics import shards
from stylegan.metrics.evaluate import evaluate
from stylegan.networks.configs import CONFIGS


def test_what_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two shards, of 20 and of 10 pictures."""
    monkeypatch.setattr(shards, "SHARD", 18)
    prepare(tmp_path, monkeypatch)  # a tiny network of 16 x 16, an empty cache
    config = CONFIGS["tiny"]
    state = checkpoint.random_state(config.family, config.init_kwargs, 7)
    G = checkpoint.build_generator(config.family, config.init_kwargs, state, "random")
    with writing(Path("data.zip")) as archive:
        for i in range(12):
            archive.add(encoded(face(i, 16)))
    data = PictureDataset("data.zip")
    how: dict[str, Any] = dict(metrics=["fid", "kid"], num=30, features="fixed", batch=10, seed=3)
    want = [found.values for found in evaluate(G, data, **how)]
    cache = Path("cache/metrics")
    assert len(list(cache.iterdir())) == 1  # of the data
    made: list[int] = []
    features = shards._features

    def stopped(batches: Any, pictures: Any, shard: int, *rest: Any) -> Any:
        made.append(shard)
        if len(made) == 2:
            raise KeyboardInterrupt
        return features(batches, pictures, shard, *rest)

    monkeypatch.setattr(shards, "_features", stopped)
    with pytest.raises(KeyboardInterrupt):
        evaluate(G, data, **how)
    assert "20 of 30 pictures (generated) are kept: the same command goes on" in capsys.readouterr().err
    assert [found.values for found in evaluate(G, data, **how)] == want and made == [0, 1, 1]
    (there,) = cache.iterdir()
    assert there.suffix == ".npz"

    again = [found.values for found in evaluate(G, data, **how, processes=2)]
    assert made == [0, 1, 1]  # others made them
    assert [found.keys() for found in again] == [{"fid"}, {"kid"}]
    assert again[0]["fid"] == pytest.approx(want[0]["fid"], rel=1e-5)
    assert again[1]["kid"] == pytest.approx(want[1]["kid"], rel=1e-3)
    assert list(cache.iterdir()) == [there]


def test_a_damaged_shard(tmp_path: Path) -> None:
    store = shards.Folder(str(tmp_path))
    (tmp_path / "000000.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(OSError, match=r"000000.npz is damaged .*; delete that folder"):
        shards._read(store, 0, ["a"])
