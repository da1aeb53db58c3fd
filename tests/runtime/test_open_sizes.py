"""A net of open sizes in the runtime: it says which are allowed, and its memory does not grow with how often they
change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import ncnn_builder as nb
import runtime.open_sizes
from ncnn_builder.emit import stated
from runtime import InputError, Net, ParamError
from runtime.open_sizes import OpenSize, described
from runtime.studio.feeds import open_shapes


def saved(folder: Path, *shapes: Any) -> tuple[Path, Path]:
    """The sum of the channels of each input."""
    g = nb.Graph()
    values = [g.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    for i, x in enumerate(values):
        g.output(f"y{i}", nb.reduction(g, x, "ReduceSum", 4, (1,), True))
    nb.save(g, folder / "a.param", folder / "a.bin", target="stock")
    return folder / "a.param", folder / "a.bin"


def ones(*shape: int) -> Any:
    return np.ones(shape, np.float32)


@pytest.mark.parametrize("isolate", [False, True])
def test_memory_does_not_grow_over_a_thousand_sizes(isolate: bool, tmp_path: Path) -> None:
    g = nb.Graph()
    x = g.input("x", (3, "h", "w=2..63"))
    y = nb.conv2d(g, x, nn.Conv2d(3, 8, 3, 2, 1))[0]
    g.output("y", nb.concat(g, [nb.interpolate(g, y, size=x.shape[1:]), x], 1))
    nb.save(g, tmp_path / "a.param", tmp_path / "a.bin", target="stock")
    net = Net(tmp_path / "a.param", tmp_path / "a.bin", threads=1, isolate=isolate)
    rng = np.random.default_rng(0)

    def most_held(count: int) -> int:
        held = 0
        for _ in range(count):
            h, w = rng.integers(2, 64, 2)
            assert net.run({"x": ones(3, h, w)})["y"].shape == (11, h, w)
            held = max(held, sum(net.memory))
        return held

    assert net.run({"x": ones(3, 64, 63)})["y"].shape == (11, 64, 63)
    few = most_held(100)
    assert most_held(1000) <= few


def test_it_says_what_is_allowed(tmp_path: Path) -> None:
    files = saved(tmp_path, (3, "h", "8*w=64..512"), (1, "2*h + 1", 4), (2, 5, 5))
    net = Net(*files)
    assert net.inputs == {"x0": None, "x1": None, "x2": (2, 5, 5)}
    w = OpenSize(8, "w", 0, 8, 64)
    assert net.sizes == {"x0": (3, OpenSize(1, "h", 0, 2, None), w), "x1": (1, OpenSize(2, "h", 1, 2, None), 4)}
    assert described(net.sizes["x0"]) == "[3, h, 8*w], h from 2, w from 8 to 64"
    assert (w.at(9), w.of(72), w.of(73), w.of(520)) == (72, 9, None, None)
    assert open_shapes(files[0]) == {"x0": (3, 64, 64), "x1": (1, 129, 4)}, "what the studio tries"
    good = {"x0": ones(3, 7, 64), "x1": ones(1, 15, 4), "x2": ones(2, 5, 5)}
    assert net.run(good)["y0"].shape == (1, 7, 64)
    for name, shape, says in [
        ("x0", (3, 7, 60), r"input 'x0' has the wrong shape; expected \[3, h, 8\*w\], h from 2, w from 8 to 64; got"),
        ("x0", (3, 1, 64), r"got \[3, 1, 64\]"),
        ("x0", (3, 7, 520), r"got \[3, 7, 520\]"),
        ("x0", (4, 7, 64), r"got \[4, 7, 64\]"),
        ("x0", (7, 64), r"got \[7, 64\]"),
        (
            "x1",
            (1, 17, 4),
            r"expected \[1, 2\*h \+ 1, 4\], h from 2; 2\*h \+ 1 = 15, as h is 7 in x0; got \[1, 17, 4\]",
        ),
    ]:
        with pytest.raises(InputError, match=says):
            net.run({**good, name: ones(*shape)})
    assert Net(*files, any_shape=True).run({**good, "x0": ones(3, 8, 61)})["y0"].shape == (1, 8, 61)


def test_what_the_file_beside_it_says_is_of_this_net_or_nothing(tmp_path: Path) -> None:
    param, weights = saved(tmp_path, (3, "h", "w"))
    beside = tmp_path / "a.json"
    said = json.loads(beside.read_text())
    for other in ("", "[]", '"sizes"', "[" * 99999, json.dumps({**said, "sha256": {"param": "0" * 64}})):
        beside.write_text(other)
        assert Net(param, weights).sizes == {} and nb.load(param, weights).inputs[0].any_shape
    beside.unlink()
    assert Net(param, weights).run({"x0": ones(3, 1, 1)})["y0"].shape == (1, 1, 1)
    for key, value in [
        ("sizes", {"h": {"least": 2, "most": None}}),
        ("sizes", {"h": {"least": -1, "most": None}, "w": {"least": 2, "most": None}}),
        ("sizes", 5),
        ("inputs", [{"name": "x0", "blob": [3, "h*w", 4]}]),
        ("inputs", [{"name": "x0", "blob": [3, "h", None]}]),
        ("inputs", [{}]),
    ]:
        beside.write_text(json.dumps({**said, key: value}))
        with pytest.raises(ParamError, match=r"a\.json: its sizes are damaged"):
            Net(param, weights)
        if value != [{"name": "x0", "blob": [3, "h*w", 4]}]:
            with pytest.raises(nb.ReadError, match=r"a\.json: its sizes are damaged"):
                nb.load(param, weights)


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    """Of a schema to come, and of the first one, whose inputs said torch's shapes alone. Both readers say the same."""
    param, weights = saved(tmp_path, (3, "h", "w"))
    beside = tmp_path / "a.json"
    said = json.loads(beside.read_text())
    first = [{"name": "x0", "shape": [1, 3, "h", "w"], "dtype": "float32", "batch_axis": 0}]
    other = {**said, "schema": 2}
    for table, says in [
        (other, r"a\.json: its schema is not known here; expected 1; got 2. Update ncnn-builder, or convert the net"),
        ({k: v for k, v in other.items() if k != "sizes"}, r"its schema is not known here"),
        ({**said, "schema": "new"}, r"its schema is not known here; expected 1; got 'new'"),
        ({**said, "inputs": first}, r"a\.json: its inputs say no blob.*Convert the net again"),
    ]:
        beside.write_text(json.dumps(table))
        with pytest.raises(ParamError, match=says):
            Net(param, weights)
        with pytest.raises(nb.ReadError, match=says):
            nb.load(param, weights)
    beside.write_text(json.dumps({k: v for k, v in said.items() if k != "schema"}))
    assert Net(param, weights).sizes and nb.load(param, weights).inputs[0].open
    assert runtime.open_sizes.SCHEMA == stated.SCHEMA == said["schema"]


def test_a_net_that_is_read_has_the_names_that_its_author_gave(tmp_path: Path) -> None:
    files = saved(tmp_path, (3, "h", "8*w=64..512"))
    (x,) = nb.load(*files).inputs
    assert x.open and not x.any_shape and list(map(str, x.shape)) == ["3", "h", "8*w"]
    assert nb.load(*files, shapes={"x0": (3, 4, 64)}).inputs[0].shape == (3, 4, 64)
    nb.save(nb.load(*files), tmp_path / "b.param", tmp_path / "b.bin")
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()
