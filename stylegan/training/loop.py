"""Training from the first step to the last: pictures in; checkpoints, pictures and a log out."""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

import ncnn_builder as nb
from stylegan._torch import Tensor, torch
from stylegan.training import distributed, saved, ticks
from stylegan.training.data import Pictures, batches
from stylegan.training.judge import Judge, Measure
from stylegan.training.report import Log
from stylegan.training.settings import discriminator_kwargs, generator_kwargs
from stylegan.training.trainer import Trainer

OPTIONS = "training-options.json"


@dataclass(frozen=True)
class Plan:
    """What changes no number of the training.

    kimg: thousand pictures to train with in all; snap: a checkpoint and a grid of pictures every so many thousand;
    save_seconds: the state in between; log_seconds: a line of the log as soon as a step ends after so many; tick: and
    every so many thousand pictures one that is shown, with timing and memory; workers: processes that read pictures.
    measure: figures of every snapshot, whose best is kept. named: what saved.write_state() keeps beside the settings;
    about: what OPTIONS tells beside these.
    """

    out: Path
    kimg: float
    snap: float = 50
    save_seconds: float = 600
    log_seconds: float = 10
    tick: float = 4
    workers: int = 0
    quiet: bool = False
    named: Mapping[str, Any] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    measure: Measure | None = None


def train(
    trainer: Trainer, data: Pictures, plan: Plan, digest: str, stopped: Callable[[], bool] = lambda: False
) -> bool:
    """Go on until plan.kimg, or until stopped(); whether it was reached. All is saved then.

    digest: a hash of the pictures, for those who go on later. Raises ncnn_builder.EmitError.
    """
    first, end = distributed.rank() == 0, plan.kimg * 1000
    grid = Grid(trainer, data)
    if first:
        nb.write_files({plan.out / OPTIONS: [options_bytes(trainer, plan)]})
        for left in plan.out.glob(".*.safetensors.*"):  # kill -9 while a file was written
            left.unlink()
    log = Log(plan.out, trainer.seen) if first else None
    judge = Judge(plan.out, trainer.seen, plan.measure) if first and plan.measure is not None else None
    if first and trainer.number == 0:
        nb.write_files({plan.out / "reals.png": [grid.reals()]})
        _snapshot(trainer, grid, plan.out)
    bar = tqdm(total=round(end), initial=trainer.seen, unit="img", disable=plan.quiet or not first, dynamic_ncols=True)
    s, label = trainer.settings, _labels(data)
    source = batches(data, s.seed, trainer.seen, s.batch, plan.workers)
    last_save = last_line = time.monotonic()
    saved_at = snapped_at = lined_at = trainer.seen
    tick = ticks.Ticks(plan.tick, trainer.seen)

    def tell(said: str) -> None:
        if first and not plan.quiet:
            bar.write(said, file=sys.stderr)

    def line(shown: bool) -> None:
        nonlocal last_line, lined_at
        now, means = time.monotonic(), trainer.means.take()
        speed = (trainer.seen - lined_at) / max(now - last_line, 1e-9)
        last_line, lined_at = now, trainer.seen
        if log is not None:
            values = {**_line(trainer, means, speed), **ticks.memory(trainer.device), **trainer.clock.take()}
            values |= tick.take(trainer.seen) if shown else {}
            log.write(values)
            bar.set_postfix(_short(trainer, means), refresh=False)
            if shown:
                tell(ticks.status(values))

    def judge_snapshot() -> None:
        """The last one that was written, unless it has figures already."""
        network = network_file(trainer)
        if judge is not None and not judge.judged(trainer.seen) and (plan.out / network).is_file():
            found = judge(trainer.G_ema, trainer.seen, network)
            tell("  ".join(f"{name} {value:.5g}" for name, value in found.items()))
            if log is not None:
                log.figures(found, trainer.seen)

    try:
        stop = _agreed(stopped())[0]
        if plan.measure is not None and not stop:
            if trainer.number == 0:  # what is broken off while it is measured goes on too
                _save(trainer, plan, digest)
            with tick.aside():
                judge_snapshot()
        while trainer.seen < end and not stop:
            trainer.step(*next(source), label)
            bar.update(s.batch)
            now = time.monotonic()
            snap = trainer.seen // (plan.snap * 1000) > snapped_at // (plan.snap * 1000)
            due = now - last_save >= plan.save_seconds, now - last_line >= plan.log_seconds
            stop, save, log_now = _agreed(stopped(), *due)
            ticked = tick.due(trainer.seen)
            if log_now or snap or ticked:
                line(ticked)
            with tick.aside():
                if snap:
                    snapped_at = trainer.seen
                    if first:
                        _snapshot(trainer, grid, plan.out)
                if snap or save:
                    _save(trainer, plan, digest)
                    last_save, saved_at = time.monotonic(), trainer.seen
                if snap and not stop:
                    judge_snapshot()
        if lined_at != trainer.seen:
            line(True)
        if saved_at != trainer.seen or trainer.number == 0:
            _save(trainer, plan, digest)
        if first and snapped_at != trainer.seen:
            _snapshot(trainer, grid, plan.out)
        if not stop:
            judge_snapshot()
    finally:
        bar.close()
        if log is not None:
            log.close()
    return trainer.seen >= end


