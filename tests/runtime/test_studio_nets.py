"""The studio's view of nets: what the server says of them, and that nothing which is asked ends it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_nets import write_bundle
from studio_support import Started, running, write_chain

import runtime
from runtime.studio.__main__ import main
from runtime.studio.blobs import CURVE, WRONG, picture

pytest.importorskip("starlette", reason="the extra [studio] is not installed")
pytest.importorskip("uvicorn", reason="the extra [studio] is not installed")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    place = tmp_path_factory.mktemp("nets")
    write_bundle(place)
    write_chain(place / "a", 4)
    write_chain(place / "b", 4, changed=2)
    write_chain(place / "open", 2, shape="")
    (place / "folder").mkdir()
    (place / "folder" / "broken.param").write_text("7767517\n2 2\nInput x 0 1 x\nConvolution c 1 1 x y 0=999999999\n")
    (place / "folder" / "broken.bin").write_bytes(b"\0" * 64)
    (place / "alone.param").write_text("7767517\n1 1\nInput x 0 1 x\n")
    np.savez(place / "x.npz", x=np.ones((3, 6, 5), np.float32))
    np.savez(place / "nan.npz", x=np.full((3, 6, 5), np.nan, np.float32))
    (place / "bad.npz").write_bytes(b"PK\3\4 and no more")
    with running(place, "a.param", "model=tiny") as started:
        assert started.address.endswith("/nets.html")
        started.path = started.path.removesuffix("nets.html")
        yield started


def blob_of(studio: Started, **wish: Any) -> tuple[dict[str, Any], bytes]:
    """The head of a blob's picture, and its data."""
    status, data = studio.ask("api/net/blob", {"client": "a", "net": "a.param", "blob": "y3", "seed": 5, **wish})
    assert status == 200, data
    length = int.from_bytes(data[:4], "little")
    return json.loads(data[4 : 4 + length]), data[4 + length :]


def test_what_is_said_of_nets(studio: Started) -> None:
    place: Path = studio.place
    names = json.loads(studio.ask("api/nets")[1])
    assert names["first"] == ["a.param"]
    assert {"b.param", "folder/broken.param", "tiny_synthesis.param", "faces_mapping.param"} <= set(names["nets"])
    status, data = studio.ask("api/net", {"net": "a.param"})
    layers = json.loads(data)["layers"]
    assert status == 200 and [layer["type"] for layer in layers[:3]] == ["Input", "Convolution", "Convolution"]
    assert (layers[1]["module"], layers[1]["reads"], layers[1]["writes"]) == ("body.0", ["x"], ["y0"])
    assert layers[1]["macs"] == 3 * 3 * 30 and "num_output=3" in layers[1]["said"]
    shown = json.loads(studio.ask("api/net", {"net": "open.param", "shapes": {"x": [3, 8, 8]}})[1])
    assert shown["layers"][-1]["outputs"] == [[3, 8, 8]] and shown["unknown_layers"] == 0

    net = runtime.Net(place / "a.param", place / "a.bin")
    given = {"x": np.random.RandomState(5).randn(3, 6, 5)}
    y = net.run(given, ["y3"])["y3"]
    head, data = blob_of(studio, each=True)
    assert (head["shape"], head["channels"], head["shown"], head["columns"]) == ([3, 6, 5], 3, 3, 2)
    assert head["largest"] == pytest.approx(float(y.max())) and head["mean"] == pytest.approx(float(y.mean()), rel=1e-4)
    grid = np.frombuffer(data, np.uint8).reshape(head["height"], head["width"], 3)
    levels = (y[0] - y[0].min()) / (y[0].max() - y[0].min()) * 255
    assert np.abs(grid[:6, :5, 0].astype(float) - levels).max() <= 1
    given = {"x": np.ones((3, 6, 5))}
    assert blob_of(studio, file="x.npz")[0]["largest"] == pytest.approx(float(net.run(given)["y3"].max()))
    other = runtime.Net(place / "b.param", place / "b.bin")
    gap = net.run(given)["y3"] - other.run(given)["y3"]
    assert blob_of(studio, file="x.npz", other="b.param", other_blob="y3")[0]["largest"] == pytest.approx(
        float(gap.max())
    )
    model = runtime.Model(place / "tiny")
    z = np.random.RandomState(7).randn(model.manifest.z_dim)
    raw = model.synthesis(model.mapping(z))
    head, _ = blob_of(studio, net="tiny_synthesis.param", blob="output", seed=7)
    assert head["largest"] == pytest.approx(float(raw.max()), rel=1e-5), "a seed is that of the model"

    status, data = studio.ask("api/net/times", {"client": "a", "net": "a.param", "seed": 1})
    times = json.loads(data)
    assert status == 200 and len(times) == 5 and times[0] == 0 and all(seconds > 0 for seconds in times[1:])
    assert net.times(given, ["y1"])[3:] == [0, 0] and min(net.times(given)[1:]) > 0

    found = json.loads(studio.ask("api/net/compare", {"client": "a", "net": "a.param", "other": "b.param"})[1])
    assert found["problems"] == [] and found["diff"]["pairs"] == [[i, i] for i in range(5)]
    assert found["diff"]["changed"] == [3] and found["doctor"]["culprit"] == "body.2/Convolution_2"
    assert found["doctor"]["cure"] is None and not found["doctor"]["equal"]


