"""Net(isolate=True): the same numbers and messages as in this process, and every end of the other one an exception."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from runtime_nets import everything, raw, tagged, write_bundle, write_net

from runtime import BlobError, CrashError, InputError, LayerError, Model, NcnnError, Net, OptionError, ParamError
from runtime.isolation.net import IsolatedNet
from runtime.net import Net as PlainNet
from runtime.run import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a net has a process of its own on POSIX systems only")

LONG = 6000  # a product of two such matrices takes seconds on any machine


def process_of(net: PlainNet) -> subprocess.Popen[bytes]:
    assert isinstance(net._net, IsolatedNet)
    running = net._net._running
    assert running is not None
    return running._process


def long_net(directory: Path, **options: object) -> Net:
    """The first layer is quick, the second, called long, is not where the inputs are large."""
    files = write_net(
        directory, "Input in_a 0 1 a", "Input in_b 0 1 b", "UnaryOp quick 1 1 a c 0=1", "MatMul long 2 1 c b y"
    )
    return Net(*files, threads=1, isolate=True, **options)  # type: ignore[arg-type]


def large() -> dict[str, np.ndarray]:
    return {"a": np.ones((LONG, LONG), np.float32), "b": np.ones((LONG, LONG), np.float32)}


SMALL = {"a": np.full((2, 3), -2, np.float32), "b": np.ones((3, 4), np.float32)}


def when_it_runs(net: PlainNet, act: Callable[[], None]) -> threading.Thread:
    """Acts once the layer `long` runs, as /proc says: then the process has computed for a while."""

    def watch() -> None:
        stat = Path(f"/proc/{process_of(net).pid}/stat")
        begin = int(stat.read_text().rsplit(")")[-1].split()[11])
        while int(stat.read_text().rsplit(")")[-1].split()[11]) < begin + 50:  # half a second of its time
            time.sleep(0.01)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] == "Z":  # of a parent that is gone
            return True
        time.sleep(0.02)
    return False


def test_the_same_numbers_to_the_bit(tmp_path: Path) -> None:
    lines, data = everything(np.random.default_rng(0))
    files = write_net(tmp_path, *lines, data=data)
    for options in ({}, {"lightmode": False}, {"guard": True}, {"fp16_storage": True}):
        here, there = Net(*files, threads=2, **options), Net(*files, threads=2, isolate=True, **options)
        assert (there.inputs, there.outputs, there.blobs, there.layers) == (
            here.inputs,
            here.outputs,
            here.blobs,
            here.layers,
        )
        assert repr(there) == repr(here)
        wanted = [name for name in here.blobs if not options.get("fp16_storage") or name == "y"]
        for seed in range(3):
            x = np.random.default_rng(seed).standard_normal((3, 9, 11)).astype(np.float32)
            ours, theirs = here.run({"x": x}, wanted), there.run({"x": x}, wanted)
            assert list(ours) == list(theirs)
            for name in ours:
                assert ours[name].shape == theirs[name].shape and ours[name].dtype == theirs[name].dtype
                assert ours[name].tobytes() == theirs[name].tobytes(), name
                theirs[name][...] = 0  # it is the caller's own
        assert there.run({"x": x})["y"].any() and (there.memory[0] > 0) == (not options.get("guard"))


def test_arrays_of_any_size_come_and_go(tmp_path: Path) -> None:
    net = Net(*write_net(tmp_path, "Input in 0 1 x", "Up2 up 1 1 x y"), isolate=True)
    for shape in ((1, 1, 1), (3, 5, 7), (4, 300, 301), (1, 2, 2), (5, 700, 500), (2, 2, 2)):
        x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
        got = net.run({"x": x}, ["x", "y"])
        np.testing.assert_array_equal(got["x"], x)
        assert got["y"].shape == (shape[0], 2 * shape[1], 2 * shape[2])


def test_whole_numbers_travel_as_such(tmp_path: Path) -> None:
    table = np.random.default_rng(2).standard_normal((7, 3)).astype(np.float32)
    files = write_net(tmp_path, "Input in 0 1 x", "Embed embed 1 1 x y 0=3 1=7 2=0 3=21", data=tagged(table))
    got = Net(*files, isolate=True).run({"x": np.array([6, 0, 3])})["y"]
    np.testing.assert_array_equal(got, table[[6, 0, 3]])


def message(act: Callable[[], object]) -> tuple[type[NcnnError], str]:
    with pytest.raises(NcnnError) as caught:
        act()
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("lines", "data", "inputs", "outputs"),
    [
        (["Input in 0 1 x", "NoSuch a 1 1 x y"], b"", {}, None),
        (["Input in 0 1 x", "Convolution a 1 1 x y 0=2 1=1 6=6"], b"", {}, None),
        (["Input in 0 1 x", "ReLU a 1 1 x y"], b"abcd", {}, None),
        (["Input in 0 1 x", "ReLU a 1 1 x y"], b"", {}, None),
        (["Input in 0 1 x", "ReLU a 1 1 x y"], b"", {"z": np.ones(3, np.float32)}, None),
        (["Input in 0 1 x", "ReLU a 1 1 x y"], b"", {"x": np.array([1, np.nan], np.float32)}, None),
        (["Input in 0 1 x 0=4", "ReLU a 1 1 x y"], b"", {"x": np.ones(3, np.float32)}, None),
        (["Input in 0 1 x", "ReLU a 1 1 x y"], b"", {"x": np.ones(3, np.float32)}, ["why"]),
        (["Input in 0 1 x", "Lerp a 1 1 x y"], b"", {"x": np.ones(3, np.float32)}, None),
        (["Input in 0 1 x", "Down2 a 1 1 x y"], b"", {"x": np.ones(3, np.float32)}, None),
    ],
)
def test_the_same_errors(
    tmp_path: Path, lines: list[str], data: bytes, inputs: dict[str, np.ndarray], outputs: list[str] | None
) -> None:
    files = write_net(tmp_path, *lines, data=data)
    here = message(lambda: Net(*files).run(inputs, outputs))
    there = message(lambda: Net(*files, isolate=True).run(inputs, outputs))
    assert here == there and here[0] is not CrashError


def test_a_net_that_raised_goes_on(tmp_path: Path) -> None:
    net = Net(*write_net(tmp_path, "Input in 0 1 x", "Down2 a 1 1 x y"), isolate=True)
    pid = process_of(net).pid
    for _ in range(3):
        with pytest.raises(LayerError):
            net.run({"x": np.ones(3, np.float32)})
        with pytest.raises(InputError):
            net.run({"x": np.array([np.nan], np.float32)})
        with pytest.raises(BlobError):
            net.run({"x": np.ones((2, 4, 4), np.float32)}, ["z"])
        assert net.run({"x": np.ones((2, 4, 4), np.float32)})["y"].shape == (2, 2, 2)
    assert process_of(net).pid == pid


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE, signal.SIGKILL])
def test_a_crash_names_the_layer(tmp_path: Path, number: signal.Signals) -> None:
    net = long_net(tmp_path)
    thread = when_it_runs(net, lambda: os.kill(process_of(net).pid, number))
    with pytest.raises(
        CrashError, match=rf"net.param:6: layer long \(MatMul\): .* ended while it ran; got {number.name}"
    ):
        net.run(large())
    thread.join()
    np.testing.assert_array_equal(net.run(SMALL)["y"], np.full((2, 4), -6 + 12, np.float32))  # |-2| * 3, anew


def test_a_layer_without_end_meets_the_timeout(tmp_path: Path) -> None:
    files = write_net(tmp_path, "Input in_a 0 1 a", "Input in_b 0 1 b", "MatMul long 2 1 a b y")
    net = Net(*files, threads=1, isolate=True, timeout=600)  # to start a process takes a while beside other work
    net.run(SMALL)
    endless = np.ones((9000, 9000), np.float32)
    assert isinstance(net._net, IsolatedNet)
    net._net._timeout = 5
    with pytest.raises(CrashError, match=r"layer long \(MatMul\): the net was stopped while it ran: .*timeout"):
        net.run({"a": endless, "b": endless})
    net._net._timeout = 600
    assert net.run(SMALL)["y"].shape == (2, 4)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")
@pytest.mark.skipif(sys.platform != "linux", reason="limits addresses as Linux does")
def test_too_much_memory_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of 6 GB, where 4 are left for them: not asked of the system, which would end some process for it."""
    param, bin_ = write_net(tmp_path, f"MemoryData m 0 1 y 0={1600 << 20} 21=1")
    os.truncate(bin_, 4 * (1600 << 20))  # with nothing behind it
    monkeypatch.setattr("runtime.net.memory_limit", lambda: 64 << 20)
    with pytest.raises(NcnnError, match=r"net.bin: layer m|net's process ended while it was loaded"):
        Net(param, bin_, isolate=True)


