"""Jobs of runtime.batch in this process, whole or shard by shard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runtime.batching.arguments import parse
from runtime.batching.job import claim
from runtime.batching.maker import Maker, Order, plan
from runtime.batching.stores import open_store
from runtime.manifest import load_manifest


def order_of(*arguments: str) -> Order:
    """The job of a command, claimed."""
    batch = parse(["model=tiny", *arguments, "-q"])
    order = plan(batch, load_manifest("tiny"))
    store = open_store(batch.out)
    with store.held():
        return replace(order, job=claim(store, order.job))


def made_here(*arguments: str, shards: list[int] | None = None) -> Order:
    """With all its shards, or those that are named."""
    order = order_of(*arguments)
    maker = Maker(order)
    for shard in order.job.shards if shards is None else shards:
        maker.make(shard, lambda count: None)
    return order


def goes_on(*arguments: str) -> None:
    """What the command does when it is given again."""
    order = order_of(*arguments)
    store = open_store(order.out)
    store.sweep()
    made_here(*arguments, shards=order.job.missing(store))


def files(place: str) -> dict[str, bytes]:
    """All below a folder, hidden ones too."""
    return {str(path.relative_to(place)): path.read_bytes() for path in Path(place).rglob("*") if path.is_file()}
