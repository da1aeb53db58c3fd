"""Where windows lie, how far nets look, and how much memory a tile takes."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from upscale_nets import photo, write_net

import ncnn_builder as nb
from runtime.errors import UsageError
from runtime.upscaling import restorer as module
from runtime.upscaling.reach import reach_of, read_lines
from runtime.upscaling.restorer import Restorer
from runtime.upscaling.tiles import Grid, sides
from runtime.upscaling.upscaler import Upscaler


@pytest.mark.parametrize(("overlap", "align", "exact"), list(itertools.product((0, 1, 5), (1, 4), (False, True))))
def test_windows_cover_everything_and_show_the_overlap(overlap: int, align: int, exact: bool) -> None:
    for most, rest in itertools.product((16, 20, 32), range(0, 130)):
        least = most if exact else 8
        grid = Grid(overlap, align, 1 if exact else least, exact)
        length = most + rest // align * align if exact else rest + 8
        spans = grid.spans(length, most)
        assert [s.first for s in spans] == [0, *(s.last for s in spans[:-1])] and spans[-1].last == length
        for s in spans:
            assert 0 <= s.start <= s.first < s.last <= s.stop <= length
            assert s.start % align == 0 and min(least, length) <= s.stop - s.start <= most
            assert s.first - s.start >= overlap or s.start == s.first == 0
            assert s.stop - s.last >= overlap or s.stop == s.last == length
            assert not exact or s.stop - s.start == most
        fewest = -(-(length - 2 * overlap) // max(most - 2 * overlap, 1))
        assert len(spans) <= fewest * 2 + 1


def test_a_window_of_so_many_pixels() -> None:
    assert sides(10_000, 500, 700, 1) == (100, 100)
    assert sides(10_000, 50, 700, 1) == (50, 200)
    assert sides(10_000, 500, 20, 8) == (496, 20)
    assert sides(10, 500, 700, 16) == (16, 16)


LAYERS = {
    "a convolution": lambda g, x: nb.conv2d(g, x, nn.Conv2d(3, 3, 5, 1, 2)),
    "dilated": lambda g, x: nb.conv2d(g, x, nn.Conv2d(3, 3, 3, 1, 2, dilation=2)),
    "tall": lambda g, x: nb.conv2d(g, x, nn.Conv2d(3, 3, (7, 1), 1, (3, 0))),
    "down and up": lambda g, x: nb.conv_transpose2d(
        g, nb.conv2d(g, x, nn.Conv2d(3, 4, 4, 2, 1)), nn.ConvTranspose2d(4, 3, 4, 2, 1)
    ),
    "pixels and back": lambda g, x: nb.pixel_shuffle(
        g, nb.conv2d(g, nb.pixel_unshuffle(g, x, 2), nn.Conv2d(12, 12, 3, 1, 1)), 2
    ),
    "bilinear": lambda g, x: nb.interpolate(g, x, scale_factor=2, mode="bilinear"),
    "bicubic": lambda g, x: nb.interpolate(g, x, scale_factor=3, mode="bicubic"),
    "nearest, then a convolution": lambda g, x: nb.conv2d(
        g, nb.interpolate(g, x, scale_factor=2, mode="nearest"), nn.Conv2d(3, 3, 3, 1, 1)
    ),
    "two ways": lambda g, x: nb.concat(
        g, [nb.conv2d(g, x, nn.Conv2d(3, 2, 3, 1, 1)), nb.conv2d(g, x, nn.Conv2d(3, 1, 7, 1, 3))], 1
    ),
    "pooled": lambda g, x: nb.interpolate(
        g, nb.pooling(g, x, "MaxPool", nn.MaxPool2d(2)), scale_factor=2, mode="bilinear"
    ),
    "mirrored": lambda g, x: nb.conv2d(g, nb.pad(g, x, 1, 1, 1, 1, mode="reflect"), nn.Conv2d(3, 3, 3)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_the_reach_is_what_a_changed_pixel_changes(tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    g = nb.Graph()
    x = g.input("data", (3, 16, 16), any_shape=True)
    g.output("output", LAYERS[kind](g, x))
    nb.save(g, tmp_path / "net.param", tmp_path / "net.bin", target="stock")
    net = Restorer(str(tmp_path / "net"), threads=1)
    reach = net.reach
    assert reach is not None
    picture = np.random.default_rng(0).random((3, 64, 64), np.float32)
    before = net.run(picture)
    seen = 0
    for y, x in ((32, 32), (33, 32), (31, 33), (40, 35)):
        changed = picture.copy()
        changed[:, y, x] += 9
        rows, columns = np.nonzero(np.abs(net.run(changed) - before).max(0) > 1e-4)
        for place, found in ((y, rows), (x, columns)):
            seen = max(seen, int(np.abs(found // net.facts.scale - place).max()))
    assert seen <= reach.pixels <= seen + 2


def test_layers_that_are_not_known_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Restorer(str(write_net(tmp_path / "x2")), threads=1)
    assert net.overlap == (3, 0.0)
    monkeypatch.setattr(module, "reach_of", lambda *_: None)
    net = Restorer(str(tmp_path / "x2"), threads=1)
    pixels, change = net.overlap
    assert 0 < pixels <= 3 and change == 0


def test_a_net_that_looks_at_everything_says_so(tmp_path: Path) -> None:
    g = nb.Graph()
    x = g.input("data", (3, 16, 16), any_shape=True)
    g.output("output", x - nb.reduction(g, x, "ReduceMean", 4, (2, 3), True))
    nb.save(g, tmp_path / "net.param", tmp_path / "net.bin", target="stock")
    said: list[str] = []
    upscaler = Upscaler(Restorer(str(tmp_path / "net"), threads=1), 96, None, 1 << 30, said.append)
    upscaler.upscale(photo(100, 200))
    assert "tiles may differ from the whole picture by" in said[0]


def test_unknown_lines() -> None:
    def reach(*rows: str) -> object:
        return reach_of(read_lines("7767517\n9 9\nInput a 0 1 data\n" + "\n".join(rows)), "data", "output")

    assert reach("ReLU b 1 1 data output") is not None
    assert reach("InstanceNorm b 1 1 data output 0=3") is None
    assert reach("Convolution b 2 1 data data output 0=3 1=3 19=1") is None
    assert reach("Interp b 1 1 data output 0=2 3=64 4=64") is None
    assert reach("Interp b 1 1 data output 0=2 1=2.0 2=2.0 6=1") is None
    assert reach("Pooling b 1 1 data output 0=1 4=1") is None
    assert reach("MemoryData c 0 1 c 0=64 1=64 2=3", "BinaryOp b 2 1 data c output 0=0") is None
    assert reach("MemoryData c 0 1 c 0=1 1=1 2=3", "BinaryOp b 2 1 data c output 0=0") is not None
    assert reach("Padding p 1 1 data p 0=2 1=2 2=2 3=2", "Eltwise b 2 1 data p output 0=1") is not None


def test_automatic_tiles_stay_within_their_memory(tmp_path: Path) -> None:
    net = Restorer(str(write_net(tmp_path / "x2")), threads=1)
    memory = 24 << 20
    counts: list[int] = []

    def watch(windows):  # type: ignore[no-untyped-def]
        counts.append(len(windows))
        return windows

    upscaler = Upscaler(net, "auto", None, memory, lambda _: None)
    upscaler.upscale(photo(700, 900), watch)
    assert counts == [counts[0]] and counts[0] > 1 and net.memory <= memory


def test_a_tile_that_took_more_than_was_said_is_made_smaller(tmp_path: Path) -> None:
    net = Restorer(str(write_net(tmp_path / "x2")), threads=1)
    upscaler = Upscaler(net, "auto", None, 24 << 20, lambda _: None)
    assert upscaler._affordable() < 700 * 900
    upscaler._area = 600 * 700  # as if the net grew faster than its picture
    counts: list[int] = []

    def watch(windows):  # type: ignore[no-untyped-def]
        counts.append(len(windows))
        return windows

    made = upscaler.upscale(photo(700, 900), watch)
    assert len(counts) > 1 and counts[-1] > counts[0] and net.memory <= 24 << 20
    whole = Upscaler(net, "whole", None, 1, lambda _: None).upscale(photo(700, 900))
    assert np.abs(made.astype(int) - whole).max() <= 1


def test_memory_that_is_too_small_for_the_overlap(tmp_path: Path) -> None:
    net = Restorer(str(write_net(tmp_path / "x2")), threads=1)
    upscaler = Upscaler(net, "auto", 60, 1 << 20, lambda _: None)
    with pytest.raises(
        UsageError, match="tiles of 121 x 121 pixels, which an overlap of 60 needs, do not fit into mem"
    ):
        upscaler.upscale(photo(700, 900))


def test_an_overlap_that_costs_more_than_the_picture_is_said(tmp_path: Path) -> None:
    net = Restorer(str(write_net(tmp_path / "x2")), threads=1)
    said: list[str] = []
    upscaler = Upscaler(net, 60, 20, 1 << 30, said.append)
    for _ in range(2):
        upscaler.upscale(photo(100, 120))
    assert len(said) == 1 and "tiles show 20 pixels around what is kept of them, so that 27 %" in said[0]
