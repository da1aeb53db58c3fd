"""How long the studio's page waits for its pictures, in Chromium: `python -m benchmarks.studio [site=DIR] [MODEL ...]`.

Of each model (default: faces) a line of a table: the same picture by Model in Python, from the wish on the page to its
pixels there, the smaller picture that comes first, and how many pictures a second *Wander* shows. site=: of a page that
`python -m runtime.studio --export` wrote, beside Model with one thread. Needs the extra [studio] and playwright;
NCNN_BUILDER_CHROMIUM names the browser.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import os
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from runtime import Model

ROUNDS, SECONDS = 5, 5.0
"""Of measurements in turn, and of each."""
HEAD = (
    "| | Model, ms | page, ms | the smaller one, ms | pictures a second |",
    "|---|---|---|---|---|",
)
ASK = """async ([model, early, count]) => {
  const { chosen } = await import('./chosen.js');
  const engine = await chosen(), taken = [];
  for (let i = 0; i < count; i++) {
    const begun = performance.now();
    await engine.picture(model, { mode: 'image', seeds: String(Math.floor(Math.random() * 1e9)) }, { early });
    taken.push(performance.now() - begun);
  }
  return taken;
}"""
SHOWN = """async seconds => {
  const plain = CanvasRenderingContext2D.prototype.putImageData, picture = document.getElementById('picture');
  let shown = 0;
  CanvasRenderingContext2D.prototype.putImageData = function (...all) {
    if (this.canvas === picture) shown++;
    return plain.apply(this, all);
  };
  const begun = performance.now();
  await new Promise(resolve => setTimeout(resolve, seconds * 1000));
  CanvasRenderingContext2D.prototype.putImageData = plain;
  return shown / ((performance.now() - begun) / 1000);
}"""


def main(arguments: list[str]) -> int:
    """Prints the table."""
    from playwright.sync_api import sync_playwright

    site = next((word[5:] for word in arguments if word.startswith("site=")), None)
    models = [word for word in arguments if not word.startswith("site=")]
    load = os.getloadavg()[0]
    print(*HEAD, sep="\n", flush=True)
    with sync_playwright() as playwright:
        program = os.environ.get("NCNN_BUILDER_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for model in models or ["faces"]:
            with exported(site) if site else served(model) as address:
                print(line(model, browser, address, 1 if site or model == "faces" else None), flush=True)
        browser.close()
    print(f"\nMedians of {ROUNDS} rounds in turn, with their range; load {load:.0f} to {os.getloadavg()[0]:.0f}.")
    return 0


@contextlib.contextmanager
def served(model: str) -> Iterator[str]:
    """The address of a studio."""
    command = [sys.executable, "-m", "runtime.studio", f"model={model}", "open=false", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass

    def end_headers(self) -> None:
        """As a page that may have threads is served."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()


@contextlib.contextmanager
def exported(site: str) -> Iterator[str]:
    """The address of a folder."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()


def line(model: str, browser: Any, address: str, threads: int | None) -> str:
    """threads: of Model in Python."""
    name = os.path.basename(model)
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(address)
    page.wait_for_function("() => document.getElementById('command').textContent", timeout=120_000)
    page.locator("#model").select_option(name)
    page.wait_for_function(
        "name => document.getElementById('command').textContent.includes(`model=${name}`)", arg=name, timeout=120_000
    )
    page.wait_for_timeout(3000)  # the thumbnails
    own = in_python(model, 3, threads)
    count = max(3, min(60, int(SECONDS / max(statistics.median(own), 1e-3))))
    early = page.evaluate(
        "async m => (await (await import('./chosen.js')).chosen()).models().then(({ models }) =>"
        " models.find(({ name }) => name === m).previews)",
        name,
    )
    found: dict[str, list[float]] = {"own": [], "page": [], "early": [], "shown": []}
    for _ in range(ROUNDS):
        found["own"].append(1e3 * statistics.median(in_python(model, count, threads)))
        found["page"].append(statistics.median(page.evaluate(ASK, [name, False, count])))
        if early:
            found["early"].append(statistics.median(page.evaluate(ASK, [name, True, count])))
        page.get_by_role("button", name="Wander").click()
        page.wait_for_timeout(1000)
        found["shown"].append(page.evaluate(SHOWN, SECONDS))
        page.locator("#wander").click()
        page.wait_for_timeout(int(4e3 * statistics.median(own)) + 200)
    page.context.close()
    return f"| {name} | " + " | ".join(_range(values) for values in found.values()) + " |"


def in_python(model: str, count: int, threads: int | None) -> list[float]:
    """Seconds of a mapping and a picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = Model(model, threads=threads)
    taken = []
    for seed in range(count + 1):
        z = np.random.RandomState(seed).randn(loaded.manifest.z_dim)
        begun = time.perf_counter()
        loaded.image(loaded.mapping(z))
        taken.append(time.perf_counter() - begun)
    return taken[1:]


def _range(values: list[float]) -> str:
    if not values:
        return "none"
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
