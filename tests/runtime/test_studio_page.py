"""The studio's page in Chromium: every control, and that what is seen is what its command makes. `make studio-test`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from runtime_nets import latent, write_bundle, write_seed
from studio_support import Started, running

from runtime.run import main as run
from runtime.studio.previews import Previews

pytest.importorskip("playwright", reason="no browser to open the studio in: `make studio-test` brings what it takes")

from playwright.sync_api import Browser, Page, expect
from studio_page_support import check, drag, drop, saved, says, slide

pytestmark = pytest.mark.page
KEEP = os.environ.get("NCNN_BUILDER_SCREENSHOTS")
"""A folder for pictures of the page."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    place = tmp_path_factory.mktemp("page")
    write_bundle(place, transform=[[1, 0, 0], [0, 1, 0], [0, 0, 1]], noise="input", c_dim=3, height=16, width=16)
    write_seed(place / "1.bin", latent(1))
    with running(place, "model=faces") as started:
        yield started


def test_seeds(page: Page) -> None:
    field = page.get_by_label("Seed A", exact=True).and_(page.locator("input"))
    field.fill("458")
    field.press("Enter")
    says(page, "mode=image model=faces seeds=458")
    check(page)
    page.get_by_role("button", name="Seed A: the next").click()
    says(page, "mode=image model=faces seeds=459")
    page.get_by_role("button", name="Seed A: the one before").click()
    page.get_by_role("button", name="Seed A: the one before").click()
    says(page, "mode=image model=faces seeds=457")
    page.locator("body").press("ArrowRight")
    says(page, "mode=image model=faces seeds=458")
    page.get_by_role("button", name="Seed A: a random one").click()
    expect(field).not_to_have_value("458")
    field.fill("w_avg")
    field.press("Enter")
    says(page, "mode=image model=faces seeds=w_avg")
    field.fill("-1")
    field.press("Enter")
    assert field.evaluate("field => field.validationMessage").startswith("A number up to 4294967295")
    field.fill("none.npz")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("none.npz: no such file")
    page.get_by_role("button", name="Roll all four").click()
    expect(page.get_by_role("alert")).to_be_hidden()


def test_truncation_and_the_way_back(page: Page) -> None:
    slide(page, "#trunc", "0.5")
    says(page, "mode=image model=faces seeds=85 trunc=0.5")
    slide(page, "#cutoff", "4")
    says(page, "mode=image model=faces seeds=85 trunc=0.5 cutoff=4")
    check(page)
    items = page.locator("#history li")
    expect(items).to_have_count(3)
    items.last.get_by_role("button", name="Back to").click()
    says(page, "mode=image model=faces seeds=85")
    expect(page.locator("#trunc-out")).to_have_text("1.00")
    expect(items).to_have_count(3)
    items.last.hover()
    items.last.get_by_role("button", name="Compare with").click()
    expect(page.locator("#held")).to_be_visible()
    slide(page, "#divider", "25")
    assert page.locator("#frame").evaluate("e => e.style.getPropertyValue('--part')") == "0.25"
    page.get_by_role("button", name="Stop comparing").click()
    expect(page.locator("#held")).to_be_hidden()
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#held")).to_be_visible()
    page.locator(".below").get_by_role("button", name="Clear").click()
    expect(items).to_have_count(0)


