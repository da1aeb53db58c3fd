"""The studio's view of nets in Chromium: graphs, lists, pictures of blobs, two nets. `make studio-test`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runtime_nets import write_bundle
from studio_support import Started, running, write_chain

pytest.importorskip("playwright", reason="no browser to open the studio in: `make studio-test` brings what it takes")

from playwright.sync_api import Browser, Page, expect
from studio_page_support import drop

pytestmark = pytest.mark.page
KEEP = os.environ.get("NCNN_BUILDER_SCREENSHOTS")
LAYERS = 1200


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    place = tmp_path_factory.mktemp("nets")
    write_bundle(place)
    write_chain(place / "a", 4)
    write_chain(place / "b", 4, changed=2)
    write_chain(place / "long", LAYERS)
    with running(place, "a.param", "b.param") as started:
        yield started


def opened(studio: Started, browser: Browser, query: str = "", **more: Any) -> Page:
    page = browser.new_context(
        **{"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark", **more}
    ).new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(studio.address + query)
    expect(page.locator("#caption-a")).to_contain_text("layers", timeout=60_000)
    return page


def row(page: Page, name: str, side: str = "a") -> Any:
    return page.locator(f"#list-{side} .line", has_text=name).first


def test_one_net(studio: Started, browser: Browser) -> None:
    """By mouse and by keys: what is chosen, folded and found; pictures, times, and a report of doctor."""
    page = opened(studio, browser, "?net=a.param")
    expect(page.locator("#caption-a")).to_contain_text("a.param: 5 layers, 1.08 k MACs")
    expect(page.locator("#pane-b")).to_be_hidden()
    chosen = page.locator("#chosen")
    expect(chosen).to_contain_text("body.3/Convolution_3")  # the output, whose picture is there at once
    expect(page.locator("#blob-figures")).to_contain_text("shape 3 \u00d7 6 \u00d7 5", timeout=30_000)
    page.locator("#graph-a").focus()
    page.keyboard.press("ArrowUp")
    expect(chosen).to_contain_text("body.2/Convolution_2")
    page.keyboard.press("Enter")
    expect(chosen.locator("h2")).to_have_text("Convolution body.2/Convolution_2")
    expect(row(page, "▸2")).to_be_visible()
    row(page, "▸2").locator(".fold").click()
    expect(row(page, "▾2")).to_be_visible()
    box = page.locator("#graph-a").bounding_box()
    assert box is not None
    page.keyboard.press("0")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 200)
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(chosen).to_contain_text("Convolution")
    page.get_by_role("button", name="Fold all", exact=True).click()
    expect(page.locator("#list-a .line")).to_have_count(2)
    page.get_by_role("button", name="Unfold all").click()
    find = page.get_by_label("Find")
    find.fill("convolution_1")
    expect(page.locator("#found")).to_have_text("1 of 5")
    find.press("Enter")
    expect(chosen).to_contain_text("body.1/Convolution_1")
    find.fill("")
    page.get_by_label("Each by itself").check()
    expect(page.locator("#blob")).to_have_attribute("data-shown", "3", timeout=30_000)
    page.locator("#list-a").focus()
    page.keyboard.press("Home")
    expect(chosen).to_contain_text("Input x")
    page.get_by_role("button", name="Measure times").click()
    expect(page.locator("#toast")).to_contain_text("All layers:", timeout=30_000)
    expect(row(page, "Convolution_1")).to_contain_text("s")
    expect(page.locator("#heat")).to_have_value("time")

    layers = [
        {"name": "body.1/Convolution_1", "in_net": {"relative": 0.25}},
        {"name": "x", "in_net": {"relative": None}},
    ]
    for said, words in (
        ({"culprit": "body.1/Convolution_1", "layers": layers}, ""),
        ([{"culprit": "body.1", "modules": [{"path": "body.1", "in_the_net": {"required": 0.5}}]}], ""),
        ({"layers": []}, "says nothing of layers"),
    ):
        data = json.dumps(said).encode()
        page.locator("#report-file").set_input_files({"name": "r.json", "mimeType": "application/json", "buffer": data})
        if words:
            expect(page.get_by_role("alert")).to_contain_text(words)
        else:
            expect(page.locator("#list-a .line.marked").last).to_contain_text("Convolution_1")
    drop(page, b"7767517", "net.param")
    expect(page.get_by_role("alert")).to_contain_text("net.param: nets and inputs are opened by their names")
    page.get_by_label("Net", exact=True).fill("none.param")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("no such net here")
    page.locator("#shapes").fill("x=3,8")
    page.locator("#shapes").blur()
    expect(page.get_by_role("alert")).to_contain_text("no such net here")
    page.get_by_label("Net", exact=True).fill("tiny_synthesis.param")
    page.locator("#shapes").fill("")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator("#caption-a")).to_contain_text("tiny_synthesis.param", timeout=30_000)
    expect(page.get_by_role("alert")).to_be_hidden()
    page.get_by_role("link", name="Generator").click()
    expect(page.locator("#command")).to_contain_text("mode=image model=tiny", timeout=30_000)
    page.context.close()


def test_two_nets(studio: Started, browser: Browser) -> None:
    """Their first difference is marked in both; a layer brings the other's; the picture of the difference."""
    page = opened(studio, browser)
    expect(page.locator("#compared")).to_contain_text("0 differences of structure, 1 of weights", timeout=90_000)
    page.locator("#first").click()
    for side in "ab":
        marked = page.locator(f"#list-{side} .line.marked")
        expect(marked.last).to_contain_text("Convolution_2")
        expect(marked.last).to_have_attribute("aria-selected", "true")
    expect(page.locator("#chosen")).to_contain_text("the first that does")
    expect(row(page, "Convolution_1")).to_contain_text("0")
    row(page, "Convolution_1").click()
    expect(page.locator("#list-b .line[aria-selected=true]")).to_contain_text("Convolution_1")
    page.locator("#which").select_option("difference")
    nothing = re.compile(r"largest 0\s*mean")
    expect(page.locator("#blob-figures")).to_have_text(nothing, timeout=30_000)
    row(page, "Convolution_2").click()
    expect(page.locator("#blob-figures")).not_to_have_text(nothing, timeout=30_000)
    if KEEP:
        page.screenshot(path=f"{KEEP}/nets.png")
    page.context.close()


