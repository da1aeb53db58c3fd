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

import pytest
from batch_support import files, made_here, order_of

from runtime import UsageError
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
        pytest.raises(UsageError, match=r"seed [0-9]+: w holds numbers"),
    ):
        list(counts)


def test_a_shard_that_ends_its_workers_stops_the_job(
    place: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deadly(ShardsOfRay):
        def __init__(self, order: Order, begin: Callable[[int], int]) -> None:
            def dies(shard: int) -> int:
                if (count := begin(shard)) <= MOST_DEATHS:
                    os.kill(os.getpid(), signal.SIGKILL)
                return count

            super().__init__(order, dies)

    monkeypatch.setattr("runtime.batching.cluster.ShardsOfRay", Deadly)
    with (
        closing(made_by_ray(order_of(*JOB), [0], cluster.address, 1)) as counts,
        pytest.raises(UsageError, match=r"shard 00000 \(seeds 0-4\) has ended 3 workers"),
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
