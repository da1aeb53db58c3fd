"""What command lines share: --cfg, --ckpt, --which and --sha256, the weights that these name, and how they end.

Nothing here imports torch before load() does: what cannot be is refused at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ncnn_builder as nb
from ncnn_builder.strangers import printable
from stylegan.errors import CheckpointError, ConfigError, StyleganError
from stylegan.networks.configs import CONFIGS, WHICH, Config, get_config

if TYPE_CHECKING:
    from stylegan.checkpoints.checkpoint import Checkpoint

EPILOG = "Configurations: " + ", ".join(CONFIGS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--cfg, --ckpt, --which and --sha256, which configuration() and load() read."""
    parser.add_argument(
        "--cfg", metavar="NAME", help="configuration, see below; not needed where --ckpt names a file or URL"
    )
    parser.add_argument(
        "--ckpt",
        metavar="FILE",
        help="file or http(s) URL: an official .pkl, a fork's, TensorFlow's or rosinality's, a state_dict, safetensors "
        "(docs/checkpoints.md lists them); or random[:SEED]. Without it: the weights that come with this package "
        "(v2ada_64_faces), the configuration's official file from the cache or the network, else random weights with a "
        "warning",
    )
    parser.add_argument(
        "--which", default="G_ema", choices=WHICH, help="network of a file with several (default %(default)s)"
    )
    parser.add_argument("--sha256", metavar="HEX", help="what the sha256 of the checkpoint file must be")


@dataclass(frozen=True)
class Weights:
    """The weights that a command line named.

    origin: source, sha256 and random, as manifests say it. reason: why they are random although nobody asked for it,
    else empty.
    """

    checkpoint: Checkpoint
    origin: dict[str, Any]
    reason: str


def configuration(args: argparse.Namespace) -> Config | None:
    """The configuration of --cfg, None where a checkpoint file takes its place.

    Raises ConfigError and CheckpointError for arguments that do not go together.
    """
    random = args.ckpt is not None and _random_seed(args.ckpt) is not None
    if args.cfg is None and (args.ckpt is None or random):
        raise ConfigError("--cfg is missing: expected a configuration, or --ckpt with a file or URL")
    if random and args.sha256 is not None:
        raise CheckpointError(f"--ckpt {args.ckpt} is no file: leave out --sha256")
    return None if args.cfg is None else get_config(args.cfg)


def load(args: argparse.Namespace, config: Config | None) -> Weights:
    """The weights; config is what configuration() made of the same arguments. Raises StyleganError."""
    from stylegan.checkpoints import checkpoint

    ckpt, reason = args.ckpt, ""
    if config is not None:
        if ckpt is None:
            path, reason = _own(config)
            if path is None and args.sha256 is not None:
                raise CheckpointError(f"no file to compare with --sha256: {reason}")
            ckpt = "random" if path is None else str(path)
        seed = _random_seed(ckpt)
        if seed is not None:
            state = checkpoint.random_state(config.family, config.init_kwargs, seed)
            made = checkpoint.Checkpoint(config.family, config.init_kwargs, state, f"random:{seed}", "")
            return Weights(made, {"source": made.source, "sha256": None, "random": True}, reason)
        loaded = checkpoint.load_for(config, ckpt, args.which, args.sha256)
    else:
        loaded = checkpoint.load(ckpt, args.which, args.sha256)
    return Weights(loaded, {"source": loaded.source, "sha256": loaded.sha256, "random": False}, reason)


def exit_code(name: str, work: Callable[[], int | None], less: str = "") -> int:
    """Work's own code (None: 0), 2 after one message for anything the user can mend, 130 after Ctrl-C.

    name: of the module, in front of messages. less: what to do where memory is not enough.
    """
    try:
        return work() or 0
    except (StyleganError, nb.NcnnBuilderError, OSError) as error:
        said, code = str(error), 2
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):  # torch has no class for it on CPUs
            raise
        said, code = f"out of memory: {less}" if less else "out of memory", 2
    except KeyboardInterrupt:
        said, code = "interrupted", 130
    sys.stderr.write(printable(f"{name}: {said}") + "\n")
    return code


def say(weights: Weights) -> None:
    """What the user has to know of them, on stderr: that they are random, or what was assumed of their network."""
    for note in weights.checkpoint.notes:
        sys.stderr.write(printable(f"{weights.checkpoint.source}: {note}") + "\n")
    if weights.reason:
        warn_random(weights.reason)


def warn_random(reason: str) -> None:
    """On stderr, and not to be overlooked."""
    bar = "!" * 100
    sys.stderr.write(
        f"{bar}\nWARNING: RANDOM WEIGHTS. The pictures will be patterns without meaning.\n"
        f"Reason: {printable(reason)}.\n"
        f"Give a checkpoint with --ckpt FILE, or --ckpt random to say that you want this.\n{bar}\n"
    )


def _random_seed(ckpt: str) -> int | None:
    """The SEED of random[:SEED], 0 without it; None where `ckpt` names a file."""
    if not ckpt:
        raise CheckpointError("--ckpt '': expected a file or random[:SEED], got an empty name")
    word, colon, number = ckpt.partition(":")
    if word != "random":
        return None
    if not colon:
        return 0
    if not number.isdecimal() or int(number) >= 2**63:
        raise CheckpointError(f"--ckpt {ckpt}: expected random or random:SEED with a whole number SEED, got {number!r}")
    return int(number)


def _own(config: Config) -> tuple[Path | None, str]:
    """The configuration's checkpoint: of this package, official from the cache or the network; or None and why not."""
    if config.shipped.is_file():
        return config.shipped, ""
    if config.url is None:
        return None, f"configuration {config.name} has no official checkpoint"
    from stylegan.checkpoints import download

    try:
        return download.cached_file(config.url) or download.fetch(config.url, download.cache_dir()), ""
    except CheckpointError as error:
        return None, str(error)
