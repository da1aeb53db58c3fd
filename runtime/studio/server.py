"""The server behind the page: what it answers to which address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ..manifest import Manifest
from .desk import Desk, Ticket
from .films import FILM_KEYS, Films
from .guard import App, Guard
from .kept_files import MOST_BYTES, MOST_OF_DIRECTIONS, about_directions, keep_directions, keep_seed
from .net_answers import NetAnswers
from .nets import Nets
from .painter import KEYS, LONGEST, Painted, check_directions, paint, reduced
from .shelf import Shelf
from .wishes import answered, awaited, no_address, read_bytes, read_wish, text, with_head

PAGE = Path(__file__).with_name("page")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Studio:
    """The state of the server, and its answers."""

    def __init__(self, shelf: Shelf, nets: Nets) -> None:
        self.shelf, self.desk, self.films = shelf, Desk(), Films(shelf)
        self._nets = NetAnswers(nets, self.desk)
        # Read once: the addresses that there are, are these, whatever a path says.
        self._files = {path.name: path.read_bytes() for path in PAGE.iterdir() if path.suffix in TYPES}

    def close(self) -> None:
        self.desk.close()
        self.films.stop()

    def app(self, token: str, port: int) -> App:
        """The ASGI application, whose addresses begin with the token."""
        get, post = ["GET"], ["POST"]
        routes = [
            Route("/", answered(self.file), methods=get),
            Route("/api/models", answered(self.models), methods=get),
            Route("/api/picture", answered(self.picture), methods=post),
            Route("/api/png", answered(self.png), methods=post),
            Route("/api/seed", answered(self.seed), methods=post),
            Route("/api/directions", answered(self.directions), methods=post),
            Route("/api/directions/about", answered(self.about_directions), methods=post),
            Route("/api/film", answered(self.film), methods=[*get, *post, "DELETE"]),
            Route("/api/film/{name}", answered(self.film_file), methods=get),
            *self._nets.routes(),
            Route("/{name}", answered(self.file), methods=get),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: no_address})
        app.router.redirect_slashes = False  # it knows nothing of the token
        return Guard(app, token, port)

    async def file(self, request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in self._files:
            raise HTTPException(404)
        return Response(self._files[name], media_type=TYPES[Path(name).suffix])

    async def models(self, request: Request) -> Response:
        about = await asyncio.to_thread(self.shelf.about)
        return JSONResponse({"first": self.shelf.first, "models": about, "keys": KEYS})

    async def picture(self, request: Request) -> Response:
        """Four bytes that say how long the JSON behind them is, then the pixels, uint8 [H, W, C].

        client: of the page; thumbnail: no side is longer, and it waits behind what pages show; now: what is being made
        for the page is stopped; early: a smaller picture, where one is there sooner.
        """
        wish = await read_wish(request)
        size, client, now = wish.size(), wish.text("client", 64), wish.flag("now")
        work = partial(self._pixels, wish.text("model", LONGEST), wish.recipe(), size, wish.flag("early"))
        ticket = self._ticket(client, wish.text("model", LONGEST), work)
        ticket = self.desk.other(ticket) if size else self.desk.view(ticket, now)
        return Response(await awaited(request, self.desk, ticket), media_type="application/octet-stream")

    async def png(self, request: Request) -> Response:
        """The file that the recipe's command writes."""
        wish = await read_wish(request)
        model, recipe = wish.text("model", LONGEST), wish.recipe()
        ticket = self._ticket(wish.text("client", 64), model, lambda: paint(self.shelf, model, recipe).png())
        return Response(await awaited(request, self.desk, self.desk.other(ticket)), media_type="image/png")

    async def seed(self, request: Request) -> Response:
        """Keeps a file as a seed: its bytes, with its name and the model that it is for in the query."""
        return JSONResponse({"seed": await self._kept(request, MOST_BYTES, keep_seed)})

    async def directions(self, request: Request) -> Response:
        """Keeps a file as one of directions, likewise."""
        return JSONResponse({"name": await self._kept(request, MOST_OF_DIRECTIONS, keep_directions)})

    async def about_directions(self, request: Request) -> Response:
        """What a file of directions beneath the working directory holds."""
        wish = await read_wish(request, ("model", "name"))
        name, manifest = wish.text("name", LONGEST), self.shelf.manifest(wish.text("model", LONGEST))
        check_directions(name)
        return JSONResponse(await asyncio.to_thread(about_directions, name, manifest))

    async def _kept(self, request: Request, most: int, keep: Callable[[str, bytes, Manifest], str]) -> str:
        name, model = (request.query_params.get(key, "") for key in ("name", "model"))
        data = await read_bytes(request, most)
        manifest = self.shelf.manifest(text("model", model, LONGEST))
        return await asyncio.to_thread(keep, name, data, manifest)

    async def film(self, request: Request) -> Response:
        """POST begins a video, DELETE stops it, and all say how far it is."""
        if request.method == "POST":
            wish = await read_wish(request)
            recipe = wish.recipe(FILM_KEYS)
            await self.films.begin(wish.text("model", LONGEST), recipe, wish.text("suffix", 10))
        elif request.method == "DELETE":
            self.films.stop()
        return JSONResponse(self.films.film.about() if self.films.film else {"state": "none"})

    async def film_file(self, request: Request) -> Response:
        path = self.films.file(request.path_params["name"])
        if not path.is_file():
            raise HTTPException(404)
        return FileResponse(path, filename=path.name)

    def _ticket(self, client: str, model: str, work: Callable[[], bytes]) -> Ticket:
        return Ticket(client, work, partial(self.shelf.stop, model))

    def _pixels(self, model: str, recipe: dict[str, str], size: int, early: bool) -> bytes:
        painted = paint(self.shelf, model, recipe, early)
        picture = reduced(painted.picture, size) if size else painted.picture
        height, width, channels = picture.shape
        return with_head({"width": width, "height": height, "channels": channels, **about(painted)}, picture.tobytes())


def about(painted: Painted) -> dict[str, object]:
    return {"milliseconds": painted.seconds * 1000, "command": painted.command, "digest": painted.digest}
