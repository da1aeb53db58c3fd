"""The options of `python -m stylegan.train`, which is told about them here alone. Nothing here imports torch."""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Mapping
from typing import Any

from stylegan.errors import TrainingError
from stylegan.networks.configs import CONFIGS
from stylegan.training.recipes import OFFICIAL, PREDECESSOR

ARCHITECTURE = ("resolution", "channels", "z_dim", "w_dim", "cbase", "cmax", "map_depth")
"""Options that change the networks."""

SETTINGS = (
    *("batch", "batch_gpu", "gamma", "g_lr", "d_lr", "g_betas", "d_betas", "ema_kimg", "ema_rampup", "mbstd_group"),
    *("aug", "aug_p", "ada_target", "ada_kimg", "aug_pipe", "freeze_d", "freeze_d_at", "freeze_g_at", "seed"),
)
"""Options that are fields of TrainSettings."""


def parser() -> argparse.ArgumentParser:
    """An option of SETTINGS or ARCHITECTURE that was not given is no attribute of what comes out."""
    found = argparse.ArgumentParser(
        prog="python -m stylegan.train",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a generator with pictures. OUT gets\n"
        "  network-KIMG.safetensors     the averaged generator: python -m stylegan.export --ckpt FILE --out NAME\n"
        "  fakes-KIMG.png, reals.png    what it makes of fixed latents, and some of the data\n"
        "  training-state.safetensors   all that --resume goes on with\n"
        "  training-options.json        what the training does: networks, settings, data\n"
        "  log.jsonl                    means of losses and scores, timing, memory; TensorBoard's files where it is\n"
        "  metrics.jsonl                figures of every network, with --metrics; the best: network-best.safetensors\n"
        "Ctrl-C and SIGTERM save the work. Several GPUs: torchrun --nproc-per-node N -m stylegan.train ...",
        epilog="\n".join(
            textwrap.fill(f"{title}: {', '.join(names)}", 100)
            for title, names in (
                ("Configurations, with the settings of their authors", CONFIGS),
                ("Recipes of the official code, for data of any resolution", OFFICIAL),
                ("Recipes of the predecessor", PREDECESSOR),
            )
        ),
    )
    add = found.add_argument
    add("--cfg", metavar="NAME", help="configuration, see below; not needed with --ckpt, whose network it is then")
    add("--data", required=True, metavar="PATH", help="folder or zip of pictures: python -m stylegan.dataset makes it")
    add("--out", required=True, metavar="DIR", help="folder of this training, such as runs/first")
    add(
        "--ckpt",
        metavar="FILE",
        help="begin with trained weights: of an official .pkl, the state of a training, or a generator alone; with "
        "--resume a predecessor's .pth, whose training goes on with its optimisers, in a new OUT",
    )
    add("--resume", action="store_true", help="go on with the training in OUT; options left out are as they were")
    add("--kimg", type=float, metavar="N", help="thousand pictures in all (default: 25000)")
    _architecture(found)
    _settings(found)
    add("--mirror", action="store_true", help="every picture also mirrored")
    add("--cond", action="store_true", help="train with the labels of the data")
    add("--subset", type=int, metavar="N", help="train with N pictures of the data, chosen by --seed")
    add("--snap", type=float, default=50, metavar="N", help="a network every N thousand pictures (default %(default)s)")
    add("--save-minutes", type=float, default=10, metavar="N", help="save the state every N (default %(default)s)")
    add("--log-seconds", type=float, default=10, metavar="N", help="a line of the log every N (default %(default)s)")
    add("--tick", type=float, default=4, metavar="N", help="show time and memory every N kimg (default %(default)s)")
    add(
        "--metrics",
        metavar="LIST",
        help="measure every network by such as fid,kid: see python -m stylegan.metrics. The best by the first one is "
        "kept as network-best.safetensors (default: none)",
    )
    add("--metrics-num", type=int, metavar="N", help="generated pictures for it (default 50000, as published)")
    add("--metrics-features", metavar="FILE", help="what they are compared by, as --features of stylegan.metrics")
    add("--workers", type=int, default=2, metavar="N", help="processes that read pictures (default %(default)s)")
    add("--fp32", action="store_true", help="no half precision on GPUs (on CPUs there is none)")
    add("--device", metavar="NAME", help="cpu, cuda, cuda:1 ... (default: cuda where there is one)")
    add("-n", "--dry-run", action="store_true", help="check everything, print the options as JSON, and train nothing")
    add("-q", "--quiet", action="store_true", help="say nothing but warnings and errors")
    return found


def _architecture(found: argparse.ArgumentParser) -> None:
    group = found.add_argument_group("the networks (default: by configuration)", argument_default=argparse.SUPPRESS)
    add = group.add_argument
    add("--resolution", type=int, metavar="N", help="of pictures, a power of two")
    add("--channels", type=int, choices=(1, 3, 4), help="of pictures: grey, colour, or colour with transparency")
    add("--z-dim", type=int, metavar="N", help="numbers of a latent z")
    add("--w-dim", type=int, metavar="N", help="numbers of a style w")
    add("--cbase", type=int, metavar="N", help="channels times resolution, at most (StyleGAN3-R: twice that in G)")
    add("--cmax", type=int, metavar="N", help="channels, at most (StyleGAN3-R: twice that in G)")
    add("--map-depth", type=int, metavar="N", help="layers of the mapping network")