def test_the_strip(page: Page) -> None:
    """Painting by hand and by keys; two seeds are mode=mix with styles=, more are blend=."""
    cells = page.locator(".cell")
    drag(page, cells.nth(1), cells.nth(4))
    says(page, "mode=mix model=faces seeds=85,100 styles=1-4")
    check(page)
    slide(page, "#share", "40")
    page.locator("label.brush.c").click()
    cells.nth(7).click()
    says(page, "mode=mix model=faces seeds=85,100,458 blend=1-4:b,7:c0.4")
    cells.nth(7).press("ArrowRight")
    assert cells.nth(8).evaluate("cell => cell === document.activeElement")
    cells.nth(8).press("d")
    says(page, "mode=mix model=faces seeds=85,100,458,1789 blend=1-4:b,7:c0.4,8:d0.4")
    expect(cells.nth(8)).to_have_attribute("aria-label", "Style 8, 64: 60 % A, 40 % D")
    png = check(page)
    if KEEP:  # the picture of README.md and docs/studio.md
        page.mouse.move(0, 0)
        page.wait_for_timeout(3000)
        page.screenshot(path=f"{KEEP}/studio.png")
    cells.nth(8).press("a")
    says(page, "mode=mix model=faces seeds=85,100,458 blend=1-4:b,7:c0.4")
    page.locator(".mixer").get_by_role("button", name="Clear").click()
    says(page, "mode=image model=faces seeds=85")
    drop(page, png)
    says(page, "mode=mix model=faces seeds=85,100,458,1789 blend=1-4:b,7:c0.4,8:d0.4")
    assert saved(page) == png


def test_the_walk(page: Page) -> None:
    pad = page.locator("#walk")
    drag(page, pad, pad, (0.75, 0.5))
    says(page, "mode=mix model=faces seeds=85,100,458,1789 blend=0-9:b0.375+c0.125+d0.375")
    check(page)
    page.locator("#walk-x").press("ArrowDown")
    says(page, "mode=mix model=faces seeds=85,100,458,1789 blend=0-9:b0.36+c0.13+d0.39")
    page.get_by_role("button", name="Wander").click()
    expect(page.locator("#speed")).to_contain_text("a second", timeout=20_000)
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Wander")).to_be_visible()


def test_the_timeline(page: Page, studio: Started) -> None:
    """Key pictures of seeds and mixes; the preview shows what is between them; the video is its command's file."""
    page.get_by_role("tab", name="Timeline").click()
    film = page.get_by_role("button", name="Make video")
    expect(film).to_be_disabled()
    page.locator("#key").click()
    drag(page, page.locator(".cell").nth(1), page.locator(".cell").nth(4))
    says(page, "mode=mix model=faces seeds=85,100 styles=1-4")
    page.locator("#key").click()
    page.locator("#key").click()
    keys = page.locator("#keys li")
    expect(keys).to_have_count(3)
    keys.first.hover()
    keys.first.get_by_role("button", name="Later").click()
    keys.last.hover()
    keys.last.get_by_role("button", name="Remove").click()
    expect(keys).to_have_count(2)
    slide(page, "#frames", "6")
    slide(page, "#fps", "2")
    page.locator("#ease").select_option("cubic")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#command")).to_have_text(re.compile(r"blend=1-4:b0\.\d+$"), timeout=20_000)
    expect(page.get_by_role("button", name="Preview")).to_have_attribute("aria-pressed", "false", timeout=20_000)
    says(page, "mode=mix model=faces seeds=85,100 styles=1-4")
    film.click()
    expect(page.locator("#film-says")).to_contain_text(".mp4 is in", timeout=60_000)
    with page.expect_download() as download:
        page.locator("#film-link").click()
    words = ["mode=a2b", "model=faces", "seeds=85,100", "stops=1-4:b/a", "frames=6", "fps=2", "ease=cubic"]
    page.locator("#film-copy").click()
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert copied == " ".join(["python -m runtime.run", *words])
    assert run([*words, "out=own.mp4", "-q"]) == 0
    assert Path(download.value.path()).read_bytes() == Path("own.mp4").read_bytes()
    page.locator("#suffix").select_option(".gif")
    film.click()
    expect(page.locator("#film-says")).to_contain_text(".gif is in", timeout=60_000)
    slide(page, "#frames", "9999")
    film.click()
    page.locator("#film-stop").click()
    expect(page.locator("#film-says")).to_contain_text("Stopped after")
    page.get_by_role("tab", name="History").click()
    expect(page.locator("#history")).to_be_visible()
    expect(page.locator("#keys")).to_be_hidden()