WRONG_WISHES = [
    ({"net": "../a.param"}, "no such net here"),
    ({"net": "/etc/passwd"}, "no such net here"),
    ({"net": "x.npz"}, "no such net here"),
    ({"net": "none.param"}, "no such net here"),
    ({"net": "folder/../../a.param"}, "no such net here"),
    ({"net": "alone.param"}, "NAME.bin beside it"),
    ({"net": "folder/broken.param"}, "broken.param"),
    ({"net": "a\0.param"}, "net is no text"),
    ({"net": 5}, "net is no text"),
    ({"blob": "none"}, "none"),
    ({"blob": ""}, "blob is no text"),
    ({"first": 3}, "there is no such channel"),
    ({"first": -1}, "first is no whole number"),
    ({"first": 1e300}, "first is no whole number"),
    ({"seed": 2**32}, "seed is no whole number"),
    ({"seed": True}, "seed is no whole number"),
    ({"each": 1}, "each is neither"),
    ({"shapes": []}, "shapes is no table"),
    ({"shapes": {"x": [3, -6, 5]}}, "the shape of x"),
    ({"shapes": {"x": [1] * 5}}, "the shape of x"),
    ({"shapes": {"x": [1 << 24, 1 << 24]}}, "the inputs are too large"),
    ({"shapes": {"z": [3]}}, "the net has no input z"),
    ({"shapes": {"x": [4, 6, 5]}}, "channels"),
    ({"file": "../x.npz"}, "no such file of inputs here"),
    ({"file": "a.param"}, "no such file of inputs here"),
    ({"file": "bad.npz"}, "cannot be read"),
    ({"file": "nan.npz"}, "NaN"),
    ({"net": "open.param", "blob": "y0"}, "does not say the shape of input 'x'"),
    ({"other": "none.param", "other_blob": "y3"}, "no such net here"),
    ({"other": "b.param"}, "other_blob is no text"),
    ({"of": "tiny_mapping.param"}, "the net has no input 'z'"),
    ({"recipe": {}}, "fields that mean nothing: recipe"),
]


