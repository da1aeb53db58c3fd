"""How long the studio's page waits for its pictures, in Chromium: `python -m benchmarks.studio [MODEL ...]`.

Of each model (default: faces) a line of a table: the same picture by Model in Python, from the wish on the page to its
pixels there, the smaller picture that comes first, and how many pictures a second *Wander* shows. Needs the extra
[studio] and playwright; NCNN_BUILDER_CHROMIUM names the browser.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import warnings
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


def main(models: list[str]) -> int:
    """Prints the table."""
    from playwright.sync_api import sync_playwright

    load = os.getloadavg()[0]
    print(*HEAD, sep="\n", flush=True)
    with sync_playwright() as playwright:
        program = os.environ.get("NCNN_BUILDER_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for model in models or ["faces"]:
            print(line(model, browser), flush=True)
        browser.close()
    print(f"\nMedians of {ROUNDS} rounds in turn, with their range; load {load:.0f} to {os.getloadavg()[0]:.0f}.")
    return 0


def line(model: str, browser: Any) -> str:
    command = [sys.executable, "-m", "runtime.studio", f"model={model}", "open=false", "-q"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.goto(server.stdout.readline().strip())
            page.wait_for_function("() => document.getElementById('command').textContent", timeout=120_000)
            page.wait_for_timeout(3000)  # the thumbnails
            return _line(model, page)
        finally:
            server.terminate()


def _line(model: str, page: Any) -> str:
    own = in_python(model, 3)
    count = max(3, min(60, int(SECONDS / max(statistics.median(own), 1e-3))))
    early = page.evaluate(
        "async m => (await (await import('./chosen.js')).chosen()).models().then(({ models }) =>"
        " models.find(({ name }) => name === m).previews)",
        model,
    )
    name = os.path.basename(model)
    found: dict[str, list[float]] = {"own": [], "page": [], "early": [], "shown": []}
    for _ in range(ROUNDS):
        found["own"].append(1e3 * statistics.median(in_python(model, count)))
        found["page"].append(statistics.median(page.evaluate(ASK, [name, False, count])))
        if early:
            found["early"].append(statistics.median(page.evaluate(ASK, [name, True, count])))
        page.get_by_role("button", name="Wander").click()
        page.wait_for_timeout(1000)
        found["shown"].append(page.evaluate(SHOWN, SECONDS))
        page.locator("#wander").click()
        page.wait_for_timeout(int(4e3 * statistics.median(own)) + 200)
    return f"| {name} | " + " | ".join(_range(values) for values in found.values()) + " |"


def in_python(model: str, count: int) -> list[float]:
    """Seconds of a mapping and a picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = Model(model, threads=1 if model == "faces" else None)
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
