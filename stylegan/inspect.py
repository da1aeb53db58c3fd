"""Say what is in a checkpoint: `python -m stylegan.inspect afhqcat.pkl`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from ncnn_builder.strangers import printable
from stylegan import command_line
from stylegan.networks.configs import WHICH


def _text(said: dict[str, Any]) -> str:
    w_avg = said["w_avg"]
    rows = {
        "source": said["source"],
        "sha256": said["sha256"],
        "family": said["family"],
        "init_kwargs": json.dumps(said["init_kwargs"]) + (" (inferred from shapes)" if said["inferred"] else ""),
        **({"notes": "; ".join(said["notes"])} if said["notes"] else {}),
        "num_ws": said["num_ws"],
        "labels": said["labels"] or "none",
        "size": f"{said['parameters']} parameters, {said['buffers']} numbers in buffers, {said['bytes']} bytes",
        "w_avg": ", ".join(f"{key} {value:.4g}" for key, value in w_avg.items()) if w_avg else "none: no truncation",
    }
    lines = [f"{name:<12}{value}" for name, value in rows.items()]
    width = max(map(len, said["tensors"]))
    lines += ["", *(f"{name:<{width}}  {shape}" for name, shape in said["tensors"].items())]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m stylegan.inspect",
        description="Say what generator a checkpoint holds: family, init_kwargs, sizes, and every tensor's shape. "
        "Nothing in the checkpoint is executed.",
    )
    parser.add_argument(
        "source",
        metavar="FILE",
        help="file or http(s) URL: .pkl, .pt, .pth, .safetensors or another of docs/checkpoints.md",
    )
    parser.add_argument(
        "--which", default="G_ema", choices=WHICH, help="network of a file with several (default %(default)s)"
    )
    parser.add_argument("--sha256", metavar="HEX", help="what the sha256 of FILE must be")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 2 after one message for anything the user can mend."""
    args = _parser().parse_args(argv)

    def work() -> int:
        from stylegan.checkpoints.inspect import inspect

        said = inspect(args.source, args.which, args.sha256)
        try:
            print(json.dumps(said, indent=1) if args.json else printable(_text(said)), flush=True)
        except BrokenPipeError:  # of `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still to be flushed
            return 1
        return 0

    return command_line.exit_code("stylegan.inspect", work)


if __name__ == "__main__":
    sys.exit(main())
