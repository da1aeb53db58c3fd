"""runtime.batch on Ray: two nodes in one machine, one of which dies."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from batch_support import files, made_here, order_of

from runtime import CrashError, InputError
from runtime.batch import main
from runtime.batching.cluster import ShardsOfRay, made_by_ray
from runtime.batching.maker import Order
from runtime.batching.stores import open_store
from runtime.batching.workers import MOST_DEATHS

JOB = ("seeds=0-39", "shard=5", "out=p")


def test_ray_that_is_missing(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["model=tiny", *JOB, "ray=auto"]) == 2
    assert "error: ray= needs the package ray" in capsys.readouterr().err


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        yield found
    finally:
        found.shutdown()


def test_a_node_that_dies(place: Path, cluster: Any) -> None:
    """The other one makes what is missing: the files are those that a job of this process writes."""
    made_here(*JOB)
    want = files("p")
    Path("p").rename("undisturbed")
    other = cluster.add_node(num_cpus=1)
    order, count = order_of(*JOB), 0
    with closing(made_by_ray(order, order.job.shards, cluster.address, 2)) as counts:
        for more in counts:
            count += more
            if count == 5:
                cluster.remove_node(other, allow_graceful=False)
    open_store("p").sweep()
    assert count == 40 and files("p") == want
    assert main(["--verify", "out=p"]) == 0


def test_what_a_worker_raises(place: Path, cluster: Any) -> None:
    order = order_of(*JOB, "trunc=3e38")
    with (
        closing(made_by_ray(order, order.job.shards, cluster.address, None)) as counts,
        pytest.raises(InputError, match=r"seed [0-9]+: w holds numbers"),
    ):
        list(counts)


def test_a_shard_that_ends_its_workers_stops_the_job(
    place: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deadly(ShardsOfRay):
        def __init__(self, order: Callable[[], Order], begin: Callable[[int], int]) -> None:
            def dies(shard: int) -> int:
                if (count := begin(shard)) <= MOST_DEATHS:
                    os.kill(os.getpid(), signal.SIGKILL)
                return count

            super().__init__(order, dies)

    monkeypatch.setattr("runtime.batching.cluster.ShardsOfRay", Deadly)
    with (
        closing(made_by_ray(order_of(*JOB), [0], cluster.address, 1)) as counts,
        pytest.raises(CrashError, match=r"shard 00000 \(seeds 0-4\) has ended 3 workers"),
    ):
        list(counts)


def test_nobody_listens(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Which is found before anything is made, and without asking for minutes."""
    for name in ("ray", "ray.data"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert main(["model=tiny", *JOB, f"ray=127.0.0.1:{port}"]) == 2
    assert f"error: ray=127.0.0.1:{port}: no cluster answers; reason: " in capsys.readouterr().err
    assert not Path("p").exists()


def test_no_cluster(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    assert main(["model=tiny", *JOB, "ray=auto"]) == 2
    assert "error: ray=auto: no cluster answers" in capsys.readouterr().err


def test_what_else_goes_over_many_pictures(tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of restorers, data sets and metrics: what the cluster makes is what this machine makes."""
    from projection_support import prepare
    from upscale_nets import photo, save, write_net

    from runtime.upscale import main as upscale
    from stylegan.checkpoints import checkpoint
    from stylegan.dataset import PictureDataset
    from stylegan.dataset.__main__ import main as dataset
    from stylegan.metrics import shards
    from stylegan.metrics.evaluate import evaluate
    from stylegan.networks.configs import CONFIGS

    prepare(tmp_path, monkeypatch)  # a tiny network of 16 x 16, an empty cache
    write_net(tmp_path / "x2")
    Path("in").mkdir()
    for i in range(12):
        save(Path("in", f"{i:02d}.png"), photo(16, 16) ^ np.uint8(i))
    Path("in", "bad.png").write_bytes(b"no picture")
    on_ray = f"ray={cluster.address}"
    quick = ("model=x2", "tile=whole", "-q")
    assert upscale(["in", "a", *quick]) == 2 == upscale(["in", "b", on_ray, *quick])
    made = {name: data for name, data in files("b").items() if not name.startswith("upscaled.json")}
    assert made == {name: data for name, data in files("a").items() if not name.startswith("upscaled.json")}
    assert len(made) == 12
    Path("in", "bad.png").unlink()
    assert upscale(["--verify", "b"]) == 0

    assert dataset(["in", "a.zip", "-q"]) == 0 == dataset(["in", "b.zip", "--ray", cluster.address, "-q"])
    assert Path("a.zip").read_bytes() == Path("b.zip").read_bytes() and not Path(".b.zip.parts").exists()

    config = CONFIGS["tiny"]
    state = checkpoint.random_state(config.family, config.init_kwargs, 7)
    G = checkpoint.build_generator(config.family, config.init_kwargs, state, "random")
    monkeypatch.setattr(shards, "SHARD", 18)
    how: dict[str, Any] = dict(metrics=["fid"], num=30, features="fixed", batch=10, seed=3)
    data = PictureDataset("a.zip")
    (want,), (found,) = evaluate(G, data, **how), evaluate(G, data, **how, processes=0, ray=cluster.address)
    assert found.values["fid"] == pytest.approx(want.values["fid"], rel=1e-5)
