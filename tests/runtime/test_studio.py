"""python -m runtime.studio: what the server answers, to whom, and in which order."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_nets import latent, pixels, write_bundle, write_seed
from studio_support import Started, running

pytest.importorskip("starlette", reason="the extra [studio] is not installed")
pytest.importorskip("uvicorn", reason="the extra [studio] is not installed")

from runtime.errors import LayerError
from runtime.run import main as run
from runtime.studio.__main__ import main
from runtime.studio.desk import Desk, Superseded, Ticket
from runtime.studio.painter import paint
from runtime.studio.shelf import Shelf


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    place = tmp_path_factory.mktemp("studio")
    write_bundle(place, transform=[[1, 0, 0], [0, 1, 0], [0, 0, 1]], noise="input")
    write_seed(place / "1.bin", latent(1))
    (place / "broken.json").write_text('{"format": "ncnn-builder-bundle"}')
    with running(place, "model=tiny") as started:
        yield started


RECIPES = [
    {"mode": "image", "seeds": "5"},
    {"mode": "image", "seeds": "1.bin", "trunc": "0.5", "cutoff": "2"},
    {"mode": "image", "seeds": "w_avg", "noise": "random", "noise_seed": "3", "noise_strength": "0.5"},
    {"mode": "mix", "seeds": "5,6", "styles": "0,2", "weight": "0.25", "rotate": "20", "zoom": "2"},
    {"mode": "mix", "seeds": "5,6,w_avg", "blend": "0:b,1-2:b0.25+c0.5", "translate": "0.1,-0.2"},
]


def test_a_saved_picture_is_the_file_of_its_command(studio: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte for byte, and the page shows the same pixels."""
    monkeypatch.chdir(studio.place)
    for recipe in RECIPES:
        status, png = studio.ask("api/png", {"model": "tiny", "client": "a", "recipe": recipe})
        assert status == 200, png
        assert run(["model=tiny", *(f"{key}={value}" for key, value in recipe.items()), "out=x.png", "-q"]) == 0
        assert Path("x.png").read_bytes() == png
        head, data = studio.picture(recipe)
        assert np.frombuffer(data, np.uint8).tobytes() == pixels("x.png").tobytes()
        assert run([*head["command"].split()[3:], "out=y.png", "-q"]) == 0
        assert Path("y.png").read_bytes() == png
    head, data = studio.picture(RECIPES[0], thumbnail=3)
    assert (head["width"], head["height"], len(data)) == (3, 3, 27)


def test_models(studio: Started) -> None:
    status, data = studio.ask("api/models")
    found = json.loads(data)
    models = {model["name"]: model for model in found["models"]}
    assert status == 200 and found["first"] == "tiny" and list(models) == ["tiny", "broken", "faces"]
    assert models["tiny"]["noise"] == ["const", "random", "none"] and models["tiny"]["transform"]
    assert "lacks keys" in models["broken"]["error"] or "format_version" in models["broken"]["error"]
    assert models["faces"]["shipped"] and models["faces"]["styles"] == 10


def test_who_may_ask(studio: Started) -> None:
    assert studio.ask("")[0] == 200 and studio.ask("main.js")[0] == 200
    assert studio.ask(studio.path.rstrip("/"))[0] == 307
    for path in ("/", "/x/", "/x/api/models", studio.path[:-2] + "/", studio.path.replace("/", "/./", 1), "/%00", "//"):
        assert studio.error(path)[0] == 403, path
    for host in ("evil.com", f"evil.com:{studio.port}", "127.0.0.1", f"127.0.0.1:{studio.port}.evil.com", ""):
        assert studio.error("", headers={"Host": host})[0] == 403, host
    assert studio.ask("", headers={"Host": f"localhost:{studio.port}"})[0] == 200
    for origin in ("http://evil.com", "null", f"https://127.0.0.1:{studio.port}"):
        assert studio.error("api/models", headers={"Origin": origin})[0] == 403, origin
    for path in (
        "../server.py",
        "%2e%2e/server.py",
        "..%2fserver.py",
        "main.js/../../server.py",
        "jsconfig.json",
        "api",
        "api/",
        "x" * 5000,
    ):
        assert studio.error(path)[0] == 404, path
    assert studio.error("api/picture")[0] == 405 and studio.error("", b"", method="DELETE")[0] == 405
    wish = {"model": "tiny", "client": "a", "recipe": RECIPES[0]}
    assert studio.error("api/picture", wish, headers={"content-type": "text/plain"})[0] == 415


