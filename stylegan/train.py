"""Train a network: `python -m stylegan.train --cfg v2ada_256_custom --data pictures.zip --out runs/first`."""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan import command_line
from stylegan.configs import CONFIGS, get_config
from stylegan.errors import TrainingError
from stylegan.stopping import Stop

if TYPE_CHECKING:
    from stylegan.training.data import Pictures
    from stylegan.training.loop import Plan
    from stylegan.training.trainer import Trainer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stylegan.train",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a generator with pictures. OUT gets\n"
        "  network-KIMG.safetensors     the averaged generator: python -m stylegan.export --ckpt FILE --out NAME\n"
        "  fakes-KIMG.png, reals.png    what it makes of fixed latents, and some of the data\n"
        "  training-state.safetensors   all that --resume goes on with\n"
        "  log.jsonl                    means of losses and scores; TensorBoard's files where that is installed\n"
        "Ctrl-C and SIGTERM save the work. Several GPUs: torchrun --nproc-per-node N -m stylegan.train ...",
        epilog=textwrap.fill("Configurations: " + ", ".join(CONFIGS), 100),
    )
    add = parser.add_argument
    add("--cfg", required=True, metavar="NAME", help="configuration, see below")
    add("--data", required=True, metavar="PATH", help="folder or zip of pictures: python -m stylegan.dataset makes it")
    add("--out", required=True, metavar="DIR", help="folder of this training, such as runs/first")
    add(
        "--ckpt",
        metavar="FILE",
        help="begin with trained weights: of an official .pkl, the state of a training, or a generator alone",
    )
    add("--resume", action="store_true", help="go on with the training in OUT, with the same options")
    add("--kimg", type=float, default=25000, metavar="N", help="thousand pictures in all (default %(default)s)")
    add("--batch", type=int, metavar="N", help="pictures a step, over all processes (default: by resolution)")
    add("--batch-gpu", type=int, metavar="N", help="pictures at once in a process, for its memory (default: its part)")
    add("--gamma", type=float, metavar="X", help="weight of R1 (default: 0.0002 * resolution^2 / batch)")
    add("--g-lr", type=float, metavar="X", help="learning rate of the generator (default: by configuration)")
    add("--d-lr", type=float, metavar="X", help="learning rate of the discriminator (default: by configuration)")
    add("--mirror", action="store_true", help="every picture also mirrored")
    add("--cond", action="store_true", help="train with the labels of the data")
    add("--aug", choices=("ada", "fixed", "none"), help="augmentation (default: ada)")
    add("--p", type=float, dest="aug_p", metavar="P", help="probability of --aug fixed (default: 0.2)")
    add("--target", type=float, dest="ada_target", metavar="X", help="of --aug ada (default: 0.6)")
    add("--augpipe", dest="aug_pipe", metavar="NAME", help="blit, geom, color, filter, noise, cutout, bg, bgc, ...")
    add("--freeze-d", type=int, metavar="N", help="so many layers of the discriminator stay as they are (default: 0)")
    add("--seed", type=int, metavar="N", help="of all random numbers (default: 0)")
    add("--snap", type=float, default=50, metavar="N", help="a network every N thousand pictures (default %(default)s)")
    add("--save-minutes", type=float, default=10, metavar="N", help="save the state every N (default %(default)s)")
    add("--workers", type=int, default=2, metavar="N", help="processes that read pictures (default %(default)s)")
    add("--fp32", action="store_true", help="no half precision on GPUs (on CPUs there is none)")
    add("--device", metavar="NAME", help="cpu, cuda, cuda:1 ... (default: cuda where there is one)")
    add("-q", "--quiet", action="store_true", help="say nothing but warnings and errors")
    return parser


_SETTINGS = (
    "batch",
    "batch_gpu",
    "gamma",
    "g_lr",
    "d_lr",
    "aug",
    "aug_p",
    "ada_target",
    "aug_pipe",
    "freeze_d",
    "seed",
)
"""The options that are fields of TrainSettings."""


