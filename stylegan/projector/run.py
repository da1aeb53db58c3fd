"""A projection as a command line runs it: shown, saved now and then, continued, and its results written."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import ncnn_builder as nb
from stylegan._torch import torch
from stylegan.errors import PackageMissing, ProjectionError, needs
from stylegan.projector import results, saved
from stylegan.projector.optimise import Projector
from stylegan.projector.picture import png, to_uint8
from stylegan.projector.tuning import PREFIX, Tuning, added, delta_bytes, tune

SAVE_EVERY = 30.0
"""Seconds between two savings of the state."""


class Stopped(Exception):
    """By a signal, between two steps or two frames: one that is broken off could not be continued."""


def saved_work(out: Path, asked: Mapping[str, Any]) -> saved.Saved | None:
    """The unfinished work in a folder. Raises ProjectionError where it is damaged or other work than asked for."""
    path = out / results.STATE
    if not path.is_file():
        return None
    found = saved.read(path)
    other = saved.differences(found.asked, asked)
    if other:
        raise ProjectionError(
            f"{path} is unfinished work of another kind: {'; '.join(other)}. Give the same options to go on with it, "
            "--restart to begin anew, or another --out"
        )
    return found


@dataclass
class Work:
    """A projection to be carried out, and what its results are to say.

    target [H, W, C]; out: a folder, made when needed; asked: what must be the same to continue; origin and distance:
    of the network, and of what was compared, for the report; fps: None for no video; seconds: that it has taken so far.
    tuning: of G, the network, where its steps are not 0. delta: what came of it, when the work is done.
    """

    projector: Projector
    target: results.Picture
    out: Path
    asked: Mapping[str, Any]
    origin: Mapping[str, Any]
    distance: str
    fps: Fraction | None
    quiet: bool
    seconds: float = 0.0
    tuning: Tuning = field(default_factory=Tuning)
    G: Any = None
    delta: dict[str, Any] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)

    def carry_out(self, check: Callable[[], None]) -> bool:
        """All steps that are left, the video, the results. check: raises Stopped where it is to end early.

        Whether the work is finished; stopped work is saved. Raises ProjectionError, and OSError and
        ncnn_builder.EmitError where the disk is full; what was saved before stays.
        """
        try:
            self._optimise(check)
            self._finish(check)
        except Stopped:
            return False
        return True

    def stopped_at(self) -> str:
        done, steps = len(self.projector.distances), self.projector.settings.steps
        if not done:
            return "stopped before the first step"
        return f"stopped after {done} of {steps} steps; the same command goes on from {self.out / results.STATE}"

    def _say(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)

    def _bar(self, total: int, done: int, unit: str) -> Any:
        try:
            from tqdm import tqdm
        except ModuleNotFoundError as error:
            raise PackageMissing(needs(error.name)) from None
        hidden = self.quiet or not sys.stderr.isatty()
        return tqdm(total=total, initial=done, unit=unit, desc=self.out.name, disable=hidden, dynamic_ncols=True)

    def _save(self) -> None:
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now
        saved.write(self.out / results.STATE, saved.Saved(self.projector.state(), self.asked, self.seconds))

    def _optimise(self, check: Callable[[], None]) -> None:
        projector = self.projector
        steps, done = projector.settings.steps, len(projector.distances)
        self._say(f"distance: {self.distance}")
        if done:
            self._say(f"going on after {done} of {steps} steps: {self.out / results.STATE}")
        with self._bar(steps, done, "step") as bar:
            while not projector.done:
                try:
                    check()
                except Stopped:
                    if projector.distances:
                        self._save()
                    raise
                distance = projector.advance()
                bar.update()
                bar.set_postfix_str(f"distance {distance:.4g}", refresh=False)
                if projector.done or time.monotonic() - self._since > SAVE_EVERY:  # the video may take a while
                    self._save()

    def _finish(self, check: Callable[[], None]) -> None:
        projector, found = self.projector, self.projector.result()
        names = [results.STYLE, results.TARGET, results.PICTURE, results.REPORT]
        if self.fps is not None:
            steps = results.frame_steps(len(found.trajectory))
            with self._bar(len(steps), 0, "frame") as bar:

                def frames() -> Any:
                    for frame in results.frames(projector, self.target, found.trajectory):
                        check()
                        yield frame
                        bar.update()

                results.write_video(self.out / results.VIDEO, frames(), self.fps)
            names.append(results.VIDEO)
        check()
        with torch.no_grad():
            # At the first step the learning rate is 0: what it leaves is the mean style.
            start = projector.distance_of(projector.picture(found.trajectory[:1]))
            end = projector.distance_of(projector.picture(found.w[None]))
            with_noise = projector.distance_of(projector.picture(found.w[None], projector.noises))
        tuned = self._tune(found.w, check) if self.tuning.steps else {}
        if tuned:
            names += [results.TUNED, results.DELTA]
        self.seconds += time.monotonic() - self._since
        own = projector.picture(found.w[None]).detach()
        report: dict[str, Any] = {
            "format": "ncnn-builder-projection",
            "network": dict(self.origin),
            "settings": dict(self.asked),
            "distance": {
                "of": self.distance,
                "start": float(start),
                "end": float(end),
                "end_with_optimised_noise": float(with_noise) if found.noises else None,
            },
            "psnr": {
                "start": results.psnr(projector.picture(found.trajectory[:1]).detach(), projector.target),
                "end": results.psnr(own, projector.target),
                **({"tuned": results.psnr(self._tuned_picture(found.w), projector.target)} if tuned else {}),
            },
            "steps": len(found.distances),
            "seconds": round(self.seconds, 1),
            "device": str(projector.device),
            "files": names,
            "made_by": {"ncnn_builder": nb.__version__, "torch": torch.__version__},
        }
        files = {
            results.STYLE: results.style_file(found.w, self.distance),
            results.TARGET: png(self.target),
            results.PICTURE: png(results.picture_of(projector, found.w)),
            results.REPORT: json.dumps(report, indent=1).encode() + b"\n",
        }
        if tuned:
            state = self.G.state_dict()
            files[results.DELTA] = delta_bytes(self.delta, state)
            files[results.TUNED] = png(to_uint8(self._tuned_picture(found.w)[0].cpu().numpy()))
        nb.write_files({self.out / name: [data] for name, data in files.items()})
        (self.out / results.STATE).unlink(missing_ok=True)
        begun = "nearest of the styles drawn" if projector.settings.nearest else "mean style"
        self._say(f"distance {float(start):.4g} at the {begun}, {float(end):.4g} at the one found")
        decibels = ", ".join(f"{value:.2f} dB ({name})" for name, value in report["psnr"].items())
        self._say(f"peak signal to noise: {decibels}")
        for name in names:
            self._say(str(self.out / name))

    def _tune(self, w: Any, check: Callable[[], None]) -> dict[str, Any]:
        with self._bar(self.tuning.steps, 0, "tuning") as bar:

            def on_step(loss: float) -> None:
                check()
                bar.update()
                bar.set_postfix_str(f"loss {loss:.4g}", refresh=False)

            projector = self.projector
            self.delta = tune(self.G, w, projector.target, projector.distance_of, self.tuning, on_step)
        # As the file has it.
        self.delta = {name: change.half().float() for name, change in self.delta.items()}
        return self.delta

    def _tuned_picture(self, w: Any) -> Any:
        """[1, C, R, R] of 0..255."""
        state = added(self.G.state_dict(), self.delta)
        inside = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
        ws = w.to(self.projector.device)[None]
        with torch.no_grad():
            image = torch.func.functional_call(self.G.synthesis, inside, (ws,), {"noise_mode": "const"})
        return (image + 1) * 127.5