def test_directions(page: Page) -> None:
    page.locator("summary", has_text="Directions").click()
    slide(page, "#move-0", "2.5")
    says(page, "mode=image model=faces seeds=85 move=0:2.5")
    slide(page, "#move-15", "-1")
    slide(page, "#moved-to", "2")
    page.locator("#moved-to").blur()
    says(page, "mode=image model=faces seeds=85 move=0:2.5,15:-1 move_styles=0-2")
    png = check(page)
    page.locator("#unmoved").click()
    says(page, "mode=image model=faces seeds=85")
    drop(page, png)
    says(page, "mode=image model=faces seeds=85 move=0:2.5,15:-1 move_styles=0-2")
    assert saved(page) == png


def test_noise_class_and_transform(page: Page) -> None:
    page.locator("#model").select_option("tiny")
    says(page, "mode=image model=tiny seeds=85 class=0")
    page.get_by_label("Kind").select_option("random")
    slide(page, "#noise-seed", "7")
    slide(page, "#strength", "0.5")
    slide(page, "#label", "2")
    page.locator("#label").blur()
    says(page, "mode=image model=tiny seeds=85 noise=random noise_strength=0.5 class=2 noise_seed=7")
    check(page)
    for control, value in (("#rotate", "20"), ("#x", "0.1"), ("#y", "-0.2"), ("#zoom", "1")):
        slide(page, control, value)
    more = "noise=random noise_strength=0.5 rotate=20 translate=0.1,-0.2 zoom=2 class=2 noise_seed=7"
    says(page, f"mode=image model=tiny seeds=85 {more}")
    png = check(page)
    page.get_by_role("button", name="Reset").click()
    picture = page.locator("#picture")
    drag(page, picture, picture, (0.75, 0.5))
    expect(page.locator("#command")).to_contain_text("translate=0.25,0 ")
    page.mouse.wheel(0, -100)
    expect(page.locator("#command")).to_contain_text("zoom=1.2214")
    page.keyboard.down("Shift")
    drag(page, picture, picture, (0.25, 0.5))
    page.keyboard.up("Shift")
    expect(page.locator("#command")).to_contain_text("rotate=45")
    page.locator("#model").select_option("faces")
    says(page, "mode=image model=faces seeds=85")
    drop(page, png)
    says(page, f"mode=image model=tiny seeds=85 {more}")
    assert saved(page) == png


def test_the_newest_wish_wins(page: Page) -> None:
    """Of what is passed by while a picture is made, only the last is asked for; what is settled ends a long one."""
    asked: list[str] = []
    held: list[Callable[[], None]] = []

    def answer(route: Any) -> None:
        recipe = route.request.post_data_json["recipe"]
        if route.request.post_data_json["thumbnail"]:
            return route.continue_()
        asked.append(recipe["trunc"])
        held.append(route.continue_)
        return None

    page.route("**/api/picture", answer)
    for value in ("0.9", "0.8", "0.7", "0.6"):
        page.locator("#trunc").evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", value)
    page.wait_for_timeout(200)
    assert asked == ["0.9"]
    page.wait_for_timeout(200)  # so that pictures seem to take long
    held[0]()
    expect(page.locator("#trunc-out")).to_have_text("0.60")
    page.wait_for_timeout(300)
    assert asked == ["0.9", "0.6"]
    slide(page, "#trunc", "0.3")
    page.wait_for_timeout(400)
    assert asked == ["0.9", "0.6", "0.3"], "the one that took too long was given up"
    held[2]()
    says(page, "mode=image model=faces seeds=85 trunc=0.3")


