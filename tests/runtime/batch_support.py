"""Jobs of runtime.batch in this process, whole or shard by shard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from runtime.batching.arguments import parse
from runtime.batching.job import claim
from runtime.batching.maker import Maker, Order, plan
from runtime.batching.stores import open_store
from runtime.manifest import load_manifest


def order_of(*arguments: str) -> Order:
    """The job of a command, claimed."""
    batch = parse(["model=tiny", *arguments, "-q"])
    batch.request.isolate = False  # a process that starts takes a quarter of a second
    return claimed(plan(batch, load_manifest("tiny")))


def claimed(order: Order) -> Order:
    store = open_store(order.out)
    with store.held():
        return replace(order, job=claim(store, order.job))


def made_here(*arguments: str, shards: list[int] | None = None) -> Order:
    """With all its shards, or those that are named."""
    order = order_of(*arguments)
    maker = Maker(order)
    for shard in order.job.shards if shards is None else shards:
        maker.make(shard, lambda count: None)
    return order


def goes_on(order: Order) -> None:
    """What the command does when it is given again."""
    order = claimed(order)
    store = open_store(order.out)
    store.sweep()
    maker = Maker(order)
    for shard in order.job.missing(store):
        maker.make(shard, lambda count: None)


def files(place: str) -> dict[str, bytes]:
    """All below a folder, hidden ones too."""
    return {str(path.relative_to(place)): path.read_bytes() for path in Path(place).rglob("*") if path.is_file()}


class Deadly:
    """Ends the process that reads it, as often as the folder holds files."""

    def __init__(self, folder: Path, times: int) -> None:
        folder.mkdir()
        for i in range(times):
            (folder / str(i)).touch()
        self._code = (
            f"import os, signal\nfor name in os.listdir({str(folder)!r})[:1]:\n"
            f"    os.unlink(os.path.join({str(folder)!r}, name)); signal.raise_signal(signal.SIGKILL)"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (self._code,)
