"""What comes to the studio's page from elsewhere, in Chromium: dropped files, other tabs, models that change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from runtime_nets import latent, write_bundle, write_seed
from studio_support import Started, running

from runtime.directions import main as find
from runtime.run import main as run

pytest.importorskip("playwright", reason="no browser to open the studio in: `make studio-test` brings what it takes")

from playwright.sync_api import Browser, Page, expect
from studio_page_support import check, drop, saved, says, seen, slide, visited

pytestmark = pytest.mark.page


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    place = tmp_path_factory.mktemp("page")
    write_bundle(place)
    write_seed(place / "1.bin", latent(1))
    with running(place, "model=faces") as started:
        yield started


def test_directions_of_files(page: Page) -> None:
    """A file that is dropped has sliders; its name, the number and how far stand in the command, and come back."""
    assert find(["model=faces", "method=sefa", "layers=0-3", "count=20", "out=shape.npz", "-q"]) == 0
    Path("elsewhere").mkdir(exist_ok=True)
    assert find(["model=faces", "samples=100", "out=elsewhere/faces_pca.npz", "-q"]) == 0
    drop(page, Path("elsewhere/faces_pca.npz").read_bytes(), "faces_pca.npz")
    slider = page.get_by_role("slider", name="faces_pca.npz: direction 3", exact=True)
    slider.fill("2.5")
    says(page, "mode=image model=faces seeds=85 edit=faces_pca.npz:3:+2.5")
    check(page)
    page.locator("#directions-file").set_input_files("shape.npz")
    slider_of_shape = page.get_by_role("slider", name="shape.npz: direction 15")
    slider_of_shape.fill("-4")
    expect(page.get_by_role("slider", name="shape.npz: direction")).to_have_count(16)
    page.locator("#layers").fill("0-6")
    page.locator("#layers").blur()
    slide(page, "#move-1", "1")
    command = "mode=image model=faces seeds=85 move=1:1 edit=faces_pca.npz:3:+2.5,shape.npz:15:-4 layers=0-6"
    says(page, command)
    png = check(page)
    page.locator("#layers").fill("0-99")
    page.locator("#layers").blur()
    assert page.locator("#layers").evaluate("e => e.validationMessage").startswith("Styles 0 to 9")
    page.get_by_role("button", name="Remove faces_pca.npz").click()
    page.get_by_role("button", name="Remove shape.npz").click()
    says(page, "mode=image model=faces seeds=85 move=1:1")
    page.reload()
    says(page, "mode=image model=faces seeds=85")
    drop(page, png)
    says(page, command)
    page.locator("summary", has_text="Directions").click()
    expect(slider).to_have_value("2.5")
    expect(page.get_by_role("slider", name="shape.npz: direction")).to_have_count(16)
    assert saved(page) == png
    page.locator("#directions-file").set_input_files("1.bin")
    expect(page.get_by_role("alert")).to_contain_text("not a file of directions")
    np.savez("other.npz", directions=np.ones((2, 9), np.float32))
    drop(page, Path("other.npz").read_bytes(), "other.npz")
    expect(page.get_by_role("alert")).to_contain_text("not directions of this model")


def test_files_and_the_command(page: Page, studio: Started) -> None:
    for arguments in (
        ["mode=mix", "model=faces", "seeds=3,4"],
        ["mode=image", "model=faces", "seeds=9", "trunc=0.7"],
        ["mode=w_avg", "model=faces"],
    ):
        assert run([*arguments, "out=given.png", "-q"]) == 0
        page.locator("#file").set_input_files("given.png")
        expect(page.locator("#toast")).to_have_text("Everything is as in the picture")
        with Image.open("given.png") as image:
            expect(page.locator("#command")).not_to_have_text("")
            page.wait_for_timeout(300)
            np.testing.assert_array_equal(seen(page), np.asarray(image))
    Image.new("RGB", (4, 4)).save("plain.png")
    for data, text in (
        (b"GIF89a", "This is no PNG."),
        (Path("plain.png").read_bytes(), "does not say how it was made"),
    ):
        drop(page, data)
        expect(page.get_by_role("alert")).to_contain_text(text)
    np.savez("projected_w.npz", w=np.zeros((1, 10, 128), np.float32))
    Path("elsewhere").mkdir(exist_ok=True)
    np.savez("elsewhere/projected_w.npz", w=np.ones((1, 10, 128), np.float32))
    drop(page, Path("elsewhere/projected_w.npz").read_bytes(), "projected_w.npz")
    expect(page.locator("#command")).to_have_text(re.compile(r"seeds=projected_w-[0-9a-f]{8}\.npz$"), timeout=20_000)
    check(page)
    page.locator("#file").set_input_files("projected_w.npz")
    says(page, "mode=image model=faces seeds=projected_w.npz")
    drop(page, b"PK", "w.npz")
    expect(page.get_by_role("alert")).to_contain_text("w.npz")
    assert run(["mode=grid", "model=faces", "rows=1", "cols=2", "out=grid.png", "-q"]) == 0
    drop(page, Path("grid.png").read_bytes())
    expect(page.get_by_role("alert")).to_contain_text("mode=grid")
    page.get_by_role("button", name="Copy command").click()
    expect(page.locator("#toast")).to_have_text("The command is copied")
    assert page.evaluate("() => navigator.clipboard.readText()") == page.locator("#command").text_content()


def test_two_tabs(page: Page, studio: Started, browser: Browser) -> None:
    """Each shows what it was told to, also while both ask without a pause; one video at a time is made for both."""
    with visited(browser, studio.address) as other:
        seeds = {page: 1000, other: 2000}
        for step in range(12):
            for tab, first in seeds.items():
                tab.locator("#trunc").evaluate(
                    "(e, v) => { e.value = v; e.dispatchEvent(new Event('input')); }", f"{0.5 + step / 20:.2f}"
                )
                tab.locator("#seed-A").fill(str(first + step))
                tab.locator("#seed-A").press("Enter")
        for tab, first in seeds.items():
            says(tab, f"mode=image model=faces seeds={first + 11} trunc=1.05")
            check(tab)
            expect(tab.get_by_role("alert")).to_be_hidden()
        for tab in (page, other):
            tab.get_by_role("tab", name="Timeline").click()
            tab.locator("#key").click()
            tab.get_by_role("button", name="Roll all four").click()
            tab.locator("#key").click()
            slide(tab, "#frames", "9999")
        page.locator("#film").click()
        expect(page.locator("#film-says")).to_contain_text("of 10000 frames")
        other.locator("#film").click()
        expect(other.get_by_role("alert")).to_contain_text("another video is being made")
        page.locator("#film-stop").click()
        expect(page.locator("#film-says")).to_contain_text("Stopped after")
        assert not [path for path in studio.place.glob("film-*") if path.suffix == ".mp4"], "nothing that looks whole"
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_model_that_changes_while_the_page_is_open(page: Page, studio: Started) -> None:
    """Exported again: it is loaded anew, and the page says so. Damaged, then gone: an error in words. Then back."""
    page.locator("#model").select_option("tiny")
    says(page, "mode=image model=tiny seeds=85")
    assert seen(page).shape == (5, 6, 3)
    write_bundle(studio.place, height=7)
    page.locator("body").press("ArrowRight")
    expect(page.locator("#toast")).to_contain_text("tiny has changed, and is loaded anew", timeout=20_000)
    says(page, "mode=image model=tiny seeds=86")
    page.locator("body").press("ArrowLeft")
    says(page, "mode=image model=tiny seeds=85")
    assert seen(page).shape == (7, 6, 3)
    check(page)
    files = {path: path.read_bytes() for path in studio.place.glob("tiny*")}
    (studio.place / "tiny_synthesis.bin").write_bytes(b"")
    page.locator("body").press("ArrowRight")
    expect(page.get_by_role("alert")).to_contain_text("tiny_synthesis.bin", timeout=20_000)
    for path in files:
        path.unlink()
    page.locator("body").press("ArrowRight")
    expect(page.get_by_role("alert")).to_contain_text("tiny", timeout=20_000)
    for path, data in files.items():
        path.write_bytes(data)
    page.locator("body").press("ArrowRight")
    says(page, "mode=image model=tiny seeds=88")
    expect(page.get_by_role("alert")).to_be_hidden()
    check(page)
