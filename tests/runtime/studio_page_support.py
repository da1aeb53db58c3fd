"""What tests do with the studio's page in a browser."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from runtime.run import main as run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def says(page: Page, command: str) -> None:
    from playwright.sync_api import expect

    expect(page.locator("#command")).to_have_text(f"python -m runtime.run {command}", timeout=20_000)


def seen(page: Page) -> np.ndarray:
    """The pixels of the picture, [H, W, 3]."""
    script = "c => [c.width, c.height, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    width, height, *data = page.locator("#picture").evaluate(script)
    return np.array(data, np.uint8).reshape(height, width, 4)[:, :, :3]


class Quiet(http.server.SimpleHTTPRequestHandler):
    more: dict[str, str] = {}

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def end_headers(self) -> None:
        for name, value in self.more.items():
            self.send_header(name, value)
        super().end_headers()


@contextlib.contextmanager
def served(folder: Path, headers: dict[str, str] | None = None) -> Iterator[str]:
    """The address of a folder at a plain file server, which adds these headers to what it answers."""
    kind = type("Quiet", (Quiet,), {"more": headers or {}})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(kind, directory=os.fspath(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


def watched(page: Page, address: str) -> list[str]:
    """What the page complains of from now on, and what it asks others than this address for."""
    wrong: list[str] = []
    page.on("console", lambda line: wrong.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((address, "blob:", "data:")) else wrong.append(r.url))
    return wrong


@contextlib.contextmanager
def visited(browser: Browser, address: str) -> Iterator[Page]:
    """The studio's page as it opens. In the end it has asked nobody else for anything, and complained of nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="dark")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    wrong = watched(page, address)
    page.goto(address)
    says(page, "mode=image model=faces seeds=85")
    yield page
    context.close()
    own = ("400 (Bad Request)", "Multiple readback")  # of what a test asks for
    assert [text for text in wrong if not any(part in text for part in own)] == []


def saved(page: Page) -> bytes:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG").click()
    return Path(download.value.path()).read_bytes()


def check(page: Page) -> bytes:
    """What is seen, and what is saved, is what the command that is shown makes. Returns the file."""
    words = str(page.locator("#command").text_content()).split()[3:]
    assert run([*words, "out=x.png", "-q"]) == 0
    png = saved(page)
    assert png == Path("x.png").read_bytes()
    with Image.open(io.BytesIO(png)) as image:
        np.testing.assert_array_equal(seen(page), np.asarray(image))
    return png


FILES = "given => given.map(([name, text]) => new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], name))"
DROP = """files => { const all = new DataTransfer();
  for (const file of files) all.items.add(file);
  for (const type of ['dragenter', 'dragover', 'drop'])
    document.body.dispatchEvent(new DragEvent(type, {dataTransfer: all, bubbles: true, cancelable: true})); }"""


def drop_files(page: Page, files: dict[str, bytes], onto: str = DROP) -> None:
    page.evaluate(f"given => ({onto})(({FILES})(given))", packed(files))


def packed(files: dict[str, bytes]) -> list[list[str]]:
    return [[name, base64.b64encode(data).decode()] for name, data in files.items()]


def drop(page: Page, data: bytes, name: str = "x.png") -> None:
    drop_files(page, {name: data})


def drag(page: Page, start: Any, end: Any, where: tuple[float, float] = (0.5, 0.5)) -> None:
    """From the middle of an element to a place of another."""
    a, b = start.bounding_box(), end.bounding_box()
    page.mouse.move(a["x"] + a["width"] / 2, a["y"] + a["height"] / 2)
    page.mouse.down()
    page.mouse.move(b["x"] + b["width"] * where[0], b["y"] + b["height"] * where[1], steps=8)
    page.mouse.up()


def slide(page: Page, name: str, value: str) -> None:
    """As a hand does: on the way, then settled."""
    page.locator(name).fill(value)
