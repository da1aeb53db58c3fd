"""Train a network: `python -m stylegan.train --cfg v2ada_256_custom --data pictures.zip --out runs/first`."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stylegan import command_line
from stylegan.errors import TrainingError
from stylegan.stopping import Stop
from stylegan.training import options
from stylegan.training.recipes import get_recipe

if TYPE_CHECKING:
    from stylegan.networks.random_weights import Generator
    from stylegan.training.judge import Measure
    from stylegan.training.work import Work


def _processes() -> int:
    """1 is one alone; any other text but a number is for distributed.join() to refuse."""
    text = os.environ.get("WORLD_SIZE", "1")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def _own(device: str | None) -> str | None:
    """The device of this process: of several each has its GPU."""
    if _processes() == 1 or device not in (None, "cuda"):
        return device
    from stylegan._torch import torch

    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else device


def _run(args: argparse.Namespace) -> int:
    from stylegan.training import distributed, loop, work

    found = work.prepare(args, _own(args.device))
    measure = None if args.metrics in (None, "none") else _measure(args, found)
    if args.dry_run:
        if distributed.rank() == 0:
            sys.stdout.write(loop.options_bytes(found.trainer, found.plan).decode())
        return 0
    plan = dataclasses.replace(found.plan, measure=measure)
    with Stop() as stop:
        finished = loop.train(found.trainer, found.data, plan, found.digest, lambda: stop.signal is not None)
    if finished:
        return 0
    sys.stderr.write(f"stylegan.train: stopped after {found.trainer.seen} pictures; --resume goes on\n")
    return 130 if stop.signal is None else 128 + stop.signal


def _measure(args: argparse.Namespace, found: Work) -> Measure:
    """What the snapshots are judged by: of all pictures of the data, as they are. Raises StyleganError."""
    from stylegan.dataset.pictures import PictureDataset
    from stylegan.metrics import evaluate, formulas, kinds

    height, width = found.trainer.G.synthesis.img_size
    if height != width:
        raise TrainingError(
            f"data {args.data}: its pictures are {width} wide and {height} high, --metrics takes square ones only"
        )
    trainer, names = found.trainer, [name.strip() for name in args.metrics.split(",")]
    num = evaluate.PUBLISHED_NUM if args.metrics_num is None else args.metrics_num
    evaluate.check(names, num, trainer.settings.batch_gpu)
    evaluate.check_features(trainer.G, names, args.metrics_features)  # said before hours are spent
    data = PictureDataset(
        args.data, trainer.G.img_resolution, labels=trainer.G.c_dim > 0, channels=trainer.G.img_channels
    )
    kinds.check_data(names, len(data), False, True)
    if len(data) <= formulas.NEIGHBOURS:
        raise TrainingError(f"--metrics: expected more than {formulas.NEIGHBOURS} pictures in {args.data}")

    def measure(G: Generator) -> dict[str, float]:
        results = evaluate.evaluate(
            *(G, data, names, num, args.metrics_features),
            batch=trainer.settings.batch_gpu,
            seed=trainer.settings.seed % 2**32,
        )
        return {name: value for result in results for name, value in result.values.items()}

    return measure


def _train(args: argparse.Namespace) -> int:
    """One process of however many."""
    options.check(args)
    if args.cfg is not None:
        get_recipe(args.cfg)  # before torch is read
    if _processes() == 1:
        return _run(args)
    from stylegan.training import distributed

    try:
        distributed.join(_own(args.device), args.metrics not in (None, "none"))
        return _run(args)
    finally:
        distributed.leave()


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Returns the exit code: 0, 2 after one message for anything the user can mend, 130 after Ctrl-C, 143 after SIGTERM.
    """
    args = options.parser().parse_args(argv)
    return command_line.exit_code("stylegan.train", lambda: _train(args), "give a smaller --batch-gpu")


if __name__ == "__main__":
    sys.exit(main())
