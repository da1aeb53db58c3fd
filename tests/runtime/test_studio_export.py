"""python -m runtime.studio --export: what it writes; and in Chromium, that the page alone makes the native runtime's
pictures. `make wasm-test`."""

from __future__ import annotations

import io
import json
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from runtime_nets import write_bundle, write_seed
from studio_page_support import FILES, drop_files, packed, served, watched

import runtime
from runtime.run import main as run
from runtime.seeds import latent as latent_of
from runtime.studio.__main__ import main
from runtime.studio.export import PAGE
from runtime.studio.export import WASM as EXPORTED
from runtime.studio.painter import KEYS

WASM = os.environ.get("NCNN_BUILDER_WASM")
IDENTITY = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
BUILT = {name: b"\0asm" if name.endswith(".wasm") else b"export default 1;" for name in EXPORTED}
ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


def built(directory: Path) -> str:
    directory.mkdir()
    for name, data in BUILT.items():
        (directory / name).write_bytes(data)
    return f"wasm={directory}"


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that the page refers to is in it, and nothing that it would have to ask others for."""
    monkeypatch.chdir(tmp_path)
    write_bundle(tmp_path, noise="input")
    wasm = built(tmp_path / "wasm")
    for _ in range(2):  # also in place of what it wrote before
        assert main(["--export", "site", "tiny", wasm]) == 0
        assert "tiny, faces" in capsys.readouterr().out
    site = tmp_path / "site"
    there = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    about = json.loads((site / "models/models.json").read_text())
    assert about["first"] == "tiny" and about["models"] == ["tiny", "faces"]
    for name in about["models"]:
        assert {f"models/{file}" for file in json.loads((site / f"models/{name}.json").read_text())["files"]} <= there
    assert {f"wasm/{name}" for name in BUILT} <= there and "server_engine.js" not in there
    referred: set[str] = set()
    for name in ("index.html", "nets.html"):
        page = (site / name).read_text()
        assert "Content-Security-Policy" in page and page.index("Content-Security-Policy") < page.index("<script")
        referred |= set(re.findall(r'(?:href|src)="([^"#]+)"', page))
    for path in site.glob("*.js"):
        text = path.read_text()
        referred |= set(re.findall(r'from "\./([^"]+)"', text)) | set(re.findall(r'new URL\("([^"]+)"', text))
        assert "://" not in text.replace("http://www.w3.org/2000/svg", "") and "api/" not in text, path
    assert referred - {"./"} <= there
    assert "wasm.js" in referred and "worker.js" in referred
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("runtime.studio.export.BUILT", tmp_path / "nothing")
    wasm = built(tmp_path / "wasm")
    write_bundle(tmp_path, "damaged")
    (tmp_path / "damaged_synthesis.bin").write_bytes(b"")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    write_bundle(tmp_path, "twin")
    manifest = json.loads((tmp_path / "twin.json").read_text().replace("twin_mapping.param", "faces_mapping.param"))
    (tmp_path / "twin_mapping.param").rename(tmp_path / "faces_mapping.param")
    (tmp_path / "twin.json").write_text(json.dumps(manifest))
    for arguments, said in (
        (["--export", "site"], "make wasm"),
        (["--export"], "--export needs one directory"),
        (["--export", "a", "--export", "b"], "--export needs one directory"),
        (["--export", "-q"], "--export needs one directory"),
        (["--export", "site", "port=80", wasm], "port= belongs to the server"),
        ([wasm], "wasm= belongs to --export"),
        (["--export", "site", "a", "b", wasm], "more than one model"),
        (["--export", "site", "nobody", wasm], "no such model"),
        (["--export", "site", "damaged", wasm], "truncated"),
        (["--export", "site", "twin", wasm], "two files have one name"),
        (["--export", "full", wasm], "holds something else"),
        (["--export", "wasm/engine.js", wasm], "is a file"),
        (["--export", "no/site", wasm], "there is no directory"),
    ):
        assert main(arguments) == 2, arguments
        out, err = capsys.readouterr()
        assert said in err and err.startswith("error: ") and err.count("\n") == 1 and not out, err
    assert not (tmp_path / "site").exists() and [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_the_keys_are_those_of_the_server() -> None:
    """What a recipe may say is the same in both engines."""
    text = (PAGE / "painter.js").read_text()
    found = re.search(r"const KEYS = \[(.*?)\];", text, re.DOTALL)
    assert found and tuple(re.findall(r'"(\w+)"', found[1])) == KEYS


RECIPES: dict[str, list[dict[str, str]]] = {
    "faces": [
        {"mode": "image", "seeds": "85"},
        {"mode": "image", "seeds": "4294967295", "trunc": "0.7", "cutoff": "4"},
        {"mode": "image", "seeds": "w_avg", "trunc": "-0.5"},
        {"mode": "mix", "seeds": "85,100", "styles": "0-2,5", "weight": "0.35"},
        {"mode": "mix", "seeds": "85,100,458", "blend": "0-1:b,3:b0.25+c0.5", "trunc": "0.6"},
        {"mode": "image", "seeds": "458", "move": "0:3,5:-2.5", "move_styles": "0-4"},
    ],
    "tiny": [
        {"mode": "image", "seeds": "7", "class": "2"},
        {"mode": "image", "seeds": "7", "class": "0", "noise": "random", "noise_seed": "9", "noise_strength": "0.5"},
        {"mode": "mix", "seeds": "7,w_avg", "class": "1", "noise": "none"},
        {"mode": "image", "seeds": "7", "class": "1", "rotate": "20", "translate": "0.1,-0.25", "zoom": "1.5"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of the exported page, served by a plain file server, and the directory with the models."""
    if not WASM:
        pytest.skip("nothing was built for the browser: `make wasm-test` builds it")
    place = tmp_path_factory.mktemp("site")
    write_bundle(place, c_dim=3, noise="input", transform=IDENTITY, height=16, width=16)
    assert main(["--export", str(place / "site"), f"model={place / 'tiny'}", f"wasm={WASM}"]) == 0
    write_bundle(place, "dropped")
    with served(place / "site") as address:
        yield address, place