def test_stop_ends_what_other_threads_run(tmp_path: Path) -> None:
    net = long_net(tmp_path)
    thread = when_it_runs(net, net.stop)
    with pytest.raises(CrashError, match="the net was stopped while it ran: it was told to stop"):
        net.run(large())
    thread.join()
    assert net.run(SMALL)["y"].shape == (2, 4)
    (tmp_path / "more").mkdir()
    lines = ["Input in_a 0 1 a", "Input in_b 0 1 b", "MatMul long 2 1 a b c", "UnaryOp last 1 1 c y 0=1"]
    net = Net(*write_net(tmp_path / "more", *lines), threads=1, isolate=True)
    pid = process_of(net).pid
    thread = when_it_runs(net, lambda: net.stop(gently=True))
    with pytest.raises(LayerError, match="the run was stopped"):
        net.run(large())
    thread.join()
    assert net.run(SMALL)["y"].shape == (2, 4) and process_of(net).pid == pid


def test_several_threads_and_nets(tmp_path: Path) -> None:
    lines, data = everything(np.random.default_rng(3))
    files = write_net(tmp_path, *lines, data=data)
    plain, nets = Net(*files, threads=1), [Net(*files, threads=1, isolate=True) for _ in range(3)]
    xs = [np.random.default_rng(i).standard_normal((3, 9, 11)).astype(np.float32) for i in range(24)]
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda i: nets[i % 3].run({"x": xs[i]})["y"], range(24)))
    for x, y in zip(xs, got, strict=True):
        np.testing.assert_array_equal(y, plain.run({"x": x})["y"])