def _agreed(*said: bool) -> list[bool]:
    """Whether any process says yes, to each: they have to do the same."""
    if distributed.size() == 1:
        return list(said)
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    found = torch.tensor(said, dtype=torch.float32, device=device)
    distributed.all_reduce(found, largest=True)
    return [bool(yes) for yes in found.tolist()]


def _save(trainer: Trainer, plan: Plan, digest: str) -> None:
    if trainer.ada is not None:
        distributed.average([trainer.ada.seen])
    if distributed.rank() == 0:
        saved.write_state(plan.out, trainer, digest, plan.named)


def _snapshot(trainer: Trainer, grid: Grid, out: Path) -> None:
    number = snapshot_number(trainer.seen, trainer.settings.batch)
    nb.write_files(
        {
            out / network_file(trainer): [saved.network_bytes(trainer)],
            out / f"fakes-{number}.png": [grid.fakes()],
        }
    )


def network_file(trainer: Trainer) -> str:
    """The name of a snapshot that is taken now."""
    return f"network-{snapshot_number(trainer.seen, trainer.settings.batch)}.safetensors"


def snapshot_number(seen: int, batch: int) -> str:
    """Thousand pictures, of the first step behind a thousand; then the pictures behind that, of any other step."""
    kimg, rest = divmod(seen, 1000)
    return f"{kimg:06d}" if rest < batch and (kimg or not seen) else f"{kimg:06d}-{rest:03d}"


def options_bytes(trainer: Trainer, plan: Plan) -> bytes:
    """What the training does, for those who read it: JSON."""
    G = generator_kwargs(trainer.family, trainer.init_kwargs, trainer.settings)
    found = {
        **plan.named,
        **plan.about,
        "family": trainer.family,
        "generator": G,
        "discriminator": discriminator_kwargs(trainer.family, trainer.init_kwargs, trainer.settings),
        "settings": asdict(trainer.settings),
        "parameters": {
            name: sum(p.numel() for p in of.parameters()) for name, of in (("G", trainer.G), ("D", trainer.D))
        },
        "begins_at_picture": trainer.seen,
        "made_by": {"ncnn_builder": nb.__version__, "torch": torch.__version__},
    }
    return json.dumps(found, indent=1, default=str).encode() + b"\n"


def _line(trainer: Trainer, means: dict[str, float], speed: float) -> dict[str, Any]:
    found: dict[str, Any] = {"pictures": trainer.seen, "steps": trainer.number, "pictures_per_second": round(speed, 3)}
    if trainer.augment is not None:
        found["augment_p"] = float(trainer.augment.p)
    return {**found, **means}


def _short(trainer: Trainer, means: dict[str, float]) -> dict[str, str]:
    names = {"G": "Loss/G/loss", "D": "Loss/D/loss"}
    found = {short: f"{means[name]:.3f}" for short, name in names.items() if name in means}
    return found if trainer.augment is None else {**found, "p": f"{float(trainer.augment.p):.3f}"}


def _labels(data: Pictures) -> Callable[[np.random.Generator], npt.NDArray[np.float32]] | None:
    """A label of a picture at random: generated pictures have the labels of the real ones, as often."""
    return None if data.c_dim == 0 else lambda draws: data.label(int(draws.integers(len(data))))


class Grid:
    """Pictures side by side as a PNG: some of the data, and what the averaged generator makes of fixed latents."""

    def __init__(self, trainer: Trainer, data: Pictures) -> None:
        self.trainer, self.data = trainer, data
        self.columns = max(2, min(12, 1536 // data.resolution))
        self.rows = max(2, self.columns * 2 // 3)
        random, n = np.random.RandomState(trainer.settings.seed % 2**32), self.rows * self.columns
        self.chosen = random.randint(len(data), size=n)
        self.z = torch.from_numpy(random.randn(n, trainer.G.z_dim).astype(np.float32))
        labels = np.stack([data.label(int(i)) for i in self.chosen]) if data.c_dim else None
        self.c = None if labels is None else torch.from_numpy(labels)

    def reals(self) -> bytes:
        return self._png(np.stack([self.data[int(i)][0] for i in self.chosen]))

    @torch.no_grad()
    def fakes(self) -> bytes:
        size, device = self.trainer.settings.batch_gpu, self.trainer.device
        pictures = []
        for i in range(0, len(self.z), size):
            c = None if self.c is None else self.c[i : i + size].to(device)
            img: Tensor = self.trainer.G_ema(self.z[i : i + size].to(device), c, noise_mode="const")
            pictures.append((img * 127.5 + 128).clamp(0, 255).to(torch.uint8).cpu().numpy())
        return self._png(np.concatenate(pictures))

    def _png(self, pictures: npt.NDArray[np.uint8]) -> bytes:
        _, channels, h, w = pictures.shape
        table = pictures.reshape(self.rows, self.columns, channels, h, w).transpose(0, 3, 1, 4, 2)
        table = table.reshape(self.rows * h, self.columns * w, channels)
        file = io.BytesIO()
        Image.fromarray(table[:, :, 0] if channels == 1 else table).save(file, "png")
        return file.getvalue()