def test_a_long_net_stays_usable(studio: Started, browser: Browser) -> None:
    """Only what is in view is made: few elements, and a frame is drawn in a small part of a second."""
    page = opened(studio, browser, "?net=long.param")
    page.get_by_role("button", name="Unfold all").click()
    find = page.get_by_label("Find")
    find.fill("Convolution_700")
    expect(page.locator("#found")).to_have_text(f"1 of {LAYERS + 1}")
    find.press("Enter")
    expect(page.locator("#chosen")).to_contain_text("body.700/Convolution_700")
    find.fill("")
    expect(row(page, "Convolution_700")).to_be_visible()
    assert page.locator("*").count() < 700
    page.context.close()


@pytest.mark.parametrize(("width", "scheme"), [(1440, "dark"), (390, "light")])
def test_looks(studio: Started, browser: Browser, width: int, scheme: Any) -> None:
    page = opened(
        studio, browser, "?net=faces_synthesis.param", viewport={"width": width, "height": 900}, color_scheme=scheme
    )
    expect(page.locator("#blob-figures")).to_contain_text("3 \u00d7 64 \u00d7 64", timeout=30_000)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input:not([type=file]), select, canvas')].filter(e =>
          !(e.ariaLabel || e.textContent.trim() || [...(e.labels ?? [])].some(l => l.textContent.trim())))
          .map(e => e.outerHTML)"""
    )
    assert unnamed == []
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id"))
    assert {
        "net",
        "other",
        "go",
        "find",
        "heat",
        "constants",
        "graph-a",
        "list-a",
        "blobs",
        "each",
        "seed",
        "measure",
    } <= reached
    if KEEP:
        page.screenshot(path=f"{KEEP}/nets_{scheme}.png", full_page=width < 800)
    page.context.close()


COSTS = """async (nets) => {
  const {readParam, said} = await import("./param_file.js");
  const {macsOf, peakOf, weightsOf} = await import("./cost.js");
  return nets.map(([file, text, shapes]) => {
    const lines = readParam(file, text), known = new Map(Object.entries(shapes));
    const of = (blobs) => blobs.map((blob) => known.get(blob));
    return {peak_bytes: peakOf(lines, known), layers: lines.map((line) => ({
      type: line.type, name: line.name, module: line.module, reads: line.reads, writes: line.writes, said: said(line),
      macs: macsOf(line, of(line.reads), of(line.writes)), parameters: weightsOf(line)}))};
  });
}"""


def test_what_the_page_alone_reads_of_nets(studio: Started, browser: Browser, tmp_path: Path) -> None:
    """A net of every op that has products or weights: its layers and their cost, as the declarations count them."""
    support = pytest.importorskip("parity_support", reason="torch is not here")
    import ncnn_builder as nb
    from ncnn_builder.opspec import OpSpec
    from ncnn_builder.tools.cost import cost
    from ncnn_builder.tools.net import read_net
    from ncnn_builder.tools.show import as_json

    given, wanted = [], []
    for op, spec in nb.registry.items():
        if spec.composite or not (spec.weights or type(spec).macs is not OpSpec.macs):
            continue
        for i, sample in enumerate(support.spread(spec.samples(), 3)):
            model = nb.compile_graph(support.build(sample)[0])
            path = tmp_path / f"{op}_{i}.param"
            path.write_text(model.param)
            path.with_suffix(".bin").write_bytes(model.bin)
            net = read_net(path, path.with_suffix(".bin"))
            said = as_json(net, cost(net))
            shapes = {b: out for la in said["layers"] for b, out in zip(la["writes"], la["outputs"], strict=True)}
            given.append((path.name, model.param, shapes))
            wanted.append(said)
    page = opened(studio, browser, "?net=a.param")
    for (name, _, _), got, want in zip(given, page.evaluate(COSTS, given), wanted, strict=True):
        assert got["peak_bytes"] == want["peak_bytes"], name
        assert got["layers"] == [{key: layer[key] for key in got["layers"][0]} for layer in want["layers"]], name
    assert len(given) > 100
    page.context.close()
