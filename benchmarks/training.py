"""Pictures a second of training, against plain torch ops: `python -m benchmarks.training --cfg v2ada_64_faces`.

The two take turns in one process, each with networks of its own that begin alike: steps of ours, steps of the same
training with the functions of benchmarks.plain_ops. The last column is how far their gradients are apart at the
beginning, of the largest one of a network and phase.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.compare import Parser, positive
from benchmarks.plain_ops import plain_ops
from benchmarks.report import as_json, write_json
from stylegan.errors import ConfigError
from stylegan.networks.configs import CONFIGS, get_config
from stylegan.training.loss import PHASES
from stylegan.training.settings import default_settings
from stylegan.training.trainer import Trainer

LAZY = 16  # steps after which every phase has come as often as it does


def step(trainer: Trainer, real: torch.Tensor) -> float:
    start = time.perf_counter()
    trainer.step(real, None)
    return time.perf_counter() - start


def gradients(trainer: Trainer, phase: str, real: torch.Tensor) -> torch.Tensor:
    """All of one phase, of pictures and latents that are the same for everybody."""
    torch.manual_seed(0)
    z = torch.randn(len(real), trainer.G.z_dim)
    own = {"G": trainer.G, "D": trainer.D}[phase[0]]
    for network in (trainer.G, trainer.D):
        network.requires_grad_(network is own)
    trainer.loss.pl_mean.zero_()
    trainer.loss.accumulate_gradients(phase, real.float() / 127.5 - 1, None, z, None)
    found = [(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in own.parameters()]
    own.zero_grad()
    return torch.cat(found)


def measure(init_kwargs: dict[str, Any], batch: int | None, rounds: int) -> dict[str, Any]:
    """Pictures a second of both, and the difference of their gradients."""
    settings = default_settings("v2ada", init_kwargs, batch=batch, aug="none")
    noise = lambda img: torch.randn(img.shape)  # in the order of the indices, whatever that of the memory
    ours, plain = (Trainer("v2ada", init_kwargs, settings, path_noise=noise) for _ in range(2))
    for network in (plain.G, plain.D):
        network.to(memory_format=torch.contiguous_format)
    size = init_kwargs["img_resolution"]
    real = torch.randint(0, 256, (settings.batch, init_kwargs["img_channels"], size, size), dtype=torch.uint8)
    difference = 0.0
    for phase in PHASES:
        got = gradients(ours, phase, real)
        with plain_ops():
            want = gradients(plain, phase, real)
        difference = max(difference, float((got - want).abs().max() / want.abs().max()))
    step(ours, real)
    with plain_ops():
        step(plain, real)
    seconds: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(rounds):
        seconds["ours"].append(sum(step(ours, real) for _ in range(LAZY)))
        with plain_ops():
            seconds["plain"].append(sum(step(plain, real) for _ in range(LAZY)))
    speed = {name: settings.batch * LAZY / statistics.median(taken) for name, taken in seconds.items()}
    return {"batch": settings.batch, "seconds": seconds, "pictures_per_second": speed, "difference": difference}


def main(argv: Sequence[str] | None = None) -> int:
    p = Parser(prog="python -m benchmarks.training", description="A training step against plain torch ops.")
    p.add_argument("--cfg", nargs="+", default=["v2ada_64_faces"], metavar="NAME", help="of StyleGAN2-ADA")
    p.add_argument("--batch", type=positive, help="pictures a step (default: by resolution)")
    p.add_argument("--threads", type=positive, default=2, help="default 2")
    p.add_argument("--rounds", type=positive, default=3, help=f"turns of {LAZY} steps each (default 3)")
    p.add_argument("--json", type=Path, metavar="FILE", help="the result as JSON too")
    options = p.parse_args(argv)
    torch.set_num_threads(options.threads)
    print("pictures a second    batch   plain    ours   ratio  difference")
    results = {}
    for name in options.cfg:
        try:
            config = get_config(name)
        except ConfigError as error:
            p.error(str(error))
        if config.family != "v2ada":
            p.error(f"{name} is no StyleGAN2-ADA: {', '.join(n for n, c in CONFIGS.items() if c.family == 'v2ada')}")
        found = results[name] = measure(dict(config.init_kwargs), options.batch, options.rounds)
        speed = found["pictures_per_second"]
        ratio = speed["ours"] / speed["plain"]
        print(
            f"{name:<20} {found['batch']:>5} {speed['plain']:>7.1f} {speed['ours']:>7.1f} {ratio:>6.2f}x "
            f"{found['difference']:>10.1e}",
            flush=True,
        )
    if options.json is not None:
        write_json(
            as_json({"training": results, "threads": options.threads, "rounds": options.rounds}, []), options.json
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
