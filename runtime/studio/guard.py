"""Who may speak with the server: the browser of this machine, at the address that the terminal showed.

Any page of the web can send requests to 127.0.0.1. It does not know the token, which is a part of every address; a name
of its own that it lets point here (DNS rebinding) is not the Host that we are; and its Origin is another one.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; "
    "connect-src 'self'; worker-src 'self'"
)
HEADERS = [
    (b"cache-control", b"no-store"),
    (b"content-security-policy", POLICY.encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-embedder-policy", b"require-corp"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


class Guard:
    """Around the application, whose paths begin behind the token."""

    def __init__(self, app: App, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, what = self._refusal(scope)
        if status:
            return await answer_json(send, status, {"error": {"message": what}})
        prefix = f"/{self._token}"
        if scope["path"] == prefix:  # the page's files stand beside it
            location = (b"location", f"{prefix}/".encode())
            await send({"type": "http.response.start", "status": 307, "headers": [location, *HEADERS]})
            return await send({"type": "http.response.body", "body": b""})
        inner = {**scope, "path": scope["path"][len(prefix) :], "root_path": ""}

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *HEADERS]}
            await send(message)

        await self._app(inner, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> tuple[int, str]:
        """The status and why, or 0."""
        headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return 403, "this server answers to its own address alone"
        origins = [value for name, value in headers if name == b"origin"]
        if any(origin.partition("://")[2] not in self._hosts or not origin.startswith("http:") for origin in origins):
            return 403, "another page has no business here"
        given = scope["path"].split("/")[1] if scope["path"].startswith("/") else ""
        if not secrets.compare_digest(given.encode("utf-8", "surrogateescape"), self._token.encode()):
            return 403, "the token in the address is not the one that the terminal shows"
        return 0, ""


async def answer_json(send: Send, status: int, value: object) -> None:
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