def test_a_smaller_picture_comes_first(page: Page) -> None:
    """Of a model whose pictures take long; while sliders are dragged, what is shown early is all that is made."""
    asked: list[tuple[str, bool]] = []
    held: list[Callable[[], None]] = []

    def models(route: Any) -> None:
        said = route.fetch().json()
        route.fulfill(json={**said, "models": [{**model, "previews": True} for model in said["models"]]})

    def answer(route: Any) -> None:
        wish = route.request.post_data_json
        if wish["thumbnail"]:
            return route.continue_()
        asked.append((wish["recipe"].get("trunc", "1"), wish["early"]))
        held.append(route.continue_)
        return route.continue_() if wish["early"] else None

    page.route("**/api/models", models)
    page.route("**/api/picture", answer)
    page.reload()
    page.wait_for_timeout(600)  # so that pictures seem to take long
    held[0]()
    slide(page, "#trunc", "0.9")
    says(page, "mode=image model=faces seeds=85 trunc=0.9")
    page.wait_for_timeout(200)
    assert asked == [("1", False), ("0.9", True), ("0.9", False)]
    page.locator("#trunc").evaluate("e => { e.value = '0.8'; e.dispatchEvent(new Event('input')); }")
    says(page, "mode=image model=faces seeds=85 trunc=0.8")
    page.wait_for_timeout(200)
    assert asked[3:] == [("0.8", True), ("0.8", False)], "the newest wish ends what was made"
    held[-1]()
    check(page)


def test_smaller_pictures_of_the_page_alone(page: Page) -> None:
    """Which one is chosen, and its colours, as the server's: what the two fit to the same pictures."""
    taps = {f"synthesis.b{size}:1": f"rgb{size}" for size in (8, 16, 32, 64, 512)}
    about = {"graphs": {"synthesis": {"taps": taps}}, "img_resolution": 512}
    manifest: Any = SimpleNamespace(graphs={"synthesis": SimpleNamespace(taps=taps)}, img_resolution=512, digest="x")
    own, rng = Previews(), np.random.default_rng(0)
    pictures, wanted = [], []
    for i in range(4):
        early = rng.integers(0, 256, (32, 32, 3), np.uint8)
        whole = np.repeat(np.repeat(early[:, :, ::-1] * 0.4 + 40 * (i > 1), 2, 0), 2, 1).astype(np.uint8)
        pictures.append([early.ravel().tolist(), whole.ravel().tolist()])
        wanted.append(own.early(manifest, i, early))
        own.whole(manifest, i, whole)
    script = """async ([about, pictures]) => {
      const { Previews, levelsOf } = await import("./previews.js");
      const previews = new Previews(about), chosen = [levelsOf(about).map(({size}) => size), previews.choose().size];
      previews.took(0, 1000);
      for (const ms of [300, 400, 500]) previews.took(32, ms);
      const of = (pixels, size) => ({width: size, height: size, channels: 3, pixels: new Uint8Array(pixels)});
      return [[...chosen, previews.choose().size], pictures.map(([early, whole], i) => {
        const shown = [...previews.early(String(i), of(early, 32)).pixels];
        previews.whole(String(i), of(whole, 64));
        return shown;
      })];
    }"""
    chosen, shown = page.evaluate(script, [about, pictures])
    assert chosen == [[32, 16], 32, 16]
    assert np.abs(np.array(shown).reshape(4, 32, 32, 3) - np.array(wanted, int)).max() <= 1
    assert np.abs(np.array(shown[3]) - np.array(pictures[3][0])).mean() > 20, "the colours have moved"


@pytest.mark.parametrize(
    ("name", "width", "scheme"), [("dark", 1280, "dark"), ("light", 1280, "light"), ("phone", 390, "dark")]
)
def test_looks(studio: Started, browser: Browser, name: str, width: int, scheme: Any) -> None:
    """Nothing is wider than the page, everything that can be used has a name, and keys reach it."""
    page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.goto(studio.address)
    says(page, "mode=image model=faces seeds=85")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, input:not([type=file]), select')].filter(e =>
          !(e.ariaLabel || e.textContent.trim() || [...(e.labels ?? [])].some(l => l.textContent.trim())))
          .map(e => e.outerHTML)"""
    )
    assert unnamed == []
    before = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.id || document.activeElement.className"))
    assert {"model", "save", "open", "hold", "share", "cell", "seed-A", "walk-x", "trunc", "cutoff", "copy"} <= reached
    if KEEP:
        page.screenshot(path=f"{KEEP}/{name}.png", full_page=width < 800)
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: dark").click()
    after = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (before == after) == (scheme == "light")
    page.context.close()
