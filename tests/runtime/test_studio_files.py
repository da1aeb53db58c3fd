"""Files that the studio keeps, seeds and directions: what it takes, and what it does not read."""

from __future__ import annotations

import http.client
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from runtime_nets import write_bundle
from studio_support import Started, running

pytest.importorskip("starlette", reason="the extra [studio] is not installed")
pytest.importorskip("uvicorn", reason="the extra [studio] is not installed")

from runtime.manifest import load_manifest
from runtime.run import main as run


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    place = tmp_path_factory.mktemp("studio")
    write_bundle(place)
    with running(place, "model=tiny") as started:
        yield started


def test_files_that_become_seeds(studio: Started) -> None:
    """What is no seed of the model is not written, and nothing is written over."""
    place: Path = studio.place
    m = load_manifest(place / "tiny")

    def file(width: int = m.w_dim, fill: float = 1) -> bytes:
        data = io.BytesIO()
        np.savez(data, w=np.full((1, m.num_ws, width), fill, np.float32))
        return data.getvalue()

    def send(name: str, data: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        address = f"api/seed?model=tiny&name={name}"
        status, said = studio.ask(address, data, {"content-type": "application/octet-stream", **headers})
        return status, json.loads(said)

    before = {path.name for path in place.iterdir()}
    for name, data, says in (
        ("../w.npz", file(), "no name of a seed"),
        ("w.sh", file(), "no name of a seed"),
        (".w.npz", file(), "no name of a seed"),
        ("w.npz%00.npz", file(), "no name of a seed"),
        ("w.npz", file(m.w_dim + 1), "w.npz"),
        ("w.npz", b"PK\3\4", "w.npz"),
        ("w.bin", bytes(7), "w.bin"),
        ("w.npz", b"x" * ((1 << 22) + 1), "more than"),
    ):
        status, said = send(name, data)
        assert status in (400, 413) and says in said["error"]["message"], (name, said)
        assert ".seed-" not in said["error"]["message"]
    assert send("w.npz", file(), **{"content-type": "application/json"})[0] == 415
    assert {path.name for path in place.iterdir()} == before
    assert [send("w.npz", file())[1]["seed"] for _ in range(2)] == ["w.npz", "w.npz"]
    other = send("w.npz", file(fill=2))[1]["seed"]
    assert other.startswith("w-") and (place / other).read_bytes() == file(fill=2) != (place / "w.npz").read_bytes()
    assert studio.picture({"mode": "mix", "seeds": f"w.npz,{other}"})[0]["width"] == 6


def test_files_of_directions(studio: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept as seeds are; none is read that is not beneath the directory, by pictures, videos or the question for it."""
    place: Path = studio.place
    monkeypatch.chdir(place)
    m = load_manifest(place / "tiny")
    data = io.BytesIO()
    np.savez(data, directions=np.ones((3, m.w_dim), np.float32), styles=np.array([1]))
    binary = {"content-type": "application/octet-stream"}

    def send(name: str, what: bytes) -> tuple[int, dict[str, Any]]:
        status, said = studio.ask(f"api/directions?model=tiny&name={name}", what, binary)
        return status, json.loads(said)

    assert send("d.npz", data.getvalue()) == (200, {"name": "d.npz"})
    about = json.loads(studio.ask("api/directions/about", {"model": "tiny", "name": "d.npz"})[1])
    assert about == {"name": "d.npz", "count": 3, "styles": [1]}
    for edit in ("d.npz:1:+2.5", "d.npz:0:-1,d.npz:2:0.5"):
        recipe = {"mode": "image", "seeds": "5", "edit": edit, "layers": "0-1"}
        png = studio.ask("api/png", {"model": "tiny", "client": "a", "recipe": recipe})[1]
        assert run(["mode=image", "model=tiny", "seeds=5", f"edit={edit}", "layers=0-1", "out=x.png", "-q"]) == 0
        assert Path("x.png").read_bytes() == png
    for name, what, says in (
        ("../d.npz", data.getvalue(), "no name"),
        ("e.npz", b"PK", "e.npz"),
        ("e.npy", b"x" * ((1 << 24) + 1), "more than"),
        ("e.bin", data.getvalue(), "not a file of directions"),
    ):
        status, said = send(name, what)
        assert status in (400, 413) and says in said["error"]["message"], (name, said)
    for name in ("/etc/passwd", "../d.npz", "/tmp/d.npz", "tiny.json", "d.npz\0", "none.npz"):
        bad = {"mode": "image", "seeds": "5", "edit": f"{name}:0:1"}
        film = {"mode": "a2b", "seeds": "1,2", "frames": "2", "fps": "2", "edit": f"{name}:0:1"}
        asked = [studio.error("api/directions/about", {"model": "tiny", "name": name})]
        asked.append(studio.error("api/picture", {"model": "tiny", "client": "a", "recipe": bad}))
        if name != "none.npz":  # which its command says
            asked.append(studio.error("api/film", {"model": "tiny", "recipe": film, "suffix": ".mp4"}))
        assert all(status == 400 and re.search("no such|no text of", said) for status, said in asked), asked
    (place / "d.npz").unlink()
    assert "no such file" in studio.error("api/picture", {"model": "tiny", "client": "a", "recipe": recipe})[1]


def resident(process: int) -> float:
    """Memory of a process, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("count", [700, pytest.param(10_000, marks=pytest.mark.slow)])
def test_memory_stays_as_it_is(studio: Started, count: int) -> None:
    """Requests of every kind, one after another on one connection: what is right, wrong, and what nobody offers."""
    connection = http.client.HTTPConnection("127.0.0.1", studio.port, timeout=60)

    def ask(number: int) -> None:
        recipe = {"mode": "mix", "seeds": f"{number},{number + 1}", "blend": f"0:b{number % 7 / 7:.3f}", "trunc": "0.7"}
        wish = {"model": "tiny", "client": str(number % 50), "recipe": recipe}
        path, body, expected = [
            ("api/picture", wish, 200),
            ("api/picture", {**wish, "thumbnail": 3}, 200),
            ("api/picture", {**wish, "model": "faces", "recipe": {"mode": "image", "seeds": str(number)}}, 200),
            ("api/png", wish, 200),
            ("api/picture", {**wish, "recipe": {**recipe, "blend": f"{number}:b"}}, 400),
            ("api/net/blob", {"client": "a", "net": "tiny_synthesis.param", "blob": "output", "seed": number}, 200),
            (f"api/{number}", wish, 404),
        ][number % 7]
        connection.request("POST", studio.path + path, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
        assert answer.status == expected, (path, data)

    for i in range(count // 4):
        ask(i)
    before = resident(studio.process.pid)
    for i in range(count // 4, count):
        ask(i)
    after = resident(studio.process.pid)
    print(f"{before:.1f} MB after {count // 4} requests, {after:.1f} MB after {count}")
    assert after - before < 4