BAD = [
    (b"{", "not JSON"),
    (b"[" * 50_000, "not JSON"),
    (b'{"now": NaN}', "NaN is no number"),
    (b"1" * 60_000, "not JSON"),
    (b"\xff", "not JSON"),
    (b"[]", "is no table"),
    ({"x": 1}, "fields that mean nothing: x"),
    ({"recipe": []}, "no table of texts"),
    ({"recipe": {"mode": 1}}, "mode is no text"),
    ({"recipe": {}}, "no table of texts"),
    ({"recipe": {"mode": "image", "out": "x.png"}}, "does not know: out"),
    ({"recipe": {"mode": "image", "seeds": "1\0"}}, "seeds is no text"),
    ({"recipe": {"mode": "image", "seeds": "1" * 2000}}, "seeds is no text"),
    ({"thumbnail": 1e9}, "thumbnail is no whole number"),
    ({"now": "yes"}, "now is neither"),
    ({"early": 1}, "early is neither"),
    ({"model": "../tiny"}, "no such model here"),
    ({"model": "/etc/passwd"}, "no such model here"),
    ({"model": "broken"}, "broken.json"),
]
BAD_RECIPES = [
    ({"mode": "info", "seeds": "1"}, "belongs to"),
    ({"mode": "grid"}, "grid needs seeds"),
    ({"mode": "image", "seeds": "1-3"}, "has one seed"),
    ({"mode": "image", "seeds": "4294967296"}, "too large"),
    ({"mode": "image", "seeds": "0-99999999"}, "too many seeds"),
    ({"mode": "image", "seeds": "/etc/passwd"}, "no such seed here"),
    ({"mode": "image", "seeds": "../1.bin"}, "no such seed here"),
    ({"mode": "image", "seeds": "none.npz"}, "no such file"),
    ({"mode": "image", "seeds": "1", "trunc": "nan"}, "trunc= is not a number"),
    ({"mode": "image", "seeds": "1", "trunc": "1e999"}, "trunc= is not a number that float32"),
    ({"mode": "image", "seeds": "1", "trunc": "3e38"}, "NaN, infinite or too large"),
    ({"mode": "image", "seeds": "1", "cutoff": "4"}, "cutoff= is out of range"),
    ({"mode": "image", "seeds": "1", "class": "0"}, "the model has no labels"),
    ({"mode": "image", "seeds": "1", "zoom": "0"}, "zoom is out of range"),
    ({"mode": "mix", "seeds": "1,2", "blend": "0:d"}, "blend= asks for seed d"),
]


def test_bad_requests(studio: Started) -> None:
    good = {"model": "tiny", "client": "a", "recipe": RECIPES[0]}
    for body, says in BAD:
        status, message = studio.error("api/picture", {**good, **body} if isinstance(body, dict) else body)
        assert status == 400 and says in message and "Traceback" not in message, (body, message)
    for recipe, says in BAD_RECIPES:
        for path in ("api/picture", "api/png"):
            status, message = studio.error(path, {**good, "recipe": recipe})
            assert status == 400 and says in message, (recipe, message)
    assert studio.error("api/picture", b"x" * 70_000)[0] == 413
    assert studio.picture(RECIPES[0])[0]["width"] == 6


