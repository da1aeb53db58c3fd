"""The exported page beside the native runtime, in Chromium: videos, and the view of nets. `make wasm-test`."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from runtime_nets import write_bundle
from studio_page_support import drop_files, served, slide, watched
from studio_support import write_chain

import runtime
from runtime.manifest import SHIPPED
from runtime.run import main as run
from runtime.studio.__main__ import main
from runtime.studio.blobs import picture

pytestmark = pytest.mark.page
WASM = os.environ.get("NCNN_BUILDER_WASM")
SHOWN = "said => document.getElementById('caption-a').textContent.startsWith(said)"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    if not WASM:
        pytest.skip("nothing was built for the browser: `make wasm-test` builds it")
    place = tmp_path_factory.mktemp("site")
    write_bundle(place, c_dim=3, noise="input", height=16, width=16)
    assert main(["--export", str(place / "site"), f"model={place / 'tiny'}", f"wasm={WASM}"]) == 0
    with served(place / "site") as address:
        yield address, place


def opened(site: tuple[str, Path], browser: Any, path: str) -> tuple[Any, list[str]]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    wrong = watched(page, site[0])
    page.goto(site[0] + path)
    return page, wrong


def test_videos(site: tuple[str, Path], browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame is that of the command, as far as the encoder keeps it; a stopped one goes on; and GIF."""
    av = pytest.importorskip("av", reason="the extra [video] is not installed")
    from playwright.sync_api import expect

    monkeypatch.chdir(tmp_path)
    page, wrong = opened(site, browser, "")
    command = page.locator("#command")
    expect(command).to_have_text(re.compile("model=tiny"), timeout=20_000)
    page.locator("#model").select_option("faces")
    expect(command).to_have_text(re.compile("model=faces"), timeout=20_000)
    page.get_by_role("tab", name="Timeline").click()
    page.locator("#key").click()
    page.locator("#seed-A").fill("293")
    page.locator("#seed-A").press("Enter")
    expect(command).to_have_text(re.compile("seeds=293$"), timeout=20_000)
    page.locator("#key").click()
    assert page.locator("#suffix option").all_text_contents() == ["WebM", "GIF"]
    for name, value in (("#frames", "9"), ("#fps", "10")):
        slide(page, name, value)
    page.locator("#ease").select_option("cubic")
    says, film = page.locator("#film-says"), page.locator("#film")
    words = ["mode=a2b", "model=faces", "seeds=85,293", "frames=9", "fps=10", "ease=cubic", "out=frames", "-q"]
    assert run(words) == 0
    want = [np.asarray(Image.open(path)).astype(float) for path in sorted(Path("frames").glob("*.png"))]
    for suffix, most in ((".webm", 8), (".gif", 6)):
        page.locator("#suffix").select_option(suffix)
        film.click()
        expect(says).to_have_text(f"faces-85-293{suffix} is made", timeout=30_000)
        with page.expect_download() as download:
            page.locator("#film-link").click()
        download.value.save_as(tmp_path / f"film{suffix}")
        with av.open(f"film{suffix}") as video:
            got = [frame.to_ndarray(format="rgb24").astype(float) for frame in video.decode(video=0)]
            assert video.duration == 1_000_000
        assert len(got) == len(want) == 10
        errors = [np.abs(a - b).mean() for a, b in zip(got, want, strict=True)]
        assert max(errors) < most, errors
        assert all(np.abs(got[i] - want[-1 - i]).mean() > 2 * max(errors) for i in (0, 9))
    slide(page, "#frames", "500")
    film.click()
    page.locator("#film-stop").click()
    expect(says).to_contain_text("Stopped after")
    done = int(re.findall(r"\d+", says.text_content() or "")[0])
    assert done < 500
    page.wait_for_timeout(200)
    film.click()
    expect(says).to_contain_text("of 501 frames")
    assert int(re.findall(r"\d+", says.text_content() or "")[0]) >= done, "it goes on where it was stopped"
    page.locator("#film-stop").click()
    page.locator("#seed-A").fill("none.npz")
    page.locator("#seed-A").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("no such seed here")
    page.locator("#key").click()
    film.click()
    expect(page.get_by_role("alert")).to_contain_text("no such seed here")
    page.close()
    assert [line for line in wrong if "Multiple readback" not in line] == []