@dataclasses.dataclass(frozen=True)
class Work:
    trainer: Trainer
    data: Pictures
    plan: Plan
    digest: str


def _prepare(args: argparse.Namespace) -> Work:
    """Everything that can be wrong is looked at before anything is computed, and what is read fast comes first."""
    config, out = get_config(args.cfg), Path(args.out)
    _check(args)
    from stylegan.training import distributed, saved

    state = out / saved.STATE
    if args.resume and not state.is_file():
        raise TrainingError(f"--resume: there is no {saved.STATE} in {out}: leave --resume out to begin")
    if not args.resume and out.exists() and (not out.is_dir() or any(out.iterdir())) and distributed.rank() == 0:
        there = "a training, which --resume goes on with" if state.is_file() else "something else"
        raise TrainingError(f"--out {out}: expected a new or empty folder, there is {there}")
    from stylegan import devices
    from stylegan.dataset import PictureDataset
    from stylegan.training import loop, starting
    from stylegan.training.settings import default_settings
    from stylegan.training.trainer import Trainer

    device = devices.choose(_own(args.device))
    wanted = config.init_kwargs
    data = PictureDataset(
        args.data, wanted["img_resolution"], xflip=args.mirror, labels=args.cond, channels=wanted["img_channels"]
    )
    if args.cond and data.c_dim == 0:
        raise TrainingError(f"--cond: data {args.data} has no labels in a dataset.json")
    kwargs = {**wanted, "c_dim": data.c_dim}
    changes = {name: getattr(args, name) for name in _SETTINGS}
    changes["num_fp16_res"] = 0 if args.fp32 else None
    if args.resume:  # what the start implied, by its --ckpt or the number of processes, is part of what goes on
        settings = saved.settings_of(state, changes, distributed.size())
    else:
        settings = default_settings(config.family, kwargs, distributed.size(), args.ckpt is not None, **changes)
    trainer = Trainer(config.family, kwargs, settings, device)
    digest = data.digest()
    if args.resume:
        saved.resume(trainer, state, digest)
    elif args.ckpt is not None:
        said = starting.load(trainer, config, args.ckpt)
        if not args.quiet and distributed.rank() == 0:
            sys.stderr.write(f"stylegan.train: begins with {args.ckpt}; {said}\n")
    plan = loop.Plan(out, args.kimg, args.snap, args.save_minutes * 60, workers=args.workers, quiet=args.quiet)
    return Work(trainer, data, plan, digest)


def _check(args: argparse.Namespace) -> None:
    least = {"kimg": 0, "snap": 0, "save_minutes": 0, "workers": 0}
    for name, value in ((name, getattr(args, name)) for name in least):
        if not math.isfinite(value) or value < 0 or (value == 0 and name in ("kimg", "snap")):
            raise TrainingError(f"--{name.replace('_', '-')} {value}: expected a number above 0")
    if args.resume and args.ckpt is not None:
        raise TrainingError("--resume and --ckpt: a training that goes on has its own weights, leave --ckpt out")
    if args.aug_p is not None and args.aug != "fixed":
        raise TrainingError("--p: is the probability of --aug fixed")


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
    work = _prepare(args)
    from stylegan.training import loop

    with Stop() as stop:
        finished = loop.train(work.trainer, work.data, work.plan, work.digest, lambda: stop.signal is not None)
    if finished:
        return 0
    sys.stderr.write(f"stylegan.train: stopped after {work.trainer.seen} pictures; --resume goes on\n")
    return 130 if stop.signal is None else 128 + stop.signal


def _train(args: argparse.Namespace) -> int:
    """One process of however many."""
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
    args = _parser().parse_args(argv)
    return command_line.exit_code("stylegan.train", lambda: _train(args), "give a smaller --batch-gpu")


if __name__ == "__main__":
    sys.exit(main())
