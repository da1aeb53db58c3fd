"""NCNN_BUILDER_CPU: one machine runs what older ones do, in ncnn's kernels and in ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from runtime_nets import raw, tagged, write_net

from runtime import _ncnn

SETS = ["base", "avx", "fma", "avx2", "avx512"]
HERE = SETS[: SETS.index(_ncnn.cpu_in_use) + 1] if _ncnn.cpu_in_use in SETS else []
RUN = """
import sys, numpy as np
from runtime import Net, _ncnn
files, inputs = sys.argv[1:3], np.load(sys.argv[3])
for threads in 1, 2, 8:
    outputs = Net(*files, threads=threads).run(dict(inputs), ["convolved", "up"])
    np.savez(f"{sys.argv[3]}.{threads}.npz", **outputs)
print(_ncnn.cpu_in_use)
"""


def run(code: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | env, timeout=300)


def windows(x: np.ndarray, size: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(x.astype(float), (size, size), axis=(1, 2))


@pytest.mark.skipif(len(HERE) < 2, reason="one set of instructions: another system")
def test_each_set_is_taken_and_right(tmp_path: Path) -> None:
    numbers = np.random.default_rng(3)
    weight = numbers.standard_normal((24, 17, 3, 3), dtype=np.float32)
    taps = numbers.standard_normal((4, 4), dtype=np.float32)
    x = numbers.standard_normal((17, 20, 23), dtype=np.float32)
    files = write_net(
        tmp_path,
        "Input in 0 1 x",
        "Split s 1 2 x a b",
        "Convolution c 1 1 a convolved 0=24 1=3 5=0 6=3672",
        "Upfirdn2d u 1 1 b up 0=1 1=1 2=1 3=1 4=1 5=1 6=1 7=1 8=4 9=4 10=1 11=1.00000000e+00",
        data=tagged(weight) + raw(taps),
    )
    np.savez(tmp_path / "x.npz", x=x)
    exact = {
        "convolved": np.einsum("oikl,ihwkl->ohw", weight.astype(float), windows(x, 3)),
        "up": np.einsum("kl,ihwkl->ihw", taps.astype(float), windows(np.pad(x, ((0, 0), (1, 1), (1, 1))), 4)),
    }
    found = {}
    for name in HERE:
        done = run(RUN, *map(str, files), str(tmp_path / "x.npz"), NCNN_BUILDER_CPU=name)
        assert (done.returncode, done.stdout) == (0, name + "\n"), done.stderr
        for threads in (1, 2, 8):
            found[name, threads] = dict(np.load(tmp_path / f"x.npz.{threads}.npz"))
            for blob, values in exact.items():
                error = np.abs(found[name, threads][blob] - values).max() / np.abs(values).max()
                assert error < 3e-5, (name, threads, blob, error)
    # Sums in another order differ: the sets are not one.
    for blob in exact:
        assert (found["base", 1][blob] != found[HERE[-1], 1][blob]).any(), blob


def test_another_word_is_refused() -> None:
    done = run("import runtime", NCNN_BUILDER_CPU="sse9")
    assert done.returncode == 1
    assert "ImportError: NCNN_BUILDER_CPU" in done.stderr
    if HERE:
        assert "names no set of instructions; expected base, avx, fma, avx2, avx512" in done.stderr