def test_nets(site: tuple[str, Path], browser: Any) -> None:
    """Those of the models: what the server says of them, and the numbers of their blobs on a seed."""
    from playwright.sync_api import expect

    page, wrong = opened(site, browser, "nets.html?net=faces_synthesis.param")
    page.wait_for_function(SHOWN, arg="faces_synthesis.param: 67 layers", timeout=8000)
    page.evaluate("import('./wasm.js').then(({WasmEngine}) => { window.engine = new WasmEngine(); })")
    for name, model in (("faces", "faces"), ("tiny", str(site[1] / "tiny"))):
        native = runtime.Model(model, threads=1)
        for part in ("synthesis", "mapping"):
            path = (SHIPPED if name == "faces" else site[1]) / f"{name}_{part}.param"
            shown = page.evaluate("net => engine.nets.graph(net, {})", path.name)
            assert shown["problem"] == "" and shown["unknown_layers"] == 0
            want = cost_of(path)
            for key in ("macs", "parameters", "peak_bytes"):
                assert shown[key] == want[key], (path, key)
            for layer, its in zip(shown["layers"], want["layers"], strict=True):
                assert {**layer, "said": ""} == {**{key: its[key] for key in layer}, "said": ""}
            net = native.synthesis_net if part == "synthesis" else native.mapping_net
            z = runtime.seeds.latent(85, native.manifest.z_dim)
            c = np.eye(native.manifest.c_dim, dtype=np.float32)[0] if native.manifest.c_dim else None
            given = (
                native.synthesis_inputs(native.mapping(z, 1, c))
                if part == "synthesis"
                else {"z": z, "coeff": np.ones(1, np.float32), **({} if c is None else {"c": c})}
            )
            for layer in [*shown["layers"][3::9], shown["layers"][-1]]:
                blob = layer["writes"][0]
                head, data = picture(net.run(given, [blob])[blob], 0, False)
                got = page.evaluate(
                    "([net, blob]) => engine.nets.blob(net, blob, {seed: 85, file: '', shapes: {}},"
                    " {first: 0, each: false}).then(({data, ...head}) => ({...head, data: [...data]}))",
                    [path.name, blob],
                )
                levels = np.array(got.pop("data"), np.uint8)
                for key, value in head.items():
                    close = (
                        abs(got[key] - value) <= 1e-4 * max(1, abs(value))
                        if isinstance(value, float)
                        else got[key] == value
                    )
                    assert close, (blob, key, got[key], value)
                kind = np.float32 if head["kind"] == "curve" else np.uint8
                a, b = (np.frombuffer(d, kind).astype(float) for d in (levels.tobytes(), data))
                assert np.abs(a - b).max() <= (1 if kind is np.uint8 else 1e-4 * max(1, np.abs(b).max())), blob
    assert len(page.evaluate("engine.nets.times('faces_synthesis.param', {seed: 1, file: '', shapes: {}})")) == 67
    page.locator("#measure").click()
    expect(page.locator("#toast")).to_contain_text("All layers", timeout=20_000)
    page.close()
    assert [line for line in wrong if "Multiple readback" not in line] == []


def cost_of(path: Path) -> dict[str, Any]:
    """What `python -m ncnn_builder show --json` says."""
    from ncnn_builder.tools.bundle import bundle_shapes
    from ncnn_builder.tools.cost import cost
    from ncnn_builder.tools.net import read_net
    from ncnn_builder.tools.show import as_json

    net = read_net(path, path.with_suffix(".bin"), bundle_shapes(path))
    return as_json(net, cost(net))