def test_anything_is_answered(studio: Started) -> None:
    """Requests at random: a picture or an error in words, whatever is asked, and the studio goes on."""
    rng = random.Random(1)
    values = [
        "",
        "1",
        "-1",
        "1e400",
        "nan",
        "é",
        "\ud800",
        "0-6:b",
        "1,2",
        "random",
        "x" * 999,
        ",",
        "=",
        "../1.bin",
        "w_avg",
        "../d.npz:0:1",
        "none.npz:0:1,",
    ]
    keys = [
        "mode",
        "seeds",
        "styles",
        "weight",
        "blend",
        "trunc",
        "cutoff",
        "noise",
        "noise_seed",
        "rotate",
        "translate",
        "edit",
        "layers",
        "out",
    ]
    odd = [None, True, 1e308, [], {}, "tiny", "x"]
    answers = set()
    for _ in range(200):
        recipe = {key: rng.choice(values) for key in rng.sample(keys, rng.randrange(5))}
        if rng.random() < 0.7:
            recipe |= {"mode": rng.choice(["image", "mix"]), "seeds": rng.choice(["1", "1,2", "w_avg"])}
        wish = {"model": "tiny", "client": "a", "recipe": recipe}
        if rng.random() < 0.2:
            wish[rng.choice([*wish, "now", "thumbnail"])] = rng.choice(odd)
        status, data = studio.ask("api/picture", wish)
        answers.add(status)
        assert status in (200, 400), (wish, data)
        assert status == 200 or json.loads(data)["error"]["message"]
    assert answers == {200, 400}


def film_of(studio: Started, until: tuple[str, ...] = ("done", "stopped", "failed")) -> dict[str, Any]:
    """The video, as soon as it is in such a state."""
    deadline = time.monotonic() + 60
    while (film := json.loads(studio.ask("api/film")[1]))["state"] not in until:
        assert time.monotonic() < deadline, film
        time.sleep(0.02)
    return film


