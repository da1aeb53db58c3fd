"""Several pictures at the same time against one after the other: `python -m benchmarks.batch --cfg NAME ...`.

One after the other each picture has all threads; at the same time each has one. The two take turns, in one process, on
one set of weights. The last column is why they differ no more than they do: how much faster N threads make one picture.
Also with --busy: another process that keeps every core computing, as on a machine that has other work.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.compare import Parser, positive
from ncnn_builder import TARGETS
from runtime import Model
from runtime.at_once import in_order
from stylegan.checkpoints.checkpoint import build_generator, random_state
from stylegan.errors import ConfigError
from stylegan.export import export_generator
from stylegan.networks.configs import get_config

PICTURES = 8  # of each turn


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(bundle: Path, threads: int, rounds: int) -> tuple[float, float, float]:
    """Seconds a picture: one after the other, at the same time, and alone with one thread."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole, single = (Model(bundle, threads=n, verify=False) for n in (threads, 1))
    ws = [whole.mapping(np.random.RandomState(seed).randn(whole.manifest.z_dim)) for seed in range(PICTURES)]

    def drain(pictures: Iterable[object]) -> None:
        for _ in pictures:
            pass

    turns: dict[str, Callable[[], object]] = {
        "after": lambda: drain(map(whole.image, ws)),
        "at once": lambda: drain(in_order(single.image, ws, threads)),
        "alone": lambda: drain(map(single.image, ws[:2])),
    }
    times: dict[str, list[float]] = {name: [] for name in turns}
    for i in range(rounds + 1):
        for name, turn in turns.items():
            taken = seconds(turn)
            if i:  # the first warms up
                times[name].append(taken / (2 if name == "alone" else PICTURES))
    after, at_once, alone = (statistics.median(taken) for taken in times.values())
    return after, at_once, alone


def _burn() -> None:
    while True:
        np.dot(*np.ones((2, 256, 256), np.float32))


@contextmanager
def foreign_load(busy: bool) -> Iterator[None]:
    processes = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(busy * multiprocessing.cpu_count())]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()


def main(argv: Sequence[str] | None = None) -> int:
    p = Parser(prog="python -m benchmarks.batch", description="Several pictures at the same time, or one by one.")
    p.add_argument("--cfg", nargs="+", default=["v2ada_256_custom", "v3_s_256_custom"], metavar="NAME")
    p.add_argument("--target", choices=sorted(TARGETS), default="fused")
    p.add_argument("--threads", type=positive, default=2, help="default 2")
    p.add_argument("--rounds", type=positive, default=5, help=f"turns of {PICTURES} pictures each (default 5)")
    p.add_argument("--busy", action="store_true", help="with as many other processes as there are cores")
    options = p.parse_args(argv)
    print("ms a picture         one by one  at once  ratio  threads gain")
    for name in options.cfg:
        try:
            config = get_config(name)
        except ConfigError as error:
            p.error(str(error))
        with tempfile.TemporaryDirectory() as folder:
            state = random_state(config.family, config.init_kwargs, seed=0)
            G = build_generator(config.family, config.init_kwargs, state, name)
            export_generator(G, Path(folder) / "m", target=options.target, seeds=[])
            with foreign_load(options.busy):
                after, at_once, alone = measure(Path(folder) / "m", options.threads, options.rounds)
        print(
            f"{name:<20} {after * 1e3:>10.1f} {at_once * 1e3:>8.1f} {after / at_once:>5.2f}x {alone / after:>12.2f}x",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
