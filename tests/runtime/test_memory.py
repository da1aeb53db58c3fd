"""The pool of a net's blobs: shared by blobs of different sizes, given back, bounded; with and without a range."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runtime_nets import write_net
from upscale_nets import write_net as write_restorer

from runtime import LayerError, Net

MEGABYTE = 1 << 20
# 1 MB, 4, 16, 64 and back to 1: 90 MB in all, at most 80 at once.
STEPS = ("Up2 a 1 1 x a", "Up2 b 1 1 a b", "Up2 c 1 1 b c", "Down2 d 1 1 c d", "Down2 e 1 1 d e", "Down2 f 1 1 e y")
PICTURE = np.ones((4, 256, 256), np.float32)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def growing(directory: Path) -> Net:
    return Net(*write_net(directory, "Input in 0 1 x", *STEPS), threads=1)


def test_blobs_of_different_sizes_share_memory(tmp_path: Path) -> None:
    net = growing(tmp_path)
    for _ in range(3):
        net.run({"x": PICTURE})
        assert net.memory[0] < 100 * MEGABYTE and net.memory[1] == 0


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_a_kept_result_does_not_keep_the_rest(tmp_path: Path) -> None:
    net = growing(tmp_path)
    before = resident()
    y = net.run({"x": PICTURE})["y"]
    assert resident() - before > 60 * MEGABYTE  # the control: the memory was really taken
    del net
    gc.collect()
    assert resident() - before < 20 * MEGABYTE
    assert (y == 1).sum() == y.size


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_a_thousand_changes_of_size(tmp_path: Path) -> None:
    """A net of open sizes holds what its largest picture took, however often sizes change before and after it."""
    files = write_restorer(tmp_path / "net")
    net = Net(files.with_suffix(".param"), files.with_suffix(".bin"), threads=1)
    rng = np.random.default_rng(0)
    sides, picture = rng.integers(8, 80, (1000, 2)), rng.random((3, 256, 256), np.float32)
    sides[500] = 256
    held, taken = [], []
    for height, width in sides:
        y = net.run({"data": np.ascontiguousarray(picture[:, :height, :width])})["output"]
        assert y.shape == (3, 2 * height, 2 * width)
        held.append(net.memory[0])
        taken.append(resident())
    assert held[499] <= 2 * held[99] and held[500] > 5 * held[499], held[::100]  # the control: sizes do count
    assert len(set(held[500:])) == 1, held[500::100]
    assert taken[999] - taken[500] < 4 * MEGABYTE, taken[500::100]
    del y
    assert net.memory[1] == 0


FEW_ADDRESSES = """
import resource, sys
import numpy as np
from runtime import Net
net = Net(sys.argv[1], sys.argv[2], threads=1)
if sys.argv[3] == "heap":  # too few to reserve a range, enough to work
    net_with_a_range = net
    used = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), resource.RLIM_INFINITY))
    net = Net(sys.argv[1], sys.argv[2], threads=1)
rng = np.random.default_rng(0)
for size in (64, 256, 32, 128, 8, 256):
    x = rng.standard_normal((4, size, size)).astype(np.float32)
    kept = [net.run({"x": x + i})["y"] for i in range(3)]
    for i, y in enumerate(kept):
        assert np.array_equal(y, x + i), size
    del kept, y
print(net.memory[0] // 2**20, net.memory[1])
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits addresses as Linux does")
@pytest.mark.parametrize("kind", ["range", "heap"])
def test_with_and_without_a_range_of_addresses(tmp_path: Path, kind: str) -> None:
    files = write_net(tmp_path, "Input in 0 1 x", *STEPS)
    command = [sys.executable, "-c", FEW_ADDRESSES, *map(str, files), kind]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    held, lent = map(int, done.stdout.split())
    assert held < (200 if kind == "heap" else 120) and lent == 0


def test_a_request_beyond_the_limit_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.net.memory_limit", lambda: 32 * MEGABYTE)
    net = growing(tmp_path)
    for _ in range(2):
        with pytest.raises(LayerError, match=r"layer c .*memory"):
            net.run({"x": PICTURE})
        assert net.run({"x": PICTURE[:, :64, :64]})["y"].shape == (4, 64, 64)
        assert net.memory[0] <= 32 * MEGABYTE
