"""What the server answers about nets: their graphs, pictures of their blobs, and what two of them differ in."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Coroutine
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .desk import Desk, Superseded, Ticket
from .feeds import Feed, open_shapes
from .nets import Nets
from .painter import LONGEST
from .tools import compared, shown
from .wishes import Wish, answered, awaited, disconnected, read_wish, with_head

FEED = ("seed", "file", "shapes", "of")
BESIDE = " beside"
"""Behind the name of a page: no picture that it wishes for ends what it waits for."""
KEPT = 4
"""Graphs in memory; one of 10,000 layers has 5 MB."""


class NetAnswers:
    """The addresses beneath api/ that are about nets."""

    def __init__(self, nets: Nets, desk: Desk) -> None:
        self._nets, self._desk = nets, desk
        self._graphs: OrderedDict[object, dict[str, Any]] = OrderedDict()
        self._examining = asyncio.Semaphore(2)  # processes beside each other

    def routes(self) -> list[Route]:
        post = ["POST"]
        return [
            Route("/api/nets", answered(self.names), methods=["GET"]),
            Route("/api/net", answered(self.graph), methods=post),
            Route("/api/net/blob", answered(self.blob), methods=post),
            Route("/api/net/times", answered(self.times), methods=post),
            Route("/api/net/compare", answered(self.compare), methods=post),
        ]

    async def names(self, request: Request) -> Response:
        names = await asyncio.to_thread(self._nets.names)
        return JSONResponse({"first": self._nets.first, "nets": names})

    async def graph(self, request: Request) -> Response:
        """The layers with what they read and write, shapes and cost, as `ncnn_builder show --json` says them."""
        wish = await read_wish(request, ("net", "shapes"))
        path = self._nets.path(wish.text("net", LONGEST))
        shapes = {**open_shapes(path), **wish.shapes()}
        found = os.stat(path)
        key = (path, found.st_mtime_ns, found.st_size, tuple(shapes.items()))
        if key not in self._graphs:
            self._graphs[key] = await self._examined(request, shown(path, shapes))
            while len(self._graphs) > KEPT:
                self._graphs.popitem(last=False)
        return JSONResponse(self._graphs.get(key))

    async def blob(self, request: Request) -> Response:
        """Four bytes that say how long the JSON behind them is, then what blobs.picture() says.

        other, other_blob: a second net and its blob, which is taken off.
        """
        wish = await read_wish(request, ("client", "net", "blob", "first", "each", "other", "other_blob", *FEED))
        name, blob, other = wish.text("net", LONGEST), wish.text("blob", LONGEST), wish.word("other", LONGEST)
        pair = (other, wish.text("other_blob", LONGEST)) if other else None
        first, each = wish.whole("first", 1 << 31), wish.flag("each")
        look = partial(self._nets.blob, name, blob, feed_of(wish), first, each, pair)
        ticket = Ticket(wish.text("client", 64), lambda: with_head(*look()), partial(self._nets.stop, name, other))
        answer = await awaited(request, self._desk, self._desk.view(ticket, now=True))
        return Response(answer, media_type="application/octet-stream")

    async def times(self, request: Request) -> Response:
        """Seconds of each layer, as the runtime measures them."""
        wish = await read_wish(request, ("client", "net", *FEED))
        name = wish.text("net", LONGEST)
        ticket = Ticket(
            wish.text("client", 64) + BESIDE,
            partial(self._nets.times, name, feed_of(wish)),
            partial(self._nets.stop, name),
        )
        return JSONResponse(await awaited(request, self._desk, self._desk.other(ticket)))

    async def compare(self, request: Request) -> Response:
        """What `diff` and `doctor` of ncnn_builder say of two nets, on the inputs of the first."""
        wish = await read_wish(request, ("client", "net", "other", *FEED))
        name, other = wish.text("net", LONGEST), wish.text("other", LONGEST)
        paths = self._nets.path(name), self._nets.path(other)
        ticket = Ticket(
            wish.text("client", 64) + BESIDE,
            partial(self._nets.for_both, name, other, feed_of(wish)),
            partial(self._nets.stop, name),
        )
        given = await awaited(request, self._desk, self._desk.other(ticket))
        return JSONResponse(await self._examined(request, compared(*paths, given)))

    async def _examined(self, request: Request, work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
        """Superseded where the page gave up."""

        async def examine() -> dict[str, Any]:
            try:
                async with self._examining:
                    return await work
            finally:
                work.close()

        task, gone = asyncio.create_task(examine()), asyncio.create_task(disconnected(request))
        try:
            await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Superseded()
            return task.result()
        finally:
            gone.cancel()
            task.cancel()


def feed_of(wish: Wish) -> Feed:
    return Feed(wish.whole("seed", 2**32 - 1), wish.word("file", LONGEST), wish.shapes(), wish.word("of", LONGEST))