def test_the_process_ends_with_its_net(tmp_path: Path) -> None:
    net = long_net(tmp_path)
    net.run(SMALL)
    pid = process_of(net).pid
    assert not gone_now(pid)
    del net
    gc.collect()
    assert gone(pid)


def gone_now(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


IN_ANOTHER = """
import os, sys
import numpy as np
from runtime import Net
net = Net(sys.argv[1], sys.argv[2], threads=1, isolate=True)
y = net.run({"x": np.ones(4, np.float32)})["y"]
child = os.fork()
if child == 0:  # it starts a process of its own, and leaves the parent's alone
    ok = (net.run({"x": np.ones(4, np.float32)})["y"] == y).all()
    ok = ok and os.fork() or os._exit(0)
    os.waitpid(ok, 0)
    del net
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
net.run({"x": np.ones(4, np.float32)})
print(net._net._running._process.pid, flush=True)
os.kill(os.getpid(), 9)
"""


def test_after_fork_and_when_the_parent_is_killed(tmp_path: Path) -> None:
    files = write_net(tmp_path, "Input in 0 1 x", "MulConstant m 1 1 x y 0=2.00000000e+00")
    done = subprocess.run([sys.executable, "-c", IN_ANOTHER, *files], capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL and done.stdout.strip(), done.stderr
    assert gone(int(done.stdout))


def test_a_changed_file_is_not_taken_for_the_old_one(tmp_path: Path) -> None:
    net = long_net(tmp_path)
    net.stop()
    write_net(tmp_path, "Input in_a 0 1 a", "ReLU other 1 1 a y")
    with pytest.raises(ParamError, match="has changed"):
        net.run(SMALL)


def test_options(tmp_path: Path) -> None:
    files = write_net(tmp_path, "Input in 0 1 x", "ReLU a 1 1 x y")
    for timeout in (0, -1, "soon", float("nan"), True):
        with pytest.raises(OptionError, match="bad timeout"):
            Net(*files, isolate=True, timeout=timeout)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="isolate=True"):
        Net(*files, timeout=1)


def test_paths_are_those_of_the_first_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_net(tmp_path, "Input in 0 1 x", "Sqrt a 1 1 x y", data=raw(np.ones(0)))
    monkeypatch.chdir(tmp_path)
    net = Net("net.param", "net.bin", isolate=True)
    monkeypatch.chdir("/")
    net.stop()
    assert net.run({"x": np.full(2, 9, np.float32)})["y"].tolist() == [3, 3]


def test_a_model(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    z = np.random.RandomState(1).randn(6)
    here, there = Model(tmp_path / "tiny", threads=1), Model(tmp_path / "tiny", threads=1, isolate=True)
    np.testing.assert_array_equal(here.image(here.mapping(z)), there.image(there.mapping(z)))


def test_the_command_line_isolates(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def model(*arguments: object, **options: object) -> Model:
        seen.append(options["isolate"])
        return Model(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("runtime.renderer.Model", model)
    for extra in ([], ["isolate=true"], ["isolate=false"]):
        assert main(["mode=image", "1.bin", f"out={len(seen)}.png", "-q", *extra]) == 0
    assert seen == [True, True, False]
    assert Path("0.png").read_bytes() == Path("1.png").read_bytes() == Path("2.png").read_bytes()
