"""What tests do with the studio's page in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
from playwright.sync_api import Page, expect


def says(page: Page, command: str) -> None:
    expect(page.locator("#command")).to_have_text(f"python -m runtime.run {command}", timeout=20_000)


def seen(page: Page) -> np.ndarray:
    """The pixels of the picture, [H, W, 3]."""
    script = "c => [c.width, c.height, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"
    width, height, *data = page.locator("#picture").evaluate(script)
    return np.array(data, np.uint8).reshape(height, width, 4)[:, :, :3]


def drop(page: Page, data: bytes, name: str = "x.png") -> None:
    script = """([bytes, name]) => { const files = new DataTransfer();
      files.items.add(new File([new Uint8Array(bytes)], name));
      for (const type of ['dragenter', 'dragover', 'drop'])
        document.body.dispatchEvent(new DragEvent(type, {dataTransfer: files, bubbles: true, cancelable: true})); }"""
    page.evaluate(script, [list(data), name])


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