def test_nets_that_are_dropped(site: tuple[str, Path], browser: Any, tmp_path: Path) -> None:
    """Alone and side by side, with inputs of files; and what is wrong with such files is said."""
    from playwright.sync_api import expect

    page, wrong = opened(site, browser, "nets.html")
    page.wait_for_function(SHOWN, arg="tiny_synthesis.param", timeout=8000)
    write_chain(tmp_path / "a", 4)
    write_chain(tmp_path / "b", 4, changed=2)
    write_chain(tmp_path / "open", 2, shape="")
    x = np.random.default_rng(0).standard_normal((3, 6, 5)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x[None])
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    problem, figures = page.locator("#problem"), page.locator("#blob-figures")
    drop_files(page, {name: files[name] for name in ("a.param", "a.bin")})
    page.wait_for_function(SHOWN, arg="a.param: 5 layers, 1.08 k MACs, 36 numbers in weights", timeout=8000)
    expect(figures).to_contain_text("shape 3 \u00d7 6 \u00d7 5")
    drop_files(page, {"x.npz": files["x.npz"]})
    net = runtime.Net(tmp_path / "a.param", tmp_path / "a.bin")
    expect(figures).to_contain_text(f"largest {net.run({'x': x}, ['y3'])['y3'].max():.3f}"[:-1])
    Image.new("RGB", (9, 9), (255, 0, 0)).save(tmp_path / "red.png")
    drop_files(page, {"red.png": (tmp_path / "red.png").read_bytes()})
    red = np.zeros((3, 6, 5), np.float32)
    red[0] = 1
    expect(figures).to_contain_text(f"largest {net.run({'x': red}, ['y3'])['y3'].max():.3f}"[:-1])
    drop_files(page, {name: files[name] for name in ("a.param", "a.bin", "b.param", "b.bin")})
    page.wait_for_function(SHOWN, arg="a.param", timeout=8000)
    expect(page.locator("#first")).to_have_text("First difference: body.2/Convolution_2", timeout=20_000)
    expect(page.locator("#compared")).to_contain_text("The outputs differ by")
    page.locator("#which").select_option("difference")
    expect(problem).to_be_hidden()
    drop_files(page, {name: files[name] for name in ("open.param", "open.bin")})
    expect(problem).to_contain_text("the file does not say the shape of input 'x'")
    page.wait_for_function(SHOWN, arg="open.param: 3 layers, 0 MACs", timeout=8000)
    slide(page, "#shapes", "x=3,8,9")
    page.locator("#shapes").blur()
    page.wait_for_function(SHOWN, arg="open.param: 3 layers, 1.30 k MACs", timeout=8000)
    expect(figures).to_contain_text("shape 3 \u00d7 8 \u00d7 9")
    expect(problem).to_be_hidden()
    slide(page, "#shapes", "")
    page.locator("#shapes").blur()
    lstm = "7767517\n2 2\nInput x 0 1 x 0=4 1=3\nLSTM l 1 1 x y 0=4 1=64\n"
    for given, said in (
        ({"a.param": files["a.param"]}, "a.bin is missing"),
        ({"a.bin": files["a.bin"]}, "no net is among the files"),
        ({"a.param": b"\0\1\2", "a.bin": b""}, "not a .param as text"),
        ({"a.param": files["a.param"][:-30], "a.bin": files["a.bin"]}, "a.param"),
        ({"a.param": files["a.param"], "a.bin": files["a.bin"][:20]}, "a.bin"),
        ({"a.param": b"7767517\n9 9\nInput x 0 1 x\n", "a.bin": b""}, "the file ends early"),
        ({"n.param.bin": b"\0", "n.bin": b""}, "a binary .param"),
        ({"l.param": lstm.encode(), "l.bin": bytes(4000)}, "LSTM"),
        ({"bad.npz": b"PK\3\4", "a.param": files["a.param"], "a.bin": files["a.bin"]}, "the file of inputs cannot be"),
    ):
        drop_files(page, given)
        expect(problem).to_contain_text(said, timeout=20_000)
    drop_files(page, {path.name: path.read_bytes() for path in site[1].glob("tiny*") if path.is_file()})
    page.wait_for_function(SHOWN, arg="tiny_synthesis.param", timeout=8000)
    expect(problem).to_be_hidden()
    page.close()
    assert [line for line in wrong if "Multiple readback" not in line] == []