@pytest.fixture(scope="module")
def page(site: tuple[str, Path], browser: Any) -> Iterator[Any]:
    """The page as it opens. In the end it has asked nobody else for anything, and complained of nothing."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    wrong = watched(page, site[0])
    page.goto(site[0])
    page.evaluate(
        "import('./wasm.js').then(({WasmEngine}) => { window.engine = new WasmEngine();"
        " window.plain = new WasmEngine('engine'); })"
    )
    yield page
    page.close()
    assert [line for line in wrong if "Multiple readback" not in line] == []


@pytest.mark.page
def test_numbers_and_pictures_of_the_native_runtime(site: tuple[str, Path], page: Any, tmp_path: Path) -> None:
    """Latents to the bit, networks' outputs within 1e-5 of their largest number, pictures within a level; and the
    command that the page shows."""
    for seed, count in ((0, 7), (85, 512), (2**32 - 1, 1301)):
        z = page.evaluate("([seed, count]) => engine.latent(seed, count).then((z) => [...z])", [seed, count])
        assert np.array_equal(np.array(z, np.float32), latent_of(seed, count))
    models = {"faces": runtime.Model("faces", threads=1), "tiny": runtime.Model(site[1] / "tiny", threads=1)}
    plain = numbers(page, "faces", {"mode": "image", "seeds": "7", "trunc": "0.5"}, "plain")
    fused = numbers(page, "faces", {"mode": "image", "seeds": "7", "trunc": "0.5"})
    assert 0 < np.abs(fused - plain).max() <= 1e-5 * np.abs(plain).max()  # Chromium has relaxed SIMD
    for name, model in models.items():
        c = None if name == "faces" else np.eye(3, dtype=np.float32)[2]
        want = model.synthesis(model.mapping(latent_of(7, model.manifest.z_dim), 0.5, c))
        recipe = {"mode": "image", "seeds": "7", "trunc": "0.5", **({} if name == "faces" else {"class": "2"})}
        got = numbers(page, name, recipe)
        assert got.shape == want.shape and np.abs(got - want).max() <= 1e-5 * max(1, np.abs(want).max())
        for recipe in RECIPES[name]:
            script = """([name, recipe]) => engine.picture(name, recipe, {}).then(
                (p) => [p.command, p.digest, p.height, p.width, p.channels, [...p.pixels]])"""
            command, digest, *shape, levels = page.evaluate(script, [name, recipe])
            words = [f"{key}={recipe[key]}" for key in KEYS if key in recipe]
            path = name if name == "faces" else os.fspath(site[1] / name)
            assert run([f"model={path}", *words, f"out={tmp_path / 'x.png'}", "-q"]) == 0
            with Image.open(tmp_path / "x.png") as image:
                want = np.asarray(image).astype(int)
                said = image.text["ncnn-builder command"].replace(path, name)  # type: ignore[attr-defined]
                assert image.text["ncnn-builder model_sha256"] == digest == model.manifest.digest  # type: ignore[attr-defined]
            assert np.abs(np.array(levels).reshape(shape) - want).max() <= 1, recipe
            assert command == said


@pytest.mark.page
def test_threads_where_the_page_is_isolated(site: tuple[str, Path], page: Any, browser: Any) -> None:
    with served(site[1] / "site", ISOLATED) as address:
        isolated = browser.new_page()
        wrong = watched(isolated, address)
        asked: list[str] = []
        isolated.on("request", lambda request: asked.append(request.url.removeprefix(address)))
        isolated.goto(address)
        isolated.evaluate("import('./wasm.js').then(({WasmEngine}) => { window.engine = new WasmEngine(); })")
        for name, more in (("faces", {}), ("tiny", {"class": "2"})):
            recipe = {"mode": "image", "seeds": "7", "trunc": "0.5", **more}
            want, got = numbers(page, name, recipe), numbers(isolated, name, recipe)
            assert got.shape == want.shape and np.abs(got - want).max() <= 1e-5 * np.abs(want).max()
        isolated.close()
    assert "wasm/engine-threads-relaxed.js" in asked and "wasm/engine-relaxed.js" not in asked
    assert [line for line in wrong if "Multiple readback" not in line] == []


@pytest.mark.page
def test_networks_of_every_target(site: tuple[str, Path], page: Any, tmp_path: Path) -> None:
    """Whole generators, dropped on the page: every layer that they need was built, and their numbers are the same."""
    network_support = pytest.importorskip("network_support", reason="torch, which makes the networks, is not here")
    from stylegan.bundle.write import export_generator

    for name, target, options in (
        ("v2ada_skip_64", "fused", {}),
        ("v2ada_skip_64", "stock", {"storage": "fp16"}),
        ("v2ada_cond_32", "reference", {}),
        ("v3_t_64", "stock", {}),
        ("v3_r_64", "fused", {}),
    ):
        G = network_support.golden_generator(name)
        path = tmp_path / f"{name}_{target}"
        export_generator(G, path, seeds=[], target=target, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = runtime.Model(path, threads=1)
        c = np.eye(model.manifest.c_dim, dtype=np.float32)[0] if model.manifest.c_dim else None
        want = model.synthesis(model.mapping(latent_of(3, model.manifest.z_dim), 0.7, c))
        drop_files(
            page,
            {file.name: file.read_bytes() for file in tmp_path.glob(f"{path.name}*")},
            "files => engine.add(files)",
        )
        recipe = {"mode": "image", "seeds": "3", "trunc": "0.7", **({} if c is None else {"class": "0"})}
        got = numbers(page, path.name, recipe)
        assert got.shape == want.shape and np.abs(got - want).max() <= 1e-5 * max(1, np.abs(want).max()), path.name


@pytest.mark.page
def test_what_is_saved_brings_everything_back(site: tuple[str, Path], page: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    expect(page.locator("#command")).to_have_text(re.compile("model=tiny seeds=85"), timeout=20_000)
    page.locator("#model").select_option("faces")
    page.locator("#seed-A").fill("293")
    page.locator("#seed-A").press("Enter")
    expect(page.locator("#command")).to_have_text(
        "python -m runtime.run mode=image model=faces seeds=293", timeout=20_000
    )
    with page.expect_download() as download:
        page.get_by_role("button", name="Save PNG").click()
    png = Path(download.value.path()).read_bytes()
    with Image.open(io.BytesIO(png)) as image:
        image.load()
        texts = dict(image.text)  # type: ignore[attr-defined]
        pixels = np.asarray(image).astype(int)
    assert run(["mode=image", "model=faces", "seeds=293", f"out={tmp_path / 'x.png'}", "-q"]) == 0
    with Image.open(tmp_path / "x.png") as image:
        assert texts == dict(image.text)  # type: ignore[attr-defined]
        assert np.abs(np.asarray(image) - pixels).max() <= 1
    page.locator("#seed-A").fill("1")
    page.locator("#seed-A").press("Enter")
    expect(page.locator("#command")).to_have_text(re.compile("seeds=1$"), timeout=20_000)
    drop_files(page, {"x.png": png})
    expect(page.locator("#command")).to_have_text(re.compile("seeds=293$"), timeout=20_000)


@pytest.mark.page
def test_seeds_that_are_files(
    site: tuple[str, Path], page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    np.savez("projected_w.npz", w=rng.standard_normal((1, 10, 128)).astype(np.float32))
    np.savez_compressed("small.npz", w=rng.standard_normal(128), other=np.zeros(3))
    np.save("one.npy", rng.standard_normal((10, 128)))
    write_seed(tmp_path / "458.bin", latent_of(458, 512))
    write_seed(tmp_path / "mine.bin", rng.standard_normal(512))
    for name in ("projected_w.npz", "small.npz", "one.npy", "458.bin", "mine.bin"):
        seed = page.evaluate(
            f"given => engine.seed('faces', ({FILES})(given)[0])", packed({name: Path(name).read_bytes()})
        )
        assert seed == (name if name != "458.bin" else "458")
        script = """seeds => engine.picture('faces', {mode: 'image', seeds, trunc: '0.8', cutoff: '6'}, {})
            .then((p) => [...p.pixels])"""
        assert run(["mode=image", "model=faces", f"seeds={name}", "trunc=0.8", "cutoff=6", "out=x.png", "-q"]) == 0
        with Image.open("x.png") as image:
            want = np.asarray(image).astype(int)
        assert np.abs(np.array(page.evaluate(script, seed)).reshape(want.shape) - want).max() <= 1, name
    np.savez("d.npz", directions=rng.standard_normal((3, 10, 128)).astype(np.float32), styles=np.arange(4))
    np.save("e.npy", rng.standard_normal((2, 128)))
    for name in ("d.npz", "e.npy"):
        files = packed({name: Path(name).read_bytes()})
        about = page.evaluate(f"given => engine.directions('faces', ({FILES})(given)[0])", files)
        assert about == {
            "name": name,
            "count": 3 if name == "d.npz" else 2,
            "styles": [0, 1, 2, 3] if name == "d.npz" else None,
        }
    for more in ({"edit": "d.npz:2:+0.5"}, {"edit": "e.npy:1:-0.7,d.npz:0:1", "layers": "2-5,8", "move": "0:1"}):
        recipe = {"mode": "image", "seeds": "85", **more}
        script = (
            "recipe => engine.png('faces', recipe).then(async (png) => [...new Uint8Array(await png.arrayBuffer())])"
        )
        words = [f"{key}={recipe[key]}" for key in KEYS if key in recipe]
        assert run(["model=faces", *words, "out=x.png", "-q"]) == 0
        with Image.open("x.png") as image, Image.open(io.BytesIO(bytes(page.evaluate(script, recipe)))) as got:
            assert dict(image.text) == dict(got.text)  # type: ignore[attr-defined]
            assert np.abs(np.asarray(image).astype(int) - np.asarray(got)).max() <= 1
    np.savez("other.npz", w=np.zeros((1, 9, 128), np.float32))
    np.savez("nan.npz", w=np.full(128, np.nan, np.float32))
    npz = Path("projected_w.npz").read_bytes()
    for name, data, said in (
        ("other.npz", Path("other.npz").read_bytes(), "not a style of this model"),
        ("nan.npz", Path("nan.npz").read_bytes(), "NaN, infinite or too large"),
        ("short.npz", npz[:-200], "not a whole .npz file"),
        ("short.bin", bytes(40), "wrong length"),
        ("no.bin", b"\1" + bytes(4 + 4 * 512 - 1), "expected an int32 zero"),
        ("no.npy", npz, "not a whole .npy file"),
    ):
        drop_files(page, {name: data})
        page.wait_for_function("said => document.getElementById('problem').textContent.includes(said)", arg=said)
    drop_files(page, {"projected_w.npz": npz})
    shown = "said => document.getElementById('command').textContent.endsWith(said)"
    page.wait_for_function(shown, arg="seeds=projected_w.npz")
    page.locator("#seed-A").fill("293")
    page.locator("#seed-A").press("Enter")
    page.wait_for_function(shown, arg="seeds=293")


@pytest.mark.page
def test_a_model_is_dropped_on_the_page(site: tuple[str, Path], page: Any) -> None:
    from playwright.sync_api import expect

    manifest = json.loads((site[1] / "dropped.json").read_text())
    files = {name: (site[1] / name).read_bytes() for name in ["dropped.json", *manifest["files"]]}
    param = manifest["graphs"]["synthesis"]["param"]
    problem, command = page.locator("#problem"), page.locator("#command")
    for given, said in (
        ({param: files[param]}, "NAME.json and the files that it lists"),
        ({"dropped.json": b"{"}, "the manifest is not JSON"),
        ({"dropped.json": b"{}"}, "not a bundle of ncnn_builder"),
        ({"dropped.json": files["dropped.json"]}, "is missing: drop all files"),
        ({**files, param: files[param] + b" "}, "another file than was exported"),
        ({**files, param: files[param].replace(b"Input", b"Inpux")}, "SHA-256 differs"),
    ):
        drop_files(page, given)
        expect(problem).to_have_text(re.compile(re.escape(said)), timeout=20_000)
    drop_files(page, files)
    expect(command).to_have_text(re.compile("model=dropped seeds=293"), timeout=20_000)
    expect(problem).to_be_hidden()


def numbers(page: Any, model: str, recipe: dict[str, str], engine: str = "engine") -> np.ndarray:
    """The network's output in the browser, [C, H, W]."""
    script = f"([name, recipe]) => {engine}.numbers(name, recipe).then((x) => [x.sizes, [...x.values]])"
    sizes, values = page.evaluate(script, [model, recipe])
    return np.array(values, np.float32).reshape(sizes)
