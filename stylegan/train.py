"""Train a network: `python -m stylegan.train --cfg v2ada_256_custom --data pictures.zip --out runs/first`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from stylegan import command_line
from stylegan.stopping import Stop
from stylegan.training import options
from stylegan.training.recipes import get_recipe


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _own(device: str | None) -> str | None:
    """The device of this process: of several each has its GPU."""
    if _processes() == 1 or device not in (None, "cuda"):
        return device
    from stylegan._torch import torch

    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else device


def _join(device: str | None) -> None:
    """With the other processes that torchrun started."""
    import torch.distributed as dist

    own = _own(device)
    on_gpu = own is not None and own.startswith("cuda")
    if on_gpu:
        from stylegan._torch import torch

        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if on_gpu else "gloo")


def _run(args: argparse.Namespace) -> int:
    from stylegan.training import loop, work

    found = work.prepare(args, _own(args.device))
    with Stop() as stop:
        finished = loop.train(found.trainer, found.data, found.plan, found.digest, lambda: stop.signal is not None)
    if finished:
        return 0
    sys.stderr.write(f"stylegan.train: stopped after {found.trainer.seen} pictures; --resume goes on\n")
    return 130 if stop.signal is None else 128 + stop.signal


def _train(args: argparse.Namespace) -> int:
    """One process of however many."""
    options.check(args)
    if args.cfg is not None:
        get_recipe(args.cfg)  # before torch is read
    several = _processes() > 1
    try:
        if several:
            _join(args.device)
        return _run(args)
    finally:
        if several:
            import torch.distributed as dist

            if dist.is_initialized():
                dist.destroy_process_group()


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Returns the exit code: 0, 2 after one message for anything the user can mend, 130 after Ctrl-C, 143 after SIGTERM.
    """
    args = options.parser().parse_args(argv)
    return command_line.exit_code("stylegan.train", lambda: _train(args), "give a smaller --batch-gpu")


if __name__ == "__main__":
    sys.exit(main())