def _settings(found: argparse.ArgumentParser) -> None:
    group = found.add_argument_group("settings (default: by configuration)", argument_default=argparse.SUPPRESS)
    add = group.add_argument
    add("--batch", type=int, metavar="N", help="pictures a step, over all processes")
    add("--batch-gpu", type=int, metavar="N", help="pictures at once in a process, for its memory")
    add("--gamma", type=float, metavar="X", help="weight of R1")
    add("--g-lr", "--glr", type=float, metavar="X", help="learning rate of the generator")
    add("--d-lr", "--dlr", type=float, metavar="X", help="learning rate of the discriminator")
    add("--g-betas", type=_numbers, metavar="X,Y", help="Adam's, of the generator (default: 0,0.99)")
    add("--d-betas", type=_numbers, metavar="X,Y", help="Adam's, of the discriminator (default: 0,0.99)")
    add("--ema-kimg", type=float, metavar="X", help="half-life of the averaged weights, in thousand pictures")
    add("--ema-rampup", type=_number_or("none"), metavar="X", help="... at most X times the pictures so far, or none")
    add("--mbstd-group", type=_number_or("all"), metavar="N", help="of D's minibatch standard deviation, or all")
    add("--aug", type=_aug, choices=("ada", "fixed", "none"), help="augmentation (default: ada; noaug is none)")
    add("--p", type=float, dest="aug_p", metavar="P", help="probability of --aug fixed")
    add("--target", type=float, dest="ada_target", metavar="X", help="of --aug ada (default: 0.6)")
    add("--ada-kimg", type=float, metavar="X", help="of --aug ada: from 0 to 1 in so many thousand pictures")
    add("--augpipe", dest="aug_pipe", metavar="NAME", help="blit, geom, color, filter, noise, cutout, bg, bgc, ...")
    add(
        "--freeze-d",
        "--freezed",
        type=int,
        metavar="N",
        help="so many layers of D stay as they are, from the picture on",
    )
    add("--freeze-d-at", type=_names, metavar="LIST", help="modules of D that stay as they are, such as b8,b16")
    add("--freeze-g-at", type=_names, metavar="LIST", help="likewise of G's synthesis network")
    add("--seed", type=int, metavar="N", help="of all random numbers (default: 0)")


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _aug(text: str) -> str:
    return "none" if text == "noaug" else text


def _number_or(word: str) -> Any:
    """A type for argparse: a number, or None for the word."""

    def number(text: str) -> float | None:
        if text == word:
            return None
        value = float(text)
        return int(value) if word == "all" and value.is_integer() else value

    return number


def named(args: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the options that were given."""
    return {name: getattr(args, name) for name in names if hasattr(args, name)}


def check(args: argparse.Namespace) -> None:
    """Raise TrainingError for options that cannot be, or not together."""
    positive = ("kimg", "snap", "tick", "subset")
    for name in (*positive, "save_minutes", "log_seconds", "workers"):
        value = getattr(args, name)
        never = value == 0 and name in positive
        if value is not None and (not math.isfinite(value) or value < 0 or never):
            expected = "a number above 0" if name in positive else "0 or more"
            raise TrainingError(f"--{name.replace('_', '-')} {value}: expected {expected}")
    if args.cfg is None and args.ckpt is None and not args.resume:
        raise TrainingError("--cfg is missing: expected a configuration, or --ckpt with a network to go on with")
    for name in ("metrics_num", "metrics_features"):
        if getattr(args, name) is not None and args.metrics in (None, "none"):
            raise TrainingError(f"--{name.replace('_', '-')}: belongs to --metrics, which was not given")
    for name, value in named(args, ARCHITECTURE).items():
        if value < 1:
            raise TrainingError(f"--{name.replace('_', '-')} {value}: expected 1 or more")


_OF_AUG = {"aug_p": ("--p", "fixed"), "ada_target": ("--target", "ada"), "ada_kimg": ("--ada-kimg", "ada")}


def check_augmentation(aug: str, given: Mapping[str, Any], resumed: bool) -> None:
    """Raise TrainingError where options of another kind of augmentation were given, or its probability was not."""
    for name, (option, of) in _OF_AUG.items():
        if name in given and aug != of:
            raise TrainingError(f"{option}: belongs to --aug {of}, and this is {aug}")
    if "aug_pipe" in given and aug == "none":
        raise TrainingError("--augpipe: belongs to --aug ada or fixed, and this is none")
    if aug == "fixed" and "aug_p" not in given and not resumed:
        raise TrainingError("--aug fixed: expected --p with the probability, such as --p 0.2, got none")