def test_what_is_wrong_is_said(studio: Started) -> None:
    good = {"client": "a", "net": "a.param", "blob": "y3"}
    for wrong, says in WRONG_WISHES:
        status, message = studio.error("api/net/blob", {**good, **wrong})
        assert status == 400 and says in message and "Traceback" not in message, (wrong, message)
    for path in ("api/net", "api/net/times", "api/net/compare", "api/net/blob"):
        assert studio.error(path)[0] == 405 and studio.error(path, b"[]")[0] == 400
        assert studio.error(studio.path.replace("/", "/x", 1) + path, good)[0] == 403
        wish = {"net": "../a.param"} if path == "api/net" else {**good, "net": "../a.param", "other": "b.param"}
        wish = {key: value for key, value in wish.items() if key != "blob" or path == "api/net/blob"}
        wish = {key: value for key, value in wish.items() if key != "other" or path == "api/net/compare"}
        assert "no such net here" in studio.error(path, wish)[1]
    rng = random.Random(1)
    odd = [
        None,
        True,
        -1,
        1e308,
        [],
        {},
        "",
        "x",
        "\ud800",
        "é",
        "../a.param",
        "b.param",
        "y0",
        "x.npz",
        3,
        {"x": [3, 6, 5]},
    ]
    keys = ["client", "net", "blob", "first", "each", "other", "other_blob", "seed", "file", "shapes", "of"]
    answers = []
    for _ in range(150):
        wish = {**good, **{key: rng.choice(odd) for key in rng.sample(keys, rng.randrange(1, 4))}}
        status, data = studio.ask("api/net/blob", wish)
        answers.append(status)
        assert status in (200, 204, 400), (wish, data)
    assert {200, 400} <= set(answers)
    assert blob_of(studio)[0]["channels"] == 3


def test_a_net_that_is_replaced_and_two_pages(studio: Started) -> None:
    place: Path = studio.place
    write_chain(place / "second", 2)
    before, _ = blob_of(studio, net="second.param", blob="y1")
    write_chain(place / "second", 3, shape="0=7 1=6 2=3")
    after, _ = blob_of(studio, net="second.param", blob="y2")
    assert (before["shape"], after["shape"]) == ([3, 6, 5], [3, 6, 7])
    assert len(json.loads(studio.ask("api/net", {"net": "second.param"})[1])["layers"]) == 4
    (place / "second.bin").write_bytes(b"")
    assert "second.bin" in studio.error("api/net/blob", {"client": "a", "net": "second.param", "blob": "y2"})[1]

    def page(name: str) -> list[bytes]:
        return [blob_of(studio, client=name, seed=i)[1] for i in range(6)]

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(page, ("one", "two"))
    assert one == two and len(set(one)) == 6


def test_pictures_of_blobs() -> None:
    """What is not finite has its own colour, a large channel is made smaller, a long vector keeps its peaks."""
    blob = np.linspace(0, 1, 2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    blob[0, 0, 0], blob[1, 2, 3] = np.nan, np.inf
    head, data = picture(blob, 0, each=False)
    grid = np.frombuffer(data, np.uint8).reshape(head["height"], head["width"], 3)
    assert head["not_finite"] == 2 and (grid == WRONG).all(2).sum() == 2
    head, data = picture(np.zeros((70, 2000, 30), np.float32), 64, each=True)
    assert head["first"] == 64 and head["shown"] == 6 and head["height"] <= 512 * 6 and head["least"] == 0
    assert len(data) == head["height"] * head["width"] * 3
    colour, _ = picture(np.random.RandomState(0).rand(3, 4, 5).astype(np.float32), 0, each=False)
    assert (colour["height"], colour["width"], colour["columns"]) == (4, 5, 1)
    vector = np.zeros(10 * CURVE + 3, np.float32)
    vector[777] = 9
    head, data = picture(vector, 0, each=False)
    values = np.frombuffer(data, np.float32)
    assert head["kind"] == "curve" and head["pairs"] and len(values) == head["numbers"] <= CURVE and values.max() == 9
    head, _ = picture(np.full((1, 1, 5), np.nan, np.float32), 0, each=False)
    assert head["least"] is None and head["not_finite"] == 5


def test_bad_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_chain(tmp_path / "a", 1)
    for arguments, says in (
        (["none.param"], "NAME.param with NAME.bin beside it; got none.param"),
        (["a.param", "a.param", "a.param"], "more than two nets"),
        (["a.param", "x", "y"], "more than one model"),
    ):
        assert main([*arguments, "open=false"]) == 2
        assert says in capsys.readouterr().err
