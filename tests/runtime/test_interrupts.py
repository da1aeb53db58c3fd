"""Ctrl-C and SIGTERM act while a layer runs, isolated or not, one picture at a time or several."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from runtime_nets import write_net

from runtime.at_once import in_order

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

PROGRAM = """
import sys, threading
import numpy as np
from runtime import Net
from runtime.at_once import in_order
from runtime.stopping import unwind_on_sigterm

unwind_on_sigterm()
net = Net(*sys.argv[1:3], threads=1, isolate=sys.argv[3] == "isolated")
small, large = np.ones((3, 3), np.float32), np.ones((9000, 9000), np.float32)
net.run({"a": small, "b": small})
try:
    if sys.argv[4] == "one":
        print("running", flush=True)
        net.run({"a": large, "b": large})
    else:
        print("running", flush=True)
        list(in_order(lambda x: net.run({"a": x, "b": x}), [large] * 5, 2, net.stop))
except KeyboardInterrupt:
    assert (net.run({"a": small, "b": small})["y"] == 3).all()  # nothing is damaged
    large[...] = 0  # nobody who still computes minds
    print("interrupted", flush=True)
    sys.exit(130)
"""


def used(pid: int) -> float:
    """Seconds of processors that a process and those below it have used so far."""
    proc = Path("/proc", str(pid))
    children = (proc / "task" / str(pid) / "children").read_text().split()
    user, system = (proc / "stat").read_text().rpartition(")")[2].split()[11:13]
    ticks = os.sysconf("SC_CLK_TCK")
    return (int(user) + int(system)) / ticks + sum(used(int(child)) for child in children)


@pytest.mark.parametrize("count", ["one", "several"])
@pytest.mark.parametrize("where", ["isolated", "here"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_act_during_a_layer(tmp_path: Path, number: int, code: int, where: str, count: str) -> None:
    import resource  # which other systems lack

    files = write_net(tmp_path, "Input in_a 0 1 a", "Input in_b 0 1 b", "MatMul long 2 1 a b y")
    running = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *files, where, count], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout is not None and running.stdout.readline() == "running\n"
        time.sleep(1)  # the product takes a minute, or many seconds on the fastest of machines
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = used(running.pid) if sys.platform == "linux" else 0.0  # on a busy machine that may be much by now
        running.send_signal(number)
        out, error = running.communicate(timeout=300)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    finally:
        running.kill()
    assert running.returncode == code, error
    assert out == ("interrupted\n" if number == signal.SIGINT else "") and not error
    # Of processors, not of the clock: others may have them. To its end the product alone would take twice as much.
    took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - began
    assert took < 8, took


def test_a_signal_as_a_picture_is_given_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs then is stopped too, although nobody has its future yet."""
    begun, stopped = Event(), Event()
    submit = ThreadPoolExecutor.submit

    def work(x: int) -> int:
        begun.set()
        stopped.wait(20)
        return x

    def interrupted(pool: ThreadPoolExecutor, *args: Any) -> None:
        submit(pool, *args)
        assert begun.wait(20)
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(in_order(work, [1, 2, 3], 2, stopped.set))
    assert stopped.is_set()
