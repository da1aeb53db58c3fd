"""The server behind the page: what it answers to which address."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from ..errors import NcnnError
from ..strangers import printable
from .desk import Busy, Desk, Superseded, Ticket
from .films import FILM_KEYS, Films
from .guard import App, Guard
from .painter import KEYS, LONGEST, Painted, paint, reduced
from .shelf import Shelf

PAGE = Path(__file__).with_name("page")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
MOST_BYTES = 1 << 16
"""Of a request; a recipe has a thousand at most."""
MOST_SIZE = 4096


class BadRequest(Exception):
    """What the page never sends. status: of HTTP."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Studio:
    """The state of the server, and its answers."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf, self.desk, self.films = shelf, Desk(), Films(shelf)
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
            Route("/api/film", answered(self.film), methods=[*get, *post, "DELETE"]),
            Route("/api/film/{name}", answered(self.film_file), methods=get),
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
        for the page is stopped.
        """
        wish = await read_wish(request)
        size, client, now = wish.size(), wish.text("client", 64), wish.flag("now")
        work = partial(self._pixels, wish.text("model", LONGEST), wish.recipe(), size)
        ticket = self._ticket(client, wish.text("model", LONGEST), work)
        ticket = self.desk.other(ticket) if size else self.desk.view(ticket, now)
        return Response(await self._answer(request, ticket), media_type="application/octet-stream")

    async def png(self, request: Request) -> Response:
        """The file that the recipe's command writes."""
        wish = await read_wish(request)
        model, recipe = wish.text("model", LONGEST), wish.recipe()
        ticket = self._ticket(wish.text("client", 64), model, lambda: paint(self.shelf, model, recipe).png())
        return Response(await self._answer(request, self.desk.other(ticket)), media_type="image/png")

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

    def _pixels(self, model: str, recipe: dict[str, str], size: int) -> bytes:
        painted = paint(self.shelf, model, recipe)
        picture = reduced(painted.picture, size) if size else painted.picture
        height, width, channels = picture.shape
        head = json.dumps({"width": width, "height": height, "channels": channels, **about(painted)}).encode()
        return len(head).to_bytes(4, "little") + head + picture.tobytes()

    async def _answer(self, request: Request, ticket: Ticket) -> bytes:
        """Or Superseded, also where the page gave up."""
        gone = asyncio.create_task(_disconnected(request))
        answer = asyncio.wrap_future(ticket.answer)
        try:
            await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self.desk.leave(ticket)
            result: bytes = await answer
            return result
        finally:
            gone.cancel()


def answered(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint, whose exceptions are answers."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (Superseded, ClientDisconnect):
            return Response(status_code=204)  # no mistake: a newer wish took its place
        except Busy:
            return failure(503, "too many wishes wait")
        except BadRequest as error:
            return failure(error.status, str(error))
        except NcnnError as error:
            names = ("what", "file", "layer", "expected", "got", "reason", "fix")
            return failure(400, str(error), **{name: text for name in names if (text := getattr(error, name))})
        except MemoryError:
            return failure(500, "out of memory")
        except HTTPException:
            raise
        except Exception as error:
            print(printable(f"error: {request.scope['path']}: {error!r}", keep=""), file=sys.stderr)
            return failure(500, printable(f"the studio made a mistake: {error}", keep=""))

    return answer


async def no_address(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    return failure(status, "no such address" if status == 404 else "not in this way")


def failure(status: int, message: str, **fields: object) -> Response:
    said = {name: printable(value) if isinstance(value, str) else value for name, value in fields.items()}
    return JSONResponse({"error": {"message": printable(message), **said}}, status)


def about(painted: Painted) -> dict[str, object]:
    return {"milliseconds": painted.seconds * 1000, "command": painted.command, "digest": painted.digest}


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class Wish:
    """The JSON of a request, which is looked at as it is used. Raises BadRequest."""

    def __init__(self, fields: dict[str, object]) -> None:
        self._fields = fields
        unknown = fields.keys() - {"model", "recipe", "client", "now", "thumbnail", "suffix"}
        if unknown:
            raise BadRequest(f"the request has fields that mean nothing: {', '.join(sorted(unknown))[:200]}")

    def text(self, name: str, most: int) -> str:
        return _text(name, self._fields.get(name), most)

    def flag(self, name: str) -> bool:
        value = self._fields.get(name, False)
        if not isinstance(value, bool):
            raise BadRequest(f"{name} is neither true nor false")
        return value

    def size(self) -> int:
        """0: as large as it is."""
        value = self._fields.get("thumbnail", 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_SIZE:
            raise BadRequest(f"thumbnail is no whole number from 0 to {MOST_SIZE}")
        return value

    def recipe(self, keys: Sequence[str] = KEYS) -> dict[str, str]:
        recipe = self._fields.get("recipe")
        if not isinstance(recipe, dict) or "mode" not in recipe:
            raise BadRequest("recipe is no table of texts with a mode")
        for key in recipe:
            if key not in keys:
                raise BadRequest(f"recipe has a key that the page does not know: {key[:100]}")
        return {key: _text(key, value, LONGEST) for key, value in recipe.items()}


def _text(name: str, value: object, most: int) -> str:
    """No NUL, which no path may hold, and no half of a surrogate, which no answer may."""
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise BadRequest(f"{name} is no text of 1 to {most} printable characters")
    return value


async def read_wish(request: Request) -> Wish:
    """Raises BadRequest for what is too long, or no JSON of a table."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise BadRequest("the request is not application/json", 415)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise BadRequest(f"the request has more than {MOST_BYTES} bytes", 413)
    try:
        fields = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the request is not JSON: {str(error)[:200]}") from None
    if not isinstance(fields, dict):
        raise BadRequest("the request is no table")
    return Wish(fields)


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is no number")
