"""From a command line to a training: everything that can be wrong is looked at before anything is computed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan import devices
from stylegan.dataset import PictureDataset
from stylegan.dataset.sizes import first_block
from stylegan.errors import TrainingError
from stylegan.networks.configs import Config
from stylegan.training import architecture, distributed, loop, options, predecessor, saved, starting
from stylegan.training.recipes import Recipe, get_recipe
from stylegan.training.settings import TrainSettings, default_settings, first_block_of
from stylegan.training.trainer import Trainer


@dataclass(frozen=True)
class Work:
    trainer: Trainer
    data: PictureDataset
    plan: loop.Plan
    digest: str


@dataclass(frozen=True)
class _Before:
    """What a training goes on from: networks; settings and more that it was asked, empty where it is a new one."""

    recipe: Recipe
    asked: Mapping[str, Any]
    named: Mapping[str, Any]


def prepare(args: argparse.Namespace, device_name: str | None) -> Work:
    """device_name: the device of this process, None for the best one. Raises StyleganError."""
    out = Path(args.out)
    before = _before(args, out)
    device = devices.choose(device_name)
    recipe = architecture.changed(before.recipe, options.named(args, options.ARCHITECTURE))
    mirror = args.mirror or bool(before.named.get("mirror", recipe.mirror))
    cond = args.cond or bool(before.named.get("cond"))
    subset = before.named.get("subset") if args.subset is None else args.subset
    wanted = recipe.init_kwargs
    first = first_block_of(recipe.family, wanted)
    resolution = wanted.get("img_resolution")  # None: that of the data
    data = PictureDataset(
        args.data,
        None if resolution is None else (resolution * first[0] // 4, resolution * first[1] // 4),
        xflip=mirror,
        max_size=subset,
        seed=getattr(args, "seed", before.asked.get("seed", 0)),
        labels=cond,
        channels=wanted.get("img_channels"),
        square=False,
    )
    if resolution is None:
        resolution, first = data.resolution, [4, 4]
        found = first_block(*reversed(data.size))
        if data.size[0] != data.size[1] and found is not None:
            resolution, first = found[0], list(found[1])
    if subset is not None and subset > len(data.names):
        raise TrainingError(f"--subset {subset}: expected 1 to {len(data.names)}, the pictures of {args.data}")
    if cond and data.c_dim == 0:
        raise TrainingError(f"--cond: data {args.data} has no labels in a dataset.json")
    kwargs = {**recipe.network(resolution, data.channels, first), "c_dim": data.c_dim}
    settings = _settings(args, before, recipe, kwargs)
    trainer = _trainer(recipe.family, kwargs, settings, device)
    digest, said = data.digest(), ""
    if args.resume and args.ckpt is not None:
        said = predecessor.resume(trainer, args.ckpt, len(data))
    elif args.resume:
        saved.resume(trainer, out / saved.STATE, digest)
    elif args.ckpt is not None:
        said = starting.load(trainer, Config(recipe.name, recipe.family, recipe.init_kwargs, None), args.ckpt)
    if said and not args.quiet and distributed.rank() == 0:
        sys.stderr.write(f"stylegan.train: begins with {args.ckpt}; {said}\n")
    kimg = args.kimg or before.named.get("kimg") or recipe.kimg
    named = {"cfg": recipe.name, "mirror": mirror, "cond": cond, "subset": subset, "kimg": kimg}
    plan = loop.Plan(
        *(out, kimg, args.snap, args.save_minutes * 60, args.log_seconds, args.tick),
        workers=args.workers,
        quiet=args.quiet,
        named=named,
        about={"data": args.data, "pictures": len(data), "ckpt": args.ckpt, "processes": distributed.size()},
    )
    return Work(trainer, data, plan, digest)


def _before(args: argparse.Namespace, out: Path) -> _Before:
    recipe = None if args.cfg is None else get_recipe(args.cfg)
    state = out / saved.STATE
    goes_on = args.resume and args.ckpt is None
    if goes_on and not state.is_file():
        raise TrainingError(f"--resume: there is no {saved.STATE} in {out}: leave --resume out to begin")
    if not goes_on and out.exists() and (not out.is_dir() or any(out.iterdir())) and distributed.rank() == 0:
        there = "a training, which --resume goes on with" if state.is_file() else "something else"
        also = ", without --ckpt" if args.resume and state.is_file() else ""
        raise TrainingError(f"--out {out}: expected a new or empty folder, there is {there}{also}")
    if goes_on:
        head = saved.head(state)
        named = head.get("named", {})
        if args.cfg is not None and named.get("cfg", args.cfg) != args.cfg:
            was = named["cfg"] or "that of its --ckpt"
            raise TrainingError(
                f"--resume: the training in {out} has configuration {was}, not {args.cfg}: leave it out"
            )
        recipe = Recipe(named.get("cfg", args.cfg or ""), head["family"], head["init_kwargs"])
        return _Before(recipe, head["asked"], named)
    if recipe is None:
        recipe, notes = architecture.of_checkpoint(args.ckpt)
        if distributed.rank() == 0:
            sys.stderr.write("".join(f"stylegan.train: {args.ckpt}: {note}\n" for note in notes))
    return _Before(recipe, {}, {})


def _settings(args: argparse.Namespace, before: _Before, recipe: Recipe, kwargs: Mapping[str, Any]) -> TrainSettings:
    given = options.named(args, options.SETTINGS)
    changes = {**given, **({"num_fp16_res": 0} if args.fp32 else {})}
    processes = distributed.size()
    if before.asked:  # what the start implied, by its --ckpt or the number of processes, is part of what goes on
        settings = saved.settings_of(before.asked, changes, processes)
    else:
        changes = recipe.changes(changes, processes)
        settings = default_settings(recipe.family, kwargs, processes, args.ckpt is not None, **changes)
    options.check_augmentation(settings.aug, given, bool(before.asked))
    return settings


def _trainer(family: str, kwargs: Mapping[str, Any], settings: TrainSettings, device: Any) -> Trainer:
    try:
        return Trainer(family, kwargs, settings, device)
    except ValueError as error:  # of sizes that the command line, the data or a checkpoint asks for
        raise TrainingError(f"there are no such networks: {error}") from None
