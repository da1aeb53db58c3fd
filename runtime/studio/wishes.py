"""What requests say, looked at as it is used, and what is answered where something is wrong."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from ..errors import NcnnError
from ..strangers import printable
from .desk import Busy, Desk, Superseded, Ticket
from .painter import KEYS, LONGEST

MOST_BYTES = 1 << 16
"""Of a request; a recipe has a thousand at most."""
MOST_SIZE = 4096
MOST_SHAPES, MOST_LENGTH = 64, 1 << 24
FIELDS = ("model", "recipe", "client", "now", "thumbnail", "early", "suffix")


class BadRequest(Exception):
    """What the page never sends. status: of HTTP."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


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


class Wish:
    """The JSON of a request, which is looked at as it is used. Raises BadRequest."""

    def __init__(self, fields: dict[str, object], known: Collection[str]) -> None:
        self._fields = fields
        unknown = fields.keys() - set(known)
        if unknown:
            raise BadRequest(f"the request has fields that mean nothing: {', '.join(sorted(unknown))[:200]}")

    def text(self, name: str, most: int) -> str:
        return text(name, self._fields.get(name), most)

    def flag(self, name: str) -> bool:
        value = self._fields.get(name, False)
        if not isinstance(value, bool):
            raise BadRequest(f"{name} is neither true nor false")
        return value

    def word(self, name: str, most: int) -> str:
        """As text(), but it may be missing or empty."""
        return "" if self._fields.get(name, "") == "" else self.text(name, most)

    def whole(self, name: str, most: int) -> int:
        """0 where it is missing."""
        value = self._fields.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise BadRequest(f"{name} is no whole number from 0 to {most}")
        return value

    def size(self) -> int:
        """0: as large as it is."""
        return self.whole("thumbnail", MOST_SIZE)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of inputs, such as {"x": [3, 64, 64]}."""
        given = self._fields.get("shapes", {})
        if not isinstance(given, dict) or len(given) > MOST_SHAPES:
            raise BadRequest(f"shapes is no table of at most {MOST_SHAPES} inputs")
        for name, shape in given.items():
            text("the name of an input", name, LONGEST)
            fits = isinstance(shape, list) and 1 <= len(shape) <= 4
            if not fits or any(type(n) is not int or not 1 <= n <= MOST_LENGTH for n in shape):
                raise BadRequest(f"the shape of {name} is not 1 to 4 whole numbers from 1 to {MOST_LENGTH}")
        return {name: tuple(shape) for name, shape in given.items()}

    def recipe(self, keys: Sequence[str] = KEYS) -> dict[str, str]:
        recipe = self._fields.get("recipe")
        if not isinstance(recipe, dict) or "mode" not in recipe:
            raise BadRequest("recipe is no table of texts with a mode")
        for key in recipe:
            if key not in keys:
                raise BadRequest(f"recipe has a key that the page does not know: {key[:100]}")
        return {key: text(key, value, LONGEST) for key, value in recipe.items()}


def text(name: str, value: object, most: int) -> str:
    """No NUL, which no path may hold, and no half of a surrogate, which no answer may."""
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise BadRequest(f"{name} is no text of 1 to {most} printable characters")
    return value


async def read_bytes(request: Request, most: int, kind: str = "application/octet-stream") -> bytes:
    """Raises BadRequest for what is too long, or of another kind."""
    if request.headers.get("content-type", "").partition(";")[0] != kind:
        raise BadRequest(f"the request is not {kind}", 415)
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise BadRequest(f"the request has more than {most} bytes", 413)
    return bytes(body)


async def read_wish(request: Request, known: Collection[str] = FIELDS) -> Wish:
    """Raises BadRequest for what is too long, or no JSON of a table."""
    body = await read_bytes(request, MOST_BYTES, "application/json")
    try:
        fields = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the request is not JSON: {str(error)[:200]}") from None
    if not isinstance(fields, dict):
        raise BadRequest("the request is no table")
    return Wish(fields, known)


def _no_number(word: str) -> object:
    raise ValueError(f"{word} is no number")


def with_head(head: dict[str, object], data: bytes) -> bytes:
    """Four bytes that say how long the JSON behind them is, the JSON, and the data."""
    said = json.dumps(head).encode()
    return len(said).to_bytes(4, "little") + said + data


async def awaited(request: Request, desk: Desk, ticket: Ticket) -> Any:
    """What the desk answers; Superseded also where the page gave up."""
    gone = asyncio.create_task(disconnected(request))
    answer = asyncio.wrap_future(ticket.answer)
    try:
        await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            desk.leave(ticket)
        return await answer
    finally:
        gone.cancel()


async def disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
