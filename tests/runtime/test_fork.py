"""fork(): nets that ran with several threads run, and load, in the child too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from runtime_nets import write_net

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork()")

PROGRAM = """
import multiprocessing, os, sys, threading
import numpy as np
from runtime import Net

files = sys.argv[1:3]
x = np.arange(8 * 200 * 200, dtype=np.float32).reshape(8, 200, 200)
nets = [Net(*files, threads=threads) for threads in (1, 2, 3)]
want = x * 2


def check():
    for net in (*nets, *(Net(*files, threads=threads) for threads in (1, 2))):
        assert (net.run({"x": x})["y"] == want).all()


def forked(depth):
    pid = os.fork()
    if pid == 0:
        check()
        if depth:
            forked(depth - 1)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


def work(number):
    return float(nets[1].run({"x": x + number})["y"].sum())


forked(0)  # before anything ran here
check()
forked(2)
busy, stop = [], threading.Event()


def keep_busy():
    while not stop.is_set():
        check()


thread = threading.Thread(target=keep_busy)
thread.start()  # whatever its threads hold at the moment of a fork
for _ in range(20):
    forked(0)
stop.set()
thread.join()
with multiprocessing.get_context("fork").Pool(2) as pool:  # as a loader of data has it
    assert pool.map(work, range(4)) == [work(i) for i in range(4)]
check()
print("ok")
"""


def test_nets_work_in_forked_processes(tmp_path: Path) -> None:
    files = write_net(tmp_path, "Input in 0 1 x", "MulConstant m 1 1 x y 0=2.00000000e+00")
    done = subprocess.run([sys.executable, "-c", PROGRAM, *files], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


THREADS = """
import os, sys
import numpy as np
from runtime import Net

net = Net(*sys.argv[1:3], threads=1)
net.run({"x": np.ones((3, 9, 11), np.float32)})
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="reads Linux's /proc")
def test_one_thread_is_one_thread(tmp_path: Path) -> None:
    """Loading, too, keeps to it: beside the caller there is the one that computes."""
    import numpy as np
    from runtime_nets import everything

    lines, data = everything(np.random.default_rng(0))
    files = write_net(tmp_path, *lines, data=data)
    environment = {**os.environ, "OMP_NUM_THREADS": "7", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", THREADS, *files], capture_output=True, text=True, env=environment, timeout=120
    )
    assert done.stdout == "2\n", (done.stdout, done.stderr)