def test_films(studio: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """A video is its command's file; stopped, it goes on; one at a time."""
    pytest.importorskip("av", reason="the extra [video] is not installed")
    monkeypatch.chdir(studio.place)
    assert json.loads(studio.ask("api/film")[1]) == {"state": "none"}
    recipe = {"mode": "a2b", "seeds": "1,2,w_avg", "stops": "a/0:b,1-2:b0.5+c0.5/c", "frames": "4", "ease": "cubic"}
    wish = {"model": "tiny", "recipe": recipe, "suffix": ".mp4"}
    for change, says in (
        ({"recipe": {**recipe, "mode": "image"}}, "belongs to mode=a2b"),
        ({"recipe": {**recipe, "seeds": "../1.bin,2,3"}}, "no such seed here"),
        ({"recipe": {**recipe, "frames": "1000000"}}, "the video is too long"),
        ({"recipe": {**recipe, "out": "x.mp4"}}, "does not know: out"),
        ({"suffix": ".sh"}, "unknown kind of video"),
        ({"model": "none"}, "no such model here"),
    ):
        assert says in studio.error("api/film", {**wish, **change})[1], change
    status, data = studio.ask("api/film", wish)
    name = json.loads(data)["name"]
    assert status == 200 and "another video is being made" in studio.error("api/film", wish)[1]
    film = film_of(studio)
    assert (film["state"], film["done"], film["total"]) == ("done", 9, 9), film
    words = [f"{key}={value}" for key, value in recipe.items()]
    assert run(["model=tiny", *words, "out=own.mp4", "-q"]) == 0
    assert studio.ask(f"api/film/{name}") == (200, Path("own.mp4").read_bytes())
    assert studio.error("api/film/own.mp4")[0] == 400 and studio.error("api/film/..%2fown.mp4")[0] == 404

    assert studio.ask("api/film", {**wish, "recipe": {**recipe, "frames": "4000"}})[0] == 200
    while not (film := json.loads(studio.ask("api/film")[1]))["done"]:
        assert film["state"] == "running", film
        time.sleep(0.02)
    assert json.loads(studio.ask("api/film", method="DELETE")[1])["state"] == "stopped"
    assert studio.error(f"api/film/{film['name']}")[0] == 400
    assert studio.ask("api/film", {**wish, "recipe": {**recipe, "seeds": "none.npz,2,3"}})[0] == 200
    film = film_of(studio)
    assert film["state"] == "failed" and "none.npz: no such file" in film["said"]


def test_a_smaller_picture_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the network has of it in a lower block, as large as its share of the time allows."""
    from runtime.studio import previews

    shelf = Shelf("faces", 1, False)
    manifest = shelf.manifest("faces")
    assert previews.levels(manifest) == {} and shelf.previews.choose(manifest) is None, "too small to gain by it"
    monkeypatch.setattr(previews, "LEAST", 8)
    monkeypatch.setattr(previews, "STEPS", 2)
    assert sorted(previews.levels(manifest)) == [8, 16, 32]
    monkeypatch.setattr(previews, "SHARE", 1e9)

    def error(seed: str) -> float:
        recipe = {"mode": "image", "seeds": seed}
        early, whole = paint(shelf, "faces", recipe, early=True).picture, paint(shelf, "faces", recipe).picture
        assert early.shape == (32, 32, 3) and whole.shape == (64, 64, 3)
        return float(np.abs(whole.reshape(32, 2, 32, 2, 3).mean((1, 3)) - early).mean())

    errors = [error(seed) for seed in ("85", "100", "458", "1789")]
    shelf.previews = previews.Previews()
    assert errors[-1] < 0.6 * error("1789"), "its colours are made those of the pictures before"
    monkeypatch.setattr(previews, "SHARE", 0.1)
    choices = previews.Previews()
    choices.took(manifest, 32, 9.0)
    assert (choices.choose(manifest) or ())[0] == 32, "once is no measurement"
    for size, seconds in ((0, 1.0), (32, 0.5), (16, 0.11)) * 3:
        choices.took(manifest, size, seconds)
    assert (choices.choose(manifest) or ())[0] == 8
    for _ in range(3):
        choices.took(manifest, 8, 0.2)
    assert choices.choose(manifest) is None


def test_two_pages_do_not_take_each_others_pictures(studio: Started) -> None:
    def page(name: str) -> list[bytes]:
        return [studio.picture({"mode": "image", "seeds": str(i)}, client=name)[1] for i in range(8)]

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(page, ("one", "other"))
    assert one == other and len(set(one)) == 8


def test_a_model_that_is_replaced_is_loaded_anew(studio: Started) -> None:
    place = studio.place
    recipe = {"mode": "image", "seeds": "2"}
    write_bundle(place, "second")
    before, _ = studio.picture(recipe, model="second")
    write_bundle(place, "second", height=7)
    after, data = studio.picture(recipe, model="second")
    assert after["digest"] != before["digest"] and after["height"] == 7 and len(data) == 7 * 6 * 3
    (place / "second_synthesis.bin").write_bytes(b"")
    wish = {"model": "second", "client": "a", "recipe": recipe}
    assert "second_synthesis.bin" in studio.error("api/picture", wish)[1]
    for path in place.glob("second*"):
        path.unlink()
    assert studio.error("api/picture", wish)[0] == 400
    assert studio.picture({"mode": "image", "seeds": "2"})[0]["height"] == 5


def test_the_newest_wish_of_a_page_wins() -> None:
    """What waits is superseded; what runs goes on, or ends with now=True; others have their turn."""
    desk, order = Desk(), []
    begun, stopped = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        if stopped.wait(20):
            raise LayerError("the run was stopped")
        return "slow"

    def quick(name: str) -> Ticket:
        return Ticket(name[0], lambda: order.append(name) or name, lambda: None)

    running = desk.view(Ticket("a", slow, stopped.set))
    assert begun.wait(20)
    thumbnail = desk.other(quick("a thumbnail"))
    waiting, other = desk.view(quick("a1")), desk.view(quick("b1"))
    newest = desk.view(quick("a2"))
    gone = desk.view(quick("c1"))
    desk.leave(gone)
    for ticket in (waiting, gone):
        with pytest.raises(Superseded):
            ticket.answer.result(0)
    assert not running.answer.done()
    settled = desk.view(quick("a3"), now=True)
    assert [ticket.answer.result(20) for ticket in (other, settled, thumbnail)] == ["b1", "a3", "a thumbnail"]
    for ticket in (running, newest):
        with pytest.raises(Superseded):
            ticket.answer.result(20)
    assert order == ["b1", "a3", "a thumbnail"]
    desk.close()


def test_bad_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, says in (
        (["model=none"], "no such model"),
        (["a", "b"], "more than one model"),
        (["port=70000"], "port= is not a fitting number; expected a whole number, 0 to 65535"),
        (["prot=1"], "Did you mean port=?"),
    ):
        assert main([*arguments, "open=false"]) == 2
        assert says in capsys.readouterr().err
    assert main(["--help"]) == 0 and "usage: python -m runtime.studio" in capsys.readouterr().out
